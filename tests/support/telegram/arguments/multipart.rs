//! The server's reader of `multipart/form-data`: plain fields become arguments, parts with a file name become files.

use super::{Arguments, File, Unreadable, lossy};

const MAX_BOUNDARY: usize = 70;

/// Adds the parts of `body` to `arguments`.
pub fn parse(content_type: &str, body: &[u8], arguments: &mut Arguments) -> Result<(), Unreadable> {
    let boundary = boundary(content_type)?;
    let delimiter = format!("\r\n--{boundary}");
    // the first boundary has no line end before it
    let opening = delimiter.trim_start().as_bytes();
    let mut rest = after(body, opening).ok_or_else(unexpected_end)?;
    while !rest.starts_with(b"--") {
        let end = find(rest, b"\r\n\r\n").ok_or_else(unexpected_end)?;
        let headers = rest.get(..end).unwrap_or_default();
        if headers.is_empty() {
            return Err(bad_request("headers in multipart/form-data are empty"));
        }
        let content = rest.get(end + 4..).unwrap_or_default();
        let length = find(content, delimiter.as_bytes()).ok_or_else(unexpected_end)?;
        add_part(&lossy(headers), content.get(..length).unwrap_or_default(), arguments)?;
        rest = content.get(length + delimiter.len()..).unwrap_or_default();
    }
    Ok(())
}

fn boundary(content_type: &str) -> Result<&str, Unreadable> {
    let at = content_type
        .to_ascii_lowercase()
        .find("boundary")
        .ok_or_else(|| bad_request("boundary not found"))?;
    let (_, value) = content_type
        .get(at..)
        .and_then(|parameter| parameter.split_once('='))
        .ok_or_else(|| bad_request("boundary value not found"))?;
    let value = value.split(';').next().unwrap_or_default();
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    if value.is_empty() || value.len() > MAX_BOUNDARY {
        return Err(bad_request("boundary too big or empty"));
    }
    Ok(value)
}

fn add_part(headers: &str, content: &[u8], arguments: &mut Arguments) -> Result<(), Unreadable> {
    let mut name = "";
    let mut is_file = false;
    for line in headers.split("\r\n") {
        let Some((header, value)) = line.split_once(':') else {
            continue;
        };
        if !header.trim().eq_ignore_ascii_case("content-disposition") {
            continue;
        }
        let parameters = value
            .trim()
            .strip_prefix("form-data;")
            .ok_or_else(|| bad_request("expected form-data content disposition"))?;
        for parameter in parameters.split(';') {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match key.trim() {
                "name" => name = value.trim().trim_matches('"'),
                "filename" => is_file = true,
                _ => {}
            }
        }
    }
    if name.is_empty() {
        return Err(bad_request("field name in multipart/form-data not found"));
    }
    if is_file {
        arguments.files.push(File { field: name.to_owned(), content: content.to_vec() });
    } else {
        arguments.values.push((name.to_owned(), lossy(content).into_owned()));
    }
    Ok(())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn after<'a>(haystack: &'a [u8], needle: &[u8]) -> Option<&'a [u8]> {
    haystack.get(find(haystack, needle)? + needle.len()..)
}

fn bad_request(reason: &str) -> Unreadable {
    Unreadable::new(400, format!("Bad Request: {reason}"))
}

fn unexpected_end() -> Unreadable {
    bad_request("unexpected end of request content")
}

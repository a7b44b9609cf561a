//! Reads a webhook's answers as the delivery engine does (reference/telegram.md section 3.6): what it takes for an
//! answer, and the texts for what it can't read. One difference: a gzip or deflate body is accepted unread, so a
//! webhook reply in it is not seen.

mod body;

use bytes::{Buf as _, BytesMut};

use super::arguments::{Arguments, BodyKind, MAX_PARAMETERS, Unreadable, too_many_parameters};
use body::Body;

const MAX_HEAD: usize = 1 << 18;
const MAX_CONTENT: u64 = (4 << 30) - 1;

/// A complete answer.
#[derive(Clone)]
pub struct Response {
    /// Status code.
    pub status: i32,
    /// Reason phrase as written.
    pub reason: String,
    /// `Retry-After` in whole seconds; anything else is 0.
    pub retry_after: i64,
    /// Whether the connection stays.
    pub keep_alive: bool,
    /// Arguments found in the body: a `method` in a 2xx is a call of the Bot API.
    pub arguments: Arguments,
}

impl Response {
    /// Whether the update is done.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Reads one answer after another from the bytes of a connection. Bytes that follow an answer are the start of the next.
#[derive(Default)]
pub struct Reader {
    input: BytesMut,
    current: Option<(Head, Body)>,
}

impl Reader {
    /// Where received bytes go.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// The next answer if all of it is there.
    pub fn next_response(&mut self) -> Result<Option<Response>, Unreadable> {
        if self.current.is_none() {
            let Some(head) = self.take_head()? else {
                return Ok(None);
            };
            let body = head.body()?;
            self.current = Some((head, body));
        }
        let Some((head, body)) = &mut self.current else {
            return Ok(None);
        };
        let complete = body.read(&mut self.input)?;
        let kind = BodyKind::of(&head.content_type);
        if matches!(kind, BodyKind::Json | BodyKind::Form) && body.content.len() > MAX_PARAMETERS {
            return Err(too_many_parameters());
        }
        if !complete {
            return Ok(None);
        }
        let mut arguments = Arguments::default();
        if !body.is_empty() && head.content_encoding.is_empty() {
            arguments.add_body(&head.content_type, &body.content)?;
        }
        let response = Response {
            status: head.status,
            reason: std::mem::take(&mut head.reason),
            retry_after: head.retry_after,
            keep_alive: head.keep_alive,
            arguments,
        };
        self.current = None;
        Ok(Some(response))
    }

    fn take_head(&mut self) -> Result<Option<Head>, Unreadable> {
        match self.input.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(end) => {
                let head = self.input.split_to(end);
                self.input.advance(4);
                Head::parse(&String::from_utf8_lossy(&head)).map(Some)
            }
            None if self.input.len() > MAX_HEAD => {
                Err(Unreadable::new(431, "Request Header Fields Too Large: total headers size exceeded"))
            }
            None => Ok(None),
        }
    }
}

#[derive(Default)]
struct Head {
    status: i32,
    reason: String,
    retry_after: i64,
    keep_alive: bool,
    content_length: u64,
    content_type: String,
    content_encoding: String,
    transfer_encoding: String,
}

impl Head {
    fn parse(text: &str) -> Result<Self, Unreadable> {
        let (status_line, headers) = text.split_once("\r\n").unwrap_or((text, ""));
        let (version, rest) = status_line.split_once(' ').unwrap_or((status_line, ""));
        if !version.starts_with("HTTP") {
            return Err(Unreadable::new(501, "Not Implemented"));
        }
        if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
            return Err(Unreadable::new(505, "HTTP Version Not Supported"));
        }
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut head = Self {
            status: i32::try_from(leading_number(status)).unwrap_or_default(),
            reason: reason.to_owned(),
            keep_alive: version == "HTTP/1.1",
            content_type: "application/octet-stream".to_owned(),
            ..Self::default()
        };
        for line in headers.split("\r\n").filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(|| Unreadable::new(400, "Bad Request"))?;
            head.set(&name.trim().to_ascii_lowercase(), value.trim());
        }
        Ok(head)
    }

    fn set(&mut self, name: &str, value: &str) {
        match name {
            "content-length" => self.content_length = leading_number(value).min(MAX_CONTENT),
            "connection" => self.keep_alive = !value.eq_ignore_ascii_case("close"),
            "content-type" => value.clone_into(&mut self.content_type),
            "content-encoding" => self.content_encoding = value.to_ascii_lowercase(),
            "transfer-encoding" => self.transfer_encoding = value.to_ascii_lowercase(),
            // an HTTP date is no number
            "retry-after" => self.retry_after = value.parse().unwrap_or_default(),
            _ => {}
        }
    }

    /// Checks what the body needs, in the server's order. Without length and not chunked there is none, and then no
    /// encoding is wrong.
    fn body(&self) -> Result<Body, Unreadable> {
        if self.transfer_encoding.is_empty() && self.content_length == 0 {
            return Ok(Body::none());
        }
        if !matches!(self.transfer_encoding.as_str(), "" | "chunked") {
            return Err(Unreadable::new(501, "Unimplemented: unsupported transfer-encoding"));
        }
        if !matches!(self.content_encoding.as_str(), "" | "gzip" | "deflate") {
            return Err(Unreadable::new(415, "Unsupported Media Type: unsupported content-encoding"));
        }
        if self.content_length >= MAX_CONTENT {
            let message = format!("Request Entity Too Large: content length is {}", self.content_length);
            return Err(Unreadable::new(413, message));
        }
        Ok(if self.transfer_encoding.is_empty() {
            Body::of_length(self.content_length)
        } else {
            Body::chunked()
        })
    }
}

/// The number at the start; 0 if there is none.
fn leading_number(text: &str) -> u64 {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end).and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

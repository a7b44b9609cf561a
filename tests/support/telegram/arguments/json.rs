//! The server's JSON reader: one object whose string values lose their quotes and whose other values stay JSON text.
//! What stands before a fault is kept and the fault itself is not reported.

use super::lossy;

/// Deepest nesting that the server skips over.
const MAX_DEPTH: usize = 100;

/// The fields of an object; of a lone string, the field `content`.
pub fn parse(bytes: &[u8]) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut cursor = Cursor { bytes, at: 0 };
    cursor.skip_whitespace();
    if cursor.peek() == Some(b'"') {
        if let Some(content) = cursor.string()
            && cursor.at == bytes.len()
        {
            fields.push(("content".to_owned(), content));
        }
        return fields;
    }
    if cursor.take(b'{').is_some() {
        cursor.fields(&mut fields);
    }
    fields
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// Reads fields up to the end of the object or the first fault; `None` is a fault.
    fn fields(&mut self, fields: &mut Vec<(String, String)>) -> Option<()> {
        loop {
            self.skip_whitespace();
            if self.take(b'}').is_some() {
                return Some(());
            }
            let name = self.string()?;
            self.skip_whitespace();
            self.take(b':')?;
            self.skip_whitespace();
            let value = if self.peek() == Some(b'"') {
                self.string()?
            } else {
                let start = self.at;
                self.skip_value(MAX_DEPTH)?;
                lossy(self.bytes.get(start..self.at)?).into_owned()
            };
            fields.push((name, value));
            self.skip_whitespace();
            if self.peek() != Some(b'}') {
                self.take(b',')?;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        self.take(b'"')?;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        serde_json::from_str(&lossy(self.bytes.get(start..self.at)?)).ok()
    }

    fn skip_value(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'[' => self.skip_items(b']', |cursor| cursor.skip_value(depth)),
            b'{' => self.skip_items(b'}', |cursor| {
                cursor.string()?;
                cursor.skip_whitespace();
                cursor.take(b':')?;
                cursor.skip_whitespace();
                cursor.skip_value(depth)
            }),
            _ => self.skip_scalar(),
        }
    }

    fn skip_items(&mut self, end: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.at += 1;
        loop {
            self.skip_whitespace();
            if self.take(end).is_some() {
                return Some(());
            }
            item(self)?;
            self.skip_whitespace();
            if self.peek() != Some(end) {
                self.take(b',')?;
            }
        }
    }

    fn skip_scalar(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
            self.at += 1;
        }
        let text = std::str::from_utf8(self.bytes.get(start..self.at)?).ok()?;
        (matches!(text, "true" | "false" | "null") || text.parse::<f64>().is_ok()).then_some(())
    }
}

//! Passing over what nobody reads.

use super::{Malformed, Scanner};

impl Scanner<'_> {
    /// Passes over a value, whatever it is.
    pub(in super::super) fn skip(&mut self) -> Result<(), Malformed> {
        loop {
            match self.peek() {
                Some(b'"') => self.skip_string().map(drop)?,
                Some(b'{') => {
                    self.enter(b'{')?;
                    if !self.take(b'}') {
                        self.skip_name()?;
                        self.open.push(b'}');
                        continue;
                    }
                }
                Some(b'[') => {
                    self.enter(b'[')?;
                    if !self.take(b']') {
                        self.open.push(b']');
                        continue;
                    }
                }
                Some(b't') => self.literal(b"true")?,
                Some(b'f') => self.literal(b"false")?,
                Some(b'n') => self.literal(b"null")?,
                _ => self.number().map(drop)?,
            }
            if !self.skip_ends()? {
                return Ok(());
            }
        }
    }

    /// Passes over what is behind a value that is skipped. Whether another value follows.
    fn skip_ends(&mut self) -> Result<bool, Malformed> {
        while let Some(&bracket) = self.open.last() {
            if self.take(b',') {
                if bracket == b'}' {
                    self.skip_name()?;
                }
                return Ok(true);
            }
            self.expect(bracket)?;
            self.open.pop();
        }
        Ok(false)
    }

    fn skip_name(&mut self) -> Result<(), Malformed> {
        self.at_name()?;
        self.skip_string()?;
        self.expect(b':')
    }
}

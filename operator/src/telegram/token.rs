//! Bot tokens: their shape, and a type that doesn't show them.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

/// A token is the bot's user id, a colon and at least this many characters.
const MIN_TOKEN_SECRET: usize = 35;
/// Longer tokens are refused by the server unseen.
const MAX_TOKEN: usize = 80;

/// A bot's token, whose shape has been checked. Its Debug output shows the bot's id alone.
#[derive(Clone)]
pub struct BotToken {
    bot_id: i64,
    token: SecretString,
}

/// The text isn't a bot token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a bot token: expected the form <digits>:<35 or more of A-Z a-z 0-9 _ ->")]
pub struct MalformedToken;

// === impl BotToken ===

impl BotToken {
    /// Checks the shape of a token, as far as it can be known without asking Telegram.
    pub fn parse(text: &str) -> Result<Self, MalformedToken> {
        let (id, secret) = text.split_once(':').ok_or(MalformedToken)?;
        let digits = !id.is_empty() && !id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit());
        let secret_ok = secret.len() >= MIN_TOKEN_SECRET
            && secret.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if !digits || !secret_ok || text.len() > MAX_TOKEN {
            return Err(MalformedToken);
        }
        let bot_id = id.parse().map_err(|_| MalformedToken)?;
        Ok(Self { bot_id, token: text.into() })
    }

    /// The bot's user id, the digits in front of the colon.
    pub fn bot_id(&self) -> i64 {
        self.bot_id
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        self.token.expose_secret()
    }
}

impl fmt::Debug for BotToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BotToken({}:***)", self.bot_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "123456:ABCdefGHIjklMNOpqrSTUvwxYZ012345678";

    #[test]
    fn a_token_gives_the_bots_id() {
        assert_eq!(BotToken::parse(TOKEN).unwrap().bot_id(), 123_456);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in [
            "",
            "123456",
            "123456:short",
            ":ABCdefGHIjklMNOpqrSTUvwxYZ012345678",
            "0123456:ABCdefGHIjklMNOpqrSTUvwxYZ012345678",
            "12x456:ABCdefGHIjklMNOpqrSTUvwxYZ012345678",
            "123456:ABCdefGHIjklMNOpqrSTUvwxYZ01234567 ",
            "123456:ABCdefGHIjklMNOpqrSTUvwxYZ012345678\n",
            "99999999999999999999:ABCdefGHIjklMNOpqrSTUvwxYZ012345678",
        ] {
            assert_eq!(BotToken::parse(text).unwrap_err(), MalformedToken, "{text:?}");
        }
    }
}

//! The parameters of setWebhook and what is wrong with them (reference/telegram.md section 1.2).

use super::super::{arguments::Arguments, bot::Settings, kinds::KindSet, webhook_url::WebhookUrl};

const MAX_CERTIFICATE: usize = 3 << 20;
const MAX_SECRET: usize = 256;

/// As called.
pub struct Parameters {
    pub url: String,
    pub max_connections: u32,
    pub fixed_ip: String,
    pub secret_token: String,
    pub certificate: Option<Vec<u8>>,
    pub drop_pending_updates: bool,
    /// None keeps the earlier setting.
    pub allowed_updates: Option<KindSet>,
}

/// The text follows `Bad Request: `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("invalid webhook URL specified")]
    Url,
    #[error("secret token is too long")]
    SecretTooLong,
    #[error("secret token contains unallowed characters")]
    SecretCharacters,
    #[error("certificate size is too big ({0} bytes)")]
    CertificateTooBig(usize),
}

impl Parameters {
    /// Reads them; nothing is refused here.
    pub fn read(arguments: &Arguments, local: bool) -> Self {
        Self {
            url: arguments.get("url").to_owned(),
            max_connections: max_connections(arguments.get("max_connections"), local),
            fixed_ip: arguments.get("ip_address").to_owned(),
            secret_token: arguments.get("secret_token").to_owned(),
            certificate: arguments.file("certificate").map(|file| file.content.clone()),
            drop_pending_updates: ["true", "yes", "1"]
                .contains(&arguments.get("drop_pending_updates").to_ascii_lowercase().as_str()),
            allowed_updates: KindSet::parse(arguments.get("allowed_updates")),
        }
    }

    /// Those that the slot will hold.
    pub fn validate(&self) -> Result<(Settings, WebhookUrl), Invalid> {
        let url = WebhookUrl::parse(&self.url).ok_or(Invalid::Url)?;
        if self.secret_token.len() > MAX_SECRET {
            return Err(Invalid::SecretTooLong);
        }
        if !self.secret_token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return Err(Invalid::SecretCharacters);
        }
        if let Some(size) = self.certificate.as_ref().map(Vec::len)
            && size > MAX_CERTIFICATE
        {
            return Err(Invalid::CertificateTooBig(size));
        }
        let settings = Settings {
            url: self.url.clone(),
            max_connections: self.max_connections,
            fixed_ip: self.fixed_ip.clone(),
            secret_token: self.secret_token.clone(),
            certificate: self.certificate.clone(),
        };
        Ok((settings, url))
    }
}

/// Clamped, never refused; what isn't a number is 0 and so becomes 1.
fn max_connections(value: &str, local: bool) -> u32 {
    let (default, most) = if local { (100, 100_000) } else { (40, 100) };
    if value.is_empty() {
        return default;
    }
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let number: u64 = value.get(..digits).and_then(|digits| digits.parse().ok()).unwrap_or_default();
    u32::try_from(number).unwrap_or(most).clamp(1, most)
}

//! The webhook that tests and benchmarks set up: a configuration that is whole, for `..config(…)` where something else is wanted.

use telegram_webhook_sidecar_config::{
    ClientAddress, Delivery, Filter, Limits, Slot, SourceAddress, Upstream, WebhookConfig,
};

/// Folder of the webhook.
pub const NAME: &str = "support";
/// The same as the sidecar calls it, in the namespace of [`config`].
pub const WEBHOOK: &str = "crm/support";
pub const HOST: &str = "hooks.example.com";
pub const PATH: &str = "/telegram/0123456789abcdef0123456789abcdef";
pub const TOKEN: &str = "aToken-that_Telegram-was_told-0123456789abc";
/// Path of the CRM.
pub const CRM_PATH: &str = "/webhooks/telegram";

pub fn slot(id: i64, path: &str, token: &str) -> Slot {
    Slot { id, path: path.to_owned(), secret_token: token.to_owned() }
}

/// A webhook that takes [`TOKEN`] at [`PATH`] and has its CRM at this port. Everything of this machine is listed as Telegram's:
/// strangers would not get far.
pub fn config(name: &str, host: &str, port: u16) -> WebhookConfig {
    WebhookConfig {
        webhook: format!("crm/{name}"),
        // each its own bot
        bot_id: name.bytes().map(i64::from).sum(),
        host: host.to_owned(),
        slots: vec![slot(1, PATH, TOKEN)],
        upstream: Upstream { port, path: CRM_PATH.to_owned() },
        client_address: ClientAddress::default(),
        source_address: SourceAddress { ranges: vec!["127.0.0.0/8".to_owned()], ..SourceAddress::default() },
        hmac: None,
        limits: Limits::default(),
        filter: Filter::default(),
        delivery: Delivery::default(),
    }
}

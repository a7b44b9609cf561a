//! Decides whether Telegram has to be told: pure, from what we want, what Telegram last accepted from us, and what it
//! says is set now.

use super::{WebhookInfo, WebhookParameters};

/// Kinds of update for which a self-hosted server may be too old. It takes their names without a word and never shows them, so that
/// their absence says nothing: taken for a difference, it would be mended for ever.
const YOUNG_KINDS: [&str; 3] = ["managed_bot", "guest_message", "subscription"];

/// What to do about the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// It is as we want it: no call.
    Keep,
    /// Call setWebhook.
    Set(Why),
}

/// Why the webhook has to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Telegram has never accepted one from us.
    New,
    /// We want something else than what Telegram accepted last.
    Changed,
    /// Telegram has none, though it accepted ours: deleted by somebody, or lost with a token.
    Erased,
    /// Telegram has another one than it accepted from us: somebody else set it.
    Replaced,
}

/// Compares. The secret token isn't shown by Telegram, so only `accepted` speaks for it.
pub fn plan(wanted: &WebhookParameters, accepted: Option<&WebhookParameters>, live: &WebhookInfo) -> Plan {
    match accepted {
        None => Plan::Set(Why::New),
        Some(accepted) if accepted != wanted => Plan::Set(Why::Changed),
        Some(_) if live.url.is_empty() => Plan::Set(Why::Erased),
        Some(_) if !shows(live, wanted) => Plan::Set(Why::Replaced),
        Some(_) => Plan::Keep,
    }
}

/// Whether getWebhookInfo shows what `wanted` asks for, as far as it can.
pub fn shows(live: &WebhookInfo, wanted: &WebhookParameters) -> bool {
    let max_connections = live.max_connections.is_none_or(|n| n == wanted.max_connections);
    // an address that we didn't fix is Telegram's own look-up
    let ip_address = wanted.ip_address.is_none() || wanted.ip_address == live.ip_address;
    live.url == wanted.url
        && !live.has_custom_certificate
        && max_connections
        && ip_address
        && same_kinds(live.allowed_updates.as_deref().unwrap_or_default(), &wanted.allowed_updates)
}

fn same_kinds(live: &[String], wanted: &[String]) -> bool {
    live.iter().all(|kind| wanted.contains(kind))
        && wanted.iter().all(|kind| live.contains(kind) || YOUNG_KINDS.contains(&kind.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> WebhookParameters {
        WebhookParameters {
            url: "https://hooks.example.com/telegram/a".into(),
            secret_token: "s".into(),
            max_connections: 40,
            ip_address: None,
            allowed_updates: vec![],
        }
    }

    fn live() -> WebhookInfo {
        WebhookInfo {
            url: wanted().url,
            has_custom_certificate: false,
            max_connections: Some(40),
            ip_address: Some("198.18.0.1".into()),
            allowed_updates: None,
        }
    }

    #[test]
    fn what_telegram_has_and_accepted_from_us_is_kept() {
        assert_eq!(plan(&wanted(), Some(&wanted()), &live()), Plan::Keep);
    }

    #[test]
    fn the_first_one_is_set_even_if_the_url_is_already_there() {
        // the answer to an earlier call may have been lost, and the secret can't be seen
        assert_eq!(plan(&wanted(), None, &live()), Plan::Set(Why::New));
    }

    #[test]
    fn a_new_secret_alone_is_a_change() {
        let accepted = WebhookParameters { secret_token: "old".into(), ..wanted() };
        assert_eq!(plan(&wanted(), Some(&accepted), &live()), Plan::Set(Why::Changed));
    }

    #[test]
    fn an_erased_webhook_is_set_again() {
        assert_eq!(plan(&wanted(), Some(&wanted()), &WebhookInfo::default()), Plan::Set(Why::Erased));
    }

    #[test]
    fn every_visible_difference_counts_as_replaced() {
        let cases = [
            WebhookInfo { url: "https://elsewhere.example.com/".into(), ..live() },
            WebhookInfo { has_custom_certificate: true, ..live() },
            WebhookInfo { max_connections: Some(1), ..live() },
            WebhookInfo { allowed_updates: Some(vec!["message".into()]), ..live() },
        ];
        for case in cases {
            assert_eq!(plan(&wanted(), Some(&wanted()), &case), Plan::Set(Why::Replaced), "{case:?}");
        }
    }

    #[test]
    fn kinds_are_compared_as_sets_and_those_of_a_newer_server_are_not_missed() {
        let kinds = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>();
        let plan = |wants: &[&str], has: Option<&[&str]>| {
            let wanted = WebhookParameters { allowed_updates: kinds(wants), ..wanted() };
            let live = WebhookInfo { allowed_updates: has.map(kinds), ..live() };
            plan(&wanted, Some(&wanted), &live)
        };
        let replaced = Plan::Set(Why::Replaced);
        assert_eq!(plan(&["message", "poll"], Some(&["poll", "message"])), Plan::Keep);
        assert_eq!(plan(&["message", "subscription"], Some(&["message"])), Plan::Keep);
        assert_eq!(plan(&["subscription"], None), Plan::Keep);
        assert_eq!(plan(&["message", "poll"], Some(&["message"])), replaced);
        assert_eq!(plan(&["message"], Some(&["message", "subscription"])), replaced);
        assert_eq!(plan(&["message"], None), replaced);
        assert_eq!(plan(&[], Some(&["message"])), replaced);
    }

    #[test]
    fn a_fixed_address_is_compared_and_a_resolved_one_is_not() {
        let fixed = WebhookParameters { ip_address: Some("203.0.113.7".into()), ..wanted() };
        assert_eq!(plan(&fixed, Some(&fixed), &live()), Plan::Set(Why::Replaced));
        let moved = WebhookInfo { ip_address: Some("198.18.0.9".into()), ..live() };
        assert_eq!(plan(&wanted(), Some(&wanted()), &moved), Plan::Keep);
    }
}

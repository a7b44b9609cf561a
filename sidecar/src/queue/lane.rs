//! Which updates must keep their order, and how long each is of use.

use std::time::Duration;

use telegram_webhook_sidecar_config::Kind;

use crate::ingress::update::{Facts, NamedKind, Update};

/// Names a lane: updates of the same one are delivered in order, one at a time.
///
/// These are the queues by which Telegram itself orders what it sends (telegram-bot-api, `Client.cpp`, the `webhook_queue_id` of each
/// kind): Telegram never has two updates of one of them under way, so that to keep the same ones apart costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    /// Which of Telegram's families of queues it belongs to, or [`Lane::ALONE`].
    pub family: u8,
    /// Id of the chat, the user or the poll; of an update that is alone, its own.
    pub id: i64,
}

// === impl Lane ===

impl Lane {
    /// The family of updates that keep no order.
    pub const ALONE: u8 = u8::MAX;
    /// The family of polls and the answers to them, which Telegram knows by an id of its own kind.
    const POLLS: u8 = 64;

    /// That of an update.
    pub fn of(update: &Update<'_>) -> Self {
        let Update { update_id, kind, facts } = update;
        let lane = kind.known().and_then(|kind| key(kind, facts));
        lane.map_or_else(|| Self::alone(*update_id), |(family, id)| Self { family, id })
    }

    /// One that no other update has.
    pub fn alone(update_id: i64) -> Self {
        Self { family: Self::ALONE, id: update_id }
    }
}

fn key(kind: Kind, facts: &Facts<'_>) -> Option<(u8, i64)> {
    let Facts { chat, user, poll, .. } = facts;
    let (family, id) = match kind {
        Kind::Message | Kind::EditedMessage | Kind::ChannelPost | Kind::EditedChannelPost => (0, chat),
        Kind::InlineQuery => (1, user),
        Kind::ChosenInlineResult => (2, user),
        Kind::CallbackQuery => (3, user),
        Kind::ShippingQuery | Kind::PreCheckoutQuery => (4, user),
        Kind::MyChatMember => (5, chat),
        Kind::ChatMember | Kind::ChatJoinRequest => (6, user),
        Kind::ChatBoost | Kind::RemovedChatBoost => (7, chat),
        Kind::MessageReaction => (8, chat),
        Kind::MessageReactionCount => (9, chat),
        Kind::BusinessConnection => (10, user),
        Kind::BusinessMessage | Kind::EditedBusinessMessage | Kind::DeletedBusinessMessages => (11, chat),
        Kind::GuestMessage => (12, chat),
        Kind::PurchasedPaidMedia => (12, user),
        Kind::ManagedBot => (13, user),
        Kind::Poll | Kind::PollAnswer => (Lane::POLLS, poll),
        Kind::Subscription => return None,
    };
    id.map(|id| (family, id))
}

/// How long Telegram itself would keep trying to hand over an update of that kind, where that is too short to be worth a delivery
/// later: the user's app has stopped waiting. The same source.
pub fn life(kind: NamedKind) -> Option<Duration> {
    match kind.known()? {
        Kind::InlineQuery => Some(Duration::from_secs(30)),
        Kind::CallbackQuery | Kind::ShippingQuery | Kind::PreCheckoutQuery => Some(Duration::from_secs(150)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingress::update::parse;

    fn lane(update: &str) -> Lane {
        Lane::of(&parse(update.as_bytes()).unwrap())
    }

    #[test]
    fn what_telegram_keeps_in_order_shares_a_lane() {
        let message =
            lane(r#"{"update_id":1,"message":{"message_id":1,"date":1,"chat":{"id":-7,"type":"group"}}}"#);
        let edited = r#"{"update_id":2,"edited_message":{"message_id":1,"date":1,"edit_date":2,"chat":{"id":-7,"type":"group"}}}"#;
        assert_eq!(message, lane(edited));
        let pressed = |user: i64, chat: i64| {
            lane(&format!(
                r#"{{"update_id":3,"callback_query":{{"id":"1","from":{{"id":{user}}},"data":"x","message":{{"message_id":1,"date":1,"chat":{{"id":{chat},"type":"group"}}}}}}}}"#
            ))
        };
        assert_eq!(pressed(5, -7), pressed(5, -8));
        assert_ne!(pressed(5, -7), pressed(6, -7));
        assert_ne!(pressed(-7, -7), message);
        let poll = lane(r#"{"update_id":4,"poll":{"id":"5100000000000000001","question":"?"}}"#);
        let answer = r#"{"update_id":5,"poll_answer":{"poll_id":"5100000000000000001","user":{"id":5}}}"#;
        assert_eq!(poll, lane(answer));
    }

    #[test]
    fn an_update_of_no_lane_waits_for_nobody() {
        let unknown = |id: i64| lane(&format!(r#"{{"update_id":{id},"new_kind":{{}}}}"#));
        assert_eq!(unknown(8), Lane::alone(8));
        assert_ne!(unknown(8), unknown(9));
    }

    #[test]
    fn only_what_somebody_waits_for_grows_old() {
        let expiring = Kind::ALL.iter().filter(|kind| life(NamedKind::Known(**kind)).is_some());
        let names: Vec<_> = expiring.map(|kind| kind.name()).collect();
        assert_eq!(names, ["inline_query", "callback_query", "shipping_query", "pre_checkout_query"]);
    }
}

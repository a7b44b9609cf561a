//! The list of all refusals, for tests of what must be true of each.

use http::StatusCode;

use super::{Budget, Malformed, Reject, Rule};
use crate::{delivery::DeliveryError, queue::QueueError};

/// One of every kind. What is new doesn't compile before it is in the list.
pub(crate) fn every() -> Vec<Reject> {
    let every = |reject: Reject| match reject {
        Reject::AddressNotAllowed { .. }
        | Reject::UnknownPath
        | Reject::MethodNotAllowed
        | Reject::TokenMissing
        | Reject::TokenRepeated
        | Reject::TokenWrong
        | Reject::SignatureMissing
        | Reject::SignatureRepeated
        | Reject::SignatureWrong
        | Reject::SignatureStale
        | Reject::BodyTooLarge
        | Reject::BodyTimeout
        | Reject::BodyIncomplete
        | Reject::Banned { .. }
        | Reject::RateLimited { budget: Budget::Unauthenticated | Budget::Authenticated, .. }
        | Reject::Malformed(_)
        | Reject::Filtered(
            Rule::UpdateType
            | Rule::ChatType
            | Rule::Chat
            | Rule::User
            | Rule::Topic
            | Rule::Content
            | Rule::Command
            | Rule::Expression(_)
            | Rule::ExpressionError(_)
            | Rule::ExpressionCost(_),
        )
        | Reject::Duplicate
        | Reject::InProgress
        | Reject::Queue(
            QueueError::Full(_) | QueueError::Unavailable(_) | QueueError::Broken(_) | QueueError::Closed,
        )
        | Reject::Delivery(
            DeliveryError::Unreachable
            | DeliveryError::Broken
            | DeliveryError::Timeout
            | DeliveryError::Status { .. },
        ) => reject,
    };
    let filtered = [
        Rule::UpdateType,
        Rule::ChatType,
        Rule::Chat,
        Rule::User,
        Rule::Topic,
        Rule::Content,
        Rule::Command,
        Rule::Expression(0),
        Rule::ExpressionError(0),
        Rule::ExpressionCost(0),
    ];
    let delivery = [
        DeliveryError::Unreachable,
        DeliveryError::Broken,
        DeliveryError::Timeout,
        DeliveryError::Status { status: StatusCode::GONE, retry_after: None },
    ];
    let queue = [
        QueueError::Full(String::new()),
        QueueError::Unavailable(String::new()),
        QueueError::Broken(String::new()),
        QueueError::Closed,
    ];
    let limited = [Budget::Unauthenticated, Budget::Authenticated];
    let others = [
        Reject::AddressNotAllowed { genuine: false },
        Reject::AddressNotAllowed { genuine: true },
        Reject::UnknownPath,
        Reject::MethodNotAllowed,
        Reject::TokenMissing,
        Reject::TokenRepeated,
        Reject::TokenWrong,
        Reject::SignatureMissing,
        Reject::SignatureRepeated,
        Reject::SignatureWrong,
        Reject::SignatureStale,
        Reject::BodyTooLarge,
        Reject::BodyTimeout,
        Reject::BodyIncomplete,
        Reject::Banned { close: false },
        Reject::Banned { close: true },
        Reject::Malformed(Malformed::NotJson),
        Reject::Duplicate,
        Reject::InProgress,
    ];
    let all = others.into_iter().chain(filtered.map(Reject::Filtered)).chain(delivery.map(Reject::Delivery));
    let all = all.chain(queue.map(Reject::Queue));
    all.chain(limited.map(|budget| Reject::RateLimited { budget, retry_after: 1 })).map(every).collect()
}

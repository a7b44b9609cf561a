//! sidecar/README.md is true: it has every metric, every outcome with its status, and every end of a connection, and no others.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;

use crate::{
    delivery::DeliveryError,
    ingress::{Reject, filter::Rule, rate_limit::Budget, update::Malformed},
    metrics::{ConnectionEnd, Metrics},
};

const README: &str = include_str!("../README.md");

/// First and second cell of the rows under a heading.
fn rows(heading: &str) -> BTreeMap<&'static str, &'static str> {
    let section = README.split(heading).nth(1).unwrap();
    let rows =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = rows.skip(2).map(|row| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().trim_matches('`'));
        (cells.next().unwrap(), cells.next().unwrap())
    });
    cells.collect()
}

/// One of every kind. What is new doesn't compile before it is in the list.
fn rejects() -> Vec<Reject> {
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
        | Reject::Delivery(
            DeliveryError::Unreachable
            | DeliveryError::Broken
            | DeliveryError::Timeout
            | DeliveryError::Status(_)
            | DeliveryError::Interrupted,
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
        DeliveryError::Status(StatusCode::GONE),
        DeliveryError::Interrupted,
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
    all.chain(limited.map(|budget| Reject::RateLimited { budget, retry_after: 1 })).map(every).collect()
}

/// Names of all metrics, as they are registered: one with labels isn't rendered before it has any.
fn registered() -> BTreeSet<&'static str> {
    let source = include_str!("metrics.rs");
    let calls = ["registry.register(", "encode_descriptor("].map(|call| source.split(call).skip(1));
    let names = calls.into_iter().flatten();
    names.filter_map(|arguments| arguments.trim_start().strip_prefix('"')?.split('"').next()).collect()
}

#[test]
fn every_metric_is_documented() {
    const PREFIX: &str = "# TYPE telegram_webhook_sidecar_";
    let documented = rows("\n## Metrics\n");
    let names = documented.keys().map(|name| name.strip_suffix("_total").unwrap_or(name));
    assert_eq!(names.collect::<BTreeSet<_>>(), registered());
    let rendered = Metrics::new().encode().unwrap();
    for (name, kind) in rendered.lines().filter_map(|line| line.strip_prefix(PREFIX)?.split_once(' ')) {
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        assert!(documented.contains_key(&*name), "{name}");
    }
}

#[test]
fn every_outcome_is_documented_with_its_status() {
    let rejects = rejects();
    let mut outcomes = BTreeMap::from([("delivered", "200".to_owned())]);
    outcomes.extend(
        rejects
            .iter()
            .map(Reject::meaning)
            .map(|meaning| (meaning.label, meaning.status.as_str().to_owned())),
    );
    let outcomes: BTreeMap<_, _> =
        outcomes.iter().map(|(outcome, status)| (*outcome, status.as_str())).collect();
    assert_eq!(rows("\n### Outcomes\n"), outcomes);
}

#[test]
fn every_end_of_a_connection_is_documented() {
    use ConnectionEnd::{
        BadProxyHeader, Banned, Closed, Evicted, Failed, HandshakeFailed, HandshakeRate, HandshakeTimeout,
        HeadTimeout, OverLimit, Unlisted, UntrustedProxy,
    };
    let every = |end| match end {
        Closed | Failed | HandshakeFailed | HandshakeTimeout | Evicted | OverLimit | Banned | Unlisted
        | UntrustedProxy | BadProxyHeader | HandshakeRate | HeadTimeout => end,
    };
    let ends = [
        Closed,
        Failed,
        HandshakeFailed,
        HandshakeTimeout,
        Evicted,
        OverLimit,
        Banned,
        Unlisted,
        UntrustedProxy,
        BadProxyHeader,
        HandshakeRate,
        HeadTimeout,
    ];
    let mut labels: Vec<_> = ends.map(every).iter().map(|end| end.label()).collect();
    labels.sort_unstable();
    assert_eq!(rows("\n### Connections\n").into_keys().collect::<Vec<_>>(), labels);
}

//! sidecar/README.md is true: it has every metric, every outcome with its status, and every end of a connection, and no others.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    ingress::{Reject, every_reject},
    metrics::Metrics,
    server::ConnectionEnd,
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
    let rejects = every_reject();
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
        HeadTimeout, IdleTimeout, OverLimit, Unlisted, UntrustedProxy,
    };
    let every = |end| match end {
        Closed | Failed | HandshakeFailed | HandshakeTimeout | Evicted | OverLimit | Banned | Unlisted
        | UntrustedProxy | BadProxyHeader | HandshakeRate | HeadTimeout | IdleTimeout => end,
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
        IdleTimeout,
    ];
    let mut labels: Vec<_> = ends.map(every).iter().map(|end| end.label()).collect();
    labels.sort_unstable();
    assert_eq!(rows("\n### Connections\n").into_keys().collect::<Vec<_>>(), labels);
}

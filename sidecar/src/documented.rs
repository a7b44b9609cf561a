//! sidecar/README.md is true: it has every command, every path of the admin port, every metric, every outcome with its status, and
//! every end of a connection, and no others.

use std::collections::{BTreeMap, BTreeSet};

use clap::CommandFactory as _;
use telegram_webhook_sidecar_config::DRAINED_PATH;

use crate::{
    args::Args,
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
    let sources = [include_str!("metrics.rs"), include_str!("metrics/delivery.rs")];
    let calls = ["registry.register(", "encode_descriptor("];
    let names = sources.iter().flat_map(|source| calls.map(|call| source.split(call).skip(1))).flatten();
    names.filter_map(|arguments| arguments.trim_start().strip_prefix('"')?.split('"').next()).collect()
}

/// The paths of the admin port, as far as they are fixed.
fn paths() -> BTreeSet<&'static str> {
    let sources = [
        include_str!("admin.rs"),
        include_str!("admin/bans.rs"),
        include_str!("admin/dead_letters.rs"),
        include_str!("admin/depth.rs"),
        include_str!("admin/drain.rs"),
    ];
    let texts = sources.into_iter().flat_map(|source| source.split('"').skip(1).step_by(2));
    let is_path =
        |text: &&str| text.strip_prefix('/').is_some_and(|rest| rest.starts_with(char::is_alphabetic));
    texts.filter(is_path).chain([DRAINED_PATH]).collect()
}

#[test]
fn every_path_of_the_admin_port_is_documented() {
    let documented = rows("\n## Admin port\n");
    // those that others are below are parts by themselves
    let parts = documented.keys().flat_map(|path| path.split('/').skip(1));
    let documented: BTreeSet<_> = parts.filter(|part| !part.starts_with('<')).collect();
    let paths = paths();
    assert_eq!(documented, paths.iter().filter_map(|path| path.strip_prefix('/')).collect());
}

#[test]
fn every_command_is_documented() {
    let documented = rows("\n## Command line\n");
    let names = documented.keys().filter_map(|row| row.split([' ', '`']).next());
    let command = Args::command();
    assert_eq!(
        names.collect::<BTreeSet<_>>(),
        command.get_subcommands().map(clap::Command::get_name).collect()
    );
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
    let mut outcomes = BTreeMap::from([("delivered", "200".to_owned()), ("stored", "200".to_owned())]);
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

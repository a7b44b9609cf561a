use std::{
    fs::File,
    io::{Read as _, Seek as _},
    net::Ipv4Addr,
    sync::Arc,
};

use serde_json::Value;
use tokio::time::advance;

use super::*;
use crate::ingress::filter::Rule;

/// What is logged meanwhile, line by line.
struct Log(Arc<File>);

impl Log {
    fn of(work: impl FnOnce()) -> Vec<Value> {
        let log = Self(Arc::new(tempfile::tempfile().unwrap()));
        let subscriber = tracing_subscriber::fmt().json().with_writer(Arc::clone(&log.0)).finish();
        tracing::subscriber::with_default(subscriber, work);
        log.lines()
    }

    fn lines(&self) -> Vec<Value> {
        let (mut file, mut text) = (&*self.0, String::new());
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn refuse(refusals: &Refusals, reject: &Reject, last: u8) {
    let seen = Seen::from(Ipv4Addr::new(203, 0, 113, last).into());
    refusals.refused(reject, &reject.meaning(), &seen);
}

#[tokio::test(start_paused = true)]
async fn beyond_their_lines_the_refusals_of_strangers_are_counted_and_those_of_others_are_not() {
    let refusals = Refusals::default();
    let limited = Reject::RateLimited { budget: Budget::Unauthenticated, retry_after: 1 };
    let strangers = [Reject::UnknownPath, Reject::Banned { close: false }, Reject::TokenWrong, limited];
    let other = Reject::RateLimited { budget: Budget::Authenticated, retry_after: 1 };
    let lines = Log::of(|| {
        for n in 0..80 {
            refuse(&refusals, &strangers[n % strangers.len()], 1);
            refuse(&refusals, &other, 2);
        }
    });
    let with = |message: &str, client: &str, address: &str| {
        let is_it = |line: &&Value| line["fields"]["message"] == message && line["fields"][client] == address;
        lines.iter().filter(is_it).count()
    };
    assert_eq!(with("request refused", "client", "203.0.113.1"), 50);
    assert_eq!(with("request refused", "client", "203.0.113.2"), 80);
    assert_eq!(with("more requests refused", "last_client", "203.0.113.1"), strangers.len(), "once of each");

    advance(PERIOD).await;
    let lines = Log::of(|| {
        for n in 0..=50 {
            refuse(&refusals, &Reject::TokenWrong, n);
        }
    });
    assert_eq!(lines.len(), 51);
    let last = &lines[50];
    let fields = &last["fields"];
    assert_eq!((&last["level"], &last["target"]), (&"WARN".into(), &"audit".into()));
    assert_eq!((&fields["reject"], &fields["last_client"]), (&"token_wrong".into(), &"203.0.113.50".into()));
    // of the 30 without a line above 8 were of this kind, of which the first was said at once
    assert_eq!(fields["count"], 7 + 1, "{fields}");
}

#[test]
fn what_telegram_takes_for_delivered_is_dropped_and_not_refused() {
    let refusals = Refusals::default();
    let lines = Log::of(|| {
        refuse(&refusals, &Reject::Filtered(Rule::Chat), 1);
        refuse(&refusals, &Reject::InProgress, 1);
    });
    let messages: Vec<_> = lines.iter().map(|line| &line["fields"]["message"]).collect();
    assert_eq!(messages, ["update dropped", "request refused"]);
}

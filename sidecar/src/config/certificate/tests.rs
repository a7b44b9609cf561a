use std::fs;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use telegram_webhook_sidecar_config::{TLS_CERT_FILE, TLS_KEY_FILE};

use super::*;
use crate::{
    config::{Policy, Snapshot},
    test_util::{raw_config, write_webhook},
};

/// The doubts about a webhook at a.example.com whose certificate is for these names and valid through 2020.
fn doubts(names: &[&str], year: i32) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    write_webhook(dir.path(), "a", &raw_config("a"));
    let key = KeyPair::generate().unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    fs::write(dir.path().join("a").join(TLS_CERT_FILE), certificate.pem()).unwrap();
    fs::write(dir.path().join("a").join(TLS_KEY_FILE), key.serialize_pem()).unwrap();
    let (policy, problems) = Policy::default().followed_by(Snapshot::read(dir.path()));
    assert_eq!(problems.len(), 0, "it can be used: {problems:?}");
    let now = date_time_ymd(year, 7, 1).unix_timestamp().try_into().unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    super::doubts(&policy.webhooks()[0], now).iter().map(ToString::to_string).collect()
}

#[test]
fn a_certificate_for_the_host_and_the_day_leaves_no_doubt() {
    assert_eq!(doubts(&["other.example.com", "a.example.com"], 2020), Vec::<String>::new());
    assert_eq!(doubts(&["*.example.com"], 2020), Vec::<String>::new());
}

#[test]
fn a_certificate_for_another_host_or_time_is_said_and_used() {
    let expired = "a/tls.crt: expired at 2021-01-01T00:00:00Z: renew it";
    let early = "a/tls.crt: is valid from 2020-01-01T00:00:00Z on only: is the clock right?";
    let other = "a/tls.crt: is not for the host a.example.com: Telegram will refuse it";
    assert_eq!(doubts(&["a.example.com"], 2021), [expired]);
    assert_eq!(doubts(&["a.example.com"], 2019), [early]);
    assert_eq!(doubts(&["b.example.com"], 2020), [other]);
    assert_eq!(doubts(&["b.example.com"], 2021), [other, expired]);
}

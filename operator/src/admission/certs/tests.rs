use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{ServerName, UnixTime, pem::PemObject},
};

use super::*;

const NAME: &str = "admission.operators.svc";

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

/// Whether a client accepts the leaf that trusts `bundle`.
fn verifies(leaf: &Leaf, bundle: &str, name: &str, now: Timestamp) -> bool {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let now = std::time::Duration::from_secs(now.as_second().try_into().unwrap());
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap()
        .verify_server_cert(
            &leaf.certified.cert[0],
            &[],
            &ServerName::try_from(name.to_owned()).unwrap(),
            &[],
            UnixTime::since_unix_epoch(now),
        )
        .is_ok()
}

fn leaf(authority: &Authority, now: Timestamp) -> Leaf {
    authority.sign_leaf(&[NAME.to_owned()], now).unwrap()
}

#[test]
fn a_leaf_verifies_against_the_bundle_for_its_name_and_time_only() {
    let authority = Authority::generate(start()).unwrap();
    let leaf = leaf(&authority, start());
    let bundle = authority.bundle(start());
    assert!(verifies(&leaf, &bundle, NAME, start()));
    assert!(verifies(&leaf, &bundle, NAME, start() - SignedDuration::from_mins(4)));
    assert!(verifies(&leaf, &bundle, NAME, start() + days(6)));
    assert!(!verifies(&leaf, &bundle, "other.operators.svc", start()));
    assert!(!verifies(&leaf, &bundle, NAME, start() + days(8)));
    let stranger = Authority::generate(start()).unwrap();
    assert!(!verifies(&leaf, &stranger.bundle(start()), NAME, start()));
}

#[test]
fn another_replica_reads_the_same_authority_from_the_secret() {
    let written = Authority::generate(start()).unwrap();
    let read = Authority::from_data(&written.to_data()).unwrap();
    let leaf = leaf(&read, start());
    assert!(verifies(&leaf, &written.bundle(start()), NAME, start()));
    assert_eq!(read.to_data(), written.to_data());
}

#[test]
fn the_authority_is_due_after_two_thirds_of_a_year() {
    let authority = Authority::generate(start()).unwrap();
    assert!(!authority.is_due(start()));
    assert!(!authority.is_due(start() + days(243)));
    assert!(authority.is_due(start() + days(244)));
    assert!(authority.is_due(start() + days(1000)));
}

#[test]
fn a_leaf_is_due_after_two_thirds_of_a_week_or_when_the_authority_changes() {
    let authority = Authority::generate(start()).unwrap();
    let leaf = leaf(&authority, start());
    assert!(!leaf.is_due(&authority, start() + days(4)));
    assert!(leaf.is_due(&authority, start() + days(5)));
    assert!(leaf.is_due(&authority.renewed(start()).unwrap(), start()));
    let same = Authority::from_data(&authority.to_data()).unwrap();
    assert!(!leaf.is_due(&same, start()));
}

#[test]
fn during_a_rotation_leaves_of_both_authorities_verify() {
    let old = Authority::generate(start()).unwrap();
    let rotation = start() + days(244);
    let old_leaf = leaf(&old, rotation);
    let new = Authority::from_data(&old.renewed(rotation).unwrap().to_data()).unwrap();
    let bundle = new.bundle(rotation);
    assert_eq!(bundle.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(verifies(&old_leaf, &bundle, NAME, rotation));
    assert!(verifies(&leaf(&new, rotation), &bundle, NAME, rotation));
}

#[test]
fn the_previous_authority_is_trusted_until_its_last_leaf_has_expired() {
    let old = Authority::generate(start()).unwrap();
    let rotation = start() + days(244);
    let new = old.renewed(rotation).unwrap();
    let count = |now| new.bundle(now).matches("BEGIN CERTIFICATE").count();
    assert_eq!(count(rotation + days(7) - SignedDuration::from_mins(1)), 2);
    assert_eq!(count(rotation + days(7) + SignedDuration::from_mins(1)), 1);
    assert!(new.bundle(rotation + days(8)).starts_with(&new.current.pem));
}

#[test]
fn an_expired_previous_authority_is_not_trusted() {
    let old = Authority::generate(start()).unwrap();
    let late = start() + days(400);
    assert_eq!(old.renewed(late).unwrap().bundle(late).matches("BEGIN CERTIFICATE").count(), 1);
}

#[test]
fn a_secret_that_was_tampered_with_is_told_apart() {
    let data = Authority::generate(start()).unwrap().to_data();
    let with = |key: &str, value: &[u8]| {
        let mut data = data.clone();
        data.insert(key.to_owned(), ByteString(value.to_vec()));
        Authority::from_data(&data).unwrap_err()
    };
    let other = Authority::generate(start()).unwrap().to_data();
    assert!(matches!(Authority::from_data(&BTreeMap::new()), Err(Error::Missing(PRIVATE_KEY))));
    assert!(matches!(with(CERTIFICATE, b"nonsense"), Error::Unreadable(CERTIFICATE)));
    assert!(matches!(with(PRIVATE_KEY, b"\xff"), Error::Unreadable(PRIVATE_KEY)));
    assert!(matches!(with(PREVIOUS_CERTIFICATE, b""), Error::Unreadable(PREVIOUS_CERTIFICATE)));
    assert!(matches!(with(PRIVATE_KEY, &other[PRIVATE_KEY].0), Error::KeyMismatch));
}

#[test]
fn debug_output_and_errors_hold_no_key() {
    let authority = Authority::generate(start()).unwrap();
    let key = authority.key.serialize_pem();
    let line = key.lines().nth(1).unwrap();
    let broken =
        BTreeMap::from([(PRIVATE_KEY.to_owned(), ByteString(key.replace("BEGIN", "BEGINN").into_bytes()))]);
    let error = Authority::from_data(&broken).unwrap_err();
    let shown = format!("{authority:?} {:?} {error} {error:?}", leaf(&authority, start()));
    assert!(!shown.contains(line), "{shown}");
    assert!(!shown.contains("PRIVATE"), "{shown}");
}

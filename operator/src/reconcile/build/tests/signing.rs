//! The keys that deliveries are signed with.

use super::*;

/// What the next pass builds so many seconds later, if that is the key.
fn signed_later(prepared: &Prepared, current: Option<&str>, seconds: i64) -> Prepared {
    let webhook = ValidatedWebhook {
        stored: Some(stored(prepared)),
        delivery: ValidDelivery { signing_key: current.map(key), ..ValidDelivery::default() },
        ..valid()
    };
    build(&webhook, Material::draw().unwrap(), Timestamp::from_second(seconds).unwrap())
}

fn signing_keys(prepared: &Prepared) -> Vec<SecretText> {
    stored(prepared).config.delivery.signing_keys
}

#[test]
fn a_key_is_made_once_and_the_crm_finds_it_in_a_secret_of_its_own() {
    let webhook = ValidatedWebhook { delivery: ValidDelivery::default(), ..valid() };
    let prepared = built(&webhook);
    let secret = prepared.signing.as_ref().unwrap();
    assert_eq!(secret.name_any(), "support-telegram-webhook-signing");
    assert_eq!(secret.owner_references(), prepared.secret.owner_references());
    let made = String::from_utf8(secret.data.as_ref().unwrap()["key"].0.clone()).unwrap();
    assert!(made.starts_with("whsec_") && made.len() == 50, "{made}");
    assert_eq!(signing_keys(&prepared), [key(&made)]);
    let again = signed_later(&prepared, Some(&made), 60);
    assert!(again.signing.is_none());
    assert_eq!(again.expected.digest, prepared.expected.digest);
}

#[test]
fn for_a_day_after_a_change_both_keys_sign() {
    const DAY: i64 = 24 * 3600;
    let first = built(&valid());
    assert_eq!(signing_keys(&first), [key("whsec_A")]);
    let changed = signed_later(&first, Some("whsec_B"), 100);
    assert_eq!(signing_keys(&changed), [key("whsec_B"), key("whsec_A")]);
    let within = signed_later(&changed, Some("whsec_B"), 100 + DAY - 1);
    assert_eq!(within.expected.digest, changed.expected.digest);
    let after = signed_later(&within, Some("whsec_B"), 100 + DAY);
    assert_eq!(signing_keys(&after), [key("whsec_B")]);
    assert!(!after.secret.data.unwrap().contains_key(FORMER_KEY_FILE));
    // a sidecar that still signs with both does no harm
    assert_eq!(after.expected.superseded, Some(changed.expected.digest.clone()));
    // what was lost is replaced, and known for as long
    let lost = signed_later(&changed, None, 200);
    assert_eq!((lost.signing.is_some(), &signing_keys(&lost)[1]), (true, &key("whsec_B")));
    assert_eq!(signing_keys(&signed_later(&changed, Some("whsec_A"), 200)), [key("whsec_A"), key("whsec_B")]);
}

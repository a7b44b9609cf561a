//! New versions of the configuration: each webhook is taken as a whole, or refused and said so, whatever becomes of the others.

use std::fs;

use telegram_webhook_sidecar_config::{Delivery, LoadedConfig, digest};
use telegram_webhook_tests::{pki::Authority, sidecar::Sidecar};

use crate::{
    crm::Crm,
    fixture::{Fixture, HOST, NAME, PATH, TOKEN, UPDATE, WEBHOOK, config, request, slot, update},
    series::{requests_of, series},
};

const REFUSED: &str = "new configuration refused, the old one stays in use";
const LEFT_OUT: &str = "configuration refused, its webhook is left out";
const NOT_READY: &str = "no configuration: its TelegramWebhook is not ready yet or was deleted";

#[tokio::test]
async fn a_rotation_accepts_both_slots_and_then_the_new_one_only() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let mut connection = fixture.connect().await?;
    // each an update of its own
    let old = |id: i64| request(PATH, TOKEN, update(id));
    let new = |id: i64| request("/telegram/next", "next", update(id));
    assert_eq!(connection.ask(old(1)).await?.status, 200);
    assert_eq!(connection.ask(new(2)).await?.status, 404);

    fixture.config.slots.insert(0, slot(2, "/telegram/next", "next"));
    fixture.reconfigure().await?;
    assert_eq!(connection.ask(old(3)).await?.status, 200);
    assert_eq!(connection.ask(new(4)).await?.status, 200);

    fixture.config.slots.truncate(1);
    fixture.reconfigure().await?;
    assert_eq!(connection.ask(old(5)).await?.status, 404);
    assert_eq!(connection.ask(new(6)).await?.status, 200);

    for slot in ["1", "2"] {
        let delivered = requests_of(WEBHOOK, slot, "delivered");
        assert_eq!(fixture.metric(&delivered).await?, 2, "{slot}");
    }
    Ok(())
}

#[tokio::test]
async fn the_same_path_with_a_new_token_accepts_both_during_the_overlap() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    fixture.config.slots.insert(0, slot(2, PATH, "next"));
    fixture.reconfigure().await?;
    assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    assert_eq!(fixture.ask(request(PATH, "next", UPDATE)).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_bad_version_is_refused_as_a_whole_and_counted_once() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let digest = |config: &str| -> anyhow::Result<String> {
        let loaded: LoadedConfig = serde_json::from_str(config)?;
        Ok(loaded.webhooks[0].digest.clone())
    };
    let before = digest(&fixture.admin("GET", "/config").await?.body)?;

    // a good new token in one file, a bad one beside it
    fixture.config.slots = vec![slot(2, "/telegram/next", "next")];
    fixture.folder.set_file(NAME, "config.json", fixture.config.to_bytes());
    fixture.folder.set_file(NAME, "tls.key", "no key");
    let line = fixture.publish(REFUSED).await?;
    assert!(line.contains("support/tls.key"), "{line}");

    assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    assert_eq!(fixture.ask(request("/telegram/next", "next", UPDATE)).await?.status, 404);
    assert_eq!(digest(&fixture.admin("GET", "/config").await?.body)?, before);
    assert_eq!(fixture.admin("GET", "/readyz").await?.status, 200);

    // looked at many times since; the next version shows that it was counted once
    fixture.folder.set(NAME, &fixture.config, &fixture.certificate);
    fixture.publish("configuration loaded").await?;
    assert_eq!(fixture.ask(request("/telegram/next", "next", UPDATE)).await?.status, 200);
    for (result, times) in [("failed", 1), ("ok", 2)] {
        let reloads = series("config_reloads_total", &[("result", result)]);
        assert_eq!(fixture.metric(&reloads).await?, times, "{result}");
    }
    Ok(())
}

#[tokio::test]
async fn a_webhook_whose_secret_is_missing_is_left_out_until_it_is_there() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let mut other = config("other", HOST, fixture.crm.port);
    other.slots = vec![slot(1, "/telegram/other", "other")];
    let other_request = request("/telegram/other", "other", UPDATE);
    // of the two Secrets only the certificate's is there, as for a resource that was deleted or is not yet reconciled
    fixture.folder.set_file("other", "tls.crt", &*fixture.certificate.chain);
    fixture.folder.set_file("other", "tls.key", &*fixture.certificate.key);
    fixture.folder.publish()?;
    fixture.sidecar = Sidecar::start(&fixture.folder).await?;
    let line = fixture.sidecar.logged(0, NOT_READY).await?;
    assert!(line.contains("other"), "{line}");
    assert_eq!(fixture.admin("GET", "/readyz").await?.status, 200);
    assert_eq!(fixture.metric(&series("config_last_reload_successful", &[])).await?, 1);
    assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    assert_eq!(fixture.ask(&other_request).await?.status, 404);
    fixture.certificate = fixture.authority.issue(HOST)?;
    fixture.reconfigure().await?;

    fixture.folder.set("other", &other, &fixture.certificate);
    fixture.publish("configuration loaded").await?;
    assert_eq!(fixture.ask(&other_request).await?.status, 200);
    assert_eq!(fixture.metric(&series("config_last_reload_successful", &[])).await?, 1);
    let said = fixture.sidecar.log().iter().filter(|line| line.contains(NOT_READY)).count();
    assert_eq!(said, 1, "once, whatever else changes");

    // one breaks, the other one's rotation goes on
    fixture.folder.set_file("other", "config.json", "{}");
    fixture.config.slots = vec![slot(2, PATH, "next")];
    fixture.folder.set(NAME, &fixture.config, &fixture.certificate);
    fixture.publish(REFUSED).await?;
    assert_eq!(fixture.ask(request(PATH, "next", UPDATE)).await?.status, 200);
    assert_eq!(fixture.ask(&other_request).await?.status, 200);
    let loaded: LoadedConfig = serde_json::from_str(&fixture.admin("GET", "/config").await?.body)?;
    let digests: Vec<_> = loaded.webhooks.into_iter().map(|webhook| webhook.digest).collect();
    assert_eq!(digests, [digest(&other.to_bytes()), digest(&fixture.config.to_bytes())]);
    Ok(())
}

#[tokio::test]
async fn a_second_webhook_of_a_bot_is_refused_and_the_crm_of_the_first_gets_none_of_its_updates()
-> anyhow::Result<()> {
    let mut fixture = Fixture::start_with(|config| config.delivery = Delivery::default()).await?;
    let mut other_crm = Crm::start().await?;
    let mut other = config("other", HOST, other_crm.port);
    other.slots = vec![slot(1, "/telegram/other", "other")];
    other.bot_id = fixture.config.bot_id;
    let to_other = |id: i64| request("/telegram/other", "other", update(id));
    fixture.folder.set("other", &other, &fixture.certificate);
    let line = fixture.publish(LEFT_OUT).await?;
    assert!(line.contains("other/config.json: botId: the folder support has the same"), "{line}");
    assert!(line.contains("remove one of the two, or name another bot"), "{line}");

    assert_eq!(fixture.ask(to_other(1)).await?.status, 404);
    assert_eq!(fixture.ask(request(PATH, TOKEN, update(2))).await?.status, 200);
    assert_eq!(fixture.crm.received().await?.1, update(2));
    other.bot_id += 1;
    fixture.folder.set("other", &other, &fixture.certificate);
    fixture.publish("configuration loaded").await?;
    assert_eq!(fixture.ask(to_other(3)).await?.status, 200);
    assert_eq!(other_crm.received().await?.1, update(3));
    assert!(fixture.crm.has_received_nothing_more());
    Ok(())
}

#[tokio::test]
async fn a_webhook_that_is_gone_is_no_longer_served() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let dir = tempfile::tempdir()?;
    for name in [NAME, "other"] {
        let mut config = config(name, HOST, fixture.crm.port);
        config.slots = vec![slot(1, &format!("/telegram/{name}"), name)];
        fs::create_dir(dir.path().join(name))?;
        fs::write(dir.path().join(name).join("config.json"), config.to_bytes())?;
        fs::write(dir.path().join(name).join("tls.crt"), &*fixture.certificate.chain)?;
        fs::write(dir.path().join(name).join("tls.key"), &*fixture.certificate.key)?;
    }
    let fixture = Fixture { sidecar: Sidecar::start_at(dir.path()).await?, ..fixture };
    let gone = request("/telegram/other", "other", UPDATE);
    assert_eq!(fixture.ask(&gone).await?.status, 200);
    fs::rename(dir.path().join("other"), dir.path().join(".other"))?;
    fixture.sidecar.logged(0, "configuration removed").await?;
    assert_eq!(fixture.ask(&gone).await?.status, 404);
    assert_eq!(fixture.ask(request("/telegram/support", "support", UPDATE)).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_deleted_webhook_whose_certificate_stays_takes_no_bot_of_its_host_down() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let dir = tempfile::tempdir()?;
    // the deleted one goes first by name, and its certificate is one that nobody trusts any more
    for (name, certificate) in
        [("alpha", Authority::new()?.issue(HOST)?), (NAME, fixture.certificate.clone())]
    {
        let mut config = config(name, HOST, fixture.crm.port);
        config.slots = vec![slot(1, &format!("/telegram/{name}"), name)];
        fs::create_dir(dir.path().join(name))?;
        fs::write(dir.path().join(name).join("config.json"), config.to_bytes())?;
        fs::write(dir.path().join(name).join("tls.crt"), &*certificate.chain)?;
        fs::write(dir.path().join(name).join("tls.key"), &*certificate.key)?;
    }
    let fixture = Fixture { sidecar: Sidecar::start_at(dir.path()).await?, ..fixture };
    fs::remove_file(dir.path().join("alpha").join("config.json"))?;
    fixture.sidecar.logged(0, "configuration removed").await?;
    assert_eq!(fixture.ask(request("/telegram/support", "support", UPDATE)).await?.status, 200);
    assert_eq!(fixture.ask(request("/telegram/alpha", "alpha", UPDATE)).await?.status, 404);
    assert_eq!(fixture.metric(&series("config_last_reload_successful", &[])).await?, 1);
    Ok(())
}

#[tokio::test]
async fn the_admin_port_tells_by_digest_which_version_is_in_use() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    fixture.config.slots.insert(0, slot(2, "/telegram/next", "next"));
    fixture.reconfigure().await?;
    let loaded: LoadedConfig = serde_json::from_str(&fixture.admin("GET", "/config").await?.body)?;
    let [webhook] = loaded.webhooks.as_slice() else {
        panic!("one webhook expected: {loaded:?}");
    };
    assert_eq!(webhook.webhook, "crm/support");
    assert_eq!(webhook.digest, digest(&fixture.config.to_bytes()));
    assert_eq!(webhook.slots, [2, 1]);
    assert_eq!(webhook.certificate_digest, digest(fixture.certificate.chain.as_bytes()));
    Ok(())
}

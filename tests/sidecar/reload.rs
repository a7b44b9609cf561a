//! New versions of the configuration: taken as a whole, or refused and said so.

use telegram_webhook_sidecar_config::{LoadedConfig, digest};

use crate::fixture::{Fixture, NAME, PATH, TOKEN, request, slot};

const REFUSED: &str = "new configuration refused, the old one stays in use";

#[tokio::test]
async fn a_rotation_accepts_both_slots_and_then_the_new_one_only() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let mut connection = fixture.connect().await?;
    let old = request(PATH, TOKEN, "{}");
    let new = request("/telegram/next", "next", "{}");
    assert_eq!(connection.ask(&old).await?.status, 200);
    assert_eq!(connection.ask(&new).await?.status, 404);

    fixture.config.slots.insert(0, slot(2, "/telegram/next", "next"));
    fixture.reconfigure().await?;
    assert_eq!(connection.ask(&old).await?.status, 200);
    assert_eq!(connection.ask(&new).await?.status, 200);

    fixture.config.slots.truncate(1);
    fixture.reconfigure().await?;
    assert_eq!(connection.ask(&old).await?.status, 404);
    assert_eq!(connection.ask(&new).await?.status, 200);

    let delivered = |slot: u8| {
        format!(
            "telegram_webhook_sidecar_requests_total{{webhook=\"crm/support\",slot=\"{slot}\",outcome=\"delivered\"}}"
        )
    };
    assert_eq!(fixture.metric(&delivered(1)).await?, 2);
    assert_eq!(fixture.metric(&delivered(2)).await?, 2);
    Ok(())
}

#[tokio::test]
async fn the_same_path_with_a_new_token_accepts_both_during_the_overlap() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    fixture.config.slots.insert(0, slot(2, PATH, "next"));
    fixture.reconfigure().await?;
    assert_eq!(fixture.ask(request(PATH, TOKEN, "{}")).await?.status, 200);
    assert_eq!(fixture.ask(request(PATH, "next", "{}")).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_bad_version_is_refused_as_a_whole_and_counted_once() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let before = fixture.admin("GET", "/config").await?.body;

    // a good new token in one file, a bad one beside it
    fixture.config.slots = vec![slot(2, "/telegram/next", "next")];
    fixture.folder.set_file(NAME, "config.json", fixture.config.to_bytes());
    fixture.folder.set_file(NAME, "tls.key", "no key");
    let line = fixture.publish(REFUSED).await?;
    assert!(line.contains("support/tls.key"), "{line}");

    assert_eq!(fixture.ask(request(PATH, TOKEN, "{}")).await?.status, 200);
    assert_eq!(fixture.ask(request("/telegram/next", "next", "{}")).await?.status, 404);
    assert_eq!(fixture.admin("GET", "/config").await?.body, before);
    assert_eq!(fixture.admin("GET", "/readyz").await?.status, 200);

    // looked at many times since; the next version shows that it was counted once
    fixture.folder.set(NAME, &fixture.config, &fixture.certificate);
    fixture.publish("configuration loaded").await?;
    assert_eq!(fixture.ask(request("/telegram/next", "next", "{}")).await?.status, 200);
    let reloads =
        |result: &str| format!("telegram_webhook_sidecar_config_reloads_total{{result=\"{result}\"}}");
    assert_eq!(fixture.metric(&reloads("failed")).await?, 1);
    assert_eq!(fixture.metric(&reloads("ok")).await?, 2);
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

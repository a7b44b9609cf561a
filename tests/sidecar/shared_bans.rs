//! Bans that the sidecars of a webhook share with its queue: two real ones, and a real server between them.

use serde_json::{Value, json};
use telegram_webhook_sidecar_config::{AddressSource, Ban, Delivery};
use telegram_webhook_tests::{
    servers::{
        rabbitmq::{self, shared},
        redis::RedisServer,
    },
    sidecar::{DEADLINE, Sidecar},
    wait,
};

use crate::{
    client::{Answer, Connection},
    fixture::{Fixture, HOST, PATH, UPDATE, announcement, behind_a_proxy, request},
};

const ONE: &str = "198.51.100.7";
const TWO: &str = "198.51.100.8";

/// Two sidecars with one webhook, behind a proxy that says whose a connection is. One request without the token bans.
struct Pair {
    fixture: Fixture,
    sidecars: [Sidecar; 2],
}

// === impl Pair ===

impl Pair {
    async fn start(backend: Value) -> anyhow::Result<Self> {
        let backend = serde_json::from_value(backend)?;
        let fixture = Fixture::start_with(|config| {
            config.client_address = behind_a_proxy(AddressSource::ProxyProtocol);
            config.limits.ban = Some(Ban { failures: 1, ..Ban::default() });
            config.delivery = Delivery { backend, ..Delivery::default() };
        })
        .await?;
        let sidecars = [Sidecar::start(&fixture.folder).await?, Sidecar::start(&fixture.folder).await?];
        Ok(Self { fixture, sidecars })
    }

    async fn connect(&self, sidecar: usize, client: &str) -> anyhow::Result<Connection> {
        let Fixture { authority, .. } = &self.fixture;
        Connection::open_announced(&self.sidecars[sidecar], authority, HOST, announcement(client)).await
    }

    async fn fail(&self, sidecar: usize, client: &str) -> anyhow::Result<()> {
        let answer = self.connect(sidecar, client).await?.ask(request(PATH, "aGuess", UPDATE)).await?;
        // whether the address may come at all is asked first, and a stranger's may not
        assert!([401, 403].contains(&answer.status), "{answer:?}");
        Ok(())
    }

    async fn admin(&self, sidecar: usize, method: &str, path: &str) -> anyhow::Result<Answer> {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        Connection::open_admin(&self.sidecars[sidecar]).await?.ask(request).await
    }

    async fn banned(&self, sidecar: usize) -> anyhow::Result<Vec<String>> {
        let bans: Vec<Value> = serde_json::from_str(&self.admin(sidecar, "GET", "/bans").await?.body)?;
        Ok(bans.iter().filter_map(|ban| ban["address"].as_str().map(str::to_owned)).collect())
    }

    async fn until_banned(&self, sidecar: usize, expected: &[&str]) -> anyhow::Result<()> {
        wait::until("bans to be shared", DEADLINE, async || {
            let banned = self.banned(sidecar).await?;
            anyhow::ensure!(banned == expected, "{banned:?}");
            Ok(Some(()))
        })
        .await
    }

    /// What holds with every backend.
    async fn share(&self) -> anyhow::Result<()> {
        self.fail(0, ONE).await?;
        self.until_banned(1, &[ONE]).await?;
        assert!(self.connect(1, ONE).await.is_err(), "closed before the handshake");
        self.connect(1, TWO).await?;
        let lifted = self.admin(1, "DELETE", &format!("/bans/{ONE}")).await?;
        assert_eq!(lifted.status, 200);
        self.until_banned(0, &[]).await?;
        self.connect(0, ONE).await?;
        Ok(())
    }
}

#[tokio::test]
async fn with_redis_whom_one_sidecar_bans_or_lifts_the_other_does_too() -> anyhow::Result<()> {
    let mut server = RedisServer::start("").await?;
    let pair = Pair::start(json!({"type": "Redis", "addresses": [server.address()]})).await?;
    pair.share().await?;

    // whoever can write there bans neither Telegram, nor the proxy, nor a network of our own
    let stream = format!("telegram-webhook:{{{}}}:bans", pair.fixture.config.bot_id);
    for client in ["149.154.167.220", "127.0.0.1", "10.0.0.1", TWO] {
        let entry = ["event", "ban", "client", client, "failures", "1", "until", "9999999999999"];
        server.command(&[&["XADD", stream.as_str(), "*"][..], &entry[..]].concat()).await?;
    }
    for sidecar in [0, 1] {
        pair.until_banned(sidecar, &[TWO]).await?;
        pair.connect(sidecar, "149.154.167.220").await?;
        pair.connect(sidecar, "10.0.0.1").await?;
    }

    server.kill().await?;
    pair.fail(0, ONE).await?;
    assert_eq!(pair.banned(0).await?, [ONE, TWO], "without the server too");
    assert!(pair.connect(0, ONE).await.is_err());
    assert_eq!(pair.banned(1).await?, [TWO]);
    server.start_again().await?;
    pair.until_banned(1, &[ONE, TWO]).await
}

#[tokio::test]
async fn with_rabbitmq_whom_one_sidecar_bans_or_lifts_the_other_does_too() -> anyhow::Result<()> {
    let prefix = format!("test-{:016x}", getrandom::u64()?);
    let pair = Pair::start(json!({
        "type": "RabbitMq", "addresses": [shared().await?.address()], "namePrefix": prefix, "partitions": 2,
        "username": rabbitmq::USER, "password": rabbitmq::PASSWORD,
    }))
    .await?;
    pair.share().await
}

//! A broker's password is nowhere: not where it is right, nor where it is wrong, nor where nobody could be asked.

use rustix::process::Signal;
use serde_json::{Value, json};
use telegram_webhook_sidecar_config::Delivery;
use telegram_webhook_tests::{
    leaks::{Search, remember},
    pki::Authority,
    servers::{
        ports,
        rabbitmq::{self, shared},
        redis::{self, RedisServer},
    },
    sidecar::{DEADLINE, NAME, Sidecar},
    wait,
};

use crate::fixture::{Fixture, PATH, TOKEN, UPDATE, request};

const PASSWORD: &str = "aPassword-OfRedis_4c1f0e7b92d85a63";
const WRONG: &str = "aWrong-PasswordOfSomebody_e81d07f29a";
const SERVER: &str = "broker.example.com";

/// Runs a sidecar with that backend until an update gets that answer, and searches all that it says.
async fn search(backend: Value, status: u16) -> anyhow::Result<()> {
    for (name, password) in [("Redis'", PASSWORD), ("RabbitMQ's", rabbitmq::PASSWORD), ("a wrong one", WRONG)]
    {
        remember(name, password);
    }
    let what = backend.clone();
    let backend = serde_json::from_value(backend)?;
    let mut fixture =
        Fixture::start_with(|config| config.delivery = Delivery { backend, ..Delivery::default() }).await?;
    wait::until("the answer that is expected", DEADLINE, async || {
        let answer = fixture.ask(request(PATH, TOKEN, UPDATE)).await?;
        Ok((answer.status == status).then_some(()))
    })
    .await?;
    assert_eq!(fixture.ask(request(PATH, "aGuess", UPDATE)).await?.status, 401);
    let mut search = Search::default();
    for path in ["/metrics", "/config", "/queue", "/dead-letters", "/bans", "/readyz"] {
        search.look_at(path, &fixture.admin("GET", path).await?.body);
    }
    fixture.sidecar.signal(Signal::TERM)?;
    fixture.sidecar.ended().await?;
    search.look_at("the log", &fixture.sidecar.log().join("\n"));
    assert_eq!(search.found, Vec::<String>::new(), "{}", what["type"]);
    assert!(search.searched.iter().all(|(_, length)| *length > 0), "{:?}", search.searched);
    Ok(())
}

#[tokio::test]
async fn a_password_of_redis_is_nowhere_in_what_a_sidecar_says() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let server = RedisServer::start_guarded(&authority, SERVER, PASSWORD).await?;
    let [closed] = ports::free()?;
    let nobody = format!("127.0.0.1:{closed}");
    for (address, password, ca, status) in [
        (server.address(), PASSWORD, authority.pem(), 200),
        (server.address(), WRONG, authority.pem(), 503),
        (nobody, PASSWORD, authority.pem(), 503),
        (server.address(), PASSWORD, Authority::new()?.pem(), 503),
    ] {
        let tls = json!({"ca": ca, "serverName": SERVER});
        let redis = json!({
            "type": "Redis", "addresses": [address], "username": redis::USER, "password": password, "tls": tls,
        });
        search(redis, status).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_password_of_rabbitmq_is_nowhere_in_what_a_sidecar_says() -> anyhow::Result<()> {
    let node = shared().await?;
    let [closed] = ports::free()?;
    let nobody = format!("127.0.0.1:{closed}");
    let encrypted = format!("127.0.0.1:{}", node.tls_port);
    let trusted = json!({"ca": node.authority.pem(), "serverName": rabbitmq::NAME});
    let untrusted = json!({"ca": Authority::new()?.pem(), "serverName": rabbitmq::NAME});
    for (address, password, tls, status) in [
        (node.address(), rabbitmq::PASSWORD, None, 200),
        (node.address(), WRONG, None, 503),
        (nobody, rabbitmq::PASSWORD, None, 503),
        (encrypted.clone(), rabbitmq::PASSWORD, Some(trusted), 200),
        (encrypted, rabbitmq::PASSWORD, Some(untrusted), 503),
    ] {
        let mut rabbitmq = json!({
            "type": "RabbitMq", "addresses": [address], "username": rabbitmq::USER, "password": password,
            "namePrefix": format!("test-{:016x}", getrandom::u64()?), "partitions": 1,
        });
        if let Some(tls) = tls {
            rabbitmq["tls"] = tls;
        }
        search(rabbitmq, status).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_password_in_the_wrong_place_is_not_told() -> anyhow::Result<()> {
    remember("Redis'", PASSWORD);
    let fixture = Fixture::start().await?;
    for backend in [
        json!({"type": "Redis", "addresses": [format!("redis://:{PASSWORD}@redis:6379")], "password": PASSWORD}),
        json!({"type": "Redis", "addresses": [], "keyPrefix": PASSWORD.to_owned() + "{}", "pasword": PASSWORD}),
        json!({"type": PASSWORD, "addresses": ["redis:6379"]}),
        json!({"type": "RabbitMq", "addresses": [format!("amqp://a:{PASSWORD}@b:5672")], "username": "a b", "password": PASSWORD}),
    ] {
        let mut config: Value = serde_json::from_slice(&fixture.config.to_bytes())?;
        config["delivery"] = json!({"backend": backend});
        let dir = tempfile::tempdir()?;
        std::fs::create_dir(dir.path().join(NAME))?;
        for (file, content) in [
            ("config.json", config.to_string()),
            ("tls.crt", fixture.certificate.chain.clone()),
            ("tls.key", fixture.certificate.key.clone()),
        ] {
            std::fs::write(dir.path().join(NAME).join(file), content)?;
        }
        let ended = Sidecar::start_in_vain(dir.path()).await?;
        assert_eq!(ended.status.code(), Some(64), "{:?}", ended.lines);
        let mut search = Search::default();
        search.look_at("the log", &ended.lines.join("\n"));
        assert_eq!(search.found, Vec::<String>::new());
    }
    Ok(())
}

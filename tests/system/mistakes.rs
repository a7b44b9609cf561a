//! Bad input gets a condition that names the field and the fix, and never touches a working webhook.

use anyhow::{bail, ensure};
use k8s_openapi::api::{
    core::v1::Service,
    discovery::v1::{EndpointConditions, EndpointSlice},
};
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};
use telegram_webhook_crds::{TelegramWebhook, child_name};
use telegram_webhook_tests::{
    pki::{Authority, Leaf},
    scenario::{PATIENCE, Scenario, TELEGRAM_WEBHOOK, WEBHOOK, new_token, summary},
    telegram::control::TokenAction,
    wait,
};

use crate::world::scenario;

/// A change of the spec, and what the conditions must say about it.
struct Mistake {
    spec: Value,
    reason: &'static str,
    /// Part of the message.
    field: &'static str,
    /// Part of the message.
    fix: &'static str,
}

fn mistake(spec: Value, reason: &'static str, field: &'static str, fix: &'static str) -> Mistake {
    Mistake { spec, reason, field, fix }
}

fn token_of(name: &str, key: &str) -> Value {
    json!({"bot": {"tokenSecretRef": {"name": name, "key": key}}})
}

fn certificate_of(name: &str) -> Value {
    json!({"endpoint": {"tls": {"secretRef": {"name": name}}}})
}

/// With Telegram's own server, whose rules for addresses a self-hosted one doesn't have.
fn host(host: &str) -> Value {
    json!({"bot": {"apiServer": "https://api.telegram.org"}, "endpoint": {"host": host}})
}

fn mistakes(namespace: &str) -> Vec<Mistake> {
    let token = "spec.bot.tokenSecretRef";
    let tls = "spec.endpoint.tls.secretRef";
    vec![
        mistake(token_of("absent", "token"), "TokenSecretNotFound", token, "create it"),
        mistake(token_of("support-bot", "absent"), "TokenKeyNotFound", token, "add it"),
        mistake(token_of("unlabelled", "token"), "TokenSecretNotLabelled", token, "add the label"),
        mistake(token_of("malformed", "token"), "TokenMalformed", token, "@BotFather"),
        mistake(token_of("unknown", "token"), "TokenRejected", token, "@BotFather"),
        mistake(certificate_of("absent"), "TlsSecretNotFound", tls, "create it"),
        mistake(certificate_of("expired-tls"), "CertificateExpired", tls, "renew"),
        mistake(certificate_of("other-tls"), "CertificateNameMismatch", tls, "spec.endpoint.host"),
        mistake(certificate_of("crossed-tls"), "CertificateKeyMismatch", tls, "key"),
        mistake(host("absent.invalid"), "HostNotResolved", "spec.endpoint.host", "DNS"),
        mistake(
            host(&format!("telegram.{namespace}.svc.cluster.local")),
            "AddressReserved",
            "spec.endpoint.host",
            "public",
        ),
        mistake(
            host(&format!("ipv6-only.{namespace}.svc.cluster.local")),
            "HostIpv6Only",
            "spec.endpoint.host",
            "IPv4",
        ),
        mistake(
            json!({"bot": {"apiServer": "http://elsewhere.example.com"}}),
            "ApiServerNotAllowed",
            "spec.bot.apiServer",
            "--local-api-server",
        ),
        mistake(
            json!({"workload": {"selector": {"matchLabels": {"app": "nobody"}}}}),
            "NoPodsSelected",
            "spec.workload.selector",
            "label",
        ),
    ]
}

/// What the mistakes refer to.
async fn prepare(scenario: &Scenario) -> anyhow::Result<()> {
    let token = new_token()?;
    scenario.put_secret("unlabelled", "Opaque", &[("token", &token)], None).await?;
    scenario.put_token("malformed", "hello").await?;
    scenario.put_token("unknown", &token).await?;
    let host = scenario.host(WEBHOOK);
    let good = scenario.authority.issue(&host)?;
    scenario.put_certificate("expired-tls", &scenario.authority.issue_expired(&host)?).await?;
    scenario.put_certificate("other-tls", &Authority::new()?.issue("other.example.com")?).await?;
    let other_key = scenario.authority.issue(&host)?.key;
    scenario.put_certificate("crossed-tls", &Leaf { key: other_key, ..good }).await?;
    ipv6_only_name(scenario).await
}

/// A name with an IPv6 address alone: a headless Service whose endpoint is written by hand.
async fn ipv6_only_name(scenario: &Scenario) -> anyhow::Result<()> {
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": "ipv6-only"},
        "spec": {"clusterIP": "None", "ports": [{"name": "https", "port": 443}]},
    }))?;
    scenario.api::<Service>().create(&PostParams::default(), &service).await?;
    let slice: EndpointSlice = serde_json::from_value(json!({
        "metadata": {"name": "ipv6-only-1", "labels": {"kubernetes.io/service-name": "ipv6-only"}},
        "addressType": "IPv6",
        "endpoints": [{"addresses": ["2001:db8::7"], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": 443}],
    }))?;
    scenario.api::<EndpointSlice>().create(&PostParams::default(), &slice).await?;
    Ok(())
}

/// Pods that the resource's Service leads to.
async fn ready_endpoints(scenario: &Scenario) -> anyhow::Result<usize> {
    let of_service =
        ListParams::default().labels(&format!("kubernetes.io/service-name={}", child_name(WEBHOOK)));
    let slices = scenario.api::<EndpointSlice>().list(&of_service).await?;
    let endpoints = slices.iter().flat_map(|slice| &slice.endpoints);
    let ready = |conditions: &EndpointConditions| conditions.ready == Some(true);
    Ok(endpoints.filter(|endpoint| endpoint.conditions.as_ref().is_some_and(ready)).count())
}

/// Waits until a condition of the resource's current generation has the mistake's reason, and checks what it says.
async fn expect_condition(scenario: &Scenario, webhook: &str, mistake: &Mistake) -> anyhow::Result<()> {
    let api = scenario.api::<TelegramWebhook>();
    let condition = wait::until(mistake.reason, PATIENCE, || async {
        let webhook = api.get(webhook).await?;
        let conditions = webhook.status.unwrap_or_default().conditions;
        let found = conditions.iter().find(|condition| {
            condition.reason == mistake.reason && condition.observed_generation == webhook.metadata.generation
        });
        match found {
            Some(condition) => Ok(Some(condition.clone())),
            None => bail!("conditions are {}", summary(&conditions)),
        }
    })
    .await?;
    let Mistake { reason, field, fix, .. } = mistake;
    let message = &condition.message;
    ensure!(
        message.contains(field) && message.contains(fix),
        "{reason} should name {field} and {fix}: {message}"
    );
    Ok(())
}

#[test]
fn every_mistake_gets_a_condition_and_none_touches_the_webhook() {
    scenario("mistakes", |scenario| async move {
        scenario.start_crm_and_webhook().await?;
        prepare(&scenario).await?;
        let webhook = scenario.telegram().webhook().await?;
        let good = serde_json::to_value(scenario.api::<TelegramWebhook>().get(WEBHOOK).await?.spec)?;
        let mut wrong = Vec::new();
        for mistake in mistakes(&scenario.namespace) {
            scenario.patch_spec(WEBHOOK, mistake.spec.clone()).await?;
            if let Err(error) = expect_condition(&scenario, WEBHOOK, &mistake).await {
                wrong.push(format!("{error:#}"));
            }
            if let Err(error) = scenario.deliver(&scenario.send(4, 4).await?).await {
                wrong.push(format!("{}: the webhook no longer works: {error:#}", mistake.reason));
            }
            // updates may go on over connections from before; new ones must get through too
            if ready_endpoints(&scenario).await? == 0 {
                wrong.push(format!("{}: the Service leads nowhere", mistake.reason));
            }
            scenario.replace_spec(WEBHOOK, &good).await?;
        }
        assert_eq!(wrong, Vec::<String>::new());
        scenario.wait_for_condition(WEBHOOK, "Ready", "True", None).await?;

        // a second resource for the same bot: the older one wins
        scenario.apply(&TELEGRAM_WEBHOOK.replace("name: support}", "name: second}")).await?;
        let duplicate = mistake(json!({}), "DuplicateBot", "spec.bot", "delete one of the two");
        expect_condition(&scenario, "second", &duplicate).await?;

        let now = scenario.telegram().webhook().await?;
        assert_eq!((now.url, now.secret_token), (webhook.url, webhook.secret_token));
        assert_eq!(scenario.calls("setWebhook").await?.len(), 1);
        assert_eq!(scenario.calls("deleteWebhook").await?.len(), 0);

        // the token is revoked; Telegram erases the webhook with it, and nothing more is called
        scenario.telegram().set_token(TokenAction::Revoke).await?;
        let revoked = mistake(json!({}), "TokenRejected", "spec.bot.tokenSecretRef", "@BotFather");
        expect_condition(&scenario, WEBHOOK, &revoked).await?;
        assert_eq!(scenario.calls("setWebhook").await?.len(), 1);
        Ok(scenario)
    });
}

//! The rules for what the sidecar's request path can be told.

use kube::Client;
use serde_json::{Value, json};

use super::{create, example};

/// What each network in CIDR notation is told that is none.
const NO_NETWORK: &str = "must be a network in CIDR notation";

/// The example with `value` at `pointer`, whose parents are made.
pub fn with(pointer: &str, value: Value) -> Value {
    let mut resource = example();
    let mut place = &mut resource;
    for key in pointer.split('/').skip(1) {
        place = &mut place[key];
    }
    *place = value;
    resource
}

fn hmac(mut value: Value) -> Value {
    value["secretRef"] = json!({"name": "relay", "key": "secret"});
    with("/spec/verification/hmac", value)
}

/// A self-hosted Bot API server.
fn self_hosted(source_address: Value) -> Value {
    let mut resource = with("/spec/verification/sourceAddress", source_address);
    resource["spec"]["bot"]["apiServer"] = json!("http://telegram-bot-api.telegram:8081");
    resource
}

/// What is declared in full is accepted, and what is left out gets the defaults of the types.
pub async fn accept(client: &Client) {
    let spec = create(client, &example()).await.unwrap().spec;
    assert_eq!((spec.endpoint.client_address, spec.verification), Default::default());
    assert_eq!((spec.filter, spec.limits), Default::default());
    let addresses: Vec<_> = (1..=256).map(|n| format!("2001:db8:{n:x}::/48")).collect();
    for resource in [
        with(
            "/spec/endpoint/clientAddress",
            json!({"source": "XForwardedFor", "trustedProxies": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"]}),
        ),
        with("/spec/verification/sourceAddress", json!({"mode": "Shadow", "refusal": "Close"})),
        with("/spec/verification/sourceAddress", json!({"ranges": "Custom", "custom": ["192.0.2.0/24"]})),
        with("/spec/verification/hmac", json!(null)),
        hmac(json!({"scheme": "Body", "header": "X-Hub-Signature-256", "encoding": "Hex"})),
        hmac(json!({"scheme": "StandardWebhooks"})),
        hmac(json!({"scheme": "StandardWebhooks", "tolerance": "90s"})),
        self_hosted(json!({"mode": "Off"})),
        self_hosted(json!({"mode": "Enforce", "ranges": "Custom", "custom": ["10.0.0.0/8"]})),
        with(
            "/spec/filter",
            json!({
                "updateTypes": [], "chatTypes": [], "chats": {"deny": [-1_001_234_567_890_123_i64]}, "users": {"allow": [7]},
                "topics": [1], "content": ["Text", "Photo"], "commands": ["start"],
                "expressions": ["update.message.text.size() < 500"],
            }),
        ),
        with(
            "/spec/limits",
            json!({"maxBodyBytes": 525_312, "authenticated": {"requests": 500}, "ban": {"failures": 0}, "banned": addresses}),
        ),
    ] {
        let refused = create(client, &resource).await.err();
        assert_eq!(refused, None, "{resource}");
    }
}

/// Mistakes are refused, each with a part of its message.
pub async fn refuse(client: &Client) {
    let networks = [
        "10.0.0.0",
        "10.0.0.1/8",
        "010.0.0.0/8",
        "10.0.0.0/33",
        "2001:DB8::/32",
        "2001:db8:0:0::/32",
        "::ffff:10.0.0.0/104",
        "0.0.0.0/0",
        "::/0",
        "proxy",
    ];
    let banned = networks.map(|network| (with("/spec/limits/banned", json!([network])), NO_NETWORK));
    let mistakes = [addresses(), signatures(), filters(), limits()];
    for (resource, message) in banned.into_iter().chain(mistakes.into_iter().flatten()) {
        let error = create(client, &resource).await.expect_err(&format!("{resource} was accepted"));
        assert!(error.contains(message), "{resource}: {error}");
    }
}

fn addresses() -> Vec<(Value, &'static str)> {
    let client = |value| with("/spec/endpoint/clientAddress", value);
    let source = |value| with("/spec/verification/sourceAddress", value);
    let ten = "10.0.0.0/8";
    vec![
        (
            client(json!({"source": "ProxyProtocol"})),
            "spec.endpoint.clientAddress.trustedProxies: list the networks",
        ),
        (
            client(json!({"source": "XForwardedFor", "trustedProxies": []})),
            "spec.endpoint.clientAddress.trustedProxies: list the networks",
        ),
        (
            client(json!({"trustedProxies": [ten]})),
            "spec.endpoint.clientAddress.trustedProxies: has no effect with source Peer",
        ),
        (
            client(json!({"source": "Forwarded", "trustedProxies": [ten]})),
            "spec.endpoint.clientAddress.source",
        ),
        (client(json!({"source": "ProxyProtocol", "trustedProxies": ["0.0.0.0/0"]})), NO_NETWORK),
        (
            client(json!({"source": "ProxyProtocol", "trustedProxies": [ten, "8.0.0.0/7"]})),
            "spec.endpoint.clientAddress.trustedProxies: use networks of /8 or smaller",
        ),
        (
            source(json!({"ranges": "Custom", "custom": ["fc00::/6"]})),
            "spec.verification.sourceAddress.custom: use networks of /8 or smaller",
        ),
        (client(json!({"source": "ProxyProtocol", "trustedProxies": [ten, ten]})), "Duplicate value"),
        (source(json!({"ranges": "Custom"})), "spec.verification.sourceAddress.custom: list the networks"),
        (
            source(json!({"custom": ["192.0.2.0/24"]})),
            "spec.verification.sourceAddress.custom: has no effect with ranges Documented",
        ),
        (source(json!({"ranges": "Custom", "custom": ["0.0.0.0/0"]})), NO_NETWORK),
        (source(json!({"mode": "Warn"})), "spec.verification.sourceAddress.mode"),
        (source(json!({"refusal": "Drop"})), "spec.verification.sourceAddress.refusal"),
        (self_hosted(json!({})), "a self-hosted Bot API server doesn't send from Telegram's addresses"),
        (self_hosted(json!({"mode": "Shadow"})), "use ranges Custom, or mode Off"),
    ]
}

fn signatures() -> Vec<(Value, &'static str)> {
    let body = |more: Value| {
        let mut value = json!({"scheme": "Body", "header": "X-Signature", "encoding": "Hex"});
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        hmac(value)
    };
    let standard = |field: &str, value: &str| hmac(json!({"scheme": "StandardWebhooks", field: value}));
    vec![
        (hmac(json!({"scheme": "Body"})), "the scheme Body needs header and encoding"),
        (hmac(json!({"scheme": "Body", "encoding": "Hex"})), "the scheme Body needs header and encoding"),
        (body(json!({"tolerance": "5m"})), "spec.verification.hmac.tolerance: the scheme Body signs no time"),
        (body(json!({"header": "X Signature"})), "spec.verification.hmac.header"),
        (body(json!({"encoding": "hex"})), "spec.verification.hmac.encoding"),
        (standard("header", "X-Signature"), "StandardWebhooks fixes header and encoding"),
        (standard("encoding", "Hex"), "StandardWebhooks fixes header and encoding"),
        (standard("tolerance", "5 m"), "spec.verification.hmac.tolerance"),
        (hmac(json!({"scheme": "Sha256"})), "spec.verification.hmac.scheme"),
        (
            with(
                "/spec/verification/hmac",
                json!({"scheme": "StandardWebhooks", "secretRef": {"name": "relay"}}),
            ),
            "spec.verification.hmac.secretRef.key",
        ),
    ]
}

fn filters() -> Vec<(Value, &'static str)> {
    let filter = |field: &str, value| with(&format!("/spec/filter/{field}"), value);
    vec![
        (filter("updateTypes", json!(["messages"])), "spec.filter.updateTypes[0]"),
        (filter("updateTypes", json!(["message", "message"])), "Duplicate value"),
        (filter("chatTypes", json!(["Private"])), "spec.filter.chatTypes[0]"),
        (filter("chats", json!({"allow": ["@support"]})), "spec.filter.chats.allow[0]"),
        (filter("users", json!({"deny": vec![7; 1001]})), "spec.filter.users.deny"),
        (filter("topics", json!([0])), "spec.filter.topics[0]"),
        (filter("content", json!(["text"])), "spec.filter.content[0]"),
        (filter("commands", json!(["/start"])), "spec.filter.commands[0]"),
        (filter("expressions", json!([""])), "spec.filter.expressions[0]"),
        (filter("expressions", json!(["a".repeat(1025)])), "spec.filter.expressions[0]"),
    ]
}

fn limits() -> Vec<(Value, &'static str)> {
    let limit = |field: &str, value| with(&format!("/spec/limits/{field}"), value);
    vec![
        (limit("maxBodyBytes", json!(525_311)), "spec.limits.maxBodyBytes"),
        (limit("maxBodyBytes", json!(1 << 25)), "spec.limits.maxBodyBytes"),
        (limit("unauthenticated", json!({"requests": 0})), "spec.limits.unauthenticated.requests"),
        (limit("unauthenticated", json!({"window": "1s"})), "spec.limits.unauthenticated.requests"),
        (limit("authenticated", json!({"requests": 1, "window": "1d"})), "spec.limits.authenticated.window"),
        (limit("ban", json!({"window": "60"})), "spec.limits.ban.window"),
        (limit("ban", json!({"duration": "1h30m"})), "spec.limits.ban.duration"),
        (limit("ban", json!({"failures": -1})), "spec.limits.ban.failures"),
    ]
}

mod limits;

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use http::Method;
use http_body_util::{Empty, StreamBody};
use hyper::body::Frame;
use telegram_webhook_sidecar_config::{AddressMode, AddressRefusal, Hmac, HmacEncoding};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::*;
use crate::{
    queue::Clock,
    queues,
    test_util::{policy, raw_config, slot},
};

fn peer() -> Peer {
    Peer::new((Ipv4Addr::LOCALHOST, 1).into())
}

/// A CRM is never reached by what these tests send.
fn ingress() -> Ingress {
    let mut a = raw_config("a");
    a.slots.push(slot(2, "/path-a-2", "token-a-2"));
    a.limits.max_body_bytes = 10;
    let metrics = Metrics::new();
    let state = tempfile::tempdir().unwrap();
    let crm = Crm::new(metrics.clone(), TaskTracker::new());
    let (bans, policy) = (Arc::new(Bans::new(metrics.clone())), policy(&[a, raw_config("b")]));
    Ingress {
        queues: Arc::new(Queues::new(queues::Parts {
            state_dir: state.path().to_owned(),
            crm: crm.clone(),
            metrics: metrics.clone(),
            readiness: Arc::default(),
            bans: Arc::clone(&bans),
            policy: Arc::clone(&policy),
            clock: Clock::new(),
            grace: Duration::from_secs(1),
            tasks: TaskTracker::new(),
            store_only: false,
        })),
        policy,
        // the files live on until they are closed
        dedup: Dedup::open(state.path(), metrics.clone(), SystemTime::now()).unwrap(),
        crm,
        bans,
        metrics,
        readiness: Arc::default(),
        sources: Arc::new(Sources::new(Metrics::new())),
        rate_limits: RateLimits::new(),
        refusals: Refusals::default(),
    }
}

fn post(path: &str, tokens: &[&str]) -> Request<Empty<Bytes>> {
    let mut request = Request::post(path).body(Empty::new()).unwrap();
    for token in tokens {
        let value = HeaderValue::from_str(token).unwrap();
        request.headers_mut().append(TOKEN_HEADER, value);
    }
    request
}

fn counted(ingress: &Ingress, webhook: &str, outcome: &str) -> bool {
    let series = format!("requests_total{{webhook=\"{webhook}\",slot=\"\",outcome=\"{outcome}\"}} 1\n");
    ingress.metrics.encode().unwrap().contains(&series)
}

#[tokio::test]
async fn each_refusal_is_counted_under_its_own_name() {
    for (path, tokens, webhook, outcome, status) in [
        ("/path", &["token-a"][..], "", "unknown_path", 404),
        ("/path-a", &[], "crm/a", "token_missing", 401),
        ("/path-a", &["token-a", "token-a"], "crm/a", "token_repeated", 401),
        ("/path-a", &["token-b"], "crm/a", "token_wrong", 401),
        ("/path-b", &["token-a"], "crm/b", "token_wrong", 401),
        ("/path-a", &["token-a-2"], "crm/a", "token_wrong", 401),
        ("/path-a-2", &["token-a"], "crm/a", "token_wrong", 401),
    ] {
        let ingress = ingress();
        let response = ingress.answer(&peer(), post(path, tokens)).await;
        assert_eq!(response.status().as_u16(), status, "{path} {tokens:?}");
        assert!(counted(&ingress, webhook, outcome), "{path} {tokens:?}");
    }
}

#[test]
fn a_token_is_accepted_for_the_slot_that_it_is_of() {
    let ingress = ingress();
    let policy = ingress.policy.load();
    for (path, token, id) in [("/path-a", "token-a", 1), ("/path-a-2", "token-a-2", 2)] {
        let request = post(path, &[token]);
        let route = route::find(&policy, request.uri()).unwrap();
        assert_eq!(authenticate::token(&route, request.headers()).unwrap(), id);
    }
}

#[tokio::test]
async fn wrong_tokens_are_counted_by_whether_telegram_may_have_sent_them() {
    let mut config = raw_config("a");
    config.limits.max_body_bytes = 10;
    // where it is enforced, a stranger doesn't come that far
    config.source_address.mode = AddressMode::Shadow;
    let ingress = Ingress { policy: policy(&[config]), ..ingress() };
    let stranger = Peer::new((Ipv4Addr::new(192, 0, 2, 1), 1).into());
    for (peer, tokens) in
        [(&peer(), &["token-b"][..]), (&peer(), &[]), (&stranger, &["token-b"]), (&peer(), &["token-a"])]
    {
        // one byte too long: the right token gets no further
        let body = Full::new(Bytes::from_static(b"12345678901"));
        ingress.answer(peer, post("/path-a", tokens).map(|_| body)).await;
    }
    let metrics = ingress.metrics.encode().unwrap();
    for (source, count) in [("listed", 2), ("unlisted", 1)] {
        let series = format!("token_mismatches_total{{webhook=\"crm/a\",source=\"{source}\"}} {count}\n");
        assert!(metrics.contains(&series), "{metrics}");
    }
}

#[tokio::test]
async fn where_a_relay_signs_a_token_alone_is_not_enough() {
    let mut config = raw_config("a");
    config.hmac = Some(Hmac::Body {
        header: "x-signature".to_owned(),
        encoding: HmacEncoding::Hex,
        secret: "a secret of a relay".to_owned(),
    });
    let ingress = Ingress { policy: policy(&[config]), ..ingress() };
    let response = ingress.answer(&peer(), post("/path-a", &["token-a"])).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let series = "requests_total{webhook=\"crm/a\",slot=\"1\",outcome=\"signature_missing\"} 1\n";
    assert!(ingress.metrics.encode().unwrap().contains(series));
}

#[tokio::test]
async fn a_known_path_tells_the_method_it_wants() {
    let ingress = ingress();
    let mut request = post("/path-b", &["token-b"]);
    *request.method_mut() = Method::GET;
    let response = ingress.answer(&peer(), request).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[header::ALLOW], "POST");
}

#[tokio::test]
async fn while_draining_every_answer_closes_its_connection() {
    let ingress = ingress();
    let response = ingress.answer(&peer(), post("/", &[])).await;
    assert!(!response.headers().contains_key(header::CONNECTION));
    ingress.readiness.start_draining();
    let response = ingress.answer(&peer(), post("/", &[])).await;
    assert_eq!(response.headers()[header::CONNECTION], "close");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_cut_off_at_the_deadline() {
    let ingress = ingress();
    let body = StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let request = post("/path-a", &["token-a"]).map(|_| body);
    let started = Instant::now();
    let response = ingress.answer(&peer(), request).await;
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(started.elapsed().as_secs(), 10);
    assert!(started.elapsed() < Duration::from_secs(11));
}

#[tokio::test]
async fn a_body_of_unknown_length_is_cut_off_at_the_cap() {
    let ingress = ingress();
    let frames = ["12345", "67890", "1"].map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from(part))));
    let body = StreamBody::new(futures::stream::iter(frames));
    let request = post("/path-a", &["token-a"]).map(|_| body);
    let response = ingress.answer(&peer(), request).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(response.headers()[header::CONNECTION], "close");
}

#[tokio::test]
async fn a_length_beyond_any_number_is_too_large() {
    let ingress = ingress();
    let mut request = post("/path-a", &["token-a"]);
    let length = HeaderValue::from_static("99999999999999999999999999");
    request.headers_mut().insert(header::CONTENT_LENGTH, length);
    let response = ingress.answer(&peer(), request).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn no_refusal_answers_what_makes_telegram_drop_the_webhook_or_believe_us() {
    for reject in every_reject() {
        let Meaning { status, header, .. } = reject.meaning();
        match reject {
            // nobody wants these, and they are answered as if somebody did
            Reject::Malformed(_) | Reject::Filtered(_) | Reject::Duplicate => {
                assert_eq!((status, header), (StatusCode::OK, None), "{reject:?}");
            }
            _ => assert!(status.as_u16() >= 400 && status != StatusCode::GONE, "{reject:?} answers {status}"),
        }
    }
}

#[test]
fn a_connection_from_an_unlisted_address_is_closed_where_every_webhook_says_so() {
    let mut a = raw_config("a");
    a.source_address.ranges = vec!["192.0.2.0/24".to_owned()];
    a.source_address.refusal = AddressRefusal::Close;
    let admits = |ingress: &Ingress, client: &str| ingress.admits(client.parse().unwrap());
    let closing = Ingress { policy: policy(&[a.clone()]), ..ingress() };
    assert_eq!(admits(&closing, "192.0.2.1"), Ok(Standing::Listed));
    assert_eq!(admits(&closing, "203.0.113.9"), Err(Turned::Unlisted));
    let lenient = Ingress { policy: policy(&[a, raw_config("b")]), ..ingress() };
    assert_eq!(admits(&lenient, "203.0.113.9"), Ok(Standing::Unlisted));
}

#[test]
fn there_is_room_for_all_connections_of_all_webhooks_and_some_as_the_configuration_changes() {
    let ingress = Ingress { policy: policy(&[raw_config("a")]), ..ingress() };
    assert_eq!(ingress.max_connections(), 512);
    let many: Vec<_> = ["a", "b", "c", "d"].map(raw_config).into();
    ingress.policy.store(policy(&many).load_full());
    assert_eq!(ingress.max_connections(), 4 * 200 + 112);
}

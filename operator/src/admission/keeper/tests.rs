use std::{collections::BTreeMap, sync::Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use jiff::SignedDuration;
use serde_json::Value;
use tokio::net::TcpListener;

use super::*;

const SECRETS: &str = "/api/v1/namespaces/operators/secrets";
const CONFIGURATION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/injector";

/// An API server that knows just enough: objects by path, resource versions, conflicts, JSON patches.
#[derive(Default)]
struct Cluster {
    objects: Mutex<BTreeMap<String, Value>>,
    /// Paths whose next write is refused with this code.
    refused: Mutex<BTreeMap<String, u16>>,
    writes: Mutex<Vec<String>>,
}

impl Cluster {
    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        let mut objects = self.objects.lock().unwrap();
        if method == Method::GET {
            return objects
                .get(path)
                .map_or_else(|| (404, json!({})), |object| (200, object.clone()));
        }
        if let Some(code) = self.refused.lock().unwrap().remove(path) {
            return (code, json!({}));
        }
        let body: Value = serde_json::from_slice(body).unwrap();
        let path = match body["metadata"]["name"].as_str() {
            Some(name) if method == Method::POST => format!("{path}/{name}"),
            _ => path.to_owned(),
        };
        let current = objects.get(&path).cloned();
        let version = |object: &Value| {
            object["metadata"]["resourceVersion"]
                .as_str()
                .unwrap_or("0")
                .to_owned()
        };
        let mut new = match (method, &current) {
            (&Method::POST, Some(_)) => return (409, json!({})),
            (&Method::PUT, Some(current)) if version(current) != version(&body) => return (409, json!({})),
            (&Method::PATCH, Some(current)) => {
                let mut patched = current.clone();
                let patch: json_patch::Patch = serde_json::from_value(body).unwrap();
                json_patch::patch(&mut patched, &patch).unwrap();
                patched
            }
            _ => body,
        };
        let next = version(&current.unwrap_or_default()).parse::<u64>().unwrap() + 1;
        new["metadata"]["resourceVersion"] = json!(next.to_string());
        self.writes.lock().unwrap().push(format!("{method} {path}"));
        objects.insert(path, new.clone());
        (200, new)
    }

    fn configure(&self) {
        let configuration = json!({
            "metadata": {"name": "injector"},
            "webhooks": [{
                "name": "inject.telegram-webhook.dev",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": {"service": {"name": "admission", "namespace": "operators"}},
            }],
        });
        self.objects
            .lock()
            .unwrap()
            .insert(CONFIGURATION.to_owned(), configuration);
    }

    /// The live bundle, as PEM.
    fn bundle(&self) -> String {
        let configuration: MutatingWebhookConfiguration =
            serde_json::from_value(self.objects.lock().unwrap()[CONFIGURATION].clone()).unwrap();
        let webhook = configuration.webhooks.unwrap().remove(0);
        String::from_utf8(
            webhook
                .client_config
                .ca_bundle
                .unwrap_or(ByteString(Vec::new()))
                .0,
        )
        .unwrap()
    }

    fn authority(&self) -> Authority {
        let secret = self.objects.lock().unwrap()[&format!("{SECRETS}/{SECRET}")].clone();
        let secret: Secret = serde_json::from_value(secret).unwrap();
        Authority::from_data(&secret.data.unwrap()).unwrap()
    }

    fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.writes.lock().unwrap())
    }

    async fn client(self: &Arc<Self>) -> Client {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let cluster = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let cluster = Arc::clone(&cluster);
                let service = service_fn(move |request| respond(Arc::clone(&cluster), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap()
    }
}

async fn respond(
    cluster: Arc<Cluster>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let (code, object) = cluster.answer(&head.method, head.uri.path(), &body);
    let failure = |reason| json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason});
    let object = match code {
        200 => object,
        404 => failure("NotFound"),
        409 => failure("Conflict"),
        _ => failure("Forbidden"),
    };
    let mut response = Response::new(Full::from(object.to_string()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    Ok(response)
}

/// A replica, and how ready it says to be.
async fn replica(cluster: &Arc<Cluster>) -> (Keeper, watch::Receiver<bool>) {
    let (ready, readiness) = watch::channel(false);
    let certificate = Arc::new(ServingCertificate::default());
    let client = cluster.client().await;
    let keeper = Keeper::new(
        &client,
        "operators",
        "admission",
        "injector".to_owned(),
        certificate,
        ready,
    );
    (keeper, readiness)
}

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn served(keeper: &Keeper) -> Option<Arc<CertifiedKey>> {
    keeper.certificate.0.read().unwrap().clone()
}

#[tokio::test]
async fn the_first_look_sets_everything_up_and_the_second_changes_nothing() {
    let cluster = Arc::new(Cluster::default());
    cluster.configure();
    let (mut keeper, ready) = replica(&cluster).await;
    keeper.check(start()).await.unwrap();
    assert!(*ready.borrow());
    assert_eq!(cluster.bundle(), cluster.authority().bundle(start()));
    assert!(
        !keeper
            .leaf
            .as_ref()
            .unwrap()
            .is_due(&cluster.authority(), start())
    );
    assert!(served(&keeper).is_some());
    let expected = [
        format!("POST {SECRETS}/{SECRET}"),
        format!("PATCH {CONFIGURATION}"),
    ];
    assert_eq!(cluster.take_writes(), expected);

    keeper.check(start()).await.unwrap();
    let (mut other, other_ready) = replica(&cluster).await;
    other.check(start()).await.unwrap();
    assert!(*other_ready.borrow());
    assert_eq!(cluster.take_writes(), [""; 0]);
}

#[tokio::test]
async fn a_replica_that_is_second_to_make_the_authority_takes_the_firsts() {
    let cluster = Arc::new(Cluster::default());
    cluster.configure();
    let (first, _) = replica(&cluster).await;
    let (second, _) = replica(&cluster).await;
    let theirs = first
        .write(None, Authority::generate(start()).unwrap())
        .await
        .unwrap();
    let ours = second
        .write(None, Authority::generate(start()).unwrap())
        .await
        .unwrap();
    assert_eq!(ours.to_data(), theirs.to_data());
}

#[tokio::test]
async fn a_wiped_bundle_is_back_after_one_look() {
    let cluster = Arc::new(Cluster::default());
    cluster.configure();
    let (mut keeper, ready) = replica(&cluster).await;
    keeper.check(start()).await.unwrap();
    let certificate = served(&keeper).unwrap();
    cluster.configure();
    keeper.check(start()).await.unwrap();
    assert_eq!(cluster.bundle(), cluster.authority().bundle(start()));
    assert!(*ready.borrow());
    assert!(Arc::ptr_eq(&certificate, &served(&keeper).unwrap()));
}

#[tokio::test]
async fn a_bundle_that_can_not_be_set_makes_the_replica_unready_until_it_can() {
    let cluster = Arc::new(Cluster::default());
    cluster.configure();
    let (mut keeper, ready) = replica(&cluster).await;
    keeper.check(start()).await.unwrap();
    cluster.configure();
    cluster
        .refused
        .lock()
        .unwrap()
        .insert(CONFIGURATION.to_owned(), 403);
    assert!(matches!(keeper.check(start()).await, Err(Error::SetCaBundle(..))));
    assert!(!*ready.borrow());
    keeper.check(start()).await.unwrap();
    assert!(*ready.borrow());
}

#[tokio::test]
async fn without_a_configuration_a_replica_is_not_ready() {
    let cluster = Arc::new(Cluster::default());
    cluster.configure();
    let (mut keeper, ready) = replica(&cluster).await;
    keeper.check(start()).await.unwrap();
    assert!(*ready.borrow());
    cluster.objects.lock().unwrap().remove(CONFIGURATION);
    assert!(matches!(
        keeper.check(start()).await,
        Err(Error::NoConfiguration(_))
    ));
    assert!(!*ready.borrow());
}

#[tokio::test]
async fn a_due_authority_is_renewed_and_its_leaf_served_only_a_look_later() {
    let cluster = Arc::new(Cluster::default());
    cluster.configure();
    let (mut keeper, ready) = replica(&cluster).await;
    let (mut other, _) = replica(&cluster).await;
    let rotation = start() + SignedDuration::from_hours(24 * 250);
    keeper.check(start()).await.unwrap();
    // a leaf that is not due by its own age
    keeper
        .check(rotation - SignedDuration::from_hours(24 * 7))
        .await
        .unwrap();
    let old = cluster.authority();
    keeper.check(rotation).await.unwrap();
    assert_ne!(cluster.authority().to_data(), old.to_data());
    assert_eq!(cluster.bundle().matches("BEGIN CERTIFICATE").count(), 2);
    assert!(*ready.borrow());
    let before = served(&keeper).unwrap();

    keeper.check(rotation).await.unwrap();
    assert!(!Arc::ptr_eq(&before, &served(&keeper).unwrap()));
    assert!(
        !keeper
            .leaf
            .as_ref()
            .unwrap()
            .is_due(&cluster.authority(), rotation)
    );
    other.check(rotation).await.unwrap();
    assert!(
        !other
            .leaf
            .as_ref()
            .unwrap()
            .is_due(&cluster.authority(), rotation)
    );

    let week_later = rotation + SignedDuration::from_hours(24 * 7 + 1);
    keeper.check(week_later).await.unwrap();
    assert_eq!(cluster.bundle().matches("BEGIN CERTIFICATE").count(), 1);
}

#[tokio::test]
async fn an_authority_that_can_not_be_used_is_replaced() {
    let cluster = Arc::new(Cluster::default());
    cluster.configure();
    let broken = json!({
        "metadata": {"name": SECRET, "resourceVersion": "7"},
        "data": {"ca.crt": "bm9uc2Vuc2U="},
    });
    cluster
        .objects
        .lock()
        .unwrap()
        .insert(format!("{SECRETS}/{SECRET}"), broken);
    let (mut keeper, ready) = replica(&cluster).await;
    keeper.check(start()).await.unwrap();
    assert!(*ready.borrow());
    assert_eq!(cluster.bundle(), cluster.authority().bundle(start()));
}

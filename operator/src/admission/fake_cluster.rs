//! For tests: an API server in memory that holds a CA Secret and a webhook configuration.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use k8s_openapi::{ByteString, api::admissionregistration::v1::MutatingWebhookConfiguration};
use kube::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const SECRETS: &str = "/api/v1/namespaces/operators/secrets";
pub const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/injector";

/// An API server that knows just enough: objects by path, resource versions, conflicts, JSON patches.
#[derive(Default)]
pub struct Cluster {
    /// By path.
    pub objects: Mutex<BTreeMap<String, Value>>,
    /// Paths whose next write is refused with this code.
    pub refused: Mutex<BTreeMap<String, u16>>,
    writes: Mutex<Vec<String>>,
}

impl Cluster {
    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        let mut objects = self.objects.lock().unwrap();
        if method == Method::GET {
            return objects.get(path).map_or_else(|| (404, json!({})), |object| (200, object.clone()));
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
        let version =
            |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap_or("0").to_owned();
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

    /// Puts the configuration there as the chart does, without a bundle.
    pub fn configure(&self) {
        let configuration = json!({
            "metadata": {"name": "injector"},
            "webhooks": [{
                "name": "inject.telegram-webhook.dev",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": {"service": {"name": "admission", "namespace": "operators"}},
            }],
        });
        self.objects.lock().unwrap().insert(CONFIGURATION.to_owned(), configuration);
    }

    /// The live bundle, as PEM.
    pub fn bundle(&self) -> String {
        let configuration: MutatingWebhookConfiguration =
            serde_json::from_value(self.objects.lock().unwrap()[CONFIGURATION].clone()).unwrap();
        let webhook = configuration.webhooks.unwrap().remove(0);
        String::from_utf8(webhook.client_config.ca_bundle.unwrap_or(ByteString(Vec::new())).0).unwrap()
    }

    /// What was written since the last call.
    pub fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.writes.lock().unwrap())
    }

    /// A client of it.
    pub async fn client(self: &Arc<Self>) -> Client {
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
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
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

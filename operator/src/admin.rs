//! The admin port, plain HTTP: `/livez`, `/readyz` and `/metrics`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use kube::Client;
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    metrics::Metrics,
    server::{Handler, Place, Server},
};

/// Probes and scrapers: each has one or two connections.
const MAX_CONNECTIONS: usize = 64;
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// What the admin port tells of.
pub struct Admin {
    /// For asking whether the API server is there.
    pub client: Client,
    /// Whether admission is served with a certificate that the API server trusts.
    pub admission: watch::Receiver<bool>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// Serves until `shutdown`.
pub async fn serve(listener: TcpListener, admin: Admin, shutdown: CancellationToken) {
    let server = Server {
        listener,
        tls: None,
        handler: admin,
        max_connections: MAX_CONNECTIONS,
        idle_timeout: IDLE_TIMEOUT,
    };
    server.run(shutdown).await;
}

// === impl Admin ===

impl Handler for Admin {
    /// Nobody proves anything here: probes and scrapes are short, and each may come on a new connection.
    async fn handle(&self, _: &Place, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.route(request.method(), request.uri().path()).await
    }
}

impl Admin {
    async fn route(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n".to_owned());
        }
        match path {
            "/livez" => text(StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => self.ready().await,
            "/metrics" => match self.metrics.render() {
                Ok(metrics) => metrics_text(metrics),
                Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, String::new()),
            },
            _ => text(StatusCode::NOT_FOUND, String::new()),
        }
    }

    async fn ready(&self) -> Response<Full<Bytes>> {
        if !*self.admission.borrow() {
            return text(StatusCode::SERVICE_UNAVAILABLE, "admission is not served yet\n".to_owned());
        }
        match timeout(READY_TIMEOUT, self.client.apiserver_version()).await {
            Ok(Ok(_)) => text(StatusCode::OK, "ok\n".to_owned()),
            Ok(Err(_)) | Err(_) => {
                text(StatusCode::SERVICE_UNAVAILABLE, "the Kubernetes API does not answer\n".to_owned())
            }
        }
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", body)
}

fn metrics_text(body: String) -> Response<Full<Bytes>> {
    respond(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", body)
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::{self, cluster::FakeCluster};

    /// A served admin port, its cluster, and the switch for admission.
    struct Port {
        url: String,
        cluster: FakeCluster,
        admission: watch::Sender<bool>,
        _serving: tokio_util::sync::DropGuard,
    }

    async fn port() -> Port {
        fixtures::install_crypto();
        let cluster = FakeCluster::start().await;
        let (admission, ready) = watch::channel(false);
        let admin = Admin { client: cluster.client(), admission: ready, metrics: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        tokio::spawn(serve(listener, admin, shutdown.clone()));
        Port { url, cluster, admission, _serving: shutdown.drop_guard() }
    }

    impl Port {
        async fn status(&self, path: &str) -> u16 {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let response = client.get(format!("{}{path}", self.url)).send().await.unwrap();
            response.status().as_u16()
        }
    }

    #[tokio::test]
    async fn ready_means_that_admission_is_served_and_the_api_answers() {
        let port = port().await;
        assert_eq!(port.status("/readyz").await, 503);
        port.admission.send_replace(true);
        assert_eq!(port.status("/readyz").await, 503);
        let version = ["major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate"]
            .into_iter()
            .chain(["goVersion", "compiler", "platform"])
            .map(|field| (field, "1"))
            .collect::<std::collections::BTreeMap<_, _>>();
        port.cluster.put("/version", &json!(version));
        assert_eq!(port.status("/readyz").await, 200);
    }

    #[tokio::test]
    async fn whoever_fills_the_port_keeps_no_probe_out() {
        let port = port().await;
        let address = port.url.strip_prefix("http://").unwrap();
        let mut held = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.writable().await.unwrap();
            stream.try_write(b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            stream.readable().await.unwrap();
            held.push(stream);
        }
        let probe = port.status("/livez");
        assert_eq!(timeout(IDLE_TIMEOUT / 2, probe).await.unwrap(), 200);
    }

    #[tokio::test]
    async fn liveness_and_metrics_need_nothing_else() {
        let port = port().await;
        assert_eq!(port.status("/livez").await, 200);
        assert_eq!(port.status("/metrics").await, 200);
        assert_eq!(port.status("/other").await, 404);
    }
}

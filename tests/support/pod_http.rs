//! HTTP to what runs in the cluster, from outside it: plain HTTP through the API server's proxy, TLS through a port forward.
//! Both need nothing but a kubeconfig, so they work on any cluster.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde_json::Value;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::telegram::control::ControlTransport;

/// Calls `path` of a Service (`service` is `name:port`) through the API server's proxy; an empty answer is `null`.
pub async fn call_service(
    client: &Client,
    namespace: &str,
    service: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Value> {
    let uri = format!("/api/v1/namespaces/{namespace}/services/{service}/proxy{path}");
    let mut request = Request::builder().method(method).uri(&uri);
    let body = match body {
        Some(body) => {
            request = request.header(http::header::CONTENT_TYPE, "application/json");
            serde_json::to_vec(body)?
        }
        None => Vec::new(),
    };
    let text =
        client.request_text(request.body(body)?).await.with_context(|| format!("no answer from {uri}"))?;
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("{uri} answered something that is not JSON"))
}

/// The simulator of Telegram in a namespace, behind the Service of its manifest.
#[derive(Clone)]
pub struct ServiceProxy {
    /// Client of the cluster.
    pub client: Client,
    /// The simulator's namespace.
    pub namespace: String,
}

impl ControlTransport for ServiceProxy {
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        call_service(&self.client, &self.namespace, "telegram:http", method, path, body.as_ref()).await
    }
}

/// Text of `path` at a pod's port, through the API server's proxy.
pub async fn get_pod(
    client: &Client,
    namespace: &str,
    pod: &str,
    port: u16,
    path: &str,
) -> anyhow::Result<String> {
    let uri = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}");
    client
        .request_text(Request::get(&uri).body(Vec::new())?)
        .await
        .with_context(|| format!("no answer from {uri}"))
}

/// A TLS client that trusts one authority.
pub fn tls_client(authority_pem: &str) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority_pem.as_bytes()) {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// An HTTPS connection to a pod, through a port forward, that can carry one request after the other.
pub struct PodConnection {
    sender: http1::SendRequest<Full<Bytes>>,
    host: String,
    /// The certificate that the pod showed, DER.
    pub certificate: Vec<u8>,
}

impl PodConnection {
    /// Connects to `port` of a pod as a client of `host` would.
    pub async fn open(
        client: &Client,
        namespace: &str,
        pod: &str,
        port: u16,
        tls: &TlsConnector,
        host: &str,
    ) -> anyhow::Result<Self> {
        let mut forward = Api::<Pod>::namespaced(client.clone(), namespace).portforward(pod, &[port]).await?;
        let stream = forward.take_stream(port).context("the port forward has no stream")?;
        tokio::spawn(async move {
            // ends with the connection; what went wrong shows there
            drop(forward.join().await);
        });
        let stream = tls.connect(ServerName::try_from(host.to_owned())?, stream).await?;
        Self::over(stream, host).await
    }

    async fn over<S>(stream: TlsStream<S>, host: &str) -> anyhow::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some([certificate, ..]) = stream.get_ref().1.peer_certificates() else {
            bail!("{host} showed no certificate")
        };
        let certificate = certificate.to_vec();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, host: host.to_owned(), certificate })
    }

    /// Sends one request and reads the whole answer.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<Response<Bytes>> {
        let mut request = Request::builder().method(method).uri(path).header(http::header::HOST, &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Full::new(body.to_owned().into()))?).await?;
        let (head, body) = response.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }
}

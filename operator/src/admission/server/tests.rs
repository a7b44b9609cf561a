use std::{convert::Infallible, net::SocketAddr, str::FromStr as _};

use hyper::client::conn::http1 as client;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use telegram_webhook_crds::TelegramWebhook;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::Instant,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;
use crate::{
    admission::{
        certs::{Authority, Leaf},
        inject::Images,
        keeper::ServingCertificate,
        tls,
    },
    server::DRAIN_TIMEOUT,
};

const NAME: &str = "admission.operators.svc";

/// No resources anywhere: every pod is denied.
struct Nothing;

impl LookUp for Nothing {
    type Error = Infallible;

    async fn webhooks(&self, _: &str) -> Result<Vec<TelegramWebhook>, Infallible> {
        Ok(Vec::new())
    }
}

struct Server {
    address: SocketAddr,
    certificate: Arc<ServingCertificate>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

async fn start() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let certificate = Arc::new(ServingCertificate::default());
    let shutdown = CancellationToken::new();
    let images = Images { injected: "sidecar:1".to_owned(), mirrors: Vec::new() };
    let reviewer = Reviewer { lookup: Nothing, images };
    // another test may have been first
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let task = tokio::spawn(serve(listener, tls(Arc::clone(&certificate)), reviewer, shutdown.clone()));
    Server { address, certificate, shutdown, task }
}

fn authority() -> Authority {
    Authority::generate(jiff::Timestamp::now()).unwrap()
}

fn leaf(authority: &Authority) -> Leaf {
    authority.sign_leaf(&[NAME.to_owned()], jiff::Timestamp::now()).unwrap()
}

/// Connects as an API server does whose `caBundle` is `authority`'s.
async fn connect(
    server: &Server,
    authority: &Authority,
) -> std::io::Result<client::SendRequest<Full<Bytes>>> {
    let stream = shake_hands(server, authority).await?;
    let (sender, connection) = client::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    Ok(sender)
}

async fn shake_hands(server: &Server, authority: &Authority) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority.bundle(jiff::Timestamp::now()).as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(server.address).await?;
    let name = ServerName::try_from(NAME).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn send(
    connection: &mut client::SendRequest<Full<Bytes>>,
    method: &str,
    path: &str,
    body: impl Into<Bytes>,
) -> (StatusCode, Bytes) {
    let request = Request::builder()
        .method(Method::from_str(method).unwrap())
        .uri(path)
        .header(header::HOST, NAME)
        .body(Full::new(body.into()))
        .unwrap();
    let response = connection.send_request(request).await.unwrap();
    (response.status(), response.into_body().collect().await.unwrap().to_bytes())
}

fn review() -> String {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "crm",
            "operation": "CREATE",
            "userInfo": {},
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"labels": {"telegram-webhook.dev/inject": "true"}},
                "spec": {"containers": []},
            },
        },
    })
    .to_string()
}

#[tokio::test]
async fn a_review_over_tls_is_answered() {
    let server = start().await;
    let authority = authority();
    server.certificate.set(&leaf(&authority));
    let mut connection = connect(&server, &authority).await.unwrap();
    let (status, body) = send(&mut connection, "POST", "/inject?timeout=5s", review()).await;
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["response"]["uid"], "1");
    assert_eq!(answer["response"]["allowed"], false);
    assert_eq!(answer["response"]["status"]["code"], 403);
}

#[tokio::test]
async fn what_is_no_review_is_refused_and_gives_its_place_back() {
    let server = start().await;
    let authority = authority();
    server.certificate.set(&leaf(&authority));
    let many = format!("[{}]", "[],".repeat(MAX_VALUES));
    let large = vec![b' '; MAX_BODY_BYTES as usize + 1];
    for (method, path, body, expected) in [
        ("POST", "/", Bytes::from(review()), 404),
        ("GET", "/inject", Bytes::new(), 405),
        ("POST", "/inject", Bytes::from("{}"), 400),
        ("POST", "/inject", Bytes::from(many), 413),
        ("POST", "/inject", Bytes::from(large), 413),
    ] {
        let mut connection = connect(&server, &authority).await.unwrap();
        assert_eq!(send(&mut connection, method, path, body).await.0, expected);
        assert!(connection.ready().await.unwrap_err().is_closed(), "{expected}");
    }
}

#[tokio::test]
async fn whoever_fills_the_port_without_a_review_keeps_no_review_out() {
    let server = start().await;
    let authority = authority();
    server.certificate.set(&leaf(&authority));
    let mut known = connect(&server, &authority).await.unwrap();
    assert_eq!(send(&mut known, "POST", INJECT_PATH, review()).await.0, 200);
    let mut held = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        held.push(shake_hands(&server, &authority).await.unwrap());
    }
    // an API server that is known stays, and another one is let in
    let mut other = connect(&server, &authority).await.unwrap();
    for connection in [&mut known, &mut other] {
        assert_eq!(send(connection, "POST", INJECT_PATH, review()).await.0, 200);
    }
}

#[tokio::test]
async fn a_new_certificate_is_served_without_a_restart() {
    let server = start().await;
    let (old, new) = (authority(), authority());
    connect(&server, &old).await.unwrap_err();
    server.certificate.set(&leaf(&old));
    let mut kept = connect(&server, &old).await.unwrap();
    server.certificate.set(&leaf(&new));
    connect(&server, &old).await.unwrap_err();
    let mut fresh = connect(&server, &new).await.unwrap();
    // the connection from before goes on
    for connection in [&mut kept, &mut fresh] {
        assert_eq!(send(connection, "POST", "/inject", review()).await.0, 200);
    }
}

#[tokio::test]
async fn shutdown_ends_the_server_and_idle_connections() {
    let server = start().await;
    let authority = authority();
    server.certificate.set(&leaf(&authority));
    let mut connection = connect(&server, &authority).await.unwrap();
    send(&mut connection, "POST", "/inject", review()).await;
    server.shutdown.cancel();
    timeout(DRAIN_TIMEOUT, server.task).await.unwrap().unwrap();
    assert!(connect(&Server { task: tokio::spawn(async {}), ..server }, &authority).await.is_err());
}

#[tokio::test]
async fn a_connection_that_never_asked_anything_does_not_hold_up_the_shutdown() {
    let server = start().await;
    let authority = authority();
    server.certificate.set(&leaf(&authority));
    // API servers open more connections than they come to use
    let unused = connect(&server, &authority).await.unwrap();
    // once this one has an answer, the server has long seen the other
    let mut used = connect(&server, &authority).await.unwrap();
    send(&mut used, "POST", "/inject", review()).await;
    server.shutdown.cancel();
    timeout(DRAIN_TIMEOUT / 2, server.task).await.unwrap().unwrap();
    drop(unused);
}

#[tokio::test(start_paused = true)]
async fn large_bodies_are_bounded_and_small_reviews_wait_for_none_of_them() {
    let server = start().await;
    let authority = authority();
    server.certificate.set(&leaf(&authority));
    let head =
        format!("POST {INJECT_PATH} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {MAX_BODY_BYTES}\r\n\r\n");
    let started = Instant::now();
    let mut stalled = Vec::new();
    for fits in [true, true, false] {
        let mut stream = shake_hands(&server, &authority).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut connection = connect(&server, &authority).await.unwrap();
        assert_eq!(send(&mut connection, "POST", INJECT_PATH, review()).await.0, 200);
        if fits {
            stalled.push(stream);
        } else {
            let mut status = [0; "HTTP/1.1 503".len()];
            stream.read_exact(&mut status).await.unwrap();
            assert_eq!(&status, b"HTTP/1.1 503");
        }
    }
    assert!(started.elapsed() < BODY_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn small_reviews_wait_for_room_in_memory() {
    let server = start().await;
    let authority = authority();
    server.certificate.set(&leaf(&authority));
    let head =
        format!("POST {INJECT_PATH} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {MAX_WAITING_BYTES}\r\n\r\n");
    let mut stalled = Vec::new();
    for _ in 0..MAX_BODY_BYTES_TOGETHER / MAX_WAITING_BYTES as usize {
        let mut stream = shake_hands(&server, &authority).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stalled.push(stream);
    }
    let mut connection = connect(&server, &authority).await.unwrap();
    let started = Instant::now();
    assert_eq!(send(&mut connection, "POST", INJECT_PATH, review()).await.0, 200);
    assert!(started.elapsed() + Duration::from_millis(100) >= BODY_TIMEOUT, "{:?}", started.elapsed());
}

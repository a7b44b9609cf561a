//! Deliveries over real sockets and real TLS: the request byte for byte, SNI, and what the client trusts.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use telegram_webhook_tests::telegram::{
    Options, Simulator,
    arguments::Arguments,
    bot::Bot,
    control::{Enqueue, RawUpdate},
    methods::Reaction,
    record::{Delivery, Outcome},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::LazyConfigAcceptor;

use crate::{
    bench::{TOKEN, install_crypto},
    script::{Action, End, Script},
};

/// What a client said before its certificate was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hello {
    server_name: Option<String>,
    alpn: bool,
}

struct Server {
    script: Arc<Script>,
    port: u16,
    hellos: Arc<std::sync::Mutex<Vec<Hello>>>,
    /// Whether TLS was ended by `Action::CloseTlsOnly`, and what lets that connection close its TCP too.
    tls_ended: Arc<AtomicBool>,
    release: Option<oneshot::Sender<()>>,
}

async fn serve(config: ServerConfig, script: Arc<Script>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hellos = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (release, released) = oneshot::channel();
    let tls_ended = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&tls_ended);
    let (known, config, serving) = (Arc::clone(&hellos), Arc::new(config), Arc::clone(&script));
    tokio::spawn(async move {
        let mut released = Some(released);
        while let Ok((tcp, _)) = listener.accept().await {
            tcp.set_nodelay(true).unwrap();
            let Ok(start) = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), tcp).await else {
                continue;
            };
            known.lock().unwrap().push(Hello {
                server_name: start.client_hello().server_name().map(str::to_owned),
                alpn: start.client_hello().alpn().is_some(),
            });
            let Ok(mut stream) = start.into_stream(Arc::clone(&config)).await else {
                continue;
            };
            let script = Arc::clone(&serving);
            let (released, ended) = (released.take(), Arc::clone(&ended));
            tokio::spawn(async move {
                match script.serve(&mut stream).await {
                    Ok(End::Reset) => stream.get_ref().0.set_zero_linger().unwrap(),
                    Ok(End::TlsOnly) => {
                        stream.get_mut().1.send_close_notify();
                        stream.flush().await.unwrap();
                        ended.store(true, Ordering::SeqCst);
                        released.expect("one such connection").await.ok();
                    }
                    Ok(End::Closed) | Err(_) => {}
                }
            });
        }
    });
    Server { script, port, hellos, tls_ended, release: Some(release) }
}

/// An authority, and a server's certificate signed by it.
struct Pki {
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { ca: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn server(&self, name: &str) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.ca).unwrap();
        server_config(certificate.der().to_vec(), &key)
    }
}

fn server_config(certificate: Vec<u8>, key: &KeyPair) -> ServerConfig {
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap()
}

/// A simulator that trusts this PEM.
fn simulator(trusted: &str) -> (Simulator, Arc<Bot>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(trusted.as_bytes()).unwrap();
    let simulator =
        Simulator::new(Options { local: true, ca_file: Some(file.path().to_owned()), ..Options::default() })
            .unwrap();
    let bot = simulator.add_bot(TOKEN, None).unwrap();
    (simulator, bot)
}

async fn set(simulator: &Simulator, port: u16, certificate: Option<String>) {
    let url = format!("https://localhost:{port}/hook/abc");
    let mut arguments = Arguments::from_pairs([("url", url.as_str()), ("secret_token", "sEcReT_-1")]);
    if let Some(pem) = certificate {
        arguments.add_file("certificate", pem);
    }
    let Reaction::Answer(answer) = simulator.call_with(TOKEN, "setWebhook", &arguments).await else {
        panic!("no answer");
    };
    assert_eq!(answer.description(), "Webhook was set");
}

fn delivery(bot: &Bot, id: i64) -> Delivery {
    bot.lock().record.deliveries[&id].clone()
}

async fn until(condition: impl Fn() -> bool) {
    let found = tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    });
    found.await.expect("the condition holds within ten seconds");
}

/// So many round trips over a connection of its own.
async fn exchange_bytes(rounds: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (mut near, mut far) = (near.unwrap(), far.unwrap().0);
    for _ in 0..rounds {
        near.write_all(b"x").await.unwrap();
        far.read_u8().await.unwrap();
        far.write_all(b"x").await.unwrap();
        near.read_u8().await.unwrap();
    }
}

async fn first_error(bot: &Bot, id: i64) -> String {
    let error = || delivery(bot, id).attempts.first().and_then(|attempt| attempt.error.clone());
    until(|| error().is_some()).await;
    error().unwrap_or_default()
}

const CERTIFICATE_ERROR: &str = "SSL error {error:0A000086:SSL routines::certificate verify failed}";

#[tokio::test]
async fn observed_the_request_is_byte_for_byte_telegrams_with_the_host_as_sni_and_no_alpn() {
    install_crypto();
    let pki = Pki::new();
    let server = serve(pki.server("localhost"), Script::new(|_| Action::ok())).await;
    let (simulator, bot) = simulator(&pki.ca.pem());
    set(&simulator, server.port, None).await;
    bot.lock().queue.set_next_id(700_000_000);
    let updates = Enqueue {
        raw: Some(RawUpdate {
            kind: "message".to_owned(),
            value: r#"{"message_id":1,"chat":{"id":-1,"type":"supergroup"},"date":1,"text":"hi"}"#.to_owned(),
            value_hex: None,
            lane: -1,
            life_seconds: 100,
        }),
        ..Enqueue::default()
    };
    let id = simulator.enqueue(&bot, &updates).unwrap().update_ids[0];
    until(|| delivery(&bot, id).outcome == Outcome::Delivered).await;
    let request = server.script.received()[0].clone();
    let expected = format!(
        "POST /hook/abc HTTP/1.1\r\nHost: localhost:{}\r\nX-Telegram-Bot-Api-Secret-Token: sEcReT_-1\r\n\
         Content-Type: application/json\r\nContent-Length: 109\r\nConnection: keep-alive\r\n\
         Accept-Encoding: gzip, deflate",
        server.port
    );
    assert_eq!(request.head, expected);
    let body = "{\"update_id\":700000000,\n\"message\":{\"message_id\":1,\"chat\":{\"id\":-1,\"type\":\"supergroup\"},\
                \"date\":1,\"text\":\"hi\"}}";
    assert_eq!(String::from_utf8(request.body).unwrap(), body);
    let hello = Hello { server_name: Some("localhost".to_owned()), alpn: false };
    assert_eq!(server.hellos.lock().unwrap()[0], hello);
}

#[tokio::test]
async fn fact_3_3_an_unknown_authority_or_another_name_is_a_failure_with_an_ssl_error() {
    install_crypto();
    let (known, unknown) = (Pki::new(), Pki::new());
    for config in [unknown.server("localhost"), known.server("elsewhere.example.com")] {
        let server = serve(config, Script::new(|_| Action::ok())).await;
        let (simulator, bot) = simulator(&known.ca.pem());
        set(&simulator, server.port, None).await;
        let id = simulator.enqueue(&bot, &Enqueue::default()).unwrap().update_ids[0];
        assert_eq!(first_error(&bot, id).await, CERTIFICATE_ERROR);
        assert!(server.script.received().is_empty(), "nothing was sent");
        let Reaction::Answer(info) = simulator.call(TOKEN, "getWebhookInfo", &[]).await else {
            panic!("no answer");
        };
        assert_eq!(info.json()["result"]["last_error_message"], CERTIFICATE_ERROR);
    }
}

/// A self-signed certificate, marked as an authority as OpenSSL makes them or not.
fn self_signed(name: &str, authority: bool) -> (ServerConfig, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = params.self_signed(&key).unwrap();
    (server_config(certificate.der().to_vec(), &key), certificate.pem())
}

#[tokio::test]
async fn fact_3_3_an_uploaded_self_signed_certificate_is_trusted() {
    install_crypto();
    for authority in [true, false] {
        let (config, pem) = self_signed("localhost", authority);
        let server = serve(config, Script::new(|_| Action::ok())).await;
        let (simulator, bot) = simulator(&Pki::new().ca.pem());
        set(&simulator, server.port, Some(pem)).await;
        let id = simulator.enqueue(&bot, &Enqueue::default()).unwrap().update_ids[0];
        until(|| delivery(&bot, id).outcome == Outcome::Delivered).await;
    }
}

#[tokio::test]
async fn fact_3_3_an_uploaded_certificate_for_another_name_is_a_failure() {
    install_crypto();
    let (config, pem) = self_signed("elsewhere.example.com", true);
    let server = serve(config, Script::new(|_| Action::ok())).await;
    let (simulator, bot) = simulator(&Pki::new().ca.pem());
    set(&simulator, server.port, Some(pem)).await;
    let id = simulator.enqueue(&bot, &Enqueue::default()).unwrap().update_ids[0];
    assert_eq!(first_error(&bot, id).await, CERTIFICATE_ERROR);
}

#[tokio::test]
async fn fact_3_3_with_an_uploaded_certificate_nothing_else_is_trusted() {
    install_crypto();
    let pki = Pki::new();
    let server = serve(pki.server("localhost"), Script::new(|_| Action::ok())).await;
    let (simulator, bot) = simulator(&pki.ca.pem());
    let (_, another) = self_signed("localhost", true);
    set(&simulator, server.port, Some(another)).await;
    let id = simulator.enqueue(&bot, &Enqueue::default()).unwrap().update_ids[0];
    assert_eq!(first_error(&bot, id).await, CERTIFICATE_ERROR);
}

#[tokio::test]
async fn fact_2_a_reset_and_a_refused_connection_show_the_systems_text() {
    install_crypto();
    let pki = Pki::new();
    let server = serve(pki.server("localhost"), Script::new(|_| Action::Reset)).await;
    let (reset, bot) = simulator(&pki.ca.pem());
    set(&reset, server.port, None).await;
    let id = reset.enqueue(&bot, &Enqueue::default()).unwrap().update_ids[0];
    assert_eq!(first_error(&bot, id).await, "Connection reset by peer");

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let (refused, bot) = simulator(&pki.ca.pem());
    set(&refused, port, None).await;
    let id = refused.enqueue(&bot, &Enqueue::default()).unwrap().update_ids[0];
    assert_eq!(first_error(&bot, id).await, "Connection refused");
}

#[tokio::test]
async fn observed_a_tls_close_is_not_noticed_until_tcp_is_closed_too() {
    install_crypto();
    let pki = Pki::new();
    let script = Script::new(|request| if request.chat == 5 { Action::CloseTlsOnly } else { Action::ok() });
    let mut server = serve(pki.server("localhost"), script).await;
    let (simulator, bot) = simulator(&pki.ca.pem());
    set(&simulator, server.port, None).await;
    let enqueue = |chat| {
        let updates = Enqueue { chats: vec![chat], ..Enqueue::default() };
        simulator.enqueue(&bot, &updates).unwrap().update_ids[0]
    };
    let id = enqueue(5);
    until(|| server.tls_ended.load(Ordering::SeqCst)).await;
    // it lies in the client's socket, before which the runtime hears of no later byte
    exchange_bytes(50).await;
    assert!(delivery(&bot, id).attempts[0].finished_at.is_none(), "not noticed");
    server.release.take().unwrap().send(()).unwrap();
    assert_eq!(first_error(&bot, id).await, "Webhook connection closed");
}

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, duplex},
    sync::Semaphore,
    time::Instant,
};

use super::{
    connection::{HANDSHAKE_TIMEOUT, MAX_BUFFER, MAX_HEAD, MAX_INTRODUCTIONS},
    *,
};
use crate::test_util::{policy, raw_config};

const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// Answers 200, once it may.
struct Ok200 {
    may_answer: Arc<Semaphore>,
    turned: Option<Turned>,
    arrival: Arrival,
}

impl Ok200 {
    fn at_once() -> Self {
        Self {
            may_answer: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            turned: None,
            arrival: Arrival::Client,
        }
    }
}

impl Handler for Ok200 {
    fn arrival(&self, _: IpAddr) -> Arrival {
        self.arrival
    }

    fn admits(&self, _: IpAddr) -> Result<Standing, Turned> {
        self.turned.map_or(Ok(Standing::Listed), Err)
    }

    fn max_connections(&self) -> usize {
        1
    }

    async fn handle(&self, peer: &Peer, _: Request<Incoming>) -> Response<Full<Bytes>> {
        peer.prove();
        self.may_answer.acquire().await.unwrap().forget();
        Response::new(Full::default())
    }
}

/// The client's end of a connection that is served in memory.
fn connection() -> DuplexStream {
    let (ours, theirs) = duplex(MAX_BUFFER);
    let shared = Shared {
        tls: None,
        handler: Ok200::at_once(),
        idle_timeout: IDLE_TIMEOUT,
        metrics: None,
        handshakes: Handshakes::default(),
        introductions: Arc::default(),
        places: Arc::default(),
        dropped: crate::audit::DroppedConnections::default(),
        stop: CancellationToken::new(),
    };
    let peer = Peer::new((Ipv4Addr::LOCALHOST, 1).into());
    tokio::spawn(async move { shared.http(ours, &peer).await });
    theirs
}

async fn server(tls: Option<TlsAcceptor>, metrics: &Metrics) -> (SocketAddr, Server<Ok200>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server {
        listener,
        tls,
        handler: Ok200::at_once(),
        idle_timeout: IDLE_TIMEOUT,
        metrics: Some(metrics.clone()),
    };
    (address, server)
}

/// Sends a request and reads the head of its answer, which is all of it.
async fn ask<IO: AsyncRead + AsyncWrite + Unpin>(io: &mut IO) -> String {
    io.write_all(REQUEST).await.unwrap();
    answer(io).await
}

async fn answer<IO: AsyncRead + Unpin>(io: &mut IO) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        assert_ne!(io.read_buf(&mut answer).await.unwrap(), 0, "{answer:?}");
    }
    String::from_utf8(answer).unwrap()
}

async fn seconds_until_closed<IO: AsyncRead + Unpin>(mut io: IO) -> u64 {
    let started = Instant::now();
    let mut rest = Vec::new();
    io.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
    started.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_is_closed_after_its_time() {
    assert_eq!(seconds_until_closed(connection()).await, 75);
}

#[tokio::test(start_paused = true)]
async fn a_connection_between_requests_is_kept_and_then_closed_after_its_time() {
    let mut connection = connection();
    for _ in 0..3 {
        assert!(ask(&mut connection).await.starts_with("HTTP/1.1 200 OK\r\n"));
        sleep(Duration::from_secs(61)).await;
    }
    assert_eq!(seconds_until_closed(connection).await, 75 - 61);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_is_cut_off() {
    let mut connection = connection();
    let started = Instant::now();
    // a byte a second, as long as it is let
    while connection.write_all(b"G").await.is_ok() {
        sleep(Duration::from_secs(1)).await;
        assert!(started.elapsed() < IDLE_TIMEOUT, "as long as an idle connection");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let mut connection = connection();
    let head = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(MAX_HEAD));
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(answer.contains("content-length: 0\r\n"), "{answer}");
}

#[tokio::test]
async fn a_connection_that_has_proven_nothing_gives_way_and_is_counted() {
    let metrics = Metrics::new();
    let (address, server) = server(None, &metrics).await;
    tokio::spawn(server.run(CancellationToken::new()));
    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.write_all(b"GET /").await.unwrap();
    let mut newer = TcpStream::connect(address).await.unwrap();
    ask(&mut newer).await;
    // without an answer: closed, or reset as it was saying something
    assert_eq!(silent.read(&mut [0]).await.unwrap_or_default(), 0);
    assert!(metrics.encode().unwrap().contains("connections_ended_total{outcome=\"evicted\"} 1\n"));
}

#[tokio::test]
async fn a_connection_too_many_is_closed_and_counted_until_another_ends() {
    let metrics = Metrics::new();
    let (address, server) = server(None, &metrics).await;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server.run(stop.clone()));

    let mut first = TcpStream::connect(address).await.unwrap();
    ask(&mut first).await;
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(second.read(&mut [0]).await.unwrap(), 0);
    assert!(metrics.encode().unwrap().contains("connections_ended_total{outcome=\"over_limit\"} 1\n"));

    drop(first);
    while !metrics.encode().unwrap().contains("sidecar_connections 0\n") {
        tokio::task::yield_now().await;
    }
    // the permit is given back in the same breath as the count
    let mut third = TcpStream::connect(address).await.unwrap();
    ask(&mut third).await;
    drop(third);
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn a_stopped_server_refuses_new_connections_and_ends_with_the_last_answer() {
    let metrics = Metrics::new();
    let (address, mut server) = server(None, &metrics).await;
    let may_answer = Arc::new(Semaphore::new(0));
    server.handler.may_answer = Arc::clone(&may_answer);
    let stop = CancellationToken::new();
    let mut serving = tokio::spawn(server.run(stop.clone()));
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(REQUEST).await.unwrap();
    while !metrics.encode().unwrap().contains("sidecar_connections 1\n") {
        tokio::task::yield_now().await;
    }

    stop.cancel();
    while TcpStream::connect(address).await.is_ok() {}
    assert!(futures::poll!(&mut serving).is_pending());
    may_answer.add_permits(1);
    let answer = answer(&mut busy).await;
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    drop(busy);
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_shakes_hands_is_left() {
    let metrics = Metrics::new();
    let config = tls::server_config(policy(&[raw_config("a")])).unwrap();
    let (address, server) = server(Some(TlsAcceptor::from(Arc::new(config))), &metrics).await;
    tokio::spawn(server.run(CancellationToken::new()));
    let silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(seconds_until_closed(silent).await, HANDSHAKE_TIMEOUT.as_secs());
    let ended = metrics.encode().unwrap();
    assert!(ended.contains("connections_ended_total{outcome=\"handshake_timeout\"} 1\n"), "{ended}");
}

#[tokio::test]
async fn who_is_turned_away_is_closed_before_a_word_and_counted() {
    for (turned, arrival, outcome) in [
        (Some(Turned::Banned), Arrival::Client, "banned"),
        (Some(Turned::Unlisted), Arrival::Client, "unlisted"),
        (None, Arrival::Untrusted, "untrusted_proxy"),
    ] {
        let metrics = Metrics::new();
        let (address, mut server) = server(None, &metrics).await;
        server.handler.turned = turned;
        server.handler.arrival = arrival;
        tokio::spawn(server.run(CancellationToken::new()));
        let mut connection = TcpStream::connect(address).await.unwrap();
        assert_eq!(connection.read(&mut [0]).await.unwrap_or_default(), 0);
        let ended = metrics.encode().unwrap();
        assert!(ended.contains(&format!("connections_ended_total{{outcome=\"{outcome}\"}} 1\n")), "{ended}");
    }
}

#[tokio::test]
async fn connections_without_a_clients_name_take_no_place_and_the_oldest_of_too_many_gives_way() {
    const ANNOUNCEMENT: &[u8] = b"PROXY TCP4 203.0.113.9 127.0.0.1 1 443\r\n";
    let metrics = Metrics::new();
    let (address, mut server) = server(None, &metrics).await;
    server.handler.arrival = Arrival::Announced;
    tokio::spawn(server.run(CancellationToken::new()));
    // there is one place
    let mut served = TcpStream::connect(address).await.unwrap();
    served.write_all(ANNOUNCEMENT).await.unwrap();
    ask(&mut served).await;
    let mut silent = Vec::new();
    for _ in 0..=MAX_INTRODUCTIONS {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    assert_eq!(silent[0].read(&mut [0]).await.unwrap_or_default(), 0);
    assert!(metrics.encode().unwrap().contains("connections_ended_total{outcome=\"evicted\"} 1\n"));
    ask(&mut served).await;
    // who is named asks for a place, and there is none
    silent[1].write_all(ANNOUNCEMENT).await.unwrap();
    assert_eq!(silent[1].read(&mut [0]).await.unwrap_or_default(), 0);
    assert!(metrics.encode().unwrap().contains("connections_ended_total{outcome=\"over_limit\"} 1\n"));
    drop(served);
    while !metrics.encode().unwrap().contains("connections_ended_total{outcome=\"closed\"} 1\n") {
        tokio::task::yield_now().await;
    }
    silent[2].write_all(ANNOUNCEMENT).await.unwrap();
    ask(&mut silent[2]).await;
}

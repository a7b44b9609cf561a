//! The CRM of every system: takes whatever it is sent and answers 200. A GET is answered with how many updates it has taken.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

pub async fn run() -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?.port());
    let taken = Arc::new(AtomicU64::new(0));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let taken = Arc::clone(&taken);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(&taken, request));
            // a proxy that goes away is no news
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(taken: &AtomicU64, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        return Ok(Response::new(Full::new(taken.load(Ordering::Relaxed).to_string().into())));
    }
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    taken.fetch_add(1, Ordering::Relaxed);
    Ok(Response::new(Full::default()))
}

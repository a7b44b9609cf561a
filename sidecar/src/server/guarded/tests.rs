use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    time::Instant,
};

use super::*;

fn guarded(secure: bool) -> (Guarded<DuplexStream>, Progress, DuplexStream) {
    let (ours, theirs) = duplex(1024);
    let progress = Progress::default();
    (Guarded::new(ours, progress.clone(), secure), progress, theirs)
}

/// What comes out for parts that are written one after the other.
async fn written(secure: bool, parts: &[&str]) -> String {
    let (mut io, _, mut theirs) = guarded(secure);
    for part in parts {
        io.write_all(part.as_bytes()).await.unwrap();
    }
    drop(io);
    let mut out = String::new();
    theirs.read_to_string(&mut out).await.unwrap();
    out
}

#[tokio::test]
async fn a_refusal_without_the_headers_gets_them_and_nothing_else_changes() {
    let refusal = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
    let amended = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nstrict-transport-security: max-age=31536000\r\nx-content-type-options: nosniff\r\n\r\n";
    assert_eq!(written(true, &[refusal, refusal]).await, amended.repeat(2));
    assert_eq!(written(false, &[refusal]).await, refusal);
    for other in ["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", amended, "HTTP/1.1 400 Bad Request\r\n"] {
        assert_eq!(written(true, &[other]).await, other);
    }
}

#[tokio::test]
async fn an_amended_refusal_goes_out_whole_however_slowly_it_is_taken() {
    let (ours, mut theirs) = duplex(7);
    let mut io = Guarded::new(ours, Progress::default(), true);
    let writing = tokio::spawn(async move {
        let refusal = [IoSlice::new(b""), IoSlice::new(b"HTTP/1.1 431 x\r\n\r\n")];
        assert_eq!(io.write_vectored(&refusal).await.unwrap(), refusal[1].len());
    });
    let mut out = String::new();
    theirs.read_to_string(&mut out).await.unwrap();
    writing.await.unwrap();
    assert_eq!(out, format!("HTTP/1.1 431 x\r\n{}", str::from_utf8(SECURE_END).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn the_time_for_a_head_runs_from_its_first_byte_to_its_request() {
    let (mut io, progress, mut theirs) = guarded(true);
    let mut byte = [0];
    // idle
    assert!(tokio::time::timeout(HEAD_TIMEOUT * 5, io.read(&mut byte)).await.is_err());
    theirs.write_all(b"P").await.unwrap();
    io.read_exact(&mut byte).await.unwrap();
    // the handler waits for a body
    progress.request_began();
    assert!(tokio::time::timeout(HEAD_TIMEOUT * 5, io.read(&mut byte)).await.is_err());
    theirs.write_all(b"{").await.unwrap();
    io.read_exact(&mut byte).await.unwrap();
    assert!(tokio::time::timeout(HEAD_TIMEOUT * 5, io.read(&mut byte)).await.is_err());
    progress.request_ended();
    assert!(tokio::time::timeout(HEAD_TIMEOUT * 5, io.read(&mut byte)).await.is_err());

    let started = Instant::now();
    let sending = tokio::spawn(async move {
        // each byte in time, but too many of them
        while theirs.write_all(b"G").await.is_ok() {
            sleep(Duration::from_millis(300)).await;
        }
    });
    let error = loop {
        if let Err(error) = io.read_exact(&mut byte).await {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(started.elapsed().as_secs(), HEAD_TIMEOUT.as_secs());
    drop(io);
    sending.await.unwrap();
}

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;

/// What comes out for parts that are written one after the other.
async fn written(secure: bool, parts: &[&str]) -> String {
    let (ours, mut theirs) = duplex(1024);
    let mut io = Guarded::new(ours, Progress::default(), secure);
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

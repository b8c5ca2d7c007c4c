//! A head that drips in is ended, and nobody else is.

use http_body_util::combinators::MapErr;
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::wire::{Shown, Socket};

/// Bound of every wait: only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(20);

type Bytewise = MapErr<Full<Bytes>, fn(std::convert::Infallible) -> Broken>;

async fn echo(request: Request<Incoming>) -> Result<Response<Bytewise>, WireError> {
    let body = request.into_body().collect().await?.to_bytes();
    let never: fn(std::convert::Infallible) -> Broken = |never| match never {};
    Ok(Response::new(Full::new(body).map_err(never)))
}

/// A connection at which heads have no time to come in parts.
async fn impatient() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    tokio::spawn(async move {
        let (_closing, closed) = watch::channel(());
        let (io, control) =
            (Transport::Plain(Socket::new(stream)), WireControl::new(Shown::Nothing));
        drop(serve(io, control, closed, Duration::ZERO, echo).await);
    });
    client
}

/// Sends half a head over a connection of its own, and returns the reply: by then, whoever was there before has had as long.
async fn dripping() -> String {
    let mut client = impatient().await;
    client.write_all(b"GET /v1/models HTTP/1.1\r\nHost:").await.unwrap();
    let mut reply = String::new();
    let reading = client.read_to_string(&mut reply);
    timeout(PATIENCE, reading).await.expect("it is ended").unwrap();
    reply
}

#[tokio::test]
async fn head_that_drips_is_ended() {
    let reply = dripping().await;
    assert!(reply.starts_with("HTTP/1.1 408 Request Timeout\r\nx-surestep: "), "{reply}");
}

#[tokio::test]
async fn who_has_said_nothing_or_sends_a_body_is_not_hurried() {
    let mut client = impatient().await;
    for _ in 0..2 {
        dripping().await;
        client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbo").await.unwrap();
        dripping().await;
        client.write_all(b"dy").await.unwrap();
        let expected = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody";
        let mut reply = vec![0; expected.len()];
        timeout(PATIENCE, client.read_exact(&mut reply)).await.expect("it is answered").unwrap();
        assert_eq!(String::from_utf8_lossy(&reply), expected);
    }
}

//! A beginning that is not whole in time is ended.

use http_body_util::Full;
use http_body_util::combinators::MapErr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::http1::{self, Left, WireError};
use crate::wire::{Socket, Transport};

/// Bound of every wait: only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(20);

type Bytewise = MapErr<Full<Bytes>, fn(std::convert::Infallible) -> Broken>;

fn never() -> std::future::Ready<Result<Response<Bytewise>, WireError>> {
    std::future::ready(Err(WireError::Ended))
}

/// A connection at which the beginning of HTTP/2 has no time to come in parts.
async fn impatient() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    tokio::spawn(async move {
        let (_closing, closed) = watch::channel(());
        let control = WireControl::new(Shown::Nothing);
        let io = Transport::Plain(Socket::new(stream));
        let left = http1::serve(io, control.clone(), closed.clone(), PATIENCE, |_| never()).await;
        let Left::Http2(io) = left else { panic!("it is no HTTP/2") };
        serve(io, control, closed, Duration::ZERO, |_, _| never()).await;
    });
    client
}

#[tokio::test]
async fn beginning_that_drips_is_ended() {
    let mut client = impatient().await;
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nS").await.unwrap();
    let mut said = Vec::new();
    let reading = client.read_to_end(&mut said);
    timeout(PATIENCE, reading).await.expect("it is ended").unwrap();
}

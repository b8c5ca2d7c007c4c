//! Bodies of any length, cut in any way, pass between a client and a provider that are not ours: hyper's, and raw sockets that cut bytes where they
//! like. Each over HTTP/1 and HTTP/2, and from the one to the other.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use drill::ports::{Tap as _, TapPort as _};
use futures_util::future::join_all;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use judge::Stimulus;
use proptest::prelude::*;
use support::secured::Secured;
use support::{ask, open, soon};
use tap::ListeningPort;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};

/// A body and how it is sent.
#[derive(Clone, Debug)]
struct Sent {
    pieces: Vec<Vec<u8>>,
    /// With its length, or in chunks.
    has_length: bool,
    has_trailers: bool,
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    fn body(&self) -> BoxBody<Bytes, Infallible> {
        if self.has_length {
            return Full::new(Bytes::from(self.bytes())).boxed();
        }
        let mut frames: Vec<Result<Frame<Bytes>, Infallible>> =
            self.pieces.iter().map(|piece| Ok(Frame::data(Bytes::from(piece.clone())))).collect();
        if self.has_trailers {
            frames.push(Ok(Frame::trailers(trailers())));
        }
        StreamBody::new(stream::iter(frames)).boxed()
    }

    /// Returns what is to come of it at the other end.
    fn expected(&self) -> (Vec<u8>, Option<HeaderMap>) {
        (self.bytes(), (self.has_trailers && !self.has_length).then(trailers))
    }
}

fn trailers() -> HeaderMap {
    [(http::HeaderName::from_static("x-sum"), http::HeaderValue::from_static("1"))]
        .into_iter()
        .collect()
}

fn sent() -> impl Strategy<Value = Sent> {
    let short = prop::collection::vec(any::<u8>(), 0..64);
    let long = (any::<u8>(), 0..100_000_usize).prop_map(|(first, length)| {
        (0..=250_u8).cycle().take(length).map(|byte| byte ^ first).collect()
    });
    let piece = prop_oneof![4 => short, 1 => long];
    (prop::collection::vec(piece, 0..8), any::<bool>(), any::<bool>())
        .prop_map(|(pieces, has_length, has_trailers)| Sent { pieces, has_length, has_trailers })
}

/// Pieces that a request is cut into where the test says.
const CUTS_MAX: usize = 400;

/// A call: what goes, and what comes back.
type Call = (Sent, Sent);

/// Holds what comes against its call, and answers it.
async fn answered(
    request: Request<Incoming>,
    calls: Arc<Vec<Call>>,
    armed: bool,
) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::Error> {
    let number: usize = request.uri().query().unwrap().parse().unwrap();
    let (goes, comes) = &calls[number];
    let came = request.into_body().collect().await?;
    let trailers = came.trailers().cloned();
    let (bytes, expected) = goes.expected();
    assert_eq!(came.to_bytes().to_vec(), bytes, "of call {number}");
    // Those of a request that is looked at are not passed on.
    assert!(trailers.is_none() || trailers == expected, "of call {number}");
    assert_eq!(trailers.is_some(), expected.is_some() && !armed, "of call {number}");
    Ok(Response::new(comes.body()))
}

/// Starts a provider made by hyper: it holds what comes against the calls, and answers them in turn.
async fn provider(calls: Arc<Vec<Call>>, armed: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let calls = calls.clone();
            let answer = service_fn(move |request| answered(request, calls.clone(), armed));
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer);
            tokio::spawn(serving);
        }
    });
    address
}

/// Starts a provider made by hyper that speaks HTTP/2, and a port before it.
async fn before_http2(calls: Arc<Vec<Call>>, armed: bool) -> ListeningPort {
    let provider = Secured::start(&["h2"]).await;
    let upstream = provider.upstream();
    let port = support::tap().open(support::spec(upstream)).await.unwrap();
    tokio::spawn(async move {
        let stream = provider.accept().await;
        let answer = service_fn(move |request| answered(request, calls.clone(), armed));
        let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), answer);
        // It ends with the runtime of the test.
        drop(serving.await);
    });
    port
}

/// What is spoken towards the provider where HTTP/2 is spoken towards the tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upstream {
    Http1,
    Http2,
}

/// Makes all the calls at a time, over one connection of HTTP/2.
async fn call_by_streams(calls: Vec<Call>, armed: bool, upstream: Upstream) {
    let calls = Arc::new(calls);
    let port = match upstream {
        Upstream::Http1 => open(provider(calls.clone(), armed).await).await,
        Upstream::Http2 => before_http2(calls.clone(), armed).await,
    };
    if armed {
        port.arm(ask(1, Stimulus::Relay));
    }
    let stream = TcpStream::connect(support::address(&port)).await.unwrap();
    let (client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let calling = calls.iter().enumerate().map(|(number, (goes, comes))| {
        let mut client = client.clone();
        async move {
            let request = Request::post(format!("http://tap/v1/x?{number}"))
                .header("te", "trailers")
                .header("trailer", "x-sum")
                .body(goes.body())
                .unwrap();
            let response = soon("a reply", client.send_request(request)).await.unwrap();
            assert_eq!(response.status(), 200);
            let came = soon("its body", response.into_body().collect()).await.unwrap();
            let trailers = came.trailers().cloned();
            let (bytes, expected) = comes.expected();
            assert_eq!(came.to_bytes().to_vec(), bytes, "call {number}");
            // By HTTP/1 the provider is not told that anybody reads them.
            let expected = expected.filter(|_| upstream == Upstream::Http2);
            assert_eq!(trailers, expected, "call {number}");
        }
    });
    join_all(calling).await;
}

async fn call_by_hyper(calls: Vec<Call>, armed: bool) {
    let calls = Arc::new(calls);
    let port = open(provider(calls.clone(), armed).await).await;
    if armed {
        port.arm(ask(1, Stimulus::Relay));
    }
    let stream = TcpStream::connect(support::address(&port)).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for (number, (goes, comes)) in calls.iter().enumerate() {
        let request = Request::post(format!("/v1/x?{number}"))
            .header("host", "tap")
            .header("te", "trailers")
            .header("trailer", "x-sum")
            .body(goes.body())
            .unwrap();
        let response = soon("a reply", client.send_request(request)).await.unwrap();
        assert_eq!(response.status(), 200);
        let came = soon("its body", response.into_body().collect()).await.unwrap();
        let trailers = came.trailers().cloned();
        assert_eq!(came.to_bytes().to_vec(), comes.bytes(), "call {number}");
        // `te` speaks of one connection: the provider is not told that anybody reads them.
        assert_eq!(trailers, None, "call {number}");
    }
}

/// Sends the same by a raw socket that cuts the bytes where it likes, and reads the replies one by one.
async fn call_by_socket(calls: Vec<Call>, cuts: Vec<usize>) {
    let calls = Arc::new(calls);
    let port = open(provider(calls.clone(), false).await).await;
    let stream = TcpStream::connect(support::address(&port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let mut unread = Vec::new();
    let mut cuts = cuts.into_iter().cycle();
    for (number, (goes, comes)) in calls.iter().enumerate() {
        let bytes = raw_request(number, goes);
        let sending = async {
            let mut rest = bytes.as_slice();
            // A long body in pieces of one byte takes long, and shows nothing that its beginning does not.
            let mut widths = cuts.by_ref().take(CUTS_MAX).chain(std::iter::repeat(8192));
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(widths.next().unwrap_or(1).min(rest.len()));
                writing.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
                rest = after;
            }
        };
        let receiving = soon("a reply", read_reply(&mut reading, &mut unread));
        let ((), came) = tokio::join!(sending, receiving);
        assert_eq!(came, comes.bytes(), "call {number}");
    }
}

/// Reads up to and with `end`.
async fn until(stream: &mut OwnedReadHalf, unread: &mut Vec<u8>, end: &[u8]) -> Vec<u8> {
    loop {
        if let Some(at) = unread.windows(end.len()).position(|window| window == end) {
            let rest = unread.split_off(at + end.len());
            return std::mem::replace(unread, rest);
        }
        assert!(stream.read_buf(unread).await.unwrap() > 0, "the reply is whole");
    }
}

async fn exactly(stream: &mut OwnedReadHalf, unread: &mut Vec<u8>, length: usize) -> Vec<u8> {
    while unread.len() < length {
        assert!(stream.read_buf(unread).await.unwrap() > 0, "the reply is whole");
    }
    let rest = unread.split_off(length);
    std::mem::replace(unread, rest)
}

/// Reads a reply.
async fn read_reply(stream: &mut OwnedReadHalf, unread: &mut Vec<u8>) -> Vec<u8> {
    let head = String::from_utf8(until(stream, unread, b"\r\n\r\n").await).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    if let Some(length) = support::header(&head, "content-length") {
        return exactly(stream, unread, length.parse().unwrap()).await;
    }
    assert_eq!(support::header(&head, "transfer-encoding"), Some("chunked"), "{head}");
    let mut body = Vec::new();
    loop {
        let line = String::from_utf8(until(stream, unread, b"\r\n").await).unwrap();
        let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
        if size == 0 {
            assert_eq!(until(stream, unread, b"\r\n").await, b"\r\n");
            return body;
        }
        body.extend(exactly(stream, unread, size).await);
        assert_eq!(exactly(stream, unread, 2).await, b"\r\n");
    }
}

fn raw_request(number: usize, goes: &Sent) -> Vec<u8> {
    let head = format!("POST /v1/x?{number} HTTP/1.1\r\nHost: tap\r\nTE: trailers\r\n");
    let mut bytes = head.into_bytes();
    if goes.has_length {
        bytes.extend(format!("Content-Length: {}\r\n\r\n", goes.bytes().len()).bytes());
        bytes.extend(goes.bytes());
        return bytes;
    }
    bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
    for piece in goes.pieces.iter().filter(|piece| !piece.is_empty()) {
        bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
        bytes.extend(piece);
        bytes.extend(b"\r\n");
    }
    bytes.extend_from_slice(if goes.has_trailers {
        b"0\r\nx-sum: 1\r\n\r\n"
    } else {
        b"0\r\n\r\n"
    });
    bytes
}

/// Runs something on a runtime of its own.
fn run(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_bodies_pass_between_peers_made_by_others(
        calls in prop::collection::vec((sent(), sent()), 1..5),
        armed in any::<bool>(),
    ) {
        run(call_by_hyper(calls, armed));
    }

    #[test]
    fn any_cuts_pass_from_a_raw_socket(
        calls in prop::collection::vec((sent(), sent()), 1..4),
        cuts in prop::collection::vec(prop_oneof![1..40_usize, 1000..40_000_usize], 1..20),
    ) {
        run(call_by_socket(calls, cuts));
    }

    #[test]
    fn any_bodies_pass_over_streams(
        calls in prop::collection::vec((sent(), sent()), 1..5),
        armed in any::<bool>(),
        upstream in prop_oneof![Just(Upstream::Http1), Just(Upstream::Http2)],
    ) {
        run(call_by_streams(calls, armed, upstream));
    }
}

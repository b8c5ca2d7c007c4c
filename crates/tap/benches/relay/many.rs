//! Ten thousand streams at a time through one core: every one of them gets every event, byte for byte, beside one that nobody reads.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use drill::ports::{PortKind, TapPort as _};
use h2::client::SendRequest;
use http::Request;
use judge::fault::Script;
use judge::{End, Fingerprint};
use tap::{TapConfig, TapServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::peers::Peer;
use crate::provider::{
    FLOOD_EVENTS, GO_ON, MANY_EVENTS, MANY_PACE, Wanted, chunk, numbered_body, numbered_event,
};
use crate::{runtime, settle, spec};

/// Streams at a time by HTTP/2, over this many connections: a hundred over each is what the tap takes.
const BY_HTTP2: usize = 10_000;
const CONNECTIONS: usize = 100;
/// Streams at a time by HTTP/1, each with a connection to the tap and one of it to the provider: what 20,000 open files allow.
const BY_HTTP1: usize = 9_900;
/// Longest time for all of it.
const ALL_MAX: Duration = Duration::from_secs(120);
/// Who watches says what it has seen when nothing has come for so long.
const QUIET: Duration = Duration::from_secs(1);

/// How releases speak.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Http1,
    Http2,
}

/// The tap, with everything that passes watched and told as `surestep tap` does.
pub(crate) fn watch_tap(provider: SocketAddr) {
    runtime().block_on(async {
        let fingerprint =
            |secret: &[u8]| Fingerprint::from_digest(&(secret.len() as u64).to_be_bytes());
        let tap = TapServer::new(TapConfig { fingerprint: std::sync::Arc::new(fingerprint) });
        let spec = spec(PortKind::Reverse { listen: None }, provider);
        let (port, watch, mut told) = tap.watch(spec, Script::relay()).await.unwrap();
        println!("{}", port.way().base_url.trim_start_matches("http://").trim_end_matches("/v1"));
        let (mut n_told, mut n_whole) = (0_usize, 0_usize);
        loop {
            match timeout(QUIET, told.recv()).await {
                Ok(Some(watched)) => {
                    n_told += 1;
                    let (release, provider) =
                        (watched.exchange.release_end, watched.exchange.provider_end);
                    n_whole +=
                        usize::from(release == End::Complete && provider == Some(End::Complete));
                }
                Ok(None) => return,
                Err(_quiet) if n_told > 0 => {
                    println!("{n_told} told, {n_whole} of them whole, {} lost", watch.lost());
                    (n_told, n_whole) = (0, 0);
                }
                Err(_quiet) => {}
            }
        }
    });
}

/// Measures and prints.
pub(crate) fn measure(provider: SocketAddr) {
    println!(
        "streams at a time, {MANY_EVENTS} events of each, one every {} ms; and one that nobody reads",
        MANY_PACE.as_millis()
    );
    println!(
        "| release speaks | streams | all open after s | KiB for each | events/s | CPU µs/event | one core used | tap says |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for by in [By::Http2, By::Http1] {
        carry(by, provider);
    }
    println!();
}

/// Opens all streams, lets them go on, and compares what came.
#[expect(clippy::cast_precision_loss, reason = "counts below a million")]
fn carry(by: By, provider: SocketAddr) {
    let mut peer = Peer::watching(provider);
    settle();
    let idle = peer.memory_kib().0;
    let (name, n_streams) = match by {
        By::Http1 => ("HTTP/1", BY_HTTP1),
        By::Http2 => ("HTTP/2", BY_HTTP2),
    };
    let carrying = async {
        let started = Instant::now();
        let mut streams = JoinSet::new();
        let (slow, first_connection) = flood(by, peer.address()).await;
        open(by, peer.address(), n_streams - 1, first_connection, &mut streams).await;
        while OPEN.load(Ordering::Relaxed) < n_streams - 1 {
            if let Some(ended) = streams.try_join_next() {
                ended.unwrap();
                panic!("a stream ended before it went on");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let opened = started.elapsed();
        let with = peer.memory_kib().0;
        let (cpu, started) = (peer.cpu_nanos(), Instant::now());
        GO_ON.send_modify(|n| *n += 1);
        while let Some(stream) = streams.join_next().await {
            stream.unwrap();
        }
        let (cpu, elapsed) = (peer.cpu_nanos() - cpu, started.elapsed());
        // All others are at their end, and it has not been read.
        slow.read().await;
        (opened, with, cpu, elapsed)
    };
    let (opened, with, cpu, elapsed) =
        runtime().block_on(async { timeout(ALL_MAX, carrying).await.expect("in time") });
    OPEN.store(0, Ordering::Relaxed);
    let n_events = ((n_streams - 1) * (MANY_EVENTS - 1)) as f64;
    println!(
        "| {name} | {n_streams} | {:.1} | {:.1} | {:.0} | {:.1} | {:.0} % | {} |",
        opened.as_secs_f64(),
        with.saturating_sub(idle) as f64 / n_streams as f64,
        n_events / elapsed.as_secs_f64(),
        cpu as f64 / 1000.0 / n_events,
        100.0 * cpu as f64 / elapsed.as_nanos() as f64,
        peer.line().trim(),
    );
}

/// How many streams have had their first event.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// A stream that goes on for ever, unless it is read.
enum Slow {
    Http1(TcpStream),
    Http2(h2::RecvStream),
}

impl Slow {
    /// Reads all of it, and compares.
    async fn read(self) {
        let mut came = Compared::new(chunk_text().repeat(FLOOD_EVENTS - 1) + &last_text());
        match self {
            Self::Http1(mut stream) => {
                let mut chunks = Chunks::default();
                while !chunks.is_over {
                    chunks.read(&mut stream, &mut came).await;
                }
            }
            Self::Http2(mut body) => read_http2(&mut body, &mut came).await,
        }
        came.is_whole();
    }
}

/// An event without its chunk.
fn chunk_text() -> String {
    let chunk = chunk(" word");
    let (_, event) = chunk.split_once("\r\n").unwrap();
    event.trim_end_matches("\r\n").to_owned()
}

fn last_text() -> String {
    numbered_event(0, MANY_EVENTS - 1)
}

type Requests = SendRequest<Bytes>;

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

async fn connect_http2(address: SocketAddr) -> Requests {
    let mut settings = h2::client::Builder::new();
    // There is room beside a stream that nobody reads.
    settings.initial_connection_window_size(16 << 20);
    let (requests, connection) = settings.handshake(connect(address).await).await.unwrap();
    tokio::spawn(connection);
    requests
}

fn request_http1(wanted: Wanted, n: usize) -> String {
    let body = numbered_body(wanted, n);
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: tap\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn call_http2(requests: &Requests, wanted: Wanted, n: usize) -> h2::RecvStream {
    let request = Request::post("http://tap/v1/chat/completions");
    let request = request.header("content-type", "application/json").body(()).unwrap();
    let mut requests = requests.clone().ready().await.unwrap();
    let (response, mut body) = requests.send_request(request, false).unwrap();
    body.send_data(numbered_body(wanted, n).into(), true).unwrap();
    response.await.unwrap().into_body()
}

/// Opens the stream that nobody reads. By HTTP/2 its connection has others on it.
async fn flood(by: By, address: SocketAddr) -> (Slow, Option<Requests>) {
    match by {
        By::Http1 => {
            let mut stream = connect(address).await;
            stream.write_all(request_http1(Wanted::Flood, 0).as_bytes()).await.unwrap();
            (Slow::Http1(stream), None)
        }
        By::Http2 => {
            let requests = connect_http2(address).await;
            let body = call_http2(&requests, Wanted::Flood, 0).await;
            (Slow::Http2(body), Some(requests))
        }
    }
}

async fn open(
    by: By,
    address: SocketAddr,
    n_streams: usize,
    first_connection: Option<Requests>,
    streams: &mut JoinSet<()>,
) {
    let mut connections: Vec<Requests> = first_connection.into_iter().collect();
    for n in 0..n_streams {
        if by == By::Http1 {
            streams.spawn(stream_http1(connect(address).await, n));
            continue;
        }
        // The first one has the stream that nobody reads, and so room for one less.
        let at = (n + 1) % CONNECTIONS;
        if connections.len() <= at {
            connections.push(connect_http2(address).await);
        }
        streams.spawn(stream_http2(connections[at].clone(), n));
    }
}

fn expected(n: usize) -> Compared {
    Compared::new((0..MANY_EVENTS).map(|index| numbered_event(n, index)).collect())
}

async fn stream_http1(mut stream: TcpStream, n: usize) {
    stream.write_all(request_http1(Wanted::Many, n).as_bytes()).await.unwrap();
    let (mut came, mut chunks) = (expected(n), Chunks::default());
    while !chunks.is_over {
        chunks.read(&mut stream, &mut came).await;
        came.count_first();
    }
    came.is_whole();
}

async fn stream_http2(requests: Requests, n: usize) {
    let mut body = call_http2(&requests, Wanted::Many, n).await;
    let mut came = expected(n);
    read_http2(&mut body, &mut came).await;
    came.is_whole();
}

async fn read_http2(body: &mut h2::RecvStream, came: &mut Compared) {
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        came.take(&data);
        came.count_first();
    }
}

/// A text that has to come, and how much of it has.
struct Compared {
    expected: String,
    n_came: usize,
    is_counted: bool,
}

impl Compared {
    fn new(expected: String) -> Self {
        Self { expected, n_came: 0, is_counted: false }
    }

    fn take(&mut self, bytes: &[u8]) {
        let end = self.n_came + bytes.len();
        assert_eq!(self.expected.as_bytes().get(self.n_came..end), Some(bytes), "byte for byte");
        self.n_came = end;
    }

    fn count_first(&mut self) {
        if !self.is_counted && self.n_came > 0 {
            self.is_counted = true;
            OPEN.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_whole(&self) {
        assert_eq!(self.n_came, self.expected.len(), "all of it came");
    }
}

/// Reads a head, and a body in chunks.
#[derive(Default)]
struct Chunks {
    unread: Vec<u8>,
    is_in_body: bool,
    is_over: bool,
}

impl Chunks {
    /// Reads once, and takes what is whole.
    async fn read(&mut self, stream: &mut TcpStream, came: &mut Compared) {
        assert!(stream.read_buf(&mut self.unread).await.unwrap() > 0, "it goes on");
        if !self.is_in_body {
            let Some(end) = memchr::memmem::find(&self.unread, b"\r\n\r\n") else { return };
            assert!(self.unread.starts_with(b"HTTP/1.1 200 "));
            self.unread.drain(..end + 4);
            self.is_in_body = true;
        }
        let mut at = 0;
        while let Some(line) = memchr::memmem::find(&self.unread[at..], b"\r\n") {
            let digits = std::str::from_utf8(&self.unread[at..at + line]).unwrap();
            let length = usize::from_str_radix(digits, 16).unwrap();
            let data = at + line + 2;
            if self.unread.len() < data + length + 2 {
                break;
            }
            came.take(&self.unread[data..data + length]);
            self.is_over = length == 0;
            at = data + length + 2;
        }
        self.unread.drain(..at);
        if self.unread.is_empty() {
            // Thousands of them wait at a time.
            self.unread = Vec::new();
        }
    }
}

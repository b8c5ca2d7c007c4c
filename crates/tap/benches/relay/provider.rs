//! The provider: answers at once, event by event, at a pace, with a stream that stays open, or with streams that go on together.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use judge::Marker;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::runtime;

/// Events of one stream.
pub(crate) const EVENTS: usize = 100;
/// Between two events of a paced stream.
pub(crate) const PACE: Duration = Duration::from_millis(20);

/// Events of one of many streams.
pub(crate) const MANY_EVENTS: usize = 20;
/// Between two of them.
pub(crate) const MANY_PACE: Duration = Duration::from_millis(500);
/// Events of a stream that goes on as fast as it is read: far more than what sockets and the tap hold of it.
pub(crate) const FLOOD_EVENTS: usize = 200_000;

/// Lets the streams go on that wait behind their first event: it counts how often that was done.
pub(crate) static GO_ON: LazyLock<watch::Sender<u64>> = LazyLock::new(|| watch::channel(0).0);

/// What the provider is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A whole reply.
    Unary,
    /// A stream as fast as it goes.
    Stream,
    /// A stream at a pace, its events saying when they were sent.
    Paced,
    /// A stream that stays open behind its first event.
    Held,
    /// One of many streams, each with a text of its own, that go on when all of them are open.
    Many,
    /// A stream as fast as it is read.
    Flood,
}

impl Wanted {
    /// The model that asks for it.
    fn model(self) -> &'static str {
        match self {
            Self::Unary | Self::Stream => "gpt-4o-mini",
            Self::Paced => "paced",
            Self::Held => "held",
            Self::Many => "many",
            Self::Flood => "flood",
        }
    }

    fn read(body: &[u8]) -> Self {
        let has = |text: &str| memchr::memmem::find(body, text.as_bytes()).is_some();
        match () {
            () if has("\"model\":\"paced\"") => Self::Paced,
            () if has("\"model\":\"held\"") => Self::Held,
            () if has("\"model\":\"many\"") => Self::Many,
            () if has("\"model\":\"flood\"") => Self::Flood,
            () if has("\"stream\":true") => Self::Stream,
            () => Self::Unary,
        }
    }
}

/// The request that asks for it.
pub(crate) fn request(wanted: Wanted) -> String {
    let content = format!("[{}] {}", Marker::new(1).as_str(), "Release check. ".repeat(40));
    let body = serde_json::json!({
        "model": wanted.model(), "messages": [{ "role": "user", "content": content }],
        "stream": wanted != Wanted::Unary
    })
    .to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: tap\r\nauthorization: Bearer sk-benchmark\r\nuser-agent: OpenAI/Python 3.54.0\r\naccept: application/json\r\ncontent-type: application/json\r\nx-stainless-lang: python\r\nx-stainless-package-version: 3.54.0\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The body of a request for stream `n` of many.
pub(crate) fn numbered_body(wanted: Wanted, n: usize) -> String {
    serde_json::json!({
        "model": wanted.model(), "messages": [{ "role": "user", "content": format!("stream={n}.") }], "stream": true
    })
    .to_string()
}

/// Returns which of many streams a body asks for.
fn number(body: &[u8]) -> usize {
    let at = memchr::memmem::find(body, b"stream=").unwrap() + b"stream=".len();
    let digits = body[at..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, byte| number * 10 + usize::from(byte - b'0'))
}

/// Event `index` of stream `n` of many.
pub(crate) fn numbered_event(n: usize, index: usize) -> String {
    if index + 1 == MANY_EVENTS {
        return event("{}", "\"stop\"");
    }
    event(&format!("{{\"content\":\"{n}/{index} \"}}"), "null")
}

/// A chat completion of the size that the other measurements used.
fn reply() -> String {
    let content = "All work and no play makes a dull benchmark. ".repeat(10);
    let body = serde_json::json!({
        "id": "chatcmpl-0123456789", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-4o-mini",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": content, "refusal": null },
                      "logprobs": null, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 19, "completion_tokens": 120, "total_tokens": 139 },
        "service_tier": "default", "system_fingerprint": "fp_0123456789"
    })
    .to_string();
    format!(
        "HTTP/1.1 200 OK\r\ndate: Sun, 22 Nov 2026 08:00:00 GMT\r\ncontent-type: application/json\r\nx-request-id: req_0123456789abcdef\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_0123456789abcdef\r\ntransfer-encoding: chunked\r\n\r\n";

pub(crate) fn chunk(content: &str) -> String {
    framed(&format!("{{\"content\":\"{content}\"}}"), "null")
}

fn last_chunk() -> String {
    framed("{}", "\"stop\"") + "0\r\n\r\n"
}

fn framed(delta: &str, finish: &str) -> String {
    in_chunk(&event(delta, finish))
}

fn in_chunk(event: &str) -> String {
    format!("{:x}\r\n{event}\r\n", event.len())
}

fn event(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-0123456789\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-mini\",\"system_fingerprint\":\"fp_0123456789\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
    )
}

/// Stands before the time in a paced event.
const SENT_AT: &[u8] = b"\"content\":\"@";

/// Returns the time since the benchmark began, in nanoseconds.
fn now_nanos() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap()
}

/// Takes the paced events that are whole out of what was read, and returns how long each has been on its way, in nanoseconds.
pub(crate) fn delays(read: &mut Vec<u8>, delays: &mut Vec<u64>) {
    let now = now_nanos();
    while let Some(end) = memchr::memmem::find(read, b"\n\n") {
        if let Some(at) = memchr::memmem::find(&read[..end], SENT_AT) {
            let digits = read[at + SENT_AT.len()..].iter().take_while(|byte| byte.is_ascii_digit());
            let sent = digits.fold(0, |number, byte| number * 10 + u64::from(byte - b'0'));
            delays.push(now.saturating_sub(sent));
        }
        read.drain(..end + 2);
    }
}

/// Reads a message with a length and returns where its body begins; `None` at the end of the connection.
pub(crate) async fn read_message(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> Option<usize> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
        let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end]).unwrap();
        let length: usize = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.trim().parse().unwrap());
        while buffer.len() < end + 4 + length {
            if stream.read_buf(buffer).await.ok()? == 0 {
                return None;
            }
        }
        return Some(end + 4);
    }
}

/// Starts the provider on a thread of its own.
pub(crate) fn start() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream));
            }
        });
    });
    told.recv().unwrap()
}

async fn serve(mut stream: TcpStream) {
    let (reply, event, last) = (reply(), chunk(" word"), last_chunk());
    let mut buffer = Vec::with_capacity(8192);
    while let Some(body) = read_message(&mut stream, &mut buffer).await {
        // A peer that has left is seen by the next read.
        let wanted = Wanted::read(&buffer[body..]);
        if wanted == Wanted::Unary {
            stream.write_all(reply.as_bytes()).await.unwrap_or(());
            continue;
        }
        stream.write_all(STREAM_HEAD.as_bytes()).await.unwrap_or(());
        match wanted {
            Wanted::Unary => {}
            Wanted::Stream => {
                for _ in 1..EVENTS {
                    stream.write_all(event.as_bytes()).await.unwrap_or(());
                    // So that events are chunks of their own.
                    tokio::task::yield_now().await;
                }
            }
            Wanted::Paced => {
                let mut due = Instant::now();
                for _ in 1..EVENTS {
                    let event = chunk(&format!("@{}", now_nanos()));
                    stream.write_all(event.as_bytes()).await.unwrap_or(());
                    due += PACE;
                    tokio::time::sleep_until(due).await;
                }
            }
            Wanted::Many => {
                many(&mut stream, number(&buffer[body..])).await;
                continue;
            }
            Wanted::Flood => {
                for _ in 1..FLOOD_EVENTS {
                    stream.write_all(event.as_bytes()).await.unwrap_or(());
                }
            }
            Wanted::Held => {
                stream.write_all(event.as_bytes()).await.unwrap_or(());
                continue;
            }
        }
        stream.write_all(last.as_bytes()).await.unwrap_or(());
    }
}

/// One of many streams.
#[expect(clippy::cast_precision_loss, reason = "a number below a thousand")]
async fn many(stream: &mut TcpStream, n: usize) {
    let mut go_on = GO_ON.subscribe();
    let first = in_chunk(&numbered_event(n, 0));
    stream.write_all(first.as_bytes()).await.unwrap_or(());
    go_on.changed().await.unwrap();
    // Spread over the time between two events.
    let mut due = Instant::now() + MANY_PACE.mul_f64((n % 1000) as f64 / 1000.0);
    for index in 1..MANY_EVENTS {
        tokio::time::sleep_until(due).await;
        due += MANY_PACE;
        stream.write_all(in_chunk(&numbered_event(n, index)).as_bytes()).await.unwrap_or(());
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap_or(());
}

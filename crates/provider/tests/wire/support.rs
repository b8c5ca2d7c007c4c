//! A plain HTTP/1.1 client that shows what was on the wire: chunks as they were sent, headers as they were spelt.

use std::net::SocketAddr;
use std::time::Duration;

use provider::{Provider, ProviderConfig, Running};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// No reply of a loopback server takes this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// A key that the provider takes when none are configured.
pub(crate) const KEY: &str = "Bearer sk-test-1";

/// A reply as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// The chunks of a chunked body, or the whole body as one.
    pub(crate) chunks: Vec<Vec<u8>>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(header, _)| header == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.chunks.concat()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text())
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Returns the JSON documents of a stream; `[DONE]` is not one.
    pub(crate) fn events(&self) -> Vec<Value> {
        let data = |event: &[u8]| {
            let event = String::from_utf8(event.to_vec()).unwrap();
            event.lines().find_map(|line| line.strip_prefix("data: ").map(str::to_owned)).unwrap()
        };
        self.chunks.iter().filter_map(|chunk| serde_json::from_str(&data(chunk)).ok()).collect()
    }

    /// Returns what the reply says at a JSON pointer.
    #[track_caller]
    pub(crate) fn at(&self, pointer: &str) -> Value {
        self.json()
            .pointer(pointer)
            .cloned()
            .unwrap_or_else(|| panic!("no {pointer} in {}", self.text()))
    }
}

pub(crate) async fn start(config: ProviderConfig) -> Running {
    Provider::start(config).await.unwrap()
}

pub(crate) async fn get(running: &Running, path: &str) -> Reply {
    exchange(running.address(), &request("GET", path, &[("authorization", KEY)], b"")).await
}

pub(crate) async fn post(running: &Running, path: &str, body: &Value) -> Reply {
    post_as(running, path, &[("authorization", KEY)], body.to_string().as_bytes()).await
}

pub(crate) async fn post_as(
    running: &Running,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    exchange(running.address(), &request("POST", path, headers, body)).await
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: simulated\r\nconnection: close\r\n");
    head.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> Reply {
    let received = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        received
    };
    parse(&in_time("a reply", received).await)
}

/// Waits for a condition, at most a while.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let reached = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    in_time(what, reached).await;
}

/// Waits for something to be done, at most a while.
pub(crate) async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

fn parse(received: &[u8]) -> Reply {
    let (head, body) = cut(received, b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(head.to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| {
            line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap()
        })
        .collect();
    let is_chunked =
        headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let chunks = if is_chunked { unchunk(body) } else { vec![body.to_vec()] };
    Reply { status, headers, chunks }
}

fn unchunk(mut body: &[u8]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    loop {
        let (size, rest) = cut(body, b"\r\n").expect("a chunk size");
        let size = usize::from_str_radix(std::str::from_utf8(size).unwrap(), 16).unwrap();
        if size == 0 {
            assert_eq!(rest, b"\r\n", "nothing after the last chunk");
            return chunks;
        }
        chunks.push(rest[..size].to_vec());
        body = rest[size..].strip_prefix(b"\r\n").expect("the end of a chunk");
    }
}

fn cut<'b>(bytes: &'b [u8], at: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let start = bytes.windows(at.len()).position(|window| window == at)?;
    Some((&bytes[..start], &bytes[start + at.len()..]))
}

//! Reads a reply off a socket and says in a few words what came: strict about the framing, and about how it ended.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use super::{Raw, header, soon};

/// How long nothing has to come for a silence: it may be taken for one too early, never too late.
pub const QUIET: Duration = Duration::from_millis(120);

/// How a reply ended on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As its framing says, and the connection is still open.
    Whole,
    Fin,
    Reset,
    /// Not at all: nothing more comes.
    Silent,
    /// Not at all: the same bytes come again and again.
    Ticking,
}

/// A reply as it came.
#[derive(Debug)]
pub struct Reply {
    pub head: String,
    /// The chunks, or one piece under a length.
    pub chunks: Vec<Vec<u8>>,
    pub ended: Ended,
}

impl Reply {
    pub fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body()).into_owned()
    }

    /// Says in a few words what came: status, type, framing, end.
    pub fn signature(&self) -> String {
        let status = self.head.split(' ').nth(1).map(|status| status.parse().unwrap());
        let media = header(&self.head, "content-type").unwrap_or_default();
        let framing = match header(&self.head, "transfer-encoding") {
            Some(encoding) => encoding,
            None if header(&self.head, "content-length").is_some() => "length",
            None => "unframed",
        };
        signature(status.map(|status| (status, media)), Some(framing), self.ended)
    }
}

/// Says in a few words what came, by the head's status and type where one came.
pub fn signature(head: Option<(u16, &str)>, framing: Option<&str>, ended: Ended) -> String {
    let ended = format!("{ended:?}").to_lowercase();
    let Some((status, media)) = head else { return ended };
    let media = match media {
        "" => "no type",
        "text/event-stream; charset=utf-8" | "text/event-stream" => "sse",
        "application/json" => "json",
        "text/html; charset=utf-8" => "html",
        other => other,
    };
    let framing = framing.map_or_else(String::new, |framing| format!(" {framing}"));
    format!("{status} {media}{framing} {ended}")
}

/// What is waited for: the reply's own end, or so many bytes of the body and what comes (or does not) behind them.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    End,
    Silence { body: usize },
    Ticks { body: usize },
}

/// Reads a reply off a connection.
pub async fn read<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Raw<S>, until: Until) -> Reply {
    let mut closed = None;
    loop {
        let (head, chunks, is_whole) = parsed(&client.unread);
        let body: usize = chunks.iter().map(Vec::len).sum();
        let ended = match (closed, until) {
            (Some(ended), _) => Some(ended),
            (None, Until::End) => is_whole.then_some(Ended::Whole),
            (None, Until::Ticks { body: before }) => (body > before).then_some(Ended::Ticking),
            (None, Until::Silence { .. }) => None,
        };
        if let Some(ended) = ended {
            return Reply { head, chunks, ended };
        }
        let is_there = matches!(until, Until::Silence { body: before } if body >= before);
        let reading = client.stream.read_buf(&mut client.unread);
        let got = if is_there {
            match tokio::time::timeout(QUIET, reading).await {
                Ok(got) => got,
                Err(_nothing) => return Reply { head, chunks, ended: Ended::Silent },
            }
        } else {
            soon("the rest of a reply", reading).await
        };
        match got {
            Ok(0) => closed = Some(Ended::Fin),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                closed = Some(Ended::Reset);
            }
            Err(error) => panic!("neither FIN nor RST: {error:?}"),
        }
    }
}

/// Takes apart what has come so far: the head, the chunks, and whether the framing has ended. Strict: nothing may stand between.
fn parsed(unread: &[u8]) -> (String, Vec<Vec<u8>>, bool) {
    let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") else {
        return (String::new(), Vec::new(), false);
    };
    let head = String::from_utf8(unread[..end + 4].to_vec()).unwrap();
    let rest = &unread[end + 4..];
    if let Some(length) = header(&head, "content-length") {
        let length: usize = length.parse().unwrap();
        assert!(rest.len() <= length, "more than was declared: {head}");
        let is_whole = rest.len() == length;
        return (head, vec![rest.to_vec()], is_whole);
    }
    let (chunks, is_whole) = dechunked(rest);
    (head, chunks, is_whole)
}

fn dechunked(mut rest: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut chunks = Vec::new();
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("no size: {size:?}"));
        rest = &rest[line + 2..];
        if size == 0 {
            assert!(b"\r\n".starts_with(rest), "behind the last chunk");
            return (chunks, rest == b"\r\n");
        }
        let Some(chunk) = rest.get(..size + 2) else { break };
        assert!(chunk.ends_with(b"\r\n"), "a chunk has no end");
        chunks.push(chunk[..size].to_vec());
        rest = &rest[size + 2..];
    }
    (chunks, false)
}

/// What stands for the id of an exchange.
pub const REQUEST_ID: &str = "req_000000000000000000000000";

/// Puts what differs from run to run out of a body: times, and the id of the exchange.
pub fn normal(body: &[u8], request_id: Option<&str>) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    if let Some(id) = request_id {
        text = text.replace(id, REQUEST_ID);
    }
    let names = ["\"created\":", "\"created_at\":", "\"completed_at\":"];
    // With a blank behind the colon, too.
    for name in names.into_iter().flat_map(|name| [name.to_owned(), format!("{name} ")]) {
        let mut made = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once(name.as_str()) {
            write!(made, "{before}{name}").unwrap();
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        text = made + rest;
    }
    text
}

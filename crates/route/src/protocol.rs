//! What is said over the control socket: one JSON document a line, a request and its reply in turn.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};

use crate::{Backends, Percent, Served};

/// The protocol's version. 1: the first one.
pub(crate) const VERSION: u32 = 1;
/// Bytes in a line at most; the longest message has well under 1,000.
const LINE_MAX: u64 = 4096;

/// How long each side waits for the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// A connection says something at least this often.
    pub(crate) heartbeat: Duration,
    /// A connection that was silent for this long is closed, and what it held is taken back.
    pub(crate) silence: Duration,
    /// How long to wait for a reply. A reply may need a sync of the disk.
    pub(crate) reply: Duration,
}

impl Pace {
    /// The pace of the real protocol: five heartbeats may get lost.
    pub(crate) const NORMAL: Self = Self {
        heartbeat: Duration::from_secs(2),
        silence: Duration::from_secs(10),
        reply: Duration::from_secs(5),
    };
}

/// What one side says, with the protocol's version.
#[derive(Debug, Serialize, Deserialize)]
struct Line<T> {
    v: u32,
    #[serde(flatten)]
    message: T,
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// Read the route.
    Show,
    /// Take the route, with these backends and nothing on `new` yet.
    Hold {
        /// Where `new` is.
        new: SocketAddr,
        /// Where `rollback` is.
        rollback: SocketAddr,
    },
    /// Move the share of the held route.
    Shift {
        /// To this much on `new`.
        percent_new: Percent,
    },
    /// Give the held route back.
    GiveBack,
    /// Set the durable share.
    Set {
        /// To this much on `new`.
        percent_new: Percent,
    },
    /// Say that the client is still there.
    Heartbeat,
}

/// What the router answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// The route as it is after the request.
    Route(Shown),
    /// The request was not carried out.
    Refused {
        /// Why, for programs.
        code: RefusalCode,
        /// Why, for people.
        message: String,
    },
}

/// Why a request was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RefusalCode {
    /// A drill holds the route.
    Held,
    /// An operator took the route back.
    TakenBack,
    /// The client holds nothing.
    NotHolding,
    /// The share moved, or did not, but could not be written down.
    NotDurable,
    /// The line was no request of this protocol.
    Malformed,
    /// The line was of another version of the protocol.
    Version,
}

/// The route as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Percent of user traffic that goes to `new` now.
    pub percent_new: u8,
    /// The share that was set by `route set` or `promote`, and to which the route returns after a drill.
    pub durable_percent_new: u8,
    /// Whether a router runs.
    pub running: bool,
    /// The process that holds the route.
    pub held_by: Option<u32>,
    /// The user-facing address, where a router runs.
    pub listen: Option<SocketAddr>,
    /// The backends of now.
    pub backends: Backends,
    /// How many requests each of them answered since the last change; for debugging.
    pub served_by: Served,
}

/// A line that could not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The connection ended.
    #[error("the other side closed the connection")]
    Closed,
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[source] io::Error),
    /// Nothing came for too long.
    #[error("nothing was said for {0:?}")]
    Silent(Duration),
    /// The line had no end within the limit.
    #[error("a line was longer than {LINE_MAX} bytes")]
    TooLong,
    /// The line was of another version.
    #[error("the other side speaks version {0} of the protocol, this one {VERSION}")]
    Version(u32),
    /// The line was no message.
    #[error("a line was no message of the protocol")]
    Malformed(#[source] serde_json::Error),
}

/// Reads the next message. Not cancel-safe: a cancelled read may have taken half a line.
pub(crate) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncBufRead + Unpin),
    within: Duration,
) -> Result<T, ReadError> {
    let mut line = Vec::new();
    let mut limited = from.take(LINE_MAX);
    match tokio::time::timeout(within, limited.read_until(b'\n', &mut line)).await {
        Err(_elapsed) => return Err(ReadError::Silent(within)),
        Ok(Err(error)) => return Err(ReadError::Io(error)),
        Ok(Ok(0)) => return Err(ReadError::Closed),
        Ok(Ok(_)) if line.last() != Some(&b'\n') => {
            let cut_by_us = u64::try_from(line.len()).is_ok_and(|length| length == LINE_MAX);
            return Err(if cut_by_us { ReadError::TooLong } else { ReadError::Closed });
        }
        Ok(Ok(_)) => {}
    }
    // The version first: of another version nothing else can be trusted to mean what it says.
    let version: VersionOnly = serde_json::from_slice(&line).map_err(ReadError::Malformed)?;
    if version.v != VERSION {
        return Err(ReadError::Version(version.v));
    }
    let line: Line<T> = serde_json::from_slice(&line).map_err(ReadError::Malformed)?;
    Ok(line.message)
}

/// Writes a message.
pub(crate) async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
    within: Duration,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(&Line { v: VERSION, message })?;
    line.push(b'\n');
    tokio::time::timeout(within, to.write_all(&line)).await?
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(line: &[u8]) -> Result<Request, ReadError> {
        read(&mut &*line, Duration::from_secs(1)).await
    }

    #[tokio::test]
    async fn messages_come_back_as_written() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let percent_new = Percent::try_from(5).unwrap();
        let hold = Request::Hold { new: address, rollback: address };
        for request in [Request::Show, Request::Heartbeat, Request::Shift { percent_new }, hold] {
            let mut line = Vec::new();
            write(&mut line, &request, Duration::from_secs(1)).await.unwrap();
            assert_eq!(check(&line).await.unwrap(), request);
        }
    }

    #[tokio::test]
    async fn lines_of_others_are_refused() {
        assert!(matches!(check(b"").await, Err(ReadError::Closed)));
        assert!(matches!(check(b"{\"v\":1,\"do\":\"show\"}").await, Err(ReadError::Closed)));
        assert!(matches!(check(b"{\"v\":2,\"do\":\"x\"}\n").await, Err(ReadError::Version(2))));
        assert!(matches!(check(b"GET / HTTP/1.1\n").await, Err(ReadError::Malformed(_))));
        let share = b"{\"v\":1,\"do\":\"shift\",\"percent_new\":101}\n";
        assert!(matches!(check(share).await, Err(ReadError::Malformed(_))));
        assert!(matches!(check(&[b'x'; 5000]).await, Err(ReadError::TooLong)));
    }
}

//! Connections of a release to other hosts than its provider's, through the tap as its proxy: carried unseen and counted,
//! or refused, as the configuration says.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use judge::{AskId, Tunnel, TunnelEnd};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

use crate::request_seen::bounded;

/// What is known of a connection to another host.
#[derive(Debug)]
pub(crate) struct TunnelSeen {
    host: String,
    declared: bool,
    /// The asks under way that it may belong to.
    of: OnceLock<Vec<AskId>>,
    open: AtomicBool,
    unreachable: AtomicBool,
    refused: bool,
    sent: AtomicU64,
    received: AtomicU64,
}

impl TunnelSeen {
    /// A connection that is asked for.
    pub(crate) fn new(host: &str, declared: bool, refused: bool) -> Arc<Self> {
        // A host is what names are made of; a client may put anything there.
        let host: String = host
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']'))
            .collect();
        Arc::new(Self {
            host: bounded(&host),
            declared,
            of: OnceLock::new(),
            open: AtomicBool::new(!refused),
            unreachable: AtomicBool::new(false),
            refused,
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        })
    }

    /// Says which asks it may belong to.
    pub(crate) fn belongs_to(&self, asks: Vec<AskId>) {
        // It begins once.
        self.of.set(asks).unwrap_or(());
    }

    /// Returns whether it may belong to an ask.
    pub(crate) fn may_be_of(&self, ask: AskId) -> bool {
        self.of.get().is_some_and(|asks| asks.contains(&ask))
    }

    /// Returns whether it goes on.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Returns the bytes from the release and to it.
    pub(crate) fn carried(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Acquire), self.received.load(Ordering::Acquire))
    }

    /// Returns what it was since it had carried so much.
    pub(crate) fn since(&self, (sent, received): (u64, u64)) -> Tunnel {
        let carried = self.carried();
        let end = if self.refused {
            TunnelEnd::Refused
        } else if self.unreachable.load(Ordering::Acquire) {
            TunnelEnd::Unreachable
        } else {
            TunnelEnd::Carried
        };
        Tunnel {
            host: self.host.clone(),
            declared: self.declared,
            end,
            sent: carried.0.saturating_sub(sent),
            received: carried.1.saturating_sub(received),
        }
    }

    /// Notes that the host could not be reached.
    pub(crate) fn unreachable(&self) {
        self.unreachable.store(true, Ordering::Release);
        self.open.store(false, Ordering::Release);
    }

    /// Notes bytes from the release.
    pub(crate) fn add_sent(&self, n: u64) {
        self.sent.fetch_add(n, Ordering::AcqRel);
    }

    /// Notes bytes to the release.
    pub(crate) fn add_received(&self, n: u64) {
        self.received.fetch_add(n, Ordering::AcqRel);
    }
}

/// Marks a connection to another host as ended when it is dropped, however that comes.
pub(crate) struct Open(pub(crate) Arc<TunnelSeen>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.store(false, Ordering::Release);
    }
}

/// Carries bytes both ways until both ends are done.
pub(crate) async fn carry(
    seen: &Arc<TunnelSeen>,
    release: impl AsyncRead + AsyncWrite + Unpin,
    host: impl AsyncRead + AsyncWrite + Unpin,
) {
    let mut release = Counted { stream: release, seen, count: TunnelSeen::add_sent };
    let mut host = Counted { stream: host, seen, count: TunnelSeen::add_received };
    // How it ends is up to the two ends.
    drop(copy_bidirectional(&mut release, &mut host).await);
}

/// A stream whose bytes are counted as they are read.
struct Counted<'s, S> {
    stream: S,
    seen: &'s TunnelSeen,
    count: fn(&TunnelSeen, u64),
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        (self.count)(self.seen, buf.filled().len().saturating_sub(before) as u64);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<'_, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

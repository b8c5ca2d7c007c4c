//! HTTP/1 as the tap speaks it, towards releases (`server`) and towards providers (`client`): what one side said goes to the
//! other as it was spelled, and what two readers could read in two ways goes nowhere.
//!
//! Heads are parsed by `httparse`; framing, the reuse of connections and who waits for whom are decided here. A connection is
//! driven by one task. It holds no buffer while it waits: bytes are read into one buffer of the thread, and only what is not
//! used at once is kept.

use std::io;
use std::task::{Context, Poll};

mod body;
mod buffers;
mod client;
mod head;
mod server;

pub use body::BodyFault;
pub(crate) use body::{Decoder, may_trail};
pub(crate) use client::{Link, SendFailure, Sending};
pub use head::HeadFault;
pub(crate) use head::{ResponseHead, has_body};
pub(crate) use server::{Incoming, Left, Upgrade, serve};

/// Why a message cannot be read or written to its end.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// The peer ended the connection in the middle of a message.
    #[error("the connection ended before the message was whole")]
    Ended,
    /// The peer sent a head that cannot be used.
    #[error("the head of the message cannot be used")]
    Head(#[source] HeadFault),
    /// The peer sent a body that cannot be used.
    #[error("the body of the message cannot be used")]
    Body(#[source] BodyFault),
    /// The peer broke the stream of the message off, or said on it what HTTP/2 does not allow.
    #[error("the stream of the message was broken off")]
    Stream(#[source] h2::Error),
}

/// Lets whatever else is ready go first, once for each message.
///
/// A write wakes its reader, and the writer pays for that. Written after all that can be read has been read, many messages to one peer
/// wake it once.
#[derive(Debug, Default)]
struct Others {
    went_first: bool,
}

impl Others {
    fn go_first(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.went_first {
            return Poll::Ready(());
        }
        self.went_first = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;

//! Bodies: a request's is read up to a limit, a reply's leaves at once or event by event.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contract::reply::StreamEvent;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};

use crate::calls::Counters;

/// The body of a reply.
pub(crate) type ReplyBody = UnsyncBoxBody<Bytes, Infallible>;

/// How much of a body that is too long is still taken in, in multiples of the limit: a client that is still sending when it
/// is answered would see its connection break and not the 413.
const DRAINED_MULTIPLE: usize = 4;

/// A request must arrive within this: longer than any client's own patience in tests, short enough not to pile up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What came of reading a request's body.
pub(crate) enum RequestBody {
    /// All of it.
    Whole(Vec<u8>),
    /// More than the limit.
    TooLong,
    /// The caller left or stopped in the middle.
    Cut,
}

/// Reads the body of a request.
pub(crate) async fn read(body: Incoming, bytes_max: usize) -> RequestBody {
    tokio::time::timeout(REQUEST_TIMEOUT, read_frames(body, bytes_max))
        .await
        .unwrap_or(RequestBody::Cut)
}

async fn read_frames(mut body: Incoming, bytes_max: usize) -> RequestBody {
    let mut whole = Vec::new();
    let mut seen_bytes = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return RequestBody::Cut };
        let Some(data) = frame.data_ref() else { continue };
        seen_bytes = seen_bytes.saturating_add(data.len());
        if seen_bytes <= bytes_max {
            whole.extend_from_slice(data);
        } else if seen_bytes > bytes_max.saturating_mul(DRAINED_MULTIPLE) {
            break;
        }
    }
    if seen_bytes > bytes_max { RequestBody::TooLong } else { RequestBody::Whole(whole) }
}

/// Returns a body that leaves at once.
pub(crate) fn at_once(bytes: impl Into<Bytes>) -> ReplyBody {
    Full::new(bytes.into()).boxed_unsync()
}

/// Returns a body of which each event leaves alone, `gap` after the one before.
pub(crate) fn event_by_event(
    events: Vec<StreamEvent>,
    gap: Duration,
    counters: Arc<Counters>,
) -> ReplyBody {
    let progress = Progress { events: events.into_iter(), is_first: true, counters };
    let frames = stream::unfold(progress, move |mut progress| async move {
        let event = progress.events.next()?;
        if !std::mem::take(&mut progress.is_first) {
            tokio::time::sleep(gap).await;
        }
        Some((Ok(Frame::data(Bytes::from(event.to_bytes()))), progress))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// How far a stream is; dropped before its end, it counts as abandoned.
struct Progress {
    events: std::vec::IntoIter<StreamEvent>,
    is_first: bool,
    counters: Arc<Counters>,
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.events.len() > 0 {
            self.counters.stream_abandoned();
        }
    }
}

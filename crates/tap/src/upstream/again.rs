//! When a request is sent once more, and is one attempt all the same: nobody has looked at it, or its connection went away idle.
//!
//! A release has its own connection to the tap, and has not chosen the tap's to the provider. What comes of keeping those for further
//! requests is therefore not for the release to meet: a provider closes a connection that lay idle, and the request crosses that. Whether
//! it did can be told only by its time, and by that the connection had served before.

use std::io::ErrorKind;
use std::time::Duration;

use super::{SendBody, UpstreamError};
use crate::http1::WireError;
use crate::limits::CROSSING_MAX;

/// A request that got no response.
pub(super) struct Failed {
    pub(super) error: UpstreamError,
    pub(super) again: Again,
}

/// Whether the request is sent once more.
pub(super) enum Again {
    /// No: somebody may have acted on it, or it cannot be sent again.
    Never,
    /// Nobody has looked at it.
    Unseen(SendBody),
    /// The connection went away idle. The next one has to be new, as others may have gone with it.
    Lost(SendBody),
}

impl Failed {
    /// A request that is not sent again.
    pub(super) fn for_good(error: UpstreamError) -> Self {
        Self { error, again: Again::Never }
    }

    /// A request that nobody has looked at.
    pub(super) fn unseen(error: UpstreamError, body: SendBody) -> Self {
        Self { error, again: body.again().map_or(Again::Never, Again::Unseen) }
    }

    /// A request whose connection had lain idle and is no more.
    pub(super) fn lost(error: UpstreamError, body: SendBody) -> Self {
        Self { error, again: body.again().map_or(Again::Never, Again::Lost) }
    }
}

/// Returns whether a request can have crossed the end of its connection, which came `after` it and before any byte of a reply.
pub(super) fn crosses(error: &UpstreamError, after: Duration) -> bool {
    let UpstreamError::Broken(error) = error else { return false };
    let has_ended = match error {
        WireError::Ended => true,
        WireError::Broken(error) => matches!(
            error.kind(),
            ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::NotConnected
                // TLS was not ended before TCP was.
                | ErrorKind::UnexpectedEof
        ),
        WireError::Head(_) | WireError::Body(_) | WireError::Stream(_) => false,
    };
    has_ended && after <= CROSSING_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::HeadFault;

    #[test]
    fn end_of_a_connection_crosses_a_request_only_within_a_round_trip() {
        let at_once = Duration::from_millis(1);
        let broken = |kind: ErrorKind| UpstreamError::Broken(WireError::Broken(kind.into()));
        for error in [UpstreamError::Broken(WireError::Ended), broken(ErrorKind::ConnectionReset)] {
            assert!(crosses(&error, at_once));
            assert!(!crosses(&error, CROSSING_MAX * 2), "somebody has had it");
        }
        for error in [
            UpstreamError::Silent,
            UpstreamError::Broken(WireError::Head(HeadFault::Interims)),
            broken(ErrorKind::InvalidData),
        ] {
            assert!(!crosses(&error, at_once), "{error:?}");
        }
    }
}

//! Reads a request body up to a limit, keeping what is beyond for relaying.

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use crate::http1::WireError;
use crate::incoming::Incoming;
use crate::limits::REQUEST_BODY_MAX;

/// A request body after reading.
#[derive(Debug)]
pub(crate) enum Reading {
    /// All of it.
    Whole(Bytes),
    /// The beginning of one that is too long to be read whole, and the rest.
    Long(Bytes, Incoming),
}

/// Reads a body whole, or up to the limit.
pub(crate) async fn read(mut body: Incoming) -> Result<Reading, WireError> {
    let mut first = Bytes::new();
    let mut joined: Option<BytesMut> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        match (&mut joined, first.is_empty()) {
            (Some(joined), _) => joined.extend_from_slice(&data),
            (None, true) => first = data,
            (None, false) => {
                let expected = body
                    .size_hint()
                    .upper()
                    .and_then(|rest| usize::try_from(rest).ok())
                    .unwrap_or(0);
                let mut bytes = BytesMut::with_capacity(
                    (first.len() + data.len() + expected).min(REQUEST_BODY_MAX),
                );
                bytes.extend_from_slice(&first);
                bytes.extend_from_slice(&data);
                joined = Some(bytes);
            }
        }
        if joined.as_ref().map_or(first.len(), BytesMut::len) > REQUEST_BODY_MAX {
            return Ok(Reading::Long(joined.map_or(first, BytesMut::freeze), body));
        }
    }
    Ok(Reading::Whole(joined.map_or(first, BytesMut::freeze)))
}

//! As what an answer is declared to its caller: the media type's essence, as one of a few known names.

/// Names that are kept. Any other one may be a vendor's own, and is only told from these.
const KNOWN: [&str; 11] = [
    "application/json",
    "application/problem+json",
    "application/x-ndjson",
    "application/jsonl",
    "application/xml",
    "application/octet-stream",
    "text/event-stream",
    "text/plain",
    "text/markdown",
    "text/html",
    "text/xml",
];

/// A media type, as far as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MediaType {
    /// There is none.
    Missing,
    /// One of a few.
    Known(&'static str),
    /// Another one.
    Another,
}

impl MediaType {
    /// Reads a `content-type` header: parameters and case do not matter (RFC 9110 section 8.3.1).
    pub fn of(header: Option<&[u8]>) -> Self {
        let essence = header.unwrap_or_default().split(|byte| *byte == b';').next();
        let essence = essence.unwrap_or_default().trim_ascii();
        if essence.is_empty() {
            return Self::Missing;
        }
        let known = KNOWN.iter().find(|known| essence.eq_ignore_ascii_case(known.as_bytes()));
        known.map_or(Self::Another, |known| Self::Known(known))
    }

    /// Returns the words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "no type",
            Self::Known(name) => name,
            Self::Another => "another type",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_essence_counts_and_only_known_ones_are_named() {
        for (header, expected) in [
            (None, MediaType::Missing),
            (Some(""), MediaType::Missing),
            (Some(" ;charset=utf-8"), MediaType::Missing),
            (Some("text/event-stream"), MediaType::Known("text/event-stream")),
            (Some("Text/Plain ; charset=utf-8"), MediaType::Known("text/plain")),
            (Some("application/vnd.secret+json"), MediaType::Another),
            (Some("nonsense"), MediaType::Another),
        ] {
            assert_eq!(MediaType::of(header.map(str::as_bytes)), expected, "{header:?}");
        }
    }
}

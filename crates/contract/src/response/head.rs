//! What the head of a response says.

use crate::report::Report;
use crate::rule;

/// Longest header value looked at.
const VALUE_BYTES_MAX: usize = 1024;
/// How the name of a header ends that identifies the exchange.
const REQUEST_ID: &str = "request-id";
/// The longest wait that a client should obey instead of failing, in seconds; openai-python has it too.
const RETRY_AFTER_SECONDS_MAX: u64 = 120;

/// The facts of a head.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// 0 as long as no head came.
    pub(super) status: u16,
    /// Media type in lower case, without parameters.
    content_type: Option<String>,
    /// `content-encoding` in lower case.
    pub(super) encoding: String,
    pub(super) request_id: Option<String>,
    /// The type of the error, which Amazon's services say in a header.
    pub(super) error_type: Option<String>,
    /// `x-should-retry`: what the provider knows of a retry.
    pub(super) should_retry: Option<bool>,
}

impl Head {
    pub(super) fn read<'h>(
        status: u16,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        report: &mut Report,
    ) -> Self {
        let mut head = Self { status, ..Self::default() };
        let own_id =
            report.profile().custom().and_then(|custom| custom.request_id_header.as_deref());
        for (name, value) in headers {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            let is_request_id = || {
                if own_id.is_some_and(is) {
                    return true;
                }
                let start = name.len().checked_sub(REQUEST_ID.len());
                let end = start.and_then(|start| name.as_bytes().get(start..));
                end.is_some_and(|end| end.eq_ignore_ascii_case(REQUEST_ID.as_bytes()))
            };
            let text = || {
                let value = value.get(..VALUE_BYTES_MAX).unwrap_or(value);
                std::str::from_utf8(value).ok().map(str::trim)
            };
            if is("content-type") {
                let Some(value) = text() else { continue };
                let media_type = value.split(';').next().unwrap_or_default().trim();
                head.content_type = Some(media_type.to_ascii_lowercase())
                    .filter(|media_type| !media_type.is_empty());
            } else if is("content-encoding") {
                let Some(value) = text() else { continue };
                head.encoding = value.to_ascii_lowercase();
            } else if is("retry-after") {
                let Some(value) = text() else { continue };
                check_retry_after(value, report);
            } else if is("x-should-retry") {
                head.should_retry =
                    text().and_then(|value| value.to_ascii_lowercase().parse().ok());
            } else if is("x-amzn-errortype") {
                // `ThrottlingException:http://…`: what follows the name says nothing more.
                let name = text().and_then(|value| value.split(':').next());
                head.error_type = name.map(str::to_owned).filter(|name| !name.is_empty());
            } else if is_request_id() && head.request_id.is_none() {
                head.request_id = text().map(str::to_owned);
            }
        }
        if (200..300).contains(&status) && status != 200 {
            report.add(
                &rule::STATUS_UNEXPECTED,
                format_args!("status"),
                format_args!("HTTP {status}"),
            );
        }
        head
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(super) fn is_event_stream(&self) -> bool {
        self.content_type.as_deref() == Some("text/event-stream")
    }

    pub(super) fn is_json(&self) -> bool {
        self.content_type.as_deref().is_some_and(|media_type| {
            media_type == "application/json" || media_type.ends_with("+json")
        })
    }

    /// Returns the media type if it is a common one: others could hold anything.
    pub(super) fn content_type_class(&self) -> &'static str {
        const COMMON: &[&str] = &[
            "application/json",
            "text/event-stream",
            "text/plain",
            "text/html",
            "application/octet-stream",
            "application/x-ndjson",
            "text/json",
            "application/xml",
        ];
        match &self.content_type {
            None => "absent",
            Some(media_type) => COMMON
                .iter()
                .find(|common| *common == media_type)
                .copied()
                .unwrap_or("another type"),
        }
    }
}

fn check_retry_after(value: &str, report: &mut Report) {
    let at = format_args!("header retry-after");
    match value.parse::<u64>() {
        Ok(seconds) if seconds > RETRY_AFTER_SECONDS_MAX => report.add(
            &rule::RETRY_AFTER_LONG,
            at,
            format_args!("more than {RETRY_AFTER_SECONDS_MAX} seconds"),
        ),
        Ok(_) => {}
        Err(_) => {
            let is_digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            // An HTTP date names its day and its zone; whether it is near, only a clock could tell.
            let is_date = value.contains(',') && value.ends_with("GMT");
            if is_digits {
                report.add(
                    &rule::RETRY_AFTER_LONG,
                    at,
                    format_args!("more than {RETRY_AFTER_SECONDS_MAX} seconds"),
                );
            } else if !is_date {
                report.add(
                    &rule::RETRY_AFTER_INVALID,
                    at,
                    format_args!("neither whole seconds nor a date"),
                );
            }
        }
    }
}

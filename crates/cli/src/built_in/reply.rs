//! How the built-in release reads a reply: whole, complete, or not at all.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::defect::Defect;

/// Why there is no answer: a word, never the provider's own text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) &'static str);

/// What a reply amounts to.
pub(super) enum Read {
    Answer(String),
    /// Asking again may help, but not before so long.
    Again(Refused, Duration),
    Never(Refused),
}

/// What is logged of a reply.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) status: Option<u16>,
    pub(super) request_id: Option<String>,
}

impl Seen {
    /// Notes what the head of a reply says.
    pub(super) fn of(response: &Response) -> Self {
        Self {
            status: Some(response.status().as_u16()),
            request_id: request_id(response.headers()),
        }
    }
}

/// Reads a reply.
pub(super) async fn read(
    defect: Defect,
    model: &str,
    stream: bool,
    mut response: Response,
    seen: &mut Seen,
) -> Read {
    let status = response.status().as_u16();
    *seen = Seen::of(&response);
    let after = retry_after(response.headers());
    let is_typed =
        typed(response.headers(), if stream { "text/event-stream" } else { "application/json" });
    let mut body = Vec::new();
    let is_whole = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break true,
            Err(_broken) => break false,
        }
    };
    let text = if defect == Defect::BreaksUnicode {
        body.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect()
    } else {
        String::from_utf8_lossy(&body).into_owned()
    };
    if status != 200 {
        let document = serde_json::from_str(&text).unwrap_or(Value::Null);
        let said = |at: &str| document.pointer(at).and_then(Value::as_str).unwrap_or_default();
        seen.request_id = seen.request_id.take().or_else(|| id_in(said("/error/message")));
        return refused(defect, status, said("/error/code"), after);
    }
    let lenient = defect == Defect::TakesParts;
    if !lenient && !is_whole {
        return Read::Again(Refused("reply_cut"), Duration::ZERO);
    }
    if !is_typed && !lenient {
        return Read::Never(Refused("wrong_content_type"));
    }
    let documents = if stream { events(&text) } else { vec![text.as_str()] };
    match documents.into_iter().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>() {
        Ok(documents) => completion(defect, model, &documents),
        Err(_not_json) => Read::Never(Refused("reply_not_understood")),
    }
}

/// Joins the text of a reply, which is its document or its events.
fn completion(defect: Defect, model: &str, events: &[Value]) -> Read {
    let mut answer = String::new();
    let mut is_finished = false;
    for event in events {
        if event.get("error").is_some() {
            return Read::Never(Refused("provider_error"));
        }
        let is_other = event.get("model").and_then(Value::as_str) != Some(model);
        if defect == Defect::TakesOnlyItsModel && is_other {
            return Read::Never(Refused("reply_not_understood"));
        }
        for part in ["/choices/0/message/content", "/choices/0/delta/content"] {
            answer.push_str(event.pointer(part).and_then(Value::as_str).unwrap_or_default());
        }
        let finish = event.pointer("/choices/0/finish_reason").and_then(Value::as_str);
        is_finished |= finish == Some("stop");
    }
    if (answer.is_empty() || !is_finished) && defect != Defect::TakesParts {
        return Read::Never(Refused("reply_incomplete"));
    }
    Read::Answer(answer)
}

/// Reads an event stream: what stands behind `data:`, line by line.
fn events(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(str::trim)
        .filter(|data| *data != "[DONE]")
        .collect()
}

/// Decides by status and code whether the same request may be sent again.
fn refused(defect: Defect, status: u16, code: &str, after: Duration) -> Read {
    let again = |word| Read::Again(Refused(word), after);
    match (status, code) {
        _ if defect == Defect::RetriesAll => again("retried_all"),
        (429, "insufficient_quota") => Read::Never(Refused("quota_used_up")),
        (429, _) => again("rate_limited"),
        (500.., "invalid_request" | "model_not_found") => Read::Never(Refused("request_refused")),
        (500.., _) => again("provider_failed"),
        (401 | 403, _) => Read::Never(Refused("credential_refused")),
        _ => Read::Never(Refused("request_refused")),
    }
}

/// Tells by its status alone whether a reply is one of trouble that passes.
pub(super) fn is_transient(status: u16) -> bool {
    status == 429 || status >= 500
}

fn typed(headers: &HeaderMap, wanted: &str) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|sent| sent.starts_with(wanted))
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let (_, value) = headers.iter().find(|(name, _)| name.as_str().contains("request-id"))?;
    Some(value.to_str().ok()?.to_owned())
}

/// Finds the id that CometAPI puts into its messages: `(request id: ID)`.
fn id_in(message: &str) -> Option<String> {
    let (_, rest) = message.rsplit_once("(request id: ")?;
    rest.split_once(')').map(|(id, _)| id.to_owned())
}

pub(super) fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

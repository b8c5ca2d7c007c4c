//! One exchange in one line: names, classes, counts and times; no value of a body, and no credential.

use contract::ContractVerdict;
use judge::{AnsweredBy, Exchange};
use serde_json::json;
use tap::Watched;

use crate::terminal::Paint;

/// Writes it for programs.
pub(super) fn json(watched: &Watched) -> String {
    let exchange = &watched.exchange;
    let response = exchange.response.as_ref().map(|response| {
        let judgement = &response.judgement;
        json!({
            "status": response.status,
            "content_type": response.content_type,
            "head_ms": response.head_ms.saturating_sub(exchange.started_ms),
            "bytes": response.body_bytes,
            "events": judgement.events,
            "retry_after_ms": response.retry_after_ms,
            "verdict": judgement.verdict,
            "completion": judgement.completion,
            "error_class": judgement.error.as_ref().map(|error| error.class),
            "retry_safe": judgement.error.as_ref().map(|error| error.retry_safe),
            "findings": judgement.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(),
        })
    });
    json!({
        "call": watched.call,
        "attempt": exchange.attempt,
        "started_ms": exchange.started_ms,
        "ms": exchange.ended_ms.saturating_sub(exchange.started_ms),
        "request": {
            "method": exchange.request.method,
            "path": exchange.request.path,
            "model": exchange.request.model,
            "stream": exchange.request.stream,
            "auth": exchange.request.auth,
            "credential": exchange.request.credential,
            "client": exchange.request.client,
            "retry_count": exchange.request.retry_count,
            "fault": exchange.request.fault,
            "bytes": exchange.request.body_bytes,
        },
        "response": response,
        "answered_by": exchange.answered_by,
        "client_end": exchange.release_end,
        "provider_end": exchange.provider_end,
    })
    .to_string()
}

/// Writes it for people.
pub(super) fn human(watched: &Watched, paint: Paint) -> String {
    let exchange = &watched.exchange;
    let by = match exchange.answered_by {
        AnsweredBy::Provider => "provider",
        AnsweredBy::Tap => "tap",
        AnsweredBy::ProviderUnreachable => "unreached",
        AnsweredBy::Guard => "guard",
    };
    format!(
        "call {:<4} attempt {:<2} {:>6} ms  {:<4} {} {}{}  {}  by {by}  {}",
        watched.call,
        exchange.attempt,
        exchange.ended_ms.saturating_sub(exchange.started_ms),
        exchange.request.method,
        printable(&exchange.request.path),
        printable(exchange.request.model.as_deref().unwrap_or("-")),
        if exchange.request.stream { " stream" } else { "" },
        reply(exchange, paint),
        paint.dim(exchange.request.client.as_deref().unwrap_or("")),
    )
}

fn reply(exchange: &Exchange, paint: Paint) -> String {
    let Some(response) = &exchange.response else {
        return paint.yellow("no reply");
    };
    let judgement = &response.judgement;
    let codes: Vec<&str> = judgement
        .findings
        .iter()
        .filter(|finding| finding.verdict != ContractVerdict::Pass)
        .map(|finding| finding.code)
        .collect();
    let verdict = match judgement.verdict {
        ContractVerdict::Pass => paint.green("pass"),
        ContractVerdict::Warn => paint.yellow("warn"),
        ContractVerdict::Hold => paint.red("hold"),
    };
    let codes = if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) };
    format!("{} {verdict}{codes}", response.status)
}

/// Clients write paths and models: only what can be shown in a line is.
fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(80).collect()
}

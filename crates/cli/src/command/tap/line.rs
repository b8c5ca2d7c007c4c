//! One exchange in one line: names, classes, counts and times; no value of a body, and no credential.

use contract::{Completion, ContractVerdict, ErrorClass};
use judge::{AnsweredBy, AuthScheme, End, Exchange, Fingerprint};
use serde::Serialize;
use tap::Watched;

use crate::terminal::Paint;

/// An exchange as programs get it. Written as it is, without a document in between: the tap may tell fifty thousand a second.
#[derive(Serialize)]
struct Line<'w> {
    call: u64,
    attempt: u32,
    started_ms: u64,
    ms: u64,
    request: Request<'w>,
    response: Option<Response<'w>>,
    answered_by: AnsweredBy,
    client_end: End,
    provider_end: Option<End>,
}

#[derive(Serialize)]
struct Request<'w> {
    method: &'w str,
    path: &'w str,
    model: Option<&'w str>,
    stream: bool,
    auth: AuthScheme,
    credential: &'w Option<Fingerprint>,
    client: Option<&'w str>,
    retry_count: Option<u32>,
    fault: Option<&'w str>,
    bytes: u64,
}

#[derive(Serialize)]
struct Response<'w> {
    status: u16,
    content_type: &'w Option<String>,
    head_ms: u64,
    bytes: u64,
    events: u64,
    retry_after_ms: Option<u64>,
    verdict: ContractVerdict,
    completion: Completion,
    error_class: Option<ErrorClass>,
    retry_safe: Option<bool>,
    findings: Vec<&'static str>,
}

/// Writes it for programs, behind what is there.
pub(super) fn json(watched: &Watched, lines: &mut Vec<u8>) {
    let exchange = &watched.exchange;
    let request = &exchange.request;
    let line = Line {
        call: watched.call,
        attempt: exchange.attempt,
        started_ms: exchange.started_ms,
        ms: exchange.ended_ms.saturating_sub(exchange.started_ms),
        request: Request {
            method: &request.method,
            path: &request.path,
            model: request.model.as_deref(),
            stream: request.stream,
            auth: request.auth,
            credential: &request.credential,
            client: request.client.as_deref(),
            retry_count: request.retry_count,
            fault: request.fault.as_deref(),
            bytes: request.body_bytes,
        },
        response: exchange.response.as_ref().map(|response| {
            let judgement = &response.judgement;
            Response {
                status: response.status,
                content_type: &response.content_type,
                head_ms: response.head_ms.saturating_sub(exchange.started_ms),
                bytes: response.body_bytes,
                events: judgement.events,
                retry_after_ms: response.retry_after_ms,
                verdict: judgement.verdict,
                completion: judgement.completion,
                error_class: judgement.error.as_ref().map(|error| error.class),
                retry_safe: judgement.error.as_ref().map(|error| error.retry_safe),
                findings: judgement.findings.iter().map(|finding| finding.code).collect(),
            }
        }),
        answered_by: exchange.answered_by,
        client_end: exchange.release_end,
        provider_end: exchange.provider_end,
    };
    serde_json::to_writer(lines, &line).expect("names, numbers and texts can be written");
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

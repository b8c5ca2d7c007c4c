//! The control: surestep's own minimal documented call, which only tells a broken provider from a broken release.

use std::time::Duration;

use bytes::Bytes;
use contract::{BodyEnd, Judgement, Mode, Profile, ResponseJudge, Surface};
use drill::ports::Upstream;
use evidence::Sensitive;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::exchange::chain;
use crate::upstream::Client;
use crate::{clock, response_seen};

/// Longest reply that the control reads; its answer is one line.
const REPLY_MAX: usize = 4 * 1024 * 1024;

/// A control call.
#[derive(Clone, Debug)]
pub struct ControlCall {
    /// The provider.
    pub upstream: Upstream,
    /// The control's credential.
    pub key: Sensitive,
    /// The endpoint family.
    pub surface: Surface,
    /// Unary or stream.
    pub mode: Mode,
    /// The provider's documented deviations.
    pub profile: Profile,
    /// The model setting.
    pub model: String,
    /// The prompt.
    pub prompt: Sensitive,
    /// How long it may take altogether.
    pub timeout: Duration,
}

/// What came of a control call.
#[derive(Clone, Debug)]
pub struct ControlReport {
    /// The status, when a response came.
    pub status: Option<u16>,
    /// The judgement by the contract, when a response came.
    pub judgement: Option<Judgement>,
    /// How long it took.
    pub elapsed_ms: u64,
    /// What stood in the way, with its causes; holds no credential and no payload.
    pub error: Option<String>,
    /// The values of all `*request-id*` headers.
    pub request_ids: Vec<String>,
}

/// Makes a control call.
pub async fn control(call: &ControlCall) -> ControlReport {
    let started = clock::now();
    let mut report = ControlReport {
        status: None,
        judgement: None,
        elapsed_ms: 0,
        error: None,
        request_ids: Vec::new(),
    };
    if let Err(error) = run(call, started + call.timeout, &mut report).await {
        report.error = Some(error);
    }
    report.elapsed_ms = clock::millis_between(started, clock::now());
    report
}

async fn run(
    call: &ControlCall,
    deadline: Instant,
    report: &mut ControlReport,
) -> Result<(), String> {
    let client = Client::new(&call.upstream).map_err(|error| chain(&error))?;
    let headers = headers(call)?;
    let too_late = |_elapsed| format!("no whole reply within {} s", call.timeout.as_secs_f64());
    let sending = client.request(Method::POST, call.surface.resource_path(), headers, body(call));
    let response =
        timeout_at(deadline, sending).await.map_err(too_late)?.map_err(|error| chain(&error))?;
    let (parts, mut stream) = response.into_parts();
    report.status = Some(parts.status.as_u16());
    report.request_ids = response_seen::request_ids(&parts.headers);
    let mut judge = ResponseJudge::new(call.surface, call.mode, call.profile);
    judge.head(
        parts.status.as_u16(),
        parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())),
    );
    let mut read = 0_usize;
    let end = loop {
        let frame = match timeout_at(deadline, stream.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break Ok(()),
            Ok(Some(Err(error))) => break Err(format!("the reply broke off: {}", chain(&error))),
            Err(elapsed) => break Err(too_late(elapsed)),
        };
        if let Some(data) = frame.data_ref() {
            judge.push(data);
            read = read.saturating_add(data.len());
        }
        if read > REPLY_MAX {
            break Err(format!("the reply is longer than {REPLY_MAX} bytes"));
        }
    };
    let (judgement, _text) =
        judge.finish(if end.is_ok() { BodyEnd::Complete } else { BodyEnd::Cut });
    report.judgement = Some(judgement);
    end
}

fn headers(call: &ControlCall) -> Result<HeaderMap, String> {
    let mut authorization = HeaderValue::try_from(format!("Bearer {}", call.key.expose().trim()))
        // The cause would repeat nothing of the key, but it also says nothing more.
        .map_err(|_invalid| {
            "the control's key has characters that a header cannot carry".to_owned()
        })?;
    authorization.set_sensitive(true);
    let accept = match call.mode {
        Mode::Unary => "application/json",
        Mode::Stream => "text/event-stream",
    };
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, authorization);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("surestep/", env!("CARGO_PKG_VERSION"))),
    );
    Ok(headers)
}

fn body(call: &ControlCall) -> Bytes {
    let prompt = call.prompt.expose();
    let mut body = match call.surface {
        Surface::Chat => {
            json!({ "model": call.model, "messages": [{ "role": "user", "content": prompt }] })
        }
        Surface::Responses => json!({ "model": call.model, "input": prompt }),
    };
    if let (Mode::Stream, Some(fields)) = (call.mode, body.as_object_mut()) {
        fields.insert("stream".to_owned(), true.into());
    }
    Bytes::from(body.to_string())
}

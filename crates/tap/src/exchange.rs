//! One request on a port: whose it is, what is done with it, and what is written down.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use contract::conversation::PartLost;
use contract::smoke::QuestionSeen;
use contract::{Mode, Profile, RequestFacts, Surface};
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderName,
    HeaderValue, TRANSFER_ENCODING,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, request};
use judge::fault::{Editor, Edits};
use judge::{Act, AnsweredBy, End, Marker, RequestContext, Stimulus};
use tokio::time::{Instant, sleep};

use crate::asks::{Admission, Ask, Asks, MarkersSeen, Owner};
use crate::forward::{Forward, pass_on};
use crate::incoming::Incoming;
use crate::limits::HELD_MAX;
use crate::made::Made;
use crate::path::{self, Place, Resource};
use crate::reading::{self, Reading};
use crate::recorder::{JudgedAs, Recorder};
use crate::relay::Relayed;
use crate::reply::ReplyBody;
use crate::request_seen::{BodySeen, RequestHead, invalidate_credentials, request_seen};
use crate::server::FingerprintFn;
use crate::upstream::{Client, ReplyStream, SendBody, UpstreamError, remove_hop_by_hop};
use crate::wire::{Ending, Shown, WireControl};
use crate::{clock, decoding, guard};

/// What all exchanges of a port share.
pub(crate) struct PortContext {
    pub(crate) surface: Surface,
    pub(crate) profile: Profile,
    pub(crate) client: Client,
    pub(crate) asks: Arc<Asks>,
    /// What makes the port a proxy; `None` in reverse mode.
    pub(crate) forward: Option<Forward>,
    pub(crate) live_calls: AtomicU32,
    pub(crate) fingerprint: Arc<FingerprintFn>,
    pub(crate) request_id: Box<dyn Fn() -> String + Send + Sync>,
}

/// The exchange ends without a response: the connection is closed, or reset, as the wire was told.
#[derive(Debug, thiserror::Error)]
#[error("the connection is ended without a response")]
pub(crate) struct Gone;

/// A request taken apart.
struct Arrived {
    started: Instant,
    parts: request::Parts,
    /// The path as it is sent in reverse mode, where that is another one.
    path_in_reverse: Option<String>,
    resource: Resource,
    /// What a compressed body stands for, where that can be undone. It is sent as it came, and this is let go of before: a kilobyte may stand
    /// for megabytes, and a reply may take minutes.
    undone: Option<Bytes>,
    wire: WireControl,
}

impl Arrived {
    /// Returns what is looked at in place of a body.
    fn looked<'b>(&'b self, body: &'b Bytes) -> &'b Bytes {
        self.undone.as_ref().unwrap_or(body)
    }
}

/// Serves one request.
pub(crate) async fn serve(
    port: Arc<PortContext>,
    wire: WireControl,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Gone> {
    let started = clock::now();
    if let Some(forward) = &port.forward
        && *request.method() != Method::CONNECT
        && let Some(place) = forward.other_host(request.uri())
    {
        // No call of the provider's.
        wire.request_began();
        return Ok(pass_on(forward, &port.asks, &place, wire, request).await);
    }
    wire.request_began();
    let (parts, body) = request.into_parts();
    let (path_in_reverse, resource) = match &port.forward {
        None => (None, path::fold(parts.uri.path())),
        Some(forward) => {
            let path = forward.path_below_v1(parts.uri.path());
            let mut resource = path::fold(&path);
            // The configured endpoint is tested as it is: nothing is put right on the way to it.
            resource.place = Place::BelowHost(parts.uri.path().to_owned().into());
            (Some(path.into_owned()), resource)
        }
    };
    // In a box, as it is handed on several times before the provider is called.
    let mut arrived =
        Box::new(Arrived { started, parts, path_in_reverse, resource, undone: None, wire });
    if arrived.parts.method == Method::CONNECT {
        // The release takes this port for its proxy: it never gets to make a call here.
        port.asks.stray_connection();
        let answer = guard::unknown_path(&Method::CONNECT, &arrived.resource.resource);
        return Ok(ReplyBody::whole(answer, arrived.wire, None));
    }
    if port.asks.is_idle() {
        let body = SendBody::long(Bytes::new(), body);
        return Ok(relay(&port, arrived, body, None, false).await);
    }
    let Ok(reading) = reading::read(body).await else {
        port.asks.stray_connection();
        return Err(Gone);
    };
    let (bytes, rest) = match reading {
        Reading::Whole(bytes) => {
            arrived.undone = decoding::undo(&arrived.parts.headers, &bytes);
            (bytes, None)
        }
        Reading::Long(bytes, rest) => (bytes, Some(rest)),
    };
    match (port.asks.owner(arrived.parts.uri.path(), arrived.looked(&bytes)), rest) {
        (Owner::Ask { ask, .. }, _)
            if ask.armed.stimulus == Stimulus::UnknownCa
                && arrived.wire.shown() != Shown::Unknown =>
        {
            // A connection from before, on which nothing strange was shown: the release has to make a new one.
            arrived.wire.end_by(Ending::Fin);
            Err(Gone)
        }
        (Owner::Ask { ask, markers }, None) => of_ask(&port, arrived, bytes, &ask, markers).await,
        (Owner::User, Some(rest)) => {
            Ok(relay(&port, arrived, SendBody::long(bytes, rest), None, false).await)
        }
        (Owner::User, None) => {
            arrived.undone = None;
            let body = send_body(&arrived.parts, bytes);
            Ok(relay(&port, arrived, body, None, false).await)
        }
        (Owner::Retired, _) => Ok(ReplyBody::whole(guard::retired(), arrived.wire, None)),
        (Owner::Ask { ask, .. }, Some(_)) => {
            ask.lose();
            Ok(ReplyBody::whole(guard::too_large(), arrived.wire, None))
        }
    }
}

/// Keeps the framing that the request came with.
fn send_body(parts: &request::Parts, bytes: Bytes) -> SendBody {
    if parts.headers.contains_key(TRANSFER_ENCODING) {
        SendBody::chunked(bytes)
    } else {
        SendBody::whole(bytes)
    }
}

/// What a call asks for, and how much of what was asked is in it.
#[derive(Default)]
struct CallRead {
    facts: RequestFacts,
    question: QuestionSeen,
    lost: Option<Vec<PartLost>>,
}

fn read_call(ask: &Ask, surface: Surface, is_readable: bool, bytes: &Bytes) -> CallRead {
    let read = catch_unwind(AssertUnwindSafe(|| {
        let asked = ask.armed.question.filter(|_| is_readable);
        let marker = ask.armed.marker.as_str();
        let question = asked.map(|wording| QuestionSeen::read(wording, marker, bytes));
        let facts = RequestFacts::read(surface, bytes);
        let mode = if facts.stream { Mode::Stream } else { Mode::Unary };
        let lost = asked.and_then(|_| ask.armed.asked_with.lost(surface, mode, bytes));
        CallRead { facts, question: question.unwrap_or_default(), lost }
    }));
    read.unwrap_or_else(|_panic| {
        ask.lose();
        Default::default()
    })
}

/// Enters an exchange in its ask, and does what the ask's stimulus says.
async fn of_ask(
    port: &PortContext,
    mut arrived: Box<Arrived>,
    bytes: Bytes,
    ask: &Arc<Ask>,
    markers: MarkersSeen,
) -> Result<Response<ReplyBody>, Gone> {
    let called = arrived.resource.surface.filter(|_| arrived.parts.method == Method::POST);
    // Such a path was made by the stimulus (a redirect): who follows it meets the stimulus again.
    let follows = Marker::of_moved_path(arrived.parts.uri.path()).is_some();
    let may_be_users = ask.armed.among_users && !markers.own;
    let (slot, admission) = ask.begin(called.is_some() || follows, may_be_users, &arrived.wire);
    if admission == (Admission::Stop { recorded: false }) {
        arrived.wire.end_by(Ending::Fin);
        return Err(Gone);
    }
    let surface = called.unwrap_or(port.surface);
    let is_readable = arrived.undone.is_some() || !is_encoded(&arrived.parts);
    let read = |surface| read_call(ask, surface, is_readable, arrived.looked(&bytes));
    let CallRead { facts, question, lost } = called.map(read).unwrap_or_default();
    let mode = if facts.stream { Mode::Stream } else { Mode::Unary };
    let head = RequestHead {
        method: &arrived.parts.method,
        path: arrived.path_in_reverse.as_deref().unwrap_or(arrived.parts.uri.path()),
        query: arrived.parts.uri.query(),
        resource: &arrived.resource,
        headers: &arrived.parts.headers,
        host: port.client.host(),
    };
    let (model, include_usage) = (facts.model.clone(), facts.include_usage);
    let format = facts.format.clone();
    let looked = arrived.looked(&bytes);
    let body = BodySeen { facts, n_bytes: bytes.len(), looked, markers, question, lost };
    let seen = request_seen(&head, body, &*port.fingerprint);
    let judged_as = JudgedAs { surface, mode, profile: port.profile };
    let mut recorder = Recorder::new(ask.clone(), slot, arrived.started, seen, judged_as);
    let Admission::Go { surface_attempt, beside } = admission else {
        recorder.answered_by(AnsweredBy::Guard);
        return end_without_response(&arrived.wire, recorder, Ending::Fin);
    };
    let act = match &ask.armed.stimulus {
        // It asks nothing of the request.
        Stimulus::Relay => Act::Relay,
        stimulus => stimulus.act(&RequestContext {
            surface,
            mode,
            profile: port.profile,
            model: model.unwrap_or_default(),
            marker: ask.armed.marker.as_str().to_owned(),
            label: ask.armed.label.clone(),
            format,
            include_usage,
            accepts_gzip: accepts_gzip(&arrived.parts.headers),
            authority: authority(&arrived.parts),
            attempt: surface_attempt,
            beside,
            request_id: (port.request_id)(),
            created: clock::epoch_seconds(),
        }),
    };
    let live = matches!(act, Act::Relay | Act::RelayInvalidCredential | Act::RelayEdited(_));
    // What stands beside the surface has nothing to do with the fault: it gets its documented reply, or the provider's.
    let is_beside = guard::is_beside(&arrived.resource.resource);
    let documented = !live || (is_beside && !ask.armed.stimulus.is_live());
    if called.is_none() && !follows && documented {
        recorder.answered_by(AnsweredBy::Guard);
        let looked = arrived.looked(&bytes);
        let answer = guard::beside(&arrived.parts.method, &arrived.resource.resource, looked);
        return Ok(ReplyBody::whole(answer, arrived.wire, Some(recorder)));
    }
    arrived.undone = None;
    let act = match act {
        Act::RelayInvalidCredential | Act::RelayEdited(_) if called.is_none() => Act::Relay,
        act => act,
    };
    let head_after = ask.armed.stimulus.head_after(surface_attempt);
    if !head_after.is_zero() {
        sleep(head_after).await;
    }
    perform(port, arrived, bytes, ask, recorder, act, may_be_users).await
}

/// Returns whether a request says that its sender reads gzip (RFC 9110 section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut codings = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let is_refused = weight.trim().trim_start_matches("q=").parse() == Ok(0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

fn is_encoded(parts: &request::Parts) -> bool {
    parts.headers.get(CONTENT_ENCODING).is_some_and(|value| value != "identity")
}

/// Returns the host and port that a request names.
fn authority(parts: &request::Parts) -> String {
    let named = parts.headers.get(HOST).and_then(|value| value.to_str().ok());
    named.unwrap_or_default().to_owned()
}

/// Performs an act.
async fn perform(
    port: &PortContext,
    arrived: Box<Arrived>,
    bytes: Bytes,
    ask: &Ask,
    mut recorder: Recorder,
    act: Act,
    may_be_users: bool,
) -> Result<Response<ReplyBody>, Gone> {
    match act {
        Act::Relay | Act::RelayInvalidCredential | Act::RelayEdited(_) => {
            if !ask.spend_live_call() && !may_be_users {
                recorder.answered_by(AnsweredBy::Guard);
                return Ok(ReplyBody::whole(guard::budget_spent(), arrived.wire, Some(recorder)));
            }
            let body = send_body(&arrived.parts, bytes);
            if let Act::RelayEdited(edits) = act {
                return Ok(relay_edited(port, arrived, body, recorder, edits).await);
            }
            Ok(relay(port, arrived, body, Some(recorder), act == Act::RelayInvalidCredential).await)
        }
        Act::Answer(answer) => match Made::start(answer, arrived.wire.clone(), recorder) {
            Ok(response) => Ok(response.map(ReplyBody::Made)),
            Err((unsendable, mut recorder)) => {
                ask.lose();
                recorder.answered_by(AnsweredBy::Guard);
                Ok(ReplyBody::whole(
                    guard::internal(&unsendable.to_string()),
                    arrived.wire,
                    Some(recorder),
                ))
            }
        },
        Act::Reset => end_without_response(&arrived.wire, recorder, Ending::Reset),
        Act::Close => end_without_response(&arrived.wire, recorder, Ending::Fin),
        Act::Hold => {
            // When the release leaves, or the ask is over, this future is dropped with the connection.
            sleep(HELD_MAX).await;
            end_without_response(&arrived.wire, recorder, Ending::Fin)
        }
    }
}

fn end_without_response<T>(
    wire: &WireControl,
    recorder: Recorder,
    ending: Ending,
) -> Result<T, Gone> {
    wire.end_by(ending);
    recorder.finish(End::Injected);
    Err(Gone)
}

/// Passes a request on to the provider, and edits its reply on the way back.
async fn relay_edited(
    port: &PortContext,
    mut arrived: Box<Arrived>,
    body: SendBody,
    mut recorder: Recorder,
    edits: Edits,
) -> Response<ReplyBody> {
    // What is compressed cannot be edited.
    arrived.parts.headers.remove(ACCEPT_ENCODING);
    let wire = arrived.wire.clone();
    let (mut parts, stream) = match call(port, arrived, body, Some(&mut recorder), false).await {
        Ok(response) => response.into_parts(),
        Err(error) => return unreachable(&error, wire, Some(recorder)),
    };
    // What the release gets is the tap's work.
    recorder.answered_by(AnsweredBy::Tap);
    let declared = parts.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let declared = declared.filter(|_| edits.keeps_length());
    if declared.is_none() {
        parts.headers.remove(CONTENT_LENGTH);
    }
    for (name, value) in &edits.headers {
        // What HTTP cannot carry was refused when the script was read.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            parts.headers.insert(name, value);
        }
    }
    recorder.head(parts.status, &parts.headers);
    let editor = Editor::new(edits, parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes));
    let made = Made::edited(stream, editor, declared, wire, recorder);
    Response::from_parts(parts, ReplyBody::Made(made))
}

/// Passes a request on to the provider, and its reply back.
async fn relay(
    port: &PortContext,
    arrived: Box<Arrived>,
    body: SendBody,
    mut recorder: Option<Recorder>,
    invalid_credential: bool,
) -> Response<ReplyBody> {
    let wire = arrived.wire.clone();
    match call(port, arrived, body, recorder.as_mut(), invalid_credential).await {
        Ok(response) => {
            let (parts, stream) = response.into_parts();
            if let Some(recorder) = &mut recorder {
                recorder.head(parts.status, &parts.headers);
            }
            Response::from_parts(parts, ReplyBody::Relayed(Relayed::new(stream, wire, recorder)))
        }
        Err(error) => unreachable(&error, wire, recorder),
    }
}

/// Calls the provider.
async fn call(
    port: &PortContext,
    arrived: Box<Arrived>,
    body: SendBody,
    recorder: Option<&mut Recorder>,
    invalid_credential: bool,
) -> Result<Response<ReplyStream>, UpstreamError> {
    let Arrived { mut parts, resource, wire, .. } = *arrived;
    let query = parts.uri.query();
    let path = match &resource.place {
        Place::BelowBase(below) => port.client.path_below_base(below, query),
        Place::BelowHost(path) => port.client.path_below_host(path, query),
    };
    remove_hop_by_hop(&mut parts.headers);
    // The tap has asked for the body already.
    parts.headers.remove(EXPECT);
    if parts.version != Version::HTTP_2 {
        parts.version = Version::HTTP_11;
    }
    if invalid_credential {
        invalidate_credentials(&mut parts.headers);
    }
    if let Some(recorder) = recorder {
        recorder.live();
    }
    let path = path.map_err(UpstreamError::Unsendable)?;
    port.live_calls.fetch_add(1, Ordering::Relaxed);
    let request = Request::from_parts(parts, body);
    let mut response = port.client.send(path, request, |parts| wire.interim(parts)).await?;
    remove_hop_by_hop(response.headers_mut());
    *response.version_mut() = Version::HTTP_11;
    Ok(response)
}

/// Answers that the provider did not.
fn unreachable(
    error: &UpstreamError,
    wire: WireControl,
    mut recorder: Option<Recorder>,
) -> Response<ReplyBody> {
    if let Some(recorder) = &mut recorder {
        recorder.answered_by(AnsweredBy::ProviderUnreachable);
        recorder.provider_ended(End::PeerLeft);
    }
    let why = chain(error);
    let answer = match error {
        UpstreamError::Request(_) => guard::proxy(StatusCode::BAD_REQUEST, &why),
        UpstreamError::Unreachable(_)
        | UpstreamError::Broken(_)
        | UpstreamError::Silent
        | UpstreamError::Unsendable(_) => guard::provider_unreachable(&why),
    };
    ReplyBody::whole(answer, wire, recorder)
}

/// Writes out an error and its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_read_by_whoever_says_so() {
        for (said, expected) in [
            ("gzip, deflate, br", true),
            ("deflate, GZIP;q=0.5", true),
            ("br,gzip ; q=1", true),
            ("identity", false),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("x-gzip", false),
            ("", false),
        ] {
            let said = HeaderValue::from_static(said);
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, said.clone())]);
            assert_eq!(accepts_gzip(&headers), expected, "{said:?}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}

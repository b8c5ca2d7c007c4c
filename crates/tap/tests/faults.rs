//! Each fault of the catalogue, seen by a client that reads bytes off a socket: what comes is what the fault's name says, chunk by chunk, with
//! the same end, in front of a base URL and through the proxy. By HTTP/2 a stream is broken off where a connection of HTTP/1 ends.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use contract::reply::AnswerFormat;
use contract::{Mode, Profile, Surface};
use drill::ports::{OpenPort, Tap as _, TapPort as _};
use drill::settings::Forward;
use futures_util::future::join_all;
use h2::Reason;
use h2::client::ResponseFuture;
use judge::catalogue::{Depth, plan};
use judge::{
    Act, Answer, AnswerEnd, AskId, Marker, Piece, PlanContext, Probe, RequestContext, Stimulus,
};
use support::reply::{Ended, QUIET, REQUEST_ID, Until, normal, read, signature};
use support::streams::{self, Streams};
use support::{Raw, Taps, ask, dead_address, forward_spec, header, post, spec, upstream};
use tokio::io::{AsyncRead, AsyncWrite};

/// Connections at a time.
const AT_ONCE: usize = 24;

/// What an act says that comes: the pieces, and what to wait for.
fn said(act: &Act) -> (Vec<Vec<u8>>, Until) {
    let Act::Answer(Answer { pieces, end, declared_length, .. }) = act else {
        let until = if *act == Act::Hold { Until::Silence { body: 0 } } else { Until::End };
        return (Vec::new(), until);
    };
    let mut chunks = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) if bytes.is_empty() => {}
            Piece::Bytes(bytes) => chunks.push(bytes.clone()),
            Piece::Pause(_) => {}
            Piece::Repeat { bytes, .. } => {
                let before: usize = chunks.iter().map(Vec::len).sum();
                chunks.extend([bytes.clone(), bytes.clone()]);
                return (chunks, Until::Ticks { body: before + bytes.len() });
            }
        }
    }
    let body: usize = chunks.iter().map(Vec::len).sum();
    let is_short = declared_length.is_none_or(|length| length > body as u64);
    let until = match end {
        AnswerEnd::Hold if is_short => Until::Silence { body },
        _ => Until::End,
    };
    (chunks, until)
}

/// As many digits as today's have.
const CREATED: i64 = 1_800_000_000;

fn request(surface: Surface, mode: Mode) -> (&'static str, String) {
    let prompt = contract::smoke::prompt(Marker::new(1).as_str(), "SSL-1");
    let stream = mode == Mode::Stream;
    let (path, asked) = match surface {
        Surface::Chat => (
            "/v1/chat/completions",
            format!("\"messages\":[{{\"role\":\"user\",\"content\":\"{prompt}\"}}]"),
        ),
        Surface::Responses => ("/v1/responses", format!("\"input\":\"{prompt}\"")),
    };
    (path, format!("{{\"model\":\"m\",\"stream\":{stream},{asked}}}"))
}

fn context(surface: Surface, mode: Mode) -> RequestContext {
    RequestContext {
        surface,
        mode,
        profile: Profile::Openai,
        model: "m".to_owned(),
        marker: Marker::new(1).as_str().to_owned(),
        label: "SSL-1".to_owned(),
        format: AnswerFormat::default(),
        include_usage: false,
        accepts_gzip: false,
        authority: "tap".to_owned(),
        attempt: 1,
        beside: 0,
        request_id: REQUEST_ID.to_owned(),
        created: CREATED,
    }
}

/// Probes whose stimulus is no reply of the tap's: they have tests of their own.
fn is_elsewhere(probe: &Probe) -> bool {
    probe.stimulus.is_live() || matches!(probe.stimulus, Stimulus::Refused | Stimulus::UnknownCa)
}

/// Asks for each probe's stimulus, once in front of a base URL and once through the proxy. Returns a line for each probe.
async fn signatures(surface: Surface, mode: Mode) -> String {
    let probes: Vec<Probe> = plan(Depth::Thorough, mode, &PlanContext::widest(surface))
        .into_iter()
        .filter(|probe| !is_elsewhere(probe))
        .collect();
    let dead = dead_address().await;
    let taps = Taps::new();
    let mut lines = String::new();
    for some in probes.chunks(AT_ONCE) {
        let seen = join_all(some.iter().map(|probe| async {
            let act = probe.stimulus.act(&context(surface, mode));
            let open = OpenPort { surface, ..spec(upstream(dead)) };
            let port = taps.tap.open(open).await.unwrap();
            port.arm(ask(1, probe.stimulus.clone()));
            let mut client = Raw::connect(support::address(&port)).await;
            let in_reverse = performed(&mut client, surface, mode, &act, probe.id).await;

            let open = OpenPort { surface, ..forward_spec(upstream(dead), Forward::default()) };
            let proxy = taps.proxy(open).await;
            proxy.port.arm(ask(1, probe.stimulus.clone()));
            let mut client = proxy.secured("api.example.test").await.unwrap();
            let in_forward = performed(&mut client, surface, mode, &act, probe.id).await;
            assert_eq!(in_forward, in_reverse, "{}: in forward mode", probe.id);

            let open = OpenPort { surface, ..spec(upstream(dead)) };
            let many = taps.tap.open(open).await.unwrap();
            many.arm(ask(1, probe.stimulus.clone()));
            let mut client = Streams::connect(support::address(&many)).await;
            let by_http2 = performed_by_http2(&mut client, surface, mode, &act, probe.id).await;
            assert_eq!(by_http2, of_http2(&in_reverse), "{}: by HTTP/2", probe.id);
            many.collect(AskId(1), Duration::ZERO).await;
            // Whatever it held is ended with the ask.
            port.collect(AskId(1), Duration::ZERO).await;
            proxy.port.collect(AskId(1), Duration::ZERO).await;
            in_reverse
        }))
        .await;
        for (probe, signature) in some.iter().zip(seen) {
            writeln!(lines, "{}: {signature}", probe.id).unwrap();
        }
    }
    lines
}

/// Sends the request, reads the reply, and holds it against what the act says. Returns what came in a few words.
async fn performed<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Raw<S>,
    surface: Surface,
    mode: Mode,
    act: &Act,
    id: &str,
) -> String {
    let (path, body) = request(surface, mode);
    client.send(&post(path, &body)).await;
    let (pieces, until) = said(act);
    let reply = read(client, until).await;
    let request_id = header(&reply.head, "x-request-id");
    assert_eq!(normal(&reply.body(), request_id), normal(&pieces.concat(), None), "{id}: the body");
    if header(&reply.head, "transfer-encoding").is_some() {
        let lengths = |chunks: &[Vec<u8>]| chunks.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&reply.chunks), lengths(&pieces), "{id}: a chunk for each piece");
    }
    if let Act::Answer(answer) = act {
        for (name, value) in &answer.headers {
            let got = header(&reply.head, name);
            // Ids and dates are made anew.
            let is_made = matches!(name.as_str(), "x-request-id" | "retry-after");
            assert!(
                got == Some(value) || (is_made && got.is_some()),
                "{id}: {name} is {got:?}, not {value:?}"
            );
        }
    }
    reply.signature()
}

/// What comes by HTTP/2 in place of this: there is one framing, and one way to break a stream off.
fn of_http2(signature: &str) -> String {
    let ended = signature.replace("fin", "reset");
    ended.replace(" chunked", "").replace(" length", "")
}

/// Sends the request by HTTP/2, and holds the reply against what the act says: a frame for each piece.
async fn performed_by_http2(
    client: &mut Streams,
    surface: Surface,
    mode: Mode,
    act: &Act,
    id: &str,
) -> String {
    let (path, body) = request(surface, mode);
    let response = client.send(streams::post(path, &body)).await;
    let (pieces, until) = said(act);
    let (head, frames, ended) = read_stream(response, until).await;
    let request_id = head.as_ref().and_then(|head| head.headers().get("x-request-id"));
    let request_id = request_id.map(|value| value.to_str().unwrap());
    assert_eq!(normal(&frames.concat(), request_id), normal(&pieces.concat(), None), "{id}");
    if matches!(act, Act::Answer(answer) if answer.declared_length.is_none()) {
        // A frame ends where a piece does; one of more than 16 KiB is several frames (RFC 9113 section 4.2), and what flow control allows.
        let ends = |parts: &[Vec<u8>]| -> BTreeSet<usize> {
            let sum = |sum: &mut usize, part: &Vec<u8>| {
                *sum += part.len();
                Some(*sum)
            };
            parts.iter().scan(0, sum).collect()
        };
        let (of_frames, of_pieces) = (ends(&frames), ends(&pieces));
        assert!(of_frames.is_superset(&of_pieces), "{id}: {of_frames:?}, not {of_pieces:?}");
        let is_small = pieces.iter().all(|piece| piece.len() < 16_384);
        assert!(!is_small || of_frames == of_pieces, "{id}: a frame for each piece");
    }
    let head = head.map(|head| {
        let media = head.headers().get("content-type").map(|value| value.to_str().unwrap());
        (head.status().as_u16(), media.unwrap_or_default().to_owned())
    });
    signature(head.as_ref().map(|(status, media)| (*status, media.as_str())), None, ended)
}

/// Reads a reply by HTTP/2: its head, its frames, and how it ended.
async fn read_stream(
    response: ResponseFuture,
    until: Until,
) -> (Option<http::Response<()>>, Vec<Vec<u8>>, Ended) {
    let broken_off = |error: h2::Error| {
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{error}");
        Ended::Reset
    };
    let response = match until {
        Until::Silence { body: 0 } => match tokio::time::timeout(QUIET, response).await {
            Ok(response) => response,
            Err(_nothing) => return (None, Vec::new(), Ended::Silent),
        },
        Until::Silence { .. } | Until::End | Until::Ticks { .. } => {
            support::soon("a reply", response).await
        }
    };
    let (head, mut body) = match response {
        Ok(response) => response.into_parts(),
        Err(error) => return (None, Vec::new(), broken_off(error)),
    };
    let mut frames: Vec<Vec<u8>> = Vec::new();
    let ended = loop {
        let n: usize = frames.iter().map(Vec::len).sum();
        let is_there = matches!(until, Until::Silence { body } if n >= body);
        if matches!(until, Until::Ticks { body } if n > body) {
            break Ended::Ticking;
        }
        let frame = if is_there {
            match tokio::time::timeout(QUIET, body.data()).await {
                Ok(frame) => frame,
                Err(_nothing) => break Ended::Silent,
            }
        } else {
            support::soon("more of a reply", body.data()).await
        };
        match frame {
            Some(Ok(data)) => {
                body.flow_control().release_capacity(data.len()).unwrap();
                frames.extend((!data.is_empty()).then(|| data.to_vec()));
            }
            Some(Err(error)) => break broken_off(error),
            None => break Ended::Whole,
        }
    };
    (Some(http::Response::from_parts(head, ())), frames, ended)
}

/// In any mode, what comes in a few words where it is not the documented reply's own.
const IN_ANY_MODE: [(&str, &str); 33] = [
    ("auth-forbidden", "403 json length whole"),
    ("network-close-before-headers", "fin"),
    ("network-reset-before-headers", "reset"),
    ("network-stall-before-headers", "silent"),
    ("overload-429", "429 json length whole"),
    ("overload-429-date", "429 json length whole"),
    ("overload-429-days", "429 json length whole"),
    ("overload-429-garbage", "429 json length whole"),
    ("overload-429-long", "429 json length whole"),
    ("overload-429-ms", "429 json length whole"),
    ("overload-429-negative", "429 json length whole"),
    ("overload-429-none", "429 json length whole"),
    ("overload-429-quota", "429 json length whole"),
    ("overload-500", "500 json length whole"),
    ("overload-502", "502 json length whole"),
    ("overload-503", "503 json length whole"),
    ("overload-503-retry-after", "503 json length whole"),
    ("overload-529", "529 json length whole"),
    ("overload-recovers", "503 json length whole"),
    ("overload-recovers-429", "429 json length whole"),
    ("overload-recovers-502", "502 json length whole"),
    ("overload-recovers-page", "502 text/html length whole"),
    ("overload-recovers-text", "503 json length whole"),
    ("request-400", "400 json length whole"),
    ("request-400-flat", "400 json length whole"),
    ("request-404-model", "404 json length whole"),
    ("request-413", "413 json length whole"),
    ("request-422", "422 json length whole"),
    ("request-500-invalid", "500 json length whole"),
    ("request-503-model", "503 json length whole"),
    ("request-redirect-elsewhere", "307 html length whole"),
    ("request-redirect-html", "301 html length whole"),
    ("request-redirect-302", "302 html length whole"),
];

const UNARY: [(&str, &str); 7] = [
    ("request-redirect-308", "308 html length whole"),
    ("network-close-mid-body", "200 json length fin"),
    ("network-reset-mid-body", "200 json length reset"),
    ("network-stall-mid-body", "200 json length silent"),
    ("network-endless-blanks", "200 json chunked ticking"),
    ("shape-html", "200 html length whole"),
    // Its characters are split at the ends of chunks.
    ("tolerated-split-utf8", "200 json chunked whole"),
];

const STREAM: [(&str, &str); 14] = [
    ("request-redirect-308", "308 html length whole"),
    ("network-close-mid-body", "200 sse chunked fin"),
    ("network-reset-mid-body", "200 sse chunked reset"),
    ("network-stall-mid-body", "200 sse chunked silent"),
    ("stream-comments-only", "200 sse chunked ticking"),
    ("stream-cut-mid-event", "200 sse chunked fin"),
    ("stream-cut-once", "200 sse chunked fin"),
    ("stream-html", "200 html length whole"),
    ("stream-json-error", "200 json length whole"),
    ("stream-plain-completion", "200 json length whole"),
    ("stream-reset-mid-event", "200 sse chunked reset"),
    ("stream-silence", "200 sse chunked silent"),
    ("stream-silence-comments", "200 sse chunked ticking"),
    // Everything is there before the silence.
    ("tolerated-held-open", "200 sse chunked silent"),
];

/// Holds all probes of a surface and mode against the tables: whichever is in none of them gets the `usual` reply.
#[track_caller]
fn check(surface: Surface, mode: Mode, usual: &str, of_mode: &[(&str, &str)]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let seen = runtime.block_on(signatures(surface, mode));
    let mut unusual: Vec<(&str, &str)> = seen
        .lines()
        .map(|line| line.split_once(": ").unwrap())
        .filter(|(_, signature)| *signature != usual)
        .collect();
    unusual.sort_unstable();
    let mut expected = [&IN_ANY_MODE[..], of_mode].concat();
    expected.sort_unstable();
    assert_eq!(unusual, expected, "{surface:?} {mode:?}: of {} probes", seen.lines().count());
}

#[test]
fn faults_of_unary_chat() {
    check(Surface::Chat, Mode::Unary, "200 json length whole", &UNARY);
}

#[test]
fn faults_of_unary_responses() {
    check(Surface::Responses, Mode::Unary, "200 json length whole", &UNARY);
}

#[test]
fn faults_of_streamed_chat() {
    check(Surface::Chat, Mode::Stream, "200 sse chunked whole", &STREAM);
}

#[test]
fn faults_of_streamed_responses() {
    check(Surface::Responses, Mode::Stream, "200 sse chunked whole", &STREAM);
}

#[tokio::test]
async fn refused_is_no_connection_until_the_ask_is_over() {
    let port = support::open_alone().await;
    port.arm(ask(1, Stimulus::Refused));
    port.refuse_connections().await;
    let connecting = tokio::net::TcpStream::connect(support::address(&port)).await;
    assert_eq!(connecting.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    let seen = support::collect(&port, 1).await;
    assert_eq!((seen.exchanges.len(), seen.stray_connections), (0, 0));
    Raw::connect(support::address(&port)).await;
}

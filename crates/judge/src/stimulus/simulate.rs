//! Replies of the simulated lane as a whole: the documented one, errors and a breaking network.

use std::time::Duration;

use contract::Mode;
use contract::reply::{self, ErrorKind, ReplyContext, StreamEvent, ToolCall};

use super::{Act, Answer, AnswerEnd, NetworkFault, Piece, RequestContext, RetryAfter};

/// Between two events of a simulated stream: a little, so that clients meet several reads, not one.
const EVENT_GAP: Duration = Duration::from_millis(2);

/// How often a keep-alive comes while nothing else does. Shorter than any idle timeout.
pub(super) const KEEP_ALIVE_EVERY: Duration = Duration::from_millis(400);

/// Pieces and waits of a slow drip: three seconds in all, well below any sane timeout.
const DRIP_PIECES: usize = 30;
const DRIP_GAP: Duration = Duration::from_millis(100);

/// What stands behind the label in the documented reply: multi-byte characters of two, three and four bytes, each character that JSON escapes, and
/// what markup, shells and formatting functions take for their own. A parser that decodes chunk by chunk, unescapes by hand, or hands the text
/// to one of those damages it.
pub(crate) const UNICODE_TAIL: &str = " — naïve café, 日本語, 😀, \"quoted\", back\\slash, tab\tand line\nbreak, *some* _markup_ `x` # <b> &amp; 100 %d ${x}";

/// What stands behind the documented text in a slow reply: a release that passes on whole sentences or paragraphs has several of them to pass on.
const PARAGRAPHS: &str = ". This is a sentence.\n\nHere is a second paragraph. It has three sentences, of which this is the second. And that is the last one of it.\n\nThe third paragraph is the last one; it is as long as the others, so that most of the text has been passed on before it begins.";

/// Returns the text that the simulated lane delivers for a label.
pub fn documented_text(label: &str) -> String {
    format!("{label}{UNICODE_TAIL}")
}

/// Returns the context for a reply with this text.
pub(super) fn context<'a>(request: &'a RequestContext, text: &'a str) -> ReplyContext<'a> {
    ReplyContext {
        surface: request.surface,
        model: &request.model,
        text,
        request_id: &request.request_id,
        created: request.created,
        include_usage: request.include_usage,
        profile: request.profile,
        id: match request.surface {
            contract::Surface::Chat => "chatcmpl-surestep00000000000000000001",
            contract::Surface::Responses => "resp_surestep0000000000000000000000000001",
        },
    }
}

pub(super) fn json_headers(request: &RequestContext) -> Vec<(String, String)> {
    reply::unary_headers(&context(request, ""))
}

pub(super) fn sse_headers(request: &RequestContext) -> Vec<(String, String)> {
    reply::stream_headers(&context(request, ""))
}

/// A body of known length under status 200 and above.
pub(super) fn whole(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Act {
    Act::Answer(Answer {
        status,
        headers,
        declared_length: Some(u64::try_from(body.len()).unwrap_or(u64::MAX)),
        pieces: vec![Piece::Bytes(body)],
        end: AnswerEnd::Complete,
    })
}

/// Events as they are, one flushed piece each.
pub(super) fn events_answer(
    request: &RequestContext,
    events: &[StreamEvent],
    end: AnswerEnd,
) -> Answer {
    let pieces = events.iter().map(StreamEvent::to_bytes).collect();
    pieces_answer(request, pieces, end)
}

/// Byte pieces as a stream, with a short wait between them.
pub(super) fn pieces_answer(
    request: &RequestContext,
    chunks: Vec<Vec<u8>>,
    end: AnswerEnd,
) -> Answer {
    let mut pieces = Vec::with_capacity(chunks.len() * 2);
    for chunk in chunks {
        pieces.push(Piece::Bytes(chunk));
        pieces.push(Piece::Pause(EVENT_GAP));
    }
    Answer { status: 200, headers: sse_headers(request), declared_length: None, pieces, end }
}

pub(super) fn documented(request: &RequestContext) -> Act {
    replying(request, &request.documented_text())
}

/// No release has a tool of this name, so none runs it.
const UNASKED_TOOL: &str = "surestep_tool_that_is_not_there";

/// A call of a tool that nobody has offered. Whoever asks again, as one that works with tools does, gets the answer.
pub(super) fn calling_unasked_tool(request: &RequestContext) -> Act {
    if request.attempt > 1 {
        return documented(request);
    }
    let call = ToolCall {
        id: "call_surestep0000000000000001".to_owned(),
        name: UNASKED_TOOL.to_owned(),
        arguments: "{}".to_owned(),
    };
    calling_tools(request, &[call])
}

/// The documented reply that makes these calls.
pub(super) fn calling_tools(request: &RequestContext, calls: &[ToolCall]) -> Act {
    let context = context(request, "");
    match request.mode {
        Mode::Unary => {
            let document = reply::unary_with_tool_calls(&context, calls);
            whole(200, json_headers(request), document.to_string().into_bytes())
        }
        Mode::Stream => {
            let events = reply::stream_with_tool_calls(&context, calls);
            Act::Answer(events_answer(request, &events, AnswerEnd::Complete))
        }
    }
}

/// The documented reply with this text.
fn replying(request: &RequestContext, text: &str) -> Act {
    let context = context(request, text);
    match request.mode {
        Mode::Unary => {
            whole(200, json_headers(request), reply::unary(&context).to_string().into_bytes())
        }
        Mode::Stream => {
            Act::Answer(events_answer(request, &reply::stream(&context), AnswerEnd::Complete))
        }
    }
}

pub(super) fn error(kind: ErrorKind, request: &RequestContext) -> Act {
    let reply = reply::error(kind, &context(request, ""));
    whole(reply.status, reply.headers, reply.body.to_string().into_bytes())
}

pub(super) fn rate_limited(retry_after: RetryAfter, request: &RequestContext) -> Act {
    back_later(ErrorKind::RateLimited, retry_after, request)
}

/// An error that says when to come back.
pub(super) fn back_later(
    kind: ErrorKind,
    retry_after: RetryAfter,
    request: &RequestContext,
) -> Act {
    let mut reply = reply::error(kind, &context(request, ""));
    let value = match retry_after {
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::Date(seconds) => http_date(request.created + i64::from(seconds)),
        RetryAfter::Milliseconds(millis) => millis.to_string(),
        RetryAfter::Text(text) => text.to_owned(),
        RetryAfter::Absent => String::new(),
    };
    let name = match retry_after {
        RetryAfter::Milliseconds(_) => "retry-after-ms",
        RetryAfter::Seconds(_) | RetryAfter::Date(_) | RetryAfter::Text(_) => "retry-after",
        RetryAfter::Absent => "",
    };
    if !name.is_empty() {
        reply.headers.push((name.to_owned(), value));
    }
    whole(reply.status, reply.headers, reply.body.to_string().into_bytes())
}

/// Formats seconds since the epoch as RFC 9110 section 5.6.7 asks.
fn http_date(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A web page as a wrong base URL, a login wall or a maintenance proxy sends it.
pub(super) const HTML: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Welcome</title></head>\
    <body><h1>Welcome</h1><p>Please sign in to continue.</p></body></html>\n";

pub(super) fn network(fault: NetworkFault, request: &RequestContext) -> Act {
    match fault {
        NetworkFault::ResetBeforeHeaders => Act::Reset,
        NetworkFault::CloseBeforeHeaders => Act::Close,
        NetworkFault::StallBeforeHeaders => Act::Hold,
        NetworkFault::ResetMidBody => half(request, AnswerEnd::Reset),
        NetworkFault::CloseMidBody => half(request, AnswerEnd::Fin),
        NetworkFault::StallMidBody => half(request, AnswerEnd::Hold),
        NetworkFault::EndlessBlanks => blanks(request),
        NetworkFault::SlowDrip => drip(request),
    }
}

/// A blank now and then, and nothing else. A release that streams although its user does not gets comments.
fn blanks(request: &RequestContext) -> Act {
    let (headers, bytes): (_, &[u8]) = match request.mode {
        Mode::Unary => (json_headers(request), b"\n"),
        Mode::Stream => (sse_headers(request), b": keep-alive\n\n"),
    };
    let pieces = vec![Piece::Repeat { bytes: bytes.to_vec(), every: KEEP_ALIVE_EVERY }];
    Act::Answer(Answer {
        status: 200,
        headers,
        declared_length: None,
        pieces,
        end: AnswerEnd::Hold,
    })
}

/// The first half of the documented reply, then `end`.
fn half(request: &RequestContext, end: AnswerEnd) -> Act {
    let Act::Answer(mut answer) = documented(request) else { return Act::Close };
    match request.mode {
        Mode::Unary => {
            for piece in &mut answer.pieces {
                if let Piece::Bytes(bytes) = piece {
                    bytes.truncate(bytes.len() / 2);
                }
            }
        }
        Mode::Stream => answer.pieces.truncate(answer.pieces.len() / 2),
    }
    answer.end = end;
    Act::Answer(answer)
}

fn drip(request: &RequestContext) -> Act {
    let text =
        request.format.write(&format!("{}{PARAGRAPHS}", super::documented_text(&request.label)));
    let Act::Answer(mut answer) = replying(request, &text) else { return Act::Close };
    let body: Vec<u8> = answer
        .pieces
        .iter()
        .flat_map(|piece| match piece {
            Piece::Bytes(bytes) | Piece::Repeat { bytes, .. } => bytes.clone(),
            Piece::Pause(_) => Vec::new(),
        })
        .collect();
    let size = body.len().div_ceil(DRIP_PIECES).max(1);
    answer.pieces = body
        .chunks(size)
        .flat_map(|chunk| [Piece::Bytes(chunk.to_vec()), Piece::Pause(DRIP_GAP)])
        .collect();
    Act::Answer(answer)
}

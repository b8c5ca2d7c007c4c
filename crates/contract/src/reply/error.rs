//! Error replies: which status, headers and envelope each provider sends for which trouble.

use serde_json::{Value, json};

use super::wording::{Wording, cometapi, openai};
use super::{ReplyContext, with_common};
use crate::{Profile, RequestFault};

/// The trouble that an error reply reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// 401: no credential came.
    MissingKey,
    /// 401: the credential is not valid. The reply never repeats it.
    InvalidKey,
    /// 403: known, but not allowed.
    Forbidden,
    /// 400: the request is wrong.
    BadRequest,
    /// The status that the provider documents for this fault of a request.
    Fault(RequestFault),
    /// 404: no such model.
    ModelNotFound,
    /// 404: no such path.
    WrongPath,
    /// 405: not with this method.
    WrongMethod,
    /// 413: the body is too long.
    TooLarge,
    /// 422: well-formed, but not processable.
    Unprocessable,
    /// 500 with code `invalid_request`: how CometAPI reports a mistake of the client.
    InvalidRequestAs500,
    /// 503 with code `model_not_found`: how CometAPI reports an unknown model.
    ModelNotFoundAs503,
    /// 429: too many requests for now.
    RateLimited,
    /// 429: nothing left to spend. Waiting does not help.
    InsufficientQuota,
    /// 500: the provider failed.
    Server,
    /// 502: an edge could not reach the provider.
    BadGateway,
    /// 503: no capacity for now.
    Overloaded,
    /// 529: no capacity for now, as Anthropic says it.
    Overloaded529,
}

impl ErrorKind {
    /// Returns the status that this provider sends with it.
    pub fn status(self, profile: Profile) -> u16 {
        match self {
            Self::MissingKey | Self::InvalidKey => 401,
            Self::Forbidden => 403,
            Self::BadRequest => 400,
            Self::Fault(fault) => match (profile.base(), fault) {
                // Seen there: a request without `messages` comes back as 500, one without `model` as 400.
                (Profile::Cometapi, RequestFault::Missing("messages" | "input")) => 500,
                _ => 400,
            },
            Self::ModelNotFound | Self::WrongPath => 404,
            Self::WrongMethod => 405,
            Self::TooLarge => 413,
            Self::Unprocessable => 422,
            Self::RateLimited | Self::InsufficientQuota => 429,
            Self::InvalidRequestAs500 | Self::Server => 500,
            Self::BadGateway => 502,
            Self::ModelNotFoundAs503 | Self::Overloaded => 503,
            Self::Overloaded529 => 529,
        }
    }
}

/// An error reply, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReply {
    /// The status code.
    pub status: u16,
    /// The headers, framing apart. No `retry-after`: whoever wants one adds it.
    pub headers: Vec<(String, String)>,
    /// The envelope.
    pub body: Value,
}

/// Returns the error reply of the context's provider, in its own words: some clients classify errors by them.
pub fn error(kind: ErrorKind, ctx: &ReplyContext<'_>) -> ErrorReply {
    let body = if ctx.profile.base() == Profile::Cometapi {
        cometapi_envelope(kind, ctx)
    } else {
        openai_envelope(kind, ctx)
    };
    ErrorReply { status: kind.status(ctx.profile), headers: headers(kind, ctx), body }
}

/// Returns OpenAI's envelope, which all providers but CometAPI get: it is what their clients are written for.
fn openai_envelope(kind: ErrorKind, ctx: &ReplyContext<'_>) -> Value {
    let Wording { message, kind, param, code } = openai(kind, ctx);
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}

fn cometapi_envelope(kind: ErrorKind, ctx: &ReplyContext<'_>) -> Value {
    let Wording { message, kind, param, code } = cometapi(kind, ctx);
    let message = format!("{message} (request id: {})", ctx.request_id);
    let code = if code.is_null() { "".into() } else { code };
    match param {
        // What the router in front says itself has no `param` and another order of fields.
        None => json!({ "error": { "code": code, "message": message, "type": kind } }),
        Some(param) => {
            json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
        }
    }
}

fn headers(kind: ErrorKind, ctx: &ReplyContext<'_>) -> Vec<(String, String)> {
    let mut headers = with_common(ctx, &[("content-type", "application/json")]);
    if kind == ErrorKind::RateLimited {
        for (name, value) in &mut headers {
            match name.as_str() {
                "x-ratelimit-remaining-requests" => *value = "0".to_owned(),
                "x-ratelimit-reset-requests" => *value = "120ms".to_owned(),
                _ => {}
            }
        }
    }
    headers
}

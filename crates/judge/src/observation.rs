//! What the tap saw of one ask: shapes, classes, times and fingerprints, never payloads.
//!
//! All times are milliseconds since the tap was armed for the ask.

use contract::conversation::PartLost;
use contract::smoke::QuestionSeen;
use contract::{Judgement, MessageRole, Shape};
use serde::Serialize;

use crate::Fingerprint;

/// All exchanges of one ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Observation {
    /// In the order in which their requests arrived.
    pub exchanges: Vec<Exchange>,
    /// Observations that did not reach us; with any, nothing can be concluded from what is missing.
    pub lost: u32,
    /// Connections made to the tap during this ask that never became a request (TLS bytes, garbage, refused on purpose).
    pub stray_connections: u32,
    /// Exchanges on the same listener during this ask that carried no known marker while several asks were open.
    pub unattributed: u32,
    /// Connections to other hosts than the provider's for which the release used the tap as its proxy during this ask.
    pub tunnels: Vec<Tunnel>,
    /// How often the release was shown a certificate that the tap had made, as its proxy, during this ask.
    pub certificates_shown: u32,
}

/// A connection to another host than the provider's, through the tap as the release's proxy. Its content passes unseen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// The host and its port, as the release named them.
    pub host: String,
    /// Whether the configuration says that the release calls it.
    pub declared: bool,
    /// What became of it.
    pub end: TunnelEnd,
    /// Bytes from the release during this ask.
    pub sent: u64,
    /// Bytes to the release during this ask.
    pub received: u64,
}

/// What became of a connection to another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TunnelEnd {
    /// It was made.
    Carried,
    /// The configuration forbids it.
    Refused,
    /// The host could not be reached.
    Unreachable,
}

/// One HTTP request and its response, as the tap saw them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// Counts from 1 within the ask.
    pub attempt: u32,
    /// When the request head had arrived.
    pub started_ms: u64,
    /// When the tap had nothing more to do with it.
    pub ended_ms: u64,
    /// The request.
    pub request: RequestSeen,
    /// The response; `None` when the connection ended before a status was sent to the release.
    pub response: Option<ResponseSeen>,
    /// Who answered.
    pub answered_by: AnsweredBy,
    /// How the release's side ended.
    pub release_end: End,
    /// How the provider's side ended; `None` in the simulated lane.
    pub provider_end: Option<End>,
}

/// Paths beside the surface that services call before they answer, such as a moderation: no calls of the surface, whatever they get.
pub const BESIDE: [&str; 2] = ["/v1/moderations", "/v1/embeddings"];

impl Exchange {
    /// Returns whether a release asked its provider for an answer here. What follows a redirect, and what goes to a path beside the
    /// surface, is no such call; a call to a path that is simply wrong is one.
    pub fn is_call(&self) -> bool {
        self.request.method == "POST"
            && !BESIDE.contains(&self.request.resource.as_str())
            && crate::Marker::of_moved_path(&self.request.path).is_none()
    }
}

/// Who made the response that the release got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    /// The provider.
    Provider,
    /// The tap, on purpose: the stimulus.
    Tap,
    /// The tap, because the provider could not be reached or broke off.
    ProviderUnreachable,
    /// The tap, because this was no call of the probed surface (another path, an unknown marker, a hot loop stopped).
    Guard,
}

/// How one side of an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Everything was sent and taken.
    Complete,
    /// The peer left early.
    PeerLeft,
    /// The tap ended it on purpose.
    Injected,
    /// It was still open when the ask was over.
    StillOpen,
}

/// How a request names its credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthScheme {
    /// No credential at all.
    None,
    /// `Authorization: Bearer …`, with something behind it.
    Bearer,
    /// `Authorization: Bearer` with nothing behind it, or the words `undefined`, `null`, `None`.
    BearerBlank,
    /// `Authorization: Basic …`.
    Basic,
    /// Another header that providers take: `api-key`, `x-api-key`, `x-goog-api-key`.
    ApiKeyHeader,
    /// Any other `Authorization` scheme.
    Other,
}

/// Where else than in a header a request carries a credential. The worst place is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exposure {
    /// Nowhere else.
    None,
    /// In the path or the query.
    Url,
    /// In the body.
    Body,
}

/// What the tap keeps of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestSeen {
    /// The method.
    pub method: String,
    /// The path as sent, without its query.
    pub path: String,
    /// Whether it carries a credential where none belongs.
    pub exposure: Exposure,
    /// The path with doubled slashes and doubled `/v1` folded: what was meant.
    pub resource: String,
    /// The host that the release meant to reach: the provider's behind the tap.
    pub host: String,
    /// Header names, lower case, sorted, without values.
    pub header_names: Vec<String>,
    /// How it names its credential.
    pub auth: AuthScheme,
    /// The keyed fingerprint of the credential.
    pub credential: Option<Fingerprint>,
    /// The structure of the body.
    pub shape: Shape,
    /// Who speaks in it, message by message.
    pub roles: Vec<MessageRole>,
    /// The `model` field.
    pub model: Option<String>,
    /// The `stream` field.
    pub stream: bool,
    /// What a provider that follows the documentation would refuse about the request, for example `missing messages`.
    pub fault: Option<String>,
    /// The client library and its version, from the user agent or `x-stainless-*`, for example `openai-python 3.54.0`.
    pub client: Option<String>,
    /// `x-stainless-retry-count`, where it was sent.
    pub retry_count: Option<u32>,
    /// Whether the body carried the ask's marker.
    pub carries_marker: bool,
    /// What became of the question that was asked, on its way into the body.
    pub question: QuestionSeen,
    /// What was asked beside it and is not there as it was sent; `None` where it was not looked for.
    pub lost: Option<Vec<PartLost>>,
    /// How many other asks of this run had their marker in the body, beside this ask's own.
    pub other_asks: u32,
    /// The size of the body.
    pub body_bytes: u64,
}

/// What the tap keeps of a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResponseSeen {
    /// The status code.
    pub status: u16,
    /// The `content-type` header, without parameters.
    pub content_type: Option<String>,
    /// Values of all `*request-id*` headers; the one in CometAPI's error message stands in `judgement.error`.
    pub request_ids: Vec<String>,
    /// The least time to wait before another attempt that `retry-after` or `retry-after-ms` asked for, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// When the status was sent to the release.
    pub head_ms: u64,
    /// The judgement by the contract.
    pub judgement: Judgement,
    /// The size of the body.
    pub body_bytes: u64,
}

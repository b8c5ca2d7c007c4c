//! The way to the provider: one policy for retries in one place, below async-openai, whose own retries it replaces.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::log::{Log, Reply};

/// Attempts for one answer, the first included.
const ATTEMPTS_MAX: u32 = 3;
/// The wait before the second attempt; each further one is three times as long.
const FIRST_WAIT: Duration = Duration::from_millis(300);
/// Bytes of an error reply that are read; real ones have a few hundred.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// Where the provider is and what it knows us by. No `Debug`: it holds the key.
#[derive(Clone)]
pub(crate) struct Credential(OpenAIConfig);

impl Credential {
    pub(crate) fn new(base_url: &str, key: &str) -> Result<Self, String> {
        // async-openai panics on a key that no header can hold, such as one with a line break in it.
        HeaderValue::from_str(key)
            .map_err(|_not_shown| "OPENAI_API_KEY has characters that no key has")?;
        reqwest::Url::parse(base_url).map_err(|error| format!("OPENAI_BASE_URL: {error}"))?;
        Ok(Self(
            OpenAIConfig::new().with_api_base(base_url.trim_end_matches('/')).with_api_key(key),
        ))
    }
}

/// Makes the connection pool: no redirects (an API never moves a POST), and patience has an end.
pub(crate) fn connections(version: &str) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(2))
        .user_agent(format!("support-bot/{version}"))
        .build()
        .map_err(|error| error.to_string())
}

/// Why there is no answer: a word for logs and users. Never the provider's own text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) &'static str);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Failure {}

impl From<OpenAIError> for Failure {
    fn from(error: OpenAIError) -> Self {
        match error {
            OpenAIError::Boxed(inner) => match inner.downcast::<Self>() {
                Ok(failure) => *failure,
                Err(_other) => Self("internal"),
            },
            OpenAIError::Reqwest(_) => Self("reply_cut"),
            OpenAIError::JSONDeserialize(..) => Self("reply_not_understood"),
            OpenAIError::ApiError(_) => Self("provider_error"),
            OpenAIError::StreamError(_) => Self("stream_broken"),
            _ => Self("internal"),
        }
    }
}

/// One call to the provider, retries included, and what became known of its last reply.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    connections: reqwest::Client,
    deadline: Instant,
    content_type: &'static str,
    log: Log,
    last: Arc<Mutex<Reply>>,
}

impl Call {
    pub(crate) fn new(
        connections: &reqwest::Client,
        deadline: Instant,
        content_type: &'static str,
        log: Log,
    ) -> Self {
        let last = Arc::default();
        Self { connections: connections.clone(), deadline, content_type, log, last }
    }

    /// Returns a client whose requests go through this call.
    pub(crate) fn client(&self, credential: &Credential) -> Client<OpenAIConfig> {
        let call = self.clone();
        Client::with_config(credential.0.clone()).with_http_service(tower::service_fn(
            move |request: HttpRequestFactory| {
                let call = call.clone();
                async move { call.send(request).await }
            },
        ))
    }

    /// Returns what is known of the last reply.
    pub(crate) fn last(&self) -> Reply {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn send(&self, request: HttpRequestFactory) -> Result<Response, OpenAIError> {
        let mut wait = FIRST_WAIT;
        let mut attempt = 1;
        loop {
            let (refusal, retry) = match self.attempt(&request, attempt).await? {
                Ok(response) => return Ok(response),
                Err(refused) => refused,
            };
            let pause = match retry {
                Retry::Never => None,
                // The provider's word is a floor.
                Retry::After(at_least) => Some(wait.max(at_least)),
            };
            match pause {
                // What cannot come in time is not waited for.
                Some(pause) if attempt < ATTEMPTS_MAX && Instant::now() + pause < self.deadline => {
                    sleep(pause).await;
                }
                Some(_) | None => return Err(OpenAIError::Boxed(Box::new(refusal))),
            }
            attempt += 1;
            wait *= 3;
        }
    }

    async fn attempt(
        &self,
        request: &HttpRequestFactory,
        attempt: u32,
    ) -> Result<Result<Response, (Failure, Retry)>, OpenAIError> {
        let request = request.build().await?;
        let started = Instant::now();
        let mut reply = Reply { route: request.url().path().to_owned(), ..Reply::default() };
        // Known already now: an attempt that is given up half-way leaves at least its route.
        self.note(&reply);
        let result = match self.connections.execute(request).await {
            Err(_unreachable) => {
                Err((Failure("provider_unreachable"), Retry::After(Duration::ZERO)))
            }
            Ok(response) => {
                reply.status = Some(response.status().as_u16());
                reply.request_id = request_id(response.headers());
                if response.status() == StatusCode::OK {
                    self.checked(response)
                } else {
                    let (status, after) = (response.status(), retry_after(response.headers()));
                    let error = read_error(response).await;
                    reply.request_id = reply.request_id.or_else(|| error.request_id());
                    Err(judge(status, &error.code, after))
                }
            }
        };
        self.log.attempt(&reply, attempt, started.elapsed());
        self.note(&reply);
        Ok(result)
    }

    fn note(&self, reply: &Reply) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone_from(reply);
    }

    /// No client looks at the type: a web page in place of a stream would be a stream without events.
    fn checked(&self, response: Response) -> Result<Response, (Failure, Retry)> {
        let sent = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if sent.is_some_and(|sent| sent.to_ascii_lowercase().starts_with(self.content_type)) {
            Ok(response)
        } else {
            Err((Failure("wrong_content_type"), Retry::Never))
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    Never,
    After(Duration),
}

/// Decides by status *and* code: a provider reports some mistakes of ours as 500 and 503, and asking again repeats them.
fn judge(status: StatusCode, code: &str, after: Duration) -> (Failure, Retry) {
    let again = Retry::After(after);
    match (status.as_u16(), code) {
        (429, "insufficient_quota") => (Failure("quota_used_up"), Retry::Never),
        (429, _) => (Failure("rate_limited"), again),
        (401 | 403, _) => (Failure("credential_refused"), Retry::Never),
        (500.., "invalid_request") => (Failure("request_refused"), Retry::Never),
        (404, _) | (500.., "model_not_found") => (Failure("model_not_found"), Retry::Never),
        (500.., _) => (Failure("provider_failed"), again),
        (300..=399, _) => (Failure("redirected"), Retry::Never),
        _ => (Failure("request_refused"), Retry::Never),
    }
}

/// What is read of an error reply.
#[derive(Debug, Default, Deserialize)]
struct ErrorReply {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl ErrorReply {
    /// Returns the id from `… (request id: ID)`, where some providers put it. It is short and plain, or it is none.
    fn request_id(&self) -> Option<String> {
        let (_, rest) = self.message.rsplit_once("(request id: ")?;
        let (id, _) = rest.split_once(')')?;
        plain_id(id)
    }
}

async fn read_error(mut response: Response) -> ErrorReply {
    #[derive(Default, Deserialize)]
    struct Envelope {
        error: ErrorReply,
    }
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > ERROR_BYTES_MAX {
            break;
        }
    }
    // An error without a readable code is judged by its status alone.
    serde_json::from_slice::<Envelope>(&body).unwrap_or_default().error
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let (_, value) = headers.iter().find(|(name, _)| name.as_str().contains("request-id"))?;
    plain_id(value.to_str().ok()?)
}

fn plain_id(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    ((1..=128).contains(&text.len()) && text.chars().all(plain)).then(|| text.to_owned())
}

/// Reads how long the provider wants us to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Duration {
    let millis = headers.get("retry-after-ms").and_then(|value| value.to_str().ok());
    if let Some(millis) = millis.and_then(|text| text.trim().parse().ok()) {
        return Duration::from_millis(millis);
    }
    let Some(text) = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()) else {
        return Duration::ZERO;
    };
    if let Ok(seconds) = text.trim().parse() {
        return Duration::from_secs(seconds);
    }
    match jiff::fmt::rfc2822::parse(text.trim()) {
        // A date that has passed asks for no wait.
        Ok(at) => {
            at.timestamp().duration_since(jiff::Timestamp::now()).try_into().unwrap_or_default()
        }
        Err(_neither) => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn what_repeats_itself_is_not_retried() {
        let check = |status: u16, code: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            matches!(judge(status, code, Duration::ZERO).1, Retry::After(_))
        };
        for (status, code) in
            [(429, "rate_limit_exceeded"), (500, ""), (502, ""), (503, "x"), (529, "")]
        {
            assert!(check(status, code), "{status} {code} is worth another attempt");
        }
        for (status, code) in [
            (400, ""),
            (401, ""),
            (402, ""),
            (403, ""),
            (404, ""),
            (413, ""),
            (422, ""),
            (301, ""),
            (429, "insufficient_quota"),
            (500, "invalid_request"),
            (503, "model_not_found"),
        ] {
            assert!(!check(status, code), "{status} {code} stays as it is");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(&headers("retry-after", "130")), Duration::from_secs(130));
        let past = retry_after(&headers("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(past, Duration::ZERO);
        let future = retry_after(&headers("retry-after", "Sat, 06 Nov 2094 08:49:37 GMT"));
        assert!(future > Duration::from_secs(1_000_000));
        assert_eq!(retry_after(&headers("retry-after", "soon")), Duration::ZERO);
    }

    #[test]
    fn the_request_id_comes_from_a_header_or_from_the_message() {
        let from_header = request_id(&headers("x-oneapi-request-id", "2026-ab.c"));
        assert_eq!(from_header.as_deref(), Some("2026-ab.c"));
        assert_eq!(request_id(&headers("x-request-id", "a b")), None);
        let message = "no channel (distributor) (request id: 20261122abc)".to_owned();
        let error = ErrorReply { message, ..ErrorReply::default() };
        assert_eq!(error.request_id().as_deref(), Some("20261122abc"));
    }
}

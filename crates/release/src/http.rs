//! Asks over HTTP: sends one request, reads the reply until a reader has seen enough, and says what came of it.

use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drill::ports::{Ask, Asked};
use evidence::Sensitive;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::builderstates::WantsSchemes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use judge::CrashKind;
use judge::compare::MediaType;
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::outcome::{Reply, crash_kind, crashed, timed_out};
use crate::process::Ended;

/// Kept of a reply: more than any answer, and an endless reply must not fill the memory.
pub(crate) const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Searched of a reply beside its answer.
const SEEN_BYTES_MAX: usize = 1024 * 1024;

/// How long a process's end may take to be known after its connection broke, and a reply after its process has ended: more
/// than a supervisor gives to what the process left behind.
const END_IS_KNOWN_WITHIN: Duration = Duration::from_millis(500);

/// A request's body.
pub(crate) type Body = BoxBody<Bytes, hyper::Error>;

/// Makes one connection for each request: a kept one would hide that a release restarted, and be retried in silence.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Body>,
}

impl Http {
    /// Makes a client for plain HTTP.
    pub(crate) fn plain() -> Self {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider that is built in supports the default versions")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        Self::with(HttpsConnectorBuilder::new().with_tls_config(config))
    }

    /// Makes a client that trusts the certificates that this machine trusts.
    pub(crate) fn with_platform_trust() -> io::Result<Self> {
        let builder = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider())?;
        Ok(Self::with(builder))
    }

    fn with(builder: HttpsConnectorBuilder<WantsSchemes>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build(builder.https_or_http().enable_http1().wrap_connector(tcp));
        Self { client }
    }

    /// Sends a request and returns the head of its reply. Redirects are replies like others.
    pub(crate) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<http::Response<Incoming>, hyper_util::client::legacy::Error> {
        self.client.request(request).await
    }

    /// Returns the status that a GET is answered with.
    pub(crate) async fn status(&self, uri: &str) -> Result<StatusCode, String> {
        let request = Request::get(uri).body(body(Bytes::new())).map_err(|e| e.to_string())?;
        self.send(request).await.map(|reply| reply.status()).map_err(|error| {
            use std::error::Error as _;
            error.source().map_or_else(|| error.to_string(), ToString::to_string)
        })
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Makes a body of bytes.
pub(crate) fn body(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// Reads one kind of reply. A status from 300 on never gets here.
pub(crate) trait ReplyReader: Send {
    /// Takes the next bytes; breaks when nothing more needs to come.
    fn take(&mut self, bytes: &[u8]) -> ControlFlow<()>;

    /// Says what the reply amounts to, after `take` broke off or the reply's clean end.
    fn finish(&mut self) -> Reply;

    /// Returns what has been answered so far.
    fn partial(&self) -> Option<String>;

    /// How a reply that broke off is called.
    fn broke_off(&self) -> &'static str;
}

/// Whether the process behind an address lives; an address that is not ours is always held to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life(pub(crate) Option<watch::Receiver<Option<Ended>>>);

impl Life {
    /// Waits for its end.
    pub(crate) async fn ended(&self) -> Ended {
        if let Some(watched) = &self.0 {
            let mut watched = watched.clone();
            if let Ok(ended) = watched.wait_for(Option::is_some).await
                && let Some(ended) = *ended
            {
                return ended;
            }
        }
        std::future::pending().await
    }
}

/// What is noted of a reply beside its answer.
#[derive(Default)]
struct Seen {
    /// What came, head and body, as far as it is kept.
    bytes: Vec<u8>,
    /// As what a good reply was declared.
    media_type: Option<MediaType>,
    /// When the first words came of an answer that is passed on in pieces.
    first_words: Option<Instant>,
}

/// How an exchange ended, before the life of the process behind it is looked at.
enum Exchange {
    Replied(Reply),
    NoReply,
    BrokeOff,
    /// More than is kept; what a judge would need may be in the rest.
    TooLong,
}

/// Sends the request and reads its reply, by the ask's deadline.
pub(crate) async fn ask(
    http: &Http,
    request: Request<Body>,
    reader: &mut dyn ReplyReader,
    ask: &Ask,
    life: &Life,
) -> Asked {
    let start = Instant::now();
    let until = start + ask.deadline;
    let mut seen = Seen::default();
    let came = {
        let mut exchange = pin!(exchange(http, request, &mut *reader, &mut seen));
        tokio::select! {
            biased;
            came = timeout_at(until, &mut exchange) => came.map_err(|_elapsed| None),
            ended = life.ended() => with_ended(exchange, ended).await,
        }
    };
    let asked = outcome_of(came, start.elapsed(), reader, life).await;
    let Seen { bytes, media_type, first_words } = seen;
    let first_words = first_words.map(|at| at - start);
    let reply = (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned());
    Asked { reply: reply.map(Sensitive::new), media_type, first_words, ..asked }
}

/// Says what came of an exchange.
async fn outcome_of(
    came: Result<Exchange, Option<Ended>>,
    elapsed: Duration,
    reader: &mut dyn ReplyReader,
    life: &Life,
) -> Asked {
    match came {
        Ok(Exchange::Replied(reply)) => reply.into_asked(elapsed),
        Err(None) => timed_out(elapsed, reader.partial()),
        Err(Some(ended)) => crashed(elapsed, crash_kind(ended), reader.partial()),
        Ok(Exchange::TooLong) => {
            let how = format!("a reply of more than {REPLY_BYTES_MAX} bytes");
            let asked = Reply::refused(how).after(reader.partial()).into_asked(elapsed);
            Asked { cut: true, ..asked }
        }
        Ok(broken @ (Exchange::NoReply | Exchange::BrokeOff)) => {
            if life.0.is_some()
                && let Ok(ended) = timeout(END_IS_KNOWN_WITHIN, life.ended()).await
            {
                return crashed(elapsed, crash_kind(ended), reader.partial());
            }
            if matches!(broken, Exchange::NoReply) {
                return crashed(elapsed, CrashKind::ConnectionLost, None);
            }
            Reply::refused(reader.broke_off()).after(reader.partial()).into_asked(elapsed)
        }
    }
}

/// A service that answered in full and then ended has answered; everything less is a crash.
async fn with_ended(
    exchange: std::pin::Pin<&mut impl Future<Output = Exchange>>,
    ended: Ended,
) -> Result<Exchange, Option<Ended>> {
    match timeout(END_IS_KNOWN_WITHIN, exchange).await {
        Ok(whole @ (Exchange::Replied(_) | Exchange::TooLong)) => Ok(whole),
        Ok(Exchange::NoReply | Exchange::BrokeOff) | Err(_) => Err(Some(ended)),
    }
}

/// `seen` gets what is noted beside the answer.
async fn exchange(
    http: &Http,
    request: Request<Body>,
    reader: &mut dyn ReplyReader,
    seen: &mut Seen,
) -> Exchange {
    let Ok(reply) = http.send(request).await else { return Exchange::NoReply };
    for (name, value) in reply.headers() {
        seen.bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat());
    }
    let declared = reply.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    seen.media_type = reply.status().is_success().then(|| MediaType::of(declared));
    let (head, mut body) = (reply.status(), reply.into_body());
    if head.as_u16() >= 300 {
        // How it is shown matters to the judge; that it is not whole does not.
        let shown = match collect(&mut body).await {
            Ok(bytes) | Err((_, bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        };
        let how = format!("status {}", head.as_u16());
        return Exchange::Replied(
            Reply::refused(how).showing((!shown.is_empty()).then_some(shown)),
        );
    }
    let mut n_bytes = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Exchange::BrokeOff };
        let Ok(bytes) = frame.into_data() else { continue };
        if seen.bytes.len() < SEEN_BYTES_MAX {
            seen.bytes.extend_from_slice(&bytes);
        }
        n_bytes += bytes.len();
        if n_bytes > REPLY_BYTES_MAX {
            return Exchange::TooLong;
        }
        let taken = reader.take(&bytes);
        let has_words = || reader.partial().is_some_and(|text| !text.trim().is_empty());
        if seen.first_words.is_none() && has_words() {
            seen.first_words = Some(Instant::now());
        }
        if taken.is_break() {
            break;
        }
    }
    Exchange::Replied(reader.finish())
}

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    BrokeOff,
    TooLong,
}

/// Reads a body up to the limit.
pub(crate) async fn collect(body: &mut Incoming) -> Result<Vec<u8>, (Unread, Vec<u8>)> {
    let mut collected = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err((Unread::BrokeOff, collected)) };
        if let Ok(bytes) = frame.into_data() {
            if collected.len() + bytes.len() > REPLY_BYTES_MAX {
                return Err((Unread::TooLong, collected));
            }
            collected.extend_from_slice(&bytes);
        }
    }
    Ok(collected)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Reads a body byte by byte, as it may come.
    pub(crate) fn read(reader: &mut dyn ReplyReader, body: &[u8]) -> Reply {
        for byte in body.chunks(1) {
            if reader.take(byte).is_break() {
                break;
            }
        }
        reader.finish()
    }

    /// Asserts what a body amounts to: an answer, or how it refuses.
    #[track_caller]
    pub(crate) fn check(reader: &mut dyn ReplyReader, body: &str, expected: Result<&str, &str>) {
        match (read(reader, body.as_bytes()), expected) {
            (Reply::Answered(answer), Ok(expected)) => assert_eq!(answer, expected),
            (Reply::Refused { how, .. }, Err(expected)) => assert_eq!(how, expected),
            (Reply::Answered(answer), Err(expected)) => panic!("{answer:?} is not {expected:?}"),
            (Reply::Refused { how, .. }, Ok(expected)) => panic!("{how:?} is not {expected:?}"),
            (Reply::Called(..), expected) => panic!("calls are not {expected:?}"),
        }
    }
}

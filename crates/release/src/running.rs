//! A release that can be asked: the implementation of [`RunningRelease`].

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use contract::conversation::AskedWith;
use contract::{Mode, Surface};
use drill::ports::{Ask, Asked, FileId, LogPosition, Logged, PortError, RunningRelease, Way};
use drill::settings::HttpAsk;
use evidence::Sensitive;
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Request, Uri, header};
use judge::Outcome;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::capture::lock;
use crate::command::Commands;
use crate::http::{Body, Http, Life, ReplyReader, body};
use crate::logs::LogSources;
use crate::outcome::Reply;
use crate::placeholders::Placeholders;
use crate::service::Service;
use crate::{front, gateway, mapped, relay};

/// How long a URL may take to let us connect when a run starts.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Answers that take longer are asked why.
const SLOW_MS: u64 = 1_000;

/// A release that can be asked. Dropping it kills its processes.
pub struct Running {
    inner: Arc<Inner>,
    fronts: Mutex<Vec<AbortHandle>>,
}

struct Inner {
    kind: Kind,
    deadline: Duration,
}

#[expect(clippy::large_enum_variant, reason = "there are two of them in a run")]
pub(crate) enum Kind {
    Command(Commands),
    Http(HttpRelease),
}

impl fmt::Debug for Running {
    /// Shows no environment and no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.inner.kind {
            Kind::Command(_) => "command",
            Kind::Http(release) if release.service.is_some() => "service",
            Kind::Http(_) => "url",
        };
        f.debug_struct("Running").field("kind", &kind).finish_non_exhaustive()
    }
}

impl Running {
    pub(crate) fn new(kind: Kind, deadline: Duration) -> Self {
        Self { inner: Arc::new(Inner { kind, deadline }), fronts: Mutex::default() }
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.inner.kind
    }

    async fn open_front(&self, tap: Way) -> Result<SocketAddr, PortError> {
        let inner = Arc::clone(&self.inner);
        let (address, task) = front::serve(move |request| {
            let (inner, tap) = (Arc::clone(&inner), tap.clone());
            async move {
                match front::read_ask(request, inner.deadline).await {
                    Ok(ask) => front::reply(&inner.ask_behind_front(ask, tap).await),
                    Err(what) => front::misunderstood(&what),
                }
            }
        })
        .await?;
        lock(&self.fronts).push(task);
        Ok(address)
    }

    fn close_fronts(&self) {
        for front in lock(&self.fronts).drain(..) {
            front.abort();
        }
    }
}

impl Inner {
    async fn ask(&self, ask: &Ask) -> Asked {
        match &self.kind {
            Kind::Command(commands) => Box::pin(commands.ask(ask)).await,
            Kind::Http(release) => release.ask(ask).await,
        }
    }

    async fn ask_behind_front(&self, mut ask: Ask, tap: Way) -> Asked {
        ask.tap = Some(tap);
        let asked = self.ask(&ask).await;
        if let (Kind::Command(commands), Some(logs)) = (&self.kind, &asked.logs) {
            commands.keep_front_logs(logs);
        }
        asked
    }
}

impl RunningRelease for Running {
    fn process_per_ask(&self) -> bool {
        matches!(self.inner.kind, Kind::Command(_))
    }

    async fn ask(&self, ask: Ask) -> Asked {
        self.inner.ask(&ask).await
    }

    async fn front(&self, tap: Way) -> Result<SocketAddr, PortError> {
        match &self.inner.kind {
            Kind::Command(_) => self.open_front(tap).await,
            Kind::Http(release) => match release.own_address() {
                Some(address) => Ok(address),
                None => {
                    let (address, task) = release.open_relay().await?;
                    lock(&self.fronts).push(task);
                    Ok(address)
                }
            },
        }
    }

    async fn front_uniform(&self, tap: Way) -> Result<SocketAddr, PortError> {
        self.open_front(tap).await
    }

    fn logs_since(&self, since: LogPosition) -> Logged {
        match &self.inner.kind {
            Kind::Command(commands) => commands.logs_since(&since),
            Kind::Http(release) => match &release.service {
                Some(service) => service.logs_since(&since),
                None => release.files.since(&since, None),
            },
        }
    }

    fn beside_logs(&self) -> Sensitive {
        match &self.inner.kind {
            Kind::Http(HttpRelease { service: Some(service), .. }) => service.beside_logs(),
            // A command's go with each ask; an instance that runs already has outputs, but not for us to read.
            Kind::Http(_) | Kind::Command(_) => Sensitive::new(""),
        }
    }

    async fn writes_to(&self, file: FileId) -> bool {
        match &self.inner.kind {
            Kind::Http(HttpRelease { service: Some(service), .. }) => service.writes_to(file).await,
            // A command's processes are gone by then; those of an instance that runs already are not ours to look at.
            Kind::Http(_) | Kind::Command(_) => false,
        }
    }

    async fn still_ready(&self) -> Result<(), String> {
        match &self.inner.kind {
            Kind::Http(HttpRelease { service: Some(service), http, .. }) => {
                service.still_ready(http).await
            }
            Kind::Http(_) | Kind::Command(_) => Ok(()),
        }
    }

    async fn stop(&self) {
        self.close_fronts();
        if let Kind::Http(HttpRelease { service: Some(service), .. }) = &self.inner.kind {
            service.stop().await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A front holds the release too; its task goes, and the service's own `Drop` follows.
        self.close_fronts();
    }
}

/// How a release is asked over HTTP: the mapping, the surface, a gateway's credential, and what placeholders stand for.
pub(crate) type How = (HttpAsk, Surface, Option<Sensitive>, Placeholders);

/// A release that is asked over HTTP, started by us or not.
pub(crate) struct HttpRelease {
    /// Scheme, authority and the path below which it lies.
    base: String,
    uri: Uri,
    http: Http,
    how: How,
    service: Option<Service>,
    /// The log files of an instance that runs already.
    files: LogSources,
    /// Where a URL's host was found.
    resolved: Option<SocketAddr>,
}

impl HttpRelease {
    pub(crate) fn new(base: String, http: Http, how: How, service: Option<Service>) -> Self {
        let uri = base.parse().unwrap_or_default();
        Self { base, uri, http, how, service, files: LogSources::default(), resolved: None }
    }

    /// Checks that requests can be made: paths, headers, credential.
    pub(crate) fn check(how: &How) -> Result<(), PortError> {
        for mode in [Mode::Unary, Mode::Stream] {
            let ask = Ask {
                prompt: Sensitive::new(""),
                asked_with: AskedWith::Question,
                mode,
                deadline: Duration::ZERO,
                tap: None,
            };
            if let Some(Err(what)) = request("http://127.0.0.1", how, &ask) {
                return Err(PortError::Environment {
                    what: format!("no {} request can be made of `ask`: {what}", mode.as_str()),
                    advice: "correct the path, the headers or the credential: each must be one line of plain characters".to_owned(),
                    source: None,
                });
            }
        }
        Ok(())
    }

    /// Connects to a URL once, to tell now and not in the middle of a drill that nothing is there.
    pub(crate) async fn connect(
        url: &str,
        plain: &Http,
        how: How,
        files: LogSources,
    ) -> Result<Self, PortError> {
        let base = url.trim_end_matches('/').to_owned();
        let uri: Uri = base.parse().map_err(|error| PortError::Environment {
            what: "`url` is no URL".to_owned(),
            advice: "write it as https://host[:port][/path]".to_owned(),
            source: Some(Box::new(error)),
        })?;
        let (is_https, Some(host)) = (uri.scheme() == Some(&Scheme::HTTPS), uri.host()) else {
            return Err(PortError::Environment {
                what: "`url` names no host".to_owned(),
                advice: "write it as https://host[:port][/path]".to_owned(),
                source: None,
            });
        };
        let http = if is_https {
            Http::with_platform_trust().map_err(|error| PortError::Environment {
                what: "the certificates that this machine trusts cannot be read, and an https `url` needs them".to_owned(),
                advice: "install the package ca-certificates, or set SSL_CERT_FILE".to_owned(),
                source: Some(Box::new(error)),
            })?
        } else {
            plain.clone()
        };
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let bare_host = host.trim_start_matches('[').trim_end_matches(']');
        // Without what may stand before an `@`.
        let place = format!("{host}:{port}");
        let not_ready = |what: String| PortError::Release {
            code: "release-not-ready",
            what,
            advice: "start the instance, or correct `url`".to_owned(),
            output: None,
        };
        let resolved = match timeout(CONNECT_WITHIN, TcpStream::connect((bare_host, port))).await {
            Ok(Ok(stream)) => stream.peer_addr().ok(),
            Ok(Err(error)) => {
                return Err(not_ready(format!("{place} could not be connected to: {error}")));
            }
            Err(_) => {
                return Err(not_ready(format!(
                    "{place} could not be connected to within {CONNECT_WITHIN:?}"
                )));
            }
        };
        Ok(Self { base, uri, http, how, service: None, files, resolved })
    }

    async fn ask(&self, ask: &Ask) -> Asked {
        let Some(service) = &self.service else {
            return self.ask_with(&self.http, &self.base, ask, &Life::default()).await;
        };
        let before = service.cpu_waits();
        let asked = self.ask_with(&self.http, &self.base, ask, &service.life()).await;
        match asked.outcome {
            Outcome::TimedOut { .. } | Outcome::Answered { elapsed_ms: SLOW_MS.., .. } => {
                let cpu_wait = service.cpu_waits_of_all().await.longest_since(&before);
                Asked { cpu_wait, ..asked }
            }
            Outcome::Answered { .. }
            | Outcome::Refused { .. }
            | Outcome::Crashed { .. }
            | Outcome::Left { .. } => asked,
        }
    }

    /// Asks at another address, by plain HTTP, under the same path. Whose process is behind it is not known.
    pub(crate) async fn ask_at(&self, http: &Http, address: SocketAddr, ask: &Ask) -> Asked {
        let base = format!("http://{address}{}", self.uri.path().trim_end_matches('/'));
        self.ask_with(http, &base, ask, &Life::default()).await
    }

    async fn ask_with(&self, http: &Http, base: &str, ask: &Ask, life: &Life) -> Asked {
        let (request, mut reader) = match request(base, &self.how, ask) {
            Some(Ok(made)) => made,
            Some(Err(what)) => {
                return Reply::refused(format!("no request can be made: {what}"))
                    .into_asked(Duration::ZERO);
            }
            None => {
                return Reply::refused(format!("no {} ask is configured", ask.mode.as_str()))
                    .into_asked(Duration::ZERO);
            }
        };
        Box::pin(crate::http::ask(http, request, reader.as_mut(), ask, life)).await
    }

    /// Returns the address where plain HTTP without a host's name reaches the release.
    fn own_address(&self) -> Option<SocketAddr> {
        if let Some(service) = &self.service {
            return Some(service.address());
        }
        let is_plain = self.uri.scheme() == Some(&Scheme::HTTP);
        let needs_no_name = self.uri.host().is_some_and(|host| {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || bare.parse::<IpAddr>().is_ok()
        });
        self.resolved.filter(|_| is_plain && needs_no_name)
    }

    async fn open_relay(&self) -> Result<(SocketAddr, AbortHandle), PortError> {
        let scheme = self.uri.scheme().cloned().unwrap_or(Scheme::HTTP);
        let authority = self.uri.authority().cloned().ok_or_else(|| PortError::Environment {
            what: "`url` names no host".to_owned(),
            advice: "write it as https://host[:port][/path]".to_owned(),
            source: None,
        })?;
        relay::open(self.http.clone(), scheme, authority).await
    }
}

type Made = (Request<Body>, Box<dyn ReplyReader>);

/// Makes the request and the reader of its reply; `None` when the mode is not configured.
fn request(base: &str, how: &How, ask: &Ask) -> Option<Result<Made, String>> {
    let (mode, prompt) = (ask.mode, ask.prompt.expose());
    let (http_ask, surface, key, placeholders) = how;
    let accept = match mode {
        Mode::Unary => "application/json",
        Mode::Stream => "text/event-stream",
    };
    let mut builder = Request::builder()
        .method("POST")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, accept)
        .header(header::USER_AGENT, concat!("surestep/", env!("CARGO_PKG_VERSION")));
    let (path, document, reader) = match http_ask {
        HttpAsk::Mapped { unary, stream } => {
            let mapping = match mode {
                Mode::Unary => unary,
                Mode::Stream => stream,
            };
            let mapping = mapping.as_ref()?;
            for (name, value) in &mapping.headers {
                let named = HeaderName::try_from(name);
                let value = HeaderValue::try_from(placeholders.expand(value));
                let (Ok(named), Ok(mut value), Some(headers)) =
                    (named, value, builder.headers_mut())
                else {
                    return Some(Err(format!("the header `{name}` cannot be sent")));
                };
                value.set_sensitive(true);
                headers.insert(named, value);
            }
            let filled =
                Placeholders { prompt: Some(Sensitive::new(prompt)), ..placeholders.clone() };
            (mapping.path.clone(), filled.expand_json(&mapping.json), mapped::reader(mapping))
        }
        HttpAsk::Openai { path, model, .. } => {
            if let Some(key) = key {
                let value = format!("Bearer {}", key.expose().trim_end_matches(['\r', '\n']));
                let (Ok(mut value), Some(headers)) =
                    (HeaderValue::try_from(value), builder.headers_mut())
                else {
                    return Some(Err("the gateway's credential cannot be sent".to_owned()));
                };
                value.set_sensitive(true);
                headers.insert(header::AUTHORIZATION, value);
            }
            (
                format!("{}{}", path.trim_end_matches('/'), surface.resource_path()),
                ask.asked_with.request(*surface, mode, model, prompt),
                gateway::reader(*surface, mode),
            )
        }
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    let made = builder
        .uri(format!("{base}{slash}{path}"))
        .body(body(Bytes::from(document.to_string())))
        .map_err(|error| error.to_string());
    Some(made.map(|request| (request, reader)))
}

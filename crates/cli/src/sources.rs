//! Reads the sources of the contract: pages, documents and files, to see whether they have changed since they were reviewed.
//!
//! Nothing of their content is kept but a digest. Whatever is odd ends as "could not be read", with its reason; only a source that
//! says itself that it is not there any more counts as gone.

mod text;

use std::path::{Path, PathBuf};
use std::time::Duration;

use drill::ports::SourceReader;
use drill::settings::Settings;
use futures_util::future::BoxFuture;
use judge::reviews::{Sighting, SourceDigest};
use reqwest::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE};
use reqwest::{Client, NoProxy, Proxy, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::environment::Environment;
use crate::failure::chain;

/// How long a source may take from the first byte sent to the last one received. Documentation answers within two seconds, and
/// a drill waits for no source longer than for its smokes.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// The largest source: whole references on one page, and OpenAPI documents of large providers, have 1 to 3 megabytes.
const SOURCE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How often a source may send us elsewhere: to https, to the canonical host, to a language, and two more.
const REDIRECTS_MAX: usize = 5;

/// Reads sources over HTTP and from files.
pub(crate) struct Sources {
    base: PathBuf,
    client: Result<Client, String>,
    within: Duration,
}

impl Sources {
    /// Pages are read through the provider's proxy where it has one, else through the environment's (`HTTPS_PROXY`, `HTTP_PROXY`,
    /// `ALL_PROXY`; `NO_PROXY` excepts hosts in both cases).
    pub(crate) fn new(settings: &Settings, environment: &Environment) -> Self {
        let proxy = settings.provider.proxy.as_deref();
        let client = client(proxy, settings.provider.ca.as_deref(), environment);
        Self { base: settings.base.clone(), client, within: READ_WITHIN }
    }

    async fn sighting(&self, source: &str) -> Sighting {
        let is_http = ["https://", "http://"].iter().any(|scheme| source.starts_with(scheme));
        if !is_http {
            return self.file(source.strip_prefix("file:").unwrap_or(source)).await;
        }
        let client = match &self.client {
            Ok(client) => client,
            Err(why) => return unreadable(why),
        };
        match tokio::time::timeout(self.within, fetch(client, source)).await {
            Ok(sighting) => sighting,
            Err(_elapsed) => unreadable(format!("it took longer than {:?}", self.within)),
        }
    }

    async fn file(&self, path: &str) -> Sighting {
        use tokio::io::AsyncReadExt as _;
        let path = self.base.join(path.strip_prefix("//").unwrap_or(path));
        let mut bytes = Vec::new();
        let limit = u64::try_from(SOURCE_BYTES_MAX).unwrap_or(u64::MAX) + 1;
        let read =
            async { tokio::fs::File::open(&path).await?.take(limit).read_to_end(&mut bytes).await };
        // A pipe without a writer would keep us for ever.
        match tokio::time::timeout(self.within, read).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Sighting::Gone { how: "there is no such file".to_owned() };
            }
            Ok(Err(error)) => return unreadable(format!("the file cannot be read: {error}")),
            Err(_elapsed) => {
                return unreadable(format!("reading it took longer than {:?}", self.within));
            }
        }
        let is_named_html =
            path.extension().is_some_and(|extension| extension == "html" || extension == "htm");
        content(&bytes, is_named_html)
    }
}

impl SourceReader for Sources {
    fn read<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Sighting> {
        Box::pin(self.sighting(source))
    }
}

fn unreadable(why: impl Into<String>) -> Sighting {
    Sighting::Unreadable { why: why.into() }
}

fn client(
    proxy: Option<&str>,
    ca: Option<&Path>,
    environment: &Environment,
) -> Result<Client, String> {
    let version = env!("CARGO_PKG_VERSION");
    let redirect = reqwest::redirect::Policy::custom(|attempt| {
        let was_safe = attempt.previous().iter().any(|url| url.scheme() == "https");
        if was_safe && attempt.url().scheme() != "https" {
            attempt.error("it redirects from https to an address that is not encrypted")
        } else if attempt.previous().len() > REDIRECTS_MAX {
            attempt.error("it redirects too often")
        } else {
            attempt.follow()
        }
    });
    // The environment is read in one place only, which is not the client.
    let mut builder = Client::builder()
        .user_agent(format!("surestep/{version} (contract review)"))
        .redirect(redirect)
        .no_proxy();
    for proxy in proxies(proxy, environment)? {
        builder = builder.proxy(proxy);
    }
    if let Some(path) = ca {
        let unusable = |what: String| format!("`provider.ca` {}: {what}", path.display());
        let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        let certificates =
            reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unusable(chain(&error)))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| format!("no HTTP client could be made: {}", chain(&error)))
}

fn proxies(proxy: Option<&str>, environment: &Environment) -> Result<Vec<Proxy>, String> {
    let of = |names: &[&str]| {
        names.iter().find_map(|name| environment.text(name).ok()).map(str::to_owned)
    };
    let except = of(&["NO_PROXY", "no_proxy"]);
    let mut proxies = Vec::new();
    let mut add = |name: &str, proxy: Result<Proxy, reqwest::Error>| match proxy {
        Ok(proxy) => {
            let except = except.as_deref().and_then(NoProxy::from_string);
            proxies.push(proxy.no_proxy(except));
            Ok(())
        }
        // Its value may hold a password.
        Err(_with_its_value) => Err(format!("{name} is not a proxy's URL")),
    };
    if let Some(url) = proxy {
        add("`provider.proxy`", Proxy::all(url))?;
        return Ok(proxies);
    }
    if let Some(url) = of(&["HTTPS_PROXY", "https_proxy"]) {
        add("HTTPS_PROXY", Proxy::https(url))?;
    }
    if let Some(url) = of(&["HTTP_PROXY", "http_proxy"]) {
        add("HTTP_PROXY", Proxy::http(url))?;
    }
    if let Some(url) = of(&["ALL_PROXY", "all_proxy"]) {
        add("ALL_PROXY", Proxy::all(url))?;
    }
    Ok(proxies)
}

async fn fetch(client: &Client, source: &str) -> Sighting {
    let request = client
        .get(source)
        .header(ACCEPT, "text/html, application/json;q=0.9, */*;q=0.8")
        .header(ACCEPT_LANGUAGE, "en");
    let mut response = match request.send().await {
        Ok(response) => response,
        // The address stands beside it anyway, and may hold more than has to be repeated.
        Err(error) => return unreadable(chain(&error.without_url())),
    };
    let status = response.status();
    if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
        return Sighting::Gone { how: format!("status {}", status.as_u16()) };
    }
    if status != StatusCode::OK {
        return unreadable(format!("status {}", status.as_u16()));
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_named_html = content_type.is_some_and(|value| {
        let media = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        media == "text/html" || media == "application/xhtml+xml"
    });
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > SOURCE_BYTES_MAX => {
                return too_large();
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return unreadable(chain(&error.without_url())),
        }
    }
    content(&bytes, is_named_html)
}

fn too_large() -> Sighting {
    unreadable(format!("it is larger than {SOURCE_BYTES_MAX} bytes"))
}

/// Returns the digest of what a source says, so that noise in how it says that makes no difference.
fn content(bytes: &[u8], is_named_html: bool) -> Sighting {
    if bytes.len() > SOURCE_BYTES_MAX {
        return too_large();
    }
    let normal = if is_named_html || text::looks_like_html(bytes) {
        let visible = text::visible(bytes);
        if visible.chars().count() < text::VISIBLE_MIN {
            return unreadable(
                "the page has no text without a browser: name its Markdown, JSON or YAML form instead",
            );
        }
        visible.into_bytes()
    } else {
        text::plain(bytes)
    };
    if normal.is_empty() {
        return unreadable("it is empty");
    }
    Sighting::Content { digest: SourceDigest::of_sha256(&Sha256::digest(&normal).into()) }
}

#[cfg(test)]
mod tests;

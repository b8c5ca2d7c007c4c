//! `provider`, at the top level and of a release.

use contract::{Mode, Profile, Surface};
use drill::settings::{Provider, ProviderEndpoint, SecretSource};

use super::problem::Problem;
use super::reader::{Fields, Reader};
use super::scalar;
use super::secret::ControlKey;

/// The names of built-in profiles, with the base URL that their documentation gives.
const BUILT_IN: [(&str, Option<&str>); 3] = [
    ("cometapi", Some("https://api.cometapi.com/v1")),
    ("openai", Some("https://api.openai.com/v1")),
    ("simulated", None),
];

const LIVE_CALLS: u32 = 60;

/// The largest ceiling that may be set.
const LIVE_CALLS_MAX: u32 = 100_000;

impl Reader<'_> {
    /// Reads a provider. `above`: the top level's, from which a release's takes what it leaves out.
    pub(super) fn provider(
        &mut self,
        fields: &Fields<'_>,
        above: Option<&Provider>,
    ) -> Option<Provider> {
        let name = self.text(fields, "name").filter(|name| self.is_path_word(fields, name));
        let profile = self.profile(fields);
        let endpoint = name.as_deref().and_then(|name| self.endpoint(fields, name));
        let surface = self.surface(fields).or(above.map(|p| p.surface)).unwrap_or(Surface::Chat);
        let modes = match fields.get("modes") {
            Some(_) => self.modes(fields),
            None => above.map(|provider| provider.modes.clone()),
        };
        let key = match fields.get("key") {
            Some(node) => self.secret(node, &fields.path("key"), ControlKey::Refused),
            None if endpoint == Some(ProviderEndpoint::Simulated) => Some(SecretSource::Control),
            None => {
                if endpoint.is_some() {
                    let message = format!("`{}` is missing", fields.path("key"));
                    self.report(Problem::new(fields.at.clone(), message).help(
                        "surestep's own direct call needs a credential: add `key: env:NAME`",
                    ));
                }
                None
            }
        };
        let live_calls = self.integer(fields, "live_calls");
        let connect_to = self.checked(fields, "connect_to", scalar::host_and_port);
        let ca = self.file(fields, "ca");
        let proxy = self.checked(fields, "proxy", proxy_url);
        let (name, endpoint) = (name?, endpoint?);
        let unless_set = match endpoint {
            ProviderEndpoint::Url(_) => LIVE_CALLS,
            // They cost nothing.
            ProviderEndpoint::Simulated => LIVE_CALLS_MAX,
        };
        Some(Provider {
            profile: profile.unwrap_or_else(|| Profile::for_provider(&name)),
            name,
            endpoint,
            surface,
            modes: modes?,
            key: key?,
            live_calls: live_calls.or(above.map(|p| p.live_calls)).unwrap_or(unless_set),
            connect_to,
            ca,
            proxy,
        })
    }

    /// The name becomes part of `service_path`, `<provider>-text-<surface>`.
    fn is_path_word(&mut self, fields: &Fields<'_>, name: &str) -> bool {
        let fine = name.len() <= 64
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'));
        if !fine {
            let message = format!("`{}` is not usable in evidence", fields.path("name"));
            self.report(
                Problem::new(
                    fields.get("name").map_or(fields.at.clone(), |node| node.span.clone()),
                    message,
                )
                .help("use up to 64 lower-case letters, digits, dots and dashes"),
            );
        }
        fine
    }

    fn endpoint(&mut self, fields: &Fields<'_>, name: &str) -> Option<ProviderEndpoint> {
        let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
        let Some(node) = fields.get("base_url") else {
            return match built_in {
                Some((_, Some(url))) => Some(ProviderEndpoint::Url((*url).to_owned())),
                Some((_, None)) => Some(ProviderEndpoint::Simulated),
                None => {
                    let known = BUILT_IN.map(|(name, _)| name);
                    let help = match scalar::closest(name, known)
                        .or_else(|| scalar::containing(name, known))
                    {
                        Some(close) => {
                            format!("did you mean `name: {close}`? Otherwise add `base_url`")
                        }
                        None => format!(
                            "only {} have one of their own: add `base_url`",
                            known.join(", ")
                        ),
                    };
                    let span =
                        fields.get("name").map_or(fields.at.clone(), |node| node.span.clone());
                    let message = format!(
                        "`{}` is missing, and `{name}` is no built-in profile",
                        fields.path("base_url")
                    );
                    self.report(Problem::new(span, message).help(help));
                    None
                }
            };
        };
        let url = self.checked(fields, "base_url", scalar::http_url)?;
        let authority_and_path = url.split_once("://").map_or("", |(_, rest)| rest);
        let path = fields.path("base_url");
        if !authority_and_path.contains('/') {
            self.report(Problem::new(node.span.clone(), format!("`{path}` has no path")).help(
                format!(
                    "the documented base URL ends in /v1: write {}/v1",
                    self.quote(node).trim_end_matches('/')
                ),
            ));
            return None;
        }
        if !url.ends_with("/v1") {
            self
                .warn(Problem::new(node.span.clone(), format!("`{path}` does not end in /v1")).help(
                "releases are handed a URL that ends in /v1; the tap puts this one in its place",
            ));
        }
        if let Some(resource) =
            ["/chat/completions", "/responses"].iter().find(|path| url.ends_with(**path))
        {
            self.report(
                Problem::new(
                    node.span.clone(),
                    format!("`{path}` names an endpoint, not the base of all"),
                )
                .help(format!("leave out `{resource}`; `surface` says which endpoint is used")),
            );
            return None;
        }
        let loopback =
            ["localhost", "127.", "[::1]"].iter().any(|host| authority_and_path.starts_with(host));
        if url.starts_with("http://") && !loopback {
            self.warn(
                Problem::new(
                    node.span.clone(),
                    format!("`{path}` is not encrypted: the credential travels in clear"),
                )
                .help("use https://"),
            );
        }
        Some(ProviderEndpoint::Url(url))
    }

    fn surface(&mut self, fields: &Fields<'_>) -> Option<Surface> {
        self.word(fields, "surface").map(|word| match word {
            "responses" => Surface::Responses,
            _ => Surface::Chat,
        })
    }

    fn modes(&mut self, fields: &Fields<'_>) -> Option<Vec<Mode>> {
        let path = fields.path("modes");
        let mut modes = Vec::new();
        for node in self.items(fields, "modes")? {
            let mode = match self.word_of(node, &path, &["unary", "stream"]) {
                Some("stream") => Mode::Stream,
                Some(_) => Mode::Unary,
                None => continue,
            };
            if modes.contains(&mode) {
                self.warn(Problem::new(
                    node.span.clone(),
                    format!("`{mode}` stands twice in `{path}`"),
                ));
            } else {
                modes.push(mode);
            }
        }
        let node = fields.get("modes")?;
        if modes.is_empty() {
            self.report(Problem::new(node.span.clone(), format!("`{path}` names no mode")).help(
                "write the modes that production uses: [unary], [stream] or [unary, stream]",
            ));
            return None;
        }
        Some(modes)
    }
}

/// The proxy may carry credentials no more than any other URL; only `http://` proxies exist here.
fn proxy_url(text: &str) -> Result<String, scalar::Refusal> {
    if text.contains('@') {
        return Err((
            "not a usable URL: it carries credentials".to_owned(),
            "name a proxy that asks for none, such as one on this machine that knows them"
                .to_owned(),
        ));
    }
    let url = scalar::http_url(text)?;
    if url.starts_with("https://") {
        return Err((
            "a proxy that is itself reached by TLS is not supported".to_owned(),
            "write http://host:port; what goes through it to an https:// provider stays encrypted"
                .to_owned(),
        ));
    }
    Ok(url)
}

//! `tap: forward`: what a release may reach through the tap as its proxy, and what would lead its calls past it.

use std::collections::BTreeMap;

use drill::settings::{Forward, Others, Provider, ProviderEndpoint, SecretSource, TapMode};
use http::Uri;
use release::{NODE_PROXY_VARIABLE, PROXY_VARIABLES, TRUST_VARIABLES};

use super::problem::Problem;
use super::reader::{Fields, Reader};
use super::tree::Node;

/// Variables by which hosts are kept off proxies.
const EXEMPTING: [&str; 2] = ["NO_PROXY", "no_proxy"];

impl Reader<'_> {
    /// Reads `tap: { forward: … }`.
    pub(super) fn forward(
        &mut self,
        rules: &Fields<'_>,
        path: &str,
        at: &Node,
        runs_already: bool,
    ) -> Option<TapMode> {
        let others = match rules.get("others") {
            Some(node) => self.word_of(node, &rules.path("others"), &["tunnel", "refuse"])?,
            None => "tunnel",
        };
        let ca = self.file(rules, "ca");
        let forward = Forward {
            hosts: self.texts(rules, "hosts").unwrap_or_default(),
            others: if others == "refuse" { Others::Refuse } else { Others::Tunnel },
            ca,
            http2: self.boolean(rules, "http2").unwrap_or_default(),
        };
        for host in &forward.hosts {
            let name = host.strip_prefix("*.").unwrap_or(host);
            let is_name = !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
            if !is_name || name.contains("://") {
                let message =
                    format!("`{}`: `{host}` is not the name of a host", rules.path("hosts"));
                let at = rules.get("hosts").map_or(rules.at.clone(), |node| node.span.clone());
                self.report(Problem::new(at, message).help(
                    "write names without scheme, port and path; `*.example.com` for all below one",
                ));
            }
        }
        self.forward_at(at, path, forward, runs_already)
    }

    /// Takes `tap: forward`, unless nothing could be handed over.
    pub(super) fn forward_at(
        &mut self,
        node: &Node,
        path: &str,
        forward: Forward,
        runs_already: bool,
    ) -> Option<TapMode> {
        if runs_already {
            let message =
                format!("`{path}: forward` cannot be handed to an instance that runs already");
            self.report(Problem::new(node.span.clone(), message).help(
                "the CA is made anew for each run: write `tap: { reverse: 127.0.0.1:9001 }` and point its base URL there",
            ));
            return None;
        }
        Some(TapMode::Forward(forward))
    }

    /// Looks for what would lead the release's calls past its proxy, or clash with what it is handed.
    pub(super) fn look_at_forward(
        &mut self,
        fields: &Fields<'_>,
        env: &BTreeMap<String, String>,
        secrets: &BTreeMap<String, SecretSource>,
        inherit: &[String],
        provider: Option<&Provider>,
    ) {
        let handed = PROXY_VARIABLES
            .iter()
            .chain(&TRUST_VARIABLES)
            .chain(std::iter::once(&NODE_PROXY_VARIABLE));
        for &name in handed {
            let key = if env.contains_key(name) {
                "env"
            } else if secrets.contains_key(name) {
                "secrets"
            } else if inherit.iter().any(|known| known == name) {
                "inherit"
            } else {
                continue;
            };
            let help = if TRUST_VARIABLES.contains(&name) {
                "hand it more trust by `tap: { forward: { ca: FILE } }`; the system's own is in any case"
            } else {
                "an egress proxy is `provider.proxy`: surestep goes through it; else write `tap: reverse`"
            };
            let message = format!("`{}`: `tap: forward` sets `{name}` itself", fields.path(key));
            self.report(Problem::new(fields.span(key), message).help(help));
        }
        let Some((host, base_url)) = provider.and_then(host_of) else { return };
        if matches!(host.as_str(), "127.0.0.1" | "localhost" | "::1") {
            let message = format!(
                "`{}: forward`, and the provider is on loopback, where clients use no proxy",
                fields.path("tap")
            );
            self.report(Problem::new(fields.span("tap"), message).help(
                "write `tap: reverse`, or give the provider a name and say by `connect_to` where it is reached",
            ));
            return;
        }
        for name in EXEMPTING {
            let (key, list) = match env.get(name) {
                Some(list) => ("env", list.clone()),
                None if inherit.iter().any(|known| known == name) => {
                    ("inherit", self.environment.text(name).unwrap_or_default().to_owned())
                }
                None => continue,
            };
            if list.split(',').any(|entry| covers(entry.trim(), &host)) {
                let message = format!(
                    "`{}`: `{name}` covers {host}, so calls to {base_url} would go past the tap",
                    fields.path(key)
                );
                self.report(
                    Problem::new(fields.span(key), message)
                        .help(format!("take {host} out of `{name}`, or write `tap: reverse`")),
                );
            }
        }
    }
}

fn host_of(provider: &Provider) -> Option<(String, String)> {
    let ProviderEndpoint::Url(url) = &provider.endpoint else { return None };
    let uri: Uri = url.parse().ok()?;
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    Some((host, url.clone()))
}

/// Returns whether an entry of `NO_PROXY` covers a host, for any of the common clients.
fn covers(entry: &str, host: &str) -> bool {
    let entry = entry.to_ascii_lowercase();
    let name = entry.split(':').next().unwrap_or_default().trim_start_matches('*');
    let name = name.strip_prefix('.').unwrap_or(name);
    match (entry.as_str(), name) {
        ("*", _) => true,
        (_, "") => false,
        (_, name) => host == name || host.ends_with(&format!(".{name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn entries_cover_names_and_what_is_below() {
        for (entry, host, covered) in [
            ("*", "api.example.com", true),
            ("example.com", "api.example.com", true),
            (".example.com", "api.example.com", true),
            ("*.example.com", "api.example.com", true),
            ("api.example.com:443", "api.example.com", true),
            ("ample.com", "api.example.com", false),
            ("", "api.example.com", false),
        ] {
            assert_eq!(covers(entry, host), covered, "{entry:?}");
        }
    }
}

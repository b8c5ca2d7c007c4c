//! Whether providers and running instances can be reached. A connection is opened and closed, nothing is asked.

use std::path::Path;
use std::time::Duration;

use drill::settings::{Provider, ProviderEndpoint, Run, Settings};
use judge::Role;
use tokio::net::TcpStream;

use super::Checkup;

/// A provider that takes longer to accept a connection is not usable either.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Looks at all of them.
pub(super) async fn look(settings: &Settings) -> Vec<Checkup> {
    let mut found = look_at_provider("`provider`", &settings.provider).await;
    for role in Role::BOTH {
        let release = settings.release(role);
        if let Some(provider) = &release.provider {
            found.extend(look_at_provider(&format!("`releases.{role}.provider`"), provider).await);
        }
        if let Run::Url { url, .. } = &release.run {
            let name = format!("`releases.{role}.run.url`");
            found.push(
                connects(
                    &name,
                    &host_and_port(url),
                    "is the instance running, and is the address right?",
                )
                .await,
            );
        }
    }
    found
}

async fn look_at_provider(name: &str, provider: &Provider) -> Vec<Checkup> {
    let url = match &provider.endpoint {
        ProviderEndpoint::Simulated => {
            return vec![Checkup::fine(format!(
                "{name}: the simulated provider is started for each run"
            ))];
        }
        ProviderEndpoint::Url(url) => url,
    };
    let mut found = Vec::new();
    if let Some(ca) = &provider.ca {
        found.push(certificates(name, ca));
    }
    let (target, fix) = match (&provider.proxy, &provider.connect_to) {
        (Some(proxy), _) => {
            (host_and_port(proxy), "is `proxy` right? It must be reachable from here")
        }
        (None, Some(target)) => (target.clone(), "is `connect_to` right?"),
        (None, None) => (
            host_and_port(url),
            "is `base_url` right, and does this machine's network let it out? `proxy` names an egress proxy",
        ),
    };
    found.push(connects(name, &target, fix).await);
    found
}

fn certificates(name: &str, path: &Path) -> Checkup {
    let shown = path.display();
    match std::fs::read(path) {
        Err(error) => Checkup::broken(
            format!("{name}: the CA file {shown} cannot be read: {error}"),
            "correct `ca`",
        ),
        Ok(bytes) => {
            let count =
                String::from_utf8_lossy(&bytes).matches("-----BEGIN CERTIFICATE-----").count();
            match count {
                0 => Checkup::broken(
                    format!("{name}: the CA file {shown} holds no certificate in PEM form"),
                    "convert it: openssl x509 -inform der -in FILE -out FILE.pem",
                ),
                _ => Checkup::fine(format!(
                    "{name}: the CA file {shown} holds certificates ({count})"
                )),
            }
        }
    }
}

async fn connects(name: &str, target: &str, fix: &str) -> Checkup {
    match tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(target)).await {
        Ok(Ok(_closed_at_once)) => Checkup::fine(format!("{name}: {target} accepts connections")),
        Ok(Err(error)) => {
            Checkup::broken(format!("{name}: {target} cannot be reached: {error}"), fix)
        }
        Err(_elapsed) => Checkup::broken(
            format!("{name}: {target} does not answer within {CONNECT_WITHIN:?}"),
            fix,
        ),
    }
}

/// Takes host and port out of a checked URL.
fn host_and_port(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split('/').next().unwrap_or("");
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    match (has_port, scheme) {
        (true, _) => authority.to_owned(),
        (false, "http") => format!("{authority}:80"),
        (false, _) => format!("{authority}:443"),
    }
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn ports_follow_the_scheme() {
        assert_eq!(host_and_port("https://a.example/v1"), "a.example:443");
        assert_eq!(host_and_port("http://a.example"), "a.example:80");
        assert_eq!(host_and_port("http://[::1]:8080/v1"), "[::1]:8080");
        assert_eq!(host_and_port("https://[::1]/v1"), "[::1]:443");
    }
}

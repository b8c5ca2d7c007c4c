//! The environment of a release's process: only what the configuration names, and what a process cannot do without.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use drill::ports::Proxy;
use drill::settings::Release;
use evidence::Sensitive;

use crate::placeholders::Placeholders;

/// Names and values of environment variables.
pub(crate) type Variables = BTreeMap<OsString, OsString>;

/// Taken over from surestep's own environment, beside all of `LC_*`.
const ALWAYS_INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];

/// Hosts that no egress proxy may stand before. Networks in slash notation and `localhost` alone are not understood by all
/// clients, so each loopback name is listed.
const LOOPBACK_HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

/// Variables by which HTTP clients find their proxy. curl reads the lower-case one only, where it is about plain HTTP.
pub const PROXY_VARIABLES: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];

/// Variables by which TLS libraries and clients find their trust, each a PEM file: OpenSSL, Go, Rust and .NET; requests; curl;
/// Node; the AWS SDKs; gRPC; Deno; httplib2. Each takes the place of the platform's, so the file holds that too.
pub const TRUST_VARIABLES: [&str; 8] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "DENO_CERT",
    "HTTPLIB2_CA_CERTS",
];

/// Makes Node (22.21, 24.5 and later) read the variables of proxies. The switch of the same name would keep older ones from starting.
pub const NODE_PROXY_VARIABLE: &str = "NODE_USE_ENV_PROXY";

/// Returns the environment for a process of the release.
///
/// In forward mode it gets the tap for its proxy, and trust in the run's CA. Two more additions of ours: loopback is appended to `NO_PROXY` and `no_proxy`, or calls to the tap would go to an egress proxy;
/// `PYTHONUNBUFFERED=1` unless set, or the logs of a Python service arrive only when it ends. Neither changes what a release
/// sends or decides. (A mark that names the ask comes on top, see `tree`.)
pub(crate) fn build(
    own: &Variables,
    release: &Release,
    secrets: &[(String, Sensitive)],
    placeholders: &Placeholders,
) -> Variables {
    let mut variables: Variables = own
        .iter()
        .filter(|(name, _)| is_inherited(name, &release.inherit))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for (name, value) in &release.env {
        variables.insert(name.into(), placeholders.expand(value).into());
    }
    for (name, value) in secrets {
        variables.insert(name.into(), value.expose().into());
    }
    if let Some(proxy) = placeholders.tap.as_ref().and_then(|way| way.proxy.as_ref()) {
        lead_through(proxy, &mut variables);
    }
    exempt_loopback(&mut variables);
    variables.entry("PYTHONUNBUFFERED".into()).or_insert_with(|| "1".into());
    variables
}

/// Leads all clients that go by their environment through a proxy. The configuration has none of these variables in forward mode.
fn lead_through(proxy: &Proxy, variables: &mut Variables) {
    for name in PROXY_VARIABLES {
        variables.insert(name.into(), proxy.url.clone().into());
    }
    for name in TRUST_VARIABLES.iter().filter(|_| proxy.hands_over_trust) {
        variables.insert(name.into(), proxy.trust.clone().into());
    }
    variables.insert(NODE_PROXY_VARIABLE.into(), "1".into());
}

fn is_inherited(name: &OsStr, inherit: &[String]) -> bool {
    name.to_str().is_some_and(|name| {
        ALWAYS_INHERITED.contains(&name)
            || name.starts_with("LC_")
            || inherit.iter().any(|wanted| wanted == name)
    })
}

/// Appends loopback to both spellings. Where one spelling is unset or blank it starts from the other: some clients read only
/// the upper-case one, and take it even when it is empty.
fn exempt_loopback(variables: &mut Variables) {
    let read = |name: &str| {
        variables.get(OsStr::new(name)).map(|value| value.to_string_lossy().into_owned())
    };
    let (upper, lower) = (read("NO_PROXY"), read("no_proxy"));
    let base = |value: &Option<String>, other: &Option<String>| {
        value
            .as_ref()
            .filter(|text| !text.trim().is_empty())
            .or(other.as_ref())
            .cloned()
            .unwrap_or_default()
    };
    let (for_upper, for_lower) = (base(&upper, &lower), base(&lower, &upper));
    variables.insert("NO_PROXY".into(), with_loopback(&for_upper).into());
    variables.insert("no_proxy".into(), with_loopback(&for_lower).into());
}

fn with_loopback(list: &str) -> String {
    let mut hosts: Vec<&str> =
        list.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
    for host in LOOPBACK_HOSTS {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exempted(given: &[(&str, &str)]) -> (String, String) {
        let mut variables: Variables =
            given.iter().map(|(name, value)| (name.into(), value.into())).collect();
        exempt_loopback(&mut variables);
        let text = |name: &str| variables[OsStr::new(name)].to_string_lossy().into_owned();
        (text("NO_PROXY"), text("no_proxy"))
    }

    #[test]
    fn loopback_is_appended_to_each_spelling() {
        let (upper, lower) = exempted(&[("NO_PROXY", "a.example, 127.0.0.1"), ("no_proxy", "b")]);
        assert_eq!(upper, "a.example,127.0.0.1,localhost,::1");
        assert_eq!(lower, "b,127.0.0.1,localhost,::1");
    }

    #[test]
    fn a_blank_spelling_takes_the_other_ones_hosts() {
        let (upper, lower) = exempted(&[("NO_PROXY", ""), ("no_proxy", "internal")]);
        assert_eq!(upper, "internal,127.0.0.1,localhost,::1");
        assert_eq!(lower, upper);
    }
}

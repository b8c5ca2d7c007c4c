//! The environment of a release's process: only what the configuration names, and what a process cannot do without.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

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

/// Returns the environment for a process of the release.
///
/// Two additions of ours: loopback is appended to `NO_PROXY` and `no_proxy`, or calls to the tap would go to an egress proxy;
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
    exempt_loopback(&mut variables);
    variables.entry("PYTHONUNBUFFERED".into()).or_insert_with(|| "1".into());
    variables
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

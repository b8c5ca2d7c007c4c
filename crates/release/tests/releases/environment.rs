//! What a release's process finds in its environment.

use std::collections::BTreeMap;

use drill::ports::{Ask, RunningRelease as _, Way};

use crate::harness::{Bench, exposed, unary};

#[tokio::test]
async fn only_what_is_named_gets_in() {
    let bench = Bench::supervised();
    let mut release = bench.shell("env -0 | tr '\\0' '\\n'");
    release.inherit = vec!["TAKEN_OVER".to_owned(), "NOT_SET_ANYWHERE".to_owned()];
    release.env = [
        ("BASE_URL", "{tap}"),
        ("MODEL", "{model}"),
        ("VERSION", "v{version}"),
        ("CONTROL_KEY", "{key}"),
        ("NO_PROXY", "internal.example"),
        ("SPARED", "{port} {other}"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let ask = Ask { tap: Some(Way::direct("http://127.0.0.1:7/v1".to_owned())), ..unary("p") };
    let asked = bench.start(&release).await.unwrap().ask(ask).await;
    let mut variables: BTreeMap<&str, &str> =
        exposed(asked.answer.as_ref()).lines().filter_map(|line| line.split_once('=')).collect();
    for inherited in ["PATH", "HOME", "LANG", "TZ", "TMPDIR"] {
        let own = std::env::var_os(inherited).map(|value| value.into_string().unwrap());
        assert_eq!(variables.remove(inherited), own.as_deref(), "{inherited}");
    }
    let loopback = "127.0.0.1,localhost,::1";
    let expected = [
        ("API_KEY", "sk-own"),
        ("BASE_URL", "http://127.0.0.1:7/v1"),
        ("CONTROL_KEY", "sk-control"),
        ("MODEL", "model-7"),
        ("NO_PROXY", &format!("internal.example,{loopback}")),
        ("PYTHONUNBUFFERED", "1"),
        ("SPARED", "{port} {other}"),
        ("TAKEN_OVER", "kept"),
        ("VERSION", "v2.4.0"),
    ];
    for (name, value) in expected {
        assert_eq!(variables.remove(name), Some(value), "{name}");
    }
    assert!(variables.remove("no_proxy").is_some_and(|hosts| hosts.ends_with(loopback)));
    // Set by the shell itself, and our mark.
    for own in ["PWD", "OLDPWD", "SHLVL", "_", "SURESTEP_PROCESS"] {
        variables.remove(own);
    }
    variables.retain(|name, _| !name.starts_with("LC_"));
    assert_eq!(variables, BTreeMap::new(), "leaked from surestep's environment");
}

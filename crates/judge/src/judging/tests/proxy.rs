//! What is made of a release whose proxy the tap is.

use super::*;
use crate::{Tunnel, TunnelEnd};

/// Checks the codes for a release whose proxy the tap is.
#[track_caller]
fn check(scene: &Scene, seen: Observation, expected: &[(&str, Severity)]) -> String {
    let policy = Policy { is_proxied: true, ..scene.policy.clone() };
    let judged = judge(&Case {
        role: Role::New,
        probe: &scene.probe,
        policy: &policy,
        observation: &Observation { exchanges: scene.exchanges.clone(), ..seen },
        outcome: &scene.outcome,
        answer: scene.answer,
        calls: scene.calls,
        unsaid: scene.unsaid,
        control: None,
        logs: &scene.logs,
        afterwards: scene.afterwards,
        machine: scene.machine,
    });
    let found: Vec<_> = judged.findings.iter().map(|f| (f.code.as_str(), f.severity)).collect();
    assert_eq!(found, expected, "{:#?}", judged.findings);
    judged.findings.first().map(|finding| finding.seen.clone()).unwrap_or_default()
}

fn shown(certificates_shown: u32) -> Observation {
    Observation { certificates_shown, ..Observation::default() }
}

fn tunnels(declared: bool) -> Observation {
    let tunnel = |sent| Tunnel {
        host: "api.other.example:443".to_owned(),
        declared,
        end: TunnelEnd::Carried,
        sent,
        received: 0,
    };
    Observation { tunnels: vec![tunnel(1), tunnel(2)], ..shown(1) }
}

#[test]
fn unknown_certificates_are_to_be_refused_without_a_call() {
    let silent = |outcome, answer| scene("auth-unknown-ca", vec![], outcome, answer);
    check(&silent(refused(), A::None), shown(3), &[]);
    let called = scene("auth-unknown-ca", vec![call(1, 0, 200)], answered(), A::Whole);
    check(&called, shown(1), &[("tls-verification-disabled", Fail)]);
    let called = scene("auth-unknown-ca", vec![call(1, 0, 200)], refused(), A::None);
    check(&called, shown(1), &[("tls-verification-disabled", Fail)]);
    let hung = Outcome::TimedOut { elapsed_ms: 9 };
    check(&silent(hung, A::None), shown(1), &[("hung", Fail)]);
    // Nothing was shown: whether it verifies is not known.
    check(&silent(refused(), A::None), shown(0), &[("not-observed", Ambiguous)]);
    check(&silent(answered(), A::Unrelated), shown(1), &[("answer-without-provider", Fail)]);
}

#[test]
fn calls_to_hosts_that_nobody_declared_are_silent_fallback() {
    let fine = scene("happy-live", vec![live(200)], answered(), A::Whole);
    check(&fine, tunnels(true), &[]);
    let seen = check(&fine, tunnels(false), &[("silent-fallback", Fail)]);
    assert_eq!(seen, "api.other.example:443 was called");
    // Where the provider is never called it shows as well.
    let away = scene("overload-503", vec![], answered(), A::Labelled);
    check(&away, tunnels(false), &[("silent-fallback", Fail), ("not-observed", Ambiguous)]);
}

#[test]
fn why_nothing_arrived_is_said() {
    let silent = |outcome, answer| scene("happy-live", vec![], outcome, answer);
    let not_observed = [("not-observed", Ambiguous)];
    let seen = check(&silent(answered(), A::Labelled), shown(0), &not_observed);
    assert!(seen.starts_with("an answer that does what the prompt asks for"), "{seen}");
    let seen = check(&silent(refused(), A::None), shown(2), &not_observed);
    assert!(seen.contains("2 TLS connections"), "{seen}");
    let seen = check(&silent(refused(), A::None), shown(0), &not_observed);
    assert!(seen.starts_with("no connection to the tap as proxy"), "{seen}");
    check(&silent(answered(), A::Unrelated), shown(0), &[("answer-without-provider", Fail)]);
    // Nobody can call when nobody listens.
    check(&scene("network-refused", vec![], refused(), A::None), shown(0), &[]);
}

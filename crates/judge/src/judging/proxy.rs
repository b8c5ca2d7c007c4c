//! Releases whose proxy the tap is: calls to other hosts, calls that go past the tap, and trust in certificates.

use super::{Case, outcome};
use crate::{AnswerRelation, Finding, Outcome, OutcomeKind, Severity, Tunnel, TunnelEnd};

/// Hosts that nobody has declared.
pub(super) fn other_hosts(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for tunnel in case.observation.tunnels.iter().filter(|tunnel| !tunnel.declared) {
        let finding = Finding::new(
            Severity::Fail,
            "silent-fallback",
            "calls to the provider's host, or to a declared one",
            format!("{} was called", seen(tunnel)),
            "Another host is called than the one that is configured, and nobody has declared it. If that is meant, name it in `tap: { forward: { hosts: [...] } }`; if not, take the fallback out.",
        );
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
}

/// Says which host it was. Bytes are left out: the same host must give the same finding in each probe.
fn seen(tunnel: &Tunnel) -> String {
    let how = match tunnel.end {
        TunnelEnd::Carried => "",
        TunnelEnd::Refused => " (refused by the tap, as configured)",
        TunnelEnd::Unreachable => " (which could not be reached)",
    };
    format!("{}{how}", tunnel.host)
}

/// The release was shown a certificate that nobody can trust. Tells whether that settles the probe.
pub(super) fn unknown_ca(case: &Case<'_>, findings: &mut Vec<Finding>) -> bool {
    if !case.observation.exchanges.is_empty() {
        findings.push(Finding::new(
            Severity::Fail,
            "tls-verification-disabled",
            "no call over a connection whose certificate cannot be trusted",
            format!(
                "{} calls, credential included, to whoever shows a certificate",
                case.observation.exchanges.len()
            ),
            "Certificates are not verified: anybody on the way can read the key and answer in the provider's place. Take `verify=False`, `rejectUnauthorized: false`, `NODE_TLS_REJECT_UNAUTHORIZED=0` or the like out, and hand a private CA over by `SSL_CERT_FILE` or `NODE_EXTRA_CA_CERTS`.",
        ));
        return true;
    }
    if case.observation.certificates_shown == 0 || case.outcome.kind() == OutcomeKind::Answered {
        return false;
    }
    outcome::judge(case, findings);
    true
}

/// No call arrived, although the tap is the release's proxy: what is known of why.
pub(super) fn went_past(case: &Case<'_>) -> Option<Finding> {
    let shown = case.observation.certificates_shown;
    let (seen, advice) = if case.outcome.kind() == OutcomeKind::Answered {
        // Without the label it may be anything's: a mock's, a cache's.
        if case.answer != AnswerRelation::Labelled {
            return None;
        }
        (
            "an answer that does what the prompt asks for, and no call at the tap".to_owned(),
            "The call went past the tap to a real model: the client does not take its proxy from the environment (`trust_env=False`, openai 4 for Node, Node before 22.21 or 24.0, aiohttp without `trust_env=True`), or it has a proxy or a `NO_PROXY` of its own. docs/clients.md says what each client needs; `tap: reverse` needs none of it.",
        )
    } else if shown > 0 {
        (
            format!("no call of this ask; {shown} TLS connections were made meanwhile"),
            "Likely, the client does not trust the CA of this run: it brings a trust store of its own, pins the provider's certificate, or reads none of the variables that name the trust file. docs/clients.md says what each client reads; `tap: reverse` needs none of it.",
        )
    } else if case.observation.stray_connections > 0 || case.observation.unattributed > 0 {
        return None;
    } else {
        let how = match case.outcome {
            Outcome::Refused { how, .. } => format!("the release refused ({how})"),
            Outcome::TimedOut { elapsed_ms } => format!("no outcome after {elapsed_ms} ms"),
            Outcome::Crashed { .. } => "the release crashed".to_owned(),
            Outcome::Left { .. } => "the asker left".to_owned(),
            Outcome::Answered { .. } => return None,
        };
        (
            format!("no connection to the tap as proxy; {how}"),
            "Likely causes: the client does not take its proxy from the environment (`trust_env=False`, openai 4 for Node, Node before 22.21 or 24.0, aiohttp without `trust_env=True`); the program sets `NO_PROXY` or another proxy itself; the base URL is another one than `provider.base_url`, or on loopback; a key or a setting is missing, so that the client cannot be constructed. docs/clients.md says what each client needs; the release's own log tells more.",
        )
    };
    Some(Finding::new(Severity::Ambiguous, "not-observed", "a call at the tap", seen, advice))
}

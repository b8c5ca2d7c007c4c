//! Compares the two releases of a pair: what they put on the wire, and how they treat their callers.

use contract::{MessageRole, Mode, Shape};

use crate::judging::carries_credential;
use crate::{AuthScheme, Finding, Fingerprint, Role, Severity};

mod callers;
mod media_type;
mod passing;
mod requests;
mod roles;
mod trouble;

pub use self::callers::{AnswerSeen, AskedAlike, CallerProfile, compare_callers};
pub use self::media_type::MediaType;
pub use self::passing::passes_on;
pub use self::requests::RequestTaken;
pub use self::trouble::{FallbackSeen, RefusalSeen};

/// What one release put on the wire for the live happy path in one mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireProfile {
    /// The mode.
    pub mode: Mode,
    /// The path, folded to what was meant.
    pub resource: String,
    /// How it names its credential.
    pub auth: AuthScheme,
    /// The credential's fingerprint.
    pub credential: Option<Fingerprint>,
    /// The model.
    pub model: Option<String>,
    /// The request's structure.
    pub shape: Shape,
    /// Who speaks in it, message by message.
    pub roles: Vec<MessageRole>,
}

/// What the configuration says about the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairIntent {
    /// One of the releases talks to a provider of its own.
    pub providers_differ: bool,
    /// The two take their credential from sources of different names.
    pub credential_sources_differ: bool,
    /// One of the releases has a model setting of its own.
    pub models_differ: bool,
}

/// Compares both releases, mode by mode. A mode that only one of them was seen in is ambiguous.
pub fn compare(
    new: &[WireProfile],
    rollback: &[WireProfile],
    modes: &[Mode],
    intent: PairIntent,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for &mode in modes {
        let of = |profiles: &[WireProfile]| {
            profiles.iter().find(|profile| profile.mode == mode).cloned()
        };
        match (of(new), of(rollback)) {
            (Some(new), Some(rollback)) => compare_mode(&new, &rollback, intent, &mut findings),
            (new, _) => {
                let role = if new.is_none() { Role::New } else { Role::Rollback };
                findings.push(Finding {
                    mode: Some(mode),
                    ..Finding::new(
                        Severity::Ambiguous,
                        "pair-not-comparable",
                        format!("a live {mode} call of both releases"),
                        format!("none of `{role}`"),
                        "See why its happy path was not observed; the pair can be compared only when both were.",
                    )
                    .of_release(role)
                });
            }
        }
    }
    findings
}

fn compare_mode(
    new: &WireProfile,
    rollback: &WireProfile,
    intent: PairIntent,
    findings: &mut Vec<Finding>,
) {
    let mut add = |severity, code, expected: String, seen: String, advice: &str| {
        findings.push(Finding {
            mode: Some(new.mode),
            ..Finding::new(severity, code, expected, seen, advice)
        });
    };
    if new.resource != rollback.resource {
        add(
            Severity::Fail,
            "pair-path-differs",
            format!("`{}`, as the rollback release", rollback.resource),
            format!("`{}`", new.resource),
            "The two releases call different endpoints, so evidence for one says nothing about the other. Correct the base URL or the surface.",
        );
    }
    if new.auth != rollback.auth && !intent.providers_differ {
        // A release that names none, or a blank one, is no measure for the other.
        let (measure, other, role) = if carries_credential(rollback.auth) {
            (rollback, new, Role::New)
        } else {
            (new, rollback, Role::Rollback)
        };
        add(
            Severity::Fail,
            "pair-auth-differs",
            format!("{}, as the other release", auth_word(measure.auth)),
            format!("{} of `{role}`", auth_word(other.auth)),
            "The two releases name their credential in different ways; one of them leans on something that the provider does not document.",
        );
    }
    if new.credential != rollback.credential && !intent.providers_differ {
        if intent.credential_sources_differ {
            add(
                Severity::Info,
                "pair-credential-differs",
                "one credential, or sources of different names".to_owned(),
                "different credentials from sources of different names".to_owned(),
                "The configuration names different sources, so this is taken as intended.",
            );
        } else {
            add(
                Severity::Fail,
                "pair-credential-differs",
                "the same credential, since both name the same source".to_owned(),
                "different credentials on the wire".to_owned(),
                "One of the releases does not use the secret it is given: a key is hard-coded, cached, or read from elsewhere. It will break when the secret is rotated.",
            );
        }
    }
    if new.model != rollback.model && !intent.models_differ {
        add(
            Severity::Fail,
            "pair-model-differs",
            "the same model setting on the wire".to_owned(),
            "different models".to_owned(),
            "One of the releases does not read the model setting. If the difference is meant, give the release a `model` of its own.",
        );
    }
    let (added, dropped) = differing_paths(&new.shape, &rollback.shape);
    if !added.is_empty() || !dropped.is_empty() {
        add(
            Severity::Warn,
            "pair-request-differs",
            "requests of the same structure".to_owned(),
            format!(
                "only in new: [{}]; only in rollback: [{}]",
                added.join(", "),
                dropped.join(", ")
            ),
            "Look whether the difference is meant: a field that one release adds may be refused by another provider or model.",
        );
    }
    findings.extend(
        roles::compare(&new.roles, &rollback.roles, intent)
            .map(|finding| Finding { mode: Some(new.mode), ..finding }),
    );
}

fn auth_word(scheme: AuthScheme) -> &'static str {
    match scheme {
        AuthScheme::None => "no credential",
        AuthScheme::Bearer => "authorization: Bearer",
        AuthScheme::BearerBlank => "a blank authorization: Bearer",
        AuthScheme::Basic => "authorization: Basic",
        AuthScheme::ApiKeyHeader => "an api-key header",
        AuthScheme::Other => "another authorization scheme",
    }
}

/// Returns the paths that only the first and only the second shape have, at most eight each.
fn differing_paths(first: &Shape, second: &Shape) -> (Vec<String>, Vec<String>) {
    let only = |these: &Shape, those: &Shape| {
        these
            .paths()
            .keys()
            .filter(|path| !those.paths().contains_key(*path))
            .take(8)
            .cloned()
            .collect()
    };
    (only(first, second), only(second, first))
}

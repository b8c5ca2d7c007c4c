//! What a release puts on the wire, whatever the stimulus: path, credential, model, extra calls.

use contract::Surface;
use contract::smoke::QuestionSeen;

use super::{Case, carries_credential, gateway, is_good_reply};
use crate::{
    AuthScheme, Exchange, Exposure, Finding, OutcomeKind, RequestType, Severity, attempts,
};

pub(super) fn judge(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let calls: Vec<&Exchange> = attempts::calls(&case.observation.exchanges).collect();
    for call in &calls {
        for finding in [
            path(case.policy.surface, call),
            credential(call),
            exposed(call),
            model(case, call),
            host(case, call, &calls),
            asks_mixed(call),
            request(call).filter(|_| case.probe.request_type() == RequestType::HappyPath),
        ]
        .into_iter()
        .flatten()
        {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    findings.extend(question(case, &calls));
    gateway::request(case, &calls, findings);
    redirect(case, findings);
    extra_calls(case, &calls, findings);
}

pub(crate) fn path(surface: Surface, call: &Exchange) -> Option<Finding> {
    let path = call.request.path.as_str();
    let expected = format!("/v1{}", surface.resource_path());
    if path == expected {
        return None;
    }
    let (severity, code, advice) = if path.replace("//", "/") == expected {
        (
            Severity::Warn,
            "path-has-double-slash",
            "Join the base URL and the path with one slash; some servers answer 404 or a redirect here.",
        )
    } else if path.contains("/v1/v1") {
        (
            Severity::Fail,
            "path-has-doubled-version",
            "The base URL ends in /v1 and the release adds another one: the provider answers 404 or a web page. Leave it to one of the two.",
        )
    } else if !path.contains("/v1/") {
        (
            Severity::Fail,
            "path-lacks-version",
            "The release drops the /v1 that the base URL ends in: the provider answers 404 or a web page.",
        )
    } else {
        (
            Severity::Fail,
            "path-is-not-the-surface",
            "The release calls another endpoint than the configured surface. Correct `provider.surface`, or the release.",
        )
    };
    Some(Finding::new(severity, code, expected, printable(path), advice))
}

/// Cuts a path from the wire down to what may be shown: it is short, and has nothing but what paths have.
fn printable(path: &str) -> String {
    path.chars().filter(|c| c.is_ascii_graphic()).take(80).collect()
}

pub(crate) fn credential(call: &Exchange) -> Option<Finding> {
    let scheme = call.request.auth;
    if scheme == AuthScheme::Basic {
        return Some(Finding::new(
            Severity::Fail,
            "credential-not-bearer",
            "authorization: Bearer",
            "authorization: Basic",
            "A user name in the base URL replaces the key in common SDKs. Take it out of the URL.",
        ));
    }
    if carries_credential(scheme) {
        return None;
    }
    let seen = match scheme {
        AuthScheme::BearerBlank => {
            "authorization: Bearer with nothing (or `undefined`, `null`, `None`) behind it"
        }
        AuthScheme::None
        | AuthScheme::Bearer
        | AuthScheme::Basic
        | AuthScheme::ApiKeyHeader
        | AuthScheme::Other => "no credential",
    };
    Some(Finding::new(
        Severity::Fail,
        "credential-blank",
        "a credential on every call",
        seen,
        "The release's secret is missing or blank. A mock that does not check keys would have let this pass.",
    ))
}

pub(crate) fn exposed(call: &Exchange) -> Option<Finding> {
    let (code, seen, advice) = match call.request.exposure {
        Exposure::None => return None,
        Exposure::Url => (
            "credential-in-url",
            "a credential in the path or the query",
            "URLs are kept in the access logs of every proxy and of the provider. Send the key in `authorization: Bearer` only, and renew it: it is in logs by now.",
        ),
        Exposure::Body => (
            "credential-in-body",
            "the credential in the body as well",
            "What is in the body is kept with the prompts: by the provider, by gateways that log or cache, in data sets. Take the key out of metadata, user names and prompts, and renew it.",
        ),
    };
    Some(Finding::new(Severity::Fail, code, "the credential in a header only", seen, advice))
}

/// What the release sends, against the documentation. Whether the provider minds is the live lane's to show.
pub(crate) fn request(call: &Exchange) -> Option<Finding> {
    let fault = call.request.fault.as_deref()?;
    Some(Finding::new(
        Severity::Warn,
        "request-off-contract",
        "a request as the provider documents it",
        fault,
        "A provider that checks what it documents refuses this with a 400. Correct the parameter, also where this provider lets it pass today.",
    ))
}

fn model(case: &Case<'_>, call: &Exchange) -> Option<Finding> {
    let policy = case.policy;
    let model = call.request.model.as_deref()?;
    let is_usual = model == policy.model || policy.models.iter().any(|known| known == model);
    if is_usual {
        return None;
    }
    let declared = policy.fallback_models.iter().any(|known| known == model);
    let shown: String = model.chars().filter(|c| c.is_ascii_graphic()).take(80).collect();
    if case.probe.request_type() == RequestType::HappyPath && call.attempt == 1 {
        return Some(Finding::new(
            Severity::Fail,
            "wrong-model",
            format!("model `{}`, as configured", policy.model),
            format!("model `{shown}`"),
            "The model is hard-coded, or the setting is not read. Take it from the configuration, or declare it under `models`.",
        ));
    }
    Some(if declared {
        Finding::new(
            Severity::Info,
            "declared-fallback",
            format!("model `{}`, or a declared fallback", policy.model),
            format!("model `{shown}`"),
            "The fallback is declared in `fallback_models`.",
        )
    } else {
        Finding::new(
            Severity::Fail,
            "silent-fallback",
            format!("model `{}` only", policy.model),
            format!("model `{shown}` after trouble"),
            "Another model answers than the one that was asked for, and nobody has declared it. Declare it under `fallback_models`, or take the fallback out.",
        )
    })
}

/// Another host than the first call's, with a model that is not declared for such a case. A release that makes several calls for
/// one ask may well make them to several hosts.
fn host(case: &Case<'_>, call: &Exchange, calls: &[&Exchange]) -> Option<Finding> {
    let first = calls.first().filter(|_| case.policy.calls_per_ask == 1)?;
    let is_declared = call
        .request
        .model
        .as_ref()
        .is_some_and(|model| case.policy.fallback_models.contains(model));
    if call.request.host == first.request.host || is_declared {
        return None;
    }
    Some(Finding::new(
        Severity::Fail,
        "silent-fallback",
        format!("calls to `{}` only", printable(&first.request.host)),
        format!("a call to `{}` after trouble", printable(&call.request.host)),
        "Another host answers than the one that was asked, and nobody has declared it. Declare its model under `fallback_models`, or take the fallback out.",
    ))
}

/// What others asked, beside what was asked here. No ask of surestep's names a session that it could belong to.
fn asks_mixed(call: &Exchange) -> Option<Finding> {
    (call.request.other_asks > 0).then(|| {
        Finding::new(
            Severity::Fail,
            "asks-mixed",
            "the question of this ask, and of no other",
            "questions of other asks beside it, in the same request",
            "What one user asks reaches the provider under another one's name, and comes back in their answers. Keep a conversation's history by its session, and never in what outlives a request: a module's variable, a default argument, a client object, a file.",
        )
    })
}

/// Whether what was asked got to the provider. A service may make further calls about something else; one has to have it whole.
fn question(case: &Case<'_>, calls: &[&Exchange]) -> Option<Finding> {
    // Of helpers that have a model of their own nobody expects the question; the call that leads to the answer has to have it.
    let leads_to_the_answer =
        |call: &&&Exchange| call.request.model.as_ref() == Some(&case.policy.model);
    let answering: Vec<&&Exchange> = calls.iter().filter(leads_to_the_answer).collect();
    let calls = if answering.is_empty() { calls.iter().collect() } else { answering };
    let has = |seen| calls.iter().any(|call| call.request.question == seen);
    if has(QuestionSeen::Whole) || case.outcome.kind() != OutcomeKind::Answered {
        return None;
    }
    let (severity, seen, advice) = if has(QuestionSeen::Damaged) {
        (
            Severity::Fail,
            "a call that lacks a part of it, or has it changed",
            "The model answers something else than the user asked. Send the question as it came, in UTF-8 and by a JSON library: no cut at a length or a line's end, no other case, nothing replaced by `?`.",
        )
    } else if has(QuestionSeen::Absent) && !has(QuestionSeen::Unread) {
        (
            Severity::Warn,
            "calls with nothing of it",
            "The service asks in words of its own, or has lost its user's. If that is what it is made for, nobody can tell here whether it asks the right thing.",
        )
    } else {
        return None;
    };
    Some(Finding::new(
        severity,
        "question-damaged",
        "the question, whole and as it was asked, in a call to the provider",
        seen,
        advice,
    ))
}

fn redirect(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let followed: Vec<&Exchange> = case
        .observation
        .exchanges
        .iter()
        .filter(|exchange| crate::Marker::of_moved_path(&exchange.request.path).is_some())
        .collect();
    let leaks = followed.iter().any(|exchange| {
        crate::Marker::is_moved_away(&exchange.request.path)
            && carries_credential(exchange.request.auth)
    });
    if leaks {
        findings.push(Finding::new(
            Severity::Fail,
            "redirect-leaks-credential",
            "no credential on a request to another host",
            "the redirect was followed to another host, credential and all",
            "Whoever can answer with a redirect gets the key. Switch redirects off in the HTTP client, or use one that drops `authorization` when the host changes.",
        ));
    }
    if !followed.is_empty() {
        findings.push(Finding::new(
            Severity::Warn,
            "redirect-followed",
            "a redirect of an API call reported as an error",
            "the redirect was followed",
            "A redirect means a wrong path. Following it turns the POST into a GET, and may carry the credential elsewhere. Switch it off in the HTTP client.",
        ));
    }
}

/// More calls than an ask makes, although the replies were good.
fn extra_calls(case: &Case<'_>, calls: &[&Exchange], findings: &mut Vec<Finding>) {
    // Whoever is given a call of a tool in place of an answer has to ask again.
    if case.probe.stimulus.calls_unasked_tool() {
        return;
    }
    let good = calls.iter().filter(|call| is_good_reply(call)).count();
    let expected = usize::try_from(case.policy.calls_per_ask).unwrap_or(usize::MAX);
    if good > expected {
        findings.push(Finding::new(
            Severity::Fail,
            "extra-calls",
            format!("{expected} upstream calls for one ask"),
            format!("{good} that got a good reply"),
            "Each call is billed. A client that reconnects after the end of a stream repeats the whole request; a guard or a summary call is declared with `calls_per_ask`.",
        ));
    }
}

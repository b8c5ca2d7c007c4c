//! Judges one probe: observation, outcome and logs in; findings out.

use contract::{Completion, ContractFinding, ContractVerdict, Mode, Surface};

use crate::logs::LogReading;
use crate::{
    AnswerRelation, AnsweredBy, AuthScheme, CallsRelation, Deviation, End, Exchange, Expect,
    Finding, Observation, Outcome, OutcomeKind, Probe, Role, Severity, Stimulus, attempts,
};

mod client;
mod fallback;
mod fields;
mod files;
pub(crate) mod gateway;
mod live;
mod observability;
mod outcome;
mod proxy;
pub mod repeats;
pub(crate) mod wire;

pub use client::BROKEN_BY_LEAVER;
pub use fields::required_fields_found;
pub use files::{Age, FileKind, FileLeak, in_files, not_searched, search_broke_off};
pub use live::Control;
pub use observability::{LeakKind, LeakSeen, LogEvidence, leaked};

/// Deviations of a reply that a finding names at most: the heaviest say enough.
const DEVIATIONS_MAX: usize = 4;

/// What a release has to keep to, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The surface under test.
    pub surface: Surface,
    /// The model setting.
    pub model: String,
    /// Further models that a normal ask uses.
    pub models: Vec<String>,
    /// Declared fallbacks.
    pub fallback_models: Vec<String>,
    /// Attempts at most of one upstream call.
    pub max_attempts: u32,
    /// Time from the first attempt's start to the last one's at most.
    pub max_elapsed_ms: u64,
    /// Whether the configuration says so itself: then the release is known to retry.
    pub retry_is_declared: bool,
    /// No outcome after this long is hung.
    pub deadline_ms: u64,
    /// Upstream calls that one ask makes.
    pub calls_per_ask: u32,
    /// JSON pointers that the application needs in a reply.
    pub required_fields: Vec<String>,
    /// Whether production uses streams only.
    pub streams_only: bool,
    /// Whether the tap is the release's proxy, and not its base URL.
    pub is_proxied: bool,
    /// What the release is to those who ask it.
    pub kind: ReleaseKind,
}

/// What a release is to those who ask it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseKind {
    /// It makes an answer of a reply.
    Application,
    /// It passes replies on: those who ask read them by the same contract.
    Gateway,
}

/// All that is known of one probe.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Which release was asked.
    pub role: Role,
    /// The experiment.
    pub probe: &'a Probe,
    /// What the release has to keep to.
    pub policy: &'a Policy,
    /// What the tap saw.
    pub observation: &'a Observation,
    /// What the release made of it.
    pub outcome: &'a Outcome,
    /// How its answer relates to what was delivered.
    pub answer: AnswerRelation,
    /// How the tools that its reply calls relate to those that were delivered.
    pub calls: CallsRelation,
    /// Whether it refused by a gateway's reply in which no client of that API sees an error.
    pub unsaid: bool,
    /// How surestep's own call to the provider fared, in the same mode.
    pub control: Option<&'a Control>,
    /// What the logs of this ask carry.
    pub logs: &'a LogEvidence,
    /// What came of one more, plain ask, where the asker of this one has left.
    pub afterwards: Option<OutcomeKind>,
    /// How the machine did meanwhile.
    pub machine: Machine,
}

/// How the machine did while an ask was under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// How long the thread of the release that waited most waited for a processor; `None` where that cannot be known.
    pub cpu_wait_ms: Option<u64>,
    /// How much too late surestep itself noticed that the deadline was over.
    pub lag_ms: u64,
}

impl Machine {
    /// Returns whether an ask without outcome says more of the machine than of the release: half of the deadline was spent waiting
    /// for a processor, or surestep itself was a quarter of it late.
    fn starved(self, policy: &Policy) -> bool {
        self.cpu_wait_ms.is_some_and(|waited| waited.saturating_mul(2) >= policy.deadline_ms)
            || self.lag_ms.saturating_mul(4) >= policy.deadline_ms
    }

    /// Returns whether a refusal says more of the machine than of the release: it took long, and half of that time was spent waiting for a processor. A
    /// deadline of the release's own is met so.
    fn kept_from_answering(self, elapsed_ms: u64) -> bool {
        const LONG_MS: u64 = 1_000;
        elapsed_ms >= LONG_MS
            && self.cpu_wait_ms.is_some_and(|waited| waited.saturating_mul(2) >= elapsed_ms)
    }
}

/// What a probe amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// What the smoke gates look at.
    pub findings: Vec<Finding>,
    /// What the observability gate looks at.
    pub log_findings: Vec<Finding>,
    /// Whether it was looked for what logs must carry.
    pub logs_judged: bool,
}

/// Judges one probe.
pub fn judge(case: &Case<'_>) -> Judged {
    let mut findings = Vec::new();
    judge_probe(case, &mut findings);
    let mut log_findings = Vec::new();
    let logs_judged = observability::judge(case, &mut log_findings);
    let name =
        |finding: Finding| finding.of_release(case.role).at_probe(case.probe.id, case.probe.mode);
    Judged {
        findings: findings.into_iter().map(name).collect(),
        log_findings: log_findings.into_iter().map(name).collect(),
        logs_judged,
    }
}

fn judge_probe(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if case.observation.lost > 0 {
        findings.push(Finding::new(
            Severity::Ambiguous,
            "observation-lost",
            "every exchange observed",
            format!("{} observations lost", case.observation.lost),
            "Run again with fewer probes at once (`--jobs 1`); if it stays, report it as a bug of surestep.",
        ));
        return;
    }
    let called = attempts::calls(&case.observation.exchanges).next().is_some();
    if let Outcome::Crashed { how, .. } = case.outcome {
        findings.push(outcome::crashed(how, last_call(case)));
    }
    proxy::other_hosts(case, findings);
    if case.probe.stimulus == Stimulus::UnknownCa && proxy::unknown_ca(case, findings) {
        return;
    }
    if !called && let Some(finding) = gateway::turned_down(case) {
        findings.push(finding);
        return;
    }
    if !called && case.outcome.kind() != OutcomeKind::Crashed {
        not_observed(case, findings);
    }
    if !called {
        return;
    }
    if !case.probe.stimulus.is_live()
        && let Some(finding) = live::lead_not_made(case)
    {
        findings.push(finding);
        return;
    }
    if case.probe.mode == contract::Mode::Stream
        && !attempts::calls(&case.observation.exchanges).any(|exchange| exchange.request.stream)
    {
        findings.push(Finding::new(
            Severity::Ambiguous,
            "mode-not-exercised",
            "a request with `stream: true` on the wire",
            "requests without it",
            "The release's stream entry does not stream from the provider, so streams remain untested. Mend it, or take `stream` out of `provider.modes`.",
        ));
        return;
    }
    wire::judge(case, findings);
    fields::judge(case, findings);
    let before = findings.len();
    judge_reply(case, findings);
    // What is known of clients is what they raise or return; a hang is the application's.
    let about_the_reply = findings.iter_mut().skip(before).filter(|finding| finding.code != "hung");
    let deviations = deviations(case);
    about_the_reply.for_each(|finding| finding.deviations.clone_from(&deviations));
}

/// Judges what the release made of what it got.
fn judge_reply(case: &Case<'_>, findings: &mut Vec<Finding>) {
    // How often a release calls a provider in trouble says nothing about what it does when an error is its own.
    if case.probe.stimulus.is_live() && live::judge(case, findings) == live::Blame::NotTheRelease {
        return;
    }
    if case.probe.asker_leaves() {
        client::judge(case, findings);
        return;
    }
    attempts::judge(case, findings);
    fallback::judge(case, findings);
    outcome::judge(case, findings);
}

/// Returns how the last reply deviated from the contract, by what weighs most. What a release left unread is no deviation of the reply.
fn deviations(case: &Case<'_>) -> Vec<Deviation> {
    let Some(call) = last_call(case).filter(|call| call.release_end != End::PeerLeft) else {
        return Vec::new();
    };
    let Some(response) = &call.response else { return Vec::new() };
    let mode = if call.request.stream { Mode::Stream } else { Mode::Unary };
    let mut found: Vec<_> = response.judgement.findings.iter().collect();
    found.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    let deviation = |finding: &ContractFinding| Deviation {
        code: finding.code.to_owned(),
        surface: case.policy.surface,
        mode,
        seen: finding.seen.clone(),
    };
    found.into_iter().take(DEVIATIONS_MAX).map(deviation).collect()
}

/// No call arrived at the tap.
fn not_observed(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if case.policy.is_proxied
        && !connection_was_refused(case)
        && let Some(finding) = proxy::went_past(case)
    {
        findings.push(finding);
        return;
    }
    if case.outcome.kind() == OutcomeKind::Answered && case.probe.expect != Expect::Refusal
        || case.outcome.kind() == OutcomeKind::Answered && !connection_was_refused(case)
    {
        findings.push(Finding::new(
            Severity::Fail,
            "answer-without-provider",
            "a call to the provider for each answer",
            "an answer, and no call at the tap",
            "A mock or a cache answers, or the release calls another address than the one it is given. Switch the mock off, vary the cache key by the prompt, and see that the base URL comes from the configuration.",
        ));
        return;
    }
    if connection_was_refused(case) {
        // Nobody can call when nobody listens: only the outcome is judged.
        outcome::judge(case, findings);
        return;
    }
    let strays = case.observation.stray_connections;
    let unattributed = case.observation.unattributed;
    let beside = case.observation.exchanges.len();
    let seen = if beside > 0 {
        format!("{beside} calls to other paths than the surface's only")
    } else if unattributed > 0 {
        format!("{unattributed} calls that carry no marker of any ask")
    } else if strays > 0 {
        format!("{strays} connections without a request")
    } else {
        match case.outcome {
            Outcome::Refused { how, .. } => format!("no connection; the release refused ({how})"),
            Outcome::TimedOut { elapsed_ms } => {
                format!("no connection; no outcome after {elapsed_ms} ms")
            }
            Outcome::Answered { .. } | Outcome::Crashed { .. } | Outcome::Left { .. } => {
                "no connection".to_owned()
            }
        }
    };
    findings.push(Finding::new(
        Severity::Ambiguous,
        "not-observed",
        "a call at the tap",
        seen,
        "Likely causes: the base URL is not read, blank or misspelt; a key is missing, or has a newline or blanks round it; a setting is missing, so that the client cannot be constructed; proxy variables lead elsewhere; a cooldown after earlier faults. The release's own log tells more.",
    ));
}

fn connection_was_refused(case: &Case<'_>) -> bool {
    case.probe.needs_own_port()
}

/// Returns the last call of the probed surface.
pub(crate) fn last_call<'a>(case: &Case<'a>) -> Option<&'a Exchange> {
    attempts::calls(&case.observation.exchanges).last()
}

/// Returns whether a reply can be relied on: it keeps to the contract, and the answer in it is whole.
pub fn is_good_reply(exchange: &Exchange) -> bool {
    exchange.response.as_ref().is_some_and(|response| {
        (200..300).contains(&response.status)
            && response.judgement.verdict != ContractVerdict::Hold
            && response.judgement.completion == Completion::Complete
    })
}

/// Returns whether a scheme carries a credential.
pub(crate) fn carries_credential(scheme: AuthScheme) -> bool {
    match scheme {
        AuthScheme::Bearer | AuthScheme::Basic | AuthScheme::ApiKeyHeader | AuthScheme::Other => {
            true
        }
        AuthScheme::None | AuthScheme::BearerBlank => false,
    }
}

/// Returns whether the provider itself answered.
pub(crate) fn is_from_provider(exchange: &Exchange) -> bool {
    match exchange.answered_by {
        AnsweredBy::Provider => true,
        AnsweredBy::Tap | AnsweredBy::ProviderUnreachable | AnsweredBy::Guard => false,
    }
}

/// Returns what is missing from the logs of an ask that could be read.
pub(crate) fn missing(reading: LogReading) -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        (reading.version, "log-version-missing", "the release's version"),
        (reading.route, "log-route-missing", "the route or path of the call"),
        (reading.timestamp, "log-timestamp-missing", "a timestamp"),
        (reading.status, "log-status-missing", "a status"),
    ]
    .into_iter()
    .filter_map(|(there, code, what)| (!there).then_some((code, what)))
}

#[cfg(test)]
mod tests;

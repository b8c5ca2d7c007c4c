//! The six gates and the decision: pure functions of stored facts and a time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::counting::as_of_run;
use self::counting::{discounted, discounted_age, newest_run, plans, withheld};
use crate::catalogue::AUTH_GROUP;
use crate::{Fact, Finding, Item, Phase, Planned, Probed, Role, Severity, Subject, Verdict};

mod counting;

/// One of the six release gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Every contract source has a review within its limit and has not changed since; nor have settings without anybody saying so.
    ContractReviewed,
    /// All required probes of `new` pass.
    NewReleaseSmoke,
    /// All required probes of `rollback` pass.
    RollbackReleaseSmoke,
    /// An invalid credential is handled as an error by both, without retry.
    NegativeAuth,
    /// The logs of both carry what an incident review needs, and nothing that they must not.
    Observability,
    /// The route was moved to `new` and back, and the user-facing path was proven on each side.
    RollbackSwitchDrill,
}

impl Gate {
    /// All six, in the order in which they are reported.
    pub const ALL: [Self; 6] = [
        Self::ContractReviewed,
        Self::NewReleaseSmoke,
        Self::RollbackReleaseSmoke,
        Self::NegativeAuth,
        Self::Observability,
        Self::RollbackSwitchDrill,
    ];

    /// Returns the word used in configuration and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ContractReviewed => "contract_reviewed",
            Self::NewReleaseSmoke => "new_release_smoke",
            Self::RollbackReleaseSmoke => "rollback_release_smoke",
            Self::NegativeAuth => "negative_auth",
            Self::Observability => "observability",
            Self::RollbackSwitchDrill => "rollback_switch_drill",
        }
    }

    /// Returns the gate of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|gate| gate.as_str() == name)
    }
}

/// What the gates are told beside the facts.
#[derive(Clone, Debug)]
pub struct GateContext {
    /// What the evidence must be about.
    pub subject: Subject,
    /// The time at which the question is asked.
    pub now: Timestamp,
    /// Evidence counts only while younger.
    pub max_age: SignedDuration,
    /// Whether warnings block.
    pub strict: bool,
}

/// A judged gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateReport {
    /// Which.
    pub gate: Gate,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it does not pass; empty when it does.
    pub reasons: Vec<String>,
    /// When the oldest evidence that it rests on was made.
    pub since: Option<Timestamp>,
}

/// What traffic may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Nothing moves.
    Hold,
    /// A little traffic may go to `new`.
    PromoteSmallStep,
    /// Traffic had been moved, and was moved back.
    Rollback,
}

impl Decision {
    /// Returns the word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::PromoteSmallStep => "promote_small_step",
            Self::Rollback => "rollback",
        }
    }
}

/// The decision with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What traffic may do.
    pub decision: Decision,
    /// The worst verdict of the required gates.
    pub verdict: Verdict,
    /// Every gate, required or not.
    pub gates: Vec<GateReport>,
}

/// Judges all six gates and decides. Only `required` gates count; all are reported.
pub fn decide(items: &[Item], context: &GateContext, required: &[Gate]) -> Decided {
    let gates: Vec<GateReport> =
        Gate::ALL.into_iter().map(|gate| judge_gate(gate, items, context)).collect();
    let verdict = gates
        .iter()
        .filter(|report| required.contains(&report.gate))
        .fold(Verdict::Pass, |verdict, report| verdict.and(report.verdict));
    // No gate required is nothing proven.
    let verdict = if required.is_empty() { Verdict::Ambiguous } else { verdict };
    let decision = match verdict {
        Verdict::Pass => Decision::PromoteSmallStep,
        Verdict::Fail if failed_after_traffic_moved(items, context) => Decision::Rollback,
        Verdict::Fail | Verdict::Ambiguous => Decision::Hold,
    };
    Decided { decision, verdict, gates }
}

/// Judges one gate.
pub fn judge_gate(gate: Gate, items: &[Item], context: &GateContext) -> GateReport {
    let mut bench = Bench::default();
    match gate {
        Gate::ContractReviewed => contract_reviewed(items, context, &mut bench),
        Gate::NewReleaseSmoke => smoke(Role::New, items, context, &mut bench),
        Gate::RollbackReleaseSmoke => smoke(Role::Rollback, items, context, &mut bench),
        Gate::NegativeAuth => {
            for role in Role::BOTH {
                probes(role, Phase::Smoke, items, context, &mut bench, |group| group == AUTH_GROUP);
            }
        }
        Gate::Observability => {
            for role in Role::BOTH {
                observability(role, items, context, &mut bench);
            }
        }
        Gate::RollbackSwitchDrill => switch_drill(items, context, &mut bench),
    }
    bench.report(gate)
}

/// Collects what a gate rests on.
#[derive(Default)]
struct Bench {
    verdict: Option<Verdict>,
    reasons: Vec<String>,
    since: Option<Timestamp>,
}

impl Bench {
    fn add(&mut self, verdict: Verdict, at: Timestamp) {
        self.verdict = Some(self.verdict.map_or(verdict, |so_far| so_far.and(verdict)));
        self.since = Some(self.since.map_or(at, |since| since.min(at)));
    }

    fn missing(&mut self, reason: String) {
        self.verdict =
            Some(self.verdict.map_or(Verdict::Ambiguous, |so_far| so_far.and(Verdict::Ambiguous)));
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    fn findings(&mut self, findings: &[Finding], strict: bool, at: Timestamp) {
        self.add(Verdict::of(findings, strict), at);
        for finding in findings {
            let blocks = match finding.severity {
                Severity::Fail | Severity::Ambiguous => true,
                Severity::Warn => strict,
                Severity::Info => false,
            };
            if blocks {
                let reason = reason_of(finding);
                if !self.reasons.contains(&reason) {
                    self.reasons.push(reason);
                }
            }
        }
    }

    /// Nothing at all is nothing proven.
    fn report(self, gate: Gate) -> GateReport {
        match self.verdict {
            Some(verdict) => GateReport { gate, verdict, reasons: self.reasons, since: self.since },
            None => GateReport {
                gate,
                verdict: Verdict::Ambiguous,
                reasons: vec!["no evidence".to_owned()],
                since: None,
            },
        }
    }
}

/// Words a finding as a reason.
fn reason_of(finding: &Finding) -> String {
    let mut place: Vec<&str> = Vec::new();
    place.extend(finding.release.map(Role::as_str));
    place.extend(finding.probe.as_deref());
    place.extend(finding.mode.map(contract::Mode::as_str));
    if place.is_empty() {
        format!("{}: {}", finding.code, finding.seen)
    } else {
        format!("{} ({}): {}", finding.code, place.join(", "), finding.seen)
    }
}

/// Judges the planned probes of one release in one phase.
fn probes(
    role: Role,
    phase: Phase,
    items: &[Item],
    context: &GateContext,
    bench: &mut Bench,
    wanted_group: impl Fn(&str) -> bool,
) {
    let run = match newest_run(items, context, |fact| plans(fact, role, phase)) {
        Ok(run) => run,
        Err(why) => return bench.missing(format!("{role}: {why}")),
    };
    withheld(&run, bench);
    let mut not_made: Vec<&Planned> = Vec::new();
    for item in &run {
        let Fact::Planned { probes } = &item.fact else { continue };
        for planned in
            probes.iter().filter(|planned| planned.role == role && planned.phase == phase)
        {
            match probed(&run, planned) {
                None => not_made.push(planned),
                Some((probed, at)) if wanted_group(&probed.group) => {
                    if let Some(why) = discounted_age(at, context) {
                        bench.missing(format!("{role}: {why}"));
                    }
                    bench.findings(&probed.findings, context.strict, at);
                    // The stored verdict is not trusted to be better than its findings, nor the other way round.
                    bench.add(probed.verdict, at);
                }
                Some(_) => {}
            }
        }
    }
    asked_only_earlier(&run, role, phase, items, context, bench, &wanted_group);
    if let Some(first) = not_made.first() {
        bench.missing(format!(
            "{role}: {} planned probes were not made, the first of them {} ({})",
            not_made.len(),
            first.probe,
            first.mode
        ));
    }
}

/// What a thorough run has found stands until a thorough run finds otherwise: a later run that asks less does not clear it.
fn asked_only_earlier(
    newest: &[&Item],
    role: Role,
    phase: Phase,
    items: &[Item],
    context: &GateContext,
    bench: &mut Bench,
    wanted_group: &impl Fn(&str) -> bool,
) {
    let planned: Vec<&Planned> = newest
        .iter()
        .filter_map(
            |item| if let Fact::Planned { probes } = &item.fact { Some(probes) } else { None },
        )
        .flatten()
        .collect();
    let mut latest: Vec<(&Probed, Timestamp)> = Vec::new();
    for item in items.iter().filter(|item| discounted(item, context).is_none()) {
        let Fact::Probed(probed) = &item.fact else { continue };
        let wanted = &probed.planned;
        let counts = wanted.role == role
            && wanted.phase == phase
            && wanted_group(&probed.group)
            && !planned.contains(&wanted);
        match latest.iter_mut().find(|(known, _)| known.planned == *wanted) {
            _ if !counts => {}
            Some(known) if known.1 <= item.at => *known = (probed, item.at),
            Some(_) => {}
            None => latest.push((probed, item.at)),
        }
    }
    for (probed, at) in latest {
        // A pass of long ago carries nothing.
        if !probed.verdict.permits_release() {
            bench.findings(&probed.findings, context.strict, at);
            bench.add(probed.verdict, at);
        }
    }
}

/// Returns the judged probe for a planned one; with several, the worst, and with equal ones the newest.
fn probed<'i>(run: &[&'i Item], planned: &Planned) -> Option<(&'i Probed, Timestamp)> {
    run.iter()
        .filter_map(|item| match &item.fact {
            Fact::Probed(probed) if probed.planned == *planned => Some((probed, item.at)),
            Fact::Probed(_)
            | Fact::Planned { .. }
            | Fact::Compared { .. }
            | Fact::Reviewed { .. }
            | Fact::Stepped { .. }
            | Fact::SourceRead { .. }
            | Fact::SourceAccepted(_)
            | Fact::Decided { .. }
            | Fact::Withheld { .. } => None,
        })
        .max_by_key(|(probed, at)| {
            let badness = match probed.verdict {
                Verdict::Pass => 0,
                Verdict::Ambiguous => 1,
                Verdict::Fail => 2,
            };
            (badness, *at)
        })
}

fn contract_reviewed(items: &[Item], context: &GateContext, bench: &mut Bench) {
    // A withheld review must not leave an older one to speak for it.
    let is_review = |fact: &Fact| match fact {
        Fact::Reviewed { .. } => true,
        Fact::Withheld { what } => what == REVIEW_WORDS,
        Fact::Planned { .. }
        | Fact::Probed(_)
        | Fact::Compared { .. }
        | Fact::Stepped { .. }
        | Fact::SourceRead { .. }
        | Fact::SourceAccepted(_)
        | Fact::Decided { .. } => false,
    };
    let run = match newest_run(items, context, is_review) {
        Ok(run) => run,
        Err(why) => return bench.missing(why),
    };
    withheld(&run, bench);
    for item in run {
        if let Fact::Reviewed { verdict, findings, since } = &item.fact {
            let since = since.unwrap_or(item.at).min(item.at);
            if let Some(why) = discounted_age(since, context) {
                bench.missing(format!("the reading of a source: {why}"));
            }
            bench.findings(findings, context.strict, since);
            bench.add(*verdict, since);
        }
    }
}

fn smoke(role: Role, items: &[Item], context: &GateContext, bench: &mut Bench) {
    // Why a release could not be asked at all stands in its step.
    if let Ok(run) = newest_run(items, context, |fact| plans(fact, role, Phase::Smoke)) {
        let own_step = match role {
            Role::New => 1,
            Role::Rollback => 2,
        };
        for item in run {
            if let Fact::Stepped { step, findings, .. } = &item.fact
                && *step == own_step
                && !findings.is_empty()
            {
                bench.findings(findings, context.strict, item.at);
            }
        }
    }
    probes(role, Phase::Smoke, items, context, bench, |group| group != AUTH_GROUP);
    // What the comparison of the pair found about this release.
    if let Ok(run) = newest_run(items, context, |fact| matches!(fact, Fact::Compared { .. })) {
        for item in run {
            if let Fact::Compared { findings, .. } = &item.fact {
                let own: Vec<Finding> = findings
                    .iter()
                    .filter(|finding| finding.release == Some(role))
                    .cloned()
                    .collect();
                if !own.is_empty() {
                    bench.findings(&own, context.strict, item.at);
                }
            }
        }
    }
}

fn observability(role: Role, items: &[Item], context: &GateContext, bench: &mut Bench) {
    let run = match newest_run(items, context, |fact| plans(fact, role, Phase::Smoke)) {
        Ok(run) => run,
        Err(why) => return bench.missing(format!("{role}: {why}")),
    };
    withheld(&run, bench);
    let mut judged = 0_u32;
    for item in &run {
        if let Fact::Probed(probed) = &item.fact
            && probed.planned.role == role
        {
            judged += u32::from(probed.logs_judged);
            bench.findings(&probed.log_findings, context.strict, item.at);
        }
    }
    if judged == 0 {
        bench.missing(format!("{role}: the log of no ask could be judged"));
    }
}

/// The words for a review in place of which a stub is stored.
pub const REVIEW_WORDS: &str = "the review of the contract";

/// The steps that the switch gate rests on: preflight, compare, switch, serve by new, switch back, serve by rollback.
const SWITCH_STEPS: [u8; 6] = [0, 3, 4, 5, 6, 7];

fn switch_drill(items: &[Item], context: &GateContext, bench: &mut Bench) {
    let run =
        match newest_run(items, context, |fact| plans(fact, Role::Rollback, Phase::AfterSwitch)) {
            Ok(run) => run,
            Err(why) => return bench.missing(why),
        };
    withheld(&run, bench);
    for step in SWITCH_STEPS {
        let mut found = false;
        for item in &run {
            if let Fact::Stepped { step: number, verdict, findings, .. } = &item.fact
                && *number == step
            {
                found = true;
                bench.findings(findings, context.strict, item.at);
                bench.add(*verdict, item.at);
            }
        }
        if !found {
            bench.missing(format!("step {step} of the drill was not made"));
        }
    }
    for item in &run {
        if let Fact::Compared { findings, .. } = &item.fact {
            let of_pair: Vec<Finding> =
                findings.iter().filter(|finding| finding.release.is_none()).cloned().collect();
            bench.findings(&of_pair, context.strict, item.at);
        }
    }
    // Without the switch there is nothing to come back from, and "planned and not probed" would only repeat it.
    let switched = run.iter().any(|item| matches!(&item.fact, Fact::Stepped { step: 6, .. }));
    if switched {
        probes(Role::Rollback, Phase::AfterSwitch, items, context, bench, |_| true);
    }
}

/// Returns whether the newest drill had moved traffic when something failed.
fn failed_after_traffic_moved(items: &[Item], context: &GateContext) -> bool {
    let Ok(run) =
        newest_run(items, context, |fact| plans(fact, Role::Rollback, Phase::AfterSwitch))
    else {
        return false;
    };
    let moved = run.iter().any(|item| {
        matches!(&item.fact, Fact::Stepped { step: 4, percent_new: Some(percent), .. } if *percent > 0)
    });
    let failed = run.iter().any(|item| match &item.fact {
        Fact::Stepped { step, verdict, .. } => *step > 4 && *verdict == Verdict::Fail,
        Fact::Probed(probed) => {
            probed.planned.phase == Phase::AfterSwitch && probed.verdict == Verdict::Fail
        }
        Fact::Planned { .. }
        | Fact::Compared { .. }
        | Fact::Reviewed { .. }
        | Fact::SourceRead { .. }
        | Fact::SourceAccepted(_)
        | Fact::Decided { .. }
        | Fact::Withheld { .. } => false,
    });
    moved && failed
}

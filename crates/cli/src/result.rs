//! The result of a run or a question, derived from stored facts: one structure for every format.

mod schema;

use judge::gates::{Decided, Gate, GateReport};
use judge::{Fact, Finding, Item, Phase, Role, Severity, Verdict};
pub(crate) use schema::result_schema;
use serde_json::{Value, json};

/// The version of the JSON results.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// The command that asks whether the way back is proven.
pub(crate) const WAY_BACK: &str = "can roll-back";

/// What no report of ours ever says.
pub(crate) const NOT_ASSERTED: &[&str] =
    &["uptime", "latency", "price", "quota", "model inventory", "model quality"];

/// A result, ready to be shown.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) command: &'static str,
    pub(crate) run: Option<String>,
    pub(crate) service: String,
    pub(crate) environment: String,
    pub(crate) provider: String,
    pub(crate) decided: Decided,
    pub(crate) required: Vec<Gate>,
    pub(crate) exit_code: u8,
    pub(crate) new: ReleaseResult,
    pub(crate) rollback: ReleaseResult,
    pub(crate) steps: Vec<StepResult>,
    pub(crate) findings: Vec<Finding>,
    /// Percent of user traffic on `new`; `None` when no route was looked at.
    pub(crate) percent_new: Option<u8>,
    pub(crate) notes: Vec<String>,
    /// A line that answers the question, for people.
    pub(crate) headline: String,
}

/// One release of a result.
#[derive(Clone, Debug)]
pub(crate) struct ReleaseResult {
    pub(crate) version: String,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) probes: Vec<ProbeResult>,
}

/// One probe of a result.
#[derive(Clone, Debug)]
pub(crate) struct ProbeResult {
    pub(crate) probed: judge::Probed,
    pub(crate) verdict: Verdict,
}

/// One step of a result.
#[derive(Clone, Debug)]
pub(crate) struct StepResult {
    pub(crate) step: u8,
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    pub(crate) percent_new: Option<u8>,
}

/// What the facts of one run say.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunFacts {
    pub(crate) new: Vec<ProbeResult>,
    pub(crate) rollback: Vec<ProbeResult>,
    pub(crate) steps: Vec<StepResult>,
    pub(crate) findings: Vec<Finding>,
}

impl RunFacts {
    /// Reads the facts of a run.
    pub(crate) fn of<'i>(items: impl IntoIterator<Item = &'i Item>, strict: bool) -> Self {
        let mut facts = Self::default();
        for item in items {
            match &item.fact {
                Fact::Probed(probed) => facts.probed(probed, strict),
                Fact::Compared { findings, .. } | Fact::Reviewed { findings, .. } => facts.add(findings),
                Fact::Stepped { step, name, verdict, findings, percent_new } => {
                    facts.add(findings);
                    let (step, verdict, percent_new) = (*step, *verdict, *percent_new);
                    facts.steps.push(StepResult { step, name: name.clone(), verdict, percent_new });
                }
                Fact::Withheld { what } => facts.findings.push(Finding::new(
                    Severity::Ambiguous,
                    "record-withheld",
                    "records without secrets",
                    what.clone(),
                    "A secret was about to be written down, and was not. The configuration carries it in clear, or a release sends it where none belongs: in the model, the path, a header's name or its User-Agent.",
                )),
                Fact::Planned { .. }
                | Fact::SourceRead { .. }
                | Fact::SourceAccepted(_)
                | Fact::Decided { .. } => {}
            }
        }
        facts.steps.sort_by_key(|step| step.step);
        facts.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        facts
    }

    fn probed(&mut self, probed: &judge::Probed, strict: bool) {
        self.add(&probed.findings);
        self.add(&probed.log_findings);
        let logs = Verdict::of(&probed.log_findings, strict);
        let result = ProbeResult { verdict: probed.verdict.and(logs), probed: probed.clone() };
        match probed.planned.role {
            Role::New => self.new.push(result),
            Role::Rollback => self.rollback.push(result),
        }
    }

    fn add(&mut self, findings: &[Finding]) {
        for finding in findings {
            if !self.findings.contains(finding) {
                self.findings.push(finding.clone());
            }
        }
    }
}

/// Returns what probes amount to; `None` for none.
pub(crate) fn verdict_of(probes: &[ProbeResult]) -> Option<Verdict> {
    probes.iter().map(|probe| probe.verdict).reduce(Verdict::and)
}

impl Outcome {
    /// Returns whether the question is whether the way back is proven: the answer is yes or no, not a decision.
    pub(crate) fn asks_for_way_back(&self) -> bool {
        self.command == WAY_BACK
    }

    /// Returns the stable, versioned JSON of the result.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "schema_version": SCHEMA_VERSION,
            "command": self.command,
            "run": self.run,
            "service": self.service,
            "environment": self.environment,
            "provider": self.provider,
            "decision": self.decided.decision,
            "exit_code": self.exit_code,
            "gates": self.decided.gates.iter().map(|gate| self.gate_json(gate)).collect::<Vec<_>>(),
            "releases": { "new": release_json(&self.new), "rollback": release_json(&self.rollback) },
            "findings": self.findings.iter().map(finding_json).collect::<Vec<_>>(),
            "steps": self.steps.iter().map(|step| json!({
                "step": step.step, "name": step.name, "verdict": step.verdict, "percent_new": step.percent_new,
            })).collect::<Vec<_>>(),
            "route": self.percent_new.map(share_json),
            "notes": self.notes,
            "not_asserted": NOT_ASSERTED,
        })
    }

    fn gate_json(&self, gate: &GateReport) -> Value {
        json!({
            "gate": gate.gate,
            "verdict": gate.verdict,
            "required": self.required.contains(&gate.gate),
            "reasons": gate.reasons,
            "since": gate.since,
        })
    }
}

/// Returns a finding's public form: what it tells, and the known clients that break on the reply that it is about.
fn finding_json(finding: &Finding) -> Value {
    json!({
        "code": finding.code,
        "severity": finding.severity,
        "release": finding.release,
        "probe": finding.probe,
        "mode": finding.mode,
        "expected": finding.expected,
        "seen": finding.seen,
        "advice": finding.advice,
        "breaks": finding.breaks(),
    })
}

/// Returns the shares of a route.
pub(crate) fn share_json(percent_new: u8) -> Value {
    json!({ "share": { "new": percent_new, "rollback": 100_u8.saturating_sub(percent_new) } })
}

fn release_json(release: &ReleaseResult) -> Value {
    json!({
        "version": release.version,
        "verdict": release.verdict.unwrap_or(Verdict::Ambiguous),
        "probes": release.probes.iter().map(probe_json).collect::<Vec<_>>(),
    })
}

fn probe_json(probe: &ProbeResult) -> Value {
    let probed = &probe.probed;
    let findings = probed.findings.iter().chain(&probed.log_findings);
    json!({
        "id": probed.planned.probe,
        "mode": probed.planned.mode,
        "phase": probed.planned.phase,
        "group": probed.group,
        "request_type": probed.request_type,
        "lane": probed.lane,
        "verdict": probe.verdict,
        "outcome": probed.outcome,
        "attempts": probed.attempts,
        "findings": findings.map(finding_json).collect::<Vec<_>>(),
        "repeats": probed.repeats,
    })
}

/// Returns whether a probe is one of the smoke before any traffic moves.
pub(crate) fn is_smoke(probe: &ProbeResult) -> bool {
    probe.probed.planned.phase == Phase::Smoke
}

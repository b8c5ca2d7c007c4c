//! Makes a case, and looks in its ledger for what was to be found.

use drill::{Rehearsal, RunError, RunReport, check, drill};
use evidence::Holder;
use jiff::SignedDuration;
use judge::gates::{Gate, GateContext, GateReport, decide};
use judge::{Finding, Role, Severity, Verdict};

use super::case::{Case, Run, Scene};
use super::evidence::{Look, leave_unfinished, look};
use super::switch::Fault;
use super::world::World;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::result::RunFacts;

/// What came of a case.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// The case.
    pub(crate) case: &'static Case,
    /// The verdict of its gate, as judged.
    pub(crate) verdict: Option<Verdict>,
    /// The reason that the gate gives, or what was found instead.
    pub(crate) seen: String,
    /// Why the case failed; `None` when everything turned out as expected.
    pub(crate) problem: Option<String>,
}

/// Makes a case; `spare` leaves its defect out.
pub(crate) async fn make(case: &'static Case, spare: bool, environment: &Environment) -> Made {
    let scene = if spare {
        let Scene { how, probes, strict, run, .. } = case.scene;
        let run = if let Run::Drill(_) = run { Run::Drill(Fault::None) } else { Run::Check };
        Scene { how, probes, strict, run, ..Scene::HEALTHY }
    } else {
        case.scene
    };
    match Box::pin(run(&scene, environment)).await {
        Ok(seen) => seen.hold_against(case),
        Err(failure) => Made {
            case,
            verdict: None,
            seen: String::new(),
            problem: Some(format!("it could not be run: {}", failure.message)),
        },
    }
}

/// What a ledger says.
struct Seen {
    findings: Vec<Finding>,
    gates: Vec<GateReport>,
    /// Percent of traffic that was left on `new`.
    left_on_new: u8,
}

async fn run(scene: &Scene, environment: &Environment) -> Result<Seen, Failure> {
    let mut world = match scene.run {
        Run::CheckAfterDrill => {
            let before = Scene { keys: &[], ..*scene };
            let world = World::make(&before, environment).await?;
            drilled(&world, Fault::None).await?;
            world.again(scene, environment).await?
        }
        Run::Check | Run::Drill(_) | Run::DrillAfterCrash => {
            World::make(scene, environment).await?
        }
    };
    let (report, left_on_new) = match scene.run {
        Run::Check | Run::CheckAfterDrill => {
            let wired = &world.wired;
            (check(&wired.bench, &wired.ledger, &Role::BOTH).await?, 0)
        }
        Run::Drill(fault) => drilled(&world, fault).await?,
        Run::DrillAfterCrash => {
            leave_unfinished(&world).await?;
            drilled(&world, Fault::None).await?
        }
    };
    let seen = read(scene, &mut world, &report, left_on_new).await;
    world.end().await;
    seen
}

/// Makes the eight steps; returns also how much traffic was left on `new`.
async fn drilled(world: &World, fault: Fault) -> Result<(RunReport, u8), Failure> {
    let (bench, ledger) = (&world.wired.bench, &world.wired.ledger);
    let switch = world.switch(fault).await?;
    let holder = Holder::this_process();
    let rehearsal = Rehearsal { switch: &switch, ledger, holder, on_record: None };
    let result = drill(bench, rehearsal, switch.stop.notified()).await;
    let left = switch.end().await?;
    match result {
        Ok(report) => Ok((report, left)),
        // A route that cannot be put back ends a drill with an error; what it had found is in the ledger.
        Err(RunError::Route(_)) if fault == Fault::NeverComesBack => {
            Ok((RunReport::default(), left))
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads what the ledger says of the newest run, and what the gates make of it.
async fn read(
    scene: &Scene,
    world: &mut World,
    report: &RunReport,
    left_on_new: u8,
) -> Result<Seen, Failure> {
    let (bench, ledger) = (&world.wired.bench, &world.wired.ledger);
    let settings = &bench.settings;
    let mut items = ledger.items(&settings.service, &settings.environment, None).await?;
    let strict = settings.gates.strict;
    let mut context = GateContext {
        subject: bench.subject.clone(),
        now: (bench.now)(),
        max_age: SignedDuration::try_from(settings.gates.max_age).unwrap_or(SignedDuration::MAX),
        strict,
    };
    let of_run = items.iter().filter(|item| item.run == bench.names.run);
    let mut findings = RunFacts::of(of_run, strict).findings;
    findings.extend(report.steps.iter().flat_map(|step| step.findings.iter().cloned()));
    look(scene.look, &mut items, &mut context);
    let gates = decide(&items, &context, &Gate::ALL).gates;
    Ok(Seen { findings, gates, left_on_new })
}

impl Seen {
    fn gate(&self, gate: Gate) -> Option<&GateReport> {
        self.gates.iter().find(|report| report.gate == gate)
    }

    fn hold_against(&self, case: &'static Case) -> Made {
        let told = self.findings.iter().find(|finding| finding.code == case.expect);
        let begins = case.reason.unwrap_or(case.expect);
        let reasons = |gate: Gate| self.gate(gate).map_or(&[][..], |report| &report.reasons);
        let reason_of = |gate: Gate| {
            reasons(gate).iter().find(|reason| {
                let of_release =
                    |role: Role| reason.strip_prefix(role.as_str())?.strip_prefix(": ");
                let said = Role::BOTH.into_iter().find_map(of_release).unwrap_or(reason);
                said.starts_with(begins)
            })
        };
        let seen = match (reason_of(case.gate), told) {
            (Some(reason), _) => reason.clone(),
            (None, Some(finding)) => format!("{}: {}", finding.code, finding.seen),
            (None, None) => reasons(case.gate).first().cloned().unwrap_or_default(),
        };
        let wrong = |gate: Gate| -> Option<String> {
            let verdict = self.gate(gate)?.verdict;
            let (word, wanted) = (verdict.as_str(), case.verdict.as_str());
            if verdict != case.verdict {
                let why = reasons(gate).first().cloned().unwrap_or_default();
                return Some(format!("{} is {word}, not {wanted}: {why}", gate.as_str()));
            }
            let is_silent = verdict != Verdict::Pass && reason_of(gate).is_none();
            is_silent.then(|| format!("{} does not say so", gate.as_str()))
        };
        let gates: &[Gate] = if case.everywhere { &Gate::ALL } else { &[case.gate] };
        let problem = (case.is_code() && told.is_none())
            .then(|| format!("no finding {}", case.expect))
            .or_else(|| gates.iter().find_map(|gate| wrong(*gate)))
            .or_else(|| {
                let left = self.left_on_new;
                (left != 0).then(|| format!("{left} percent of traffic was left on `new`"))
            })
            .or_else(|| {
                if case.scene.strikes_both || case.scene.look != Look::AsItIs {
                    None
                } else {
                    self.unhealthy(case)
                }
            });
        let verdict = self.gate(case.gate).map(|report| report.verdict);
        Made { case, verdict, seen, problem }
    }

    /// The healthy release beside must have passed the same probes.
    fn unhealthy(&self, case: &Case) -> Option<String> {
        let (other, gate) = match case.scene.broken {
            Role::New => (Role::Rollback, Gate::RollbackReleaseSmoke),
            Role::Rollback => (Role::New, Gate::NewReleaseSmoke),
        };
        let least = if case.scene.strict { Severity::Warn } else { Severity::Ambiguous };
        let is_its = |finding: &&Finding| {
            finding.release == Some(other)
                && (finding.severity == Severity::Fail
                    || finding.severity == Severity::Ambiguous
                    || finding.severity == least)
        };
        if let Some(finding) = self.findings.iter().find(is_its) {
            let (code, seen) = (&finding.code, &finding.seen);
            return Some(format!("the healthy release beside has {code}: {seen}"));
        }
        let smoke = self.gate(gate)?;
        let why = smoke.reasons.first().cloned().unwrap_or_default();
        (smoke.verdict != Verdict::Pass)
            .then(|| format!("the healthy release beside is {}: {why}", smoke.verdict.as_str()))
    }
}

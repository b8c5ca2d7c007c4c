//! A run: `check` (the smoke of each release) and what `check` and the drill share.

use evidence::{Ledger, LedgerError, Record};
use futures_util::future::join_all;
use judge::judging::Control;
use judge::{Fact, Finding, Phase, Planned, Probe, Role, Severity, Verdict};
use tokio::sync::Semaphore;

use crate::bench::{Bench, ControlPort};
use crate::pair::{Profile, compare_pair};
use crate::ports::{Releases, Tap};
use crate::progress::Event;
use crate::records::Clerk;
use crate::review::review_contract;
use crate::smoke::{Alive, Smoked, smoke};
use crate::{files, plan};

/// Work that could not be done. The decision is hold.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The ledger.
    #[error("the evidence could not be kept")]
    Ledger(#[from] LedgerError),
    /// Another run has the lease.
    #[error("{what}")]
    Busy {
        /// Who, and since when.
        what: String,
        /// What to do.
        advice: String,
    },
    /// The route.
    #[error("the route could not be read or moved")]
    Route(#[source] crate::ports::PortError),
}

/// What a run made, beside the evidence in the ledger.
#[derive(Debug, Default)]
pub struct RunReport {
    /// The run's id.
    pub run: String,
    /// What every step found, in order.
    pub steps: Vec<StepReport>,
    /// All findings that are about no single probe.
    pub findings: Vec<Finding>,
    /// How surestep's own calls fared.
    pub controls: Vec<(Role, contract::Mode, Control)>,
    /// Percent of user traffic on `new` when the run was over, as read from the switch; `None` when no route was touched.
    pub percent_new: Option<u8>,
}

/// One step of a run.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// Its number in the drill.
    pub step: u8,
    /// Its name.
    pub name: &'static str,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why.
    pub findings: Vec<Finding>,
}

/// Keeps records: seals them and appends them to the ledger.
pub(crate) struct Keeper<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) clerk: Clerk<'a>,
    pub(crate) scanner: &'a evidence::Scanner,
}

impl Keeper<'_> {
    pub(crate) async fn keep(&self, records: Vec<Record>) -> Result<(), LedgerError> {
        let sealed = records.into_iter().map(|record| record.seal(self.scanner)).collect();
        self.ledger.append_all(sealed).await.map(drop)
    }
}

/// The probes of the releases under test.
pub(crate) type Plans = Vec<(Role, Vec<Probe>)>;

pub(crate) fn plans<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    roles: &[Role],
) -> Plans {
    let is_wanted = |probe: &Probe| bench.only.as_ref().is_none_or(|only| only.contains(&probe.id));
    roles
        .iter()
        .map(|&role| {
            let mut probes = plan::probes(&bench.settings, role, bench.depth);
            probes.retain(is_wanted);
            (role, probes)
        })
        .collect()
}

/// Names everything that a run has to make: unmapped modes are planned all the same, and hold because they are not probed.
pub(crate) fn planned(plans: &Plans) -> Vec<Planned> {
    plans.iter().flat_map(|(role, probes)| plan::planned(probes, *role, Phase::Smoke)).collect()
}

/// The releases of a run that are alive.
pub(crate) type Releasing<T, R> =
    Vec<(Role, Option<Alive<<R as Releases>::Running, <T as Tap>::Port>>)>;

/// Smokes the releases, side by side, and keeps the evidence.
async fn smoke_all<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    keeper: &Keeper<'_>,
    plans: &Plans,
    report: &mut RunReport,
) -> Result<Releasing<T, R>, RunError> {
    let slots = Semaphore::new(bench.jobs.max(1));
    for (role, probes) in plans {
        bench.progress.event(Event::Planned { role: *role, probes: probes.len() });
    }
    let roles: Vec<Role> = plans.iter().map(|(role, _)| *role).collect();
    files::list(bench, &roles).await;
    let smokes = plans.iter().map(|(role, probes)| async {
        let controls = controls(bench, *role).await;
        let smoked = smoke(bench, &slots, &controls, *role, probes).await;
        (*role, controls, smoked)
    });
    let mut all = join_all(smokes).await;
    search_files(bench, &roles, &mut all).await;
    let mut alive = Vec::new();
    let mut profiles: Vec<(Role, Profile)> = Vec::new();
    for (role, controls, smoked) in all {
        report.controls.extend(controls.into_iter().map(|(mode, control)| (role, mode, control)));
        let policy = plan::policy(&bench.settings, role);
        profiles.push((role, Profile::of(&smoked, bench.settings.release(role), &policy)));
        keep_smoke(bench, keeper, role, &smoked, report).await?;
        alive.push((role, smoked.alive));
    }
    compare_pair(bench, keeper, &profiles, report).await?;
    Ok(alive)
}

/// A release that was smoked, and how surestep's own calls fared meanwhile.
type SmokedRole<R, P> = (Role, Vec<(contract::Mode, Control)>, Smoked<R, P>);

/// Searches what the releases have written beside themselves: when both have been asked, as they may share a folder.
async fn search_files<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    roles: &[Role],
    all: &mut [SmokedRole<R::Running, T::Port>],
) {
    let running: Vec<(Role, &R::Running)> = all
        .iter()
        .filter_map(|(role, _, smoked)| Some((*role, &smoked.alive.as_ref()?.running)))
        .collect();
    for finding in files::search(bench, roles, &running).await {
        let mut probings: Vec<_> =
            all.iter_mut().map(|(role, _, smoked)| (*role, &mut smoked.probings)).collect();
        let left = files::attach(finding, &mut probings);
        // A release that was asked nothing has no log to be judged.
        if let (Some(finding), Some((_, _, smoked))) = (left, all.first_mut()) {
            smoked.problems.push(finding);
        }
    }
}

/// Makes surestep's own calls to the provider of a release.
pub(crate) async fn controls<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    role: Role,
) -> Vec<(contract::Mode, Control)> {
    let modes = &bench.settings.provider_of(role).modes;
    bench.live_calls.spend_beside_probes(u32::try_from(modes.len()).unwrap_or(u32::MAX));
    join_all(modes.iter().map(|&mode| async move { (mode, bench.control.call(role, mode).await) }))
        .await
}

async fn keep_smoke<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    keeper: &Keeper<'_>,
    role: Role,
    smoked: &Smoked<R::Running, T::Port>,
    report: &mut RunReport,
) -> Result<(), RunError> {
    let strict = bench.settings.gates.strict;
    let mut records: Vec<Record> = smoked
        .probings
        .iter()
        .map(|probing| keeper.clerk.probing(role, Phase::Smoke, probing, strict))
        .collect();
    let mut findings = smoked.problems.clone();
    report.findings.extend(findings.iter().cloned());
    let mut verdict = Verdict::of(&findings, strict);
    for probing in &smoked.probings {
        verdict = verdict.and(Verdict::of(&probing.judged.findings, strict));
        findings.extend(probing.judged.findings.iter().cloned());
    }
    if smoked.probings.is_empty() {
        verdict = verdict.and(Verdict::Ambiguous);
    }
    let (step, name) = match role {
        Role::New => (1, "smoke new"),
        Role::Rollback => (2, "smoke rollback"),
    };
    let fact = Fact::Stepped {
        step,
        name: name.to_owned(),
        verdict,
        findings: smoked.problems.clone(),
        percent_new: None,
    };
    let mut record = keeper.clerk.fact(Some(role), fact, &format!("{name}: {}", verdict.as_str()));
    record.live_calls = bench.live_calls.take_unrecorded();
    records.push(record);
    keeper.keep(records).await?;
    end_step(bench, report, step, name, verdict, findings);
    Ok(())
}

/// Notes the end of a step for the report and for whoever watches.
pub(crate) fn end_step<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    report: &mut RunReport,
    step: u8,
    name: &'static str,
    verdict: Verdict,
    findings: Vec<Finding>,
) {
    let headline =
        findings.iter().max_by_key(|finding| finding.severity).map(|finding| finding.code.clone());
    bench.progress.event(Event::StepEnded { step, name, verdict, headline });
    report.steps.push(StepReport { step, name, verdict, findings });
}

/// Reviews the contract side by side with the smokes: it costs no time of its own.
pub(crate) async fn smoke_and_review<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    keeper: &Keeper<'_>,
    plans: &Plans,
    report: &mut RunReport,
) -> Result<Releasing<T, R>, RunError> {
    let reviewing = review_contract(keeper, &*bench.sources, &bench.fingerprinter);
    let smoking = Box::pin(smoke_all(bench, keeper, plans, report));
    let (alive, reviewed) = tokio::join!(smoking, reviewing);
    let alive = alive?;
    report.findings.extend(reviewed?);
    Ok(alive)
}

/// Smokes each release without touching any traffic.
pub async fn check<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    ledger: &Ledger,
    roles: &[Role],
) -> Result<RunReport, RunError> {
    let keeper = Keeper { ledger, clerk: clerk(bench), scanner: &bench.scanner };
    let mut report = RunReport { run: bench.names.run.clone(), ..RunReport::default() };
    let plans = plans(bench, roles);
    let fact = Fact::Planned { probes: planned(&plans) };
    keeper.keep(vec![keeper.clerk.fact(None, fact, "check planned")]).await?;
    keep_preconditions(bench, &keeper, &mut report).await?;
    let alive = smoke_and_review(bench, &keeper, &plans, &mut report).await?;
    stop_all(alive).await;
    Ok(report)
}

/// Keeps what was wrong with surestep itself: what it finds all the same is worth knowing, but nothing passes.
async fn keep_preconditions<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    keeper: &Keeper<'_>,
    report: &mut RunReport,
) -> Result<(), RunError> {
    let findings = bench.preconditions.clone();
    if findings.is_empty() {
        return Ok(());
    }
    let verdict = Verdict::of(&findings, bench.settings.gates.strict);
    let name = "preflight";
    let fact = Fact::Stepped {
        step: 0,
        name: name.to_owned(),
        verdict,
        findings: findings.clone(),
        percent_new: None,
    };
    let note = format!("step 0, {name}: {}", verdict.as_str());
    keeper.keep(vec![keeper.clerk.fact(None, fact, &note)]).await?;
    report.findings.extend(findings.iter().cloned());
    end_step(bench, report, 0, name, verdict, findings);
    Ok(())
}

pub(crate) fn clerk<T: Tap, R: Releases, C: ControlPort>(bench: &Bench<T, R, C>) -> Clerk<'_> {
    let environment =
        bench.fingerprinter.fingerprint("environment", bench.settings.environment.as_bytes());
    Clerk::new(&bench.settings, &bench.subject, &bench.names.run, environment, bench.now)
}

pub(crate) async fn stop_all<R: crate::ports::RunningRelease, P>(
    alive: Vec<(Role, Option<Alive<R, P>>)>,
) {
    join_all(
        alive.iter().filter_map(|(_, alive)| alive.as_ref()).map(|alive| alive.running.stop()),
    )
    .await;
}

/// A finding that names what is in the way of the next step.
pub(crate) fn not_reached(step: u8) -> Finding {
    Finding::new(
        Severity::Ambiguous,
        "step-not-reached",
        format!("step {step} made"),
        "an earlier step did not pass",
        "Mend what the earlier steps found; no traffic is moved before they pass.",
    )
}

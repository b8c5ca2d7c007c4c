//! The drill: eight steps, each announced in the journal before it acts, and a way back from each of them.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use evidence::{Acquire, Durable, Holder, Intent, Journal, Lease, Ledger};
use jiff::{SignedDuration, Timestamp};
use judge::gates::{Gate, GateContext, as_of_run, decide, judge_gate};
use judge::judging::leaked;
use judge::{Fact, Finding, Phase, Role, Severity, Verdict};

use crate::bench::{Bench, ControlPort};
use crate::path::{Path, fronts};
use crate::ports::{PortError, Releases, RunningRelease as _, Tap, TrafficSwitch};
use crate::progress::Event;
use crate::review::{pair_settings, review_contract};
use crate::run::{
    Keeper, Plans, Releasing, RunError, RunReport, clerk, controls, end_step, not_reached, planned,
    plans, smoke_and_review, stop_all,
};
use crate::settings::Run;
use crate::smoke::{Alive, leaks_so_far, smoke, smoke_running};
use crate::{files, plan};

/// How long a lease lasts unless it is renewed, which each step does. A dead process's lease is taken over at once.
const LEASE: SignedDuration = SignedDuration::from_mins(30);

/// What a drill needs beside the bench.
pub struct Rehearsal<'a, S> {
    /// What moves traffic.
    pub switch: &'a S,
    /// The ledger.
    pub ledger: &'a Ledger,
    /// Who we are.
    pub holder: Holder,
    /// Called after each durable journal entry: tests end the process there.
    pub on_record: Option<Box<dyn Fn(u64) + Send + Sync>>,
}

impl<S> std::fmt::Debug for Rehearsal<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rehearsal").field("holder", &self.holder).finish_non_exhaustive()
    }
}

/// Makes the eight steps. Whatever happens on the way, `cancelled` included, the route is put back on `rollback` before this
/// returns, and read back.
pub async fn drill<T: Tap, R: Releases, C: ControlPort, S: TrafficSwitch>(
    bench: &Bench<T, R, C>,
    rehearsal: Rehearsal<'_, S>,
    cancelled: impl Future<Output = ()> + Send,
) -> Result<RunReport, RunError> {
    let Rehearsal { switch, ledger, holder, on_record } = rehearsal;
    let lease = acquire(bench, ledger, &holder).await?;
    let (service, environment) = (&bench.settings.service, &bench.settings.environment);
    let mut journal = Journal::new(ledger.clone(), service, environment, lease.fence());
    if let Some(call) = on_record {
        journal.on_record(call);
    }
    let keeper = Keeper { ledger, clerk: clerk(bench), scanner: &bench.scanner };
    let moved = AtomicBool::new(false);
    let steps = Steps { bench, keeper, switch, journal: &journal, lease: &lease, moved };
    let mut report = RunReport { run: bench.names.run.clone(), ..RunReport::default() };
    // Outside of the steps: the releases serve users until the route is given back, also after Ctrl-C.
    let mut alive = Vec::new();
    let result = {
        let running = steps.run(&mut report, &mut alive);
        tokio::pin!(running);
        tokio::pin!(cancelled);
        tokio::select! {
            result = &mut running => result.map(|()| false),
            () = &mut cancelled => Ok(true),
        }
    };
    // From here on nothing is skipped: not after an error, not after Ctrl-C.
    let restored = steps.restore().await;
    let given_back = switch.give_back().await.map_err(RunError::Route);
    stop_all(alive).await;
    report.percent_new = switch.show().await.ok().map(|route| route.percent_new);
    if matches!(result, Ok(true)) {
        steps.interrupted(&mut report).await?;
    }
    restored?;
    given_back?;
    steps.close(&report).await?;
    result?;
    steps.decide().await?;
    lease.release().await?;
    Ok(report)
}

async fn acquire<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    ledger: &Ledger,
    holder: &Holder,
) -> Result<Lease, RunError> {
    let now = (bench.now)();
    let settings = &bench.settings;
    match Lease::acquire(ledger, &settings.service, &settings.environment, holder, now, until(now))
        .await?
    {
        Acquire::Acquired { lease, took_over_from } => {
            if let Some(holder) = took_over_from {
                bench.progress.event(Event::Note(format!(
                    "took over the lease of a drill that is no more ({holder})"
                )));
            }
            Ok(lease)
        }
        Acquire::HeldBy { holder, until } => Err(RunError::Busy {
            what: format!(
                "another drill of `{}` in `{}` is running: {holder}{}",
                settings.service,
                settings.environment,
                holder.since().map(|since| format!(", since {since:.0}")).unwrap_or_default()
            ),
            advice: match holder.pid_here() {
                Some(pid) => format!(
                    "One drill at a time for each service and environment. Wait for it, or end it with `kill {pid}`: it puts the route back before it ends. Should it be hung, `kill -9 {pid}`: the next drill takes over at once."
                ),
                None => format!(
                    "One drill at a time for each service and environment. It runs on another machine or in another container: wait for it, or end it there. If it is no more, its lease ends at {until:.0}."
                ),
            },
        }),
    }
}

fn until(now: Timestamp) -> Timestamp {
    now.saturating_add(LEASE).unwrap_or(Timestamp::MAX)
}

struct Steps<'a, T: Tap, R: Releases, C: ControlPort, S: TrafficSwitch> {
    bench: &'a Bench<T, R, C>,
    keeper: Keeper<'a>,
    switch: &'a S,
    journal: &'a Journal,
    lease: &'a Lease,
    /// Whether this drill may have moved traffic.
    moved: AtomicBool,
}

impl<T: Tap, R: Releases, C: ControlPort, S: TrafficSwitch> Steps<'_, T, R, C, S> {
    async fn run(
        &self,
        report: &mut RunReport,
        alive: &mut Releasing<T, R>,
    ) -> Result<(), RunError> {
        self.began(0, "preflight");
        let took_over = self.take_over().await?;
        let began = self.intent(Intent::Began).await?;
        let plans = plans(self.bench, &Role::BOTH);
        self.keep_plan(&plans).await?;
        self.preflight(took_over, report).await?;
        self.done(began, "began").await?;
        if !report.steps.iter().all(|step| step.verdict.permits_release()) {
            // Traffic is where no drill may start from: nothing else is tried, and nothing is moved.
            let (keeper, bench) = (&self.keeper, self.bench);
            let reviewed = review_contract(keeper, &*bench.sources, &bench.fingerprinter).await?;
            report.findings.extend(reviewed);
            return Ok(());
        }

        let smoking = self.intent(Intent::Step { n: 1 }).await?;
        self.began(1, "smoke new");
        self.began(2, "smoke rollback");
        *alive = smoke_and_review(self.bench, &self.keeper, &plans, report).await?;
        self.done(smoking, "smoked and compared").await?;

        self.switch_and_back(&plans, alive, report).await
    }

    async fn switch_and_back(
        &self,
        plans: &Plans,
        alive: &Releasing<T, R>,
        report: &mut RunReport,
    ) -> Result<(), RunError> {
        let of = |wanted: Role| {
            alive.iter().find(|(role, _)| *role == wanted).and_then(|(_, alive)| alive.as_ref())
        };
        let may_move = self.may_move(report).await?;
        let (Some(new), Some(rollback), true) = (of(Role::New), of(Role::Rollback), may_move)
        else {
            let name = "switch to new";
            end_step(self.bench, report, 4, name, Verdict::Ambiguous, vec![not_reached(4)]);
            return Ok(());
        };
        let uniform = self.needs_uniform(new, rollback);
        let path = Path::<T, R, S> { new, rollback, switch: self.switch, uniform };
        if !self.step_4(&path, report).await? {
            return Ok(());
        }
        self.began(5, "serve by new");
        let proving = self.intent(Intent::Step { n: 5 }).await?;
        let findings = path.prove_new(self.bench, self.bench.settings.route.step).await;
        self.step(5, "serve by new", findings, report).await?;
        self.done(proving, "asked").await?;

        self.began(6, "switch back");
        let findings = self.put_back().await?;
        let is_back = findings.is_empty();
        self.step(6, "switch back", findings, report).await?;
        if !is_back {
            return Ok(());
        }
        self.step_7(plans, &path, report).await
    }

    /// Returns whether all that can be judged before traffic moves passes.
    async fn may_move(&self, report: &RunReport) -> Result<bool, RunError> {
        let items = as_of_run(self.keeper.items().await?, &self.bench.names.run);
        let context = self.gate_context();
        let gates_pass = self
            .required()
            .into_iter()
            .filter(|gate| *gate != Gate::RollbackSwitchDrill)
            .all(|gate| judge_gate(gate, &items, &context).verdict.permits_release());
        Ok(gates_pass && report.steps.iter().all(|step| step.verdict.permits_release()))
    }

    /// Step 8: judges the gates, and keeps what later pairs are compared with.
    async fn decide(&self) -> Result<(), RunError> {
        let items = as_of_run(self.keeper.items().await?, &self.bench.names.run);
        let decided = decide(&items, &self.gate_context(), &self.required());
        let decision = decided.decision;
        let settings = pair_settings(&self.bench.settings, &self.bench.fingerprinter);
        let fact = Fact::Decided { decision, settings };
        let note = format!("step 8, judge the gates: {}", decision.as_str());
        self.keeper.keep(vec![self.keeper.clerk.fact(None, fact, &note)]).await?;
        Ok(())
    }

    fn gate_context(&self) -> GateContext {
        let gates = &self.bench.settings.gates;
        GateContext {
            subject: self.bench.subject.clone(),
            now: (self.bench.now)(),
            max_age: SignedDuration::try_from(gates.max_age).unwrap_or(SignedDuration::MAX),
            strict: gates.strict,
        }
    }

    fn required(&self) -> Vec<Gate> {
        let names = &self.bench.settings.gates.require;
        Gate::ALL.into_iter().filter(|gate| names.iter().any(|n| n == gate.as_str())).collect()
    }

    /// Services and gateways have an address of their own; a command has not, and two services may speak differently.
    fn needs_uniform(
        &self,
        new: &Alive<R::Running, T::Port>,
        rollback: &Alive<R::Running, T::Port>,
    ) -> bool {
        let settings = &self.bench.settings;
        new.running.process_per_ask()
            || rollback.running.process_per_ask()
            || format!("{:?}", ask_format(&settings.new.run))
                != format!("{:?}", ask_format(&settings.rollback.run))
    }

    /// Step 4: moves the canary share. Returns whether it did.
    async fn step_4(
        &self,
        path: &Path<'_, T, R, S>,
        report: &mut RunReport,
    ) -> Result<bool, RunError> {
        self.began(4, "switch to new");
        let percent_new = self.bench.settings.route.step;
        let shift = self.intent(Intent::Shift { percent_new }).await?;
        let findings = match self.move_traffic(path, &shift).await {
            Ok(()) => self.read_back(percent_new).await,
            Err(error) => vec![switch_failed(&error)],
        };
        let moved = findings.is_empty();
        self.step(4, "switch to new", findings, report).await?;
        self.done(shift, if moved { "moved" } else { "not moved" }).await?;
        Ok(moved)
    }

    async fn move_traffic(
        &self,
        path: &Path<'_, T, R, S>,
        shift: &Durable<Intent>,
    ) -> Result<(), PortError> {
        let (new, rollback) = fronts::<T, R>(path.new, path.rollback, path.uniform).await?;
        self.moved.store(true, Ordering::SeqCst);
        self.switch.backends(new, rollback).await?;
        match shift.intent() {
            Intent::Shift { percent_new } => self.switch.shift(*percent_new).await,
            // Nothing else moves traffic towards `new`.
            Intent::Began
            | Intent::Step { .. }
            | Intent::Restore
            | Intent::Restored
            | Intent::Ended { .. } => Ok(()),
        }
    }

    async fn read_back(&self, percent_new: u8) -> Vec<Finding> {
        match self.switch.show().await {
            Ok(route) if route.percent_new == percent_new => Vec::new(),
            Ok(route) => vec![Finding::new(
                Severity::Fail,
                "switch-not-effective",
                format!("{percent_new} percent on `new`"),
                format!("{} percent, as read from the switch", route.percent_new),
                "The switch took the order and did not carry it out. Look at the router, and who else moves it.",
            )],
            Err(error) => vec![switch_failed(&error)],
        }
    }

    /// Puts all traffic on `rollback`, announced, and reads it back.
    async fn put_back(&self) -> Result<Vec<Finding>, RunError> {
        let restore = self.intent(Intent::Restore).await?;
        let findings = match self.switch.shift(0).await {
            Ok(()) => self.read_back(0).await,
            Err(error) => vec![switch_failed(&error)],
        };
        if findings.is_empty() {
            let restored = self.intent(Intent::Restored).await?;
            self.done(restored, "read back").await?;
        }
        self.done(restore, if findings.is_empty() { "back" } else { "not back" }).await?;
        Ok(findings)
    }

    /// Step 7: `rollback` serves again, and a fresh start of it works on the state that `new` has left.
    async fn step_7(
        &self,
        plans: &Plans,
        path: &Path<'_, T, R, S>,
        report: &mut RunReport,
    ) -> Result<(), RunError> {
        self.began(7, "serve by rollback");
        let proving = self.intent(Intent::Step { n: 7 }).await?;
        let mut findings = path.prove_rollback(self.bench).await;
        // As it is when a deployment goes back: `new` is ended, and may leave something behind as it ends; what runs of `rollback` is ended
        // too, as some releases can run once only. Users go back to where they were first.
        self.switch.give_back().await.map_err(RunError::Route)?;
        path.new.running.stop().await;
        if !matches!(self.bench.settings.rollback.run, Run::Url { .. }) {
            path.rollback.running.stop().await;
        }
        for (role, alive) in [(Role::New, path.new), (Role::Rollback, path.rollback)] {
            if !alive.running.process_per_ask() {
                // What they had written before was searched when they had been smoked.
                let leaks = leaks_so_far(&alive.running, &self.bench.scanner);
                findings.extend(leaks.iter().map(|leak| leaked(leak).of_release(role)));
            }
        }
        let probes = plans.iter().find(|(role, _)| *role == Role::Rollback);
        let probes = plan::after_switch(probes.map_or(&[], |(_, probes)| probes));
        let of_fresh_start = self.smoke_again(&probes, path).await?;
        findings.extend(broken_by_new(&of_fresh_start));
        findings.extend(of_fresh_start);
        // Now that all of them have ended: what they write last is written.
        findings.extend(files::search(self.bench, &Role::BOTH, &[]).await);
        self.step(7, "serve by rollback", findings, report).await?;
        self.done(proving, "asked").await
    }

    /// Smokes `rollback` once more: a fresh start of it; an instance that runs already is asked as it is.
    async fn smoke_again(
        &self,
        probes: &[judge::Probe],
        path: &Path<'_, T, R, S>,
    ) -> Result<Vec<Finding>, RunError> {
        let slots = tokio::sync::Semaphore::new(self.bench.jobs.max(1));
        let role = Role::Rollback;
        let controls = controls(self.bench, role).await;
        let (probings, mut findings) =
            if matches!(self.bench.settings.rollback.run, Run::Url { .. }) {
                (
                    smoke_running(self.bench, &slots, &controls, role, probes, path.rollback)
                        .await
                        .0,
                    Vec::new(),
                )
            } else {
                let smoked = smoke(self.bench, &slots, &controls, role, probes).await;
                if let Some(alive) = &smoked.alive {
                    alive.running.stop().await;
                }
                (smoked.probings, smoked.problems)
            };
        let strict = self.bench.settings.gates.strict;
        let records = probings
            .iter()
            .map(|probing| self.keeper.clerk.probing(role, Phase::AfterSwitch, probing, strict))
            .collect();
        self.keeper.keep(records).await?;
        findings.extend(probings.into_iter().flat_map(|probing| probing.judged.findings));
        Ok(findings)
    }

    /// Takes over a drill that was not finished: its route is put back first, and read back.
    async fn take_over(&self) -> Result<Option<String>, RunError> {
        let mut took_over = None;
        while let Some(unfinished) = self.journal.unfinished().await? {
            self.bench.progress.event(Event::Note(format!(
                "{} was not finished; putting its route back on `rollback` first",
                unfinished.run
            )));
            let now = (self.bench.now)();
            let restore = self.journal.record(&unfinished.run, Intent::Restore, now).await?;
            // A share that was only held came back by itself when its holder died; then there is nothing to move.
            if self.switch.show().await.map_err(RunError::Route)?.percent_new != 0 {
                self.switch.shift(0).await.map_err(RunError::Route)?;
            }
            let route = self.switch.show().await.map_err(RunError::Route)?;
            if route.percent_new != 0 {
                return Err(RunError::Route(PortError::Environment {
                    what: format!(
                        "the route of an unfinished drill stays at {} percent on `new` after it was put back",
                        route.percent_new
                    ),
                    advice: "Move it by hand with `surestep route set rollback`, and see who else moves it.".to_owned(),
                    source: None,
                }));
            }
            self.journal.done(&unfinished.run, restore, "back", now).await?;
            let restored = self.journal.record(&unfinished.run, Intent::Restored, now).await?;
            self.journal.done(&unfinished.run, restored, "read back", now).await?;
            self.journal.close(&unfinished.run, "taken over", now).await?;
            took_over = Some(unfinished.run);
        }
        Ok(took_over)
    }

    /// Step 0, the rest: surestep itself is in order, and the route is on `rollback`.
    async fn preflight(
        &self,
        took_over: Option<String>,
        report: &mut RunReport,
    ) -> Result<(), RunError> {
        let mut findings = self.bench.preconditions.clone();
        if let Some(run) = took_over {
            findings.push(Finding::new(
                Severity::Info,
                "drill-taken-over",
                "every drill finished",
                format!("{run} was not; its route was put back on `rollback` and read back"),
                "See how that run ended: its evidence is in the ledger.",
            ));
        }
        match self.switch.show().await {
            Ok(route) if route.percent_new == 0 => {}
            Ok(route) => findings.push(Finding::new(
                Severity::Fail,
                "route-not-on-rollback",
                "all traffic on `rollback` before a drill",
                format!("{} percent on `new`", route.percent_new),
                "Finish or undo the promotion first: `surestep route set rollback` puts all traffic back.",
            )),
            Err(error) => return Err(RunError::Route(error)),
        }
        self.step(0, "preflight", findings, report).await
    }

    async fn keep_plan(&self, plans: &Plans) -> Result<(), RunError> {
        let mut probes = planned(plans);
        if let Some((_, rollback)) = plans.iter().find(|(role, _)| *role == Role::Rollback) {
            let again = plan::after_switch(rollback);
            probes.extend(plan::planned(&again, Role::Rollback, Phase::AfterSwitch));
        }
        let fact = Fact::Planned { probes };
        self.keeper.keep(vec![self.keeper.clerk.fact(None, fact, "drill planned")]).await?;
        Ok(())
    }

    fn began(&self, step: u8, name: &'static str) {
        self.bench.progress.event(Event::StepBegan { step, name });
    }

    /// Keeps what a step found, and what the route is then.
    async fn step(
        &self,
        step: u8,
        name: &'static str,
        findings: Vec<Finding>,
        report: &mut RunReport,
    ) -> Result<(), RunError> {
        let verdict = Verdict::of(&findings, self.bench.settings.gates.strict);
        let percent_new = self.switch.show().await.ok().map(|route| route.percent_new);
        let note = format!("step {step}, {name}: {}", verdict.as_str());
        let fact = Fact::Stepped {
            step,
            name: name.to_owned(),
            verdict,
            findings: findings.clone(),
            percent_new,
        };
        let mut record = self.keeper.clerk.fact(None, fact, &note);
        record.live_calls = self.bench.live_calls.take_unrecorded();
        self.keeper.keep(vec![record]).await?;
        report.findings.extend(findings.iter().cloned());
        end_step(self.bench, report, step, name, verdict, findings);
        self.lease.renew(until((self.bench.now)())).await?;
        Ok(())
    }

    async fn intent(&self, intent: Intent) -> Result<Durable<Intent>, RunError> {
        Ok(self.journal.record(&self.bench.names.run, intent, (self.bench.now)()).await?)
    }

    async fn done(&self, intent: Durable<Intent>, note: &str) -> Result<(), RunError> {
        Ok(self.journal.done(&self.bench.names.run, intent, note, (self.bench.now)()).await?)
    }

    /// The way back, whatever happened: moving *to* `rollback` needs no receipt, and is done also when nothing can be written.
    async fn restore(&self) -> Result<(), RunError> {
        if !self.moved.load(Ordering::SeqCst) {
            // What we never moved is not ours to put back: an operator's own share stays.
            return Ok(());
        }
        let route = self.switch.show().await.map_err(RunError::Route)?;
        if route.percent_new == 0 {
            return Ok(());
        }
        self.bench.progress.event(Event::Note("putting the route back on `rollback`".to_owned()));
        self.switch.shift(0).await.map_err(RunError::Route)?;
        let route = self.switch.show().await.map_err(RunError::Route)?;
        if route.percent_new == 0 {
            return Ok(());
        }
        Err(RunError::Route(PortError::Environment {
            what: format!(
                "the route stays at {} percent on `new` after it was put back",
                route.percent_new
            ),
            advice:
                "Move it by hand with `surestep route set rollback`, and see who else moves it."
                    .to_owned(),
            source: None,
        }))
    }

    /// Ctrl-C: what was not made is missing, and says why.
    async fn interrupted(&self, report: &mut RunReport) -> Result<(), RunError> {
        let moved = report.steps.iter().any(|step| step.step == 4 && step.verdict == Verdict::Pass);
        let finding = Finding::new(
            if moved { Severity::Fail } else { Severity::Ambiguous },
            "interrupted",
            "a drill that is left to finish",
            if moved {
                "stopped from outside while traffic was on `new`"
            } else {
                "stopped from outside"
            },
            "The route is back on `rollback`. Run the drill again.",
        );
        let step = report.steps.last().map_or(0, |step| step.step) + 1;
        self.step(step.min(7), "interrupted", vec![finding], report).await
    }

    async fn close(&self, report: &RunReport) -> Result<(), RunError> {
        let run = &self.bench.names.run;
        let now = (self.bench.now)();
        self.journal
            .close(run, &format!("finished after {} steps", report.steps.len()), now)
            .await?;
        Ok(())
    }
}

fn ask_format(run: &Run) -> Option<&crate::settings::HttpAsk> {
    match run {
        Run::Command(_) => None,
        Run::Service(service) => Some(&service.ask),
        Run::Url { ask, .. } => Some(ask),
    }
}

/// What passed before `new` had run, and does not any more. (Traffic moves only where every gate has passed.)
fn broken_by_new(findings: &[Finding]) -> Option<Finding> {
    let is_broken =
        |finding: &&Finding| finding.severity == Severity::Fail || finding.code == "not-observed";
    let first = findings.iter().find(is_broken)?;
    Some(
        Finding::new(
            Severity::Fail,
            "rollback-broken-by-new",
            "a fresh start of `rollback` that answers after `new` has run, as it did before",
            format!("it passed in step 2; in step 7, when `new` had run and was ended: {}", first.code),
            "What `new` did to something that both share has broken the way back: a schema or a state file, a moved or rotated key, a library, a cache, a port. Compare what `new` writes with what `rollback` reads; make the change readable for both, and move it in two releases. Until then nobody can go back by the route alone.",
        )
        .of_release(Role::Rollback),
    )
}

fn switch_failed(error: &PortError) -> Finding {
    let (what, advice) = match error {
        PortError::Environment { what, advice, .. } | PortError::Release { what, advice, .. } => {
            (what, advice)
        }
    };
    Finding::new(Severity::Fail, "switch-failed", "traffic moved", what.clone(), advice.clone())
}

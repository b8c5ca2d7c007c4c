//! Smokes one release: all its probes, as many at once as it can take.
//!
//! - A command gets a process and a tap port for each ask. A slot (`--jobs`) is held until its first call arrives at the tap:
//!   until then it works, from then on it mostly waits, and others may start.
//! - A service is first asked one question at a time, so that its log lines can be told apart. Then one slow reply shows whether
//!   it can answer another ask meanwhile; if so, as many go to it at once as arrive (`window`). What is more than it takes goes to several
//!   instances, one ask at a time each. One that turns asks away by itself after faults (a circuit breaker) is given time to recover.
//! - A gateway is asked one question at a time, and is given time to recover from the faults of its provider; silences come last, and together
//!   where it turned nobody away.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use evidence::Scanner;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use judge::catalogue::{AUTH_GROUP, HAPPY_LIVE};
use judge::judging::{Control, Judged, LeakSeen, Policy};
use judge::{Finding, Probe, Role, Severity, Stimulus, Verdict};
use reach::Reach;
use tokio::sync::Semaphore;

use crate::asking::{BESIDE_LOGS, Company, Probing, Subject, leaks_in, probe as make_probe};
use crate::bench::{Bench, ControlPort};
use crate::plan;
use crate::ports::{
    LogPosition, OpenPort, PortError, PortKind, Releases, RunningRelease, Start, Tap, TapPort as _,
    Way,
};
use crate::progress::Event;
use crate::said::telling_lines;
use crate::settings::{ProviderEndpoint, Run, SIMULATED_BASE_URL, TapMode};

mod again;
mod held_back;
mod reach;
mod recovering;
mod unprovoked;
mod waiting;
mod whole;
mod window;

/// Asks under way at once for each slot: waiting costs next to nothing, but a process has memory.
pub(crate) const WAITING_PER_SLOT: usize = 8;

/// Instances of a service that can take one ask at a time only.
pub(crate) const SERIAL_INSTANCES: usize = 4;

/// How long an ask may take to reach the tap while others are under way. The first one of a service is answered for three seconds.
pub(crate) const CONCURRENT_WITHIN: Duration = Duration::from_millis(2_000);

/// The first asks that a service gets at once: one that lasts, and one behind it that is soon over where there is but one worker.
const OPENING: [&str; 2] = ["network-slow-drip", "happy-unicode"];

/// A release that was smoked, still running.
pub(crate) struct Smoked<R, P> {
    pub(crate) probings: Vec<Probing>,
    /// Whether the asks of a service wait for each other, by mode, as far as that is known.
    pub(crate) waiting: Vec<(contract::Mode, bool)>,
    /// `None` when it could not be started or asked.
    pub(crate) alive: Option<Alive<R, P>>,
    /// Why it could not be started or asked.
    pub(crate) problems: Vec<Finding>,
}

/// A running release and its tap port.
pub(crate) struct Alive<R, P> {
    pub(crate) running: R,
    pub(crate) port: P,
}

/// Smokes a release with these probes.
pub(crate) async fn smoke<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    slots: &Semaphore,
    controls: &[(contract::Mode, Control)],
    role: Role,
    probes: &[Probe],
) -> Smoked<R::Running, T::Port> {
    let release = bench.settings.release(role);
    let problems = bench.secrets.of(role).problems.clone();
    if !problems.is_empty() {
        return Smoked { probings: Vec::new(), waiting: Vec::new(), alive: None, problems };
    }
    let alive = match start(bench, role).await {
        Ok(alive) => alive,
        Err(error) => {
            return Smoked {
                probings: Vec::new(),
                waiting: Vec::new(),
                alive: None,
                problems: vec![not_started(bench, role, &error)],
            };
        }
    };
    let (probings, waiting) = smoke_running(bench, slots, controls, role, probes, &alive).await;
    let modes = &bench.settings.provider_of(role).modes;
    let mut problems: Vec<Finding> = modes
        .iter()
        .filter(|mode| !plan::is_mapped(release, **mode))
        .map(|&mode| mode_not_mapped(role, mode))
        .collect();
    if !probings.iter().any(again::has_crashed) {
        problems.extend(not_ready_any_more(&alive.running, role).await);
    }
    let (fallbacks, strict) = (&release.fallback_models, bench.settings.gates.strict);
    let together = !alive.running.process_per_ask() && !plan::is_gateway(release);
    problems.extend(whole::judge(&probings, role, fallbacks, together, strict));
    problems.extend(whole::unsearchable(&bench.scanner, role));
    Smoked { probings, waiting, alive: Some(alive), problems }
}

/// Makes those of the probes for which the release says how it is asked. Says also whether asks wait for each other, as far as that is known.
pub(crate) async fn smoke_running<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    slots: &Semaphore,
    controls: &[(contract::Mode, Control)],
    role: Role,
    probes: &[Probe],
    alive: &Alive<R::Running, T::Port>,
) -> (Vec<Probing>, Vec<(contract::Mode, bool)>) {
    let release = bench.settings.release(role);
    let policy = plan::policy(&bench.settings, role);
    let mapped: Vec<Probe> =
        probes.iter().filter(|probe| plan::is_mapped(release, probe.mode)).cloned().collect();
    let reach = Reach::default();
    let ctx =
        Context { bench, slots, controls, role, policy: &policy, reach: &reach, watched: true };
    let (mut probings, manner) = if alive.running.process_per_ask() {
        (ctx.commands(&alive.running, mapped).await, Manner::Commands)
    } else if plan::is_gateway(release) {
        (ctx.gateway(alive, mapped).await, Manner::Recovering)
    } else {
        let (mut probings, manner) = ctx.service(alive, mapped).await;
        let turns_away = ctx.ask_the_turned_away(alive, &mut probings).await;
        let manner = if turns_away { Manner::Recovering } else { manner };
        (probings, manner)
    };
    ctx.search_logs(&alive.running, &mut probings);
    ctx.unwatched().again(alive, manner, &mut probings).await;
    ctx.unwatched().look_for_unprovoked(alive, &mut probings).await;
    ctx.unwatched().look_at_streams_again(alive, &mut probings).await;
    probings.iter().filter(|probing| reach.takes_untold(probing)).for_each(|one| ctx.tell(one));
    let waiting = ctx.waiting(alive, &probings).await;
    (probings, waiting)
}

/// Opens a tap port and starts a release on it.
pub(crate) async fn start<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    role: Role,
) -> Result<Alive<R::Running, T::Port>, PortError> {
    start_by(bench, role, |way| way).await
}

/// The same, with a change of its way to the tap.
async fn start_by<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    role: Role,
    change: impl FnOnce(Way) -> Way + Send,
) -> Result<Alive<R::Running, T::Port>, PortError> {
    let release = bench.settings.release(role);
    let port = open_port(bench, role).await?;
    let secrets = bench.secrets.of(role);
    let start = Start {
        role,
        surface: bench.settings.provider_of(role).surface,
        tap: change(port.way()),
        model: bench.settings.model_of(role).to_owned(),
        control_key: secrets.control.clone(),
        secrets: secrets.values.clone(),
        gateway_key: secrets.gateway_key.clone(),
    };
    let running = bench.releases.start(release, start).await?;
    Ok(Alive { running, port })
}

pub(crate) async fn open_port<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    role: Role,
) -> Result<T::Port, PortError> {
    let provider = bench.settings.provider_of(role);
    let upstream = bench.upstreams.of(role).clone();
    let kind = match &bench.settings.release(role).tap {
        TapMode::Reverse { listen } => PortKind::Reverse { listen: *listen },
        TapMode::Forward(rules) => {
            let base_url = match &provider.endpoint {
                ProviderEndpoint::Url(_) => upstream.base_url.clone(),
                ProviderEndpoint::Simulated => SIMULATED_BASE_URL.to_owned(),
            };
            PortKind::Forward { base_url, rules: rules.clone() }
        }
    };
    bench
        .tap
        .open(OpenPort {
            role,
            kind,
            upstream,
            surface: provider.surface,
            profile: provider.profile,
        })
        .await
}

/// Words a failed start as a finding; what the release wrote is redacted.
pub(crate) fn not_started<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    role: Role,
    error: &PortError,
) -> Finding {
    match error {
        PortError::Release { code, what, advice, output } => {
            let said = output
                .as_ref()
                .map(|output| telling_lines(&bench.scanner, output))
                .unwrap_or_default();
            let seen =
                if said.is_empty() { what.clone() } else { format!("{what}; it said: {said}") };
            Finding::new(Severity::Fail, code, "a release that can be asked", seen, advice.clone())
                .of_release(role)
        }
        PortError::Environment { what, advice, source } => {
            let seen = match source {
                Some(source) => format!("{what}: {source}"),
                None => what.clone(),
            };
            Finding::new(
                Severity::Ambiguous,
                "environment",
                "a machine that lets surestep work",
                seen,
                advice.clone(),
            )
            .of_release(role)
        }
    }
}

/// A service that was ready, was asked, and calls itself ready no more: whoever looks after it takes it out, or ends it.
async fn not_ready_any_more<R: RunningRelease>(running: &R, role: Role) -> Option<Finding> {
    let said = running.still_ready().await.err()?;
    let finding = Finding::new(
        Severity::Fail,
        "release-not-ready",
        "a service that is ready again once its provider's trouble is over",
        format!("{said}, some time after the last ask"),
        "An orchestrator takes such an instance out, and trouble at the provider takes out all of them. Let `ready` tell of the process, and not of the last call.",
    );
    Some(finding.of_release(role))
}

pub(crate) fn mode_not_mapped(role: Role, mode: contract::Mode) -> Finding {
    Finding {
        mode: Some(mode),
        ..Finding::new(
            Severity::Ambiguous,
            "mode-not-tested",
            format!("a way to ask the release in {mode} mode, since production uses it"),
            "none is configured",
            format!("Add it under `releases.{role}.run`, or take `{mode}` out of `provider.modes` if production does not use it."),
        )
        .of_release(role)
    }
}

struct Context<'b, T: Tap, R: Releases, C: ControlPort> {
    bench: &'b Bench<T, R, C>,
    slots: &'b Semaphore,
    controls: &'b [(contract::Mode, Control)],
    role: Role,
    policy: &'b Policy,
    reach: &'b Reach,
    /// Whether those who watch are told of each probe.
    watched: bool,
}

/// How asks are put to a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// A process for each.
    Commands,
    /// One at a time, with time to recover.
    Recovering,
    /// To one instance, as many at once as it takes.
    Together,
    /// To several instances, one at a time each.
    Pool,
}

impl<T: Tap, R: Releases, C: ControlPort> Context<'_, T, R, C> {
    /// Makes one probe on this port.
    async fn one(
        &self,
        running: &R::Running,
        port: &T::Port,
        probe: &Probe,
        company: Company,
    ) -> Probing {
        let names = self.bench.names.ask();
        if probe.stimulus == Stimulus::UnknownCa
            && let Some(own) = self.without_trust().await
        {
            let probing = self.named(&own.running, &own.port, probe, company, &names).await;
            own.running.stop().await;
            return probing;
        }
        self.named(running, port, probe, company, &names).await
    }

    /// Starts a service of our own that is not told of the run's CA. Commands are processes of their own anyway, and what cannot be started
    /// so, or twice, is asked as it runs.
    async fn without_trust(&self) -> Option<Alive<R::Running, T::Port>> {
        let is_service = matches!(self.bench.settings.release(self.role).run, Run::Service(_));
        if !is_service || self.reach.is_given_up() {
            return None;
        }
        start_by(self.bench, self.role, Way::without_trust).await.ok()
    }

    /// Tells in which modes asks of a service wait for each other: where all had room, none do; where not, it is looked into.
    async fn waiting(
        &self,
        alive: &Alive<R::Running, T::Port>,
        probings: &[Probing],
    ) -> Vec<(contract::Mode, bool)> {
        let Some(has_room) = self.reach.has_room() else { return Vec::new() };
        let mut waiting = Vec::new();
        for mode in [contract::Mode::Unary, contract::Mode::Stream] {
            if !probings.iter().any(|probing| probing.probe.mode == mode) {
                continue;
            }
            let found =
                if has_room { Some(false) } else { self.wait_for_each_other(alive, mode).await };
            waiting.extend(found.map(|found| (mode, found)));
        }
        waiting
    }

    /// The release as it is asked on this port.
    fn subject<'s>(
        &'s self,
        running: &'s R::Running,
        port: &'s T::Port,
    ) -> Subject<'s, R::Running, T::Port> {
        Subject {
            role: self.role,
            running,
            port,
            policy: self.policy,
            deadline: self.bench.settings.release(self.role).deadline,
        }
    }

    async fn named(
        &self,
        running: &R::Running,
        port: &T::Port,
        probe: &Probe,
        company: Company,
        names: &crate::bench::AskNames,
    ) -> Probing {
        if self.reach.is_given_up() {
            return not_asked(probe, self.reach.given_up().of_release(self.role));
        }
        let (role, mode) = (self.role, probe.mode);
        if self.watched {
            self.bench.progress.event(Event::ProbeBegan { role, probe: probe.id, mode });
        }
        let subject = self.subject(running, port);
        let control = self.controls.iter().find(|(of, _)| *of == mode).map(|(_, control)| control);
        let probing = make_probe(self.bench, subject, names, probe, company, control).await;
        self.reach.note(&probing);
        if self.watched {
            self.report(&probing);
        }
        probing
    }

    /// Tells those who watch. What found the service gone is asked again, and told in the end.
    fn report(&self, probing: &Probing) {
        if !self.reach.holds_back(probing) {
            self.tell(probing);
        }
    }

    fn tell(&self, probing: &Probing) {
        let findings: Vec<Finding> =
            probing.judged.findings.iter().chain(&probing.judged.log_findings).cloned().collect();
        self.bench.progress.event(Event::ProbeEnded {
            role: self.role,
            probe: probing.probe.id,
            mode: probing.probe.mode,
            verdict: Verdict::of(&findings, self.bench.settings.gates.strict),
            headline: findings
                .iter()
                .max_by_key(|finding| finding.severity)
                .map(|finding| finding.code.clone()),
        });
    }

    /// The same, of which nobody is told.
    fn unwatched(&self) -> Context<'_, T, R, C> {
        Context {
            bench: self.bench,
            slots: self.slots,
            controls: self.controls,
            role: self.role,
            policy: self.policy,
            reach: self.reach,
            watched: false,
        }
    }

    /// A process and a port for each ask.
    async fn commands(&self, running: &R::Running, probes: Vec<Probe>) -> Vec<Probing> {
        let waiting = Semaphore::new(self.bench.jobs * WAITING_PER_SLOT);
        let probes = slow_first(probes);
        let mut asks: FuturesUnordered<_> =
            probes.iter().map(|probe| self.command(running, probe, &waiting)).collect();
        let mut probings = Vec::with_capacity(probes.len());
        while let Some(probing) = asks.next().await {
            probings.push(probing);
        }
        probings
    }

    async fn command(&self, running: &R::Running, probe: &Probe, waiting: &Semaphore) -> Probing {
        let _place = waiting.acquire().await.expect("the semaphore is never closed");
        let slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let port = match open_port(self.bench, self.role).await {
            Ok(port) => port,
            Err(error) => {
                return not_asked(probe, not_started(self.bench, self.role, &error));
            }
        };
        let names = self.bench.names.ask();
        let deadline = self.bench.settings.release(self.role).deadline;
        let mut slot = Some(slot);
        let asking = self.named(running, &port, probe, Company::Alone, &names);
        tokio::pin!(asking);
        loop {
            tokio::select! {
                // The ask first: it arms the tap, and before that nothing can arrive.
                biased;
                probing = &mut asking => break probing,
                _ = port.arrived(names.id, deadline), if slot.is_some() => slot = None,
            }
        }
    }

    /// A service: first alone, then together if it can.
    async fn service(
        &self,
        alive: &Alive<R::Running, T::Port>,
        probes: Vec<Probe>,
    ) -> (Vec<Probing>, Manner) {
        let (alone, rest): (Vec<Probe>, Vec<Probe>) = probes.into_iter().partition(|probe| {
            probe.id == HAPPY_LIVE || is_invalid_credential(probe) || probe.is_before_the_call()
        });
        let mut probings = Vec::new();
        for probe in &alone {
            probings.push(self.one(&alive.running, &alive.port, probe, Company::Alone).await);
        }
        let carries_marker = probings
            .iter()
            .flat_map(|probing| &probing.observation.exchanges)
            .all(|exchange| exchange.request.carries_marker);
        // Without a marker on the wire, calls of several asks cannot be told apart.
        let (made, left) = if carries_marker {
            self.together(alive, opening_first(slow_first(rest))).await
        } else {
            (Vec::new(), slow_first(rest))
        };
        let manner =
            if carries_marker && left.is_empty() { Manner::Together } else { Manner::Pool };
        probings.extend(made);
        probings.extend(self.pool(alive, left).await);
        (probings, manner)
    }

    /// Several instances, one ask at a time each.
    async fn pool(&self, alive: &Alive<R::Running, T::Port>, probes: Vec<Probe>) -> Vec<Probing> {
        let mut more = Vec::new();
        // An instance that runs already is the only one there is.
        let may_start = matches!(self.bench.settings.release(self.role).run, Run::Service(_))
            && probes.len() > SERIAL_INSTANCES;
        if may_start {
            for _ in 1..SERIAL_INSTANCES {
                match start(self.bench, self.role).await {
                    Ok(instance) => more.push(instance),
                    // Some services cannot run twice; then one has to do.
                    Err(_) => break,
                }
            }
        }
        let queue = Mutex::new(VecDeque::from(probes));
        let next = || queue.lock().expect("nothing panics while it is held").pop_front();
        let mut workers: FuturesUnordered<_> = std::iter::once(alive)
            .chain(more.iter())
            .map(|instance| async {
                let mut probings = Vec::new();
                while let Some(probe) = next() {
                    probings.push(
                        self.one(&instance.running, &instance.port, &probe, Company::Alone).await,
                    );
                }
                probings
            })
            .collect();
        let mut probings = Vec::new();
        while let Some(some) = workers.next().await {
            probings.extend(some);
        }
        drop(workers);
        for instance in &more {
            self.search_logs(&instance.running, &mut probings);
            instance.running.stop().await;
        }
        probings
    }

    /// Searches all that a service has logged for what must not be there.
    fn search_logs(&self, running: &R::Running, probings: &mut [Probing]) {
        if running.process_per_ask() {
            return;
        }
        let leaks = leaks_so_far(running, &self.bench.scanner);
        let Some(first) = probings.iter_mut().find(|probing| probing.probe.id == HAPPY_LIVE) else {
            return;
        };
        for leak in leaks {
            let finding = judge::judging::leaked(&leak).of_release(self.role);
            if !first.judged.log_findings.iter().any(|known| known.code == finding.code) {
                first.judged.log_findings.push(finding);
            }
        }
    }
}

/// Searches all that a service has written so far, to its logs and beside them.
pub(crate) fn leaks_so_far<R: RunningRelease>(running: &R, scanner: &Scanner) -> Vec<LeakSeen> {
    let logged = running.logs_since(LogPosition::default());
    let mut leaks = leaks_in(logged.text.expose(), "its log", scanner);
    leaks.extend(leaks_in(running.beside_logs().expose(), BESIDE_LOGS, scanner));
    leaks
}

/// A probe that could not be made.
pub(crate) fn not_asked(probe: &Probe, why: Finding) -> Probing {
    let findings = vec![why.at_probe(probe.id, probe.mode)];
    let judged = Judged { findings, ..Judged::default() };
    Probing { judged, ..Probing::unmade(probe.clone()) }
}

fn is_invalid_credential(probe: &Probe) -> bool {
    probe.group == AUTH_GROUP && probe.stimulus.is_live()
}

/// Puts those first with which it is found out whether a service takes more than one ask at a time.
fn opening_first(mut probes: Vec<Probe>) -> Vec<Probe> {
    probes.sort_by_key(|probe| {
        OPENING.iter().position(|id| *id == probe.id).unwrap_or(OPENING.len())
    });
    probes
}

/// Sorts those first that have to wait out a silence: the others fit beside them.
fn slow_first(mut probes: Vec<Probe>) -> Vec<Probe> {
    probes.sort_by_key(|probe| !probe.is_slow());
    probes
}

//! A release that is asked many times: as many asks at once as it can take, mended when one of them has killed it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use contract::change::Change;
use contract::{Mode, Surface};
use futures_util::stream::{self, StreamExt as _};
use judge::judging::Policy;
use judge::learning::{Effect, Unclear, effect};
use judge::{NetworkFault, Observation, Role, Stimulus};
use tokio::sync::Semaphore;

use super::{learning, take};
use crate::asking::{Company, Subject, put};
use crate::bench::{AskNames, Bench, ControlPort};
use crate::plan;
use crate::ports::{PortError, Releases, RunningRelease as _, Tap, TapPort as _};
use crate::progress::Event;
use crate::settings::Run;
use crate::smoke::{
    Alive, CONCURRENT_WITHIN, SERIAL_INSTANCES, WAITING_PER_SLOT, open_port, start,
};

/// How long a gateway, or an instance that is not ours, may take to recover, and how often it is asked meanwhile.
const RECOVER_WITHIN: Duration = Duration::from_secs(20);
const RECOVER_POLL: Duration = Duration::from_millis(400);

/// Asks at once to a service that can take them: enough that a few which hang hold nobody up, and too few to make a busy one slow.
const AT_ONCE: usize = 8;

/// How a release takes many asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A process and a port for each.
    Commands,
    /// Many at once.
    Concurrent,
    /// One at a time for each instance.
    Serial,
    /// One at a time, with time to recover from whatever broke it.
    Gateway,
}

/// What a release's first ask showed.
pub(super) struct Wire {
    /// `None`: the limit of asks was reached.
    pub(super) effect: Option<Effect>,
    pub(super) surface: Surface,
    pub(super) mode: Mode,
    /// Whether the reply carried usage; streams of chat do when they are asked to.
    pub(super) has_usage: bool,
}

/// A release that is asked many times.
pub(super) struct Fleet<'b, T: Tap, R: Releases, C: ControlPort> {
    pub(super) bench: &'b Bench<T, R, C>,
    pub(super) role: Role,
    slots: &'b Semaphore,
    left: &'b AtomicU32,
    policy: Policy,
    form: Form,
    /// Whether it was seen whether a service takes several asks at once.
    is_form_known: bool,
    instances: Vec<Alive<R::Running, T::Port>>,
    /// What the full documented reply has to do without, so that the release takes it.
    pub(super) base: Vec<Change>,
    asked: AtomicU32,
    about: u32,
}

impl<'b, T: Tap, R: Releases, C: ControlPort> Fleet<'b, T, R, C> {
    pub(super) async fn start(
        bench: &'b Bench<T, R, C>,
        slots: &'b Semaphore,
        left: &'b AtomicU32,
        role: Role,
        about: u32,
    ) -> Result<Self, PortError> {
        let release = bench.settings.release(role);
        let form = match release.run {
            Run::Command(_) => Form::Commands,
            Run::Service(_) | Run::Url { .. } if plan::is_gateway(release) => Form::Gateway,
            Run::Service(_) | Run::Url { .. } => Form::Serial,
        };
        let instances = vec![start(bench, role).await?];
        let policy = plan::policy(&bench.settings, role);
        let is_form_known = form != Form::Serial;
        let asked = AtomicU32::new(0);
        let base = Vec::new();
        Ok(Self {
            bench,
            role,
            slots,
            left,
            policy,
            form,
            is_form_known,
            instances,
            base,
            asked,
            about,
        })
    }

    pub(super) fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) fn note(&self, text: &str) {
        self.bench.progress.event(Event::Note(format!("{} {text}", self.role)));
    }

    pub(super) async fn stop(self) {
        for instance in &self.instances {
            instance.running.stop().await;
        }
    }

    /// Asks with the reply that the release is to take, and looks at what it calls.
    pub(super) async fn first_ask(&mut self, mode: Mode) -> Wire {
        let mut wire = Wire {
            effect: None,
            surface: self.bench.settings.provider_of(self.role).surface,
            mode,
            has_usage: false,
        };
        let Some((effect, observation)) = self.one(0, mode, &self.unchanged()).await else {
            return wire;
        };
        wire.effect = Some(effect);
        let is_call = |call: &&judge::Exchange| call.request.method == "POST";
        if let Some(call) = observation.exchanges.iter().rfind(is_call) {
            if call.request.resource.ends_with(Surface::Responses.resource_path()) {
                wire.surface = Surface::Responses;
            } else if call.request.resource.ends_with(Surface::Chat.resource_path()) {
                wire.surface = Surface::Chat;
            }
            wire.mode = if call.request.stream { Mode::Stream } else { Mode::Unary };
            wire.has_usage = call
                .response
                .as_ref()
                .is_some_and(|response| response.judgement.shape.contains("/usage"));
            if !self.is_form_known && effect == Effect::Same {
                self.is_form_known = true;
                // Without a marker on the wire, calls of several asks cannot be told apart.
                if call.request.carries_marker && self.takes_two_at_once(mode).await {
                    self.form = Form::Concurrent;
                }
            }
        }
        wire
    }

    /// Asks with the reply that the release is to take.
    pub(super) async fn ask_unchanged(&self, mode: Mode) -> Option<Effect> {
        self.one(0, mode, &self.unchanged()).await.map(|(effect, _)| effect)
    }

    fn unchanged(&self) -> Stimulus {
        Stimulus::Changed(self.base.clone())
    }

    /// Asks once for each stimulus, and returns what came of each; `None` when the limit of asks was reached before.
    pub(super) async fn ask_all(
        &mut self,
        mode: Mode,
        stimuli: &[Stimulus],
    ) -> Vec<Option<Effect>> {
        if self.form == Form::Serial {
            self.more_instances(stimuli.len()).await;
        }
        let at_once = match self.form {
            Form::Commands => self.bench.jobs * WAITING_PER_SLOT,
            Form::Concurrent => AT_ONCE,
            Form::Serial => self.instances.len(),
            Form::Gateway => return self.one_by_one(mode, stimuli).await,
        };
        let idle = std::sync::Mutex::new((0..self.instances.len()).collect::<Vec<_>>());
        let this = &*self;
        let asks = stimuli.iter().enumerate().map(|(index, stimulus)| {
            let idle = &idle;
            async move {
                // Of a serial service there are as many asks at once as instances, so one is idle.
                let take = || idle.lock().expect("nothing panics while it is held").pop();
                let instance = if this.form == Form::Serial { take() } else { None };
                let seen = this.one(instance.unwrap_or(0), mode, stimulus).await;
                if let Some(instance) = instance {
                    idle.lock().expect("nothing panics while it is held").push(instance);
                }
                (index, seen.map(|(effect, _)| effect))
            }
        });
        let mut effects: Vec<(usize, Option<Effect>)> =
            stream::iter(asks).buffer_unordered(at_once.max(1)).collect().await;
        effects.sort_unstable_by_key(|(index, _)| *index);
        let mut effects: Vec<Option<Effect>> =
            effects.into_iter().map(|(_, effect)| effect).collect();
        if self.form != Form::Commands && effects.iter().any(|effect| is_suspicious(*effect)) {
            self.mend(mode, stimuli, &mut effects).await;
        }
        effects
    }

    /// One ask after the other, each of them of a release that answers again.
    async fn one_by_one(&mut self, mode: Mode, stimuli: &[Stimulus]) -> Vec<Option<Effect>> {
        let mut effects = Vec::with_capacity(stimuli.len());
        for stimulus in stimuli {
            let mut effect = self.one(0, mode, stimulus).await.map(|(effect, _)| effect);
            if is_suspicious(effect) && self.answers_again(mode).await {
                effect = self.one(0, mode, stimulus).await.map(|(effect, _)| effect);
            }
            if effect.is_some_and(|effect| effect != Effect::Same) {
                self.answers_again(mode).await;
            }
            effects.push(effect);
        }
        effects
    }

    /// Something has killed the service, or was asked while it was dead: sees to it that it lives, and asks all that may have
    /// suffered again, one at a time.
    async fn mend(&mut self, mode: Mode, stimuli: &[Stimulus], effects: &mut [Option<Effect>]) {
        self.bench.progress.event(Event::Note(format!(
            "{}: something ended the service, or it stopped calling; asking one at a time",
            self.role
        )));
        // One instance is enough for asks one at a time, and each other one may be dead as well.
        for instance in self.instances.iter().skip(1) {
            instance.running.stop().await;
        }
        self.instances.truncate(1);
        let mut lives = self.live_again(mode).await;
        for (effect, stimulus) in effects.iter_mut().zip(stimuli) {
            if !is_suspicious(*effect) {
                continue;
            }
            if !lives {
                *effect = Some(Effect::Unclear(Unclear::NotStarted));
                continue;
            }
            *effect = self.one(0, mode, stimulus).await.map(|(effect, _)| effect);
            if is_suspicious(*effect) {
                lives = self.live_again(mode).await;
            }
        }
    }

    /// Sees to it that the service answers: as it is, or started anew.
    async fn live_again(&mut self, mode: Mode) -> bool {
        if self.ask_unchanged(mode).await == Some(Effect::Same) {
            return true;
        }
        if !matches!(self.bench.settings.release(self.role).run, Run::Service(_)) {
            return self.answers_again(mode).await;
        }
        for instance in self.instances.drain(..) {
            instance.running.stop().await;
        }
        match start(self.bench, self.role).await {
            Ok(instance) => self.instances.push(instance),
            // The effect says that it could not be started; why, its log tells.
            Err(_) => return false,
        }
        self.ask_unchanged(mode).await == Some(Effect::Same)
    }

    /// Waits until the release answers.
    async fn answers_again(&mut self, mode: Mode) -> bool {
        let until = tokio::time::Instant::now() + RECOVER_WITHIN;
        loop {
            match self.ask_unchanged(mode).await {
                Some(Effect::Same) => return true,
                None => return false,
                Some(_) if tokio::time::Instant::now() >= until => return false,
                Some(_) => tokio::time::sleep(RECOVER_POLL).await,
            }
        }
    }

    async fn more_instances(&mut self, wanted: usize) {
        // An instance that runs already is the only one there is.
        let may_start = matches!(self.bench.settings.release(self.role).run, Run::Service(_));
        while may_start && self.instances.len() < wanted.min(SERIAL_INSTANCES) {
            match start(self.bench, self.role).await {
                Ok(instance) => self.instances.push(instance),
                // Some services cannot run twice; then one has to do.
                Err(_) => return,
            }
        }
    }

    /// Whether a second call arrives while the first one gets no reply.
    async fn takes_two_at_once(&self, mode: Mode) -> bool {
        let Some(alive) = self.instances.first() else { return false };
        let (held, quick) = (self.bench.names.ask(), self.bench.names.ask());
        let hold = self.stimulus(&Stimulus::Network(NetworkFault::StallBeforeHeaders));
        let unchanged = self.stimulus(&self.unchanged());
        let first = self.put(alive, &held, mode, &hold, Company::Shared);
        let others = async {
            alive.port.arrived(held.id, self.deadline()).await;
            let second = self.put(alive, &quick, mode, &unchanged, Company::Shared);
            tokio::pin!(second);
            tokio::select! {
                // The ask first: it arms the tap, and before that nothing can arrive.
                biased;
                (effect, _) = &mut second => effect == Effect::Same,
                arrived = alive.port.arrived(quick.id, CONCURRENT_WITHIN) => {
                    // It is as good as answered, and must not be cut off.
                    if arrived { drop(second.await); }
                    arrived
                }
            }
        };
        tokio::select! {
            // Whoever gives up on a silent provider before anything else arrives takes one ask at a time.
            _ = first => false,
            is_concurrent = others => {
                // The first asker leaves: its call is let go at once.
                alive.port.collect(held.id, Duration::ZERO).await;
                is_concurrent
            }
        }
    }

    /// Makes one ask, if one is left.
    async fn one(
        &self,
        instance: usize,
        mode: Mode,
        stimulus: &Stimulus,
    ) -> Option<(Effect, Observation)> {
        if !take(self.left) {
            return None;
        }
        let not_started = || (Effect::Unclear(Unclear::NotStarted), Observation::default());
        let Some(alive) = self.instances.get(instance) else { return Some(not_started()) };
        let names = self.bench.names.ask();
        let stimulus = self.stimulus(stimulus);
        let seen = match self.form {
            Form::Commands => match self.command(alive, &names, mode, &stimulus).await {
                Ok(seen) => seen,
                Err(_) => not_started(),
            },
            Form::Concurrent => self.put(alive, &names, mode, &stimulus, Company::Shared).await,
            Form::Serial | Form::Gateway => {
                self.put(alive, &names, mode, &stimulus, Company::Alone).await
            }
        };
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        self.bench.progress.event(learning(self.role, asked, self.about));
        Some(seen)
    }

    /// A process and a port for the ask; its slot is free for others once its first call has arrived.
    async fn command(
        &self,
        alive: &Alive<R::Running, T::Port>,
        names: &AskNames,
        mode: Mode,
        stimulus: &Stimulus,
    ) -> Result<(Effect, Observation), PortError> {
        let mut slot = Some(self.slots.acquire().await.expect("the semaphore is never closed"));
        let port = open_port(self.bench, self.role).await?;
        let asking = self.put_at(&alive.running, &port, names, mode, stimulus, Company::Alone);
        tokio::pin!(asking);
        loop {
            tokio::select! {
                // The ask first: it arms the tap, and before that nothing can arrive.
                biased;
                seen = &mut asking => return Ok(seen),
                _ = port.arrived(names.id, self.deadline()), if slot.is_some() => slot = None,
            }
        }
    }

    async fn put(
        &self,
        alive: &Alive<R::Running, T::Port>,
        names: &AskNames,
        mode: Mode,
        stimulus: &Stimulus,
        company: Company,
    ) -> (Effect, Observation) {
        self.put_at(&alive.running, &alive.port, names, mode, stimulus, company).await
    }

    async fn put_at(
        &self,
        running: &R::Running,
        port: &T::Port,
        names: &AskNames,
        mode: Mode,
        stimulus: &Stimulus,
        company: Company,
    ) -> (Effect, Observation) {
        let subject = Subject {
            role: self.role,
            running,
            port,
            policy: &self.policy,
            deadline: self.deadline(),
        };
        let made = put(self.bench, subject, names, mode, stimulus, company).await;
        (effect(&made.asked.outcome, made.answer, &made.observation), made.observation)
    }

    /// The calls that lead up to the answer get the documented reply: they are not the ones under experiment.
    fn stimulus(&self, stimulus: &Stimulus) -> Stimulus {
        let release = self.bench.settings.release(self.role);
        plan::led_by(release, Stimulus::Documented, stimulus.clone())
    }

    fn deadline(&self) -> Duration {
        self.bench.settings.release(self.role).deadline
    }
}

/// Whether an effect may be the doing of another ask: the process died, or was dead already.
fn is_suspicious(effect: Option<Effect>) -> bool {
    matches!(effect, Some(Effect::Crashed | Effect::Unclear(Unclear::NotObserved)))
}

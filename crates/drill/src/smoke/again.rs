//! Asks again where one ask is too little to go by. That never turns a failure into a pass, see `judge::judging::repeats`.

use judge::judging::Judged;
use judge::judging::repeats::{is_worth_another, settle};
use judge::{Outcome, OutcomeKind, Probe, Repeat, Verdict};

use super::{Alive, Context, Manner, start};
use crate::asking::{Company, Probing};
use crate::bench::ControlPort;
use crate::ports::{Releases, RunningRelease as _, Tap};
use crate::settings::Run;

/// Probes that are made again because of their result. Beyond these it is no matter of chance any more.
const DOUBTFUL_MAX: usize = 12;

/// Times that a service is started again because an ask has ended it. Further crashes stand as they were seen first.
const RESTARTS_MAX: u32 = 4;

impl<T: Tap, R: Releases, C: ControlPort> Context<'_, T, R, C> {
    /// Makes probes once more: those that are planned several times, and those whose result may be the moment's.
    pub(super) async fn again(
        &self,
        alive: &Alive<R::Running, T::Port>,
        manner: Manner,
        probings: &mut [Probing],
    ) {
        if self.reach.is_given_up() {
            return;
        }
        let is_doubtful =
            |probing: &&Probing| is_worth_another(probing.outcome.as_ref(), &probing.judged);
        let is_service = manner == Manner::Together || manner == Manner::Pool;
        // Where one process serves all, one ask that ends it is a crash to every other one that is under way or comes after.
        let suspects: Vec<&Probing> = probings
            .iter()
            .filter(|probing| is_service && has_crashed(probing))
            .filter(is_doubtful)
            .collect();
        let doubtful = probings.iter().filter(is_doubtful).take(DOUBTFUL_MAX);
        let planned = probings.iter().filter(|probing| probing.probe.asks > 1);
        let mut others: Vec<Probe> = Vec::new();
        for probing in doubtful.chain(planned) {
            let is_suspect = suspects.iter().any(|suspect| suspect.probe == probing.probe);
            if !is_suspect && !others.contains(&probing.probe) {
                others.push(probing.probe.clone());
            }
        }
        if others.is_empty() && suspects.is_empty() {
            return;
        }
        let mut made = Vec::new();
        let mut cleared = Vec::new();
        if suspects.is_empty() {
            made.extend(self.make(alive, manner, others).await);
        } else if let Some(fresh) = self.fresh().await {
            let (callers, bystanders) = of_suspects(&suspects);
            made.extend(self.make(&fresh, manner, others).await);
            self.search_logs(&fresh.running, probings);
            (cleared, made) = self.find_culprits(fresh, manner, callers, bystanders, made).await;
        }
        // An ask that was given up before it was made shows nothing.
        made.retain(|probing| probing.outcome.is_some());
        for probing in probings {
            let of_this = |other: &Probing| other.probe == probing.probe;
            if let Some(at) = cleared.iter().position(of_this) {
                *probing = cleared.swap_remove(at);
            } else if let Some(at) = made.iter().position(of_this) {
                add(probing, made.swap_remove(at), self.bench.settings.gates.strict);
            }
        }
    }

    /// Asks those that had called when the service ended alone, and those that found it gone together. Returns those that have nothing to do with it,
    /// and what else was made: once one is found that ends the service whenever it is asked, an ask that the end has merely cost its
    /// answer was no ask of its probe.
    async fn find_culprits(
        &self,
        fresh: Alive<R::Running, T::Port>,
        manner: Manner,
        callers: Vec<Probe>,
        bystanders: Vec<Probe>,
        mut made: Vec<Probing>,
    ) -> (Vec<Probing>, Vec<Probing>) {
        let mut asked = self.one_by_one(fresh, callers).await;
        if let Some(fresh) = self.fresh().await {
            let (ended, well): (Vec<_>, Vec<_>) =
                self.make(&fresh, manner, bystanders).await.into_iter().partition(has_crashed);
            asked.extend(well);
            let ended = ended.into_iter().map(|probing| probing.probe).collect();
            // It may have ended without a call, too.
            asked.extend(self.one_by_one(fresh, ended).await);
        }
        let has_culprit = asked.iter().any(has_crashed);
        let (cleared, rest) =
            asked.into_iter().partition(|probing| has_culprit && !has_crashed(probing));
        made.extend(rest);
        (cleared, made)
    }

    async fn make(
        &self,
        alive: &Alive<R::Running, T::Port>,
        manner: Manner,
        probes: Vec<Probe>,
    ) -> Vec<Probing> {
        match manner {
            Manner::Commands => self.commands(&alive.running, probes).await,
            Manner::Recovering => self.recovering(alive, probes).await.0,
            Manner::Together => {
                let (mut made, left) = self.together(alive, super::slow_first(probes)).await;
                made.extend(self.pool(alive, left).await);
                made
            }
            Manner::Pool => self.pool(alive, probes).await,
        }
    }

    /// Starts the service once more, where it is ours to start.
    async fn fresh(&self) -> Option<Alive<R::Running, T::Port>> {
        if !matches!(self.bench.settings.release(self.role).run, Run::Service(_)) {
            return None;
        }
        // One that cannot be started twice stays as it was judged.
        start(self.bench, self.role).await.ok()
    }

    /// Asks one after the other, so that each crash has one cause; after a crash on a new start.
    async fn one_by_one(
        &self,
        mut alive: Alive<R::Running, T::Port>,
        probes: Vec<Probe>,
    ) -> Vec<Probing> {
        let mut made: Vec<Probing> = Vec::new();
        let mut starts = 0;
        for probe in &probes {
            let probing = self.one(&alive.running, &alive.port, probe, Company::Alone).await;
            let has_ended_it = has_crashed(&probing);
            made.push(probing);
            if has_ended_it {
                alive.running.stop().await;
                starts += 1;
                match self.fresh().await {
                    Some(fresh) if starts <= RESTARTS_MAX => alive = fresh,
                    Some(_) | None => return made,
                }
            }
        }
        alive.running.stop().await;
        made
    }
}

pub(super) fn has_crashed(probing: &Probing) -> bool {
    probing.outcome.as_ref().map(Outcome::kind) == Some(OutcomeKind::Crashed)
}

/// Parts suspects in those that had called when the service ended, the quick ones first, and those that found it gone.
fn of_suspects(suspects: &[&Probing]) -> (Vec<Probe>, Vec<Probe>) {
    let (callers, bystanders): (Vec<&Probing>, Vec<&Probing>) =
        suspects.iter().partition(|suspect| !suspect.observation.exchanges.is_empty());
    let probes = |of: Vec<&Probing>| of.into_iter().map(|probing| probing.probe.clone()).collect();
    let mut callers: Vec<Probe> = probes(callers);
    callers.sort_by_key(Probe::is_slow);
    (callers, probes(bystanders))
}

/// Adds another ask to a probing.
pub(super) fn add(probing: &mut Probing, other: Probing, strict: bool) {
    let repeat = |probing: &Probing| Repeat {
        verdict: Verdict::of(&probing.judged.findings, strict),
        outcome: probing.outcome.as_ref().map(Outcome::kind),
        attempts: u32::try_from(
            probing.observation.exchanges.iter().filter(|exchange| exchange.is_call()).count(),
        )
        .unwrap_or(u32::MAX),
        findings: probing.judged.findings.clone(),
    };
    let first_verdict = Verdict::of(&probing.judged.findings, strict);
    let other_verdict = Verdict::of(&other.judged.findings, strict);
    if probing.repeats.is_empty() {
        probing.repeats = vec![repeat(probing)];
    }
    probing.repeats.push(repeat(&other));
    let kind = |probing: &Probing| probing.outcome.as_ref().map(Outcome::kind);
    let asks = [(kind(probing), std::mem::take(&mut probing.judged)), (kind(&other), other.judged)];
    let settled: Judged = settle(&asks);
    let settled_verdict = Verdict::of(&settled.findings, strict);
    probing.judged = settled;
    // What is told of the wire is told of an ask that blocks, if one did that counts.
    let worst = |verdict: Verdict| match verdict {
        Verdict::Pass => 0,
        Verdict::Ambiguous => 1,
        Verdict::Fail => 2,
    };
    let counts_not = settled_verdict == Verdict::Pass && first_verdict != Verdict::Pass;
    if counts_not || worst(other_verdict) > worst(first_verdict) {
        probing.observation = other.observation;
        probing.outcome = other.outcome;
    }
}

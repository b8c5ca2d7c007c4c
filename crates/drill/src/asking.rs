//! One probe of one release: arm the tap, ask, collect, judge.

use std::time::Duration;

use evidence::{NeedleKind, Scanner, Sensitive};
use judge::judging::{Case, Control, Judged, LeakKind, LeakSeen, LogEvidence, Policy, judge};
use judge::logs::{LogContext, read};
use judge::{Observation, Outcome, Probe, Role, relate};

use crate::bench::{AskNames, Bench, COLLECT_GRACE, ControlPort};
use crate::ports::{
    ArmedAsk, Ask, Asked, LogPosition, Releases, RunningRelease, Tap, TapPort as _,
};

/// Live calls that one ask may make: its retries included, and not more.
const LIVE_CALLS_PER_ASK: u32 = 6;

/// Beyond this many times the policy a release is in a hot loop and is stopped.
const HOT_LOOP_FACTOR: u32 = 4;
const HOT_LOOP_AT_LEAST: u32 = 12;

/// How long a service's log lines may come after its answer.
const LOG_GRACE: Duration = Duration::from_millis(700);
const LOG_POLL: Duration = Duration::from_millis(20);

/// What came of one probe.
#[derive(Debug)]
pub(crate) struct Probing {
    pub(crate) probe: Probe,
    pub(crate) observation: Observation,
    /// `None` when the release could not be asked at all.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) judged: Judged,
}

/// Whether other asks go to the same process at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    /// The ask has the port, and the logs, to itself.
    Alone,
    /// Others are under way; calls are told apart by marker, log lines are not.
    Shared,
}

/// One release under probe.
pub(crate) struct Subject<'b, R, P> {
    pub(crate) role: Role,
    pub(crate) running: &'b R,
    pub(crate) port: &'b P,
    pub(crate) policy: &'b Policy,
    pub(crate) deadline: Duration,
}

impl<R, P> Clone for Subject<'_, R, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, P> Copy for Subject<'_, R, P> {}

/// Makes a probe and judges it.
pub(crate) async fn probe<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    subject: Subject<'_, R::Running, T::Port>,
    names: &AskNames,
    probe: &Probe,
    company: Company,
    control: Option<&Control>,
) -> Probing {
    subject.port.arm(ArmedAsk {
        id: names.id,
        marker: names.marker.clone(),
        label: names.label.clone(),
        stimulus: probe.stimulus.clone(),
        exclusive: company == Company::Alone,
        live_calls_max: bench
            .live_calls
            .allow(LIVE_CALLS_PER_ASK.max(subject.policy.calls_per_ask + 2)),
        attempts_max: HOT_LOOP_AT_LEAST
            .max(subject.policy.max_attempts * subject.policy.calls_per_ask * HOT_LOOP_FACTOR),
    });
    if probe.needs_own_port() {
        subject.port.refuse_connections().await;
    }
    let before = subject.running.logs_since(LogPosition(Vec::new())).1;
    let mut asked = subject.running.ask(ask(bench, names, subject, probe)).await;
    let (observation, delivered) = subject.port.collect(names.id, COLLECT_GRACE).await;
    if subject.running.process_per_ask() {
        asked.outcome = within_deadline(bench, asked.outcome, &observation, subject.deadline);
    }
    bench.live_calls.spend(&observation);
    let delivered: Vec<&str> = delivered.iter().map(contract::DeliveredText::expose).collect();
    let answer = relate(asked.answer.as_ref().map(Sensitive::expose), &delivered, &names.label);
    let context = log_context(bench, subject.role, &observation);
    let logs = match &asked.logs {
        Some(own) => log_evidence(own, &asked, &context, &bench.scanner),
        None if company == Company::Alone => {
            let text = logs_of_service(subject.running, &before, &context).await;
            log_evidence(&text, &asked, &context, &bench.scanner)
        }
        // Lines of several asks are mixed: what must not be there is searched for at the end, over all of them.
        None => {
            LogEvidence { leaks: leaks_shown(&asked, &bench.scanner), ..LogEvidence::default() }
        }
    };
    let judged = judge(&Case {
        role: subject.role,
        probe,
        policy: subject.policy,
        observation: &observation,
        outcome: &asked.outcome,
        answer,
        control,
        logs: &logs,
    });
    Probing { probe: probe.clone(), observation, outcome: Some(asked.outcome), judged }
}

fn ask<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    names: &AskNames,
    subject: Subject<'_, R::Running, T::Port>,
    probe: &Probe,
) -> Ask {
    // A command's deadline begins with its first call: how long the machine takes to start a process is not the release's doing.
    let starting =
        if subject.running.process_per_ask() { bench.starting.allowance() } else { Duration::ZERO };
    Ask {
        prompt: prompt(names),
        mode: probe.mode,
        deadline: subject.deadline + starting,
        tap: Some(subject.port.way()),
        leave_after: None,
    }
}

/// Counts a command's deadline from its first call, and learns from each how long a start takes.
fn within_deadline<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    outcome: Outcome,
    observation: &Observation,
    deadline: Duration,
) -> Outcome {
    let Some(first) = observation.exchanges.first() else { return outcome };
    bench.starting.learn(Duration::from_millis(first.started_ms));
    let elapsed_ms = outcome.elapsed_ms().saturating_sub(first.started_ms);
    let is_late = u128::from(elapsed_ms) > deadline.as_millis();
    match outcome {
        Outcome::Answered { .. } | Outcome::Refused { .. } if is_late => {
            Outcome::TimedOut { elapsed_ms }
        }
        Outcome::Answered { .. }
        | Outcome::Refused { .. }
        | Outcome::TimedOut { .. }
        | Outcome::Crashed { .. } => outcome,
    }
}

/// Returns the prompt of an ask.
pub(crate) fn prompt(names: &AskNames) -> Sensitive {
    Sensitive::new(contract::smoke::prompt(names.marker.as_str(), &names.label))
}

fn log_context<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    role: Role,
    observation: &Observation,
) -> LogContext {
    let mut context = LogContext {
        version: bench.settings.release(role).version.clone(),
        ..LogContext::default()
    };
    let mut reply_ids = Vec::new();
    for response in observation.exchanges.iter().filter_map(|exchange| exchange.response.as_ref()) {
        context.statuses.push(response.status);
        context.ids.extend(response.request_ids.iter().cloned());
        context
            .ids
            .extend(response.judgement.error.iter().filter_map(|error| error.request_id.clone()));
        reply_ids.extend(response.judgement.response_id.iter().cloned());
    }
    // Where the provider gave a request id, the reply's own id does as well; where it gave none, nothing is demanded.
    if !context.ids.is_empty() {
        context.ids.extend(reply_ids);
    }
    context.ids.retain(|id| !id.is_empty());
    context
}

/// Waits for the log lines of an ask that had the service to itself: until nothing is missing, or the grace is over.
async fn logs_of_service<R: RunningRelease>(
    running: &R,
    before: &LogPosition,
    context: &LogContext,
) -> Sensitive {
    let until = tokio::time::Instant::now() + LOG_GRACE;
    loop {
        let (text, _) = running.logs_since(before.clone());
        if read(text.expose(), context).is_complete() || tokio::time::Instant::now() >= until {
            return text;
        }
        tokio::time::sleep(LOG_POLL).await;
    }
}

fn log_evidence(
    text: &Sensitive,
    asked: &Asked,
    context: &LogContext,
    scanner: &Scanner,
) -> LogEvidence {
    let mut leaks = leaks_in(text.expose(), "its log", scanner);
    leaks.extend(leaks_shown(asked, scanner));
    LogEvidence { reading: Some(read(text.expose(), context)), leaks, cut: asked.cut }
}

/// What the error text shows that a user is given. A refusal may not carry a credential; its words are the application's business.
fn leaks_shown(asked: &Asked, scanner: &Scanner) -> Vec<LeakSeen> {
    let shown = [asked.shown.as_ref(), asked.answer.as_ref()];
    let mut leaks: Vec<LeakSeen> = shown
        .into_iter()
        .flatten()
        .flat_map(|text| leaks_in(text.expose(), "what it shows its user", scanner))
        .filter(|leak| leak.kind == LeakKind::Credential)
        .collect();
    leaks.dedup();
    leaks
}

/// Searches a text for what must not be in it, each thing once.
pub(crate) fn leaks_in(text: &str, place: &'static str, scanner: &Scanner) -> Vec<LeakSeen> {
    let mut leaks: Vec<LeakSeen> = Vec::new();
    for hit in scanner.scan(text.as_bytes()) {
        let kind = match hit.kind {
            NeedleKind::Credential => LeakKind::Credential,
            NeedleKind::Prompt => LeakKind::Prompt,
            NeedleKind::Completion => LeakKind::Completion,
        };
        if !leaks.iter().any(|leak| leak.kind == kind && leak.name == hit.name) {
            leaks.push(LeakSeen {
                kind,
                name: hit.name,
                form: hit.form.as_str().to_owned(),
                place,
            });
        }
    }
    // A prompt carries the label that its completion consists of: the prompt alone explains both.
    if leaks.iter().any(|leak| leak.kind == LeakKind::Prompt) {
        leaks.retain(|leak| leak.kind != LeakKind::Completion);
    }
    leaks
}

//! One probe of one release: arm the tap, ask, collect, judge.

use std::time::Duration;

use contract::Mode;
use contract::conversation::AskedWith;
use contract::smoke::Wording;
use evidence::{Form, NeedleKind, Scanner, Sensitive};
use judge::compare::{MediaType, passes_on};
use judge::judging::{
    BROKEN_BY_LEAVER, Case, Control, Judged, LeakKind, LeakSeen, LogEvidence, Machine, Policy,
    judge,
};
use judge::logs::{LogContext, read};
use judge::{
    AnswerForm, AnswerRelation, CallsRelation, Exchange, NetworkFault, Observation, Outcome,
    OutcomeKind, Probe, Repeat, Role, Stimulus, form_of, relate, relate_calls, telemetry,
};
use tokio::time::Instant;

use crate::bench::{AskNames, Bench, COLLECT_GRACE, ControlPort};
use crate::late_logs;
use crate::ports::{
    ArmedAsk, Ask, Asked, LogPosition, Releases, RunningRelease as _, Tap, TapPort, Way,
};
use crate::said::name_missing_part;
use crate::settings::{LogSource, PromptBy, Run};

/// Live calls that one ask may make: its retries included, and not more.
const LIVE_CALLS_PER_ASK: u32 = 6;

/// Beyond this many times the policy a release is in a hot loop and is stopped.
const HOT_LOOP_FACTOR: u32 = 4;
const HOT_LOOP_AT_LEAST: u32 = 12;

/// How a release says that it is asked too often, which it may be.
pub(crate) const ASKED_TOO_OFTEN: &str = "status 429";

/// The outputs of a release that nobody named as its logs.
pub(crate) const BESIDE_LOGS: &str = "its output, which is none of its `logs`";

/// How long an asker who is to leave stays after the call has arrived: long enough for a stream to have begun.
const STAYS: Duration = Duration::from_millis(400);

/// What came of one probe.
#[derive(Debug)]
pub(crate) struct Probing {
    pub(crate) probe: Probe,
    pub(crate) observation: Observation,
    /// `None` when the release could not be asked at all.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) judged: Judged,
    /// In which form the delivered text stands in the answer; `None` where it does not stand there as a whole.
    pub(crate) form: Option<AnswerForm>,
    /// As what the answer was declared to its caller.
    pub(crate) media_type: Option<MediaType>,
    /// Whether a slow stream was passed on as it came; `None` where that was not looked at, or could not be told.
    pub(crate) passes_on: Option<bool>,
    /// Each ask, where there were several.
    pub(crate) repeats: Vec<Repeat>,
}

impl Probing {
    /// A probe of which nothing is known.
    pub(crate) fn unmade(probe: Probe) -> Self {
        Self {
            probe,
            observation: Observation::default(),
            outcome: None,
            judged: Judged::default(),
            form: None,
            media_type: None,
            passes_on: None,
            repeats: Vec::new(),
        }
    }

    /// Whether the release refused by itself: no call was made where one belongs.
    pub(crate) fn was_turned_away(&self) -> bool {
        self.outcome.as_ref().map(Outcome::kind) == Some(OutcomeKind::Refused)
            && self.observation.exchanges.is_empty()
            && !self.probe.is_before_the_call()
    }

    /// Whether it called a model that is declared as a fallback; `None` where none is.
    pub(crate) fn fell_back(&self, fallback_models: &[String]) -> Option<bool> {
        let is_declared = |exchange: &Exchange| {
            let model = exchange.request.model.as_ref();
            exchange.is_call() && model.is_some_and(|model| fallback_models.contains(model))
        };
        (!fallback_models.is_empty()).then(|| self.observation.exchanges.iter().any(is_declared))
    }

    /// Whether the ask behind one that left was not answered.
    pub(crate) fn is_broken_by_leaver(&self) -> bool {
        self.judged.findings.iter().any(|finding| finding.code == BROKEN_BY_LEAVER)
    }

    /// Whether it says nothing of the release, as others of ours were under way: the release had no room for it, or it waited among them
    /// until there was no time left for its call. Whoever is asked behind one that left comes on top, and may be the one too many.
    ///
    /// What was made of an answer stays, however long it took to come to the call.
    pub(crate) fn lacked_room(&self, has_waited: bool) -> bool {
        let ran_out_of_time = matches!(
            self.outcome.as_ref().map(Outcome::kind),
            Some(OutcomeKind::TimedOut | OutcomeKind::Refused)
        );
        self.was_turned_away() || self.is_broken_by_leaver() || (has_waited && ran_out_of_time)
    }
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
    let began = Instant::now();
    let question = wording(&bench.settings.release(subject.role).run, probe);
    let wording = question.unwrap_or_else(|| probe.wording());
    subject.port.arm(armed(bench, subject.policy, names, probe, question, company));
    if probe.needs_own_port() {
        subject.port.refuse_connections().await;
    }
    let before = subject.running.logs_since(LogPosition::default()).end;
    let mut ask = ask(bench, names, subject, probe.mode, wording, probe.asked_with());
    if probe.stimulus == Stimulus::UnknownCa {
        ask.tap = ask.tap.map(Way::without_trust);
    }
    let machine_patience = ask.deadline;
    let asking = subject.running.ask(ask);
    let mut asked = if probe.asker_leaves() {
        tokio::select! {
            biased;
            asked = asking => asked,
            () = time_to_leave(subject.port, names, subject.deadline) => left(began.elapsed()),
        }
    } else {
        asking.await
    };
    let has_left = asked.outcome.kind() == OutcomeKind::Left;
    // Who has left waits until nothing is open any more, or for as long as anybody would have waited for an answer.
    let grace =
        if has_left { subject.deadline.saturating_sub(began.elapsed()) } else { COLLECT_GRACE };
    let (observation, delivered) = subject.port.collect(names.id, grace.max(COLLECT_GRACE)).await;
    let afterwards =
        if has_left { Some(is_served(bench, subject, company, probe.mode).await) } else { None };
    let machine = machine(&asked, machine_patience);
    if subject.running.process_per_ask() {
        asked.outcome = within_deadline(bench, asked.outcome, &observation, subject.deadline);
    }
    bench.live_calls.spend(&observation);
    let delivered: Vec<&str> = delivered.iter().map(contract::DeliveredText::expose).collect();
    let answer = relate(asked.answer.as_ref().map(Sensitive::expose), &delivered, &names.label);
    let passes_on = passed_on(probe, &observation, &asked);
    let form = form_of(asked.answer.as_ref().map(Sensitive::expose), &delivered);
    let logs = logs_of_ask(bench, subject, &asked, &before, company, probe, &observation).await;
    let mut judged = judge(&Case {
        role: subject.role,
        probe,
        policy: subject.policy,
        observation: &observation,
        outcome: &asked.outcome,
        answer,
        calls: calls_seen(probe, names, &asked),
        unsaid: asked.unsaid,
        control,
        logs: &logs,
        afterwards,
        machine,
    });
    let said = [asked.beside.as_ref(), asked.logs.as_ref()];
    name_missing_part(&mut judged.findings, &said, &bench.scanner);
    Probing {
        probe: probe.clone(),
        observation,
        outcome: Some(asked.outcome),
        judged,
        form,
        media_type: asked.media_type,
        passes_on,
        repeats: Vec::new(),
    }
}

/// Returns what the tap has to know of a probe's ask.
fn armed<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    policy: &Policy,
    names: &AskNames,
    probe: &Probe,
    question: Option<Wording>,
    company: Company,
) -> ArmedAsk {
    ArmedAsk {
        id: names.id,
        marker: names.marker.clone(),
        label: names.label.clone(),
        question,
        asked_with: probe.asked_with(),
        stimulus: probe.stimulus.clone(),
        exclusive: company == Company::Alone,
        among_users: false,
        live_calls_max: bench.live_calls.allow(LIVE_CALLS_PER_ASK.max(policy.calls_per_ask + 2)),
        attempts_max: HOT_LOOP_AT_LEAST
            .max(policy.max_attempts * policy.calls_per_ask * HOT_LOOP_FACTOR),
    }
}

/// Tells how the tools that a reply calls relate to those that were delivered.
fn calls_seen(probe: &Probe, names: &AskNames, asked: &Asked) -> CallsRelation {
    let delivered = probe.stimulus.tool_calls(&names.label).unwrap_or_default();
    relate_calls(asked.called.as_ref(), &delivered)
}

/// Reads what was logged of an ask, as far as it can be told from the others'.
async fn logs_of_ask<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    subject: Subject<'_, R::Running, T::Port>,
    asked: &Asked,
    before: &LogPosition,
    company: Company,
    probe: &Probe,
    observation: &Observation,
) -> LogEvidence {
    let context = log_context(bench, subject.role, probe.mode, observation);
    match &asked.logs {
        Some(own) => log_evidence(own, asked, &context, &bench.scanner),
        None if company == Company::Alone && bench.late_logs.may_wait(subject.role, probe) => {
            let may_come_late = !observation.exchanges.is_empty()
                && !bench.settings.release(subject.role).logs.is_empty();
            let late_logs = may_come_late.then_some((&bench.late_logs, subject.role));
            let logged = late_logs::of_service(subject.running, before, &context, late_logs).await;
            let evidence = log_evidence(&logged.text, asked, &context, &bench.scanner);
            LogEvidence { cut: evidence.cut || logged.cut, ..evidence }
        }
        // Lines of several asks are mixed, or come much later: what must not be there is searched for at the end, over all of them.
        None => LogEvidence { leaks: leaks_shown(asked, &bench.scanner), ..LogEvidence::default() },
    }
}

/// Tells whether a slow stream was passed on as it came.
fn passed_on(probe: &Probe, observation: &Observation, asked: &Asked) -> Option<bool> {
    let is_slow_stream = probe.stimulus == Stimulus::Network(NetworkFault::SlowDrip)
        && probe.mode == Mode::Stream
        && asked.outcome.kind() == OutcomeKind::Answered;
    let first_words = asked.first_words.filter(|_| is_slow_stream)?;
    let call = observation.exchanges.iter().rfind(|exchange| exchange.is_call())?;
    // A document is read as a whole before anything of it is shown.
    let is_document = |path: &String| FORMATS.iter().any(|format| path.starts_with(format));
    if call.request.shape.paths().keys().any(is_document) {
        return None;
    }
    // Words that came late may have waited for a processor.
    let is_starved = asked.cpu_wait.is_some_and(|waited| waited * 4 >= first_words);
    passes_on(call.response.as_ref()?.head_ms, call.ended_ms, millis(first_words))
        .filter(|passes_on| *passes_on || !is_starved)
}

/// Where a request asks for an answer in a form of its own.
const FORMATS: [&str; 2] = ["/response_format/", "/text/format/"];

/// Waits until the release has called its provider and got into it; or gives up, since it does not call.
async fn time_to_leave<P: TapPort>(port: &P, names: &AskNames, within: Duration) {
    if port.arrived(names.id, within).await {
        tokio::time::sleep(STAYS).await;
    }
}

fn left(after: Duration) -> Asked {
    Asked {
        outcome: Outcome::Left { elapsed_ms: millis(after) },
        answer: None,
        called: None,
        unsaid: false,
        shown: None,
        reply: None,
        media_type: None,
        first_words: None,
        logs: None,
        beside: None,
        cut: false,
        cpu_wait: None,
    }
}

/// Asks once more, plainly: what came of it?
async fn is_served<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    subject: Subject<'_, R::Running, T::Port>,
    company: Company,
    mode: contract::Mode,
) -> OutcomeKind {
    let names = bench.names.ask();
    subject.port.arm(ArmedAsk {
        id: names.id,
        marker: names.marker.clone(),
        label: names.label.clone(),
        question: None,
        asked_with: AskedWith::Question,
        stimulus: Stimulus::Documented,
        exclusive: company == Company::Alone,
        among_users: false,
        live_calls_max: 0,
        attempts_max: HOT_LOOP_AT_LEAST,
    });
    let question = Ask {
        prompt: prompt(&names, Wording::Plain),
        asked_with: AskedWith::Question,
        mode,
        deadline: subject.deadline,
        tap: Some(subject.port.way()),
    };
    let asked = subject.running.ask(question).await;
    subject.port.collect(names.id, COLLECT_GRACE).await;
    asked.outcome.kind()
}

/// Says how the machine did while an ask got no outcome.
fn machine(asked: &Asked, patience: Duration) -> Machine {
    let lag_ms = match asked.outcome {
        Outcome::TimedOut { elapsed_ms } => elapsed_ms.saturating_sub(millis(patience)),
        Outcome::Answered { .. }
        | Outcome::Refused { .. }
        | Outcome::Crashed { .. }
        | Outcome::Left { .. } => 0,
    };
    Machine { cpu_wait_ms: asked.cpu_wait.map(millis), lag_ms }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// What came of an ask.
pub(crate) struct Put {
    pub(crate) asked: Asked,
    pub(crate) observation: Observation,
    pub(crate) answer: AnswerRelation,
}

/// Arms the tap, asks, and collects what was seen; no call reaches a provider.
pub(crate) async fn put<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    subject: Subject<'_, R::Running, T::Port>,
    names: &AskNames,
    mode: Mode,
    stimulus: &Stimulus,
    company: Company,
) -> Put {
    subject.port.arm(ArmedAsk {
        id: names.id,
        marker: names.marker.clone(),
        label: names.label.clone(),
        question: None,
        asked_with: AskedWith::Question,
        stimulus: stimulus.clone(),
        exclusive: company == Company::Alone,
        among_users: false,
        live_calls_max: 0,
        attempts_max: HOT_LOOP_AT_LEAST
            .max(subject.policy.max_attempts * subject.policy.calls_per_ask * HOT_LOOP_FACTOR),
    });
    let ask = ask(bench, names, subject, mode, Wording::Plain, AskedWith::Question);
    let mut asked = subject.running.ask(ask).await;
    let (observation, delivered) = subject.port.collect(names.id, COLLECT_GRACE).await;
    if subject.running.process_per_ask() {
        asked.outcome = within_deadline(bench, asked.outcome, &observation, subject.deadline);
    }
    let delivered: Vec<&str> = delivered.iter().map(contract::DeliveredText::expose).collect();
    let answer = relate(asked.answer.as_ref().map(Sensitive::expose), &delivered, &names.label);
    Put { asked, observation, answer }
}

fn ask<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    names: &AskNames,
    subject: Subject<'_, R::Running, T::Port>,
    mode: Mode,
    wording: Wording,
    asked_with: AskedWith,
) -> Ask {
    // A command's deadline begins with its first call: how long the machine takes to start a process is not the release's doing.
    let starting =
        if subject.running.process_per_ask() { bench.starting.allowance() } else { Duration::ZERO };
    Ask {
        prompt: prompt(names, wording),
        asked_with,
        mode,
        deadline: subject.deadline + starting,
        tap: Some(subject.port.way()),
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
        | Outcome::Crashed { .. }
        | Outcome::Left { .. } => outcome,
    }
}

/// Returns how a probe's question is worded to a release. Who takes it on standard input may well read one line of that.
fn wording(run: &Run, probe: &Probe) -> Option<Wording> {
    let reads_lines = run.prompt_by(probe.mode) == Some(PromptBy::StandardInput);
    probe.question().map(|wording| match wording {
        Wording::Written if reads_lines => Wording::WrittenOnOneLine,
        Wording::Plain | Wording::Written | Wording::WrittenOnOneLine | Wording::Alike => wording,
    })
}

/// Returns the prompt of an ask.
pub(crate) fn prompt(names: &AskNames, wording: Wording) -> Sensitive {
    Sensitive::new(wording.prompt(names.marker.as_str(), &names.label))
}

fn log_context<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    role: Role,
    mode: Mode,
    observation: &Observation,
) -> LogContext {
    let release = bench.settings.release(role);
    let mut context = LogContext {
        version: release.version.clone(),
        places: release.run.places(mode),
        fields: release.log_fields.clone(),
        telemetry: release.logs.contains(&LogSource::Otlp),
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

fn log_evidence(
    text: &Sensitive,
    asked: &Asked,
    context: &LogContext,
    scanner: &Scanner,
) -> LogEvidence {
    let mut leaks = leaks_in(text.expose(), "its log", scanner);
    leaks.extend(leaks_shown(asked, scanner));
    LogEvidence {
        reading: Some(read(text.expose(), context)),
        telemetry: context.telemetry.then(|| telemetry::read(text.expose())),
        leaks,
        cut: asked.cut,
    }
}

/// The place of what a release says to whoever asks it.
const SHOWN: &str = "what it shows its user";

/// What the error text shows that a user is given, and what is written beside the logs. A refusal may not carry a credential; its words
/// are the application's business.
fn leaks_shown(asked: &Asked, scanner: &Scanner) -> Vec<LeakSeen> {
    let shown = [asked.shown.as_ref(), asked.answer.as_ref()];
    let mut leaks: Vec<LeakSeen> = shown
        .into_iter()
        .flatten()
        .flat_map(|text| leaks_in(text.expose(), SHOWN, scanner))
        .filter(|leak| leak.kind == LeakKind::Credential)
        .collect();
    if let Some(reply) = &asked.reply {
        // Of all else that came only what is known: cookies look like tokens, and are meant for the user.
        let all = leaks_in(reply.expose(), SHOWN, scanner);
        let known = all.into_iter().filter(|leak| {
            leak.kind == LeakKind::Credential && leak.form != Form::TokenPattern.as_str()
        });
        leaks.extend(known.filter(|leak| !leaks.contains(leak)).collect::<Vec<_>>());
    }
    if let Some(beside) = &asked.beside {
        leaks.extend(leaks_in(beside.expose(), BESIDE_LOGS, scanner));
    }
    leaks.dedup();
    leaks
}

/// Searches a text for what must not be in it, each thing once.
pub(crate) fn leaks_in(text: &str, place: &'static str, scanner: &Scanner) -> Vec<LeakSeen> {
    let mut leaks: Vec<LeakSeen> = Vec::new();
    // Beside what is known, what looks like a token: a release may have credentials that nobody named here.
    for hit in scanner.scan(text.as_bytes()).into_iter().chain(scanner.tokens(text.as_bytes())) {
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
                place: if is_telemetry(text, hit.at.start) { "its telemetry" } else { place },
            });
        }
    }
    // A known credential that looks like a token is one thing.
    if leaks.iter().filter(|leak| leak.kind == LeakKind::Credential).count() > 1 {
        leaks.retain(|leak| leak.form != Form::TokenPattern.as_str());
    }
    // A prompt carries the label that its completion consists of: the prompt alone explains both.
    if leaks.iter().any(|leak| leak.kind == LeakKind::Prompt) {
        leaks.retain(|leak| leak.kind != LeakKind::Completion);
    }
    leaks
}

/// Tells whether a place in the logs is in a line of telemetry.
fn is_telemetry(text: &str, at: usize) -> bool {
    let start = text.get(..at).and_then(|head| head.rfind('\n')).map_or(0, |end| end + 1);
    text.get(start..).is_some_and(telemetry::is_line)
}

#[cfg(test)]
mod tests;

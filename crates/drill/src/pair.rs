//! Step 3 of a drill: the two releases are compared with each other.

use contract::Mode;
use judge::catalogue::{FALLBACK_GROUP, HAPPY_LIVE};
use judge::compare::{
    AnswerSeen, AskedAlike, CallerProfile, FallbackSeen, PairIntent, RefusalSeen, RequestTaken,
    WireProfile, compare, compare_callers,
};
use judge::judging::Policy;
use judge::{Fact, Outcome, OutcomeKind, Role, Verdict};

use crate::asking::Probing;
use crate::bench::{Bench, ControlPort};
use crate::plan;
use crate::ports::{Releases, Tap};
use crate::run::{Keeper, RunError, RunReport, end_step};
use crate::settings::{AnswerAt, HttpAsk, Release, Run};
use crate::smoke::Smoked;

/// What a release is compared by.
pub(crate) struct Profile {
    wire: Vec<WireProfile>,
    callers: CallerProfile,
}

impl Profile {
    /// Gathers it from what was seen of a release.
    pub(crate) fn of<R, P>(smoked: &Smoked<R, P>, release: &Release, policy: &Policy) -> Self {
        let taken = |probing: &Probing| {
            let outcome = probing.outcome.as_ref()?;
            RequestTaken::of(&probing.probe, policy, &probing.observation, outcome)
        };
        let fallback_seen = |probing: &Probing| {
            Some(FallbackSeen {
                probe: probing.probe.id,
                mode: probing.probe.mode,
                is_used: probing.fell_back(&release.fallback_models)?,
            })
        };
        let of_fallback = |probing: &&Probing| probing.probe.group == FALLBACK_GROUP;
        Self {
            wire: smoked.probings.iter().filter_map(wire_profile).collect(),
            callers: CallerProfile {
                answers: smoked.probings.iter().filter_map(answer_seen).collect(),
                refusals: smoked
                    .probings
                    .iter()
                    .filter_map(|probing| refusal_seen(probing, release))
                    .collect(),
                fallbacks: smoked
                    .probings
                    .iter()
                    .filter(of_fallback)
                    .filter_map(fallback_seen)
                    .collect(),
                waiting: smoked.waiting.clone(),
                taken: smoked.probings.iter().filter_map(taken).collect(),
            },
        }
    }
}

/// Returns how a caller got an answer, where he got one.
fn answer_seen(probing: &Probing) -> Option<AnswerSeen> {
    let is_answered = probing.outcome.as_ref().map(Outcome::kind) == Some(OutcomeKind::Answered);
    is_answered.then_some(AnswerSeen {
        probe: probing.probe.id,
        mode: probing.probe.mode,
        form: probing.form,
        media_type: probing.media_type,
        passes_on: probing.passes_on,
    })
}

/// Returns how a caller got an error, where he got one.
fn refusal_seen(probing: &Probing, release: &Release) -> Option<RefusalSeen> {
    // A gateway passes on what its provider sends; what it makes of an error by itself is `error-sent-as-success`.
    let is_refused = probing.outcome.as_ref().map(Outcome::kind) == Some(OutcomeKind::Refused)
        && !plan::is_gateway(release);
    let mode = probing.probe.mode;
    // Only what has a status of success is declared as something.
    let looks_well = probing.media_type.is_some() && !says_how_it_refuses(&release.run, mode);
    is_refused.then_some(RefusalSeen { probe: probing.probe.id, mode, looks_well })
}

/// Whether callers know an error with a status of success by a mark of its own.
fn says_how_it_refuses(run: &Run, mode: Mode) -> bool {
    let Some(HttpAsk::Mapped { unary, stream }) = run.http_ask() else { return false };
    let mapping = match mode {
        Mode::Unary => unary,
        Mode::Stream => stream,
    };
    mapping.as_ref().is_some_and(|mapping| mapping.refused.is_some())
}

/// Returns what a release put on the wire for the live happy path.
fn wire_profile(probing: &Probing) -> Option<WireProfile> {
    if probing.probe.id != HAPPY_LIVE {
        return None;
    }
    let call = probing.observation.exchanges.iter().rfind(|exchange| exchange.is_call())?;
    Some(WireProfile {
        mode: probing.probe.mode,
        resource: call.request.resource.clone(),
        auth: call.request.auth,
        credential: call.request.credential.clone(),
        model: call.request.model.clone(),
        shape: call.request.shape.clone(),
        roles: call.request.roles.clone(),
    })
}

/// Tells whether both releases are asked alike in a mode, and which media type fits that.
fn asked_alike(new: &Run, rollback: &Run, mode: Mode) -> Option<AskedAlike> {
    let of = |run: &Run| match run.http_ask()? {
        HttpAsk::Mapped { unary, stream } => {
            let mapping = match mode {
                Mode::Unary => unary,
                Mode::Stream => stream,
            };
            Some(match mapping.as_ref()?.answer {
                AnswerAt::Pointer(_) => Some("application/json"),
                AnswerAt::Text => None,
                AnswerAt::EventPointer(_) | AnswerAt::EventData => Some("text/event-stream"),
            })
        }
        HttpAsk::Openai { .. } => Some(Some(match mode {
            Mode::Unary => "application/json",
            Mode::Stream => "text/event-stream",
        })),
    };
    let fitting = of(new)?;
    (of(rollback)? == fitting).then_some(AskedAlike { mode, fitting })
}

/// Step 3: compares what both releases put on the wire, and what their callers get. With one release there is no pair, and no such step.
pub(crate) async fn compare_pair<T: Tap, R: Releases, C: ControlPort>(
    bench: &Bench<T, R, C>,
    keeper: &Keeper<'_>,
    profiles: &[(Role, Profile)],
    report: &mut RunReport,
) -> Result<(), RunError> {
    let of = |wanted: Role| {
        profiles.iter().find(|(role, _)| *role == wanted).map(|(_, profiles)| profiles)
    };
    let (Some(new), Some(rollback)) = (of(Role::New), of(Role::Rollback)) else { return Ok(()) };
    let settings = &bench.settings;
    let names = |role: Role| -> Vec<String> {
        settings.release(role).secrets.values().map(crate::settings::SecretSource::name).collect()
    };
    let intent = PairIntent {
        providers_differ: settings.new.provider.is_some() || settings.rollback.provider.is_some(),
        credential_sources_differ: names(Role::New) != names(Role::Rollback),
        models_differ: settings.model_of(Role::New) != settings.model_of(Role::Rollback),
    };
    let modes = &settings.provider.modes;
    let (mut of_new, mut of_rollback) = (new.wire.clone(), rollback.wire.clone());
    if plan::is_gateway(&settings.new) != plan::is_gateway(&settings.rollback) {
        // A gateway passes on what it is told, and has no instructions of its own.
        of_new.iter_mut().chain(&mut of_rollback).for_each(|profile| profile.roles.clear());
    }
    let mut findings = compare(&of_new, &of_rollback, modes, intent);
    let alike: Vec<AskedAlike> = modes
        .iter()
        .filter_map(|&mode| asked_alike(&settings.new.run, &settings.rollback.run, mode))
        .collect();
    findings.extend(compare_callers(&new.callers, &rollback.callers, modes, &alike));
    let verdict = Verdict::of(&findings, settings.gates.strict);
    let note = format!("compare: {}", verdict.as_str());
    keeper
        .keep(vec![
            keeper.clerk.fact(None, Fact::Compared { verdict, findings: findings.clone() }, &note),
            keeper.clerk.fact(
                None,
                Fact::Stepped {
                    step: 3,
                    name: "compare".to_owned(),
                    verdict,
                    findings: Vec::new(),
                    percent_new: None,
                },
                &note,
            ),
        ])
        .await?;
    report.findings.extend(findings.iter().cloned());
    end_step(bench, report, 3, "compare", verdict, findings);
    Ok(())
}

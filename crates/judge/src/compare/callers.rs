//! Compares how the two releases treat those who ask them: what comes back to a caller has to fit whatever was written for the other release.

use std::collections::BTreeSet;

use contract::Mode;

use super::trouble::{self, FallbackSeen, RefusalSeen};
use super::{MediaType, RequestTaken, requests};
use crate::catalogue::HAPPY_LIVE;
use crate::probe::HAPPY_UNICODE;
use crate::{AnswerForm, Finding, Role, Severity};

/// How one release treats its callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerProfile {
    /// Its answers.
    pub answers: Vec<AnswerSeen>,
    /// Its errors.
    pub refusals: Vec<RefusalSeen>,
    /// What it made of a failing primary, where a fallback is declared.
    pub fallbacks: Vec<FallbackSeen>,
    /// Whether its asks wait for each other, by mode, as far as that is known.
    pub waiting: Vec<(Mode, bool)>,
    /// What it took of its callers' requests, where it is a gateway.
    pub taken: Vec<RequestTaken>,
}

impl CallerProfile {
    fn waits(&self, mode: Mode) -> Option<bool> {
        self.waiting.iter().find(|(of, _)| *of == mode).map(|(_, waits)| *waits)
    }
}

/// An answer as its caller gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerSeen {
    /// The probe that it was given to.
    pub probe: &'static str,
    /// In which mode.
    pub mode: Mode,
    /// In which form the delivered text stands in it; `None` where it does not stand there as a whole.
    pub form: Option<AnswerForm>,
    /// As what it is declared; `None` where there is nobody to declare it to, as of a command.
    pub media_type: Option<MediaType>,
    /// Whether a slow stream was passed on as it came; `None` where that was not looked at, or could not be told.
    pub passes_on: Option<bool>,
}

/// A mode in which both releases are asked alike, so that their callers may expect the same of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedAlike {
    /// The mode.
    pub mode: Mode,
    /// The media type that fits the form in which answers are read.
    pub fitting: Option<&'static str>,
}

/// One release beside the other.
pub(super) struct Side<'p> {
    pub(super) role: Role,
    pub(super) own: &'p CallerProfile,
    pub(super) other: &'p CallerProfile,
    pub(super) mode: Mode,
    /// Where both are asked alike.
    pub(super) alike: Option<&'p AskedAlike>,
}

impl Side<'_> {
    /// How much it weighs that callers of this release are worse off: those of `rollback` are used to it.
    pub(super) fn severity_of_new(&self, severity: Severity) -> Severity {
        match self.role {
            Role::New => severity,
            Role::Rollback => Severity::Warn,
        }
    }

    pub(super) fn finding(
        &self,
        severity: Severity,
        code: &str,
        expected: impl Into<String>,
        seen: impl Into<String>,
        advice: &str,
    ) -> Finding {
        let finding = Finding::new(severity, code, expected, seen, advice);
        Finding { mode: Some(self.mode), ..finding.of_release(self.role) }
    }
}

/// Compares both releases, mode by mode.
pub fn compare_callers(
    new: &CallerProfile,
    rollback: &CallerProfile,
    modes: &[Mode],
    alike: &[AskedAlike],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for &mode in modes {
        let asked = alike.iter().find(|asked| asked.mode == mode);
        findings.extend(asked.and_then(|asked| declared_otherwise(new, rollback, *asked)));
        let taken = |profile: &CallerProfile| {
            profile.taken.iter().find(|taken| taken.mode == mode).cloned()
        };
        let takes_less = taken(new).zip(taken(rollback));
        findings.extend(
            takes_less
                .and_then(|(new, rollback)| requests::compare(&new, &rollback))
                .map(|finding| Finding { mode: Some(mode), ..finding.of_release(Role::New) }),
        );
        for (role, own, other) in [(Role::New, new, rollback), (Role::Rollback, rollback, new)] {
            let side = Side { role, own, other, mode, alike: asked };
            findings.extend(escaped(&side));
            findings.extend(trouble::looks_well(&side));
            findings.extend(trouble::lacks_fallback(&side));
            findings.extend(waits(&side));
            findings.extend(held_back(&side));
        }
    }
    findings
}

/// One ask of this release has to be over before the next one begins.
fn waits(side: &Side<'_>) -> Option<Finding> {
    side.own.waits(side.mode).filter(|waits| *waits)?;
    let does_other_too = side.other.waits(side.mode);
    let (severity, expected) = match (side.role, does_other_too) {
        (Role::New, Some(false)) => {
            (Severity::Fail, "several asks at once, as the other release takes them")
        }
        (Role::Rollback, Some(false)) => {
            (Severity::Warn, "several asks at once, as the other release takes them")
        }
        (Role::New | Role::Rollback, Some(true) | None) => (Severity::Warn, "several asks at once"),
    };
    Some(side.finding(
        severity,
        "asks-wait-for-each-other",
        expected,
        "asks that made their calls only when a slow one before them was over",
        "One user whose answer takes a minute keeps all others waiting for it. Do not hold a lock during the upstream call, do not call a blocking client on the event loop, and give the service more than one worker or thread.",
    ))
}

/// This release lets its users wait for the end of a stream.
fn held_back(side: &Side<'_>) -> Option<Finding> {
    let of = |profile: &CallerProfile| {
        let mut answers = profile.answers.iter().filter(|answer| answer.mode == side.mode);
        answers.find_map(|answer| Some((answer.probe, answer.passes_on?)))
    };
    let (probe, _) = of(side.own).filter(|(_, passes_on)| !passes_on)?;
    let does_other_pass_on = of(side.other).is_some_and(|(_, passes_on)| passes_on);
    let severity = match (side.role, does_other_pass_on) {
        (Role::New, true) => Severity::Fail,
        (Role::New, false) | (Role::Rollback, _) => Severity::Warn,
    };
    let expected = if does_other_pass_on {
        "the first words while the provider still sends, as the other release gives them"
    } else {
        "the first words while the provider still sends"
    };
    let finding = side.finding(
        severity,
        "stream-held-back",
        expected,
        "nothing before the provider's stream was over",
        "Users wait for the whole answer, and a proxy's idle timeout may end it before. Flush after each event, and let no middleware (compression above all) gather the body of a stream.",
    );
    Some(Finding { probe: Some(probe.to_owned()), ..finding })
}

const PAGE: MediaType = MediaType::Known("text/html");

/// Probes whose good answers are compared by their type.
const GOOD: [&str; 2] = [HAPPY_LIVE, HAPPY_UNICODE];

/// The releases declare the same answers differently.
fn declared_otherwise(
    new: &CallerProfile,
    rollback: &CallerProfile,
    asked: AskedAlike,
) -> Option<Finding> {
    let types = |profile: &CallerProfile| -> BTreeSet<MediaType> {
        let good = |answer: &&AnswerSeen| answer.mode == asked.mode && GOOD.contains(&answer.probe);
        profile.answers.iter().filter(good).filter_map(|answer| answer.media_type).collect()
    };
    let (of_new, of_rollback) = (types(new), types(rollback));
    if of_new.is_empty() || of_rollback.is_empty() || of_new == of_rollback {
        return None;
    }
    let fits = |types: &BTreeSet<MediaType>| {
        asked.fitting.is_some_and(|fitting| types.iter().all(|one| one.as_str() == fitting))
    };
    let (role, measure, seen) = if fits(&of_new) && !fits(&of_rollback) {
        (Role::Rollback, &of_new, &of_rollback)
    } else {
        (Role::New, &of_rollback, &of_new)
    };
    let listed = |types: &BTreeSet<MediaType>| {
        types.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ")
    };
    // A text may be called many things; what is parsed may not.
    let severity = if asked.fitting.is_some() { Severity::Fail } else { Severity::Warn };
    let finding = Finding::new(
        severity,
        "pair-reply-type-differs",
        format!("answers declared as {}, as the other release does", listed(measure)),
        format!("answers declared as {}", listed(seen)),
        "Callers choose their parser by the media type, and a browser's EventSource takes nothing but `text/event-stream`. Set `content-type` where the answer is made.",
    );
    Some(Finding { mode: Some(asked.mode), ..finding.of_release(role) })
}

/// Only this release gives out its answers as HTML. What has tags was laid out on purpose, and is looked at; escapes alone were left over.
fn escaped(side: &Side<'_>) -> Option<Finding> {
    let is_plain = |form| matches!(form, AnswerForm::Bare | AnswerForm::Dressed);
    let is_plain_at_other = |probe: &str| {
        let same = |answer: &&AnswerSeen| answer.probe == probe && answer.mode == side.mode;
        side.other.answers.iter().filter(same).filter_map(|answer| answer.form).any(is_plain)
    };
    let of_form = |form| {
        side.own.answers.iter().find(|answer| {
            answer.mode == side.mode
                && answer.form == Some(form)
                // A page has to be escaped.
                && answer.media_type != Some(PAGE)
                && is_plain_at_other(answer.probe)
        })
    };
    let (answer, severity, seen) = match of_form(AnswerForm::Escaped) {
        Some(answer) => (answer, Severity::Fail, "the same text with the escapes of HTML in it"),
        None => {
            let answer = of_form(AnswerForm::Rendered)?;
            (answer, Severity::Warn, "the same text laid out as HTML, escapes in it")
        }
    };
    let finding = side.finding(
        severity,
        "pair-answer-escaped",
        "the delivered text as it is, as the other release gives it",
        seen,
        "Whoever asks one of the releases sees `&quot;` and `&amp;` where the other one has quotes and ampersands, and code is broken. Escape where a page is made, once, and not in what an API returns.",
    );
    Some(Finding { probe: Some(answer.probe.to_owned()), ..finding })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: [Mode; 2] = [Mode::Unary, Mode::Stream];

    /// Streams have no fitting type here.
    const ALIKE: [AskedAlike; 2] = [
        AskedAlike { mode: Mode::Unary, fitting: Some("application/json") },
        AskedAlike { mode: Mode::Stream, fitting: None },
    ];

    fn answer(form: AnswerForm) -> AnswerSeen {
        AnswerSeen {
            probe: "happy-unicode",
            mode: Mode::Unary,
            form: Some(form),
            media_type: None,
            passes_on: None,
        }
    }

    fn typed(mode: Mode, media_type: MediaType) -> CallerProfile {
        let media_type = Some(media_type);
        profile(&[AnswerSeen { mode, media_type, ..answer(AnswerForm::Bare) }])
    }

    fn profile(answers: &[AnswerSeen]) -> CallerProfile {
        CallerProfile { answers: answers.to_vec(), ..CallerProfile::default() }
    }

    /// Compares both ways round: the finding goes with the release.
    #[track_caller]
    fn check(one: &CallerProfile, other: &CallerProfile, expected: &[(&str, Severity, Role)]) {
        let seen =
            |new: &CallerProfile, rollback: &CallerProfile| -> Vec<(String, Severity, Role)> {
                compare_callers(new, rollback, &MODES, &ALIKE)
                    .into_iter()
                    .map(|finding| (finding.code, finding.severity, finding.release.unwrap()))
                    .collect()
            };
        let expected: Vec<(String, Severity, Role)> = expected
            .iter()
            .map(|(code, severity, role)| ((*code).to_owned(), *severity, *role))
            .collect();
        assert_eq!(seen(one, other), expected);
    }

    #[test]
    fn an_answer_that_only_one_release_escapes_is_named_at_it() {
        let plain = profile(&[answer(AnswerForm::Bare)]);
        let dressed = profile(&[answer(AnswerForm::Dressed)]);
        let rendered = profile(&[answer(AnswerForm::Rendered)]);
        let escaped = profile(&[answer(AnswerForm::Escaped)]);
        let found = |severity, role| [("pair-answer-escaped", severity, role)];
        check(&escaped, &plain, &found(Severity::Fail, Role::New));
        check(&plain, &escaped, &found(Severity::Fail, Role::Rollback));
        check(&escaped, &dressed, &found(Severity::Fail, Role::New));
        check(&rendered, &plain, &found(Severity::Warn, Role::New));
        check(&dressed, &rendered, &found(Severity::Warn, Role::Rollback));
        check(&escaped, &escaped, &[]);
        check(&rendered, &escaped, &[]);
        check(&plain, &dressed, &[]);
    }

    #[test]
    fn an_answer_that_is_declared_otherwise_is_named_at_the_release_whose_type_does_not_fit() {
        let known = |name| typed(Mode::Unary, MediaType::Known(name));
        let (json, html, text) =
            (known("application/json"), known("text/html"), known("text/plain"));
        let missing = typed(Mode::Unary, MediaType::Missing);
        let fails = |role| [("pair-reply-type-differs", Severity::Fail, role)];
        check(&html, &json, &fails(Role::New));
        check(&json, &html, &fails(Role::Rollback));
        check(&text, &html, &fails(Role::New));
        check(&missing, &json, &fails(Role::New));
        check(&json, &missing, &fails(Role::Rollback));
        check(&missing, &missing, &[]);
        check(&json, &json, &[]);
        // What is read as a text is not parsed.
        let stream = |name| typed(Mode::Stream, MediaType::Known(name));
        check(
            &stream("text/html"),
            &stream("text/plain"),
            &[("pair-reply-type-differs", Severity::Warn, Role::New)],
        );
    }

    #[test]
    fn types_are_compared_of_good_answers_of_services_that_are_asked_alike() {
        let html = typed(Mode::Unary, MediaType::Known("text/html"));
        let json = typed(Mode::Unary, MediaType::Known("application/json"));
        check(&html, &profile(&[answer(AnswerForm::Bare)]), &[]);
        check(&html, &typed(Mode::Stream, MediaType::Known("application/json")), &[]);
        let slow = AnswerSeen { probe: "network-slow-drip", ..json.answers[0] };
        check(&html, &profile(&[slow]), &[]);
        assert_eq!(compare_callers(&html, &json, &MODES, &[]), []);
    }

    #[test]
    fn asks_that_wait_fail_where_the_release_to_return_to_has_room() {
        let profile = |waits: Option<bool>| CallerProfile {
            waiting: waits.map(|waits| (Mode::Stream, waits)).into_iter().collect(),
            ..CallerProfile::default()
        };
        let code = "asks-wait-for-each-other";
        let (waits, has_room, unknown) = (profile(Some(true)), profile(Some(false)), profile(None));
        check(&waits, &has_room, &[(code, Severity::Fail, Role::New)]);
        check(&has_room, &waits, &[(code, Severity::Warn, Role::Rollback)]);
        check(
            &waits,
            &waits,
            &[(code, Severity::Warn, Role::New), (code, Severity::Warn, Role::Rollback)],
        );
        check(&waits, &unknown, &[(code, Severity::Warn, Role::New)]);
        check(&has_room, &has_room, &[]);
        check(&unknown, &has_room, &[]);
    }

    #[test]
    fn a_stream_that_is_held_back_fails_where_the_release_to_return_to_streams() {
        let profile = |passes_on| {
            let stream = AnswerSeen { mode: Mode::Stream, ..answer(AnswerForm::Bare) };
            profile(&[stream, AnswerSeen { passes_on, ..stream }])
        };
        let code = "stream-held-back";
        let (holds, streams, unknown) = (profile(Some(false)), profile(Some(true)), profile(None));
        check(&holds, &streams, &[(code, Severity::Fail, Role::New)]);
        check(&streams, &holds, &[(code, Severity::Warn, Role::Rollback)]);
        check(
            &holds,
            &holds,
            &[(code, Severity::Warn, Role::New), (code, Severity::Warn, Role::Rollback)],
        );
        check(&holds, &unknown, &[(code, Severity::Warn, Role::New)]);
        check(&unknown, &holds, &[(code, Severity::Warn, Role::Rollback)]);
        check(&streams, &streams, &[]);
        check(&unknown, &streams, &[]);
    }

    #[test]
    fn errors_that_look_well_fail_where_the_release_to_return_to_gives_them_a_status() {
        let profile = |looks_well: &[bool]| CallerProfile {
            refusals: ["overload-503", "shape-html", "request-400"]
                .into_iter()
                .zip(looks_well)
                .map(|(probe, &looks_well)| RefusalSeen { probe, mode: Mode::Unary, looks_well })
                .collect(),
            ..CallerProfile::default()
        };
        let code = "pair-refusal-looks-well";
        let (hides, honest) = (profile(&[true; 3]), profile(&[false; 3]));
        check(&hides, &honest, &[(code, Severity::Fail, Role::New)]);
        check(&honest, &hides, &[(code, Severity::Warn, Role::Rollback)]);
        check(&profile(&[true, true, false]), &honest, &[(code, Severity::Fail, Role::New)]);
        // One may be a matter of how it was read, and what the other release hides as well is what callers know.
        check(&profile(&[true, false, false]), &honest, &[]);
        check(&hides, &profile(&[true, true, false]), &[]);
        check(&hides, &hides, &[]);
        check(&hides, &CallerProfile::default(), &[]);
        assert_eq!(compare_callers(&hides, &honest, &MODES, &[]), []);
    }

    #[test]
    fn a_fallback_that_only_the_release_to_return_to_calls_is_lost() {
        let profile = |is_used| CallerProfile {
            fallbacks: vec![FallbackSeen { probe: "fallback-503", mode: Mode::Unary, is_used }],
            ..CallerProfile::default()
        };
        let code = "fallback-not-used";
        check(&profile(false), &profile(true), &[(code, Severity::Fail, Role::New)]);
        check(&profile(true), &profile(false), &[(code, Severity::Warn, Role::Rollback)]);
        check(&profile(false), &profile(false), &[]);
        check(&profile(false), &CallerProfile::default(), &[]);
    }

    #[test]
    fn a_page_has_to_be_escaped() {
        let page = AnswerSeen { media_type: Some(PAGE), ..answer(AnswerForm::Escaped) };
        check(&profile(&[page]), &profile(&[answer(AnswerForm::Bare)]), &[]);
    }

    #[test]
    fn escaping_is_compared_by_the_same_ask() {
        let escaped = profile(&[answer(AnswerForm::Escaped)]);
        let plain = answer(AnswerForm::Bare);
        check(&escaped, &profile(&[AnswerSeen { probe: "happy-live", ..plain }]), &[]);
        check(&escaped, &profile(&[AnswerSeen { mode: Mode::Stream, ..plain }]), &[]);
        check(&escaped, &profile(&[AnswerSeen { form: None, ..plain }]), &[]);
        check(&escaped, &profile(&[]), &[]);
    }
}

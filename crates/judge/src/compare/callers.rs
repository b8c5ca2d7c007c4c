//! Compares how the two releases treat those who ask them: what comes back to a caller has to fit whatever was written for the other release.

use contract::Mode;

use crate::{AnswerForm, Finding, Role, Severity};

/// How one release treats its callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerProfile {
    /// Its answers.
    pub answers: Vec<AnswerSeen>,
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
}

/// One release beside the other.
struct Side<'p> {
    role: Role,
    own: &'p CallerProfile,
    other: &'p CallerProfile,
    mode: Mode,
}

impl Side<'_> {
    fn finding(
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
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for &mode in modes {
        for (role, own, other) in [(Role::New, new, rollback), (Role::Rollback, rollback, new)] {
            let side = Side { role, own, other, mode };
            findings.extend(escaped(&side));
        }
    }
    findings
}

/// Only this release gives out its answers as HTML.
fn escaped(side: &Side<'_>) -> Option<Finding> {
    let is_plain = |form| matches!(form, AnswerForm::Bare | AnswerForm::Dressed);
    let is_plain_at_other = |probe: &str| {
        let same = |answer: &&AnswerSeen| answer.probe == probe && answer.mode == side.mode;
        side.other.answers.iter().filter(same).filter_map(|answer| answer.form).any(is_plain)
    };
    let answer = side.own.answers.iter().find(|answer| {
        answer.mode == side.mode
            && answer.form == Some(AnswerForm::Rendered)
            && is_plain_at_other(answer.probe)
    })?;
    let finding = side.finding(
        Severity::Fail,
        "pair-answer-escaped",
        "the delivered text as it is, as the other release gives it",
        "the same text with its characters escaped, or laid out, as HTML",
        "Whoever asks one of the releases sees `&quot;` and `&amp;` where the other one has quotes and ampersands, and code is broken. Escape where a page is made, once, and not in what an API returns.",
    );
    Some(Finding { probe: Some(answer.probe.to_owned()), ..finding })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: [Mode; 2] = [Mode::Unary, Mode::Stream];

    fn answer(form: AnswerForm) -> AnswerSeen {
        AnswerSeen { probe: "happy-unicode", mode: Mode::Unary, form: Some(form) }
    }

    fn profile(answers: &[AnswerSeen]) -> CallerProfile {
        CallerProfile { answers: answers.to_vec() }
    }

    /// Compares both ways round: the finding goes with the release.
    #[track_caller]
    fn check(one: &CallerProfile, other: &CallerProfile, expected: &[(&str, Severity, Role)]) {
        let seen =
            |new: &CallerProfile, rollback: &CallerProfile| -> Vec<(String, Severity, Role)> {
                compare_callers(new, rollback, &MODES)
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
        let fails = |role| [("pair-answer-escaped", Severity::Fail, role)];
        check(&rendered, &plain, &fails(Role::New));
        check(&plain, &rendered, &fails(Role::Rollback));
        check(&rendered, &dressed, &fails(Role::New));
        check(&rendered, &rendered, &[]);
        check(&plain, &dressed, &[]);
    }

    #[test]
    fn escaping_is_compared_by_the_same_ask() {
        let rendered = profile(&[answer(AnswerForm::Rendered)]);
        let plain = answer(AnswerForm::Bare);
        check(&rendered, &profile(&[AnswerSeen { probe: "happy-live", ..plain }]), &[]);
        check(&rendered, &profile(&[AnswerSeen { mode: Mode::Stream, ..plain }]), &[]);
        check(&rendered, &profile(&[AnswerSeen { form: None, ..plain }]), &[]);
        check(&rendered, &profile(&[]), &[]);
    }
}

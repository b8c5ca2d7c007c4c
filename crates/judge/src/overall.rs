//! What shows only when all probes of a release are looked at together: modes that disagree, waits that do not grow, waits without
//! chance in them.

use contract::Mode;

use crate::attempts::SPACED_MS;
use crate::probe::HAPPY_UNICODE;
use crate::{AnswerForm, Finding, OutcomeKind, Severity, Verdict, catalogue};

/// One probe, as far as the whole is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The probe.
    pub probe: &'static str,
    /// Its group.
    pub group: &'static str,
    /// In which mode.
    pub mode: Mode,
    /// What the release made of it.
    pub outcome: Option<OutcomeKind>,
    /// What that amounts to.
    pub verdict: Verdict,
    /// The waits between its attempts, of one model, where no reply said how long to wait.
    pub gaps_ms: Vec<u64>,
    /// In which form the delivered text stands in its answer; `None` where it does not stand there as a whole.
    pub form: Option<AnswerForm>,
    /// Whether a model was called that is declared as a fallback; `None` where none is declared.
    pub fell_back: Option<bool>,
    /// Whether it hung beside other asks, and was as expected when it was asked again.
    pub hung_once: bool,
}

/// Probes of the two modes that are the same fault in another framing.
const PAIRS: &[(&str, &str)] = &[
    ("shape-error-body", "stream-json-error"),
    ("shape-html", "stream-html"),
    ("shape-wrong-surface", "stream-wrong-surface"),
    ("shape-truncated-json", "stream-cut-mid-event"),
    ("shape-finish-null", "stream-no-finish-reason"),
    ("shape-finish-length", "stream-finish-length"),
    ("shape-finish-content-filter", "stream-finish-content-filter"),
    ("shape-content-null", "stream-no-content"),
    ("network-endless-blanks", "stream-comments-only"),
];

/// Asks with two waits each that it takes to tell growing from chance.
const GROWTH_ASKS_MIN: usize = 3;

/// First waits that it takes to tell chance from none.
const JITTER_WAITS_MIN: usize = 6;

/// First waits that differ by less are the same: a timer's own error on a quiet machine.
const JITTER_MIN_MS: u64 = 8;

/// Probes that hung once and not again which have one cause: fewer may be a matter of the moment, each its own.
const HUNG_ONCE_MIN: usize = 3;

/// Probes that a finding about all of them names.
const NAMED_MAX: usize = 6;

/// Judges all probes of one release together.
pub fn judge(made: &[Made]) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(hung_together(made));
    findings.extend(disparity(made));
    findings.extend(hasty(made));
    findings.extend(growth(made));
    findings.extend(jitter(made));
    findings.extend(dressed(made));
    findings.extend(never_fell_back(made));
    findings
}

/// A fallback is declared, the primary failed in every way that there is, and the fallback was never called.
fn never_fell_back(made: &[Made]) -> Option<Finding> {
    let has_trouble = |one: &Made| one.group == catalogue::FALLBACK_GROUP;
    let declares = |one: &Made| one.fell_back.is_some() && one.outcome.is_some();
    let n_asked = made.iter().filter(|one| has_trouble(one) && declares(one)).count();
    if n_asked == 0 || made.iter().any(|one| one.fell_back == Some(true)) {
        return None;
    }
    Some(Finding::new(
        Severity::Fail,
        "fallback-not-used",
        "a call to the declared fallback in some trouble of the primary",
        format!("none in any of {} probes", made.iter().filter(|one| declares(one)).count()),
        "A fallback that is never called is none, and an incident is a bad time to learn it. See on which errors the code goes over to it, or take it out of `fallback_models`.",
    ))
}

/// Good replies become bare answers, and one that came after trouble has something beside it.
fn dressed(made: &[Made]) -> Option<Finding> {
    let is_good = |one: &&Made| one.probe == HAPPY_UNICODE || one.probe.starts_with("tolerated");
    // What another model answers may well be called so.
    let recovered = made.iter().filter(|one| one.probe.starts_with("overload-recovers"));
    let mut dressed = recovered.filter(|one| one.form == Some(AnswerForm::Dressed));
    let first = dressed.find(|one| {
        let same_mode = || made.iter().filter(|other| other.mode == one.mode).filter(is_good);
        same_mode().any(|other| other.form == Some(AnswerForm::Bare))
            && same_mode().all(|other| other.form != Some(AnswerForm::Dressed))
    })?;
    Some(Finding {
        mode: Some(first.mode),
        probe: Some(first.probe.to_owned()),
        ..Finding::new(
            Severity::Fail,
            "answer-damaged",
            "the delivered text and nothing else, as after good replies",
            "other text beside it, once there had been trouble",
            "A note on the attempts is put out where the answer is. Write it to the log, or to standard error.",
        )
    })
}

/// Several asks hung beside others and not when they were asked again with fewer beside them: each is flaky by itself, and together they have one cause.
fn hung_together(made: &[Made]) -> Option<Finding> {
    let hung: Vec<String> = made
        .iter()
        .filter(|one| one.hung_once)
        .map(|one| format!("{} ({})", one.probe, one.mode))
        .collect();
    if hung.len() < HUNG_ONCE_MIN {
        return None;
    }
    Some(Finding::new(
        Severity::Ambiguous,
        "hangs-beside-others",
        "the same outcome of an ask, whatever else is under way",
        format!(
            "{} probes hung beside other asks, and none of them when it was asked again: {}",
            hung.len(),
            named(&hung)
        ),
        "Asks use up something that they share, and wait for it without an end: a pool of connections or threads, a lock, a queue, an event loop that a blocking call stops. Make it larger than the asks that one instance gets, and give the wait a deadline. Where the machine is what they share, `--jobs 1` shows it.",
    ))
}

/// Names the first of several.
fn named(all: &[String]) -> String {
    let shown = all.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    let rest = all.len().saturating_sub(NAMED_MAX);
    if rest > 0 { format!("{shown} and {rest} more") } else { shown }
}

/// The same trouble is handled in one mode and not in the other.
fn disparity(made: &[Made]) -> Option<Finding> {
    let of_mode = |mode| made.iter().filter(move |one: &&Made| one.mode == mode);
    let is_same = |unary: &Made, stream: &Made| {
        unary.probe == stream.probe || PAIRS.contains(&(unary.probe, stream.probe))
    };
    let mut seen = Vec::new();
    for unary in of_mode(Mode::Unary) {
        for stream in of_mode(Mode::Stream).filter(|stream| is_same(unary, stream)) {
            if unary.verdict.permits_release() != stream.verdict.permits_release() {
                seen.push(format!(
                    "{}: {} in unary mode, {} in stream mode",
                    unary.probe,
                    word(unary),
                    word(stream)
                ));
            }
        }
    }
    if seen.is_empty() {
        return None;
    }
    let shown = seen.iter().take(6).cloned().collect::<Vec<_>>().join("; ");
    let rest = seen.len().saturating_sub(6);
    let seen = if rest > 0 { format!("{shown}; and {rest} more") } else { shown };
    Some(Finding::new(
        Severity::Info,
        "mode-disparity",
        "the same trouble handled alike in both modes",
        seen,
        "One mode has the handling that the other one lacks: share it. The mode that fails says so itself; this only names the pair.",
    ))
}

fn word(one: &Made) -> String {
    let outcome = one.outcome.map_or("not asked", OutcomeKind::as_str);
    format!("{outcome} ({})", one.verdict.as_str())
}

/// Most waits of those who wait several times are none. A busy machine makes single ones of them longer.
fn hasty(made: &[Made]) -> Option<Finding> {
    let asks: Vec<&Made> = made.iter().filter(|one| one.gaps_ms.len() > 1).collect();
    if asks.len() < GROWTH_ASKS_MIN {
        return None;
    }
    let mut waits: Vec<u64> = asks.iter().flat_map(|one| one.gaps_ms.iter().copied()).collect();
    let (n_waits, n_asks) = (waits.len(), asks.len());
    let (_, median, _) = waits.select_nth_unstable(n_waits / 2);
    if *median >= SPACED_MS {
        return None;
    }
    Some(Finding::new(
        Severity::Fail,
        "retry-without-backoff",
        format!("{SPACED_MS} ms and more between attempts, growing"),
        format!("{median} ms in the middle of {n_waits} waits of {n_asks} asks"),
        "Wait before each further attempt, longer each time, with jitter.",
    ))
}

/// The last wait is no longer than the first, over all asks that waited twice.
fn growth(made: &[Made]) -> Option<Finding> {
    let ends: Vec<(u64, u64)> = made
        .iter()
        .filter_map(|one| match one.gaps_ms.as_slice() {
            [first, .., last] => Some((*first, *last)),
            [] | [_] => None,
        })
        .collect();
    if ends.len() < GROWTH_ASKS_MIN {
        return None;
    }
    let (first, last) = ends.iter().fold((0_u64, 0_u64), |sum, end| (sum.0 + end.0, sum.1 + end.1));
    // A fifth more: what jitter does to single waits is evened out by then.
    if last.saturating_mul(5) >= first.saturating_mul(6) {
        return None;
    }
    let n = u64::try_from(ends.len()).unwrap_or(u64::MAX).max(1);
    Some(Finding::new(
        Severity::Warn,
        "retry-backoff-flat",
        "a last wait that is longer than the first",
        format!("{} ms first and {} ms last, on average of {n} asks", first / n, last / n),
        "Let each wait be about twice the one before, up to a limit: a provider in trouble recovers from callers who come less often, not from a steady beat.",
    ))
}

/// The first wait is the same each time.
fn jitter(made: &[Made]) -> Option<Finding> {
    let firsts: Vec<u64> = made.iter().filter_map(|one| one.gaps_ms.first().copied()).collect();
    let (shortest, longest) = (firsts.iter().min()?, firsts.iter().max()?);
    if firsts.len() < JITTER_WAITS_MIN || longest - shortest >= JITTER_MIN_MS {
        return None;
    }
    Some(Finding::new(
        Severity::Info,
        "retry-without-jitter",
        "first waits that differ from ask to ask",
        format!("{} first waits between {shortest} and {longest} ms", firsts.len()),
        "Callers who failed together come back together. Take a random part of each wait, for example half of it to all of it.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(probe: &'static str, mode: Mode, verdict: Verdict, gaps_ms: &[u64]) -> Made {
        let outcome = Some(OutcomeKind::Refused);
        Made {
            probe,
            group: "overload",
            mode,
            outcome,
            verdict,
            gaps_ms: gaps_ms.to_vec(),
            form: None,
            fell_back: None,
            hung_once: false,
        }
    }

    #[track_caller]
    fn check(made: &[Made], expected: &[&str]) {
        let found = judge(made);
        let codes: Vec<&str> = found.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, expected, "{found:#?}");
    }

    fn waits(all: &[&[u64]]) -> Vec<Made> {
        all.iter().map(|gaps| made("overload-503", Mode::Unary, Verdict::Pass, gaps)).collect()
    }

    #[test]
    fn hangs_that_go_away_together_have_one_cause() {
        let once =
            |probe| Made { hung_once: true, ..made(probe, Mode::Unary, Verdict::Ambiguous, &[]) };
        let probes = ["overload-503", "request-400", "shape-html", "request-413", "auth-forbidden"];
        let all: Vec<Made> = probes.into_iter().map(once).collect();
        check(&all[..2], &[]);
        let found = judge(&all[..3]);
        let [finding] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(finding.code, "hangs-beside-others");
        assert!(
            finding.seen.ends_with("overload-503 (unary), request-400 (unary), shape-html (unary)")
        );
        let others: Vec<Made> =
            probes.into_iter().map(|probe| made(probe, Mode::Unary, Verdict::Fail, &[])).collect();
        check(&others, &[]);
    }

    #[test]
    fn modes_that_disagree_are_named() {
        let pair = |unary, stream| {
            [
                made("overload-503", Mode::Unary, unary, &[]),
                made("overload-503", Mode::Stream, stream, &[]),
                made("shape-html", Mode::Unary, Verdict::Pass, &[]),
            ]
        };
        check(&pair(Verdict::Pass, Verdict::Pass), &[]);
        check(&pair(Verdict::Fail, Verdict::Fail), &[]);
        check(&pair(Verdict::Pass, Verdict::Fail), &["mode-disparity"]);
        check(&pair(Verdict::Ambiguous, Verdict::Pass), &["mode-disparity"]);
    }

    #[test]
    fn the_same_fault_in_another_framing_is_a_pair() {
        let stream = made("stream-html", Mode::Stream, Verdict::Fail, &[]);
        let unary = made("shape-html", Mode::Unary, Verdict::Pass, &[]);
        let found = judge(&[unary, stream.clone()]);
        assert_eq!(found[0].code, "mode-disparity");
        assert!(found[0].seen.contains("shape-html: refused (pass) in unary mode"), "{found:?}");
        check(&[stream], &[]);
    }

    #[test]
    fn what_stands_beside_an_answer_only_after_trouble_is_none_of_it() {
        let answered =
            |probe, form| Made { form: Some(form), ..made(probe, Mode::Unary, Verdict::Pass, &[]) };
        let good = answered("happy-unicode", AnswerForm::Bare);
        let noted = answered("overload-recovers", AnswerForm::Dressed);
        check(&[good.clone(), noted.clone()], &["answer-damaged"]);
        check(&[good.clone(), answered("overload-recovers", AnswerForm::Bare)], &[]);
        // Where answers are dressed anyway, nobody can tell.
        check(&[good.clone(), answered("tolerated-long", AnswerForm::Dressed), noted.clone()], &[]);
        check(std::slice::from_ref(&noted), &[]);
        let of_stream = Made { mode: Mode::Stream, ..noted };
        check(&[good, of_stream], &[]);
    }

    #[test]
    fn a_declared_fallback_has_to_be_called_some_time() {
        let fallback = |probe, group, fell_back| {
            let made = made(probe, Mode::Unary, Verdict::Pass, &[]);
            Made { group, fell_back, ..made }
        };
        let of_503 = |fell_back| fallback("fallback-503", catalogue::FALLBACK_GROUP, fell_back);
        let of_429 = |fell_back| fallback("overload-429", "overload", fell_back);
        check(&[of_503(Some(false)), of_429(Some(false))], &["fallback-not-used"]);
        check(&[of_503(Some(false)), of_429(Some(true))], &[]);
        check(&[of_503(Some(true)), of_429(Some(false))], &[]);
        check(&[of_503(None), of_429(None)], &[]);
        // Where it was not looked for, nobody can say.
        check(&[of_429(Some(false))], &[]);
        check(&[Made { outcome: None, ..of_503(Some(false)) }], &[]);
    }

    #[test]
    fn waits_have_to_grow_on_the_whole() {
        check(&waits(&[&[400, 900], &[480, 800], &[430, 700]]), &[]);
        check(&waits(&[&[200, 200], &[210, 205], &[190, 200]]), &["retry-backoff-flat"]);
        // One that falls is chance where the others grow; two asks are too few to say.
        check(&waits(&[&[500, 400], &[300, 900], &[400, 800]]), &[]);
        check(&waits(&[&[200, 200], &[210, 200]]), &[]);
        check(&waits(&[&[200], &[300], &[]]), &[]);
    }

    #[test]
    fn most_waits_of_those_who_wait_several_times_are_some() {
        let none_on_a_busy_machine: [&[u64]; 4] = [&[22, 68], &[118, 25], &[44, 74], &[27, 31]];
        let found = judge(&waits(&none_on_a_busy_machine));
        assert!(found.iter().any(|finding| finding.code == "retry-without-backoff"), "{found:?}");
        check(&waits(&[&[60, 90], &[49, 110], &[55, 120]]), &[]);
        check(&waits(&[&[10, 20], &[10, 20]]), &[]);
        // One repetition at once is bounded.
        check(&waits(&[&[3], &[20], &[5], &[1]]), &[]);
    }

    #[test]
    fn waits_have_chance_in_them() {
        check(&waits(&[&[500], &[501], &[503], &[500], &[502], &[501]]), &["retry-without-jitter"]);
        check(&waits(&[&[500], &[501], &[470], &[500], &[502], &[501]]), &[]);
        check(&waits(&[&[500], &[500], &[500], &[500], &[500]]), &[]);
    }
}

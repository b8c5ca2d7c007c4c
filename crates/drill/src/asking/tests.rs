//! Which asks lacked room.

use contract::Surface;
use judge::catalogue::default_plan;
use judge::{Finding, PlanContext, Severity};

use super::*;

fn probing(outcome: Outcome, code: Option<&str>) -> Probing {
    let context = PlanContext::widest(Surface::Chat);
    let probe = default_plan(Mode::Unary, &context).swap_remove(0);
    let finding = |code| Finding::new(Severity::Fail, code, "", "", "");
    let findings = code.into_iter().map(finding).collect();
    let judged = Judged { findings, ..Judged::default() };
    Probing { outcome: Some(outcome), judged, ..Probing::unmade(probe) }
}

#[test]
fn who_was_turned_away_or_waited_in_vain_lacked_room() {
    let refused = || Outcome::Refused { elapsed_ms: 5, how: "status 503".to_owned() };
    let answered = || Outcome::Answered { elapsed_ms: 5, answer_bytes: 1 };
    let timed_out = || Outcome::TimedOut { elapsed_ms: 20_000 };
    let left = || Outcome::Left { elapsed_ms: 400 };
    for (outcome, code, has_waited, expected) in [
        (refused(), None, false, true),
        (timed_out(), None, true, true),
        (timed_out(), Some("hung"), false, false),
        // An answer without a call says something.
        (answered(), Some("answer-without-provider"), true, false),
        (left(), Some(BROKEN_BY_LEAVER), false, true),
        (left(), None, true, false),
    ] {
        let probing = probing(outcome.clone(), code);
        assert_eq!(probing.lacked_room(has_waited), expected, "{outcome:?} {code:?}");
    }
    // One that is not to call at all: a refusal is what it was asked for, unless it came of the wait.
    let mut probing = probing(refused(), None);
    probing.probe.stimulus = Stimulus::UnknownCa;
    assert!(!probing.lacked_room(false));
    assert!(probing.lacked_room(true));
}

//! What was asked, against what arrived at the provider.

use contract::smoke::QuestionSeen::{self, Absent, Damaged, Unread, Whole};
use contract::smoke::Wording;

use super::*;

#[test]
fn a_question_has_to_arrive_whole_in_one_of_the_calls() {
    let asked = |calls_per_ask, questions: &[QuestionSeen]| {
        let mut calls = Vec::new();
        for (attempt, question) in (1..).zip(questions) {
            let mut call = Exchange {
                answered_by: AnsweredBy::Provider,
                ..call(attempt, 500 * u64::from(attempt), 200)
            };
            call.request.question = *question;
            calls.push(call);
        }
        let mut scene = scene("happy-live", calls, answered(), A::Whole);
        scene.policy.calls_per_ask = calls_per_ask;
        scene
    };
    for (questions, severity) in [
        (&[Whole][..], None),
        (&[Damaged], Some(Fail)),
        // A body that cannot be read says nothing.
        (&[Unread], None),
        (&[Unread, Damaged], Some(Fail)),
        (&[Unread, Absent], None),
        // A guard call asks something else, before or after.
        (&[Damaged, Whole], None),
        (&[Whole, Absent], None),
        (&[Damaged, Damaged], Some(Fail)),
        (&[Absent, Damaged], Some(Fail)),
        // A service may ask in words of its own.
        (&[Absent], Some(Warn)),
    ] {
        let expected: Vec<_> =
            severity.map(|severity| ("question-damaged", severity)).into_iter().collect();
        asked(2, questions).check(&expected);
    }
    // With a model of its own a guard has the question, and the answer is another call's.
    let mut guarded = asked(2, &[Whole, Damaged]);
    guarded.exchanges[0].request.model = Some("guard".to_owned());
    guarded.policy.models = vec!["guard".to_owned()];
    guarded.check(&[("question-damaged", Fail)]);
    let mut guarded = asked(2, &[Damaged, Whole]);
    guarded.exchanges[0].request.model = Some("guard".to_owned());
    guarded.policy.models = vec!["guard".to_owned()];
    guarded.check(&[]);
    // Who refuses has its reason.
    let mut refusing = asked(1, &[Damaged]);
    (refusing.outcome, refusing.answer) = (refused(), A::None);
    refusing.check(&[("happy-path-refused", Fail)]);
}

#[test]
fn questions_of_others_in_a_call_fail_whatever_is_probed() {
    let mixed = |mut call: Exchange| {
        call.request.other_asks = 2;
        call
    };
    scene("happy-live", vec![mixed(live(200))], answered(), A::Whole)
        .check(&[("asks-mixed", Fail)]);
    // Both attempts have it: told once.
    let calls = vec![mixed(call(1, 0, 503)), mixed(call(2, 500, 503))];
    scene("overload-503", calls, refused(), A::None).check(&[("asks-mixed", Fail)]);
}

#[test]
fn the_question_is_looked_for_on_happy_probes_only() {
    for probe in plan(Mode::Unary, true) {
        let wording = match probe.id {
            "happy-live" | "happy-conversation" | "happy-tool-calls" => Some(Wording::Plain),
            "happy-unicode" => Some(Wording::Written),
            _ => None,
        };
        assert_eq!(probe.question(), wording, "{}", probe.id);
    }
}

//! The six gates and the decision, from whole evidence that is spoilt in one place at a time: nothing but the whole may pass.

use contract::Mode;
use jiff::{SignedDuration, Timestamp};
use judge::gates::{Decided, Decision, Gate, GateContext, as_of_run, decide};
use judge::{
    Fact, Finding, Fingerprint, Item, Lane, OutcomeKind, Phase, Planned, Probed, ReleaseIdentity,
    RequestType, Role, Severity, Subject, Verdict,
};
use proptest::prelude::*;

fn fingerprint(byte: u8) -> Fingerprint {
    Fingerprint::from_digest(&[byte; 8])
}

fn identity(version: &str) -> ReleaseIdentity {
    ReleaseIdentity {
        version: version.to_owned(),
        image: None,
        run: fingerprint(1),
        credential: Some(fingerprint(2)),
    }
}

fn subject() -> Subject {
    Subject {
        service: "bot".to_owned(),
        environment: "staging".to_owned(),
        new: identity("2.4.0"),
        rollback: identity("2.3.1"),
        configuration: fingerprint(3),
        contract: fingerprint(4),
    }
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().expect("a time")
}

fn context() -> GateContext {
    GateContext {
        subject: subject(),
        now: now(),
        max_age: SignedDuration::from_hours(24),
        strict: false,
    }
}

fn item(minutes_ago: i64, fact: Fact) -> Item {
    let at = now() - SignedDuration::from_mins(minutes_ago);
    Item { run: "run-1".to_owned(), at, subject: subject(), fact }
}

fn planned(role: Role, probe: &str, phase: Phase) -> Planned {
    Planned { role, probe: probe.to_owned(), mode: Mode::Unary, phase }
}

const PROBES: [(&str, &str); 3] =
    [("happy-live", "happy"), ("auth-invalid-credential", "auth"), ("overload-503", "overload")];

fn probed(planned: Planned, group: &str) -> Fact {
    Fact::Probed(Probed {
        planned,
        group: group.to_owned(),
        request_type: RequestType::HappyPath,
        lane: Lane::Live,
        verdict: Verdict::Pass,
        outcome: Some(OutcomeKind::Answered),
        attempts: 1,
        findings: Vec::new(),
        log_findings: Vec::new(),
        logs_judged: true,
        repeats: Vec::new(),
    })
}

/// All that a drill leaves behind when everything passes.
fn whole() -> Vec<Item> {
    let mut plan = Vec::new();
    let mut facts = Vec::new();
    for role in Role::BOTH {
        for (probe, group) in PROBES {
            plan.push(planned(role, probe, Phase::Smoke));
            facts.push(probed(planned(role, probe, Phase::Smoke), group));
        }
    }
    plan.push(planned(Role::Rollback, "happy-live", Phase::AfterSwitch));
    facts.push(probed(planned(Role::Rollback, "happy-live", Phase::AfterSwitch), "happy"));
    facts.push(Fact::Reviewed { verdict: Verdict::Pass, findings: Vec::new(), since: None });
    facts.push(Fact::Compared { verdict: Verdict::Pass, findings: Vec::new() });
    for (step, percent) in [(0, 0), (3, 0), (4, 5), (5, 5), (6, 0), (7, 0)] {
        facts.push(Fact::Stepped {
            step,
            name: format!("step {step}"),
            verdict: Verdict::Pass,
            findings: Vec::new(),
            percent_new: Some(percent),
        });
    }
    let mut items = vec![item(10, Fact::Planned { probes: plan })];
    items.extend(facts.into_iter().map(|fact| item(9, fact)));
    items
}

fn decided(items: &[Item]) -> Decided {
    decide(items, &context(), &Gate::ALL)
}

fn finding(severity: Severity) -> Finding {
    Finding::new(severity, "a-code", "this", "that", "do")
}

/// Makes the fact of an item a failed or an ambiguous one; `None` where it has no verdict.
fn spoil(fact: &Fact, severity: Severity) -> Option<Fact> {
    let verdict = Verdict::of(&[finding(severity)], false);
    let findings = vec![finding(severity)];
    match fact.clone() {
        Fact::Planned { .. }
        | Fact::SourceRead { .. }
        | Fact::SourceAccepted(_)
        | Fact::Decided { .. }
        | Fact::Withheld { .. } => None,
        Fact::Probed(probed) => Some(Fact::Probed(Probed { verdict, findings, ..probed })),
        Fact::Compared { .. } => Some(Fact::Compared { verdict, findings }),
        Fact::Reviewed { since, .. } => Some(Fact::Reviewed { verdict, findings, since }),
        Fact::Stepped { step, name, percent_new, .. } => {
            Some(Fact::Stepped { step, name, verdict, findings, percent_new })
        }
    }
}

#[test]
fn whole_evidence_permits_the_small_step() {
    let decided = decided(&whole());
    assert_eq!(decided.decision, Decision::PromoteSmallStep, "{:#?}", decided.gates);
}

#[test]
fn any_missing_item_holds() {
    // The comparison's findings hang on step 3; without them the step itself is still there.
    for gone in 0..whole().len() {
        let mut items = whole();
        let gone = items.remove(gone);
        if matches!(gone.fact, Fact::Compared { .. }) {
            continue;
        }
        let decided = decided(&items);
        assert_eq!(decided.decision, Decision::Hold, "without {:?}", gone.fact);
        assert_eq!(decided.verdict, Verdict::Ambiguous, "without {:?}", gone.fact);
    }
}

#[test]
fn any_failed_item_blocks_and_after_the_switch_it_rolls_back() {
    for at in 0..whole().len() {
        let mut items = whole();
        let Some(spoilt) = spoil(&items[at].fact, Severity::Fail) else { continue };
        items[at].fact = spoilt.clone();
        let after = match &spoilt {
            Fact::Stepped { step, .. } => *step > 4,
            Fact::Probed(probed) => probed.planned.phase == Phase::AfterSwitch,
            Fact::Planned { .. }
            | Fact::Compared { .. }
            | Fact::Reviewed { .. }
            | Fact::SourceRead { .. }
            | Fact::SourceAccepted(_)
            | Fact::Decided { .. }
            | Fact::Withheld { .. } => false,
        };
        let decided = decided(&items);
        let expected = if after { Decision::Rollback } else { Decision::Hold };
        assert_eq!((decided.decision, decided.verdict), (expected, Verdict::Fail), "{spoilt:?}");
    }
}

#[test]
fn any_ambiguous_item_holds() {
    for at in 0..whole().len() {
        let mut items = whole();
        let Some(spoilt) = spoil(&items[at].fact, Severity::Ambiguous) else { continue };
        items[at].fact = spoilt.clone();
        let decided = decided(&items);
        assert_eq!(
            (decided.decision, decided.verdict),
            (Decision::Hold, Verdict::Ambiguous),
            "{spoilt:?}"
        );
    }
}

#[test]
fn verdict_that_is_better_than_its_findings_is_not_believed() {
    let mut items = whole();
    for item in &mut items {
        if let Fact::Probed(probed) = &mut item.fact {
            probed.findings = vec![finding(Severity::Fail)];
        }
    }
    assert_eq!(decided(&items).verdict, Verdict::Fail);
}

#[test]
fn stale_evidence_and_evidence_from_the_future_hold() {
    for shift in [SignedDuration::from_hours(24), SignedDuration::from_hours(-1)] {
        let mut items = whole();
        for item in &mut items {
            item.at -= shift;
        }
        assert_eq!(decided(&items).decision, Decision::Hold, "shifted by {shift:?}");
    }
}

#[test]
fn evidence_about_anything_else_holds_and_says_what() {
    type Change = fn(&mut Subject);
    let changes: [(&str, Change); 13] = [
        ("another service", |subject| subject.service = "other".to_owned()),
        ("another environment", |subject| subject.environment = "production".to_owned()),
        ("another credential of `new`", |subject| subject.new.credential = Some(fingerprint(9))),
        ("another credential of `new`", |subject| subject.new.credential = None),
        ("another image of `rollback`", |subject| {
            subject.rollback.image = Some("registry.example/bot".to_owned());
        }),
        ("another way to run it, or build, of `rollback`", |subject| {
            subject.rollback.run = fingerprint(9);
        }),
        ("another version of `new`", |subject| subject.new.version = "2.5.0".to_owned()),
        ("another version of `rollback`", |subject| subject.rollback.version = "2.3.0".to_owned()),
        ("another credential of `rollback`", |subject| {
            subject.rollback.credential = Some(fingerprint(9));
        }),
        ("another image of `new`", |subject| {
            subject.new.image = Some("registry.example/bot".to_owned());
        }),
        ("another way to run it, or build, of `new`", |subject| subject.new.run = fingerprint(9)),
        ("another configuration", |subject| subject.configuration = fingerprint(9)),
        ("another contract or other reviews", |subject| subject.contract = fingerprint(9)),
    ];
    for (expected, change) in changes {
        let mut context = context();
        change(&mut context.subject);
        let decided = decide(&whole(), &context, &Gate::ALL);
        assert_eq!(decided.decision, Decision::Hold, "{expected}");
        let reasons: Vec<&String> = decided.gates.iter().flat_map(|gate| &gate.reasons).collect();
        assert!(reasons.iter().all(|reason| reason.contains(expected)), "{expected}: {reasons:#?}");
        // Without evidence about the subject, each gate by itself holds.
        for gate in &decided.gates {
            assert_eq!(gate.verdict, Verdict::Ambiguous, "{expected}: {gate:?}");
        }
    }
}

#[test]
fn newer_review_alone_takes_the_place_of_the_older_one() {
    let review = |verdict, findings, since| {
        let fact = Fact::Reviewed { verdict, findings, since };
        Item { run: "run-2".to_owned(), ..item(1, fact) }
    };
    let gate_of = |newer: Item| {
        let mut items = whole();
        items.push(newer);
        decided(&items).gates.remove(0)
    };
    let changed = gate_of(review(Verdict::Pass, vec![finding(Severity::Fail)], None));
    assert_eq!((changed.gate, changed.verdict), (Gate::ContractReviewed, Verdict::Fail));
    let unchanged = gate_of(review(Verdict::Pass, Vec::new(), None));
    assert_eq!(unchanged.verdict, Verdict::Pass);
    // What it rests on ages as well.
    let hours_ago = |hours| now() - SignedDuration::from_hours(hours);
    let young = gate_of(review(Verdict::Pass, Vec::new(), Some(hours_ago(23))));
    assert_eq!((young.verdict, young.since), (Verdict::Pass, Some(hours_ago(23))));
    let old = gate_of(review(Verdict::Pass, Vec::new(), Some(hours_ago(24))));
    assert_eq!(old.verdict, Verdict::Ambiguous, "{old:?}");
    assert!(old.reasons.iter().any(|reason| reason.contains("stale")), "{old:?}");
    // A stub does not leave the word to the older one.
    let what = judge::gates::REVIEW_WORDS.to_owned();
    let stub = Item { run: "run-2".to_owned(), ..item(1, Fact::Withheld { what }) };
    assert_eq!(gate_of(stub).verdict, Verdict::Ambiguous);
    // Another pair's review says nothing about this one.
    let mut foreign = review(Verdict::Fail, vec![finding(Severity::Fail)], None);
    foreign.subject.contract = fingerprint(9);
    assert_eq!(gate_of(foreign).verdict, Verdict::Pass);
}

#[test]
fn newer_run_counts_and_an_old_pass_does_not_outlive_it() {
    let mut items = whole();
    let mut newer = vec![item(
        2,
        Fact::Planned { probes: vec![planned(Role::New, "happy-live", Phase::Smoke)] },
    )];
    let failed =
        spoil(&probed(planned(Role::New, "happy-live", Phase::Smoke), "happy"), Severity::Fail);
    newer.push(item(1, failed.expect("a probe can fail")));
    for item in &mut newer {
        item.run = "run-2".to_owned();
    }
    items.extend(newer);
    assert_eq!(decided(&items).verdict, Verdict::Fail);
}

#[test]
fn second_attempt_is_evidence_and_no_eraser() {
    let mut items = whole();
    let again = spoil(&items[1].fact, Severity::Fail).expect("the first probe can fail");
    items.push(item(8, again));
    assert_eq!(decided(&items).verdict, Verdict::Fail);
}

#[test]
fn withheld_record_holds() {
    let mut items = whole();
    items.push(item(8, Fact::Withheld { what: "the record of a probe".to_owned() }));
    assert_eq!(decided(&items).decision, Decision::Hold);
}

#[test]
fn narrowed_gates_count_alone_and_none_is_nothing() {
    let mut items = whole();
    items.retain(|item| !matches!(item.fact, Fact::Reviewed { .. }));
    let all_but_review = &Gate::ALL[1..];
    assert_eq!(decide(&items, &context(), all_but_review).decision, Decision::PromoteSmallStep);
    assert_eq!(decide(&whole(), &context(), &[]).decision, Decision::Hold);
}

#[test]
fn warnings_block_only_when_strict() {
    let mut items = whole();
    for item in &mut items {
        if let Fact::Probed(probed) = &mut item.fact {
            probed.log_findings = vec![finding(Severity::Warn)];
        }
    }
    assert_eq!(decided(&items).decision, Decision::PromoteSmallStep);
    let strict = GateContext { strict: true, ..context() };
    assert_eq!(decide(&items, &strict, &Gate::ALL).decision, Decision::Hold);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The oracle: whole evidence, in any order, with anything unrelated beside it, promotes; any less never does.
    #[test]
    fn only_the_whole_promotes(keep in proptest::collection::vec(any::<bool>(), 32), seed in any::<u64>()) {
        let all = whole();
        let mut items: Vec<Item> = all
            .iter()
            .zip(keep.iter().chain(std::iter::repeat(&true)))
            .filter(|(_, keep)| **keep)
            .map(|(item, _)| item.clone())
            .collect();
        let needed = all.iter().filter(|item| !matches!(item.fact, Fact::Compared { .. })).count();
        let kept = items.iter().filter(|item| !matches!(item.fact, Fact::Compared { .. })).count();
        let mut foreign = whole().remove(1);
        foreign.subject.service = "another".to_owned();
        items.push(foreign);
        let turn = usize::try_from(seed % 7).unwrap_or(0) % items.len();
        items.rotate_left(turn);
        let promotes = decided(&items).decision == Decision::PromoteSmallStep;
        prop_assert_eq!(promotes, kept == needed);
    }
}

/// A release that fails a probe which only a thorough plan has is not cleared by asking it less.
#[test]
fn a_failure_of_an_earlier_thorough_run_stands() {
    let rare = planned(Role::New, "tolerated-one-read", Phase::Smoke);
    let thorough = |minutes_ago, run: &str, verdict| {
        let Fact::Probed(fact) = probed(rare.clone(), "tolerated") else {
            panic!("a probe is probed")
        };
        let fact = Fact::Probed(Probed { verdict, ..fact });
        Item { run: run.to_owned(), ..item(minutes_ago, fact) }
    };
    let of_new = |earlier: Vec<Item>| {
        let report = decided(&[earlier, whole()].concat()).gates;
        report.into_iter().find(|report| report.gate == Gate::NewReleaseSmoke).unwrap().verdict
    };
    assert_eq!(of_new(vec![thorough(60, "run-0", Verdict::Pass)]), Verdict::Pass);
    assert_eq!(of_new(vec![thorough(60, "run-0", Verdict::Fail)]), Verdict::Fail);
    // A later thorough run has cleared it; one that is stale never counted.
    assert_eq!(
        of_new(vec![thorough(90, "run-a", Verdict::Fail), thorough(60, "run-b", Verdict::Pass)]),
        Verdict::Pass
    );
    assert_eq!(of_new(vec![thorough(60 * 30, "run-0", Verdict::Fail)]), Verdict::Pass);
    // It is about that probe only.
    let mut plan = whole();
    if let Fact::Planned { probes } = &mut plan[0].fact {
        probes.push(rare.clone());
    }
    plan.push(item(9, probed(rare.clone(), "tolerated")));
    let all = [vec![thorough(60, "run-0", Verdict::Fail)], plan].concat();
    assert_eq!(decided(&all).verdict, Verdict::Pass, "the newest run made it again");
}

/// What another run of the same pair has left so far.
fn beside(minutes_ago: i64, fact: Fact) -> Item {
    Item { run: "run-2".to_owned(), ..item(minutes_ago, fact) }
}

#[test]
fn a_run_goes_by_its_own_evidence_beside_another_one() {
    let plan = || Fact::Planned { probes: vec![planned(Role::New, "happy-live", Phase::Smoke)] };
    let mixed = |minutes_ago| {
        let mut items = whole();
        items.push(beside(minutes_ago, plan()));
        let failed = vec![finding(Severity::Fail)];
        items
            .push(beside(minutes_ago, Fact::Compared { verdict: Verdict::Fail, findings: failed }));
        items.sort_by_key(|item| item.at);
        items
    };
    // A check that began later has not made what it planned; whoever asks for no run's result sees that.
    assert_eq!(decided(&mixed(5)).decision, Decision::Hold);
    assert_eq!(decided(&as_of_run(mixed(5), "run-1")).decision, Decision::PromoteSmallStep);
    assert_eq!(decided(&as_of_run(mixed(5), "run-2")).decision, Decision::Hold);
    // One that began before is older evidence anyway.
    assert_eq!(as_of_run(mixed(20), "run-1"), mixed(20));
    assert_eq!(as_of_run(mixed(5), "run-3"), mixed(5));
}

#[test]
fn what_another_run_found_of_further_probes_stands_for_this_one_too() {
    let Fact::Probed(mut deeper) =
        probed(planned(Role::New, "overload-429-none", Phase::Smoke), "overload")
    else {
        panic!("a probe");
    };
    deeper.verdict = Verdict::Fail;
    deeper.findings = vec![finding(Severity::Fail)];
    let mut items = whole();
    let plan = vec![planned(Role::New, "overload-429-none", Phase::Smoke)];
    items.push(beside(5, Fact::Planned { probes: plan }));
    items.push(beside(4, Fact::Probed(deeper)));
    assert_ne!(decided(&as_of_run(items, "run-1")).decision, Decision::PromoteSmallStep);
}

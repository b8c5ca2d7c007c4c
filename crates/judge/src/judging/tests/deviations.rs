//! A finding about a reply knows how that deviated, and so whom it breaks.

use contract::ContractFinding;

use super::*;

/// A call whose reply deviates by these codes.
fn deviating(findings: &[(&'static str, ContractVerdict)]) -> Exchange {
    let mut exchange = streamed(call(1, 0, 200));
    let judgement = &mut exchange.response.as_mut().expect("it was answered").judgement;
    judgement.verdict = ContractVerdict::Hold;
    judgement.completion = Completion::Truncated;
    judgement.findings = findings
        .iter()
        .map(|&(code, verdict)| ContractFinding {
            code,
            verdict,
            at: "/".to_owned(),
            expected: String::new(),
            seen: "none".to_owned(),
        })
        .collect();
    exchange
}

#[test]
fn finding_about_a_reply_names_the_clients_that_it_breaks() {
    let deviations =
        [("usage-odd", ContractVerdict::Warn), ("finish-reason-missing", ContractVerdict::Hold)];
    let scene = Scene {
        probe: probe("stream-done-after-cut", Mode::Stream),
        ..scene("happy-live", vec![deviating(&deviations)], answered(), A::Partial)
    };
    scene.check(&[("incomplete-reply-accepted", Fail)]);
    let judged = scene.judged();
    let codes: Vec<_> = judged.findings[0].deviations.iter().map(|one| one.code.as_str()).collect();
    assert_eq!(codes, ["finish-reason-missing", "usage-odd"]);
    let breaks = judged.findings[0].breaks();
    let python = breaks.iter().find(|one| one.client == "openai-python").expect("it is silent");
    assert_eq!(python.how, "silent: no finish reason");
    assert_eq!(python.versions.len(), 2);
}

/// A reply that the release left early lacks its end on the tap's side: that says nothing of other clients.
#[test]
fn what_the_release_left_unread_is_no_deviation_of_the_reply() {
    let whole = deviating(&[("finish-reason-missing", ContractVerdict::Hold)]);
    for (release_end, expected) in [(End::Complete, 1), (End::PeerLeft, 0)] {
        let left = Exchange { release_end, ..whole.clone() };
        let scene = Scene {
            probe: probe("tolerated-finish-empty", Mode::Stream),
            ..scene("happy-live", vec![left], refused(), A::None)
        };
        let judged = scene.judged();
        let finding = &judged.findings[0];
        assert_eq!(
            (finding.code.as_str(), finding.severity),
            ("tolerated-variation-refused", Warn)
        );
        assert_eq!(finding.deviations.len(), expected);
    }
}

#[test]
fn finding_about_something_else_than_the_reply_names_none() {
    let mut exchange = deviating(&[("finish-reason-missing", ContractVerdict::Hold)]);
    exchange.request.model = Some("m-2".to_owned());
    exchange.answered_by = AnsweredBy::Provider;
    let judged = scene("happy-live", vec![exchange], refused(), A::None).judged();
    let breaks = |code: &str| {
        let finding = judged.findings.iter().find(|one| one.code == code);
        !finding.unwrap_or_else(|| panic!("no {code}")).breaks().is_empty()
    };
    assert!(!breaks("wrong-model"));
    assert!(breaks("provider-reply-off-contract"));
}

/// Of async-openai (which does not name itself) it is the library that refuses a chunk that lacks what the documentation has.
#[test]
fn refusing_an_odd_chunk_is_the_applications_fault_unless_its_library_does_so() {
    for id in ["tolerated-usage-empty", "tolerated-cost-chunk"] {
        for (client, severity) in
            [(Some("openai-node 7.57.0"), Severity::Fail), (None, Severity::Warn)]
        {
            let mut call = streamed(call(1, 0, 200));
            call.request.client = client.map(str::to_owned);
            let context = PlanContext::widest(Surface::Chat);
            let plan = catalogue::default_plan(Mode::Stream, &context);
            let probe = plan.into_iter().find(|probe| probe.id == id).unwrap();
            let scene = Scene { probe, ..scene("request-400", vec![call], refused(), A::None) };
            scene.check(&[("tolerated-variation-refused", severity)]);
        }
    }
}

/// Of openai-node and async-openai (which does not name itself) it is the library that refuses an unknown event.
#[test]
fn refusing_an_unknown_event_is_the_applications_fault_unless_its_library_does_so() {
    for (client, severity) in [
        (Some("openai-python 3.54.0"), Severity::Fail),
        (Some("node"), Severity::Fail),
        (Some("openai-node 7.57.0"), Severity::Warn),
        (None, Severity::Warn),
    ] {
        let mut call = streamed(call(1, 0, 200));
        call.request.client = client.map(str::to_owned);
        let context = PlanContext::widest(Surface::Responses);
        let plan = catalogue::default_plan(Mode::Stream, &context);
        let probe = plan.into_iter().find(|probe| probe.id == "tolerated-extra-events").unwrap();
        let scene = Scene { probe, ..scene("request-400", vec![call], refused(), A::None) };
        scene.check(&[("tolerated-variation-refused", severity)]);
    }
}

//! The plans as a whole, and each stimulus against the contract: a variation must be a good reply, a fault must not be one.

use std::collections::BTreeSet;

use contract::{
    BodyEnd, Completion, ContractVerdict, DeliveredText, Judgement, Profile, ResponseJudge, Surface,
};

use super::*;
use crate::judging::ReleaseKind;
use crate::stimulus::{Act, Answer, AnswerEnd, Piece, RequestContext};

fn context(surface: Surface) -> PlanContext<'static> {
    PlanContext { own_port: false, unary_as_well: true, ..PlanContext::widest(surface) }
}

fn request(surface: Surface, mode: Mode, model: &str, attempt: u32) -> RequestContext {
    RequestContext {
        surface,
        mode,
        profile: Profile::Openai,
        model: model.to_owned(),
        marker: "ssm-0123456789ab".to_owned(),
        label: "SSL-0123456789ab".to_owned(),
        format: contract::reply::AnswerFormat::Text,
        include_usage: false,
        accepts_gzip: true,
        authority: "127.0.0.1:4711".to_owned(),
        attempt,
        beside: 0,
        request_id: "req_1".to_owned(),
        created: 1_790_000_000,
    }
}

/// Judges the bytes of a reply that comes to an end by itself.
fn judged(answer: &Answer, surface: Surface, mode: Mode) -> Option<(Judgement, DeliveredText)> {
    let mut judge = ResponseJudge::new(surface, mode, Profile::Openai);
    judge.head(
        answer.status,
        answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())),
    );
    for piece in &answer.pieces {
        match piece {
            Piece::Bytes(bytes) => judge.push(bytes),
            Piece::Pause(_) => {}
            Piece::Repeat { .. } => return None,
        }
    }
    match answer.end {
        AnswerEnd::Complete => Some(judge.finish(BodyEnd::Complete)),
        AnswerEnd::Fin | AnswerEnd::Reset => Some(judge.finish(BodyEnd::Cut)),
        AnswerEnd::Hold => None,
    }
}

fn ids(plan: &[Probe]) -> BTreeSet<&'static str> {
    plan.iter().map(|probe| probe.id).collect()
}

#[test]
fn each_simulated_reply_is_what_its_probe_expects() {
    let mut n_judged = 0;
    for surface in [Surface::Chat, Surface::Responses] {
        for mode in [Mode::Unary, Mode::Stream] {
            let of = |kind| {
                let context = PlanContext { ends_tls: false, kind, ..context(surface) };
                plan(Depth::Thorough, mode, &context)
            };
            // Without the one that is to be refused before there is a reply.
            for probe in of(ReleaseKind::Application).into_iter().chain(of(ReleaseKind::Gateway)) {
                let Act::Answer(answer) = probe.stimulus.act(&request(surface, mode, "m-1", 1))
                else {
                    continue;
                };
                let Some((judgement, _)) = judged(&answer, surface, mode) else { continue };
                n_judged += 1;
                let is_good = answer.status == 200
                    && judgement.verdict != ContractVerdict::Hold
                    && judgement.completion == Completion::Complete;
                let is_expected = match probe.expect {
                    Expect::Answer | Expect::AnswerOrWarn => {
                        is_good || probe.attempts == Attempts::Recovers
                    }
                    // Whole, and no answer.
                    Expect::Refusal if probe.stimulus.calls_unasked_tool() => is_good,
                    Expect::Refusal | Expect::RefusalOrWarn => !is_good,
                    Expect::AnyOutcome | Expect::Nobody => true,
                };
                assert!(is_expected, "{} on {surface} {mode}: {judgement:?}", probe.id);
            }
        }
    }
    assert!(n_judged > 150, "{n_judged} replies were judged: the others were not looked at");
}

#[test]
fn a_variation_delivers_the_documented_text_to_whoever_reads_by_the_rules() {
    for surface in [Surface::Chat, Surface::Responses] {
        for mode in [Mode::Unary, Mode::Stream] {
            for probe in plan(Depth::Thorough, mode, &context(surface)) {
                let request = request(surface, mode, "m-1", 1);
                let Act::Answer(answer) = probe.stimulus.act(&request) else { continue };
                if probe.group == "tolerated"
                    && let Some((_, text)) = judged(&answer, surface, mode)
                {
                    let expected = crate::documented_text(&request.label);
                    let rest = text.expose().strip_prefix(&expected);
                    let place = format!("{} on {surface} {mode}", probe.id);
                    let rest = rest.unwrap_or_else(|| panic!("{place}: other text"));
                    let is_right = match probe.id {
                        // More than buffers of 64 KiB take.
                        "tolerated-long" => rest.len() > 65_536,
                        "tolerated-line-separators" => rest.contains(['\u{2028}', '\u{85}']),
                        _ => rest.is_empty(),
                    };
                    assert!(is_right, "{place}: {} bytes more", rest.len());
                }
            }
        }
    }
}

/// A variation that varies nothing would pass every release.
#[test]
fn each_variation_is_another_reply_than_the_documented_one() {
    for surface in [Surface::Chat, Surface::Responses] {
        for mode in [Mode::Unary, Mode::Stream] {
            let request = request(surface, mode, "m-1", 1);
            let reply = |stimulus: &Stimulus| {
                let Act::Answer(answer) = stimulus.act(&request) else { return None };
                Some((answer.headers, answer.pieces, answer.end, stimulus.head_after(1)))
            };
            let documented = reply(&Stimulus::Documented);
            for probe in plan(Depth::Thorough, mode, &context(surface)) {
                if probe.group == "tolerated" {
                    assert_ne!(
                        reply(&probe.stimulus),
                        documented,
                        "{} on {surface} {mode}",
                        probe.id
                    );
                }
            }
        }
    }
}

/// What is told of a thought stands before the answer: in a stream, and as the first item that `output[0]` takes.
#[test]
fn reasoning_comes_before_the_answer() {
    for (surface, mode, thought, answer) in [
        (Surface::Chat, Mode::Stream, r#""content":null,"reasoning_content""#, r#""content":"SSL"#),
        (Surface::Responses, Mode::Unary, r#""output":[{"id":"rs_"#, r#""type":"output_text""#),
        (
            Surface::Responses,
            Mode::Stream,
            r#""output_index":0,"item":{"id":"rs_"#,
            r#""output_index":1"#,
        ),
    ] {
        let plan = default_plan(mode, &context(surface));
        let probe = plan.iter().find(|probe| probe.id == "tolerated-reasoning").unwrap();
        let Act::Answer(reply) = probe.stimulus.act(&request(surface, mode, "m-1", 1)) else {
            panic!("{surface} {mode} is answered");
        };
        let bytes = reply.pieces.iter().filter_map(|piece| match piece {
            Piece::Bytes(bytes) => Some(String::from_utf8_lossy(bytes)),
            Piece::Pause(_) | Piece::Repeat { .. } => None,
        });
        let text: String = bytes.collect();
        let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part} in {text}"));
        assert!(place(thought) < place(answer), "{surface} {mode}: {text}");
    }
}

#[test]
fn the_thorough_plan_has_all_of_the_default_one_and_each_twice() {
    for surface in [Surface::Chat, Surface::Responses] {
        for mode in [Mode::Unary, Mode::Stream] {
            let usual = default_plan(mode, &context(surface));
            let thorough = plan(Depth::Thorough, mode, &context(surface));
            assert!(ids(&usual).is_subset(&ids(&thorough)), "{surface} {mode}");
            assert!(ids(&usual).len() < ids(&thorough).len(), "{surface} {mode}");
            assert_eq!(ids(&thorough).len(), thorough.len(), "an id stands twice");
            assert!(usual.iter().all(|probe| probe.asks == 1));
            assert!(
                thorough
                    .iter()
                    .all(|probe| probe.asks == if probe.stimulus.is_live() { 1 } else { 2 })
            );
        }
    }
}

#[test]
fn what_is_left_out_of_streams_is_in_the_plan_of_unary_calls() {
    let context = context(Surface::Chat);
    let unary = default_plan(Mode::Unary, &context);
    for id in ONCE {
        assert!(ids(&unary).contains(id), "{id} is in no default plan");
    }
}

#[test]
fn a_redirect_elsewhere_leads_to_the_taps_other_name() {
    let location = |authority: &str| {
        let request = RequestContext {
            authority: authority.to_owned(),
            ..request(Surface::Chat, Mode::Unary, "m-1", 1)
        };
        let redirect = crate::stimulus::Redirect { status: 307, elsewhere: true };
        let Act::Answer(answer) = Stimulus::Redirect(redirect).act(&request) else {
            panic!("a redirect is an answer")
        };
        answer.headers.into_iter().find(|(name, _)| name == "location").unwrap().1
    };
    assert_eq!(location("127.0.0.1:4711"), "http://localhost:4711/moved-away/0123456789ab");
    assert_eq!(location("localhost:4711"), "http://127.0.0.1:4711/moved-away/0123456789ab");
    // Behind a proxy the provider has one name only.
    assert_eq!(location("api.example.com"), "/moved/0123456789ab");
}

#[test]
fn another_model_than_the_failing_one_answers() {
    let probes = default_plan(Mode::Unary, &context(Surface::Chat));
    let probe = probes.iter().find(|probe| probe.id == "fallback-503").unwrap();
    let status = |model| {
        let act = probe.stimulus.act(&request(Surface::Chat, Mode::Unary, model, 1));
        let Act::Answer(answer) = act else { panic!("{act:?}") };
        answer.status
    };
    assert_eq!((status("m-1"), status("m-2")), (503, 200));
}

#[test]
fn a_guard_call_to_another_path_takes_the_place_of_one_that_is_relayed() {
    let guarded = Stimulus::Guarded(Box::new(crate::Guarded {
        lead_models: Vec::new(),
        lead_first: 1,
        lead: Stimulus::Relay,
        then: Stimulus::Network(crate::NetworkFault::ResetBeforeHeaders),
    }));
    let act = |attempt, beside| {
        guarded
            .act(&RequestContext { beside, ..request(Surface::Chat, Mode::Unary, "m-1", attempt) })
    };
    assert_eq!(act(1, 0), Act::Relay);
    assert_eq!(act(2, 0), Act::Reset);
    assert_eq!(act(1, 1), Act::Reset);
}

/// Who reads what is streamed as text finds none, and who reads what is streamed as a refusal finds all of it.
#[test]
fn a_streamed_refusal_has_no_text() {
    for (surface, piece) in
        [(Surface::Chat, r#""delta":{"refusal":"#), (Surface::Responses, "response.refusal.delta")]
    {
        let request = request(surface, Mode::Stream, "m-1", 1);
        let plan = default_plan(Mode::Stream, &context(surface));
        let probe = plan.iter().find(|probe| probe.id == "stream-refusal").unwrap();
        let Act::Answer(answer) = probe.stimulus.act(&request) else { panic!("it is answered") };
        let (_, text) = judged(&answer, surface, Mode::Stream).unwrap();
        assert_eq!(text.expose().trim(), "", "{surface}");
        let pieces = answer.pieces.iter().filter(|sent| {
            matches!(sent, Piece::Bytes(bytes) if String::from_utf8_lossy(bytes).contains(piece))
        });
        assert!(pieces.count() > 2, "{surface}");
    }
}

/// Only whoever says that it reads gzip gets it.
#[test]
fn compression_is_for_those_who_ask_for_it() {
    let probe = |accepts_gzip| {
        let request =
            RequestContext { accepts_gzip, ..request(Surface::Chat, Mode::Unary, "m-1", 1) };
        Stimulus::Tolerated(crate::Variation::Gzip).act(&request)
    };
    let documented = Stimulus::Documented.act(&request(Surface::Chat, Mode::Unary, "m-1", 1));
    assert_eq!(probe(false), documented);
    assert_ne!(probe(true), documented);
}

#[test]
fn who_declares_an_optional_field_as_required_gets_it() {
    for (field, is_asked) in [
        ("/choices/0/message/content", true),
        ("/usage/prompt_tokens_details/cached_tokens", false),
        ("/system_fingerprint", false),
    ] {
        let required_fields = [field.to_owned()];
        let context = PlanContext { required_fields: &required_fields, ..context(Surface::Chat) };
        let plan = default_plan(Mode::Unary, &context);
        assert_eq!(ids(&plan).contains("tolerated-minimal"), is_asked, "{field}");
    }
}

//! What gateways do to a conversation, and what of that is a loss.

use super::Loss::{Absent, Changed, Moved, OtherSpeaker, Repeated};
use super::RequestPart::{
    EarlierAnswer, EarlierQuestion, Format, IncludeUsage, Instructions, Question, Stop,
    Temperature, TokenLimit, Tools, TopP,
};
use super::*;
use crate::RequestFacts;
use crate::smoke::prompt;

const BOTH: [Surface; 2] = [Surface::Chat, Surface::Responses];

fn sent(surface: Surface, mode: Mode) -> Value {
    let prompt = prompt("ssm-0123456789ab", "SSL-0123456789ab");
    AskedWith::Conversation.request(surface, mode, "m", &prompt)
}

#[track_caller]
fn check(surface: Surface, mode: Mode, seen: &Value, expected: &[(RequestPart, Loss)]) {
    let lost = AskedWith::Conversation.lost(surface, mode, seen.to_string().as_bytes()).unwrap();
    let lost: Vec<_> = lost.into_iter().map(|lost| (lost.part, lost.loss)).collect();
    assert_eq!(lost, expected, "{seen:#}");
}

/// Changes a chat request in one way.
#[track_caller]
fn chat(change: impl FnOnce(&mut Value), expected: &[(RequestPart, Loss)]) {
    let mut seen = sent(Surface::Chat, Mode::Stream);
    change(&mut seen);
    check(Surface::Chat, Mode::Stream, &seen, expected);
}

fn messages_of(seen: &mut Value) -> &mut Vec<Value> {
    seen["messages"].as_array_mut().unwrap()
}

fn without(seen: &mut Value, name: &str) -> Value {
    seen.as_object_mut().unwrap().remove(name).unwrap()
}

#[test]
fn what_is_sent_is_documented_and_arrives() {
    for surface in BOTH {
        for mode in [Mode::Unary, Mode::Stream] {
            let request = sent(surface, mode);
            let facts = RequestFacts::read(surface, request.to_string().as_bytes());
            assert_eq!(facts.fault, None);
            assert_eq!(facts.label.as_deref(), Some("SSL-0123456789ab"));
            check(surface, mode, &request, &[]);
        }
    }
}

#[test]
fn a_question_alone_has_nothing_to_lose() {
    let request = AskedWith::Question.request(Surface::Chat, Mode::Unary, "m", "q");
    assert_eq!(request["messages"].as_array().map(Vec::len), Some(1));
    assert_eq!(AskedWith::Question.lost(Surface::Chat, Mode::Unary, b"{}"), None);
}

#[test]
fn what_healthy_gateways_do_is_no_loss() {
    chat(
        |seen| {
            let limit = without(seen, "max_tokens");
            seen["max_completion_tokens"] = limit;
        },
        &[],
    );
    chat(|seen| seen["user"] = json!("team-7"), &[]);
    chat(|seen| seen["messages"][0]["role"] = json!("developer"), &[]);
    chat(|seen| seen["stop"] = json!(STOP), &[]);
    chat(|seen| seen["temperature"] = json!(0.250_000_01), &[]);
    chat(|seen| seen["tools"][0]["function"]["strict"] = json!(false), &[]);
    chat(
        |seen| {
            let own = json!({ "role": "system", "content": "Never speak of prices." });
            messages_of(seen).insert(0, own);
        },
        &[],
    );
    // Texts become lists of parts.
    chat(
        |seen| {
            for message in messages_of(seen) {
                let text = message["content"].take();
                message["content"] = json!([{ "type": "text", "text": text }]);
            }
        },
        &[],
    );
    let mut seen = sent(Surface::Responses, Mode::Unary);
    let instructions = without(&mut seen, "instructions");
    let message = json!({ "role": "developer", "content": instructions });
    seen["input"].as_array_mut().unwrap().insert(0, message);
    check(Surface::Responses, Mode::Unary, &seen, &[]);
}

#[test]
fn messages_that_are_lost_are_named() {
    chat(|seen| drop(messages_of(seen).remove(0)), &[(Instructions, Absent)]);
    chat(
        |seen| drop(messages_of(seen).drain(1..3)),
        &[(EarlierQuestion, Absent), (EarlierAnswer, Absent)],
    );
    chat(
        |seen| drop(messages_of(seen).drain(..3)),
        &[(Instructions, Absent), (EarlierQuestion, Absent), (EarlierAnswer, Absent)],
    );
    chat(|seen| drop(messages_of(seen).pop()), &[(Question, Absent)]);
    chat(|seen| seen["messages"][2]["content"] = json!("Sorry."), &[(EarlierAnswer, Absent)]);
    let mut seen = sent(Surface::Responses, Mode::Unary);
    without(&mut seen, "instructions");
    check(Surface::Responses, Mode::Unary, &seen, &[(Instructions, Absent)]);
    seen["input"] = seen["input"][2]["content"].clone();
    let all = [(Instructions, Absent), (EarlierQuestion, Absent), (EarlierAnswer, Absent)];
    check(Surface::Responses, Mode::Unary, &seen, &all);
}

#[test]
fn messages_of_others_in_another_order_or_twice_are_named() {
    chat(|seen| seen["messages"][0]["role"] = json!("user"), &[(Instructions, OtherSpeaker)]);
    chat(|seen| seen["messages"][2]["role"] = json!("user"), &[(EarlierAnswer, OtherSpeaker)]);
    chat(|seen| messages_of(seen).swap(1, 3), &[(EarlierAnswer, Moved), (Question, Moved)]);
    chat(
        |seen| messages_of(seen).rotate_left(1),
        &[(EarlierQuestion, Moved), (EarlierAnswer, Moved), (Question, Moved)],
    );
    chat(
        |seen| {
            let last = messages_of(seen)[3].clone();
            messages_of(seen).push(last);
        },
        &[(Question, Repeated)],
    );
    // All in one.
    chat(
        |seen| {
            let texts: Vec<String> = messages_of(seen).iter().map(text).collect();
            *messages_of(seen) = vec![json!({ "role": "user", "content": texts.join("\n") })];
        },
        &[(Instructions, OtherSpeaker), (EarlierAnswer, OtherSpeaker), (Question, Moved)],
    );
}

#[test]
fn tools_and_parameters_that_are_lost_are_named() {
    for (name, part) in [
        ("tools", Tools),
        ("temperature", Temperature),
        ("top_p", TopP),
        ("max_tokens", TokenLimit),
        ("response_format", Format),
        ("stop", Stop),
        ("stream_options", IncludeUsage),
    ] {
        chat(|seen| drop(without(seen, name)), &[(part, Absent)]);
        chat(|seen| seen[name] = Value::Null, &[(part, Absent)]);
        assert_eq!(part.is_parameter(), part != Tools);
    }
    chat(|seen| seen["tools"] = json!([]), &[(Tools, Absent)]);
    let empty = json!({ "type": "object", "properties": {} });
    chat(|seen| seen["tools"][0]["function"]["parameters"] = empty, &[(Tools, Changed)]);
    chat(|seen| seen["temperature"] = json!(1), &[(Temperature, Changed)]);
    chat(|seen| seen["max_tokens"] = json!(16), &[(TokenLimit, Changed)]);
    chat(|seen| seen["stop"] = json!([]), &[(Stop, Changed)]);
    let mut unary = sent(Surface::Chat, Mode::Unary);
    check(Surface::Chat, Mode::Unary, &unary, &[]);
    without(&mut unary, "tools");
    check(Surface::Chat, Mode::Unary, &unary, &[(Tools, Absent)]);
}

#[test]
fn what_is_no_json_has_lost_all() {
    let lost = AskedWith::Conversation.lost(Surface::Chat, Mode::Stream, b"\xff").unwrap();
    assert_eq!(lost.len(), 11);
    assert!(lost.iter().all(|lost| lost.loss == Absent));
}

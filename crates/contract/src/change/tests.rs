//! Lists and makes changes.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::reply::{DONE, ReplyContext, encode, full, stream, unary, without};
use crate::{Mode, Profile, Surface};

fn context(surface: Surface) -> ReplyContext<'static> {
    ReplyContext {
        surface,
        profile: Profile::Openai,
        model: "m",
        text: "a text of some length",
        id: "id",
        request_id: "r",
        created: 1,
        include_usage: true,
    }
}

fn all() -> impl Iterator<Item = (Surface, Mode)> {
    [Surface::Chat, Surface::Responses]
        .into_iter()
        .flat_map(|surface| [(surface, Mode::Unary), (surface, Mode::Stream)])
}

fn listed(surface: Surface, mode: Mode) -> (WholeReply, Vec<Change>) {
    let reply = full(&context(surface), mode);
    let changes = changes(surface, &reply);
    (reply, changes)
}

fn text_of(reply: &WholeReply) -> String {
    match reply {
        WholeReply::Unary(document) => document.to_string(),
        WholeReply::Stream(events) => String::from_utf8(encode(events)).unwrap(),
    }
}

/// A change that changes nothing would be taken for one that nobody minds.
#[test]
fn every_listed_change_changes_the_reply_and_no_two_do_the_same() {
    for (surface, mode) in all() {
        let (reply, changes) = listed(surface, mode);
        let names: BTreeSet<String> = changes.iter().map(Change::to_string).collect();
        assert_eq!(names.len(), changes.len());
        let mut results = BTreeSet::from([text_of(&reply)]);
        for change in &changes {
            let mut changed = reply.clone();
            changed.apply(std::slice::from_ref(change));
            assert!(results.insert(text_of(&changed)), "{surface} {mode}: {change}");
        }
    }
}

#[test]
fn optional_fields_are_among_them() {
    let (_, unary) = listed(Surface::Chat, Mode::Unary);
    let names: BTreeSet<String> = unary.iter().map(Change::to_string).collect();
    for name in [
        "delete /usage/total_tokens",
        "null /usage",
        "retype /usage/total_tokens",
        "rename /choices/0/finish_reason",
        "delete /system_fingerprint",
        "delete /choices/0/logprobs",
        "delete /choices/0/logprobs/content/0/token",
        "delete /choices/0/message/refusal",
        "delete /choices/0/message/tool_calls",
        "delete /choices/0/message/audio",
        "delete /service_tier",
        "delete /choices/0",
        "add /x_unknown",
        "add /choices/0/message/x_unknown",
    ] {
        assert!(names.contains(name), "{name}");
    }
    // A null has no type to lose, an element no name.
    for name in ["retype /choices/0/message/refusal", "rename /choices/0", "add /choices/x_unknown"]
    {
        assert!(!names.contains(name), "{name}");
    }
    let (_, events) = listed(Surface::Responses, Mode::Stream);
    let names: BTreeSet<String> = events.iter().map(Change::to_string).collect();
    for name in [
        "delete /delta",
        "delete /response/usage/total_tokens",
        "delete event response.in_progress",
        "rename event response.completed",
        "add event response.x_unknown",
    ] {
        assert!(names.contains(name), "{name}");
    }
}

#[test]
fn full_reply_without_its_further_fields_is_the_documented_one() {
    for (surface, mode) in all() {
        let ctx = context(surface);
        let mut reply = full(&ctx, mode);
        reply.apply(&without(surface, mode));
        let documented = match mode {
            Mode::Unary => WholeReply::Unary(unary(&ctx)),
            Mode::Stream => WholeReply::Stream(stream(&ctx)),
        };
        assert_eq!(reply, documented, "{surface} {mode}");
    }
}

#[test]
fn a_change_in_a_stream_is_made_in_every_event() {
    let mut reply = full(&context(Surface::Chat), Mode::Stream);
    reply.apply(&[Change::of_field(ChangeKind::Delete, "/choices/0/delta/content")]);
    assert!(!text_of(&reply).contains("content\":\""), "{}", text_of(&reply));
    reply.apply(&[Change { kind: ChangeKind::Delete, place: Place::Event(DONE.to_owned()) }]);
    assert!(!text_of(&reply).contains(DONE));
}

#[test]
fn types_and_names_change_as_gateways_get_them_wrong() {
    let check = |kind, before: Value, after: Value| {
        let mut reply = WholeReply::Unary(before);
        reply.apply(&[Change::of_field(kind, "/a_b")]);
        assert_eq!(reply, WholeReply::Unary(after));
    };
    use serde_json::json;
    check(ChangeKind::Retype, json!({"a_b": 5}), json!({"a_b": "5"}));
    check(ChangeKind::Retype, json!({"a_b": "5"}), json!({"a_b": 7}));
    check(ChangeKind::Retype, json!({"a_b": true}), json!({"a_b": "true"}));
    check(ChangeKind::Retype, json!({"a_b": {"c": 1}}), json!({"a_b": [{"c": 1}]}));
    check(ChangeKind::Retype, json!({"a_b": [{"c": 1}]}), json!({"a_b": {"c": 1}}));
    check(ChangeKind::Retype, json!({"a_b": []}), json!({"a_b": {}}));
    check(ChangeKind::Rename, json!({"a_b": 5}), json!({"aB": 5}));
    check(ChangeKind::Null, json!({"a_b": 5}), json!({"a_b": null}));
    check(ChangeKind::Delete, json!({"a_b": 5, "c": 1}), json!({"c": 1}));
    check(ChangeKind::Delete, json!({"c": 1}), json!({"c": 1}));
}

proptest! {
    /// Whatever is changed together, in whatever order, is made without a panic and leaves a reply that can be sent.
    #[test]
    fn any_changes_can_be_made_together(picks in prop::collection::vec(any::<prop::sample::Index>(), 0..12), which in 0..4_usize) {
        let (surface, mode) = all().nth(which).unwrap();
        let (mut reply, changes) = listed(surface, mode);
        let picked: Vec<Change> = picks.iter().map(|pick| pick.get(&changes).clone()).collect();
        reply.apply(&picked);
        prop_assert!(text_of(&reply).len() < 20_000);
    }
}

//! What follows from what was learnt: for the configuration, the exit code, and each format.

use contract::{Presence, Surface};
use judge::learning::{Grouping, Needs, Reaction};

use super::*;

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn need(pointer: &str, presence: Presence) -> FieldNeed {
    let reaction = |kind, effect| Reaction { kind, effect };
    FieldNeed {
        place: Place::Field(pointer.to_owned()),
        presence,
        need: Need::Always,
        required_field: Some(pointer.to_owned()),
        reactions: vec![
            reaction(ChangeKind::Delete, Effect::Refused),
            reaction(ChangeKind::Null, Effect::Hung),
            reaction(ChangeKind::Retype, Effect::Same),
            reaction(ChangeKind::Rename, Effect::Refused),
        ],
    }
}

fn release(role: Role, needs: Needs, trouble: Option<Trouble>) -> ReleaseLearnt {
    ReleaseLearnt {
        role,
        grouping: Grouping::Each,
        modes: vec![ModeLearnt {
            mode: Mode::Unary,
            surface: Surface::Chat,
            wire: Mode::Unary,
            places: 49,
            changes: 158,
            left_out: vec![(Place::Field("/metadata".to_owned()), Some(Effect::Refused))],
            needs,
            trouble,
        }],
        problems: Vec::new(),
        asks: 200,
    }
}

fn everything() -> Needs {
    let mut inside = need("/usage/total_tokens", Presence::Optional);
    inside.need = Need::Inside("/usage".to_owned());
    inside.required_field = None;
    Needs {
        fields: vec![
            need("/choices/0/message/content", Presence::Promised),
            inside,
            need("/system_fingerprint", Presence::Optional),
        ],
        additions: vec![(Place::Field("/x_unknown".to_owned()), Effect::Crashed)],
        together: vec![(
            vec![Place::Field("/id".to_owned()), Place::Field("/model".to_owned())],
            Effect::AnsweredOtherwise,
        )],
        untold: Vec::new(),
    }
}

fn content_only() -> Needs {
    Needs {
        fields: vec![need("/choices/0/message/content", Presence::Promised)],
        ..Needs::default()
    }
}

fn learnt(releases: Vec<ReleaseLearnt>, configured: &[&str], is_check: bool) -> Learnt {
    let mut learnt =
        Learnt::of("bot", "test", "simulated", &texts(configured), releases, 100, is_check);
    for (version, release) in &mut learnt.releases {
        *version = if release.role == Role::New { "2.4.0" } else { "2.3.1" }.to_owned();
    }
    learnt
}

fn pair() -> Vec<ReleaseLearnt> {
    vec![release(Role::New, everything(), None), release(Role::Rollback, content_only(), None)]
}

#[test]
fn configuration_is_compared_with_what_was_learnt() {
    let learnt_fields = texts(&["/usage", "/choices/0/message/content"]);
    let check = |configured: &[&str], lacks: &[&str], unneeded: &[&str]| {
        assert_eq!(lacking(&texts(configured), &learnt_fields), texts(lacks));
        assert_eq!(needless(&texts(configured), &learnt_fields), texts(unneeded));
    };
    check(&["/usage", "/choices/0/message/content"], &[], &[]);
    check(&[], &["/usage", "/choices/0/message/content"], &[]);
    // A field inside asks for more than the object round it, which is then there as well.
    check(&["/usage/total_tokens", "/choices/0/message/content"], &[], &["/usage/total_tokens"]);
    // An object round a needed field is there when the field is.
    check(&["/choices", "/usage"], &["/choices/0/message/content"], &[]);
    check(&["/usages", "/id"], &["/usage", "/choices/0/message/content"], &["/usages", "/id"]);
}

#[test]
fn exit_code_says_whether_all_is_known_and_configured() {
    let code =
        |releases, configured: &[&str], check| learnt(releases, configured, check).exit_code();
    let all: &[&str] = &["/choices/0/message/content", "/system_fingerprint"];
    assert_eq!(code(pair(), all, true), 0);
    assert_eq!(code(pair(), &[], false), 0);
    assert_eq!(code(pair(), &[], true), 10);
    let unsure =
        || vec![release(Role::New, Needs::default(), Some(Trouble::Baseline(Effect::Refused)))];
    assert_eq!(code(unsure(), all, true), 11);
    assert_eq!(code(vec![], all, true), 11);
    let mut untold = content_only();
    untold.untold.push(("delete /id".to_owned(), Untold::Flaky));
    assert_eq!(code(vec![release(Role::New, untold, None)], all, true), 11);
}

#[test]
fn difference_of_a_pair_is_told_and_nothing_is_claimed_of_what_is_not_known() {
    let fields = |releases| -> Vec<String> {
        learnt(releases, &[], false).differences.into_iter().map(|one| one.field).collect()
    };
    assert_eq!(fields(pair()), ["/usage/total_tokens", "/system_fingerprint"]);
    let mut releases = pair();
    releases[1].modes[0].needs.untold =
        vec![("delete /system_fingerprint".to_owned(), Untold::Flaky)];
    assert_eq!(fields(releases), ["/usage/total_tokens"]);
    let mut releases = pair();
    releases[1].modes[0].trouble = Some(Trouble::NotAsked);
    assert_eq!(fields(releases), Vec::<String>::new());
}

#[test]
fn people_read_what_is_needed_and_how_it_breaks() {
    insta::assert_snapshot!(
        learnt(pair(), &["/id", "/created"], false).render(crate::terminal::Paint::plain())
    );
}

/// Every field that is printed is in the schema, at every level.
#[test]
fn what_is_printed_is_in_the_schema() {
    let mut releases = pair();
    releases[0].modes[0].needs.untold.push(("null /id".to_owned(), Untold::NotObserved));
    releases[1].modes[0].trouble = Some(Trouble::Flaky(Effect::Hung));
    let schema = learn_schema();
    check(&schema, &schema, &learnt(releases, &[], true).to_json(), "$");
}

#[track_caller]
fn check(
    root: &serde_json::Value,
    schema: &serde_json::Value,
    value: &serde_json::Value,
    path: &str,
) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#')).expect("it is defined");
        return check(root, target, value, path);
    }
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{path}: {value}");
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(|n| n.as_str()) {
        assert!(value.get(name).is_some(), "{path}.{name} is missing");
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let property = &schema["properties"][name];
        assert!(schema["properties"].is_null() || !property.is_null(), "{path}.{name} is unknown");
        check(root, property, inner, &format!("{path}.{name}"));
    }
    for item in value.as_array().into_iter().flatten() {
        check(root, &schema["items"], item, &format!("{path}[]"));
    }
}

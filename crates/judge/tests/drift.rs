//! Settings that change between one accepted pair and the next.

use jiff::Timestamp;
use judge::drift::{PairSettings, Setting, SettingChange, drift};
use judge::gates::Decision;
use judge::{Fact, Finding, Fingerprint, Item, ReleaseIdentity, Role, Severity, Subject};

fn fingerprint(byte: u8) -> Fingerprint {
    Fingerprint::from_digest(&[byte; 8])
}

/// All settings of both releases have the same value.
fn same() -> PairSettings {
    let of = || Setting::ALL.into_iter().map(|setting| (setting, fingerprint(1))).collect();
    PairSettings { new: of(), rollback: of(), ..PairSettings::default() }
}

fn with(mut pair: PairSettings, role: Role, setting: Setting, byte: u8) -> PairSettings {
    let of = match role {
        Role::New => &mut pair.new,
        Role::Rollback => &mut pair.rollback,
    };
    of.insert(setting, fingerprint(byte));
    pair
}

fn both(pair: PairSettings, setting: Setting, byte: u8) -> PairSettings {
    with(with(pair, Role::New, setting, byte), Role::Rollback, setting, byte)
}

fn change(setting: Setting, on: &str) -> SettingChange {
    SettingChange { setting, on: on.parse().expect("a date"), by: "team".to_owned() }
}

fn naming(mut pair: PairSettings, setting: Setting, on: &str) -> PairSettings {
    pair.changes.insert(change(setting, on));
    pair
}

fn decided(decision: Decision, settings: PairSettings) -> Item {
    let identity = |version: &str| ReleaseIdentity {
        version: version.to_owned(),
        image: None,
        run: fingerprint(1),
        credential: None,
    };
    let subject = Subject {
        service: "bot".to_owned(),
        environment: "test".to_owned(),
        new: identity("2.4.0"),
        rollback: identity("2.3.1"),
        configuration: fingerprint(1),
        contract: fingerprint(1),
    };
    let at: Timestamp = "2026-11-20T12:00:00Z".parse().expect("a time");
    Item { run: "run".to_owned(), at, subject, fact: Fact::Decided { decision, settings } }
}

fn accepted(settings: PairSettings) -> Vec<Item> {
    vec![decided(Decision::PromoteSmallStep, settings)]
}

fn findings(current: &PairSettings, items: &[Item]) -> Vec<Finding> {
    drift(current, items, "2026-11-22".parse().expect("a date"))
}

#[track_caller]
fn check(current: &PairSettings, items: &[Item], expected: &[&str]) {
    let found = findings(current, items);
    let seen: Vec<&str> = found.iter().map(|finding| finding.seen.as_str()).collect();
    assert_eq!(seen.len(), expected.len(), "{seen:?}");
    for (seen, expected) in seen.iter().zip(expected) {
        assert!(seen.contains(expected), "{expected:?} is not in {seen:?}");
    }
    for finding in found {
        assert_eq!(
            (finding.code.as_str(), finding.severity),
            ("settings-drifted", Severity::Ambiguous)
        );
    }
}

#[test]
fn first_pair_has_nothing_to_be_compared_with() {
    check(&same(), &[], &[]);
    // Pairs that were not accepted set no mark.
    for decision in [Decision::Hold, Decision::Rollback] {
        check(&both(same(), Setting::Model, 2), &[decided(decision, same())], &[]);
    }
}

#[test]
fn change_of_both_releases_holds_for_each_setting() {
    for setting in Setting::ALL {
        let expected = format!("another `{}` of `new` and `rollback`", setting.as_str());
        check(&both(same(), setting, 2), &accepted(same()), &[&expected]);
        check(&same(), &accepted(same()), &[]);
    }
}

#[test]
fn what_is_allowed_of_one_release_is_seen_by_no_comparison() {
    for setting in Setting::ALL {
        let alone = with(same(), Role::New, setting, 2);
        let expected = format!("another `{}` of `new`", setting.as_str());
        match setting {
            // The comparison of the pair and its probes are about these two.
            Setting::Model | Setting::Endpoint => check(&alone, &accepted(same()), &[]),
            Setting::Retry
            | Setting::Deadline
            | Setting::CallsPerAsk
            | Setting::Models
            | Setting::FallbackModels => check(&alone, &accepted(same()), &[&expected]),
        }
        // The way back leads to something that nobody has accepted.
        let back = with(same(), Role::Rollback, setting, 2);
        let expected = format!("another `{}` of `rollback`", setting.as_str());
        check(&back, &accepted(same()), &[&expected]);
    }
}

#[test]
fn accepted_new_is_the_next_rollback() {
    let pair = with(same(), Role::New, Setting::Deadline, 2);
    for next in [same(), both(same(), Setting::Deadline, 2), pair.clone()] {
        check(&next, &accepted(pair.clone()), &[]);
    }
    check(&both(same(), Setting::Deadline, 3), &accepted(pair), &["another `deadline`"]);
}

#[test]
fn newest_accepted_pair_counts() {
    let mut items = accepted(same());
    items.extend(accepted(both(same(), Setting::Model, 2)));
    items.push(decided(Decision::Hold, both(same(), Setting::Model, 3)));
    check(&both(same(), Setting::Model, 2), &items, &[]);
    check(&same(), &items, &["another `model`"]);
}

#[test]
fn named_change_passes_once() {
    let changed = both(same(), Setting::Model, 2);
    let named = naming(changed.clone(), Setting::Model, "2026-11-21");
    check(&named, &accepted(same()), &[]);
    // The entry of another setting, or one that is yet to come, names nothing.
    let other = naming(changed.clone(), Setting::Deadline, "2026-11-21");
    check(&other, &accepted(same()), &["another `model`"]);
    let early = naming(changed, Setting::Model, "2026-12-24");
    check(&early, &accepted(same()), &["another `model`"]);
    // Once a pair with it was accepted, it stands for that change and for no later one.
    let later = both(named.clone(), Setting::Model, 3);
    check(&later, &accepted(named.clone()), &["another `model`"]);
    let again = naming(later, Setting::Model, "2026-11-22");
    check(&again, &accepted(named), &[]);
}

#[test]
fn finding_says_since_when_and_never_a_value() {
    let current = both(both(same(), Setting::Model, 2), Setting::Retry, 2);
    let found = findings(&current, &accepted(same()));
    assert_eq!(found.len(), 2);
    let expected = &found[0].expected;
    assert!(expected.contains("2026-11-20 (new 2.4.0, rollback 2.3.1)"), "{expected}");
    assert!(found[0].advice.contains("{ setting: model, on: 2026-11-22, by: … }"));
    let text = format!("{found:?}");
    assert!(!text.contains(fingerprint(2).as_str()), "{text}");
}

#[test]
fn names_are_those_of_the_configuration() {
    for setting in Setting::ALL {
        assert_eq!(Setting::from_name(setting.as_str()), Some(setting));
        let stored = serde_json::to_value(setting).expect("it serialises");
        assert_eq!(stored, setting.as_str());
    }
    assert_eq!(Setting::from_name("timeout"), None);
}

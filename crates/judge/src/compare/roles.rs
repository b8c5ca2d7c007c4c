//! Compares who speaks in the requests of the two releases: instructions that are lost, or given away as a user's words, change what a
//! model answers to everybody.

use contract::MessageRole;

use super::PairIntent;
use crate::{Finding, Role, Severity};

/// Messages that are named of each request.
const SHOWN_MAX: usize = 8;

/// Compares the roles of both requests.
pub(super) fn compare(
    new: &[MessageRole],
    rollback: &[MessageRole],
    intent: PairIntent,
) -> Option<Finding> {
    if new == rollback {
        return None;
    }
    let instructions =
        |roles: &[MessageRole]| roles.iter().filter(|role| **role == MessageRole::System).count();
    let (of_new, of_rollback) = (instructions(new), instructions(rollback));
    let has_lost = of_new < of_rollback;
    let speaks_otherwise = new.len() == rollback.len();
    // Not every model knows every role: then a release for another one has to send its texts otherwise.
    let may_be_needed = intent.providers_differ || intent.models_differ;
    let severity = if (has_lost || speaks_otherwise) && !may_be_needed {
        Severity::Fail
    } else {
        Severity::Warn
    };
    let (role, measure, seen) = if of_rollback < of_new {
        (Role::Rollback, new, rollback)
    } else {
        (Role::New, rollback, new)
    };
    let advice = if of_new == of_rollback {
        "Look whether the difference is meant: a message that was added, dropped or given to another speaker changes what the model answers to everybody."
    } else {
        "The model is not told by one release what it is told by the other: instructions were dropped, or are sent as a user's words, which no model is bound by. Send them as `system` (or `developer`, or `instructions`)."
    };
    Some(
        Finding::new(
            severity,
            "pair-request-differs",
            format!("messages of {}, as the other release", listed(measure)),
            format!("messages of {}", listed(seen)),
            advice,
        )
        .of_release(role),
    )
}

/// Names the speakers in their order.
fn listed(roles: &[MessageRole]) -> String {
    let shown: Vec<&str> = roles.iter().take(SHOWN_MAX).map(|role| role.as_str()).collect();
    let rest = roles.len().saturating_sub(SHOWN_MAX);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("[{}]{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use contract::MessageRole::{Another, Assistant, System, User};

    use super::*;

    const ALIKE: PairIntent = PairIntent {
        providers_differ: false,
        credential_sources_differ: false,
        models_differ: false,
    };

    #[track_caller]
    fn check(new: &[MessageRole], rollback: &[MessageRole], expected: Option<(Severity, Role)>) {
        let found = compare(new, rollback, ALIKE);
        let seen = found.as_ref().map(|finding| (finding.severity, finding.release));
        assert_eq!(seen, expected.map(|(severity, role)| (severity, Some(role))), "{found:#?}");
    }

    #[test]
    fn who_speaks_alike_is_no_difference() {
        check(&[System, User], &[System, User], None);
        check(&[], &[], None);
    }

    #[test]
    fn lost_instructions_fail() {
        check(&[User], &[System, User], Some((Severity::Fail, Role::New)));
        check(&[System, User], &[System, System, User], Some((Severity::Fail, Role::New)));
        check(&[User, Assistant, User], &[System, User], Some((Severity::Fail, Role::New)));
    }

    #[test]
    fn instructions_as_the_words_of_another_fail_at_the_release_that_does_it() {
        check(&[User, User], &[System, User], Some((Severity::Fail, Role::New)));
        check(&[System, User], &[User, User], Some((Severity::Fail, Role::Rollback)));
        check(&[User, System], &[System, User], Some((Severity::Fail, Role::New)));
        check(&[System, Another], &[System, User], Some((Severity::Fail, Role::New)));
    }

    #[test]
    fn what_is_added_is_looked_at() {
        check(&[System, User], &[User], Some((Severity::Warn, Role::Rollback)));
        check(&[System, User, Assistant, User], &[System, User], Some((Severity::Warn, Role::New)));
        check(&[System, User], &[System, User, User], Some((Severity::Warn, Role::New)));
    }

    #[test]
    fn another_model_may_need_other_roles() {
        for intent in [
            PairIntent { models_differ: true, ..ALIKE },
            PairIntent { providers_differ: true, ..ALIKE },
        ] {
            let found = compare(&[User, User], &[System, User], intent).unwrap();
            assert_eq!(found.severity, Severity::Warn);
        }
    }

    #[test]
    fn speakers_are_named_up_to_a_limit() {
        let found = compare(&[User; 11], &[System, User], ALIKE).unwrap();
        assert_eq!(found.expected, "messages of [system, user], as the other release");
        assert_eq!(
            found.seen,
            "messages of [user, user, user, user, user, user, user, user] and 3 more"
        );
    }
}

//! Whose a file is, and what is found in it.

use evidence::{Needle, NeedleKind, Sensitive};
use judge::judging::LeakKind;

use super::*;
use crate::bench::ReleaseSecrets;
use crate::ports::FileId;

const KEY: &str = "K0a1b2c3d4e5f6a7b8";
const OTHER: &str = "Kffeeddccbbaa99887";

fn secrets(new: &str, rollback: &str) -> Secrets {
    let of = |value: &str| ReleaseSecrets {
        values: vec![("API_KEY".to_owned(), Sensitive::new(value))],
        ..ReleaseSecrets::default()
    };
    Secrets { new: of(new), rollback: of(rollback) }
}

fn scanner(secrets: &Secrets) -> Scanner {
    let needle = |role: Role| {
        let name = format!("secret API_KEY of {role}");
        Needle::new(NeedleKind::Credential, name, secrets.of(role).values[0].1.clone())
    };
    Scanner::new(Role::BOTH.map(needle))
}

fn file(path: &str, fresh: &str, old: &str) -> ChangedFile {
    ChangedFile {
        folders: vec![0],
        path: path.to_owned(),
        id: FileId { device: 1, inode: 1 },
        is_private: false,
        fresh: Sensitive::new(fresh),
        old: Sensitive::new(old),
    }
}

#[track_caller]
fn assert_author(
    folders: &[Role],
    writers: &[Role],
    text: &str,
    same_key: bool,
    expected: Option<Role>,
) {
    let secrets = secrets(KEY, if same_key { KEY } else { OTHER });
    let leaks = leaks_of(&file("a.log", text, ""), &scanner(&secrets));
    let of = folders.iter().copied().collect();
    assert_eq!(author(&of, writers, &leaks, &secrets), expected, "{text}");
}

#[test]
fn file_is_the_releases_of_whom_that_can_be_told() {
    use Role::{New, Rollback};
    let both = &[New, Rollback];
    // In a folder of its own, whatever stands there.
    assert_author(&[Rollback], &[], KEY, true, Some(Rollback));
    // In one that both share: by who has it open, or by whose the credential is alone.
    assert_author(both, &[Rollback], KEY, true, Some(Rollback));
    assert_author(both, &[New, Rollback], KEY, true, None);
    assert_author(both, &[], KEY, true, None);
    assert_author(both, &[], OTHER, false, Some(Rollback));
    assert_author(both, &[], KEY, false, Some(New));
    assert_author(both, &[], &format!("{KEY} {OTHER}"), false, None);
}

#[test]
fn shared_credential_is_not_called_one_releases() {
    let name = || "secret API_KEY of new".to_owned();
    let shared = secrets(KEY, KEY);
    assert_eq!(named_for(Some(Role::Rollback), name(), &shared), "secret API_KEY");
    assert_eq!(named_for(None, name(), &shared), "secret API_KEY");
    assert_eq!(named_for(Some(Role::New), name(), &shared), name());
    assert_eq!(named_for(None, name(), &secrets(KEY, OTHER)), name());
}

#[test]
fn what_is_new_hides_the_same_of_before() {
    let scanner = scanner(&secrets(KEY, KEY));
    let ages = |fresh: &str, old: &str| -> Vec<Age> {
        leaks_of(&file("a.log", fresh, old), &scanner).into_iter().map(|(age, _)| age).collect()
    };
    assert_eq!(ages(KEY, KEY), [Age::Fresh]);
    assert_eq!(ages("fine", KEY), [Age::Old]);
    assert_eq!(ages("fine", "fine"), []);
}

#[test]
fn unknown_token_counts_in_logs_only() {
    let scanner = Scanner::new([]);
    let token = "session=sk-9fK2mQ7xT4vB1nZ8cR5y";
    let found = |path: &str| leaks_of(&file(path, token, ""), &scanner).len();
    assert_eq!((found("debug.log"), found("sessions.db")), (1, 0));
}

#[test]
fn name_with_a_secret_in_it_is_a_leak_and_not_shown() {
    let scanner = scanner(&secrets(KEY, KEY));
    let path = format!("cache/{KEY}.json");
    let leaks = leaks_of(&file(&path, "", ""), &scanner);
    assert_eq!(leaks.iter().map(|(_, leak)| leak.kind).collect::<Vec<_>>(), [LeakKind::Credential]);
    assert_eq!(shown(&path, &scanner), "cache/[redacted:credential].json");
    assert_eq!(shown("a\nb", &scanner), "a?b");
    assert_eq!(shown(&format!("{}/a.log", "x".repeat(200)), &scanner).len(), PATH_SHOWN);
}

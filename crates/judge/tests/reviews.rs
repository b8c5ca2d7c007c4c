//! Reviews of the contract: which one counts, when a change shows, and what is known where a source cannot be read.

use jiff::{SignedDuration, Timestamp};
use judge::reviews::{Review, Reviewed, Sighting, SourceDigest, judge_reviews, standings};
use judge::{Fact, Fingerprint, Item, ReleaseIdentity, Severity, Subject};

const PAGE: &str = "https://docs.example/chat";

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().expect("a time")
}

fn digest(byte: u8) -> SourceDigest {
    SourceDigest::of_sha256(&[byte; 32])
}

fn review(on: &str, accepted: Option<u8>) -> Review {
    Review {
        source: PAGE.to_owned(),
        on: on.parse().expect("a date"),
        by: "team".to_owned(),
        digest: accepted.map(digest),
    }
}

fn item(hours_ago: i64, fact: Fact) -> Item {
    let fingerprint = || Fingerprint::from_digest(&[1; 8]);
    let identity = || ReleaseIdentity {
        version: "any".to_owned(),
        image: None,
        run: fingerprint(),
        credential: None,
    };
    let subject = Subject {
        service: "bot".to_owned(),
        environment: "test".to_owned(),
        new: identity(),
        rollback: identity(),
        configuration: fingerprint(),
        contract: fingerprint(),
    };
    let at = now() - SignedDuration::from_hours(hours_ago);
    Item { run: "run".to_owned(), at, subject, fact }
}

fn read(hours_ago: i64, sighting: Sighting) -> Item {
    item(hours_ago, Fact::SourceRead { source: PAGE.to_owned(), sighting })
}

fn content(byte: u8) -> Sighting {
    Sighting::Content { digest: digest(byte) }
}

fn unreadable() -> Sighting {
    Sighting::Unreadable { why: "connection refused".to_owned() }
}

fn gone() -> Sighting {
    Sighting::Gone { how: "status 404".to_owned() }
}

fn accepted(on: &str, byte: u8) -> Item {
    item(1, Fact::SourceAccepted(review(on, Some(byte))))
}

fn judged(configured: &[Review], items: &[Item]) -> Reviewed {
    judge_reviews(configured, items, now(), SignedDuration::from_hours(24))
}

#[track_caller]
fn check(configured: &[Review], items: &[Item], expected: &[&str]) {
    let reviewed = judged(configured, items);
    let codes: Vec<&str> = reviewed.findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, expected, "{:#?}", reviewed.findings);
}

const NOT_NOTED: &str = "contract-review-without-digest";
const CHANGED: &str = "contract-content-changed";
const UNREADABLE: &str = "contract-source-unreadable";

#[test]
fn reviews_count_for_ninety_days() {
    check(&[review("2026-11-20", None)], &[], &[NOT_NOTED]);
    check(&[review("2026-08-24", None)], &[], &[NOT_NOTED]);
    check(&[review("2026-08-23", None)], &[], &["contract-review-stale", NOT_NOTED]);
    check(&[review("2027-01-01", None)], &[], &["contract-review-in-the-future", NOT_NOTED]);
    // Somewhere it is tomorrow already.
    check(&[review("2026-11-23", None)], &[], &[NOT_NOTED]);
    check(&[], &[], &["contract-not-reviewed"]);
}

#[test]
fn newest_review_of_a_source_counts() {
    let old = review("2025-01-01", Some(1));
    check(&[old.clone(), review("2026-11-20", None)], &[], &[NOT_NOTED]);
    check(std::slice::from_ref(&old), &[accepted("2026-11-22", 2), read(1, content(2))], &[]);
    check(
        std::slice::from_ref(&old),
        &[accepted("2026-11-22", 2), read(1, content(1))],
        &[CHANGED],
    );
    // A date renewed by hand after an acceptance says that the page was read, and not what was read.
    let items = [accepted("2026-11-20", 2), read(1, content(3))];
    check(&[review("2026-11-21", None)], &items, &[NOT_NOTED]);
    // Of two acceptances the last replaces the first, also on one day.
    let items = [accepted("2026-11-22", 1), accepted("2026-11-22", 2), read(1, content(1))];
    check(std::slice::from_ref(&old), &items, &[CHANGED]);
    // Configuration and ledger of one day both count.
    for byte in [4, 5] {
        let items = [accepted("2026-11-20", 5), read(1, content(byte))];
        check(&[review("2026-11-20", Some(4))], &items, &[]);
    }
    // What is accepted of one source says nothing about another.
    let mut other = review("2026-11-20", None);
    other.source = "elsewhere".to_owned();
    check(&[other], &[accepted("2026-11-22", 1), read(1, content(1))], &[NOT_NOTED]);
}

#[test]
fn change_fails_and_what_cannot_be_read_is_ambiguous() {
    let noted = [review("2026-11-20", Some(1))];
    check(&noted, &[read(0, content(1))], &[]);
    check(&noted, &[read(0, content(2))], &[CHANGED]);
    check(&noted, &[read(0, gone())], &[CHANGED]);
    check(&noted, &[], &[UNREADABLE]);
    check(&noted, &[read(0, unreadable())], &[UNREADABLE]);
    // What was read last speaks for a source that cannot be reached, while it is young.
    check(&noted, &[read(23, content(1)), read(0, unreadable())], &[]);
    check(&noted, &[read(24, content(1)), read(0, unreadable())], &[UNREADABLE]);
    check(&noted, &[read(23, content(2)), read(0, unreadable())], &[CHANGED]);
    check(&noted, &[read(23, gone()), read(0, unreadable())], &[CHANGED]);
    // The newest reading counts, whatever was before.
    check(&noted, &[read(2, content(2)), read(1, content(1))], &[]);
    check(&noted, &[read(2, content(1)), read(1, content(2))], &[CHANGED]);
    // A clock that is ahead proves nothing.
    check(&noted, &[read(-1, content(1))], &[UNREADABLE]);

    let severity = |items: &[Item]| judged(&noted, items).findings[0].severity;
    assert_eq!(severity(&[read(0, content(2))]), Severity::Fail);
    assert_eq!(severity(&[]), Severity::Ambiguous);
    assert_eq!(judged(&[review("2026-11-20", None)], &[]).findings[0].severity, Severity::Warn);
}

#[test]
fn result_is_as_old_as_the_oldest_reading() {
    let mut other = review("2026-11-20", Some(1));
    other.source = "elsewhere".to_owned();
    let of_other = |hours_ago| {
        item(hours_ago, Fact::SourceRead { source: "elsewhere".to_owned(), sighting: content(1) })
    };
    let noted = [review("2026-11-20", Some(1)), other];
    let since = judged(&noted, &[of_other(7), read(3, content(1))]).since;
    assert_eq!(since, Some(now() - SignedDuration::from_hours(7)));
    assert_eq!(judged(&[review("2026-11-20", None)], &[read(3, content(1))]).since, None);
}

#[test]
fn standing_review_names_who_and_when() {
    let items = [accepted("2026-11-22", 2)];
    let found = standings(&[review("2026-11-20", Some(1))], &items);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].review.on.to_string(), "2026-11-22");
    assert_eq!(found[0].accepted, [digest(2)]);
    // On one day, the one who noted what was read.
    for (configured, in_ledger, by) in [(None, 2, "alice"), (Some(1), 2, "alice")] {
        let mut accepted = review("2026-11-22", Some(in_ledger));
        accepted.by = "alice".to_owned();
        let items = [item(1, Fact::SourceAccepted(accepted))];
        assert_eq!(standings(&[review("2026-11-22", configured)], &items)[0].review.by, by);
    }
}

#[test]
fn digests_are_checked() {
    let good = format!("sha256:{}", "0a".repeat(32));
    assert_eq!(SourceDigest::try_from(good.clone()).map(String::from), Ok(good));
    for bad in
        ["", "sha256:", "sha256:00", &"0a".repeat(32), &format!("sha256:{}", "0G".repeat(32))]
    {
        assert!(SourceDigest::try_from(bad.to_owned()).is_err(), "{bad}");
    }
}

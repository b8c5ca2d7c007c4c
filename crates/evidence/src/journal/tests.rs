//! The journal: what is announced is on disk, and only while the lease holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::{Acquire, Holder, Lease, Needle, NeedleKind, Sensitive};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

async fn journal() -> (tempfile::TempDir, Ledger, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&folder.path().join("ledger.db")).await.unwrap();
    let holder = Holder::this_process();
    let acquired = Lease::acquire(&ledger, "bot", "staging", &holder, at(0), at(60)).await.unwrap();
    let Acquire::Acquired { lease, .. } = acquired else { panic!("nobody else is there") };
    let journal = Journal::new(ledger.clone(), "bot", "staging", lease.fence());
    (folder, ledger, journal)
}

#[tokio::test]
async fn unfinished_run_is_found_with_what_it_was_about_to_do() {
    let (_folder, ledger, journal) = journal().await;
    assert_eq!(journal.unfinished().await.unwrap(), None);
    let began = journal.record("one", Intent::Began, at(1)).await.unwrap();
    journal.done("one", began, "", at(1)).await.unwrap();
    let shift = journal.record("one", Intent::Shift { percent_new: 5 }, at(2)).await.unwrap();
    assert_eq!((shift.seq(), shift.intent()), (3, &Intent::Shift { percent_new: 5 }));
    let found = journal.unfinished().await.unwrap().unwrap();
    assert_eq!(found.run, "one");
    let intents: Vec<_> =
        found.intents.iter().map(|i| (i.seq, i.at, &i.intent, i.done.as_deref())).collect();
    let expected =
        [(1, at(1), &Intent::Began, Some("")), (3, at(2), &Intent::Shift { percent_new: 5 }, None)];
    assert_eq!(intents, expected);
    assert!(found.may_have_moved_traffic());
    assert_eq!(unfinished(&ledger, "bot", "production").await.unwrap(), None);

    let _second = journal.record("two", Intent::Began, at(3)).await.unwrap();
    let _back = journal.record("one", Intent::Restored, at(4)).await.unwrap();
    let found = journal.unfinished().await.unwrap().unwrap();
    assert_eq!((found.run.as_str(), found.may_have_moved_traffic()), ("one", false));
    journal.close("one", "taken over", at(5)).await.unwrap();
    let found = journal.unfinished().await.unwrap().unwrap();
    assert_eq!((found.run.as_str(), found.may_have_moved_traffic()), ("two", false));
    journal.close("two", "hold", at(6)).await.unwrap();
    assert_eq!(journal.unfinished().await.unwrap(), None);
}

#[tokio::test]
async fn hook_is_called_after_each_entry_is_on_disk() {
    let (_folder, _ledger, mut journal) = journal().await;
    let calls = Arc::new(AtomicU64::new(0));
    let seen = calls.clone();
    journal.on_record(Box::new(move |seq| {
        seen.fetch_add(seq, Ordering::Relaxed);
    }));
    let step = journal.record("one", Intent::Step { n: 1 }, at(1)).await.unwrap();
    journal.done("one", step, "pass", at(2)).await.unwrap();
    journal.close("one", "hold", at(3)).await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1 + 2 + 3);
}

#[tokio::test]
async fn journal_is_append_only_and_survives_reopening() {
    let (folder, ledger, journal) = journal().await;
    let ended = Intent::Ended { decision: "hold".to_owned() };
    for intent in [Intent::Began, Intent::Step { n: 0 }, Intent::Restore, Intent::Restored, ended] {
        let _durable = journal.record("one", intent, at(1)).await.unwrap();
    }
    for change in ["UPDATE journal SET body = ''", "DELETE FROM journal"] {
        assert!(ledger.store().rows(query(change)).await.is_err(), "{change}");
    }
    ledger.close().await;
    let ledger = Ledger::open_read_only(&folder.path().join("ledger.db")).await.unwrap();
    let found = unfinished(&ledger, "bot", "staging").await.unwrap().unwrap();
    assert_eq!(found.intents.len(), 5);
}

#[tokio::test]
async fn nothing_is_recorded_without_a_lease() {
    let (_folder, ledger, _journal) = journal().await;
    let stranger = Journal::new(ledger, "bot", "production", 1);
    let result = stranger.record("one", Intent::Began, at(1)).await;
    assert!(matches!(result, Err(LedgerError::LeaseLost { .. })), "{result:?}");
}

#[tokio::test]
async fn notes_are_redacted() {
    let (_folder, _ledger, mut journal) = journal().await;
    let secret = Sensitive::new("hunter2-but-longer");
    journal.redact_with(Scanner::new([Needle::new(NeedleKind::Credential, "k", secret)]));
    let step = journal.record("one", Intent::Step { n: 1 }, at(1)).await.unwrap();
    journal.done("one", step, "key\nhunter2-but-longer was refused", at(2)).await.unwrap();
    let found = journal.unfinished().await.unwrap().unwrap();
    let note = found.intents[0].done.as_deref();
    assert_eq!(note, Some("key [redacted:credential] was refused"));
}

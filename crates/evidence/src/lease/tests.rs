//! The lease: one holder, and dead ones do not block.

use std::process::{Command, Stdio};

use super::*;
use crate::{Intent, Journal};

async fn ledger() -> (tempfile::TempDir, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&folder.path().join("ledger.db")).await.unwrap();
    (folder, ledger)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

async fn acquire(ledger: &Ledger, holder: &Holder, now: i64) -> Acquire {
    Lease::acquire(ledger, "bot", "staging", holder, at(now), at(now + 60)).await.unwrap()
}

#[track_caller]
fn acquired(acquire: Acquire) -> (Lease, Option<Holder>) {
    match acquire {
        Acquire::Acquired { lease, took_over_from } => (lease, took_over_from),
        Acquire::HeldBy { holder, until } => panic!("held by {holder} until {until}"),
    }
}

#[tokio::test]
async fn second_drill_waits_until_the_first_ends() {
    let (_folder, ledger) = ledger().await;
    let (one, two) = (Holder::named("one"), Holder::named("two"));
    let (lease, took_over_from) = acquired(acquire(&ledger, &one, 0).await);
    assert_eq!((lease.fence(), took_over_from), (1, None));
    let Acquire::HeldBy { holder, until } = acquire(&ledger, &two, 59).await else { panic!() };
    assert_eq!((holder, until), (one.clone(), at(60)));
    let elsewhere = Lease::acquire(&ledger, "bot", "production", &two, at(1), at(2)).await.unwrap();
    acquired(elsewhere);
    lease.renew(at(100)).await.unwrap();
    assert!(matches!(acquire(&ledger, &two, 70).await, Acquire::HeldBy { .. }));
    lease.release().await.unwrap();
    let (lease, took_over_from) = acquired(acquire(&ledger, &two, 71).await);
    assert_eq!((lease.fence(), took_over_from), (2, None));
}

#[tokio::test]
async fn lease_that_is_over_is_taken_and_its_holder_can_do_nothing_more() {
    let (_folder, ledger) = ledger().await;
    let (one, two) = (Holder::named("one"), Holder::named("two"));
    let (old, _) = acquired(acquire(&ledger, &one, 0).await);
    let journal = Journal::new(ledger.clone(), "bot", "staging", old.fence());
    let _durable = journal.record("run", Intent::Began, at(1)).await.unwrap();
    let (new, took_over_from) = acquired(acquire(&ledger, &two, 60).await);
    assert_eq!((new.fence(), took_over_from), (2, Some(one)));
    assert!(matches!(old.renew(at(200)).await, Err(LedgerError::LeaseLost { fence: 1, .. })));
    let late = journal.record("run", Intent::Shift { percent_new: 5 }, at(61)).await;
    assert!(matches!(late, Err(LedgerError::LeaseLost { fence: 1, .. })), "{late:?}");
    assert!(matches!(old.release().await, Err(LedgerError::LeaseLost { .. })));
    new.renew(at(200)).await.unwrap();
}

#[tokio::test]
async fn killed_holder_is_taken_over_at_once_and_a_living_one_is_not() {
    let (_folder, ledger) = ledger().await;
    let me = Holder::this_process();
    assert!(!me.is_dead());
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let start = holder::tests_start_of(child.id());
    let (rest, _) = me.as_str().rsplit_once('/').unwrap();
    let (place, _) = rest.rsplit_once('/').unwrap();
    let theirs = Holder::from_stored(format!("{place}/{}/{start}", child.id()));
    let again = Holder::from_stored(format!("{place}/{}/{}", child.id(), start + 1));
    let elsewhere = Holder::from_stored(format!("other-boot/pid:[1]/{}/{start}", child.id()));
    acquired(acquire(&ledger, &theirs, 0).await);
    assert!(
        !theirs.is_dead() && again.is_dead(),
        "a number that was used again is another process"
    );
    assert!(matches!(acquire(&ledger, &me, 1).await, Acquire::HeldBy { .. }));
    child.kill().unwrap();
    // Dead also before it is reaped; the kernel needs a moment to get there.
    let deadline = std::time::Duration::from_secs(10);
    let wait = async {
        while !theirs.is_dead() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(deadline, wait).await.unwrap();
    let (lease, took_over_from) = acquired(acquire(&ledger, &me, 1).await);
    assert_eq!((lease.fence(), took_over_from), (2, Some(theirs)));
    child.wait().unwrap();
    assert!(!elsewhere.is_dead(), "of another machine's processes we know nothing");
    assert!(!Holder::named("ci-job-7").is_dead());
}

#[tokio::test]
async fn own_lease_is_acquired_again_with_a_new_number() {
    let (_folder, ledger) = ledger().await;
    let me = Holder::this_process();
    acquired(acquire(&ledger, &me, 0).await);
    let (lease, took_over_from) = acquired(acquire(&ledger, &me, 1).await);
    assert_eq!((lease.fence(), took_over_from), (2, None));
}

#[test]
fn a_holder_of_this_machine_can_be_found_and_ended() {
    let holder = Holder::this_process();
    assert_eq!(holder.pid_here(), Some(std::process::id()));
    let age = Timestamp::now().duration_since(holder.since().unwrap()).as_secs();
    assert!((-2..600).contains(&age), "{age} seconds");
    let elsewhere = Holder::from_stored("other-boot/pid:[1]/4711/99".to_owned());
    assert_eq!((elsewhere.pid_here(), elsewhere.since()), (None, None));
    assert_eq!(Holder::named("job 7").pid_here(), None);
}

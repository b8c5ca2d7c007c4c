//! The ledger: every change and every gap is found.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::record::tests::record;
use crate::{Needle, NeedleKind, Scanner, Sensitive};

struct Fixture {
    folder: tempfile::TempDir,
    ledger: Ledger,
}

impl Fixture {
    fn path(&self) -> PathBuf {
        self.folder.path().join("deep/ledger.db")
    }

    /// Runs SQL as somebody would who has the file and no respect.
    async fn tamper(&self, statements: &[&'static str]) {
        for trigger in ["DROP TRIGGER records_no_update", "DROP TRIGGER records_no_delete"] {
            self.ledger.store.rows(query(trigger)).await.unwrap();
        }
        for statement in statements {
            self.ledger.store.rows(query(statement)).await.unwrap();
        }
    }
}

fn sealed(run: &str, n: u32) -> Sealed {
    record(run, n).seal(&Scanner::default())
}

async fn ledger_of(n_records: u32) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&folder.path().join("deep/ledger.db")).await.unwrap();
    ledger.append_all((1..=n_records).map(|n| sealed("run", n)).collect()).await.unwrap();
    Fixture { folder, ledger }
}

#[tokio::test]
async fn what_is_appended_is_read_back_after_reopening() {
    let fixture = ledger_of(3).await;
    let receipt = fixture.ledger.append(sealed("other", 1)).await.unwrap();
    assert_eq!((receipt.seq, receipt.record_id.as_str()), (4, "other-1"));
    let fingerprint = fixture.ledger.fingerprinter().fingerprint("d", b"x");
    fixture.ledger.close().await;

    let ledger = Ledger::open(&fixture.path()).await.unwrap();
    assert_eq!(ledger.fingerprinter().fingerprint("d", b"x"), fingerprint);
    let all = ledger.records(&RecordFilter::default()).await.unwrap();
    assert_eq!(all.iter().map(|stored| stored.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(all[3].record, record("other", 1));
    assert_eq!(all[3].prev, all[2].hash);
    let run = RecordFilter { run: Some("run".to_owned()), last: Some(2), ..Default::default() };
    let last = ledger.records(&run).await.unwrap();
    assert_eq!(last.iter().map(|stored| stored.seq).collect::<Vec<_>>(), [2, 3]);
    let since = record("run", 1).time;
    assert_eq!(ledger.items("support-bot", "staging", Some(since)).await.unwrap().len(), 4);
    let later = since.checked_add(jiff::SignedDuration::from_secs(1)).unwrap();
    assert_eq!(ledger.items("support-bot", "staging", Some(later)).await.unwrap().len(), 0);
    assert_eq!(ledger.items("support-bot", "production", None).await.unwrap().len(), 0);
    assert!(ledger.record("run-2").await.unwrap().is_some());
    assert_eq!(ledger.record("run-9").await.unwrap(), None);
    assert_eq!(ledger.last_run("support-bot", "staging").await.unwrap().as_deref(), Some("other"));
    let report = ledger.verify().await.unwrap();
    assert_eq!((report.records, &report.breaks), (4, &Vec::new()));
    assert_eq!(report.head, Some(ledger.head().await.unwrap()));
}

#[tokio::test]
async fn empty_ledger_is_intact_and_private() {
    let fixture = ledger_of(0).await;
    assert_eq!(fixture.ledger.verify().await.unwrap().breaks, []);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(fixture.path().parent().unwrap()), 0o700);
        assert_eq!(mode(&fixture.path()), 0o600);
    }
    let names: Vec<_> = fs::read_dir(fixture.path().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(!names.iter().any(|name| name.contains("making")), "{names:?}");
}

/// Power may fail after an append: the settings that make it durable are really in force.
#[tokio::test]
async fn appends_are_synchronous() {
    let fixture = ledger_of(0).await;
    let store = &fixture.ledger.store;
    let rows = store.rows(query("PRAGMA journal_mode")).await.unwrap();
    assert_eq!(store.text(&rows[0], 0).unwrap(), "wal");
    for (pragma, value) in [("PRAGMA synchronous", 2), ("PRAGMA busy_timeout", 5000)] {
        let rows = store.rows(query(pragma)).await.unwrap();
        assert_eq!(sqlx::Row::get::<i64, _>(&rows[0], 0), value, "{pragma}");
    }
}

#[tokio::test]
async fn triggers_refuse_changes() {
    let fixture = ledger_of(2).await;
    for change in ["UPDATE records SET body = body", "DELETE FROM records"] {
        assert!(fixture.ledger.store.rows(query(change)).await.is_err(), "{change}");
    }
}

#[tokio::test]
async fn append_of_a_known_id_changes_nothing() {
    let fixture = ledger_of(2).await;
    let twice = vec![sealed("run", 3), sealed("run", 1)];
    assert!(fixture.ledger.append_all(twice).await.is_err());
    let report = fixture.ledger.verify().await.unwrap();
    assert_eq!((report.records, report.breaks), (2, Vec::new()));
}

/// A ledger of five records, tampered with, reports exactly these breaks.
async fn check_breaks(statements: &[&'static str], expected: &[(u64, BreakKind)]) -> Fixture {
    let fixture = ledger_of(5).await;
    fixture.tamper(statements).await;
    let report = fixture.ledger.verify().await.unwrap();
    let found: Vec<_> = report.breaks.iter().map(|found| (found.seq, found.what)).collect();
    assert_eq!(found, expected, "{statements:?}: {report:?}");
    fixture
}

#[tokio::test]
async fn each_edit_is_named() {
    use BreakKind as K;
    for (statement, expected) in [
        (
            "UPDATE records SET body = replace(body, '\"attempts\":1', '\"attempts\":2') WHERE seq = 3",
            (3, K::Edited),
        ),
        ("UPDATE records SET body = body || ' ' WHERE seq = 5", (5, K::Edited)),
        ("UPDATE records SET run_id = 'x' WHERE seq = 2", (2, K::Edited)),
        ("UPDATE records SET at_ms = at_ms + 1 WHERE seq = 2", (2, K::Edited)),
        ("UPDATE records SET service = 'x' WHERE seq = 1", (1, K::Edited)),
        (
            "UPDATE records SET prev = replace(prev, substr(prev, 1, 1), 'g') WHERE seq = 4",
            (4, K::Edited),
        ),
        ("DELETE FROM records WHERE seq = 3", (3, K::Missing)),
        ("DELETE FROM records WHERE seq = 1", (1, K::Missing)),
        ("DELETE FROM records WHERE seq = 5", (5, K::TailCut)),
        ("DELETE FROM records WHERE seq > 2", (3, K::TailCut)),
        ("DELETE FROM records", (1, K::TailCut)),
        ("UPDATE meta SET value = '4' WHERE name = 'head_seq'", (5, K::HeadEdited)),
        ("UPDATE meta SET value = 'x' WHERE name = 'head_seq'", (0, K::HeadEdited)),
        ("UPDATE meta SET value = '9' WHERE name = 'head_seq'", (6, K::TailCut)),
        ("UPDATE meta SET value = 'ff' WHERE name = 'head_hash'", (5, K::HeadEdited)),
        ("DELETE FROM meta WHERE name = 'head_hash'", (0, K::HeadEdited)),
        ("UPDATE records SET seq = 9 WHERE seq = 5", (5, K::Missing)),
        ("UPDATE records SET seq = 0 WHERE seq = 2", (0, K::Edited)),
        ("UPDATE records SET seq = -3 WHERE seq = 5", (0, K::Edited)),
    ] {
        let fixture = ledger_of(5).await;
        fixture.tamper(&[statement]).await;
        let report = fixture.ledger.verify().await.unwrap();
        let first = report.breaks.first().map(|found| (found.seq, found.what));
        assert_eq!(first, Some(expected), "{statement}: {report:?}");
    }
}

#[tokio::test]
async fn moved_and_replaced_records_are_named() {
    use BreakKind as K;
    check_breaks(
        &[
            "UPDATE records SET seq = 99 WHERE seq = 2",
            "UPDATE records SET seq = 2 WHERE seq = 3",
            "UPDATE records SET seq = 3 WHERE seq = 99",
        ],
        &[(2, K::Reordered), (3, K::Reordered), (4, K::Reordered)],
    )
    .await;
    // One removed, and the rest renumbered with the head to hide the gap.
    check_breaks(
        &[
            "DELETE FROM records WHERE seq = 3",
            "UPDATE records SET seq = 3 WHERE seq = 4",
            "UPDATE records SET seq = 4 WHERE seq = 5",
            "UPDATE meta SET value = '4' WHERE name = 'head_seq'",
        ],
        &[(3, K::Missing), (4, K::Missing)],
    )
    .await;
    // A column that is no text any more.
    check_breaks(
        &["UPDATE records SET hash = x'ff00' WHERE seq = 3"],
        &[(3, K::Unreadable), (3, K::Edited)],
    )
    .await;
}

#[tokio::test]
async fn record_replaced_with_a_fitting_hash_is_named() {
    let fixture = ledger_of(3).await;
    let stored = fixture.ledger.record("run-2").await.unwrap().unwrap();
    let json = stored.json.replace("\"attempts\":1", "\"attempts\":7");
    let hash = chain::next(&stored.prev, 2, json.as_bytes());
    fixture.tamper(&[]).await;
    let update =
        query("UPDATE records SET body = $1, hash = $2 WHERE seq = 2").bind(json).bind(hash);
    fixture.ledger.store.rows(update).await.unwrap();
    let report = fixture.ledger.verify().await.unwrap();
    assert_eq!((report.breaks[0].seq, report.breaks[0].what), (2, BreakKind::Edited));
}

#[tokio::test]
async fn changed_key_or_id_is_named_also_without_records() {
    for name in ["fingerprint_key", "ledger_id"] {
        for n_records in [0, 2] {
            let fixture = ledger_of(n_records).await;
            let update = query("UPDATE meta SET value = $1 WHERE name = $2")
                .bind("ab".repeat(32))
                .bind(name);
            fixture.ledger.store.rows(update).await.unwrap();
            fixture.ledger.close().await;
            let ledger = Ledger::open_read_only(&fixture.path()).await.unwrap();
            assert!(!ledger.verify().await.unwrap().is_intact(), "{name} {n_records}");
        }
    }
}

#[tokio::test]
async fn altered_record_is_not_read_and_a_cut_ledger_is_not_continued() {
    let fixture = ledger_of(3).await;
    fixture.tamper(&["UPDATE records SET body = body || ' ' WHERE seq = 2"]).await;
    let error = fixture.ledger.records(&RecordFilter::default()).await.unwrap_err();
    assert!(matches!(error, LedgerError::Altered { seq: 2, .. }), "{error}");
    let fixture = ledger_of(3).await;
    fixture.tamper(&["DELETE FROM records WHERE seq = 3"]).await;
    let error = fixture.ledger.append(sealed("run", 4)).await.unwrap_err();
    assert!(matches!(error, LedgerError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn newer_formats_are_refused() {
    let fixture = ledger_of(1).await;
    let stored = fixture.ledger.record("run-1").await.unwrap().unwrap();
    let json = stored.json.replace("\"format\":1,", "\"format\":9,");
    let hash = chain::next(&stored.prev, 1, json.as_bytes());
    fixture.tamper(&[]).await;
    for (statement, value) in [
        ("UPDATE records SET body = $1", json),
        ("UPDATE records SET hash = $1", hash.clone()),
        ("UPDATE meta SET value = $1 WHERE name = 'head_hash'", hash),
    ] {
        fixture.ledger.store.rows(query(statement).bind(value)).await.unwrap();
    }
    let error = fixture.ledger.items("support-bot", "staging", None).await.unwrap_err();
    assert!(matches!(&error, LedgerError::Record { seq: 1, .. }), "{error}");
    let report = fixture.ledger.verify().await.unwrap();
    assert_eq!(report.breaks[0].what, BreakKind::NewerFormat);

    fixture.tamper_meta("UPDATE meta SET value = '2' WHERE name = 'format'").await;
    for result in
        [Ledger::open(&fixture.path()).await, Ledger::open_read_only(&fixture.path()).await]
    {
        assert!(matches!(result, Err(LedgerError::Newer { format: 2, .. })), "{result:?}");
    }
}

impl Fixture {
    async fn tamper_meta(&self, statement: &'static str) {
        self.ledger.store.rows(query(statement)).await.unwrap();
        self.ledger.close().await;
    }
}

#[tokio::test]
async fn what_is_no_ledger_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd name %41 ü?#.db");
    let missing = Ledger::open_read_only(&path).await.unwrap_err();
    assert!(matches!(missing, LedgerError::Missing { .. }), "{missing}");
    fs::write(&path, "a text that is long enough to be anything but a database").unwrap();
    let error = Ledger::open(&path).await.unwrap_err();
    assert!(matches!(error, LedgerError::NotADatabase { .. }), "{error}");
    assert!(fs::read_to_string(&path).unwrap().starts_with("a text"));
    fs::write(&path, "").unwrap();
    for result in [Ledger::open(&path).await, Ledger::open_read_only(&path).await] {
        assert!(matches!(result, Err(LedgerError::Damaged { .. })), "{result:?}");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = Ledger::open(&path).await.unwrap_err();
    assert!(matches!(error, LedgerError::NotADatabase { .. }), "{error}");
    fs::remove_dir(&path).unwrap();
    let ledger = Ledger::open(&path).await.unwrap();
    ledger.append(sealed("run", 1)).await.unwrap();
    ledger.store.rows(query("DROP TABLE journal")).await.unwrap();
    ledger.close().await;
    let error = Ledger::open(&path).await.unwrap_err();
    assert!(matches!(error, LedgerError::NotALedger { .. }), "{error}");
    fs::write(folder.path().join("file"), "").unwrap();
    let error = Ledger::open(&folder.path().join("file/ledger.db")).await.unwrap_err();
    assert!(!error.advice().is_empty(), "{error}");
    assert_eq!(error.fault(), LedgerFault::Environment, "{error:?}");
}

/// Any length that is left of the file gives an error or a report that names it, and never a panic or a pass.
#[tokio::test]
async fn cut_file_is_an_error_or_a_break() {
    let fixture = ledger_of(40).await;
    fixture.ledger.close().await;
    let whole = fs::read(fixture.path()).unwrap();
    let copy = fixture.folder.path().join("copy.db");
    let n_cuts = 60;
    for cut in 0..n_cuts {
        let len = whole.len() * cut / n_cuts;
        fs::write(&copy, &whole[..len]).unwrap();
        let Ok(ledger) = Ledger::open_read_only(&copy).await else { continue };
        let Ok(report) = ledger.verify().await else { continue };
        assert!(!report.is_intact(), "cut to {len} of {}", whole.len());
        ledger.close().await;
    }
}

/// Bytes overwritten anywhere give an error, a break, or lie where no record is.
#[tokio::test]
async fn overwritten_file_never_panics_and_never_changes_a_record_unseen() {
    let fixture = ledger_of(20).await;
    let before = fixture.ledger.records(&RecordFilter::default()).await.unwrap();
    fixture.ledger.close().await;
    let whole = fs::read(fixture.path()).unwrap();
    let copy = fixture.folder.path().join("copy.db");
    for n in 0..60 {
        let mut bytes = whole.clone();
        let at = (whole.len() / 60) * n + 37;
        for byte in bytes.iter_mut().skip(at).take(5) {
            *byte ^= 0x55;
        }
        fs::write(&copy, &bytes).unwrap();
        let Ok(ledger) = Ledger::open_read_only(&copy).await else { continue };
        if let Ok(report) = ledger.verify().await
            && report.is_intact()
        {
            let after = ledger.records(&RecordFilter::default()).await.unwrap();
            assert_eq!(after, before, "overwritten at {at}");
        }
        ledger.close().await;
    }
}

#[tokio::test]
async fn two_handles_append_to_one_chain() {
    let fixture = ledger_of(0).await;
    let other = Ledger::open(&fixture.path()).await.unwrap();
    let append = |ledger: Ledger, run: &'static str| {
        tokio::spawn(async move {
            for n in 0..20 {
                ledger.append(sealed(run, n)).await.unwrap();
            }
        })
    };
    let (one, two) = (append(fixture.ledger.clone(), "one"), append(other, "two"));
    one.await.unwrap();
    two.await.unwrap();
    let report = fixture.ledger.verify().await.unwrap();
    assert_eq!((report.records, report.breaks), (40, Vec::new()));
}

/// SQLite itself goes on with a file that has lost its name.
#[tokio::test]
async fn ledger_that_is_taken_away_while_it_is_open_is_missed_at_once() {
    let takes: [fn(&std::path::Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::rename(path, path.with_extension("away")).unwrap(),
        |path| {
            fs::copy(path, path.with_extension("other")).unwrap();
            fs::rename(path.with_extension("other"), path).unwrap();
        },
    ];
    for take in takes {
        let fixture = ledger_of(1).await;
        take(&fixture.path());
        let appended = fixture.ledger.append(sealed("run", 2)).await;
        assert!(matches!(appended, Err(LedgerError::Gone { .. })), "{appended:?}");
        let read = fixture.ledger.items("support-bot", "staging", None).await;
        assert!(matches!(read, Err(LedgerError::Gone { .. })), "{read:?}");
    }
}

#[tokio::test]
async fn locked_ledger_is_named_after_the_wait() {
    let fixture = ledger_of(1).await;
    let other = Ledger::open(&fixture.path()).await.unwrap();
    // Five seconds are what production waits; the test need not.
    other.store.rows(query("PRAGMA busy_timeout = 50")).await.unwrap();
    let held = fixture.ledger.store.begin().await.unwrap();
    let error = other.append(sealed("run", 2)).await.unwrap_err();
    assert!(matches!(error, LedgerError::Locked { .. }), "{error}");
    drop(held);
    other.append(sealed("run", 2)).await.unwrap();
}

#[tokio::test]
async fn full_disk_is_named_and_loses_nothing() {
    let fixture = ledger_of(1).await;
    // A limit on pages is what a full disk is to SQLite: the same SQLITE_FULL.
    fixture.ledger.store.rows(query("PRAGMA max_page_count = 1")).await.unwrap();
    let many = (2..200).map(|n| sealed("run", n)).collect();
    let error = fixture.ledger.append_all(many).await.unwrap_err();
    assert!(matches!(error, LedgerError::DiskFull { .. }), "{error}");
    assert_eq!(fixture.ledger.verify().await.unwrap().records, 1);
}

/// On a full disk SQLite may end a transaction by itself, and the driver goes on counting it.
#[tokio::test]
async fn a_transaction_that_sqlite_ended_ends_nothing_else() {
    let fixture = ledger_of(1).await;
    let mut tx = fixture.ledger.store.begin().await.unwrap();
    fixture.ledger.store.rows_in(&mut tx, query("ROLLBACK")).await.unwrap();
    drop(tx);
    fixture.ledger.append(sealed("run", 2)).await.unwrap();
    assert_eq!(fixture.ledger.verify().await.unwrap().records, 2);
}

#[tokio::test]
async fn reading_writes_nothing() {
    let fixture = ledger_of(2).await;
    fixture.ledger.close().await;
    let ledger = Ledger::open_read_only(&fixture.path()).await.unwrap();
    assert_eq!(ledger.records(&RecordFilter::default()).await.unwrap().len(), 2);
    let error = ledger.append(sealed("run", 3)).await.unwrap_err();
    assert!(matches!(error, LedgerError::ReadOnly { .. }), "{error}");
}

/// Permissions mean nothing to root, so that this test says less there.
#[cfg(unix)]
#[tokio::test]
async fn read_only_folder_can_be_read_and_is_named_when_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = ledger_of(2).await;
    fixture.ledger.close().await;
    let path = fixture.path();
    let folder = path.parent().unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o500)).unwrap();
    let is_root = fs::write(folder.join("probe"), "").is_ok();
    let ledger = Ledger::open_read_only(&path).await.unwrap();
    assert!(ledger.verify().await.unwrap().is_intact());
    assert_eq!(ledger.items("support-bot", "staging", None).await.unwrap().len(), 2);
    if !is_root {
        let error = Ledger::open(&path).await.unwrap_err();
        assert!(
            matches!(error, LedgerError::ReadOnly { .. } | LedgerError::CannotOpen { .. }),
            "{error:?}"
        );
        let error = Ledger::open(&folder.join("new.db")).await.unwrap_err();
        assert!(matches!(error, LedgerError::FolderNotWritable { .. }), "{error:?}");
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
}

/// What a killed writer left in a folder that may not be written to is read whole, or is an error that says so. Never a part.
#[cfg(unix)]
#[tokio::test]
async fn log_in_a_read_only_folder_is_not_passed_over() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = ledger_of(2).await;
    let folder = fixture.folder.path().join("copy");
    fs::create_dir(&folder).unwrap();
    for suffix in ["", "-wal"] {
        let from = format!("{}{suffix}", fixture.path().display());
        fs::copy(from, folder.join(format!("ledger.db{suffix}"))).unwrap();
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    match Ledger::open_read_only(&folder.join("ledger.db")).await {
        Ok(ledger) => {
            let report = ledger.verify().await.unwrap();
            assert_eq!((report.records, report.breaks), (2, Vec::new()));
        }
        Err(error) => assert!(
            matches!(error, LedgerError::CannotOpen { .. } | LedgerError::ReadOnly { .. }),
            "{error:?}"
        ),
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn stub_is_stored_without_the_secret() {
    let fixture = ledger_of(0).await;
    let secret = "Zx81Qm4vLtRwYk2PbNc7";
    let needle = Needle::new(NeedleKind::Credential, "k", Sensitive::new(secret));
    let mut dirty = record("run", 1);
    dirty.findings[0].seen = format!("key {secret}");
    fixture.ledger.append(dirty.seal(&Scanner::new([needle]))).await.unwrap();
    fixture.ledger.close().await;
    let bytes = fs::read(fixture.path()).unwrap();
    assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    let ledger = Ledger::open_read_only(&fixture.path()).await.unwrap();
    let items = ledger.items("support-bot", "staging", None).await.unwrap();
    assert!(matches!(items[0].fact, judge::Fact::Withheld { .. }));
}

#[tokio::test]
async fn reader_sees_what_a_living_writer_has_appended() {
    let fixture = ledger_of(2).await;
    let reader = Ledger::open_read_only(&fixture.path()).await.unwrap();
    fixture.ledger.append(sealed("run", 3)).await.unwrap();
    assert_eq!(reader.verify().await.unwrap().records, 3);
}

/// The log of a killed writer, cut anywhere, gives a prefix of what was appended, intact.
#[tokio::test]
async fn torn_log_gives_an_intact_prefix() {
    let fixture = ledger_of(0).await;
    for n in 0..6 {
        fixture.ledger.append(sealed("run", n)).await.unwrap();
    }
    let beside = |suffix: &str| fixture.folder.path().join(format!("copy.db{suffix}"));
    let main = fs::read(fixture.path()).unwrap();
    let log = fs::read(format!("{}-wal", fixture.path().display())).unwrap();
    assert!(!log.is_empty());
    let mut most = 0;
    for cut in 0..=40 {
        fs::write(beside(""), &main).unwrap();
        fs::write(beside("-wal"), &log[..log.len() * cut / 40]).unwrap();
        let ledger = if cut % 2 == 0 {
            Ledger::open_read_only(&beside("")).await.unwrap()
        } else {
            Ledger::open(&beside("")).await.unwrap()
        };
        let report = ledger.verify().await.unwrap();
        assert_eq!(report.breaks, [], "cut at {cut}/40");
        assert!(report.records >= most, "{} after {most}", report.records);
        most = report.records;
        ledger.close().await;
        for suffix in ["", "-wal", "-shm"] {
            // The ledger itself has removed what it no longer needs.
            drop(fs::remove_file(beside(suffix)));
        }
    }
    assert_eq!(most, 6);
}

/// Set for the process that `killed_writer_loses_nothing` starts: the ledger to write to.
const CHILD: &str = "SURESTEP_TEST_LEDGER";

/// What was receipted is there after `kill -9`. The child is this very test, told by its environment to write until it is
/// killed.
#[test]
fn killed_writer_loses_nothing() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Some(path) = std::env::var_os(CHILD) {
        runtime.block_on(async {
            let ledger = Ledger::open(Path::new(&path)).await.unwrap();
            let first = u32::try_from(ledger.head().await.unwrap().seq).unwrap();
            for n in first..first + 10_000 {
                let receipt = ledger.append(sealed("run", n)).await.unwrap();
                println!("receipt {}", receipt.seq);
            }
        });
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let mut receipted = 0;
    for n_receipts in [1, 2, 7, 30] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ledger::tests::killed_writer_loses_nothing", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let seqs = lines.filter_map(|line| line.strip_prefix("receipt ")?.parse::<u64>().ok());
        receipted = seqs.take(n_receipts).last().unwrap().max(receipted);
        child.kill().unwrap();
        child.wait().unwrap();
        runtime.block_on(async {
            let ledger = Ledger::open_read_only(&path).await.unwrap();
            let report = ledger.verify().await.unwrap();
            assert_eq!(report.breaks, []);
            assert!(report.records >= receipted, "{} of {receipted}", report.records);
            ledger.close().await;
        });
    }
    assert!(receipted >= 40);
}

//! Proves that nothing in a ledger was changed, dropped or added, and says where it was.

use sqlx::Row as _;

use super::store::{self, Row, Tx, query};
use super::{Ledger, LedgerError, chain};
use crate::record::{Record, RecordError};

/// Breaks that are reported at most; the first one already says that the ledger cannot be relied on.
const BREAKS_MAX: usize = 100;
/// Records read at once.
const PAGE: i64 = 500;
/// How far back a renumbered record is looked for.
const RENUMBERED_MAX: u64 = 64;

/// The number and hash of the last record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its sequence number; 0 when there is no record.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

/// The result of verifying a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct VerifyReport {
    /// How many records were read.
    pub records: u64,
    /// The head, where it could be read.
    pub head: Option<Head>,
    /// Each break, in order; none: nothing was changed or dropped.
    pub breaks: Vec<Break>,
}

impl VerifyReport {
    /// Tells whether nothing was changed or dropped.
    pub fn is_intact(&self) -> bool {
        self.breaks.is_empty()
    }
}

/// A place where a ledger is not what was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The sequence number that is meant; 0 for the ledger as a whole.
    pub seq: u64,
    /// What happened.
    pub what: BreakKind,
    /// In words.
    pub detail: String,
}

/// What happened to a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakKind {
    /// A record was changed or replaced.
    Edited,
    /// A record is gone from the middle.
    Missing,
    /// A record stands in another place.
    Reordered,
    /// Records at the end are gone.
    TailCut,
    /// The ledger's own values (head, id, key) were changed, or records were added past them.
    HeadEdited,
    /// A record has a newer format than this surestep knows.
    NewerFormat,
    /// A record's bytes are no record.
    Unreadable,
    /// The file is damaged.
    Damaged,
}

impl BreakKind {
    /// Returns the words used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Missing => "missing",
            Self::Reordered => "reordered",
            Self::TailCut => "tail cut",
            Self::HeadEdited => "head edited",
            Self::NewerFormat => "newer format",
            Self::Unreadable => "unreadable",
            Self::Damaged => "damaged",
        }
    }
}

/// A row whose types nobody has vouched for.
struct Link {
    seq: u64,
    body: Vec<u8>,
    prev: String,
    hash: String,
    /// Copies of the record's fields: id, run, service, environment.
    names: [Option<Vec<u8>>; 4],
    at_ms: Option<i64>,
}

impl Ledger {
    /// Reads everything and follows the chain. Damage is part of the report; an error means that nothing could be read at all.
    pub async fn verify(&self) -> Result<VerifyReport, LedgerError> {
        let mut report = VerifyReport { records: 0, head: None, breaks: Vec::new() };
        let mut tx = self.store.begin_read().await?;
        self.check_pages(&mut tx, &mut report).await;
        let mut last = Head { seq: 0, hash: self.genesis() };
        let mut after = i64::MIN;
        loop {
            let rows = match self.page(&mut tx, after).await {
                Ok(rows) => rows,
                Err(error) => {
                    let detail = format!("cannot be read from here on: {error}");
                    report.add(last.seq + 1, BreakKind::Damaged, detail);
                    return Ok(report);
                }
            };
            if rows.is_empty() || report.breaks.len() >= BREAKS_MAX {
                break;
            }
            for row in &rows {
                report.records += 1;
                // It is the table's key, so that SQLite itself vouches for its type.
                let number: i64 = row.try_get(0).map_err(|source| self.store.failed(source))?;
                if number <= after {
                    let detail = format!("record {number} comes after record {after}");
                    report.add(last.seq + 1, BreakKind::Damaged, detail);
                    return Ok(report);
                }
                after = number;
                let seq = match u64::try_from(number) {
                    Ok(seq) if seq > 0 => seq,
                    Ok(_) | Err(_) => {
                        let detail =
                            format!("a record has the number {number}, which is never given");
                        report.add(0, BreakKind::Edited, detail);
                        continue;
                    }
                };
                last = match link(row, seq) {
                    Some(link) => {
                        self.check_link(&mut tx, &last, &link, &mut report).await;
                        Head { seq, hash: link.hash }
                    }
                    None => {
                        report.add(seq, BreakKind::Unreadable, "its columns cannot be read");
                        Head { seq, hash: String::new() }
                    }
                };
            }
        }
        self.check_head(&mut tx, &last, &mut report).await;
        report.breaks.sort_by_key(|found| found.seq);
        // Nothing was written, so that losing this commit loses nothing.
        drop(tx);
        Ok(report)
    }

    /// Has SQLite look at every page of the file.
    async fn check_pages(&self, tx: &mut Tx, report: &mut VerifyReport) {
        match self.store.rows_in(tx, query("PRAGMA integrity_check(10)")).await {
            Ok(rows) => {
                for row in &rows {
                    match self.store.text(row, 0) {
                        Ok(text) if text == "ok" => {}
                        Ok(text) => report.add(0, BreakKind::Damaged, text),
                        Err(error) => report.add(0, BreakKind::Damaged, error.to_string()),
                    }
                }
            }
            Err(error) => report.add(0, BreakKind::Damaged, error.to_string()),
        }
    }

    async fn page(&self, tx: &mut Tx, after: i64) -> Result<Vec<Row>, LedgerError> {
        // As bytes: a column may hold anything once somebody else has written it.
        let select = query(
            "SELECT seq, CAST(body AS BLOB), CAST(prev AS BLOB), CAST(hash AS BLOB), CAST(record_id AS BLOB), \
             CAST(run_id AS BLOB), CAST(service AS BLOB), CAST(environment AS BLOB), CAST(at_ms AS BIGINT) \
             FROM records WHERE seq > $1 ORDER BY seq LIMIT $2",
        )
        .bind(after)
        .bind(PAGE);
        self.store.rows_in(tx, select).await
    }

    async fn check_link(&self, tx: &mut Tx, last: &Head, link: &Link, report: &mut VerifyReport) {
        let seq = link.seq;
        let is_whole = chain::next(&link.prev, seq, &link.body) == link.hash;
        let follows = link.prev == last.hash;
        if seq != last.seq + 1 {
            let gone = last.seq + 1;
            let detail = match seq - gone {
                1 => format!("record {gone} is gone"),
                n => format!("{n} records are gone, up to {}", seq - 1),
            };
            report.add(gone, BreakKind::Missing, detail);
            if !is_whole {
                report.add(seq, BreakKind::Edited, "its contents do not give its hash");
            }
        } else if !follows && self.stands_elsewhere(tx, link, last).await {
            report.add(seq, BreakKind::Reordered, "it followed another record when it was written");
        } else if is_whole && !follows {
            report.add(
                last.seq,
                BreakKind::Edited,
                format!("record {seq} was written after something else than what stands here"),
            );
        } else if !is_whole {
            let was = (1..=RENUMBERED_MAX)
                .map(|n| seq.saturating_add(n))
                .find(|was| chain::next(&link.prev, *was, &link.body) == link.hash);
            match was {
                Some(was) => {
                    let detail =
                        format!("what stands here was number {was}: records before it are gone");
                    report.add(seq, BreakKind::Missing, detail);
                }
                None => report.add(seq, BreakKind::Edited, "its contents do not give its hash"),
            }
        }
        check_body(link, report);
    }

    /// Tells whether the record that this one follows stands in another place.
    async fn stands_elsewhere(&self, tx: &mut Tx, link: &Link, last: &Head) -> bool {
        let select = query("SELECT seq FROM records WHERE hash = $1 AND seq <> $2 LIMIT 1")
            .bind(link.prev.clone())
            .bind(super::signed(last.seq));
        // It is only a finer word for what is a break anyway.
        self.store.rows_in(tx, select).await.is_ok_and(|rows| !rows.is_empty())
            || (link.prev == self.genesis() && link.seq != 1)
    }

    async fn check_head(&self, tx: &mut Tx, last: &Head, report: &mut VerifyReport) {
        let head = match self.head_in(tx).await {
            Ok(head) => head,
            Err(error) => return report.add(0, BreakKind::HeadEdited, error.to_string()),
        };
        if head.seq > last.seq {
            let detail = format!("records {} to {} are gone from the end", last.seq + 1, head.seq);
            report.add(last.seq + 1, BreakKind::TailCut, detail);
        } else if head.seq < last.seq {
            let detail = format!("the head names record {}, but there are later ones", head.seq);
            report.add(last.seq, BreakKind::HeadEdited, detail);
        } else if head.hash != last.hash {
            let detail = "the head does not agree with the last record, or the ledger's id or key was changed";
            report.add(last.seq, BreakKind::HeadEdited, detail);
        }
        report.head = Some(head);
    }
}

impl VerifyReport {
    fn add(&mut self, seq: u64, what: BreakKind, detail: impl Into<String>) {
        let known =
            self.breaks.iter().any(|found| found.seq == seq && found.what == what && seq > 0);
        if self.breaks.len() < BREAKS_MAX && !known {
            self.breaks.push(Break { seq, what, detail: detail.into() });
        }
    }
}

/// Reads a row, whatever stands in it.
fn link(row: &Row, seq: u64) -> Option<Link> {
    let text = |column| store::bytes(row, column).and_then(|bytes| String::from_utf8(bytes).ok());
    Some(Link {
        seq,
        body: store::bytes(row, 1)?,
        prev: text(2)?,
        hash: text(3)?,
        names: [4, 5, 6, 7].map(|column| store::bytes(row, column)),
        at_ms: row.try_get(8).ok(),
    })
}

/// Checks that the body is a record and that the columns beside it say the same.
fn check_body(link: &Link, report: &mut VerifyReport) {
    let record = match Record::from_json(&link.body) {
        Ok(record) => record,
        Err(error @ RecordError::Newer { .. }) => {
            return report.add(link.seq, BreakKind::NewerFormat, error.to_string());
        }
        Err(error @ RecordError::Unreadable(_)) => {
            return report.add(link.seq, BreakKind::Unreadable, error.to_string());
        }
    };
    let names =
        [&record.record_id, &record.run_id, &record.subject.service, &record.subject.environment];
    let same = names
        .iter()
        .zip(&link.names)
        .all(|(name, column)| column.as_deref() == Some(name.as_bytes()));
    if !same || link.at_ms != Some(record.time.as_millisecond()) {
        report.add(link.seq, BreakKind::Edited, "the columns to search by differ from the record");
    }
}

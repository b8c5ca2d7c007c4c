//! The journal: a drill's intents, on disk before it acts.
//!
//! It lies in the ledger's file. Each entry is written only while the drill's lease holds, so that a drill which another one
//! took over cannot go on: it gets no [`Durable`], and without that no traffic is moved.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ledger::store::query;
use crate::ledger::{Ledger, LedgerError, signed};
use crate::{OperatorNote, Scanner};

/// What a drill is about to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "intent", rename_all = "snake_case")]
pub enum Intent {
    /// To begin.
    Began,
    /// To take a step.
    Step {
        /// Its number, 0 to 8.
        n: u8,
    },
    /// To move traffic.
    Shift {
        /// Percent of user traffic on `new` from then on.
        percent_new: u8,
    },
    /// To put all traffic back on `rollback`.
    Restore,
    /// Traffic is back on `rollback`, and that is proven.
    Restored,
    /// To end with this decision: the last entry before the run is closed.
    Ended {
        /// The decision's word.
        decision: String,
    },
}

/// Proof that an intent is in the journal and on disk. Only [`Journal::record`] makes one.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an intent that is recorded is to be carried out, or undone"]
pub struct Durable<T> {
    intent: T,
    seq: u64,
}

impl<T> Durable<T> {
    /// Returns what was recorded.
    pub fn intent(&self) -> &T {
        &self.intent
    }

    /// Returns its number in the journal.
    pub fn seq(&self) -> u64 {
        self.seq
    }
}

/// A run that was begun and never closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedRun {
    /// The run.
    pub run: String,
    /// What it was about to do, in order.
    pub intents: Vec<RecordedIntent>,
}

impl UnfinishedRun {
    /// Tells whether traffic may be elsewhere than on `rollback`: something was, or was about to be, moved after it was last
    /// proven to be back.
    pub fn may_have_moved_traffic(&self) -> bool {
        let moved =
            |entry: &RecordedIntent| matches!(entry.intent, Intent::Shift { .. } | Intent::Restore);
        self.intents.iter().rev().take_while(|entry| entry.intent != Intent::Restored).any(moved)
    }
}

/// An intent as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedIntent {
    /// Its number in the journal.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// The intent.
    pub intent: Intent,
    /// What came of it, once it was carried out.
    pub done: Option<String>,
}

/// Called after each durable entry with its number.
type OnRecord = Box<dyn Fn(u64) + Send + Sync>;

/// The journal of one service in one environment, as the holder of a lease writes it.
pub struct Journal {
    ledger: Ledger,
    service: String,
    environment: String,
    fence: u64,
    scanner: Scanner,
    on_record: Option<OnRecord>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("service", &self.service)
            .field("environment", &self.environment)
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}

/// The kinds of entry.
const INTENT: &str = "intent";
const DONE: &str = "done";
const CLOSED: &str = "closed";

impl Journal {
    /// Opens the journal for the holder of the lease with this fencing number.
    pub fn new(ledger: Ledger, service: &str, environment: &str, fence: u64) -> Self {
        Self {
            ledger,
            service: service.to_owned(),
            environment: environment.to_owned(),
            fence,
            scanner: Scanner::default(),
            on_record: None,
        }
    }

    /// Redacts notes with this scanner; without one, only what looks like a token is taken out of them.
    pub fn redact_with(&mut self, scanner: Scanner) {
        self.scanner = scanner;
    }

    /// Has this called after each entry that is on disk, with the entry's number: tests end the process there.
    pub fn on_record(&mut self, call: Box<dyn Fn(u64) + Send + Sync>) {
        self.on_record = Some(call);
    }

    /// Records an intent. Once this returns, it is on disk; only then may it be carried out.
    #[expect(clippy::missing_panics_doc, reason = "an intent always serialises")]
    pub async fn record(
        &self,
        run: &str,
        intent: Intent,
        now: Timestamp,
    ) -> Result<Durable<Intent>, LedgerError> {
        let body = serde_json::to_string(&intent).expect("an intent has string keys only");
        let seq = self.write(run, INTENT, 0, body, now).await?;
        Ok(Durable { intent, seq })
    }

    /// Records that an intent was carried out.
    pub async fn done(
        &self,
        run: &str,
        durable: Durable<Intent>,
        note: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.write(run, DONE, durable.seq, self.note(note), now).await.map(drop)
    }

    /// Closes a run: nothing of it is left to be put right.
    pub async fn close(&self, run: &str, how: &str, now: Timestamp) -> Result<(), LedgerError> {
        self.write(run, CLOSED, 0, self.note(how), now).await.map(drop)
    }

    /// Returns the first run of this service and environment that was begun and never closed.
    pub async fn unfinished(&self) -> Result<Option<UnfinishedRun>, LedgerError> {
        unfinished(&self.ledger, &self.service, &self.environment).await
    }

    /// Notes are the only free text in a journal: one line, and nothing in it that must not be written down.
    fn note(&self, text: &str) -> String {
        OperatorNote::new(self.scanner.redact(text).as_str()).into()
    }

    async fn write(
        &self,
        run: &str,
        entry: &'static str,
        of_seq: u64,
        body: String,
        now: Timestamp,
    ) -> Result<u64, LedgerError> {
        let store = self.ledger.store();
        let mut tx = store.begin().await?;
        // In one statement with the check: nobody can take the lease over between looking and writing.
        let insert = query(
            "INSERT INTO journal (seq, service, environment, run_id, fence, at_ms, entry, of_seq, body) \
             SELECT (SELECT COALESCE(MAX(seq), 0) + 1 FROM journal), service, environment, $1, fence, $2, $3, $4, $5 \
             FROM leases WHERE service = $6 AND environment = $7 AND fence = $8 AND holder <> '' RETURNING seq",
        )
        .bind(run.to_owned())
        .bind(now.as_millisecond())
        .bind(entry)
        .bind(signed(of_seq))
        .bind(body)
        .bind(self.service.clone())
        .bind(self.environment.clone())
        .bind(signed(self.fence));
        let rows = store.rows_in(&mut tx, insert).await?;
        let Some(row) = rows.first() else {
            return Err(LedgerError::LeaseLost {
                service: self.service.clone(),
                environment: self.environment.clone(),
                fence: self.fence,
            });
        };
        let seq = store.number(row, 0)?;
        store.commit(tx).await?;
        if let Some(call) = &self.on_record {
            call(seq);
        }
        Ok(seq)
    }
}

/// Returns the first run of a service in an environment that was begun and never closed; needs no lease.
pub async fn unfinished(
    ledger: &Ledger,
    service: &str,
    environment: &str,
) -> Result<Option<UnfinishedRun>, LedgerError> {
    let store = ledger.store();
    let select = query(
        "SELECT seq, run_id, at_ms, entry, of_seq, body FROM journal \
         WHERE service = $1 AND environment = $2 AND run_id = (\
           SELECT run_id FROM journal AS begun WHERE service = $1 AND environment = $2 AND NOT EXISTS (\
             SELECT 1 FROM journal AS closed WHERE closed.service = $1 AND closed.environment = $2 \
             AND closed.run_id = begun.run_id AND closed.entry = 'closed') \
           ORDER BY seq LIMIT 1) ORDER BY seq",
    )
    .bind(service.to_owned())
    .bind(environment.to_owned());
    let mut found: Option<UnfinishedRun> = None;
    for row in &store.rows(select).await? {
        let seq = store.number(row, 0)?;
        let run = store.text(row, 1)?;
        let run = found.get_or_insert_with(|| UnfinishedRun { run, intents: Vec::new() });
        let body = store.text(row, 5)?;
        match store.text(row, 3)?.as_str() {
            INTENT => {
                let unreadable =
                    |error| store.damaged(format!("journal entry {seq} cannot be read: {error}"));
                let intent = serde_json::from_str(&body).map_err(unreadable)?;
                let at_ms = signed(store.number(row, 2)?);
                let at = Timestamp::from_millisecond(at_ms)
                    .map_err(|error| store.damaged(format!("journal entry {seq}: {error}")))?;
                run.intents.push(RecordedIntent { seq, at, intent, done: None });
            }
            DONE => {
                let of_seq = store.number(row, 4)?;
                if let Some(intent) = run.intents.iter_mut().find(|intent| intent.seq == of_seq) {
                    intent.done = Some(body);
                }
            }
            other => return Err(store.damaged(format!("journal entry {seq} is a {other:?}"))),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;

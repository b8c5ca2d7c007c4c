//! The ledger: the append-only, hash-chained store of evidence, a SQLite file.
//!
//! An append returns once it is on disk. WAL with `synchronous = FULL` survives `kill -9` and a loss of power: a torn tail is
//! dropped by SQLite's recovery, and what was receipted is there. What is read is checked against its hash; what the chain
//! shows to be missing is found by [`Ledger::verify`], which is to be asked before a decision.

mod chain;
mod error;
mod schema;
pub(crate) mod store;
mod verify;

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use judge::Item;
use zeroize::Zeroizing;

use self::chain::hex;
pub use self::error::{LedgerError, LedgerFault};
pub use self::schema::LEDGER_FORMAT;
use self::store::{Row, Store, Tx, query};
pub use self::verify::{Break, BreakKind, Head, VerifyReport};
use crate::Fingerprinter;
use crate::record::{Record, Sealed};

/// An open ledger. Clones share one connection.
#[derive(Clone)]
pub struct Ledger {
    store: Store,
    id: String,
    key: Zeroizing<[u8; 32]>,
}

/// Proof that a record is in the ledger and on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its sequence number, from 1.
    pub seq: u64,
    /// Its id.
    pub record_id: String,
    /// Its hash.
    pub hash: String,
}

/// A record as it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its sequence number, from 1.
    pub seq: u64,
    /// The record.
    pub record: Record,
    /// Its JSON, byte for byte as it was hashed.
    pub json: String,
    /// The hash of the record before it.
    pub prev: String,
    /// Its hash.
    pub hash: String,
}

/// Which records to read: those that meet all that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Of this run.
    pub run: Option<String>,
    /// Of this service.
    pub service: Option<String>,
    /// Of this environment.
    pub environment: Option<String>,
    /// Made at this time or later.
    pub since: Option<Timestamp>,
    /// With this id.
    pub record_id: Option<String>,
    /// Only so many, the last ones.
    pub last: Option<u32>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("path", &self.store.path()).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens a ledger for writing; makes it, and its folder (for this user only), when it is not there.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        let id = hex(&crate::fingerprint::chance().map_err(LedgerError::Chance)?[..16]);
        let key = Zeroizing::new(crate::fingerprint::chance().map_err(LedgerError::Chance)?);
        let genesis = chain::genesis(&id, &key);
        let schema = schema::statements(&id, &hex(&*key), &genesis);
        Self::of_store(Store::open(path, &schema).await?).await
    }

    /// Opens a ledger that is there, for reading only: also where nothing may be written.
    pub async fn open_read_only(path: &Path) -> Result<Self, LedgerError> {
        Self::of_store(Store::open_read_only(path).await?).await
    }

    async fn of_store(store: Store) -> Result<Self, LedgerError> {
        let tables = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('meta', 'records', 'journal', 'leases')";
        let tables = store.rows(query(tables)).await?;
        let n_tables = tables.first().map_or(Ok(0), |row| store.number(row, 0))?;
        if n_tables != 4 {
            return Err(LedgerError::NotALedger { path: store.path().to_owned() });
        }
        let mut tx = store.begin_read().await?;
        let format = meta(&store, &mut tx, "format").await?;
        match format.parse() {
            Ok(LEDGER_FORMAT) => {}
            Ok(format) if format > LEDGER_FORMAT => {
                return Err(LedgerError::Newer { path: store.path().to_owned(), format });
            }
            Ok(_) | Err(_) => {
                return Err(store.damaged(format!("its format is given as {format:?}")));
            }
        }
        let id = meta(&store, &mut tx, "ledger_id").await?;
        let key = Zeroizing::new(meta(&store, &mut tx, "fingerprint_key").await?);
        let key = chain::unhex(&key).ok_or_else(|| store.damaged("its key is not whole"))?;
        store.commit(tx).await?;
        Ok(Self { store, id, key: Zeroizing::new(key) })
    }

    /// Returns the id that was drawn when the ledger was made.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// Returns what makes fingerprints under this ledger's key.
    pub fn fingerprinter(&self) -> Fingerprinter {
        Fingerprinter::new(*self.key)
    }

    /// Appends a record. Once this returns, it is on disk.
    pub async fn append(&self, sealed: Sealed) -> Result<Receipt, LedgerError> {
        let mut receipts = self.append_all(vec![sealed]).await?;
        receipts.pop().ok_or_else(|| self.store.damaged("an append gave no receipt"))
    }

    /// Appends records, all or none. Once this returns, they are on disk.
    pub async fn append_all(&self, sealed: Vec<Sealed>) -> Result<Vec<Receipt>, LedgerError> {
        let mut tx = self.store.begin().await?;
        let Head { mut seq, mut hash } = self.checked_head(&mut tx).await?;
        let mut receipts = Vec::with_capacity(sealed.len());
        for sealed in sealed {
            seq += 1;
            let prev = std::mem::take(&mut hash);
            hash = chain::next(&prev, seq, sealed.json().as_bytes());
            self.insert(&mut tx, seq, &sealed, prev, hash.clone()).await?;
            let record_id = sealed.record().record_id.clone();
            receipts.push(Receipt { seq, record_id, hash: hash.clone() });
        }
        for (name, value) in [("head_seq", seq.to_string()), ("head_hash", hash)] {
            let update = query("UPDATE meta SET value = $1 WHERE name = $2").bind(value).bind(name);
            self.store.rows_in(&mut tx, update).await?;
        }
        self.store.commit(tx).await?;
        Ok(receipts)
    }

    /// Returns the head after checking that the last record is the one it names. A ledger whose tail was cut is not continued:
    /// that would hide the cut.
    async fn checked_head(&self, tx: &mut Tx) -> Result<Head, LedgerError> {
        let head = self.head_in(tx).await?;
        let last = query("SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1");
        let last = self.store.rows_in(tx, last).await?;
        let last = match last.first() {
            Some(row) => Head { seq: self.store.number(row, 0)?, hash: self.store.text(row, 1)? },
            None => Head { seq: 0, hash: self.genesis() },
        };
        if last == head {
            return Ok(head);
        }
        let (named, there) = (head.seq, last.seq);
        Err(self.store.damaged(format!(
            "its head names record {named}, its last record is {there}, and they do not agree"
        )))
    }

    async fn head_in(&self, tx: &mut Tx) -> Result<Head, LedgerError> {
        let seq = meta(&self.store, tx, "head_seq").await?;
        let seq = seq.parse().map_err(|error| {
            self.store.damaged(format!("its head is given as {seq:?}: {error}"))
        })?;
        Ok(Head { seq, hash: meta(&self.store, tx, "head_hash").await? })
    }

    /// Returns the number and hash of the last record: what an attestation signs.
    pub async fn head(&self) -> Result<Head, LedgerError> {
        let mut tx = self.store.begin_read().await?;
        let head = self.checked_head(&mut tx).await?;
        self.store.commit(tx).await?;
        Ok(head)
    }

    async fn insert(
        &self,
        tx: &mut Tx,
        seq: u64,
        sealed: &Sealed,
        prev: String,
        hash: String,
    ) -> Result<(), LedgerError> {
        let record = sealed.record();
        let insert = query(
            "INSERT INTO records (seq, record_id, run_id, at_ms, service, environment, body, prev, hash) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(signed(seq))
        .bind(record.record_id.clone())
        .bind(record.run_id.clone())
        .bind(record.time.as_millisecond())
        .bind(record.subject.service.clone())
        .bind(record.subject.environment.clone())
        .bind(sealed.json().to_owned())
        .bind(prev)
        .bind(hash);
        self.store.rows_in(tx, insert).await.map(drop)
    }

    /// Reads records, in the order in which they were appended. Each is checked against its own hash.
    pub async fn records(&self, filter: &RecordFilter) -> Result<Vec<StoredRecord>, LedgerError> {
        let select = query(
            "SELECT seq, body, prev, hash FROM records \
             WHERE ($1 IS NULL OR run_id = $1) AND ($2 IS NULL OR service = $2) \
             AND ($3 IS NULL OR environment = $3) AND ($4 IS NULL OR at_ms >= $4) \
             AND ($5 IS NULL OR record_id = $5) ORDER BY seq DESC LIMIT $6",
        )
        .bind(filter.run.clone())
        .bind(filter.service.clone())
        .bind(filter.environment.clone())
        .bind(filter.since.map(Timestamp::as_millisecond))
        .bind(filter.record_id.clone())
        .bind(filter.last.map_or(i64::MAX, i64::from));
        let rows = self.store.rows(select).await?;
        rows.iter().rev().map(|row| self.stored(row)).collect()
    }

    /// Reads one record.
    pub async fn record(&self, record_id: &str) -> Result<Option<StoredRecord>, LedgerError> {
        let record_id = Some(record_id.to_owned());
        let mut found =
            self.records(&RecordFilter { record_id, ..RecordFilter::default() }).await?;
        Ok(found.pop())
    }

    /// Reads what gates look at: the facts of a service in an environment, in order, from `since` on where given.
    pub async fn items(
        &self,
        service: &str,
        environment: &str,
        since: Option<Timestamp>,
    ) -> Result<Vec<Item>, LedgerError> {
        let filter = RecordFilter {
            service: Some(service.to_owned()),
            environment: Some(environment.to_owned()),
            since,
            ..RecordFilter::default()
        };
        Ok(self.records(&filter).await?.iter().map(|stored| stored.record.item()).collect())
    }

    /// Returns the run that appended last for a service in an environment.
    pub async fn last_run(
        &self,
        service: &str,
        environment: &str,
    ) -> Result<Option<String>, LedgerError> {
        let select = query(
            "SELECT run_id FROM records WHERE service = $1 AND environment = $2 ORDER BY seq DESC LIMIT 1",
        )
        .bind(service.to_owned())
        .bind(environment.to_owned());
        let rows = self.store.rows(select).await?;
        rows.first().map(|row| self.store.text(row, 0)).transpose()
    }

    fn stored(&self, row: &Row) -> Result<StoredRecord, LedgerError> {
        let seq = self.store.number(row, 0)?;
        let [json, prev, hash] = [1, 2, 3].map(|column| self.store.text(row, column));
        let (json, prev, hash) = (json?, prev?, hash?);
        if chain::next(&prev, seq, json.as_bytes()) != hash {
            return Err(LedgerError::Altered { path: self.path().to_owned(), seq });
        }
        let record = Record::from_json(json.as_bytes()).map_err(|source| LedgerError::Record {
            path: self.path().to_owned(),
            seq,
            source,
        })?;
        Ok(StoredRecord { seq, record, json, prev, hash })
    }

    /// Returns what the first record follows.
    fn genesis(&self) -> String {
        chain::genesis(&self.id, &self.key)
    }

    /// Returns the database, for the journal and the leases.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Closes the ledger and waits for it; the file is then whole by itself.
    pub async fn close(&self) {
        self.store.close().await;
    }
}

/// Reads one of the ledger's own values.
async fn meta(store: &Store, tx: &mut Tx, name: &'static str) -> Result<String, LedgerError> {
    let select = query("SELECT value FROM meta WHERE name = $1").bind(name);
    match store.rows_in(tx, select).await?.first() {
        Some(row) => store.text(row, 0),
        None => Err(store.damaged(format!("its {name} is missing"))),
    }
}

/// Returns a number for the database, which has no unsigned ones.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("sequence and fencing numbers count single appends")
}

#[cfg(test)]
mod tests;

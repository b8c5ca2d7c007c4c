//! The tables of a ledger.
//!
//! Records and journal entries are append-only: triggers refuse changes, so that no honest program makes one by mistake.
//! Dishonest ones can drop a trigger; for them there is the chain (`chain`).

/// The version of the tables.
///
/// - 1: the first.
pub const LEDGER_FORMAT: i64 = 1;

/// Returns the statements that make an empty ledger. `id`, `key` and `genesis` are hexadecimal text of ours.
pub(super) fn statements(id: &str, key: &str, genesis: &str) -> Vec<String> {
    let tables = [
        "CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)",
        // `body` is the record; the columns before it are copies of its fields to search by, and are checked against it.
        "CREATE TABLE records (seq INTEGER PRIMARY KEY NOT NULL, record_id TEXT NOT NULL UNIQUE, run_id TEXT NOT NULL, \
         at_ms BIGINT NOT NULL, service TEXT NOT NULL, environment TEXT NOT NULL, body TEXT NOT NULL, \
         prev TEXT NOT NULL, hash TEXT NOT NULL)",
        "CREATE INDEX records_by_service ON records (service, environment, at_ms)",
        "CREATE INDEX records_by_run ON records (run_id, seq)",
        "CREATE TABLE journal (seq INTEGER PRIMARY KEY NOT NULL, service TEXT NOT NULL, environment TEXT NOT NULL, \
         run_id TEXT NOT NULL, fence BIGINT NOT NULL, at_ms BIGINT NOT NULL, entry TEXT NOT NULL, of_seq BIGINT NOT NULL, \
         body TEXT NOT NULL)",
        "CREATE INDEX journal_by_service ON journal (service, environment, seq)",
        "CREATE TABLE leases (service TEXT NOT NULL, environment TEXT NOT NULL, fence BIGINT NOT NULL, holder TEXT NOT NULL, \
         until_ms BIGINT NOT NULL, PRIMARY KEY (service, environment))",
    ];
    let triggers = ["records", "journal"].into_iter().flat_map(|table| {
        ["UPDATE", "DELETE"].map(|change| {
            let name = change.to_lowercase();
            format!(
                "CREATE TRIGGER {table}_no_{name} BEFORE {change} ON {table} \
                 BEGIN SELECT RAISE(ABORT, 'the {table} of a ledger are append-only'); END"
            )
        })
    });
    let format = LEDGER_FORMAT.to_string();
    let meta = [
        ("format", format.as_str()),
        ("ledger_id", id),
        ("fingerprint_key", key),
        ("head_seq", "0"),
        ("head_hash", genesis),
    ]
    .map(|(name, value)| format!("INSERT INTO meta (name, value) VALUES ('{name}', '{value}')"));
    tables.into_iter().map(str::to_owned).chain(triggers).chain(meta).collect()
}

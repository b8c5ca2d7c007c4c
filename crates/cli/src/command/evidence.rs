//! `evidence list`, `evidence show` and `evidence verify`.

use evidence::{Ledger, LedgerError, RecordFilter, Scanner, StoredRecord};
use judge::Fact;
use serde_json::{Value, json};

use crate::args::{EvidenceCommand, EvidenceListArgs, Format};
use crate::command::{Call, pretty};
use crate::exit_code;
use crate::failure::Failure;
use crate::result::SCHEMA_VERSION;
use crate::wiring::ledger_path;

/// Runs it.
pub(crate) async fn run(call: &Call, what: &EvidenceCommand) -> Result<u8, Failure> {
    let settings = call.settings()?;
    let ledger = match Ledger::open_read_only(&ledger_path(&settings)).await {
        Err(error @ LedgerError::Missing { .. }) => {
            return Err(Failure { code: exit_code::HOLD_MISSING, ..Failure::from(error) });
        }
        opened => opened?,
    };
    let code = match what {
        EvidenceCommand::List(args) => list(call, &ledger, args).await,
        EvidenceCommand::Show { id } => show(call, &ledger, id).await,
        EvidenceCommand::Verify => verify(call, &ledger).await,
    };
    ledger.close().await;
    code
}

async fn list(call: &Call, ledger: &Ledger, args: &EvidenceListArgs) -> Result<u8, Failure> {
    let filter =
        RecordFilter { run: args.run.clone(), last: Some(args.last), ..RecordFilter::default() };
    let records = ledger.records(&filter).await?;
    let text = match call.arguments.format {
        Format::Json => pretty(&json!({
            "schema_version": SCHEMA_VERSION,
            "records": records.iter().map(line_json).collect::<Vec<_>>(),
        })),
        Format::Human | Format::Github => records.iter().map(line).collect(),
    };
    call.answer(&text, &Scanner::new([]));
    Ok(exit_code::PASS)
}

fn line(stored: &StoredRecord) -> String {
    let record = &stored.record;
    format!(
        "{:>6}  {:.19}  {}  {}\n",
        stored.seq,
        record.time.to_string(),
        record.record_id,
        record.operator_note
    )
}

fn line_json(stored: &StoredRecord) -> Value {
    let record = &stored.record;
    json!({
        "seq": stored.seq,
        "record_id": record.record_id,
        "run_id": record.run_id,
        "time": record.time,
        "service": record.service,
        "release": record.release,
        "probe": record.probe,
        "mode": record.mode,
        "verdict": verdict(&record.fact),
        "redaction_status": record.redaction_status,
        "operator_note": record.operator_note,
        "hash": stored.hash,
    })
}

fn verdict(fact: &Fact) -> Option<judge::Verdict> {
    match fact {
        Fact::Probed(probed) => Some(probed.verdict),
        Fact::Compared { verdict, .. }
        | Fact::Reviewed { verdict, .. }
        | Fact::Stepped { verdict, .. } => Some(*verdict),
        Fact::Planned { .. }
        | Fact::SourceRead { .. }
        | Fact::SourceAccepted(_)
        | Fact::Decided { .. }
        | Fact::Withheld { .. } => None,
    }
}

async fn show(call: &Call, ledger: &Ledger, id: &str) -> Result<u8, Failure> {
    let mut found: Vec<StoredRecord> = ledger.record(id).await?.into_iter().collect();
    if found.is_empty() {
        found = ledger
            .records(&RecordFilter { run: Some(id.to_owned()), ..RecordFilter::default() })
            .await?;
    }
    if found.is_empty() {
        return Err(Failure::usage(
            "no record and no run of this ledger has that id",
            "`surestep evidence list` shows the ids.",
        ));
    }
    let text = match call.arguments.format {
        Format::Json => pretty(&json!({
            "schema_version": SCHEMA_VERSION,
            "records": found.iter().map(|stored| &stored.record).collect::<Vec<_>>(),
        })),
        // The very records that were hashed; only their white space is for people.
        Format::Human | Format::Github => found
            .iter()
            .map(|stored| {
                let text = serde_json::to_string_pretty(&stored.record);
                text.unwrap_or_else(|_| stored.json.clone()) + "\n"
            })
            .collect(),
    };
    call.answer(&text, &Scanner::new([]));
    Ok(exit_code::PASS)
}

async fn verify(call: &Call, ledger: &Ledger) -> Result<u8, Failure> {
    let report = ledger.verify().await?;
    let intact = report.is_intact();
    let text = match call.arguments.format {
        Format::Json => pretty(&json!({
            "schema_version": SCHEMA_VERSION,
            "intact": intact,
            "records": report.records,
            "head": report.head.as_ref().map(|head| &head.hash),
            "breaks": report.breaks.iter().map(|one| json!({
                "seq": one.seq, "kind": one.what.as_str(), "detail": one.detail,
            })).collect::<Vec<_>>(),
        })),
        Format::Human | Format::Github => {
            let mut text = if intact {
                format!("intact: {} records, nothing changed and nothing dropped\n", report.records)
            } else {
                format!("NOT intact: {} of {} records\n", report.breaks.len(), report.records)
            };
            for one in &report.breaks {
                text.push_str(&format!(
                    "  record {}: {}; {}\n",
                    one.seq,
                    one.what.as_str(),
                    one.detail
                ));
            }
            text
        }
    };
    call.answer(&text, &Scanner::new([]));
    Ok(if intact { exit_code::PASS } else { exit_code::HOLD_FAILED })
}

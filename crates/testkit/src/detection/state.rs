//! What was run already: one line of JSON for each row, so that a long run can be continued.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::manifest::Row;

/// What came of one drill.
#[derive(Clone, Debug)]
pub struct Done {
    /// `promote_small_step`, `hold`, `rollback`, or why there is none.
    pub decision: String,
    /// Failing and ambiguous findings as `(code, release)`.
    pub found: BTreeSet<(String, String)>,
    /// What was left behind: processes, credentials.
    pub trouble: String,
    /// How long the drill took.
    pub seconds: u64,
    /// The commit of the surestep that decided.
    pub(crate) version: String,
    /// What earlier drills of the same row decided, when it was drilled again.
    pub(crate) earlier: Vec<String>,
}

impl Done {
    /// Tells whether a defective row was held, or a healthy one promoted, and nothing was left behind.
    pub fn as_expected(&self, row: &Row) -> bool {
        let wanted = if row.is_defective() { "hold" } else { "promote_small_step" };
        self.decision == wanted && self.trouble.is_empty()
    }

    /// Tells whether a finding about the defective release names the defect.
    pub fn for_the_right_reason(&self, row: &Row) -> bool {
        let codes = row.change.as_ref().map(|change| &change.codes);
        self.found.iter().any(|(code, release)| {
            release == row.side.word()
                && codes.is_none_or(|codes| codes.is_empty() || codes.contains(code))
        })
    }

    /// Returns the findings that blame the healthy release of the pair.
    pub fn blamed(&self, row: &Row) -> Vec<&str> {
        let healthy = row.side.other().word();
        self.found.iter().filter(|(_, r)| r == healthy).map(|(code, _)| code.as_str()).collect()
    }
}

/// The results so far.
#[derive(Debug)]
pub struct State {
    file: Mutex<File>,
    done: Mutex<BTreeMap<String, (String, Done)>>,
}

impl State {
    /// Opens the file; `fresh` forgets what it holds.
    ///
    /// # Errors
    ///
    /// When it cannot be read and written.
    pub fn open(path: &Path, fresh: bool) -> Result<Self, String> {
        let trouble = |error| format!("cannot use {}: {error}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(trouble)?;
        }
        let mut options = File::options();
        options.create(true);
        let file = if fresh { options.write(true).truncate(true) } else { options.append(true) };
        let file = file.open(path).map_err(trouble)?;
        let text = std::fs::read_to_string(path).map_err(trouble)?;
        // A line that was cut by an interrupted run is run again.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut done = BTreeMap::new();
        for (row, about, one) in lines.filter_map(|line| read(&line)) {
            put(&mut done, row, about, one);
        }
        Ok(Self { file: Mutex::new(file), done: Mutex::new(done) })
    }

    /// Returns what came of a row, if it was run as it stands now.
    pub fn of(&self, row: &Row) -> Option<Done> {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.get(&row.name).filter(|(about, _)| *about == digest(row)).map(|(_, done)| done.clone())
    }

    /// Keeps what came of a row.
    pub(crate) fn add(&self, row: &Row, done: Done) -> Result<(), String> {
        let found: Vec<Value> =
            done.found.iter().map(|(code, release)| json!([code, release])).collect();
        let line = json!({
            "row": row.name, "about": digest(row), "decision": done.decision, "found": found,
            "trouble": done.trouble, "seconds": done.seconds, "version": done.version,
        });
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(format!("{line}\n").as_bytes());
        let mut all = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        put(&mut all, row.name.clone(), digest(row), done);
        written.map_err(|error| format!("cannot write the state file: {error}"))
    }
}

/// A row that is drilled again keeps what was decided before: asking again is no eraser.
fn put(all: &mut BTreeMap<String, (String, Done)>, row: String, about: String, mut done: Done) {
    if let Some((before, earlier)) = all.remove(&row)
        && before == about
    {
        done.earlier = earlier.earlier;
        done.earlier.push(earlier.decision);
    }
    all.insert(row, (about, done));
}

fn digest(row: &Row) -> String {
    let mut hasher = DefaultHasher::new();
    row.text.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn read(line: &Value) -> Option<(String, String, Done)> {
    let text = |key: &str| line[key].as_str().map(str::to_owned);
    let found = line["found"].as_array()?.iter();
    let found =
        found.map(|pair| Some((pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned())));
    let done = Done {
        decision: text("decision")?,
        found: found.collect::<Option<_>>()?,
        trouble: text("trouble")?,
        seconds: line["seconds"].as_u64()?,
        version: text("version")?,
        earlier: Vec::new(),
    };
    Some((text("row")?, text("about")?, done))
}

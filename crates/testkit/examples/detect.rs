//! The detection benchmark: drills every row of a manifest, and writes down what was held, what was promoted, and why.
//!
//! `detect SURESTEP [--slice ci|all] [--only TEXT] [--manifest FILE] [--results FILE] [--state FILE] [--fresh] [--again] [--jobs N]
//! [--repeat N] [--under-load] [--beside llmock]`
//!
//! Rows that the state file has are not drilled again unless `--fresh`, or with `--again` if they did not end as
//! expected, which the table then says; `--slice none` drills nothing and writes the table. It ends
//! with 1 when a defective row was not held, a healthy one was not promoted, or a run left something behind; with 3 when rows of the
//! slice were not run. `--repeat N` drills each selected healthy row N times instead (without `--only` the first of the slice), and ends with
//! 1 unless all decide the same and as they must; `--under-load` keeps two processors busy meanwhile. `--beside llmock` has llmock judge the
//! releases of the rows too, and writes both verdicts side by side. `cargo xtask detect` builds what it needs and starts it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use testkit::detection::{
    Done, Load, Manifest, Row, State, drill_rows, judge_by_llmock, llmock_version, table,
    table_beside, versions,
};

const USAGE: &str = "usage: detect SURESTEP [--slice ci|all|none] [--only TEXT] [--manifest FILE] [--results FILE] [--state FILE] [--fresh] [--again] [--jobs N] [--repeat N] [--under-load] [--beside llmock]";

/// As many as make a machine of two processors busy.
const BUSY_THREADS: usize = 2;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(trouble) => {
            say(&format!("detect: {trouble}"));
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode, String> {
    let options = Options::read(std::env::args().skip(1))?;
    let manifest = Manifest::read(&options.path("manifest", "bench/detection/manifest.json"))?;
    let load = options.has("under-load").then(|| Load::start(BUSY_THREADS));
    if let Some(number) = options.number("repeat")? {
        return repeat(&options, &manifest, number);
    }
    let state =
        State::open(&options.path("state", "target/detection.jsonl"), options.has("fresh"))?;
    let rows: Vec<&Row> = manifest.rows.iter().filter(|row| options.wants(row)).collect();
    let is_waiting = |row: &Row| match state.of(row) {
        None => true,
        Some(done) => options.has("again") && !done.as_expected(row),
    };
    let waiting: Vec<Row> =
        rows.iter().filter(|row| is_waiting(row)).map(|row| Row::clone(row)).collect();
    say(&format!("{} rows, {} of them to run", rows.len(), waiting.len()));
    let jobs = options.number("jobs")?.unwrap_or(2);
    let tell = |row: &Row, done: &Done| say(&line(row, done));
    drill_rows(&options.surestep, &manifest, waiting, &state, jobs, tell)?;
    drop(load);
    if options.has("beside") {
        return beside(&options, &manifest, &state, jobs);
    }
    if let Some(results) = options.results() {
        let text = table(&manifest, &state, &versions(&options.surestep, &manifest));
        std::fs::write(&results, text)
            .map_err(|error| format!("cannot write {}: {error}", results.display()))?;
    }
    let runs: Vec<Option<bool>> =
        rows.iter().map(|row| state.of(row).map(|done| done.as_expected(row))).collect();
    let wrong = runs.iter().filter(|run| **run == Some(false)).count();
    let missing = runs.iter().filter(|run| run.is_none()).count();
    say(&format!("{} as expected, {wrong} not, {missing} not run", runs.len() - wrong - missing));
    Ok(ExitCode::from(if wrong > 0 {
        1
    } else if missing > 0 {
        3
    } else {
        0
    }))
}

/// Has llmock judge the same releases, and writes both verdicts side by side.
fn beside(
    options: &Options,
    manifest: &Manifest,
    state: &State,
    jobs: usize,
) -> Result<ExitCode, String> {
    let folder = testkit::workspace_root().join("target/llmock");
    // The slice says what surestep drills.
    let rows: Vec<&Row> = manifest.rows.iter().filter(|row| options.names(row)).collect();
    let judged = judge_by_llmock(&options.surestep, manifest, &rows, &folder, jobs, say)?;
    let mut versions = versions(&options.surestep, manifest);
    versions.insert(1, llmock_version());
    let text = table_beside(manifest, state, &judged, &versions);
    let named_after = options.text("manifest").map(|path| path.replace(".json", ".md"));
    let path =
        options.path("results", named_after.as_deref().unwrap_or("bench/detection/LLMOCK.md"));
    std::fs::write(&path, text)
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Drills the same healthy pairs again and again, and tells which of them were decided differently, and why.
fn repeat(options: &Options, manifest: &Manifest, number: usize) -> Result<ExitCode, String> {
    let path = options.path("state", "target/detection-repeats.jsonl");
    let state = State::open(&path, options.has("fresh"))?;
    let how = if options.has("under-load") { ", under load" } else { "" };
    let healthy = manifest.rows.iter().filter(|row| !row.is_defective());
    let chosen: Vec<&Row> = if options.has("only") {
        healthy.filter(|row| options.wants(row)).collect()
    } else {
        healthy.filter(|row| row.ci).take(1).collect()
    };
    if chosen.is_empty() {
        return Err("no healthy row has this name".into());
    }
    let mut all_same = true;
    for row in chosen {
        let rows: Vec<Row> = (1..=number).map(|count| row.repetition(count, how)).collect();
        let waiting: Vec<Row> =
            rows.iter().filter(|row| state.of(row).is_none()).cloned().collect();
        say(&format!("{}: {number} times{how}, {} of them to run", row.name, waiting.len()));
        let tell = |row: &Row, done: &Done| say(&line(row, done));
        let jobs = options.number("jobs")?.unwrap_or(1);
        drill_rows(&options.surestep, manifest, waiting, &state, jobs, tell)?;
        let different: Vec<String> = rows
            .iter()
            .filter_map(|row| state.of(row).map(|done| (row, done)))
            .filter(|(row, done)| !done.as_expected(row))
            .map(|(row, done)| line(row, &done))
            .collect();
        let same = number - different.len();
        say(&format!("{}: promoted {same} of {number} times{how}", row.name));
        for text in &different {
            say(&format!("different: {text}"));
        }
        all_same &= different.is_empty();
    }
    Ok(ExitCode::from(u8::from(!all_same)))
}

fn line(row: &Row, done: &Done) -> String {
    let word = if !done.as_expected(row) {
        "WRONG"
    } else if row.is_defective() && !done.for_the_right_reason(row) {
        "held, another reason"
    } else if !done.blamed(row).is_empty() {
        "held, and blames the healthy side"
    } else {
        "as expected"
    };
    let found: Vec<String> =
        done.found.iter().map(|(code, side)| format!("{code}({side})")).collect();
    format!(
        "{word}: {}: {} in {} s {} {}",
        row.name,
        done.decision,
        done.seconds,
        found.join(" "),
        done.trouble
    )
}

/// What the command line says.
struct Options {
    surestep: PathBuf,
    values: BTreeMap<String, String>,
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let surestep = words.next().ok_or(USAGE)?;
        let mut values = BTreeMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or(USAGE)?.to_owned();
            let value = match name.as_str() {
                "fresh" | "again" | "under-load" => String::new(),
                "beside" => match words.next().as_deref() {
                    Some("llmock") => String::new(),
                    _ => return Err("--beside: llmock is the only tool it knows".into()),
                },
                "slice" | "only" | "manifest" | "results" | "state" | "jobs" | "repeat" => {
                    words.next().ok_or_else(|| format!("--{name} needs a value"))?
                }
                _ => return Err(format!("--{name} is not known\n{USAGE}")),
            };
            values.insert(name, value);
        }
        let surestep = std::fs::canonicalize(&surestep)
            .map_err(|error| format!("there is no program {surestep}: {error}"))?;
        Ok(Self { surestep, values })
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> Result<Option<usize>, String> {
        let number = self.text(name).map(str::parse).transpose();
        number.map_err(|error| format!("--{name}: {error}"))
    }

    fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    fn path(&self, name: &str, otherwise: &str) -> PathBuf {
        self.text(name).map_or_else(|| testkit::workspace_root().join(otherwise), PathBuf::from)
    }

    /// The table is about the whole of our own manifest; for another one it is written where `--results` says only.
    fn results(&self) -> Option<PathBuf> {
        (!self.has("manifest") || self.has("results"))
            .then(|| self.path("results", "bench/detection/RESULTS.md"))
    }

    fn wants(&self, row: &Row) -> bool {
        let in_slice = match self.text("slice") {
            Some("ci") => row.ci,
            Some("none") => false,
            _ => true,
        };
        in_slice && self.names(row)
    }

    fn names(&self, row: &Row) -> bool {
        self.text("only").is_none_or(|text| row.name.contains(text))
    }
}

#[expect(clippy::print_stdout, reason = "a program for people, not for machines")]
fn say(line: &str) {
    println!("{line}");
}

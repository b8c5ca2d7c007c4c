//! Writes the table: per class and per stack, then each row; what was not run is said to be not run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::manifest::{Manifest, Row};
use super::state::{Done, State};

/// Counts of defective rows.
#[derive(Default)]
struct Count {
    rows: u32,
    run: u32,
    held: u32,
    right: u32,
    on_rollback: u32,
}

impl Count {
    fn add(&mut self, row: &Row, done: Option<&Done>) {
        self.rows += 1;
        self.on_rollback += u32::from(row.side.word() == "rollback");
        let Some(done) = done else { return };
        let held = done.decision == "hold";
        self.run += 1;
        self.held += u32::from(held);
        self.right += u32::from(held && done.for_the_right_reason(row));
    }

    fn cells(&self) -> String {
        format!(
            "{} | {} | {} | {} | {}",
            self.rows, self.on_rollback, self.run, self.held, self.right
        )
    }
}

/// Returns the table in Markdown.
pub fn table(manifest: &Manifest, state: &State, versions: &[(String, String)]) -> String {
    let mut out = String::from(
        "# Detection: what surestep holds, and what it promotes\n\nWritten by `cargo xtask detect`; see [README](README.md) for what \
         this is. A row is a drill of a pair with the default plan: one release with exactly one defect, or none, beside a healthy one. \
         *For the right reason*: a failing or ambiguous finding about the defective release is one that names this defect.\n\n",
    );
    let rows: Vec<(&Row, Option<Done>)> =
        manifest.rows.iter().map(|row| (row, state.of(row))).collect();
    let mut all = Count::default();
    let (mut classes, mut stacks) = (BTreeMap::new(), BTreeMap::new());
    let mut healthy = [0, 0, 0];
    let mut seconds: Vec<u64> = Vec::new();
    for (row, done) in &rows {
        let done = done.as_ref();
        seconds.extend(done.map(|done| done.seconds));
        if let Some(class) = row.class() {
            let class: &mut Count = classes.entry(class).or_default();
            class.add(row, done);
            all.add(row, done);
            let stack: &mut Count = stacks.entry(row.release.as_str()).or_default();
            stack.add(row, done);
        } else {
            healthy[0] += 1;
            healthy[1] += u32::from(done.is_some());
            healthy[2] += u32::from(done.is_some_and(|done| done.decision == "promote_small_step"));
        }
    }
    seconds.sort_unstable();
    let median = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
    let again = rows
        .iter()
        .filter(|(_, done)| done.as_ref().is_some_and(|done| !done.earlier.is_empty()))
        .count();
    let blaming = rows
        .iter()
        .filter(|(row, done)| done.as_ref().is_some_and(|done| !done.blamed(row).is_empty()))
        .count();
    _ = writeln!(
        out,
        "| | rows | run | result |\n|---|---|---|---|\n\
         | defective | {} | {} | {} held, {} of them for the right reason |\n\
         | healthy | {} | {} | {} promoted |\n",
        all.rows, all.run, all.held, all.right, healthy[0], healthy[1], healthy[2]
    );
    _ = writeln!(
        out,
        "The healthy release of a pair was blamed in {blaming} rows; {again} rows were drilled more than once, and say so. Wall time of a drill on a shared machine: median {median} s, {} s in all.\n",
        seconds.iter().sum::<u64>()
    );
    _ = writeln!(
        out,
        "## By class\n\n| class | | rows | on rollback | run | held | right reason |\n|---|---|---|---|---|---|---|"
    );
    for (class, count) in &classes {
        let name = manifest.classes.get(*class).map_or("", String::as_str);
        _ = writeln!(out, "| {class} | {name} | {} |", count.cells());
    }
    _ = writeln!(
        out,
        "\n## By release\n\n| release | rows | on rollback | run | held | right reason |\n|---|---|---|---|---|---|"
    );
    for (release, count) in &stacks {
        _ = writeln!(out, "| {release} | {} |", count.cells());
    }
    _ = writeln!(out, "\n## Versions\n\n| | |\n|---|---|");
    for (name, version) in versions {
        _ = writeln!(out, "| {name} | {version} |");
    }
    let mut by_version: BTreeMap<&str, u32> = BTreeMap::new();
    for done in rows.iter().filter_map(|(_, done)| done.as_ref()) {
        *by_version.entry(&done.version).or_default() += 1;
    }
    for (version, count) in by_version {
        _ = writeln!(out, "| {count} rows decided by | {version} |");
    }
    write_rows(&mut out, &rows);
    out
}

fn write_rows(out: &mut String, rows: &[(&Row, Option<Done>)]) {
    _ = writeln!(
        out,
        "\n## Each row\n\n| release | side | beside | defect | class | decision | findings about the release | s |\n|---|---|---|---|---|---|---|---|"
    );
    for (row, done) in rows {
        let shown = if row.change_name.is_empty() { "healthy" } else { &row.change_name };
        let summary = row.change.as_ref().map_or("", |change| change.summary.as_str());
        let (decision, findings, seconds) = match done {
            None => ("**not run**".to_owned(), String::new(), String::new()),
            Some(done) => {
                let own = |release: &str| release == row.side.word();
                let codes: Vec<&str> = done
                    .found
                    .iter()
                    .filter(|(_, release)| own(release))
                    .map(|(code, _)| code.as_str())
                    .collect();
                let mut findings = codes.join(", ");
                let blamed = done.blamed(row);
                if !blamed.is_empty() {
                    findings.push_str(&format!("; **of the healthy one: {}**", blamed.join(", ")));
                }
                let mark = if !done.as_expected(row) {
                    " **wrong**"
                } else if row.is_defective() && !done.for_the_right_reason(row) {
                    " (another reason)"
                } else {
                    ""
                };
                let mut decision =
                    format!("{}{mark}{}", done.decision.replace('|', "/"), done.trouble);
                if !done.earlier.is_empty() {
                    _ = write!(decision, " (drilled again; before: {})", done.earlier.join(", "));
                }
                (decision, findings, done.seconds.to_string())
            }
        };
        _ = writeln!(
            out,
            "| {} | {} | {} | {shown}: {summary} | {} | {decision} | {findings} | {seconds} |",
            row.release,
            row.side.word(),
            row.other,
            row.class().unwrap_or_default(),
        );
    }
}

//! The stored table of what clients make of each case, and the fresh one.

use std::path::PathBuf;

use contract::ContractVerdict;

use super::server::Server;
use super::{Case, Client, surface_word};

/// Findings of replies that must not be asked for again.
const HOPELESS: [&str; 2] = ["error-status-misleads", "retry-after-long"];
/// The clients of the provider of the API, of which none may break on what passes.
const OFFICIAL: [&str; 8] = ["py1", "py3", "nd4", "nd7", "py1h", "py3h", "nd4h", "nd7h"];

/// Comments, clients and cases, each a line.
#[derive(Debug)]
pub(super) struct Table {
    comments: Vec<String>,
    clients: Vec<String>,
    cases: Vec<Line>,
}

/// One case: what is checked, and the note, which is written by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    text: String,
    note: String,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/clients.tsv")
}

impl Table {
    pub(super) fn stored() -> Self {
        let text = std::fs::read_to_string(path()).unwrap();
        let mut table = Self { comments: Vec::new(), clients: Vec::new(), cases: Vec::new() };
        for line in text.lines() {
            if line.starts_with('#') {
                table.comments.push(line.to_owned());
            } else if line.starts_with("client\t") {
                table.clients.push(line.to_owned());
            } else {
                let (text, note) = match line.match_indices('\t').nth(5) {
                    Some((at, _)) => (&line[..at], &line[at + 1..]),
                    None => (line, ""),
                };
                table.cases.push(Line { text: text.to_owned(), note: note.to_owned() });
            }
        }
        table
    }

    /// Returns the table that was measured, with the stored one's notes.
    pub(super) fn with_measured(
        &self,
        cases: &[Case],
        clients: &[Client],
        server: &Server,
    ) -> Self {
        let note = |id: &str| {
            let start = format!("{id}\t");
            let line = self.cases.iter().find(|line| line.text.starts_with(&start));
            line.map_or_else(String::new, |line| line.note.clone())
        };
        let line =
            |case: &Case| Line { text: case_line(case, clients, server), note: note(&case.id) };
        let versions = self.clients.iter().map(|line| {
            let (start, _) = line.rsplit_once('\t').unwrap();
            let key = start.split('\t').nth(1).unwrap();
            let client = clients.iter().find(|client| client.key == key.trim_end_matches('h'));
            format!("{start}\t{}", client.unwrap().version)
        });
        Self {
            comments: self.comments.clone(),
            clients: versions.collect(),
            cases: cases.iter().map(line).collect(),
        }
    }

    /// Returns what the other has and this has not.
    pub(super) fn differences(&self, fresh: &Self) -> Vec<String> {
        let lines = |table: &Self| -> Vec<String> {
            let cases = table.cases.iter().map(|line| line.text.clone());
            table.clients.iter().cloned().chain(cases).collect()
        };
        let (stored, fresh) = (lines(self), lines(fresh));
        let gone =
            stored.iter().filter(|line| !fresh.contains(line)).map(|line| format!("- {line}"));
        let new =
            fresh.iter().filter(|line| !stored.contains(line)).map(|line| format!("+ {line}"));
        gone.chain(new).collect()
    }

    pub(super) fn write_beside(&self) {
        let cases = self.cases.iter().map(|line| format!("{}\t{}", line.text, line.note));
        let cases = cases.map(|line| line.trim_end().to_owned());
        let lines: Vec<_> =
            self.comments.iter().chain(&self.clients).cloned().chain(cases).collect();
        std::fs::write(path().with_extension("tsv.new"), lines.join("\n") + "\n").unwrap();
    }

    /// Returns the clients that do not take a good reply: the test itself would be wrong about them.
    pub(super) fn broken_by_good_replies(&self) -> Vec<String> {
        let good = self.cases.iter().filter(|line| line.text.starts_with('0'));
        good.filter(|line| line.text.contains(" | ")).map(|line| line.text.clone()).collect()
    }

    /// Returns the cases that pass and break an official client, without a note that says why they pass all the same.
    pub(super) fn broken_by_passed_replies(&self) -> Vec<String> {
        let breaks = |line: &&Line| {
            let [_, _, code, _, _, made] = line.text.splitn(6, '\t').collect::<Vec<_>>()[..] else {
                return true;
            };
            let broken = made.split(" | ").filter(|group| !group.ends_with(": ok"));
            let keys =
                broken.flat_map(|group| group.split(": ").next().unwrap_or_default().split(' '));
            code == "-" && keys.into_iter().any(|key| OFFICIAL.contains(&key))
        };
        let unexplained = self.cases.iter().filter(breaks).filter(|line| line.note.is_empty());
        unexplained.map(|line| line.text.clone()).collect()
    }
}

fn case_line(case: &Case, clients: &[Client], server: &Server) -> String {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (how, suffix) in [("plain", ""), ("helper", "h")] {
        for client in clients {
            let told = client.told.iter().find(|told| told.id == case.id && told.how == how);
            let Some(told) = told else { continue };
            let made = told.words(case, server.requests(client.key, how, &case.id));
            let key = format!("{}{suffix}", client.key);
            match groups.iter_mut().find(|(other, _)| *other == made) {
                Some((_, keys)) => keys.push(key),
                None => groups.push((made, vec![key])),
            }
        }
    }
    let want = match case.verdict {
        ContractVerdict::Pass | ContractVerdict::Warn => "answer",
        ContractVerdict::Hold if HOPELESS.contains(&case.code) => "error once",
        ContractVerdict::Hold => "error",
    };
    let made: Vec<_> =
        groups.into_iter().map(|(made, keys)| format!("{}: {made}", keys.join(" "))).collect();
    let place =
        format!("{} {}", surface_word(case.row.reply.surface), case.row.reply.mode.as_str());
    [&case.id, &place, case.code, &case.seen, want, &made.join(" | ")].join("\t")
}

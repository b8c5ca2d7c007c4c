//! Which known clients a deviation breaks, and how: looked up in measured data when a report is made, never while judging.
//!
//! `data/clients.tsv` says what each pinned client makes of each row of the catalogue of deviations; the test that serves the
//! rows' bytes to the real clients compares. `data/clients-noted.tsv` has what is known of clients that no test runs.

use serde::{Deserialize, Serialize};

use crate::{Mode, Surface};

const MEASURED: &str = include_str!("../data/clients.tsv");
const NOTED: &str = include_str!("../data/clients-noted.tsv");

/// A client that a deviation breaks: it does not deliver a usable answer, or does not report an unusable one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenClient {
    /// Its name, for example `openai-python`, or `openai-python stream helper`.
    pub client: String,
    /// The versions that were measured; empty where it is only noted.
    pub versions: Vec<String>,
    /// What it does, for example `silent: no finish reason`.
    pub how: String,
}

/// Returns the known clients that a finding of this code breaks. With a place and what was seen there, only what was measured for
/// the nearest case: there with this seen, there, or anywhere.
pub fn broken_clients(
    code: &str,
    place: Option<(Surface, Mode)>,
    seen: Option<&str>,
) -> Vec<BrokenClient> {
    let of_code = |row: &Row<'static>| row.code == code;
    let there = |row: &Row<'static>| place.is_some_and(|place| row.place == place_name(place));
    let same = |row: &Row<'static>| seen.is_some_and(|seen| row.seen == seen);
    let rows: Vec<_> = rows().filter(of_code).collect();
    let nearest: [Vec<&Row<'_>>; 3] = [
        rows.iter().filter(|row| there(row) && same(row)).collect(),
        rows.iter().filter(|row| there(row)).collect(),
        rows.iter().collect(),
    ];
    let nearest = nearest.into_iter().find(|rows| !rows.is_empty()).unwrap_or_default();
    let mut broken: Vec<BrokenClient> = Vec::new();
    for client in clients() {
        let mut ways: Vec<&str> = Vec::new();
        for how in nearest.iter().filter_map(|row| row.breaks(client.key)) {
            if !ways.contains(&how) {
                ways.push(how);
            }
        }
        if ways.is_empty() {
            continue;
        }
        let how = ways.join(" or ");
        match broken.iter_mut().find(|other| other.client == client.name && other.how == how) {
            Some(other) => other.versions.push(client.version.to_owned()),
            None => broken.push(BrokenClient {
                client: client.name.to_owned(),
                versions: vec![client.version.to_owned()],
                how,
            }),
        }
    }
    let noted = fields(NOTED).filter(|fields| fields.first() == Some(&code));
    broken.extend(noted.filter_map(|fields| {
        let [_, client, how] = fields[..] else { return None };
        Some(BrokenClient { client: client.to_owned(), versions: Vec::new(), how: how.to_owned() })
    }));
    broken
}

/// Says it in one line, for people: versions by their leading numbers, and a helper only where its client alone is not broken.
pub fn broken_clients_line(broken: &[BrokenClient]) -> String {
    let is_broken = |client: &str, version: &str| {
        broken.iter().any(|one| one.client == client && one.versions.iter().any(|v| v == version))
    };
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for one in broken {
        let plain = one.client.strip_suffix(HELPER);
        let is_told = |version: &&String| plain.is_none_or(|plain| !is_broken(plain, version));
        let told = one.versions.iter().filter(is_told);
        let versions: Vec<&str> = told.map(|version| leading(version)).collect();
        if versions.is_empty() && !one.versions.is_empty() {
            continue;
        }
        let name = [&[one.client.as_str()], &versions[..]].concat().join(" ");
        match groups.iter_mut().find(|(how, _)| *how == one.how) {
            Some((_, names)) => names.push(name),
            None => groups.push((&one.how, vec![name])),
        }
    }
    let texts: Vec<_> =
        groups.into_iter().map(|(how, names)| format!("{} ({how})", names.join(", "))).collect();
    texts.join("; ")
}

/// What the name of an SDK's stream helper ends in.
const HELPER: &str = " stream helper";

/// Returns the part of a version that tells majors apart.
fn leading(version: &str) -> &str {
    let dots = if version.starts_with("0.") { 2 } else { 1 };
    version.match_indices('.').nth(dots - 1).map_or(version, |(at, _)| &version[..at])
}

/// Returns how a surface and a mode are named in the data.
fn place_name(place: (Surface, Mode)) -> &'static str {
    match place {
        (Surface::Chat, Mode::Unary) => "chat unary",
        (Surface::Chat, Mode::Stream) => "chat stream",
        (Surface::Responses, Mode::Unary) => "responses unary",
        (Surface::Responses, Mode::Stream) => "responses stream",
    }
}

/// A measured client.
struct Client {
    key: &'static str,
    name: &'static str,
    version: &'static str,
}

/// What clients make of one case.
struct Row<'a> {
    place: &'a str,
    code: &'a str,
    seen: &'a str,
    want: &'a str,
    made: &'a str,
}

impl<'a> Row<'a> {
    /// Returns what a client makes of it, where that is a break.
    fn breaks(&self, key: &str) -> Option<&'a str> {
        let group = self.made.split(" | ").filter_map(|group| group.split_once(": "));
        let (_, made) = group.into_iter().find(|(keys, _)| keys.split(' ').any(|k| k == key))?;
        let is_its_own_error = made.starts_with("raises ")
            && !made.contains("none of its own")
            && !made.contains("without the reason");
        let is_repeated = made.contains(" requests");
        let is_fine = match self.want {
            "answer" => made == "ok",
            "error once" => is_its_own_error && !is_repeated,
            _ => is_its_own_error,
        };
        (!is_fine).then_some(made)
    }
}

/// Returns the fields of each line that is neither blank nor a comment.
fn fields(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split('\t').collect())
}

fn clients() -> impl Iterator<Item = Client> {
    fields(MEASURED).filter_map(|fields| match fields[..] {
        ["client", key, name, version] => Some(Client { key, name, version }),
        _ => None,
    })
}

fn rows() -> impl Iterator<Item = Row<'static>> {
    fields(MEASURED).filter_map(|fields| match fields[..] {
        [_, place, code, seen, want, made, ..] => Some(Row { place, code, seen, want, made }),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_case_counts() {
        let how = |seen| {
            let place = Some((Surface::Chat, Mode::Stream));
            let broken = broken_clients("event-not-object", place, seen);
            let node = |one: &&BrokenClient| one.client == "openai-node";
            broken.iter().find(node).map(|one| one.how.clone())
        };
        assert_eq!(how(Some("null")).as_deref(), Some("TypeError in the caller's code"));
        assert_eq!(how(Some("integer")).as_deref(), Some("silent: taken for whole"));
        assert_eq!(
            how(Some("string")).as_deref(),
            Some("TypeError in the caller's code or silent: taken for whole")
        );
    }

    #[test]
    fn mode_makes_a_difference() {
        let broken = |mode| broken_clients("content-type-odd", Some((Surface::Chat, mode)), None);
        let unary: Vec<_> = broken(Mode::Unary).into_iter().map(|one| one.client).collect();
        assert_eq!(unary, ["openai-node", "aiohttp"]);
        assert!(!broken_clients("sse-byte-order-mark", None, None).is_empty());
    }

    #[test]
    fn line_is_short() {
        let one = |client: &str, versions: &[&str], how: &str| BrokenClient {
            client: client.to_owned(),
            versions: versions.iter().map(|&version| version.to_owned()).collect(),
            how: how.to_owned(),
        };
        let broken = [
            one("openai-python", &["1.109.1", "3.54.0"], "hangs"),
            one("openai-python stream helper", &["3.54.0"], "hangs"),
            one("openai-node stream helper", &["7.57.0"], "raises"),
            one("async-openai", &["0.43.0"], "hangs"),
            one("litellm", &[], "invents `stop`"),
        ];
        assert_eq!(
            broken_clients_line(&broken),
            "openai-python 1 3, async-openai 0.43 (hangs); openai-node stream helper 7 (raises); litellm (invents `stop`)"
        );
    }
}

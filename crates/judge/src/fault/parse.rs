//! Reads fault scripts: `429+header=retry-after:2, live+drop=/usage+reset-at-event=3`.

use std::time::Duration;

use contract::change::{Change, ChangeKind, Place};
use contract::{Mode, Surface};

use super::{At, Base, Edits, Fault, How, Stop};
use crate::{Act, PlanContext, Stimulus, catalogue};

/// Longest wait that a script may ask for.
const WAIT_MAX: Duration = Duration::from_mins(10);

/// Names of errors on a wire that are no reply.
const BREAKS: [(&str, Act, &str); 3] = [
    ("reset", Act::Reset, "RST before any byte of the reply"),
    ("close", Act::Close, "FIN before any byte of the reply"),
    ("stall", Act::Hold, "no byte of the reply ever comes"),
];

/// What edits are called, the form of their value, and what they do.
const EDITS: [(&str, &str, &str); 22] = [
    ("ttfb", "TIME", "waits before the head"),
    ("per-event", "TIME", "waits before each event"),
    ("header", "NAME:VALUE", "sets a header of the reply"),
    ("content-type", "TYPE", "sets the content type"),
    ("drop", "/POINTER", "deletes a field, in a stream of every event that carries it"),
    ("null", "/POINTER", "makes a field null"),
    ("retype", "/POINTER", "gives a field another JSON type"),
    ("rename", "/POINTER", "gives a field another name"),
    ("no-finish", "", "makes every finish_reason null"),
    ("no-done", "", "leaves out [DONE]"),
    ("no-terminal", "", "leaves out the terminal event of a responses stream"),
    ("error-event", "N", "puts an error event in place of event N, and ends"),
    ("dribble", "BYTES", "writes at most so many bytes at once"),
    ("bandwidth", "BYTES", "sends so many bytes a second"),
    ("truncate", "BYTES", "ends well-framed after so many bytes"),
    ("truncate-event", "N", "ends well-framed after event N"),
    ("fin-at", "BYTES|N events", "closes (FIN) after so many bytes, or `Ne` events"),
    ("reset-at", "BYTES|N events", "resets (RST) after so many bytes, or `Ne` events"),
    ("stall-at", "BYTES|N events", "goes silent after so many bytes, or `Ne` events"),
    (
        "comments-at",
        "BYTES|N events",
        "sends keep-alive comments only, after so many bytes, or `Ne` events",
    ),
    ("cut-character", "", "closes (FIN) inside of the first character of several bytes"),
    ("body", "TEXT", "the body of a status; it has to come last"),
];

/// Why a script cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("fault {attempt}: {what}")]
pub struct FaultProblem {
    /// The fault, counted from 1.
    pub attempt: usize,
    /// What is wrong, with the word.
    pub what: String,
    /// What to write instead.
    pub advice: String,
}

/// Returns every word that a script may have, with the form of its value and what it does.
pub fn words() -> Vec<(String, &'static str, String)> {
    let bases = [
        ("live", "relays to the provider"),
        ("good", "answers as documented, at the tap"),
        ("STATUS", "answers this status (100 to 599) with the documented error, or with `body`"),
    ];
    let bases = bases.into_iter().map(|(name, what)| (name.to_owned(), "", what.to_owned()));
    let breaks = BREAKS.iter().map(|(name, _, what)| ((*name).to_owned(), "", (*what).to_owned()));
    let probes =
        probes().into_iter().map(|(id, _)| (id.clone(), "", format!("as the probe {id} does")));
    let edits =
        EDITS.iter().map(|(name, form, what)| (format!("+{name}"), *form, (*what).to_owned()));
    bases.chain(breaks).chain(edits).chain(probes).collect()
}

/// Returns the simulated stimuli of all probes, each by its id.
fn probes() -> Vec<(String, Stimulus)> {
    let mut found: Vec<(String, Stimulus)> = Vec::new();
    for surface in [Surface::Chat, Surface::Responses] {
        for mode in [Mode::Unary, Mode::Stream] {
            let context = PlanContext { ends_tls: false, ..PlanContext::widest(surface) };
            for probe in catalogue::default_plan(mode, &context) {
                let is_known = found.iter().any(|(id, _)| id == probe.id);
                if !probe.stimulus.is_live() && probe.stimulus != Stimulus::Refused && !is_known {
                    found.push((probe.id.to_owned(), probe.stimulus));
                }
            }
        }
    }
    found
}

/// Reads all faults.
pub(super) fn script(text: &str) -> Result<Vec<Fault>, FaultProblem> {
    // A body is free text: it may have every sign that words have, so it comes last.
    let (text, body) = match text.split_once("+body=") {
        Some((text, body)) => (text, Some(body)),
        None => (text, None),
    };
    let n_faults = text.split(',').count();
    text.split(',')
        .zip(1..)
        .map(|(fault, attempt)| one(attempt, fault.trim(), body.filter(|_| attempt == n_faults)))
        .collect()
}

fn one(attempt: usize, text: &str, body: Option<&str>) -> Result<Fault, FaultProblem> {
    let problem =
        |what: String, advice: &str| FaultProblem { attempt, what, advice: advice.to_owned() };
    let mut words = text.split('+').map(str::trim);
    let first = words.next().unwrap_or_default();
    let mut edits = Edits::default();
    let base = match base(first) {
        Some(base) => base,
        // An edit alone is one of the provider's reply.
        None if is_edit(first) => {
            edit(first, &mut edits).map_err(|what| problem(what, "See `surestep tap --help`."))?;
            Base::Live
        }
        None if first.is_empty() => {
            return Err(problem(
                "it is empty".to_owned(),
                "Write `live` to relay an attempt as it is.",
            ));
        }
        None => {
            let near = nearest(first);
            return Err(FaultProblem {
                attempt,
                what: format!("`{first}` is neither a base, an edit nor a probe"),
                advice: match near {
                    Some(near) => {
                        format!("Did you mean `{near}`? `surestep tap --faults` lists all.")
                    }
                    None => "`surestep tap --faults` lists all.".to_owned(),
                },
            });
        }
    };
    for word in words {
        edit(word, &mut edits).map_err(|what| {
            problem(what, "`surestep tap --faults` lists all edits with the form of their value.")
        })?;
    }
    let base = match (base, body) {
        (Base::Status { status, .. }, body) => {
            Base::Status { status, body: body.map(str::to_owned) }
        }
        (base, None) => base,
        (_, Some(_)) => {
            return Err(problem(
                "`body` goes with a status".to_owned(),
                "For example `200+body=<html></html>`.",
            ));
        }
    };
    Ok(Fault { base, edits })
}

fn base(word: &str) -> Option<Base> {
    if let Ok(status @ 100..=599) = word.parse() {
        return Some(Base::Status { status, body: None });
    }
    let simulated = |stimulus| Some(Base::Simulated(Box::new(stimulus)));
    if let Some((_, act, _)) = BREAKS.iter().find(|(name, _, _)| *name == word) {
        return simulated(Stimulus::Acts(vec![act.clone()]));
    }
    match word {
        "live" | "relay" => Some(Base::Live),
        "good" => simulated(Stimulus::Documented),
        _ => {
            let (_, stimulus) = probes().into_iter().find(|(id, _)| id == word)?;
            simulated(stimulus)
        }
    }
}

fn is_edit(word: &str) -> bool {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    EDITS.iter().any(|(known, _, _)| *known == name)
}

fn edit(word: &str, edits: &mut Edits) -> Result<(), String> {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let Some((_, form, _)) = EDITS.iter().find(|(known, _, _)| *known == name) else {
        return Err(match nearest(name) {
            Some(near) => format!("there is no edit `{name}`; did you mean `{near}`?"),
            None => format!("there is no edit `{name}`"),
        });
    };
    if form.is_empty() != value.is_empty() {
        return Err(if form.is_empty() {
            format!("`{name}` takes no value")
        } else {
            format!("`{name}` needs a value: {name}={form}")
        });
    }
    let field = |kind| {
        if value.starts_with('/') {
            Ok(Change::of_field(kind, value))
        } else {
            Err(format!(
                "`{value}` is no JSON pointer: it begins with `/`, as /choices/0/message/content does"
            ))
        }
    };
    let event =
        |name: &str| Change { kind: ChangeKind::Delete, place: Place::Event(name.to_owned()) };
    match name {
        "ttfb" => edits.head_after = time(value)?,
        "per-event" => edits.event_after = time(value)?,
        "header" => {
            let Some((header, value)) = value.split_once(':') else {
                return Err("`header` needs NAME:VALUE".to_owned());
            };
            edits.headers.push((header.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        "content-type" => edits.headers.push(("content-type".to_owned(), value.to_owned())),
        "drop" => edits.changes.push(field(ChangeKind::Delete)?),
        "null" => edits.changes.push(field(ChangeKind::Null)?),
        "retype" => edits.changes.push(field(ChangeKind::Retype)?),
        "rename" => edits.changes.push(field(ChangeKind::Rename)?),
        "no-finish" => {
            edits.changes.push(Change::of_field(ChangeKind::Null, "/choices/0/finish_reason"));
        }
        "no-done" => edits.changes.push(event(contract::reply::DONE)),
        "no-terminal" => edits
            .changes
            .extend(["response.completed", "response.incomplete", "response.failed"].map(event)),
        "error-event" => edits.error_event = Some(number(name, value)?),
        "dribble" => edits.dribble = Some(number::<usize>(name, value)?.max(1)),
        "bandwidth" => edits.bandwidth = Some(number::<u32>(name, value)?.max(1)),
        "truncate" => stop(edits, At::Byte(number(name, value)?), How::Clean)?,
        "truncate-event" => stop(edits, At::Event(number(name, value)?), How::Clean)?,
        "fin-at" => stop(edits, place(name, value)?, How::Fin)?,
        "reset-at" => stop(edits, place(name, value)?, How::Reset)?,
        "stall-at" => stop(edits, place(name, value)?, How::Stall)?,
        "comments-at" => stop(edits, place(name, value)?, How::Comments)?,
        "cut-character" => stop(edits, At::Character, How::Fin)?,
        _ => return Err(format!("`{name}` has to come last, behind a status")),
    }
    Ok(())
}

fn stop(edits: &mut Edits, at: At, how: How) -> Result<(), String> {
    match edits.stop.replace(Stop { at, how }) {
        None => Ok(()),
        Some(_) => Err("a reply can stop in one place only".to_owned()),
    }
}

fn place(name: &str, value: &str) -> Result<At, String> {
    match value.strip_suffix('e') {
        Some(events) => number(name, events).map(At::Event),
        None => number(name, value).map(At::Byte),
    }
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N, String> {
    value.parse().map_err(|_not_a_number| format!("`{value}` is no whole number for `{name}`"))
}

/// Reads `250ms`, `2s`, `1.5s`, `1m`.
fn time(value: &str) -> Result<Duration, String> {
    let wrong = || format!("`{value}` is no time: write 250ms, 2s or 1m");
    let (number, unit) = value
        .find(|c: char| c.is_ascii_alphabetic())
        .map(|at| value.split_at(at))
        .ok_or_else(wrong)?;
    let number: f64 = number.parse().map_err(|_not_a_number| wrong())?;
    let seconds = match unit {
        "ms" => number / 1_000.0,
        "s" => number,
        "m" => number * 60.0,
        _ => return Err(wrong()),
    };
    let time = Duration::try_from_secs_f64(seconds).map_err(|_out_of_range| wrong())?;
    if time > WAIT_MAX { Err(format!("`{value}` is longer than ten minutes")) } else { Ok(time) }
}

/// Returns the known word that most resembles this one, if one does.
fn nearest(word: &str) -> Option<String> {
    words()
        .into_iter()
        .map(|(known, _, _)| (strsim::osa_distance(word, known.trim_start_matches('+')), known))
        .min()
        .filter(|(distance, known)| *distance <= 2.max(known.len() / 4))
        .map(|(_, known)| known)
}

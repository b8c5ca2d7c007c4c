//! The contract as data and the contract as code say the same.
//!
//! What the JSON Schema of the data rejects, the judge does not pass; what the data requires, the judge misses; what the data calls tolerated,
//! the judge tolerates; every finding, class and word that the data names is the judge's.
#![expect(clippy::too_many_lines, reason = "tables")]
#![expect(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]
#![allow(dead_code, reason = "builders of the other test")]

#[path = "violations/body.rs"]
mod body;
#[path = "violations/build.rs"]
mod build;
#[path = "violations/chat_object.rs"]
mod chat_object;
#[path = "violations/chat_stream.rs"]
mod chat_stream;
#[path = "violations/framing.rs"]
mod framing;
#[path = "violations/responses.rs"]
mod responses;
#[path = "violations/tool_calls.rs"]
mod tool_calls;

use build::Reply;
use contract::{
    ContractDocument, ContractVerdict, Field, FieldPresence, Judgement, Mode, Profile,
    ProfileDocument, ResponseJudge, Surface, rules,
};
use jsonschema::Validator;
use serde_json::{Value, json};

const SURFACES: [Surface; 2] = [Surface::Chat, Surface::Responses];

fn judge(reply: &Reply) -> Judgement {
    judge_as(reply, Profile::Openai)
}

fn judge_as(reply: &Reply, profile: Profile) -> Judgement {
    let mut judge = ResponseJudge::new(reply.surface, reply.mode, profile);
    judge.head(
        reply.status,
        reply.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())),
    );
    judge.push(&reply.body);
    judge.finish(reply.end).0
}

/// The validators of one surface, made once.
struct Schemas {
    surface: Surface,
    schema: Value,
    reply: Validator,
}

impl Schemas {
    fn of(surface: Surface) -> Self {
        let schema = ContractDocument::of(surface).json_schema();
        let reply = jsonschema::validator_for(&schema).unwrap();
        Self { surface, schema, reply }
    }

    fn part(&self, name: &str) -> Option<Validator> {
        self.schema["$defs"].get(name)?;
        let mut schema = self.schema.clone();
        schema["$ref"] = json!(format!("#/$defs/{name}"));
        Some(jsonschema::validator_for(&schema).unwrap())
    }

    /// Returns what the schema says against the documents of a body; nothing for what is no document.
    fn faults(&self, reply: &Reply) -> Vec<String> {
        let told = |validator: &Validator, value: &Value| {
            validator.iter_errors(value).map(|e| format!("{} {e}", e.instance_path())).collect()
        };
        if reply.mode == Mode::Unary {
            let document = serde_json::from_slice::<Value>(&reply.body);
            return document.map_or_else(|_| Vec::new(), |value| told(&self.reply, &value));
        }
        let mut faults = Vec::new();
        for value in events(&reply.body) {
            let name = match (self.surface, value["type"].as_str()) {
                (Surface::Responses, Some(kind)) => format!("event:{kind}"),
                (Surface::Responses, None) => continue,
                (Surface::Chat, _) if value["choices"] == json!([]) => "event:usage".to_owned(),
                (Surface::Chat, _) => "event:chunk".to_owned(),
            };
            let Some(validator) = self.part(&name) else { continue };
            faults.extend::<Vec<_>>(told(&validator, &value));
        }
        faults
    }
}

fn events(body: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(body);
    let data = text.split(['\n', '\r']).filter_map(|line| line.strip_prefix("data:"));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

fn base_replies() -> Vec<Reply> {
    vec![
        build::chat(|_| {}),
        build::chat_tools(|_| {}),
        build::stream(|_| {}),
        build::stream_tools(|_| {}),
        build::responses(|_| {}),
        build::responses_stream(|_| {}),
    ]
}

#[test]
fn healthy_documents_pass_both() {
    for reply in base_replies() {
        assert_eq!(judge(&reply).verdict, ContractVerdict::Pass);
        assert_eq!(Schemas::of(reply.surface).faults(&reply), Vec::<String>::new());
    }
    for (surface, mode, body) in [
        (Surface::Chat, Mode::Unary, &include_bytes!("bodies/chat.json")[..]),
        (Surface::Chat, Mode::Stream, include_bytes!("bodies/chat.sse")),
        (Surface::Chat, Mode::Stream, include_bytes!("bodies/chat-tools.sse")),
        (Surface::Responses, Mode::Unary, include_bytes!("bodies/responses.json")),
        (Surface::Responses, Mode::Stream, include_bytes!("bodies/responses.sse")),
    ] {
        let reply = Reply::new(surface, mode, body);
        assert_eq!(Schemas::of(surface).faults(&reply), Vec::<String>::new(), "{surface} {mode}");
    }
}

#[test]
fn what_the_schema_rejects_the_judge_does_not_pass() {
    let schemas = SURFACES.map(Schemas::of);
    let tables = [
        body::rows(),
        chat_object::rows(),
        tool_calls::rows(),
        framing::rows(),
        chat_stream::rows(),
        responses::rows(),
    ];
    let (mut wrong, mut n_rejected) = (Vec::new(), 0);
    for row in tables.iter().flatten().filter(|row| row.reply.status == 200) {
        let of_surface = schemas.iter().find(|one| one.surface == row.reply.surface).unwrap();
        let faults = of_surface.faults(&row.reply);
        n_rejected += usize::from(!faults.is_empty());
        if !faults.is_empty() && judge(&row.reply).verdict == ContractVerdict::Pass {
            wrong.push(format!("row {}: {faults:?}", row.number));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(n_rejected >= 50, "the schema rejects {n_rejected} rows only");
}

/// Removes what lies at a documented path: from every element of its array, or from those of its variant. Returns whether there was any.
fn remove_at(value: &mut Value, segments: &[&str]) -> bool {
    let Some((first, rest)) = segments.split_first() else { return false };
    if let Some(variant) = first.strip_prefix("[]") {
        let variant = variant.trim_matches(['{', '}']);
        let Some(items) = value.as_array_mut() else { return false };
        let fits = |item: &Value| variant.is_empty() || item["type"] == variant;
        let mut any = false;
        for item in items.iter_mut().filter(|item| fits(item)) {
            any |= remove_at(item, rest);
        }
        return any;
    }
    if rest.is_empty() {
        return value.as_object_mut().is_some_and(|o| o.shift_remove(*first).is_some());
    }
    value.get_mut(*first).is_some_and(|inner| remove_at(inner, rest))
}

fn remove(value: &mut Value, field: &Field) -> bool {
    let segments: Vec<_> = field.path.split('/').skip(1).collect();
    remove_at(value, &segments)
}

/// Returns base replies without the field, and the events that it was taken from.
fn replies_without(surface: Surface, event: Option<&str>, field: &Field) -> Vec<Reply> {
    let mut changed = Vec::new();
    for mut reply in base_replies().into_iter().filter(|reply| reply.surface == surface) {
        match (reply.mode, event) {
            (Mode::Unary, None) => {
                let mut value = serde_json::from_slice(&reply.body).unwrap();
                if remove(&mut value, field) {
                    reply.body = value.to_string().into_bytes();
                    changed.push(reply);
                }
            }
            (Mode::Stream, Some(name)) => {
                let mut any = false;
                let mut values = events(&reply.body);
                let names: Vec<_> = values
                    .iter()
                    .map(|v| v["type"].as_str().unwrap_or_default().to_owned())
                    .collect();
                let fits = |value: &Value| match surface {
                    Surface::Responses => value["type"] == name,
                    Surface::Chat => (value["choices"] == json!([])) == (name == "usage"),
                };
                for value in values.iter_mut().filter(|value| fits(value)) {
                    any |= remove(value, field);
                }
                if any {
                    let body = match surface {
                        Surface::Chat => build::sse(&values),
                        Surface::Responses => names
                            .iter()
                            .zip(&values)
                            .map(|(name, value)| format!("event: {name}\ndata: {value}\n\n"))
                            .collect(),
                    };
                    reply.body = body.into_bytes();
                    changed.push(reply);
                }
            }
            _ => {}
        }
    }
    changed
}

#[test]
fn the_judge_misses_what_the_data_requires_and_tolerates_what_the_data_calls_tolerated() {
    let (mut wrong, mut n_required, mut n_tolerated) = (Vec::new(), 0, 0);
    for surface in SURFACES {
        let document = ContractDocument::of(surface);
        let mut all: Vec<(Option<&str>, Field)> =
            document.reply.iter().map(|field| (None, field.clone())).collect();
        for event in &document.stream.events {
            let fields = document.event_fields(event);
            all.extend(fields.into_iter().map(|field| (Some(event.name.as_str()), field)));
        }
        for (event, field) in all {
            let is_element = field.path.ends_with(']');
            if field.presence != FieldPresence::Required || is_element {
                continue;
            }
            for reply in replies_without(surface, event, &field) {
                let judgement = judge(&reply);
                let place = format!("{surface} {event:?} {}", field.path);
                if field.tolerated.is_some() {
                    n_tolerated += 1;
                    if judgement.verdict != ContractVerdict::Pass {
                        wrong.push(format!("{place} is not tolerated: {:?}", judgement.findings));
                    }
                } else {
                    n_required += 1;
                    if judgement.verdict == ContractVerdict::Pass {
                        wrong.push(format!("{place} is not missed"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(n_required > 40 && n_tolerated > 10, "{n_required} {n_tolerated}");
}

#[test]
fn the_data_names_findings_of_the_judge() {
    let codes: Vec<_> = rules().iter().map(|rule| rule.code).collect();
    for surface in SURFACES {
        let document = ContractDocument::of(surface);
        let of_events =
            document.stream.events.iter().flat_map(|event| document.event_fields(event));
        let fields = document.reply.iter().cloned().chain(of_events);
        let named = fields
            .filter_map(|field| field.finding)
            .chain(document.stream.order.iter().flat_map(|rule| rule.findings.clone()))
            .chain(document.finish_reasons.iter().filter_map(|reason| reason.finding.clone()));
        for finding in named {
            assert!(codes.contains(&finding.as_str()), "{finding}");
        }
    }
}

#[test]
fn profiles_in_the_data_are_those_of_the_judge() {
    let documented: Vec<_> = ProfileDocument::all().iter().map(|one| one.profile).collect();
    assert_eq!(documented, Profile::BUILT_IN);
    for document in ProfileDocument::all() {
        for rule in rules() {
            let said = document.tolerated.iter().any(|code| code == rule.code);
            assert_eq!(
                document.profile.tolerates(rule.code),
                said,
                "{} {}",
                document.profile.as_str(),
                rule.code
            );
            // A hold is nobody's documented deviation.
            assert!(!said || rule.verdict == ContractVerdict::Warn, "{}", rule.code);
        }
    }
}

#[test]
fn classes_in_the_data_are_those_of_the_judge() {
    for surface in SURFACES {
        for class in &ContractDocument::of(surface).errors.classes {
            let error = |status: u16, code: Value| {
                let body = json!({"error": {"message": "", "type": "", "code": code}});
                let reply = Reply::new(surface, Mode::Unary, body.to_string()).status(status);
                let error = judge(&reply).error.unwrap();
                (error.class, error.retry_safe)
            };
            for status in &class.statuses {
                assert_eq!(
                    error(*status, Value::Null),
                    (class.class, class.retry_safe),
                    "{status}"
                );
            }
            for code in &class.codes {
                assert_eq!(error(500, json!(code)), (class.class, class.retry_safe), "{code}");
            }
        }
    }
}

#[test]
fn words_for_the_end_are_those_of_the_judge() {
    for reason in &ContractDocument::of(Surface::Chat).finish_reasons {
        let reply = match reason.word.as_str() {
            "tool_calls" | "function_call" => build::chat_tools(|value| {
                build::set(value, "/choices/0/finish_reason", json!(reason.word));
            }),
            word => build::chat_set("/choices/0/finish_reason", json!(word)),
        };
        let judgement = judge(&reply);
        assert_eq!(judgement.verdict != ContractVerdict::Hold, reason.usable, "{}", reason.word);
        let named = judgement.findings.first().map(|finding| finding.code.to_owned());
        assert_eq!(named, reason.finding, "{}", reason.word);
    }
    for reason in &ContractDocument::of(Surface::Responses).finish_reasons {
        let judgement =
            judge(&build::responses(|value| build::set(value, "/status", json!(reason.word))));
        assert_eq!(judgement.verdict != ContractVerdict::Hold, reason.usable, "{}", reason.word);
        let named = judgement.findings.first().map(|finding| finding.code.to_owned());
        assert_eq!(named, reason.finding, "{}", reason.word);
    }
}

#[test]
fn all_events_of_responses_are_there() {
    let names: Vec<_> = ContractDocument::of(Surface::Responses)
        .stream
        .events
        .iter()
        .map(|e| e.name.as_str())
        .collect();
    assert_eq!(names.len(), 59);
    assert!(names.is_sorted(), "each once, in order");
    let terminal = names.iter().filter(|name| {
        ["error", "response.completed", "response.failed", "response.incomplete"].contains(name)
    });
    assert_eq!(terminal.count(), 4);
}

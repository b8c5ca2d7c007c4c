//! `contract show`: the contract for people, for programs, and as JSON Schema.

use contract::{
    ContractDocument, CustomProfile, Field, FieldPresence, Profile, ProfileDocument, Surface,
};
use evidence::Scanner;
use serde_json::{Value, json};

use crate::args::{Format, ShowArgs};
use crate::command::{Call, pretty};
use crate::exit_code;
use crate::failure::Failure;

/// Shows it.
pub(super) fn run(call: &Call, args: &ShowArgs) -> Result<u8, Failure> {
    let surfaces = match args.surface {
        Some(surface) => vec![surface.into()],
        None => vec![Surface::Chat, Surface::Responses],
    };
    let profile = args.profile.as_ref().map(|named| super::profile(call, named)).transpose()?;
    let documents: Vec<_> = surfaces.into_iter().map(ContractDocument::of).collect();
    let text = match (args.schema, call.arguments.format) {
        (true, _) => documents.iter().map(|document| pretty(&document.json_schema())).collect(),
        (false, Format::Json) => pretty(&public(&documents, profile)),
        (false, Format::Human | Format::Github) => human(&documents, profile),
    };
    call.answer(&text, &Scanner::new([]));
    Ok(exit_code::PASS)
}

fn public(documents: &[&ContractDocument], profile: Option<Profile>) -> Value {
    let contracts: Vec<_> = documents
        .iter()
        .map(|document| {
            let mut form = json!(document);
            let events: Vec<_> = document
                .stream
                .events
                .iter()
                .map(|event| {
                    json!({ "name": event.name, "note": event.note, "fields": document.event_fields(event) })
                })
                .collect();
            form["stream"] = json!({ "events": events, "order": document.stream.order });
            form
        })
        .collect();
    let mut form =
        json!({ "schema_version": crate::result::SCHEMA_VERSION, "contracts": contracts });
    if let Some(profile) = profile {
        form["profile"] = json!({
            "name": profile.as_str(),
            "base": ProfileDocument::of(profile),
            "declared": profile.custom().map(declared_json),
        });
    }
    form
}

fn declared_json(custom: &CustomProfile) -> Value {
    let reasons: serde_json::Map<_, _> = custom
        .finish_reasons
        .iter()
        .map(|(word, meaning)| (word.clone(), json!(meaning.as_str())))
        .collect();
    let codes: serde_json::Map<_, _> = custom
        .codes
        .iter()
        .map(|(word, code)| {
            (word.clone(), json!({ "class": code.class, "retry_safe": code.retry_safe }))
        })
        .collect();
    json!({
        "sources": custom.sources,
        "fields": custom.fields,
        "missing": custom.missing,
        "null": custom.null,
        "finish_reasons": reasons,
        "events": custom.events,
        "envelope": custom.envelope.as_ref().map(|envelope| json!({
            "code": envelope.code, "type": envelope.kind, "message": envelope.message, "request_id": envelope.request_id,
        })),
        "codes": codes,
        "request_id_header": custom.request_id_header,
    })
}

fn human(documents: &[&ContractDocument], profile: Option<Profile>) -> String {
    let mut page = String::new();
    for document in documents {
        one(document, &mut page);
    }
    if let Some(profile) = profile {
        of_profile(profile, &mut page);
    }
    page
}

/// Appends a line.
fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.push_str(&text.to_string());
    page.push('\n');
}

fn one(document: &ContractDocument, page: &mut String) {
    let request = &document.request;
    line(
        page,
        format_args!(
            "{}  {} {}\n  contract {}, sources read on {}\n",
            document.surface, request.method, request.path, document.version, document.reviewed
        ),
    );
    line(page, format_args!("request"));
    fields(&request.fields, page);
    line(page, format_args!("\nreply"));
    fields(&document.reply, page);
    line(
        page,
        format_args!(
            "\nstream: {} events (a field with ? is optional)",
            document.stream.events.len()
        ),
    );
    let width = document.stream.events.iter().map(|event| event.name.len()).max().unwrap_or(0);
    for event in &document.stream.events {
        let names = names_in(&document.event_fields(event)).join(", ");
        let note =
            if event.note.is_empty() { String::new() } else { format!("  ({})", event.note) };
        line(page, format_args!("  {:width$}  {names}{note}", event.name));
    }
    line(page, format_args!("\nstream: rules"));
    for rule in &document.stream.order {
        line(page, format_args!("  - {}", rule.rule));
        if !rule.findings.is_empty() {
            line(page, format_args!("      else {}", rule.findings.join(", ")));
        }
    }
    line(page, format_args!("\nhow answers end"));
    for reason in &document.finish_reasons {
        let usable = if reason.usable { "usable" } else { "holds" };
        line(page, format_args!("  {:<15} {usable:<7} {}", reason.word, reason.means));
    }
    line(page, format_args!("\nerrors"));
    fields(&document.errors.fields, page);
    line(page, format_args!("\n  {:<16} {:<10} {:<14} codes", "class", "retry", "statuses"));
    for class in &document.errors.classes {
        let retry = if class.retry_safe { "may help" } else { "never" };
        let statuses: Vec<_> = class.statuses.iter().map(u16::to_string).collect();
        let word = json!(class.class);
        let word = word.as_str().unwrap_or("unknown");
        line(
            page,
            format_args!(
                "  {word:<16} {retry:<10} {:<14} {}",
                statuses.join(" "),
                class.codes.join(" ")
            ),
        );
    }
    for note in &document.errors.notes {
        line(page, format_args!("  - {note}"));
    }
    line(page, format_args!("\nsources"));
    for source in &document.sources {
        line(page, format_args!("  {}  {}", source.url, source.title));
    }
    page.push('\n');
}

fn fields(fields: &[Field], page: &mut String) {
    let width = |of: &dyn Fn(&Field) -> usize| fields.iter().map(of).max().unwrap_or(0);
    let (path, types) = (width(&|f| f.path.len()), width(&|f| f.types.to_string().len()));
    for field in fields {
        let presence = match (field.presence, &field.tolerated) {
            (FieldPresence::Optional, _) => "optional",
            (FieldPresence::Required, None) => "required",
            (FieldPresence::Required, Some(_)) => "required*",
        };
        let mut said = Vec::new();
        if !field.values.is_empty() {
            said.push(field.values.join(" | "));
        }
        if !field.note.is_empty() {
            said.push(field.note.clone());
        }
        said.extend(field.tolerated.iter().map(|why| format!("*tolerated: {why}")));
        let text = format!(
            "  {:path$}  {:types$}  {presence:<9}  {}",
            field.path,
            field.types.to_string(),
            said.join("; ")
        );
        line(page, format_args!("{}", text.trim_end()));
    }
}

/// Returns the names at the top of a body.
fn names_in(fields: &[Field]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for field in fields.iter().filter(|field| field.path.matches('/').count() == 1) {
        let mark = if field.presence == FieldPresence::Required { "" } else { "?" };
        names.push(format!("{}{mark}", field.path.trim_start_matches('/')));
    }
    names
}

fn of_profile(profile: Profile, page: &mut String) {
    line(page, format_args!("profile {}", profile.as_str()));
    if let Some(base) = ProfileDocument::of(profile) {
        if profile.custom().is_some() {
            line(page, format_args!("  extends {}", base.profile.as_str()));
        }
        line(page, format_args!("  {}", base.about));
        if !base.tolerated.is_empty() {
            line(page, format_args!("  no findings here: {}", base.tolerated.join(", ")));
        }
        for note in &base.notes {
            line(page, format_args!("  - {note}"));
        }
        for source in &base.sources {
            line(page, format_args!("  {}  {}", source.url, source.title));
        }
    }
    let Some(custom) = profile.custom() else { return };
    for (what, words) in [
        ("further fields", &custom.fields),
        ("may be missing", &custom.missing),
        ("may be null", &custom.null),
        ("further events", &custom.events),
    ] {
        if !words.is_empty() {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            line(page, format_args!("  {what}: {}", words.join(", ")));
        }
    }
    for (word, meaning) in &custom.finish_reasons {
        line(page, format_args!("  finish reason {word} means {}", meaning.as_str()));
    }
    if let Some(envelope) = &custom.envelope {
        let parts = [
            ("code", &envelope.code),
            ("type", &envelope.kind),
            ("message", &envelope.message),
            ("request id", &envelope.request_id),
        ];
        for (what, pointer) in parts {
            if let Some(pointer) = pointer {
                line(page, format_args!("  the error's {what} stands at {pointer}"));
            }
        }
    }
    for (code, meaning) in &custom.codes {
        let retry = if meaning.retry_safe { "a retry may help" } else { "a retry cannot help" };
        let class = json!(meaning.class);
        line(
            page,
            format_args!("  error code {code} is {}: {retry}", class.as_str().unwrap_or("unknown")),
        );
    }
    if let Some(header) = &custom.request_id_header {
        line(page, format_args!("  request id in the header {header}"));
    }
    for (url, on) in &custom.sources {
        line(page, format_args!("  {url}  read on {on}"));
    }
}

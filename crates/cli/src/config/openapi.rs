//! OpenAPI documents from files: YAML or JSON, within limits.

use std::ops::Range;
use std::path::{Path, PathBuf};

use contract::{CustomProfile, Mode, OpenApi, Profile, Requirement};
use drill::settings::Provider;
use serde_json::Value as Json;

use super::problem::{ConfigErrors, Problem, Report};
use super::reader::{Fields, Reader};
use super::tree::{self, Limits, Node, Value};

/// The largest known document, OpenAI's own, has some three megabytes.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// OpenAI's own has some two hundred thousand values.
const LIMITS: Limits = Limits { nodes: 2_000_000, depth: 100 };

/// A document that a configuration names.
pub(super) struct Named {
    document: Json,
    path: PathBuf,
    /// Where it is named.
    span: Range<usize>,
}

/// Loads an OpenAPI document.
pub(crate) fn load_openapi(path: &Path) -> Result<Json, ConfigErrors> {
    let file = path.display().to_string();
    let fail = |source: &str, problems| {
        ConfigErrors(Report::new(file.clone(), source, problems, &[]), Vec::new())
    };
    let source = super::read_within(path, FILE_BYTES_MAX, "name the OpenAPI document by its path")
        .map_err(|problem| fail("", vec![problem]))?;
    document_of(&source).map_err(|problems| fail(&source, problems))
}

/// Reads JSON or YAML; every JSON document is one.
fn document_of(source: &str) -> Result<Json, Vec<Problem>> {
    if source.trim_start().starts_with(['{', '[']) {
        return serde_json::from_str(source).map_err(|error| {
            let at = offset_of(source, error.line(), error.column());
            vec![Problem::new(at..at, format!("not JSON: {error}"))]
        });
    }
    let mut problems = Vec::new();
    match tree::parse_within(source, LIMITS, &mut problems) {
        Ok(Some(root)) if problems.is_empty() => Ok(json(&root)),
        Ok(Some(_)) => Err(problems),
        Ok(None) => Err(vec![Problem::of_file("the file is empty")]),
        Err(problem) => {
            problems.push(problem);
            Err(problems)
        }
    }
}

fn offset_of(source: &str, line: usize, column: usize) -> usize {
    let before: usize =
        source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(source.len())
}

/// Turns a node into JSON: plain words by YAML's core schema. Nothing is taken from the environment.
fn json(node: &Node) -> Json {
    match &node.value {
        _ if node.is_null() => Json::Null,
        Value::Scalar { text, plain } => {
            let typed = plain.then(|| serde_json::from_str::<Json>(text).ok()).flatten();
            typed
                .filter(|json| json.is_number() || json.is_boolean())
                .unwrap_or_else(|| Json::String(text.clone()))
        }
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map { entries, .. } => {
            entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect()
        }
    }
}

impl Reader<'_> {
    /// Reads the document that `contract.openapi` names.
    pub(super) fn openapi(&mut self, fields: &Fields<'_>) -> Option<Named> {
        let path = self.file(fields, "openapi")?;
        match load_openapi(&path) {
            Ok(document) => Some(Named { document, path, span: fields.span("openapi") }),
            Err(ConfigErrors(report, _)) => {
                self.others.push(report);
                None
            }
        }
    }

    /// Adds what the document says to the provider's profile.
    pub(super) fn required_by(&mut self, named: &Named, provider: &Provider) -> Profile {
        let read = match OpenApi::read(&named.document, provider.surface) {
            Ok(read) => read,
            Err(problem) => {
                let message = format!("{}: {problem}", named.path.display());
                self.report(Problem::new(named.span.clone(), message).help(problem.help));
                return provider.profile;
            }
        };
        for mode in &provider.modes {
            if read.outline(*mode).is_none() {
                let what = match mode {
                    Mode::Unary => "application/json",
                    Mode::Stream => "text/event-stream",
                };
                let message =
                    format!("the OpenAPI document says nothing of {mode} replies ({what})");
                self.warn(
                    Problem::new(named.span.clone(), message)
                        .help("they are judged by the built-in contract alone"),
                );
            }
        }
        with_requirement(provider.profile, read, provider.surface)
    }
}

/// Returns a profile that also requires what a document says.
pub(crate) fn with_requirement(
    profile: Profile,
    read: OpenApi,
    surface: contract::Surface,
) -> Profile {
    let own = profile.custom().cloned();
    let own = own.unwrap_or_else(|| CustomProfile {
        name: profile.as_str().to_owned(),
        extends: profile.into(),
        ..CustomProfile::default()
    });
    let requirement = Requirement { surface, unary: read.unary, stream: read.stream };
    CustomProfile { requirement: Some(requirement), ..own }.publish()
}

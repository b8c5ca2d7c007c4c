//! Reads an OpenAPI 3.0 or 3.1 document: the outline of one surface's reply, unary and streamed.
//!
//! What is read is what a shape can be compared with: fields, types, `null`, what must be there. `allOf` is joined, of `oneOf` and `anyOf`
//! everything is allowed that one of them allows. Values (`enum`, `pattern`, limits) are not looked at here.

mod flat;

use flat::Flattener;
use serde_json::Value;

use super::Outline;
use crate::{Mode, Surface};

/// What an OpenAPI document says of one surface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenApi {
    /// The path at which it documents the surface.
    pub path: String,
    /// The unary reply.
    pub unary: Option<Outline>,
    /// The events of the streamed reply, all together.
    pub stream: Option<Outline>,
    /// What was read with less than it says.
    pub notes: Vec<String>,
}

/// Why an OpenAPI document cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (at {at})")]
pub struct OpenApiProblem {
    /// Where in the document: a JSON pointer.
    pub at: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub help: String,
}

impl OpenApiProblem {
    fn new(at: &str, what: impl Into<String>, help: impl Into<String>) -> Self {
        let at = if at.is_empty() { "/" } else { at };
        Self { at: at.to_owned(), what: what.into(), help: help.into() }
    }
}

impl OpenApi {
    /// Reads what the document says of a surface.
    pub fn read(document: &Value, surface: Surface) -> Result<Self, OpenApiProblem> {
        check_version(document)?;
        let (path, operation) = operation(document, surface)?;
        let at = format!("/paths/{}/post/responses", escaped(&path));
        let responses = operation.get("responses").and_then(Value::as_object).ok_or_else(|| {
            OpenApiProblem::new(&at, "no `responses`", "describe the reply with status 200")
        })?;
        let (status, response) = ["200", "201", "2XX", "2xx", "default"]
            .iter()
            .find_map(|status| Some((*status, responses.get(*status)?)))
            .ok_or_else(|| {
                OpenApiProblem::new(
                    &at,
                    "no reply with status 200",
                    "describe the reply with status 200",
                )
            })?;
        let at = format!("{at}/{status}");
        let mut flattener = Flattener::new(document);
        let response = flattener.resolved(response, &at)?;
        let content = response.get("content").and_then(Value::as_object).ok_or_else(|| {
            OpenApiProblem::new(
                &at,
                "the reply has no `content`",
                "describe its body as application/json",
            )
        })?;
        let (mut unary, mut stream) = (None, None);
        for (media_type, body) in content {
            let kind = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let at = format!("{at}/content/{}", escaped(media_type));
            let is_stream = kind == "text/event-stream";
            let is_json = kind == "application/json" || kind.ends_with("+json") || kind == "*/*";
            let (key, place) = match (is_stream, is_json) {
                // 3.2 has a word of its own for what is repeated.
                (true, _) if body.get("itemSchema").is_some() => ("itemSchema", &mut stream),
                (true, _) => ("schema", &mut stream),
                (_, true) => ("schema", &mut unary),
                _ => continue,
            };
            if let Some(schema) = body.get(key) {
                *place = Some(flattener.outline(schema, &format!("{at}/{key}"))?);
            }
        }
        if unary.is_none() && stream.is_none() {
            let what = "neither application/json nor text/event-stream has a schema";
            return Err(OpenApiProblem::new(&at, what, "describe the body by a `schema`"));
        }
        Ok(Self { path, unary, stream, notes: flattener.into_notes() })
    }

    /// Returns the outline of a mode's reply, if the document has one.
    pub fn outline(&self, mode: Mode) -> Option<&Outline> {
        match mode {
            Mode::Unary => self.unary.as_ref(),
            Mode::Stream => self.stream.as_ref(),
        }
    }
}

fn check_version(document: &Value) -> Result<(), OpenApiProblem> {
    if let Some(version) = document.get("swagger") {
        let what = format!("Swagger {} is not read", version.as_str().unwrap_or("2.0"));
        return Err(OpenApiProblem::new("/swagger", what, "convert it to OpenAPI 3.0 or 3.1"));
    }
    let version = document.get("openapi");
    // A number where somebody left out the quotes in YAML.
    let version = version.map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
    match version {
        Some(version) if ["3.0", "3.1", "3.2"].iter().any(|known| version.starts_with(known)) => {
            Ok(())
        }
        Some(_) => Err(OpenApiProblem::new(
            "/openapi",
            "another version than 3.0 or 3.1",
            "write it as OpenAPI 3.1",
        )),
        None => Err(OpenApiProblem::new(
            "",
            "no OpenAPI document: `openapi` is missing",
            "name an OpenAPI 3.0 or 3.1 document",
        )),
    }
}

/// Finds the operation of a surface: the shortest path that ends as the surface's does.
fn operation(document: &Value, surface: Surface) -> Result<(String, &Value), OpenApiProblem> {
    let wanted = surface.resource_path();
    let paths = document.get("paths").and_then(Value::as_object).ok_or_else(|| {
        OpenApiProblem::new(
            "/paths",
            "no `paths`",
            "name the document that describes the endpoints",
        )
    })?;
    let mut found: Vec<_> = paths
        .iter()
        .filter(|(path, item)| {
            path.trim_end_matches('/').ends_with(wanted) && item.get("post").is_some()
        })
        .collect();
    found.sort_by_key(|(path, _)| path.len());
    let (path, item) = found.first().ok_or_else(|| {
        OpenApiProblem::new(
            "/paths",
            format!("no path with a `post` ends in {wanted}"),
            format!(
                "is it the document of this provider, and does it describe the surface {surface}?"
            ),
        )
    })?;
    Ok(((*path).clone(), item.get("post").unwrap_or(&Value::Null)))
}

/// Writes a key as a segment of a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

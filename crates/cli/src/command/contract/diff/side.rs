//! One side of a comparison: saved replies, a saved shape, an OpenAPI document, or the built-in contract.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use contract::{
    BodyKind, Completion, ContractDocument, Dump, Judgement, Mode, OpenApi, Profile, Shape,
    Surface, judge_dump,
};
use serde_json::{Value, json};

use crate::command::refused;
use crate::config;
use crate::failure::Failure;

/// The format of a saved shape.
const SHAPE_FORMAT: u64 = 1;
const SHAPE_KEY: &str = "surestep_shape";

/// The finding of a reply that is one of the other surface.
const WRONG_SURFACE: &str = "wrong-surface";

/// Files of a folder that are named as left out, at most.
const LEFT_OUT_MAX: usize = 10;

/// What kind of reply a shape is of: only like is compared with like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Channel {
    Unary,
    Stream,
    Error,
}

impl Channel {
    pub(super) const ALL: [Self; 3] = [Self::Unary, Self::Stream, Self::Error];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::Stream => "stream",
            Self::Error => "error",
        }
    }

    pub(super) fn mode(self) -> Option<Mode> {
        match self {
            Self::Unary => Some(Mode::Unary),
            Self::Stream => Some(Mode::Stream),
            Self::Error => None,
        }
    }
}

/// One side of a comparison.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    name: String,
    /// Nothing where it cannot be told.
    pub(super) surface: Option<Surface>,
    pub(super) shapes: BTreeMap<Channel, Shape>,
    n_replies: usize,
    /// The OpenAPI document that it was read from.
    pub(super) document: Option<PathBuf>,
    /// What was read and has no shape to compare, with the reason.
    pub(super) left_out: Vec<String>,
}

impl Side {
    /// Reads whatever is named. `likely`: of which surface a document is read that may have both.
    pub(super) fn read(
        path: &Path,
        surface: Option<Surface>,
        likely: Option<Surface>,
    ) -> Result<Self, Failure> {
        let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if is_yaml && path.is_file() {
            return Self::of_openapi(path, surface.or(likely));
        }
        let (files, is_folder) = super::super::files(&[path.to_owned()])?;
        let mut side = Self { name: path.display().to_string(), ..Self::default() };
        for file in &files {
            let bytes = super::super::read(file)?;
            if !is_folder && let Some(document) = object(&bytes) {
                if document.contains_key("openapi") || document.contains_key("swagger") {
                    return Self::of_openapi(path, surface.or(likely));
                }
                if document.contains_key(SHAPE_KEY) {
                    return Self::of_saved(path, &Value::Object(document));
                }
            }
            side.add(file, &bytes, surface);
        }
        Ok(side)
    }

    /// Returns the built-in contract.
    pub(super) fn built_in(surface: Surface) -> Self {
        let document = ContractDocument::of(surface);
        let shapes = BTreeMap::from([
            (Channel::Unary, document.reply_outline().shape().clone()),
            (Channel::Stream, document.stream_outline().shape().clone()),
        ]);
        let name = format!("the built-in contract {}", document.version);
        Self { name, surface: Some(surface), shapes, ..Self::default() }
    }

    /// Reads an OpenAPI document: of the surface, or of the first that it documents.
    pub(super) fn of_openapi(path: &Path, surface: Option<Surface>) -> Result<Self, Failure> {
        let document = config::load_openapi(path).map_err(|errors| refused(&errors))?;
        let wanted = surface.unwrap_or(Surface::Chat);
        let mut read = OpenApi::read(&document, wanted).map(|read| (wanted, read));
        if read.is_err()
            && surface.is_none()
            && let Ok(other) = OpenApi::read(&document, Surface::Responses)
        {
            read = Ok((Surface::Responses, other));
        }
        let (surface, read) = read.map_err(|problem| super::super::unusable(path, &problem))?;
        let mut shapes = BTreeMap::new();
        for (channel, outline) in [(Channel::Unary, read.unary), (Channel::Stream, read.stream)] {
            if let Some(outline) = outline {
                shapes.insert(channel, outline.shape().clone());
            }
        }
        Ok(Self {
            name: format!("{} (OpenAPI, {})", path.display(), read.path),
            surface: Some(surface),
            shapes,
            document: Some(path.to_owned()),
            left_out: read.notes,
            ..Self::default()
        })
    }

    fn of_saved(path: &Path, saved: &Value) -> Result<Self, Failure> {
        let refuse = |what: String| {
            Failure::usage(
                format!("{}: {what}", path.display()),
                "Save it again with `surestep contract diff REPLY --save FILE`.",
            )
        };
        if saved.get(SHAPE_KEY).and_then(Value::as_u64) != Some(SHAPE_FORMAT) {
            return Err(refuse(format!("only format {SHAPE_FORMAT} of saved shapes is read")));
        }
        let mut side = Self { name: path.display().to_string(), ..Self::default() };
        let surface = saved.get("surface").cloned().unwrap_or_default();
        side.surface = serde_json::from_value(surface)
            .map_err(|error| refuse(format!("`surface` is no surface: {error}")))?;
        for channel in Channel::ALL {
            let Some(shape) = saved.get("shapes").and_then(|shapes| shapes.get(channel.as_str()))
            else {
                continue;
            };
            let shape = serde_json::from_value(shape.clone()).map_err(|error| {
                refuse(format!("the shape `{}` is damaged: {error}", channel.as_str()))
            })?;
            side.shapes.insert(channel, shape);
        }
        Ok(side)
    }

    /// Writes the shapes to a file.
    pub(super) fn save(&self, path: &Path) -> Result<(), Failure> {
        if self.shapes.is_empty() {
            let reason = self.left_out.first().map_or("", String::as_str);
            return Err(Failure::usage(
                format!("{} has no shape to save: {reason}", self.name),
                "Name a saved reply that is JSON or an event stream.",
            ));
        }
        let shapes: serde_json::Map<_, _> = self
            .shapes
            .iter()
            .map(|(channel, shape)| (channel.as_str().to_owned(), json!(shape)))
            .collect();
        let saved = json!({ SHAPE_KEY: SHAPE_FORMAT, "surface": self.surface, "shapes": shapes });
        std::fs::write(path, crate::command::pretty(&saved)).map_err(|error| {
            Failure::usage(
                format!("{} cannot be written: {error}", path.display()),
                "Name a file in a folder that exists and may be written to.",
            )
        })
    }

    /// Takes in one saved reply.
    fn add(&mut self, file: &Path, bytes: &[u8], surface: Option<Surface>) {
        let dump = Dump::parse(bytes);
        let (told, judgement) = judged(&dump, surface);
        let is_of_other =
            surface.is_some() && judgement.findings.iter().any(|one| one.code == WRONG_SURFACE);
        let channel = match judgement.body {
            _ if is_of_other => Err(match told {
                Surface::Chat => "a reply of the responses surface, not of chat",
                Surface::Responses => "a reply of the chat surface, not of responses",
            }),
            BodyKind::Empty => Err("an empty body"),
            BodyKind::Html => Err("a web page"),
            BodyKind::Other => Err("neither JSON nor events"),
            BodyKind::Json | BodyKind::Sse if judgement.shape.paths().is_empty() => {
                Err("a document that cannot be read")
            }
            BodyKind::Json | BodyKind::Sse
                if dump.status >= 300 || judgement.completion == Completion::Error =>
            {
                Ok(Channel::Error)
            }
            BodyKind::Json => Ok(Channel::Unary),
            BodyKind::Sse => Ok(Channel::Stream),
        };
        match channel {
            Err(reason) => {
                if self.left_out.len() < LEFT_OUT_MAX {
                    self.left_out.push(format!("{}: {reason}", file.display()));
                }
            }
            Ok(channel) => {
                self.n_replies += 1;
                if channel != Channel::Error {
                    self.surface = self.surface.or(Some(told));
                }
                match self.shapes.get_mut(&channel) {
                    Some(shape) => shape.merge(&judgement.shape),
                    None => {
                        self.shapes.insert(channel, judgement.shape);
                    }
                }
            }
        }
    }

    pub(super) fn describe(&self) -> String {
        let kinds: Vec<_> = self.shapes.keys().map(|channel| channel.as_str()).collect();
        let kinds = if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") };
        let replies = match self.n_replies {
            0 => String::new(),
            1 => "1 reply: ".to_owned(),
            n => format!("{n} replies: "),
        };
        format!("{} ({replies}{kinds})", self.name)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "replies": self.n_replies,
            "kinds": self.shapes.keys().map(|channel| channel.as_str()).collect::<Vec<_>>(),
            "left_out": self.left_out,
        })
    }
}

/// Judges a reply as one of the surface, or of the one that it looks like.
fn judged(dump: &Dump, surface: Option<Surface>) -> (Surface, Judgement) {
    let content_type = dump.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let mode =
        if content_type.starts_with(b"text/event-stream") { Mode::Stream } else { Mode::Unary };
    let judge = |surface| (surface, judge_dump(surface, mode, Profile::Openai, dump));
    if let Some(surface) = surface {
        return judge(surface);
    }
    let (chat, as_chat) = judge(Surface::Chat);
    if as_chat.findings.iter().any(|finding| finding.code == WRONG_SURFACE) {
        return judge(Surface::Responses);
    }
    (chat, as_chat)
}

/// Returns the fields of a JSON object.
fn object(bytes: &[u8]) -> Option<serde_json::Map<String, Value>> {
    // What is no JSON is looked at as a saved reply.
    serde_json::from_slice(bytes).ok()
}

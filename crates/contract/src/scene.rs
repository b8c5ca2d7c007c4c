//! What every part of a judgement writes into, and the checks that both surfaces share.

use crate::error::{ErrorParts, is_error_body};
use crate::json::{JsonFault, Tape, Value};
use crate::report::Report;
use crate::response::DeliveredText;
use crate::rule::{self, Rule};
use crate::shape::ShapeTrie;
use crate::{Completion, Kind, Profile, Shape, Surface};

/// Longest id or model name that is kept.
const NAME_BYTES_MAX: usize = 256;

/// The judgement in the making.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) report: Report,
    pub(crate) shape: ShapeTrie,
    pub(crate) text: DeliveredText,
    pub(crate) error: Option<ErrorParts>,
    pub(crate) response_id: Option<String>,
    pub(crate) model: Option<String>,
    /// How many bytes of tool-call arguments came in deltas, of all calls of all choices.
    pub(crate) n_argument_bytes: usize,
    /// Whether what repeats may be recognised instead of read again.
    pub(crate) takes_shortcuts: bool,
}

impl Scene {
    pub(crate) fn new(profile: Profile) -> Self {
        Self {
            report: Report::new(profile),
            shape: ShapeTrie::default(),
            text: DeliveredText::default(),
            error: None,
            response_id: None,
            model: None,
            n_argument_bytes: 0,
            takes_shortcuts: true,
        }
    }

    /// Forgets all that a body gave that turned out to be damaged, but for the findings on its encoding.
    pub(crate) fn forget_body(&mut self, n_head_findings: usize) {
        let mut scene = Self::new(self.report.profile());
        scene.takes_shortcuts = self.takes_shortcuts;
        scene.report = std::mem::replace(&mut self.report, Report::new(scene.report.profile()));
        scene
            .report
            .forget_after(n_head_findings, &[&rule::CONTENT_ENCODED, &rule::ENCODING_BROKEN]);
        *self = scene;
    }

    /// Takes one document of several into the shape and notes what is odd about its writing.
    pub(crate) fn absorb(&mut self, document: Value<'_>, at: std::fmt::Arguments<'_>) {
        self.shape.absorb(document);
        self.note_writing(document, at);
    }

    /// Reads the only document there is, takes it into the shape and notes what is odd about its writing.
    pub(crate) fn read_sole<'t>(
        &mut self,
        bytes: &'t [u8],
        tape: &'t mut Tape,
    ) -> Result<Value<'t>, JsonFault> {
        tape.takes_shortcuts = self.takes_shortcuts;
        let document = match simdutf8::basic::from_utf8(bytes) {
            Ok(text) if self.takes_shortcuts => {
                if let Some(shape) = Shape::read_along(text, tape) {
                    self.shape.take_sole(shape);
                    tape.document(text)
                } else {
                    let document = tape.read_text(text)?;
                    self.shape.absorb_sole(document);
                    document
                }
            }
            Ok(_) | Err(_) => {
                let document = tape.read(bytes)?;
                self.shape.absorb(document);
                document
            }
        };
        self.note_writing(document, format_args!("/"));
        Ok(document)
    }

    fn note_writing(&mut self, document: Value<'_>, at: std::fmt::Arguments<'_>) {
        if document.has_duplicate_key() {
            self.report.add(&rule::JSON_DUPLICATE_KEY, at, format_args!("a key twice"));
        }
        if document.has_lone_surrogate() {
            self.report.add(&rule::JSON_LONE_SURROGATE, at, format_args!("half a pair"));
        }
    }

    /// Takes an error that stands inside of a success.
    pub(crate) fn take_error(&mut self, rule: &Rule, body: Value<'_>, at: std::fmt::Arguments<'_>) {
        self.report.add(rule, at, format_args!("an error"));
        let parts = ErrorParts::read(body, &mut self.report);
        self.error.get_or_insert(parts);
    }

    /// Whether a document that came with a success status is an error in truth, in a common envelope or the provider's own.
    pub(crate) fn is_error_body(&self, body: Value<'_>) -> bool {
        is_error_body(body)
            || self.report.profile().custom().is_some_and(|custom| custom.is_error(body))
    }

    pub(crate) fn keep_id(&mut self, id: &str) {
        keep(&mut self.response_id, id);
    }

    pub(crate) fn keep_model(&mut self, model: &str) {
        keep(&mut self.model, model);
    }

    /// Checks `id` and `model`, which both surfaces have.
    pub(crate) fn identity(&mut self, object: Value<'_>, at: std::fmt::Arguments<'_>) {
        match object.get("id").and_then(Value::text).filter(|id| !id.is_empty()) {
            Some(id) => self.keep_id(&id),
            None => self.report.add(
                &rule::ID_ODD,
                format_args!("{at}/id"),
                format_args!("{}", seen(object.get("id"))),
            ),
        }
        match object.get("model").and_then(Value::text).filter(|model| !model.is_empty()) {
            Some(model) => self.keep_model(&model),
            None => self.report.add(
                &rule::MODEL_ODD,
                format_args!("{at}/model"),
                format_args!("{}", seen(object.get("model"))),
            ),
        }
    }
}

fn keep(place: &mut Option<String>, text: &str) {
    if place.is_none() && !text.is_empty() && text.len() <= NAME_BYTES_MAX {
        *place = Some(text.to_owned());
    }
}

/// Returns the type of a value that may not be there.
pub(crate) fn seen(value: Option<Value<'_>>) -> Kind {
    value.map_or(Kind::ABSENT, Value::kind)
}

/// Returns the type of a value that should be a certain word, or that it is another one.
pub(crate) fn seen_word(value: Option<Value<'_>>) -> String {
    let kind = seen(value);
    if kind == Kind::STRING { "another word".to_owned() } else { kind.to_string() }
}

/// Looks for documents that are no reply of the surface at all, and says how far the answer came then.
pub(crate) fn foreign_document(
    surface: Surface,
    body: Value<'_>,
    scene: &mut Scene,
) -> Option<Completion> {
    let has = |key: &str| body.get(key).is_some();
    // A failed response of the Responses surface carries its error where its status says so.
    let is_response = surface == Surface::Responses
        && body.get("object").is_some_and(|object| object.is("response"))
        && has("status");
    if !is_response && scene.is_error_body(body) {
        scene.take_error(&rule::ERROR_IN_SUCCESS, body, format_args!("/error"));
        return Some(Completion::Error);
    }
    if body.is_null() {
        scene.report.add(&rule::BODY_EMPTY, format_args!("/"), format_args!("null"));
        return Some(Completion::Nothing);
    }
    if let Some(text) = body.text() {
        let holds_json = text.trim_start().starts_with(['{', '[']);
        let rule = if holds_json { &rule::JSON_DOUBLE } else { &rule::JSON_NOT_OBJECT };
        scene.report.add(rule, format_args!("/"), format_args!("string"));
        return Some(Completion::Nothing);
    }
    if !body.is_object() {
        scene.report.add(
            &rule::JSON_NOT_OBJECT,
            format_args!("/"),
            format_args!("{}", body.kind()),
        );
        return Some(Completion::Nothing);
    }
    let has_answer = match surface {
        Surface::Chat => has("choices"),
        Surface::Responses => has("output"),
    };
    if has_answer {
        return None;
    }
    let is_other_surface = match surface {
        Surface::Chat => {
            has("output") && body.get("object").is_some_and(|object| object.is("response"))
        }
        Surface::Responses => has("choices"),
    };
    let is_other_api = has("candidates")
        || has("promptFeedback")
        || has("content") && body.get("type").is_some_and(|kind| kind.is("message"));
    let is_house_envelope = ["data", "result", "response"]
        .iter()
        .any(|key| body.get(key).is_some_and(|value| value.is_object() || value.is_array()));
    let is_running = body.get("status").and_then(Value::text).is_some_and(|status| {
        ["queued", "pending", "processing", "in_progress", "running", "submitted"]
            .contains(&status.to_ascii_lowercase().as_str())
    });
    if is_other_surface || is_other_api {
        scene.report.add(
            &rule::WRONG_SURFACE,
            format_args!("/"),
            format_args!("the reply of another endpoint"),
        );
    } else if is_running && surface == Surface::Chat {
        scene.report.add(
            &rule::NOT_FINISHED,
            format_args!("/status"),
            format_args!("a call that is still running"),
        );
    } else if is_house_envelope && !is_response {
        scene.report.add(
            &rule::ENVELOPE_FOREIGN,
            format_args!("/"),
            format_args!("an envelope around the reply"),
        );
    } else {
        return None;
    }
    Some(Completion::Nothing)
}

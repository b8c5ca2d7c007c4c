//! Judges one response while it arrives.

mod body;
mod encoding;
mod events;
mod head;

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use body::Body;
use encoding::Decoder;
use head::Head;
use memchr::memmem::Finder;

use crate::error::ErrorParts;
use crate::scene::Scene;
use crate::{
    BodyKind, Completion, ContractVerdict, ErrorClass, Judgement, Mode, Profile, Requirement,
    Surface, rule,
};

/// Most bytes of delivered text that are kept, to compare with what a release answers.
const TEXT_BYTES_MAX: usize = 256 * 1024;

/// U+FFFD, which stands where a character was damaged; every text is searched for it.
static REPLACEMENT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\u{fffd}"));

/// How the body of a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// As its framing said: the last chunk, or all of its length.
    Complete,
    /// Before that.
    Cut,
    /// Before that, because the reader left: what would have followed is not known, and not the provider's fault.
    ReaderLeft,
}

/// The text that the model delivered: it stays in memory, and `Debug` shows its length only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DeliveredText(String);

impl DeliveredText {
    /// Returns the text, for comparing in memory.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Appends as much as fits, without a copy where the text is the first.
    pub(crate) fn take(&mut self, text: Cow<'_, str>) {
        match text {
            Cow::Owned(text) if self.0.is_empty() && text.len() <= TEXT_BYTES_MAX => self.0 = text,
            text @ (Cow::Borrowed(_) | Cow::Owned(_)) => self.append(&text),
        }
    }

    /// Appends as much as fits.
    pub(crate) fn append(&mut self, text: &str) {
        let mut end = text.len().min(TEXT_BYTES_MAX - self.0.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.0.push_str(text.get(..end).unwrap_or_default());
    }
}

impl fmt::Debug for DeliveredText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeliveredText({} bytes)", self.0.len())
    }
}

/// Judges one response, fed as it arrives. What it keeps is bounded, whatever comes.
#[derive(Debug)]
pub struct ResponseJudge {
    surface: Surface,
    mode: Mode,
    head: Head,
    scene: Scene,
    decoder: Decoder,
    body: Body,
    /// How many findings the head alone gave.
    n_head_findings: usize,
    requirement: Option<&'static Requirement>,
}

impl ResponseJudge {
    /// Starts on a response to a request of this surface and mode.
    pub fn new(surface: Surface, mode: Mode, profile: Profile) -> Self {
        Self {
            surface,
            mode,
            head: Head::default(),
            scene: Scene::new(profile),
            decoder: Decoder::default(),
            body: Body::new(surface, mode, false),
            n_head_findings: 0,
            requirement: profile.custom().and_then(|custom| custom.requirement.as_ref()),
        }
    }

    /// Reads every event and every structure in full, also where it repeats an earlier one. The judgement is the same; tests and
    /// fuzzers hold the two against each other.
    #[doc(hidden)]
    #[must_use]
    pub fn without_shortcuts(mut self) -> Self {
        self.scene.takes_shortcuts = false;
        self
    }

    /// Says that surestep made this reply: what the provider's own document says is not asked of it.
    pub fn made_here(&mut self) {
        self.requirement = None;
    }

    /// Takes the status and the headers.
    pub fn head<'h>(
        &mut self,
        status: u16,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    ) {
        self.head = Head::read(status, headers, &mut self.scene.report);
        self.n_head_findings = self.scene.report.count();
        self.decoder = Decoder::new(&self.head.encoding);
        self.body = Body::new(self.surface, self.mode, self.head.is_event_stream());
        if !self.head.is_success() {
            // The grammar of an answer is not asked of an error.
            self.body.expect_error();
        }
    }

    /// Notes that more was saved of the body than its `content-length` announced.
    pub(crate) fn exceeds_length(&mut self) {
        self.scene.report.add(
            &rule::BODY_BEYOND_LENGTH,
            format_args!("header content-length"),
            format_args!("more bytes"),
        );
    }

    /// Takes bytes of the body, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        let Self { scene, decoder, body, .. } = self;
        decoder.push(bytes, scene, &mut |plain, scene| body.push(plain, scene));
    }

    /// Ends the body and judges. The text is what the model delivered, up to a limit.
    pub fn finish(self, end: BodyEnd) -> (Judgement, DeliveredText) {
        let Self {
            surface,
            mode,
            head,
            mut scene,
            decoder,
            mut body,
            n_head_findings,
            requirement,
        } = self;
        if decoder.is_broken() && scene.report.has(&rule::ENCODING_BROKEN) {
            // How much came out before the damage depends on how the bytes were cut, so none of it counts.
            scene.forget_body(n_head_findings);
            body = Body::new(surface, mode, false);
        }
        decoder.finish(end, &mut scene, &mut |plain, scene| body.push(plain, scene));
        let outcome = body.finish(end, &head, &mut scene);
        let completion = if head.is_success() {
            check_content_type(mode, &head, outcome.body, &mut scene);
            without_error_text(outcome.completion, &mut scene)
        } else {
            judge_status(&head, outcome.completion, &mut scene)
        };
        if let Some((parts, kind)) = scene.error.as_mut().zip(head.error_type.as_deref()) {
            parts.take_header_type(kind);
        }
        let error = scene.error.as_ref().map(|parts| {
            let mut facts = parts.facts(head.status, head.request_id.as_deref());
            // Of what is nobody's mistake, the provider knows best; a mistake of the client stays one.
            facts.retry_safe |= head.should_retry == Some(true)
                && matches!(facts.class, ErrorClass::Unknown | ErrorClass::Server);
            // Asking again after a part of the answer was shown would show it twice.
            facts.retry_safe &= !outcome.has_delivered && head.should_retry != Some(false);
            facts
        });
        if let Some(facts) =
            error.as_ref().filter(|facts| ErrorParts::status_misleads(facts, head.status))
            && head.should_retry != Some(false)
        {
            let at = format_args!("status {}", head.status);
            scene.report.add(
                &rule::ERROR_STATUS_MISLEADS,
                at,
                format_args!("an error of class {}, which no retry heals", facts.class.as_str()),
            );
        }
        if REPLACEMENT.find(scene.text.expose().as_bytes()).is_some() {
            scene.report.add(
                &rule::CONTENT_DAMAGED,
                format_args!("content"),
                format_args!("U+FFFD"),
            );
        }
        let shape = scene.shape.to_shape();
        if let Some(requirement) = requirement
            && head.is_success()
            && completion != Completion::Error
        {
            requirement.check(surface, mode, &shape, &mut scene.report);
        }
        if scene.shape.has_overflowed() {
            scene.report.add(&rule::SHAPE_TOO_WIDE, format_args!("/"), format_args!("more"));
        }
        // What is held is not proven, whatever its own words say.
        let is_held = scene.report.verdict() == ContractVerdict::Hold;
        let completion = if is_held && completion == Completion::Complete {
            Completion::Truncated
        } else {
            completion
        };
        // Whatever the findings say: only a finished answer may be relied on.
        let floor =
            if completion.is_finished() { ContractVerdict::Pass } else { ContractVerdict::Hold };
        let judgement = Judgement {
            verdict: scene.report.verdict().max(floor),
            completion,
            error,
            body: outcome.body,
            shape,
            events: outcome.n_events,
            response_id: scene.response_id,
            model: scene.model,
            findings: scene.report.into_findings(),
        };
        (judgement, scene.text)
    }
}

/// Notes a success whose type does not say what its bytes are.
fn check_content_type(mode: Mode, head: &Head, body: BodyKind, scene: &mut Scene) {
    let is_right = match (mode, body) {
        (Mode::Unary, BodyKind::Json) => head.is_json(),
        (Mode::Stream, BodyKind::Sse) => head.is_event_stream(),
        // The body is a worse finding by itself.
        (Mode::Unary | Mode::Stream, _) => true,
    };
    if !is_right {
        scene.report.add(
            &rule::CONTENT_TYPE_ODD,
            format_args!("header content-type"),
            format_args!("{}", head.content_type_class()),
        );
    }
}

/// Looks for an error text in place of an answer.
fn without_error_text(completion: Completion, scene: &mut Scene) -> Completion {
    if !completion.is_finished() || !crate::error::reads_like_an_error(scene.text.expose()) {
        return completion;
    }
    scene.report.add(
        &rule::CONTENT_LIKE_ERROR,
        format_args!("content"),
        format_args!("the wording of an error"),
    );
    let parts = ErrorParts::of_text(scene.text.expose());
    scene.error.get_or_insert(parts);
    Completion::Error
}

/// Judges a response that is no success by its status.
fn judge_status(head: &Head, completion: Completion, scene: &mut Scene) -> Completion {
    let status = head.status;
    if (300..400).contains(&status) {
        scene.report.add(
            &rule::REDIRECT,
            format_args!("status {status}"),
            format_args!("a redirect"),
        );
        return completion;
    }
    scene.error.get_or_insert_with(ErrorParts::default);
    scene.report.add(
        &rule::ERROR_STATUS,
        format_args!("status {status}"),
        format_args!("HTTP {status}"),
    );
    Completion::Error
}

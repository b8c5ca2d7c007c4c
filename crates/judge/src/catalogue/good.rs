//! Replies that a release must take: the documented one, and its legal variations.

use contract::{Mode, Surface};

use super::{HAPPY_LIVE, Plan};
use crate::judging::ReleaseKind;
use crate::probe::{Attempts, Expect, HAPPY_CONVERSATION, HAPPY_TOOL_CALLS};
use crate::stimulus::{Stimulus, Variation};

pub(super) fn add(plan: &mut Plan<'_>) {
    plan.add(HAPPY_LIVE, "happy", Stimulus::Relay, Expect::Answer, Attempts::Policy);
    plan.add("happy-unicode", "happy", Stimulus::Documented, Expect::Answer, Attempts::Policy);
    if plan.context.kind == ReleaseKind::Gateway {
        // Its callers send more than a question, and the provider's replies are more than text.
        plan.add(
            HAPPY_CONVERSATION,
            "happy",
            Stimulus::Documented,
            Expect::Answer,
            Attempts::Policy,
        );
        plan.add(HAPPY_TOOL_CALLS, "happy", Stimulus::ToolCalls, Expect::Answer, Attempts::Policy);
    }
    // An application that says it needs a field may refuse a reply without it.
    let (surface, required) = (plan.context.surface, plan.context.required_fields);
    let needs_usage = required.iter().any(|field| field.starts_with("/usage"));
    let needs_optional = required.iter().any(|field| Variation::minimal_lacks(field));
    let mut tolerated = |id, variation, expect| {
        plan.add(id, "tolerated", Stimulus::Tolerated(variation), expect, Attempts::Policy);
    };
    tolerated("tolerated-extra-fields", Variation::ExtraFields, Expect::Answer);
    tolerated("tolerated-model-snapshot", Variation::ModelSnapshot, Expect::Answer);
    tolerated("tolerated-reasoning", Variation::Reasoning, Expect::Answer);
    if !needs_usage {
        tolerated("tolerated-usage-null", Variation::UsageNull, Expect::Answer);
    }
    if !needs_optional {
        tolerated("tolerated-minimal", Variation::Minimal, Expect::Answer);
    }
    tolerated("tolerated-long", Variation::Long, Expect::Answer);
    tolerated("tolerated-late", Variation::Late, Expect::Answer);
    if surface == Surface::Responses {
        // A message is a list of texts (contracts.md section 2.2); every SDK's `output_text` joins them.
        tolerated("tolerated-parts", Variation::Parts, Expect::Answer);
    }
    match plan.mode {
        Mode::Unary => unary(plan, needs_usage),
        Mode::Stream => stream(plan),
    }
}

fn unary(plan: &mut Plan<'_>, needs_usage: bool) {
    let is_thorough = plan.is_thorough();
    let mut tolerated = |id, variation, expect| {
        plan.add(id, "tolerated", Stimulus::Tolerated(variation), expect, Attempts::Policy);
    };
    if !needs_usage {
        tolerated("tolerated-usage-absent", Variation::UsageAbsent, Expect::Answer);
    }
    tolerated("tolerated-leading-space", Variation::LeadingSpace, Expect::Answer);
    tolerated("tolerated-gzip", Variation::Gzip, Expect::Answer);
    if is_thorough {
        tolerated("tolerated-split-utf8", Variation::SplitUtf8, Expect::Answer);
        // Legal JSON has none (RFC 8259 section 8.1), and parsers may ignore it.
        tolerated("tolerated-bom", Variation::Bom, Expect::AnswerOrWarn);
    }
}

fn stream(plan: &mut Plan<'_>) {
    let (surface, is_thorough) = (plan.context.surface, plan.is_thorough());
    let mut tolerated = |id, variation, expect| {
        plan.add(id, "tolerated", Stimulus::Tolerated(variation), expect, Attempts::Policy);
    };
    tolerated("tolerated-comments", Variation::Comments, Expect::Answer);
    tolerated("tolerated-crlf", Variation::Crlf, Expect::Answer);
    tolerated("tolerated-no-space", Variation::NoSpace, Expect::Answer);
    tolerated("tolerated-split-utf8", Variation::SplitUtf8, Expect::Answer);
    tolerated("tolerated-one-read", Variation::OneRead, Expect::Answer);
    // A stream is over when it says so (contracts.md row 87): whoever waits for the connection to end waits as long as a proxy likes. Vercel's AI SDK, curl
    // and, for responses, the official SDKs do; with a deadline it is only a warning.
    tolerated("tolerated-held-open", Variation::HeldOpen, Expect::AnswerOrWarn);
    // Common readers of lines know more line ends than event streams have.
    tolerated("tolerated-line-separators", Variation::LineSeparators, Expect::AnswerOrWarn);
    match surface {
        Surface::Chat => {
            tolerated("tolerated-usage-chunk", Variation::UsageChunk, Expect::Answer);
            tolerated("tolerated-role-with-words", Variation::RoleWithWords, Expect::Answer);
            // Of no documentation, and sent (contracts.md rows 44 and 128, defects W126 to W128).
            tolerated("tolerated-usage-empty", Variation::UsageEmpty, Expect::AnswerOrWarn);
            tolerated("tolerated-finish-empty", Variation::FinishEmpty, Expect::AnswerOrWarn);
            tolerated("tolerated-cost-chunk", Variation::CostChunk, Expect::AnswerOrWarn);
        }
        // The stream helper of openai-node 7 refuses unknown events (contracts.md row 136).
        Surface::Responses => {
            tolerated("tolerated-extra-events", Variation::ExtraEvents, Expect::AnswerOrWarn);
        }
    }
    if is_thorough {
        tolerated("tolerated-byte-by-byte", Variation::ByteByByte, Expect::Answer);
        tolerated("tolerated-event-fields", Variation::EventFields, Expect::Answer);
        // Legal, and rare enough that common readers were never tried on it (contracts.md section 7D).
        tolerated("tolerated-bom", Variation::Bom, Expect::AnswerOrWarn);
        tolerated("tolerated-data-lines", Variation::DataLines, Expect::AnswerOrWarn);
        if surface == Surface::Chat {
            // What Azure sends before the first chunk (contracts.md row 113).
            tolerated("tolerated-filter-chunk", Variation::FilterChunk, Expect::AnswerOrWarn);
            // OpenAI sends the reason apart, others beside the last words: who stops at it before it has read them loses them.
            tolerated("tolerated-finish-with-words", Variation::FinishWithWords, Expect::Answer);
        }
    }
}

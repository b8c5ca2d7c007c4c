//! Replies under status 200 that are no usable completion.

use contract::{Mode, Surface};

use super::Plan;
use crate::judging::ReleaseKind;
use crate::probe::{Attempts, Expect};
use crate::stimulus::{ShapeFault, Stimulus, StreamFault};

pub(super) fn add(plan: &mut Plan<'_>) {
    match plan.mode {
        Mode::Unary => shape(plan),
        Mode::Stream => stream(plan),
    }
    match plan.context.kind {
        // It is a whole answer, in another field than the one that is read, and no word of it is the provider's.
        ReleaseKind::Application => plan.add(
            "shape-tool-calls",
            "shape",
            Stimulus::UnaskedToolCall,
            Expect::Refusal,
            Attempts::Policy,
        ),
        // Those who ask a gateway may have offered tools, and read the calls themselves.
        ReleaseKind::Gateway => {}
    }
}

fn shape(plan: &mut Plan<'_>) {
    let surface = plan.context.surface;
    let mut shape = |id, fault, expect| {
        plan.add(id, "shape", Stimulus::Shape(fault), expect, Attempts::Policy);
    };
    shape("shape-error-body", ShapeFault::ErrorBody, Expect::Refusal);
    shape("shape-html", ShapeFault::Html, Expect::Refusal);
    shape("shape-empty-body", ShapeFault::EmptyBody, Expect::Refusal);
    shape("shape-truncated-json", ShapeFault::TruncatedJson, Expect::Refusal);
    shape("shape-wrong-surface", ShapeFault::WrongSurface, Expect::Refusal);
    shape("shape-choices-missing", ShapeFault::ChoicesMissing, Expect::Refusal);
    shape("shape-choices-null", ShapeFault::ChoicesNull, Expect::Refusal);
    shape("shape-choices-empty", ShapeFault::ChoicesEmpty, Expect::Refusal);
    shape("shape-content-null", ShapeFault::ContentNull, Expect::Refusal);
    shape("shape-content-missing", ShapeFault::ContentMissing, Expect::Refusal);
    // A model that thought until its tokens were spent says so, or nothing.
    shape("shape-content-empty", ShapeFault::ContentEmpty, Expect::RefusalOrWarn);
    // The official SDKs hand a list of parts through without a word (contracts.md row 40).
    shape("shape-content-wrong-type", ShapeFault::ContentWrongType, Expect::RefusalOrWarn);
    shape("shape-finish-null", ShapeFault::FinishNull, Expect::Refusal);
    shape("shape-finish-length", ShapeFault::FinishLength, Expect::Refusal);
    shape("shape-finish-content-filter", ShapeFault::FinishContentFilter, Expect::Refusal);
    match surface {
        Surface::Chat => shape("shape-finish-abort", ShapeFault::FinishAbort, Expect::Refusal),
        Surface::Responses => shape("shape-failed", ShapeFault::FinishAbort, Expect::Refusal),
    }
    shape("shape-refusal", ShapeFault::Refusal, Expect::Refusal);
}

fn stream(plan: &mut Plan<'_>) {
    let (surface, is_thorough) = (plan.context.surface, plan.is_thorough());
    let mut stream = |id, fault, expect| {
        plan.add(id, "stream", Stimulus::Stream(fault), expect, Attempts::Policy);
    };
    stream("stream-json-error", StreamFault::JsonError, Expect::Refusal);
    stream("stream-html", StreamFault::Html, Expect::Refusal);
    stream("stream-plain-completion", StreamFault::PlainCompletion, Expect::RefusalOrWarn);
    stream("stream-wrong-surface", StreamFault::WrongSurface, Expect::Refusal);
    stream("stream-no-finish-reason", StreamFault::NoFinishReason, Expect::Refusal);
    stream("stream-done-after-cut", StreamFault::DoneAfterCut, Expect::Refusal);
    match surface {
        // Legal (contracts.md row 84), but hand-written readers that insist on it lose no answer silently.
        Surface::Chat => stream("stream-no-done", StreamFault::NoDone, Expect::AnswerOrWarn),
        // Half of the events has none of those that end a part: who takes one of them for the end is only met here.
        Surface::Responses => {
            stream("stream-no-terminal", StreamFault::NoTerminal, Expect::Refusal);
        }
    }
    stream("stream-cut-mid-event", StreamFault::CutMidEvent, Expect::Refusal);
    if is_thorough {
        stream("stream-reset-mid-event", StreamFault::ResetMidEvent, Expect::Refusal);
    }
    stream("stream-malformed-chunk", StreamFault::MalformedChunk, Expect::Refusal);
    stream("stream-error-first", StreamFault::ErrorFirst, Expect::Refusal);
    stream("stream-error-mid", StreamFault::ErrorMid, Expect::Refusal);
    stream("stream-error-flat", StreamFault::ErrorFlat, Expect::Refusal);
    stream("stream-error-nested", StreamFault::ErrorNested, Expect::Refusal);
    match surface {
        Surface::Chat => stream("stream-finish-abort", StreamFault::FinishAbort, Expect::Refusal),
        Surface::Responses => stream("stream-failed", StreamFault::Failed, Expect::Refusal),
    }
    stream("stream-silence", StreamFault::Silence, Expect::Refusal);
    stream("stream-silence-comments", StreamFault::SilenceWithComments, Expect::Refusal);
    stream("stream-comments-only", StreamFault::CommentsOnly, Expect::Refusal);
    stream("stream-finish-length", StreamFault::FinishLength, Expect::Refusal);
    stream("stream-finish-content-filter", StreamFault::FinishContentFilter, Expect::Refusal);
    stream("stream-no-content", StreamFault::NoContent, Expect::Refusal);
    stream("stream-refusal", StreamFault::Refusal, Expect::Refusal);
    if plan.context.max_attempts > 1 {
        // Whoever asks for a stream again has to take back what was put out of the first one, or to refuse.
        plan.add(
            "stream-cut-once",
            "stream",
            Stimulus::CutOnce,
            Expect::AnyOutcome,
            Attempts::Policy,
        );
    }
}

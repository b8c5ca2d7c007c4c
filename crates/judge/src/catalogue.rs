//! The default plan: every probe with its reason.

use contract::reply::ErrorKind;
use contract::{Mode, Surface};

use crate::probe::{Attempts, Expect, PlanContext, Probe};
use crate::stimulus::{NetworkFault, RetryAfter, ShapeFault, Stimulus, StreamFault, Variation};

/// The probes that `negative_auth` looks at.
pub const AUTH_GROUP: &str = "auth";

/// The one live probe of the happy path: the release as it is against the provider as it is.
pub const HAPPY_LIVE: &str = "happy-live";

/// Seconds that a rate limit asks for: long enough to tell obeying from guessing (stock SDKs wait 0.5 s), short enough to wait for.
const RETRY_AFTER_S: u32 = 1;
/// The same as a date. HTTP dates have whole seconds, so one of them may be lost to rounding.
const RETRY_AFTER_DATE_S: u32 = 2;
/// More than any policy waits for: stock SDKs retry after 0.5 s, give up, or sleep it all (contracts.md section 6.2).
const RETRY_AFTER_LONG_S: u32 = 130;

/// Returns the probes of one release in one mode, in the order in which they are worth reading.
pub fn default_plan(mode: Mode, context: &PlanContext<'_>) -> Vec<Probe> {
    let mut plan = Vec::new();
    let mut add = |id, group, stimulus, expect, attempts| {
        plan.push(Probe { id, group, mode, stimulus, expect, attempts });
    };
    happy(mode, context, &mut add);
    errors(context, &mut add);
    overload(context, &mut add);
    network(context, &mut add);
    match mode {
        Mode::Unary => shape(&mut add),
        Mode::Stream => stream(context, &mut add),
    }
    if mode == Mode::Stream && context.unary_as_well {
        plan.retain(|probe| !ONCE.contains(&probe.id));
    }
    plan
}

/// Error replies that are told apart by status and code alone, before any stream begins: a release that is probed with them in unary
/// mode learns nothing new from them in stream mode. One of each kind of reaction stays.
const ONCE: &[&str] = &[
    "auth-forbidden",
    "request-404-model",
    "request-413",
    "request-422",
    "request-503-model",
    "overload-429-date",
    "overload-429-long",
    "overload-429-quota",
    "overload-502",
    "overload-529",
];

type Add<'a> = dyn FnMut(&'static str, &'static str, Stimulus, Expect, Attempts) + 'a;

fn happy(mode: Mode, context: &PlanContext<'_>, add: &mut Add<'_>) {
    add(HAPPY_LIVE, "happy", Stimulus::Relay, Expect::Answer, Attempts::Policy);
    add("happy-unicode", "happy", Stimulus::Documented, Expect::Answer, Attempts::Policy);
    let mut tolerated = |id, variation, expect| {
        add(id, "tolerated", Stimulus::Tolerated(variation), expect, Attempts::Policy);
    };
    tolerated("tolerated-extra-fields", Variation::ExtraFields, Expect::Answer);
    // An application that says it needs usage may refuse a reply without it.
    let needs_usage = context.required_fields.iter().any(|field| field.starts_with("/usage"));
    if !needs_usage {
        tolerated("tolerated-usage-null", Variation::UsageNull, Expect::Answer);
    }
    match mode {
        Mode::Unary => {
            if !needs_usage {
                tolerated("tolerated-usage-absent", Variation::UsageAbsent, Expect::Answer);
            }
            tolerated("tolerated-leading-space", Variation::LeadingSpace, Expect::Answer);
        }
        Mode::Stream => {
            tolerated("tolerated-comments", Variation::Comments, Expect::Answer);
            tolerated("tolerated-crlf", Variation::Crlf, Expect::Answer);
            tolerated("tolerated-no-space", Variation::NoSpace, Expect::Answer);
            tolerated("tolerated-split-utf8", Variation::SplitUtf8, Expect::Answer);
            match context.surface {
                Surface::Chat => {
                    tolerated("tolerated-usage-chunk", Variation::UsageChunk, Expect::Answer);
                }
                // The stream helper of openai-node 7 refuses unknown events (contracts.md row 136).
                Surface::Responses => {
                    tolerated(
                        "tolerated-extra-events",
                        Variation::ExtraEvents,
                        Expect::AnswerOrWarn,
                    );
                }
            }
        }
    }
}

fn errors(context: &PlanContext<'_>, add: &mut Add<'_>) {
    add(
        "auth-invalid-credential",
        AUTH_GROUP,
        Stimulus::InvalidCredential,
        Expect::Refusal,
        Attempts::One,
    );
    let mut error = |id, group, kind, attempts| {
        add(id, group, Stimulus::Error(kind), Expect::Refusal, attempts);
    };
    error("auth-forbidden", AUTH_GROUP, ErrorKind::Forbidden, Attempts::One);
    error("request-400", "request", ErrorKind::BadRequest, Attempts::One);
    error("request-404-model", "request", ErrorKind::ModelNotFound, Attempts::One);
    error("request-413", "request", ErrorKind::TooLarge, Attempts::One);
    error("request-422", "request", ErrorKind::Unprocessable, Attempts::One);
    if context.cometapi {
        error(
            "request-500-invalid",
            "request",
            ErrorKind::InvalidRequestAs500,
            Attempts::OneOrWarn,
        );
        error("request-503-model", "request", ErrorKind::ModelNotFoundAs503, Attempts::OneOrWarn);
    }
    add("request-redirect-html", "request", Stimulus::Redirect, Expect::Refusal, Attempts::One);
}

fn overload(context: &PlanContext<'_>, add: &mut Add<'_>) {
    let mut refused = |id, stimulus, attempts| {
        add(id, "overload", stimulus, Expect::Refusal, attempts);
    };
    refused(
        "overload-429",
        Stimulus::RateLimited(RetryAfter::Seconds(RETRY_AFTER_S)),
        Attempts::PolicyAfterFloor,
    );
    refused(
        "overload-429-date",
        Stimulus::RateLimited(RetryAfter::Date(RETRY_AFTER_DATE_S)),
        Attempts::PolicyAfterFloorOrWarn,
    );
    refused(
        "overload-429-long",
        Stimulus::RateLimited(RetryAfter::Seconds(RETRY_AFTER_LONG_S)),
        Attempts::PolicyAfterFloorOrWarn,
    );
    refused(
        "overload-429-quota",
        Stimulus::Error(ErrorKind::InsufficientQuota),
        Attempts::OneOrWarn,
    );
    refused("overload-500", Stimulus::Error(ErrorKind::Server), Attempts::Policy);
    refused("overload-502", Stimulus::Error(ErrorKind::BadGateway), Attempts::Policy);
    refused("overload-503", Stimulus::Error(ErrorKind::Overloaded), Attempts::Policy);
    refused("overload-529", Stimulus::Error(ErrorKind::Overloaded529), Attempts::Policy);
    if context.max_attempts > 1 {
        add(
            "overload-recovers",
            "overload",
            Stimulus::RecoversOnSecond,
            Expect::Answer,
            Attempts::Recovers,
        );
    }
}

fn network(context: &PlanContext<'_>, add: &mut Add<'_>) {
    let mut broken = |id, fault, expect| {
        add(id, "network", Stimulus::Network(fault), expect, Attempts::Policy);
    };
    broken("network-reset-before-headers", NetworkFault::ResetBeforeHeaders, Expect::Refusal);
    broken("network-reset-mid-body", NetworkFault::ResetMidBody, Expect::Refusal);
    broken("network-stall-before-headers", NetworkFault::StallBeforeHeaders, Expect::Refusal);
    broken("network-stall-mid-body", NetworkFault::StallMidBody, Expect::Refusal);
    broken("network-slow-drip", NetworkFault::SlowDrip, Expect::AnyOutcome);
    if context.own_port {
        add("network-refused", "network", Stimulus::Refused, Expect::Refusal, Attempts::Policy);
    }
}

fn shape(add: &mut Add<'_>) {
    let mut shape = |id, fault, expect| {
        add(id, "shape", Stimulus::Shape(fault), expect, Attempts::Policy);
    };
    shape("shape-error-body", ShapeFault::ErrorBody, Expect::Refusal);
    shape("shape-html", ShapeFault::Html, Expect::Refusal);
    shape("shape-empty-body", ShapeFault::EmptyBody, Expect::Refusal);
    shape("shape-truncated-json", ShapeFault::TruncatedJson, Expect::Refusal);
    shape("shape-choices-missing", ShapeFault::ChoicesMissing, Expect::Refusal);
    shape("shape-choices-null", ShapeFault::ChoicesNull, Expect::Refusal);
    shape("shape-choices-empty", ShapeFault::ChoicesEmpty, Expect::Refusal);
    shape("shape-content-null", ShapeFault::ContentNull, Expect::Refusal);
    shape("shape-content-missing", ShapeFault::ContentMissing, Expect::Refusal);
    // The official SDKs hand a list of parts through without a word (contracts.md row 40).
    shape("shape-content-wrong-type", ShapeFault::ContentWrongType, Expect::RefusalOrWarn);
    shape("shape-finish-null", ShapeFault::FinishNull, Expect::Refusal);
    shape("shape-finish-length", ShapeFault::FinishLength, Expect::Refusal);
    shape("shape-finish-content-filter", ShapeFault::FinishContentFilter, Expect::Refusal);
    shape("shape-refusal", ShapeFault::Refusal, Expect::Refusal);
}

fn stream(context: &PlanContext<'_>, add: &mut Add<'_>) {
    let mut stream = |id, fault, expect| {
        add(id, "stream", Stimulus::Stream(fault), expect, Attempts::Policy);
    };
    stream("stream-json-error", StreamFault::JsonError, Expect::Refusal);
    stream("stream-html", StreamFault::Html, Expect::Refusal);
    stream("stream-plain-completion", StreamFault::PlainCompletion, Expect::RefusalOrWarn);
    stream("stream-no-finish-reason", StreamFault::NoFinishReason, Expect::Refusal);
    stream("stream-done-after-cut", StreamFault::DoneAfterCut, Expect::Refusal);
    if context.surface == Surface::Chat {
        // Legal (contracts.md row 84), but hand-written readers that insist on it lose no answer silently.
        stream("stream-no-done", StreamFault::NoDone, Expect::AnswerOrWarn);
    }
    stream("stream-cut-mid-event", StreamFault::CutMidEvent, Expect::Refusal);
    stream("stream-malformed-chunk", StreamFault::MalformedChunk, Expect::Refusal);
    stream("stream-error-first", StreamFault::ErrorFirst, Expect::Refusal);
    stream("stream-error-mid", StreamFault::ErrorMid, Expect::Refusal);
    stream("stream-error-flat", StreamFault::ErrorFlat, Expect::Refusal);
    stream("stream-error-nested", StreamFault::ErrorNested, Expect::Refusal);
    if context.surface == Surface::Responses {
        stream("stream-failed", StreamFault::Failed, Expect::Refusal);
    }
    stream("stream-silence", StreamFault::Silence, Expect::Refusal);
    stream("stream-silence-comments", StreamFault::SilenceWithComments, Expect::Refusal);
    stream("stream-finish-length", StreamFault::FinishLength, Expect::Refusal);
    stream("stream-finish-content-filter", StreamFault::FinishContentFilter, Expect::Refusal);
    stream("stream-no-content", StreamFault::NoContent, Expect::Refusal);
}

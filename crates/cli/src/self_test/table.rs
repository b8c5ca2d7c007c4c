//! All cases, and what cannot be made: a test holds both against the pages in docs/findings.

use judge::gates::Gate;

use super::case::{Case, How, Run};
use super::evidence::Look;
use super::provider::Trouble;
use super::switch::Fault;
use crate::built_in::Defect;

const NO_TELEMETRY: &str = "the built-in release exports no telemetry yet";

/// Codes that no case makes, and why.
pub(crate) const NOT_MADE: &[(&str, &str)] = &[
    ("machine-starved", "it takes a machine that is too busy, which no program can promise"),
    (
        "retry-without-jitter",
        "it takes waits that are equal to 8 ms, which a busy machine does not keep",
    ),
    (
        "hangs-beside-others",
        "it takes a service that hangs beside some number of asks, which depends on the machine",
    ),
    ("self-test-failed", "it takes a self-test that fails"),
    ("rollback-broken-by-new", "the built-in releases share no state"),
    ("observation-lost", "it takes a bug of the tap, or a machine without memory"),
    ("telemetry-missing", NO_TELEMETRY),
    ("telemetry-not-understood", NO_TELEMETRY),
    ("telemetry-attribute-missing", NO_TELEMETRY),
    ("telemetry-carries-content", NO_TELEMETRY),
];

/// Returns all cases.
pub(crate) fn cases() -> impl Iterator<Item = &'static Case> {
    [
        HEALTHY, WIRE, ATTEMPTS, GATEWAYS, REPLIES, LOGS, PROCESSES, PROVIDERS, REVIEWS, PAIRS,
        ROUTES, EVIDENCE,
    ]
    .into_iter()
    .flatten()
}

/// What all the others are compared with: nothing is broken, and every gate is green.
const HEALTHY: &[Case] =
    &[Case::new("nothing broken", Defect::None, "two healthy releases, one way there and back")
        .drilled(Fault::None)
        .asked(&["happy-unicode", "request-400", "overload-500", "auth-invalid-credential"])
        .noted()
        .everywhere()];

const OVERLOAD: &[&str] = &["overload-500"];

const WIRE: &[Case] = &[
    Case::new(
        "path-has-doubled-version",
        Defect::DoublesVersion,
        "puts a second /v1 into the path",
    ),
    Case::new("path-lacks-version", Defect::DropsVersion, "drops the /v1 of its base URL"),
    Case::new("path-has-double-slash", Defect::DoublesSlash, "joins its path with two slashes")
        .warned(),
    Case::new("path-is-not-the-surface", Defect::CallsOtherPath, "calls another endpoint"),
    Case::new(
        "model-or-path-rejected",
        Defect::CallsOtherPath,
        "calls an endpoint that is not there",
    ),
    Case::new("credential-blank", Defect::BlankKey, "sends `Bearer undefined`"),
    Case::new("credential-not-bearer", Defect::BasicAuth, "sends its key as a password"),
    Case::new("credential-in-url", Defect::KeyInUrl, "writes its key into the URL"),
    Case::new("token-limit-too-small", Defect::FewTokens, "asks for two tokens at most"),
    Case::new("credential-in-body", Defect::KeyInBody, "sends its key as metadata of the call"),
    Case::new("credential-rejected", Defect::OldKey, "sends a key of last year"),
    Case::new("credential-missing", Defect::None, "has a secret whose file is not there")
        .with(&[("/releases/new/secrets/PROVIDER_KEY", "\"file:not-there\"")]),
    Case::new(
        "credential-rejected",
        Defect::OldKey,
        "cannot be returned to: its key is of last year",
    )
    .of_rollback(),
    Case::new(
        "answer-without-provider",
        Defect::CallsNobody,
        "cannot be returned to: it answers from a mock",
    )
    .of_rollback(),
    Case::new(
        "not-observed",
        Defect::RefusesAtOnce,
        "cannot be returned to: it gives up before any call",
    )
    .of_rollback()
    .ambiguous(),
    Case::new(
        "tls-verification-disabled",
        Defect::TrustsAnybody,
        "takes a certificate that nobody can trust",
    )
    .asked(&["auth-unknown-ca"])
    .with(&[("/releases/new/tap", "\"forward\""), ("/releases/rollback/tap", "\"forward\"")])
    .at(Gate::NegativeAuth),
    Case::new("wrong-model", Defect::OtherModel, "has its model hard-coded"),
    Case::new("request-off-contract", Defect::BadParameter, "sends temperature 7").warned(),
    Case::new("request-rejected", Defect::BadParameter, "sends what the provider refuses"),
    Case::new(
        "question-damaged",
        Defect::CutsQuestion,
        "cuts its user's question at 60 characters",
    ),
    Case::new(
        "asks-mixed",
        Defect::SendsQuestionsAlong,
        "sends along what other users have asked before",
    )
    .run_as(How::Service)
    .asked(&["happy-unicode"]),
    Case::new("extra-calls", Defect::CallsTwice, "asks the provider twice for each answer"),
    Case::new("answer-without-provider", Defect::CallsNobody, "answers from a mock"),
    Case::new("not-observed", Defect::RefusesAtOnce, "gives up before any call").ambiguous(),
    Case::new(
        "mode-not-exercised",
        Defect::NeverStreams,
        "asks for no stream where its user gets one",
    )
    .run_as(How::Stream)
    .ambiguous(),
    Case::new("mode-not-tested", Defect::None, "does not say how a stream is asked of it")
        .with(&[
            ("/provider/modes", r#"["unary", "stream"]"#),
            ("/releases/new/run/stream", "null"),
        ])
        .ambiguous(),
    Case::new("redirect-followed", Defect::FollowsRedirects, "follows a redirect of its API call")
        .asked(&["request-redirect-elsewhere"])
        .warned(),
    Case::new(
        "redirect-leaks-credential",
        Defect::CarriesKeyElsewhere,
        "carries its key to another host",
    )
    .asked(&["request-redirect-elsewhere"]),
];

const ATTEMPTS: &[Case] = &[
    Case::new("non-retryable-retried", Defect::RetriesAll, "sends a refused request again")
        .asked(&["request-400"]),
    Case::new("retry-storm", Defect::RetriesForever, "retries without an end").asked(OVERLOAD),
    Case::new(
        "retry-budget-exceeded",
        Defect::RetriesOften,
        "makes five attempts where three are allowed",
    )
    .asked(OVERLOAD),
    Case::new("retry-time-exceeded", Defect::RetriesLate, "spreads its attempts over too long")
        .asked(OVERLOAD)
        .with(&[("/releases/new/retry/max_elapsed", "\"2s\"")])
        .warned(),
    Case::new("retry-without-backoff", Defect::RetriesAtOnce, "retries at once")
        .asked(OVERLOAD)
        .with(&[("/releases/new/retry/max_attempts", "10")])
        .warned(),
    Case::new("retry-backoff-flat", Defect::RetriesFaster, "waits less each time, not longer")
        .asked(&["overload-500", "overload-502", "overload-529"])
        .warned(),
    Case::new("retry-after-ignored", Defect::RetriesTooSoon, "does not wait as long as it is told")
        .asked(&["overload-429"]),
    Case::new("transient-error-not-retried", Defect::RetriesNever, "gives up at the first 503")
        .asked(&["overload-recovers"]),
    Case::new(
        "transient-error-not-recovered",
        Defect::LosesSecondReply,
        "loses the reply to its second attempt",
    )
    .asked(&["overload-recovers"]),
    Case::new("silent-fallback", Defect::FallsBack, "asks a model that nobody has declared")
        .asked(&["fallback-503"]),
    Case::new("declared-fallback", Defect::FallsBack, "asks a declared fallback")
        .asked(&["fallback-503"])
        .with(FALLBACK)
        .noted(),
    Case::new("fallback-answer-lost", Defect::LosesFallback, "loses the answer of its fallback")
        .asked(&["fallback-503"])
        .with(FALLBACK)
        .warned(),
    Case::new("fallback-not-used", Defect::None, "declares a fallback and never asks it")
        .asked(&["fallback-503"])
        .with(FALLBACK),
    Case::new(
        "refused-unprovoked",
        Defect::TurnsAwayByItself,
        "turns each third ask away by itself",
    )
    .run_as(How::Service)
    .asked(&["happy-unicode", "network-slow-drip"]),
];

const FALLBACK: &[(&str, &str)] = &[("/releases/new/fallback_models", r#"["self-test-fallback"]"#)];

const CONVERSATION: &[&str] = &["happy-conversation"];

const GATEWAYS: &[Case] = &[
    Case::new(
        "request-part-lost",
        Defect::ForgetsHistory,
        "passes on the last message of a conversation only",
    )
    .run_as(How::Gateway)
    .asked(CONVERSATION),
    Case::new(
        "request-parameter-lost",
        Defect::DropsParameters,
        "passes a request on without its temperature",
    )
    .run_as(How::Gateway)
    .asked(CONVERSATION)
    .warned(),
    Case::new("request-turned-down", Defect::TurnsDownTools, "takes no request with tools")
        .run_as(How::Gateway)
        .asked(CONVERSATION)
        .warned(),
    Case::new("tool-call-lost", Defect::LosesToolCalls, "passes on no call of a tool")
        .run_as(How::Gateway)
        .asked(&["happy-tool-calls"]),
    Case::new("error-sent-as-success", Defect::SaysAllIsWell, "passes an error on with status 200")
        .run_as(How::Gateway)
        .asked(&["request-400"]),
];

const REPLIES: &[Case] = &[
    Case::new("error-became-empty-answer", Defect::SwallowsErrors, "swallows a refused credential")
        .asked(&["auth-invalid-credential"])
        .at(Gate::NegativeAuth),
    Case::new(
        "error-became-answer",
        Defect::ShowsErrors,
        "shows an error as if it were the answer",
    )
    .asked(&["overload-500"]),
    Case::new(
        "incomplete-reply-accepted",
        Defect::TakesParts,
        "takes a stream that was cut for whole",
    )
    .run_as(How::Stream)
    .asked(&["stream-no-finish-reason"]),
    Case::new("mode-disparity", Defect::ShowsErrorsOfStreams, "handles an error in one mode only")
        .asked(OVERLOAD)
        .with(&[("/provider/modes", r#"["unary", "stream"]"#)])
        .because("error-became-answer"),
    Case::new(
        "tolerated-variation-refused",
        Defect::TakesOnlyItsModel,
        "refuses a snapshot of its model",
    )
    .asked(&["tolerated-model-snapshot"]),
    Case::new("happy-path-refused", Defect::RefusesGoodReplies, "refuses a good reply"),
    Case::new("empty-answer", Defect::LosesText, "loses the text of a good reply"),
    Case::new("answer-incomplete", Defect::LosesEnd, "loses the end of a good reply")
        .asked(&["happy-unicode"]),
    Case::new("answer-repeated", Defect::AnswersTwice, "puts its answer out twice")
        .asked(&["happy-unicode"]),
    Case::new("answer-not-from-provider", Defect::AnswersItself, "answers with a placeholder"),
    Case::new("answer-damaged", Defect::BreaksUnicode, "breaks characters of several bytes")
        .asked(&["happy-unicode"]),
    Case::new("crashed", Defect::Crashes, "crashes at an error of the provider")
        .asked(&["request-400"]),
    Case::new("flaky", Defect::Alternates, "reacts in another way the next time")
        .asked(&["request-400"])
        .ambiguous(),
    Case::new("hung", Defect::Hangs, "never answers after an error of the provider")
        .run_as(How::Service)
        .asked(&["request-400"])
        .with(&[("/releases/new/deadline", "\"3s\"")]),
];

const LOGS: &[Case] = &[
    Case::new("log-missing", Defect::LogsNothing, "logs nothing").at(Gate::Observability),
    Case::new("log-cut", Defect::LogsTooMuch, "logs more than can be read")
        .at(Gate::Observability)
        .ambiguous(),
    Case::new("log-leaks-credential", Defect::LogsKey, "logs its key").at(Gate::Observability),
    Case::new("log-leaks-prompt", Defect::LogsQuestion, "logs what it is asked")
        .at(Gate::Observability),
    Case::new("log-leaks-completion", Defect::LogsAnswer, "logs what it answers")
        .at(Gate::Observability),
    Case::new("file-holds-credential", Defect::KeepsKey, "keeps its key in a cache")
        .at(Gate::Observability),
    Case::new("file-holds-conversation", Defect::KeepsAsks, "keeps what it is asked in a cache")
        .at(Gate::Observability)
        .warned(),
    Case::new("files-not-searched", Defect::KeepsMuch, "keeps more than is read of a file")
        .at(Gate::Observability)
        .noted(),
    Case::new("secret-too-short", Defect::None, "has a secret that stands everywhere by chance")
        .with(&[("/releases/new/secrets/PIN", "\"file:pin\"")])
        .warned(),
    Case::new("log-timestamp-missing", Defect::LogsNoTime, "logs no time").at(Gate::Observability),
    Case::new("log-version-missing", Defect::LogsNoVersion, "logs no version")
        .at(Gate::Observability),
    Case::new("log-route-missing", Defect::LogsNoRoute, "logs no route").at(Gate::Observability),
    Case::new("log-status-missing", Defect::LogsNoStatus, "logs no status").at(Gate::Observability),
    Case::new("log-request-id-missing", Defect::LogsNoRequestId, "logs no request id")
        .at(Gate::Observability),
];

const PROCESSES: &[Case] = &[
    Case::new("release-did-not-start", Defect::None, "has a program that is not there")
        .with(&[("/releases/new/run/command", r#"["./not-there", "{prompt}"]"#)]),
    Case::new("release-exited", Defect::EndsAtStart, "ends as soon as it is started")
        .run_as(How::Service),
    Case::new("release-not-ready", Defect::NeverReady, "never gets ready")
        .run_as(How::Service)
        .with(&[("/releases/new/run/ready_within", "\"1s\"")]),
    Case::new(
        "upstream-outlives-asker",
        Defect::FinishesForNobody,
        "goes on calling when its user has left",
    )
    .run_as(How::Service)
    .asked(&["client-leaves"])
    .with(&[("/releases/new/deadline", "\"3s\"")]),
    Case::new("broken-by-leaver", Defect::BreaksWithLeaver, "serves nobody after a user has left")
        .run_as(How::Service)
        .asked(&["client-leaves"]),
    Case::new(
        "environment",
        Defect::None,
        "is to be observed at an address that this machine has not",
    )
    .run_as(How::Service)
    .with(&[("/releases/new/tap", r#"{"reverse": "192.0.2.1:9"}"#)])
    .ambiguous(),
];

const PROVIDERS: &[Case] = &[
    Case::new("provider-unreachable", Defect::None, "a provider that nobody reaches")
        .provider(Trouble::Gone)
        .ambiguous(),
    Case::new("provider-trouble", Defect::None, "a provider that is overloaded")
        .provider(Trouble::Overloaded)
        .ambiguous(),
    Case::new(
        "provider-reply-off-contract",
        Defect::None,
        "a provider whose replies have no choices",
    )
    .provider(Trouble::Empty)
    .ambiguous(),
    Case::new("stimulus-not-applied", Defect::None, "a provider that takes any key")
        .provider(Trouble::Careless)
        .asked(&["auth-invalid-credential"])
        .at(Gate::NegativeAuth)
        .ambiguous(),
    Case::new(
        "answer-differs",
        Defect::AnswersItself,
        "answers with a placeholder to a reply that can be any",
    )
    .provider(Trouble::Careless)
    .warned(),
    Case::new(
        "required-field-missing",
        Defect::None,
        "a provider without a field that the application needs",
    )
    .provider(Trouble::Careless)
    .with(&[("/contract/required_fields", r#"["/usage/total_tokens"]"#)]),
    Case::new("live-calls-spent", Defect::None, "a ceiling of calls that is used up")
        .with(&[("/provider/live_calls", "1")])
        .strikes_both()
        .ambiguous(),
];

const REVIEWS: &[Case] = &[
    Case::new("contract-not-reviewed", Defect::None, "a contract that nobody has reviewed")
        .at(Gate::ContractReviewed)
        .with(&[("/contract/reviewed", "[]")])
        .ambiguous(),
    Case::new("contract-review-stale", Defect::None, "a review of years ago")
        .at(Gate::ContractReviewed)
        .with(&[("/contract/reviewed/0/on", "\"2020-01-01\"")])
        .ambiguous(),
    Case::new("contract-review-in-the-future", Defect::None, "a review of tomorrow's tomorrow")
        .at(Gate::ContractReviewed)
        .with(&[("/contract/reviewed/0/on", "\"2999-01-01\"")])
        .ambiguous(),
    Case::new(
        "contract-review-without-digest",
        Defect::None,
        "a review that does not say what was read",
    )
    .at(Gate::ContractReviewed)
    .with(&[("/contract/reviewed/0/by", "\"somebody\"")])
    .strikes_both()
    .warned(),
    Case::new("contract-content-changed", Defect::None, "a source that says something else by now")
        .at(Gate::ContractReviewed)
        .with(&[(
            "/contract/reviewed/0/digest",
            "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"",
        )]),
    Case::new("contract-source-unreadable", Defect::None, "a source that cannot be read")
        .at(Gate::ContractReviewed)
        .with(&[
            ("/contract/reviewed/0/source", "\".\""),
            (
                "/contract/reviewed/0/digest",
                "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"",
            ),
        ])
        .ambiguous(),
    Case::new(
        "settings-drifted",
        Defect::None,
        "a setting that has changed since the last accepted pair",
    )
    .at(Gate::ContractReviewed)
    .made(Run::CheckAfterDrill)
    .with(&[("/releases/new/retry/max_elapsed", "\"7s\"")])
    .ambiguous(),
];

const PAIRS: &[Case] = &[
    Case::new("pair-not-comparable", Defect::CallsNobody, "makes no call that could be compared"),
    Case::new(
        "pair-path-differs",
        Defect::CallsOtherPath,
        "calls another endpoint than the other release",
    )
    .drilled(Fault::None),
    Case::new(
        "pair-auth-differs",
        Defect::OtherKeyHeader,
        "names its key in another way than the other release",
    )
    .drilled(Fault::None),
    Case::new(
        "pair-credential-differs",
        Defect::OldKey,
        "sends another key than the other release",
    )
    .drilled(Fault::None),
    Case::new(
        "pair-model-differs",
        Defect::OtherModel,
        "asks another model than the other release",
    )
    .drilled(Fault::None),
    Case::new(
        "pair-request-differs",
        Defect::FurtherField,
        "sends a field that the other release does not send",
    )
    .drilled(Fault::None)
    .warned(),
    Case::new(
        "pair-request-differs",
        Defect::InstructsAsUser,
        "sends its instructions as the user's words, and the other release as its own",
    )
    .drilled(Fault::None)
    .at(Gate::NewReleaseSmoke),
    Case::new(
        "pair-reply-type-differs",
        Defect::AnswersAsPage,
        "declares its answers as a page, and the other release as JSON",
    )
    .drilled(Fault::None)
    .at(Gate::NewReleaseSmoke),
    Case::new(
        "pair-refusal-looks-well",
        Defect::GivesErrorsAsSuccess,
        "gives errors the status of a success, and the other release does not",
    )
    .drilled(Fault::None)
    .at(Gate::NewReleaseSmoke)
    .asked(&["auth-invalid-credential", "shape-html"]),
    Case::new(
        "asks-wait-for-each-other",
        Defect::OneAtATime,
        "answers one ask at a time, and the other release several",
    )
    .drilled(Fault::None)
    .at(Gate::NewReleaseSmoke)
    .asked(&["auth-invalid-credential", "happy-unicode", "network-slow-drip"]),
    Case::new(
        "stream-held-back",
        Defect::HoldsStreamBack,
        "gathers a stream before its user gets anything, and the other release passes it on",
    )
    .drilled(Fault::None)
    .at(Gate::NewReleaseSmoke)
    .asked(&["auth-invalid-credential", "network-slow-drip"])
    .with(&[("/provider/modes", "[\"stream\"]")]),
    Case::new(
        "pair-answer-escaped",
        Defect::EscapesAnswers,
        "escapes its answers, and the other release gives them as they are",
    )
    .drilled(Fault::None)
    .at(Gate::NewReleaseSmoke)
    .asked(&["auth-invalid-credential", "happy-unicode"]),
    Case::new(
        "step-not-reached",
        Defect::LosesText,
        "fails its smoke, so that no traffic may move",
    )
    .drilled(Fault::None)
    .because("step 4 of the drill was not made")
    .ambiguous(),
];

const ROUTES: &[Case] = &[
    Case::new("route-not-on-rollback", Defect::None, "a route that leads to new before the drill")
        .drilled(Fault::AlreadyMoved)
        .strikes_both(),
    Case::new("switch-failed", Defect::None, "a switch that refuses").drilled(Fault::Refuses),
    Case::new("switch-not-effective", Defect::None, "a switch that does not come back")
        .drilled(Fault::NeverComesBack),
    Case::new(
        "switch-not-effective",
        Defect::None,
        "a switch that takes the order and does nothing",
    )
    .drilled(Fault::Ignores),
    Case::new("new-never-served", Defect::None, "a switch that only says that it moved")
        .drilled(Fault::Pretends),
    Case::new("new-still-serves", Defect::None, "a switch that only says that it came back")
        .drilled(Fault::PretendsToComeBack),
    Case::new("path-not-through-releases", Defect::None, "a cache between users and releases")
        .drilled(Fault::Answers),
    Case::new("path-ask-failed", Defect::None, "a path that fails for users").drilled(Fault::Fails),
    Case::new("path-answer-wrong", Defect::None, "a path that changes answers")
        .drilled(Fault::Changes),
    Case::new("served-by-both", Defect::None, "a path that asks both releases")
        .drilled(Fault::Mirrors)
        .ambiguous(),
    Case::new("interrupted", Defect::None, "a drill that is stopped while it moves traffic")
        .drilled(Fault::Interrupted)
        .ambiguous(),
    Case::new("drill-taken-over", Defect::None, "a drill that was left unfinished")
        .made(Run::DrillAfterCrash)
        .at(Gate::RollbackSwitchDrill)
        .noted(),
];

const EVIDENCE: &[Case] = &[
    Case::new(
        "record-withheld",
        Defect::KeyAsModel,
        "sends its key as the model, which evidence would show",
    )
    .strikes_both()
    .because("a record was withheld")
    .ambiguous(),
    Case::new("no evidence", Defect::None, "a ledger with nothing in it")
        .looked_at(Look::Nothing)
        .everywhere()
        .because("no evidence")
        .ambiguous(),
    Case::new("stale evidence", Defect::None, "evidence of the day before")
        .looked_at(Look::NextDay)
        .everywhere()
        .because("evidence is stale")
        .ambiguous(),
    Case::new("evidence from the future", Defect::None, "clocks that are an hour apart")
        .looked_at(Look::FromTheFuture)
        .everywhere()
        .because("evidence is from the future")
        .ambiguous(),
    Case::new("other subject", Defect::None, "evidence for another version")
        .looked_at(Look::OtherVersion)
        .everywhere()
        .because("evidence is about another version of `new`")
        .ambiguous(),
    Case::new("missing evidence", Defect::None, "a planned probe that is not in the ledger")
        .looked_at(Look::ProbeLost)
        .because("1 planned probes were not made")
        .ambiguous(),
];

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

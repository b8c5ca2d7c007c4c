//! What can be wrong with the built-in release: one defect each, as they are met in the wild.

use clap::ValueEnum;

/// A defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Defect {
    /// Nothing.
    None,
    // The request.
    DoublesVersion,
    DropsVersion,
    DoublesSlash,
    CallsOtherPath,
    BlankKey,
    BasicAuth,
    KeyInUrl,
    OldKey,
    OtherKeyHeader,
    OtherModel,
    KeyAsModel,
    BadParameter,
    FurtherField,
    CallsTwice,
    CallsNobody,
    RefusesAtOnce,
    NeverStreams,
    FollowsRedirects,
    CarriesKeyElsewhere,
    TrustsAnybody,
    // Attempts.
    RetriesAll,
    RetriesForever,
    RetriesOften,
    RetriesLate,
    RetriesAtOnce,
    RetriesTooSoon,
    RetriesFaster,
    RetriesNever,
    LosesSecondReply,
    FallsBack,
    LosesFallback,
    // The reply.
    SwallowsErrors,
    ShowsErrors,
    ShowsErrorsOfStreams,
    TakesParts,
    TakesOnlyItsModel,
    RefusesGoodReplies,
    LosesText,
    LosesEnd,
    AnswersTwice,
    AnswersItself,
    BreaksUnicode,
    Hangs,
    Crashes,
    Alternates,
    // The log.
    LogsNothing,
    LogsTooMuch,
    LogsKey,
    LogsQuestion,
    LogsAnswer,
    LogsNoTime,
    LogsNoVersion,
    LogsNoRoute,
    LogsNoStatus,
    LogsNoRequestId,
    // The process.
    EndsAtStart,
    NeverReady,
    FinishesForNobody,
    BreaksWithLeaver,
}

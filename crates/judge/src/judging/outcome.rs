//! What the release made of it, against what the probe expects.

use super::{Case, ReleaseKind, fallback, gateway, is_good_reply, last_call};
use crate::{
    AnswerRelation, CrashKind, Exchange, Expect, Finding, NetworkFault, OutcomeKind, Severity,
    ShapeFault, Stimulus, StreamFault, attempts,
};

/// Variations that these client libraries refuse by themselves, whatever the application does (contracts.md row 136), as do those which name
/// themselves by nothing. A library that names itself otherwise takes them: there it is the application's own parser.
const REFUSED_BY_LIBRARIES: [(&str, &[&str]); 3] = [
    ("tolerated-extra-events", &["openai-node "]),
    // async-openai reads chunks into types, and does not name itself (contracts.md row 128).
    ("tolerated-usage-empty", &[]),
    ("tolerated-cost-chunk", &[]),
];

/// Judges the outcome. Crashes are reported by the caller already.
pub(super) fn judge(case: &Case<'_>, findings: &mut Vec<Finding>) {
    match case.outcome.kind() {
        // Who has left is told nothing.
        OutcomeKind::Crashed | OutcomeKind::Left => {}
        OutcomeKind::TimedOut if case.machine.starved(case.policy) => {
            findings.push(starved(case));
        }
        OutcomeKind::TimedOut => findings.push(hung(case)),
        OutcomeKind::Answered if gateway::is_to_call_tools(case) => {
            findings.extend(gateway::tool_calls(case));
        }
        OutcomeKind::Answered => match case.probe.expect {
            Expect::Answer | Expect::AnswerOrWarn => answer_to_a_good_reply(case, findings),
            Expect::Refusal | Expect::RefusalOrWarn if is_blank_as_delivered(case) => {
                findings.push(blank());
            }
            // Another model's answer is as good as any: whether it may be asked is judged apart.
            Expect::Refusal if fallback::is_answered(case) => {
                answer_to_a_good_reply(case, findings);
            }
            Expect::Refusal => findings.extend(answer_to_an_error(case, Severity::Fail)),
            Expect::RefusalOrWarn => tolerable_answer(case, findings),
            // What is slow may be taken or given up, and what broke may be asked for again; but half of a stream is no answer, though it be all
            // that was delivered by then.
            Expect::AnyOutcome
                if last_call(case)
                    .is_none_or(|call| call.request.stream && !is_good_reply(call)) =>
            {
                findings.extend(answer_to_an_error(case, Severity::Fail));
            }
            // Of a unary reply only the whole can be read. (Who has all of it may leave before the tap is done with it.)
            Expect::AnyOutcome => answer_to_a_good_reply(case, findings),
            Expect::Nobody => {}
        },
        OutcomeKind::Refused if gateway::hides_the_end(case) => {
            findings.push(gateway::hidden_end(case));
        }
        OutcomeKind::Refused if gateway::sends_success(case) => {
            findings.push(gateway::sent_as_success(case));
        }
        OutcomeKind::Refused
            if wants_an_answer(case)
                && case.machine.kept_from_answering(case.outcome.elapsed_ms()) =>
        {
            findings.push(starved(case));
        }
        OutcomeKind::Refused => match case.probe.expect {
            Expect::Answer => findings.push(refused(case, Severity::Fail)),
            Expect::AnswerOrWarn => findings.push(refused(case, severity_of_refusal(case))),
            Expect::Refusal | Expect::RefusalOrWarn | Expect::AnyOutcome | Expect::Nobody => {}
        },
    }
}

fn wants_an_answer(case: &Case<'_>) -> bool {
    match case.probe.expect {
        Expect::Answer | Expect::AnswerOrWarn => true,
        Expect::Refusal | Expect::RefusalOrWarn | Expect::AnyOutcome | Expect::Nobody => false,
    }
}

/// Words a crash. One without a call is told once, and not as a call that is missing too.
pub(super) fn crashed(how: &CrashKind, last_call: Option<&Exchange>) -> Finding {
    let how = match how {
        CrashKind::Signal { number } => format!("ended by signal {number}"),
        CrashKind::Exited { status } => format!("the service's process ended with status {status}"),
        CrashKind::ConnectionLost => "the service closed the connection without a reply".to_owned(),
    };
    let (seen, advice) = if last_call.is_some_and(is_good_reply) {
        (
            format!("{how}, with a good reply in its hands"),
            "The reply was good. Its form was not expected (an optional field, more than one chunk), or what came after it broke: a store, a file, a queue, a log that it writes to. Where both releases share state, `new` may have changed it already as it started: `surestep check --release rollback` on fresh state tells.",
        )
    } else if last_call.is_some() {
        (
            how,
            "Handle this reply as an error of the provider; a user, and everybody else the process serves, must not lose it.",
        )
    } else {
        (
            format!("{how}, before any call to the provider"),
            "The ask itself ended it, or the making of the call: a secret with a line break or blanks that no header takes, a setting that is missing, a question that it cannot read. Its own log tells more; `surestep doctor` looks at the secrets.",
        )
    };
    Finding::new(Severity::Fail, "crashed", "an answer or a reported error", seen, advice)
}

fn hung(case: &Case<'_>) -> Finding {
    // Whoever asks a gateway gets the comments and blanks as well, and has a deadline of its own.
    let is_passed_on = case.policy.kind == ReleaseKind::Gateway
        && matches!(
            case.probe.stimulus,
            Stimulus::Network(NetworkFault::EndlessBlanks)
                | Stimulus::Stream(StreamFault::SilenceWithComments | StreamFault::CommentsOnly)
        );
    Finding::new(
        if is_passed_on { Severity::Warn } else { Severity::Fail },
        "hung",
        "an answer or a reported error by the deadline",
        format!("no outcome after {} ms", case.outcome.elapsed_ms()),
        "Give the whole call one deadline of its own, streams and waits between attempts included. SDK timeouts are per read (Python), end at the headers (Node) or are reset by keep-alive comments.",
    )
}

fn starved(case: &Case<'_>) -> Finding {
    let waited = match case.machine.cpu_wait_ms {
        Some(waited) => format!("; its processes waited {waited} ms for a processor"),
        None => String::new(),
    };
    Finding::new(
        Severity::Ambiguous,
        "machine-starved",
        "a machine on which the release gets to run",
        format!(
            "{} after {} ms{waited}; surestep itself ran {} ms late",
            if case.outcome.kind() == OutcomeKind::TimedOut { "no outcome" } else { "refused" },
            case.outcome.elapsed_ms(),
            case.machine.lag_ms
        ),
        "This machine was too busy to tell the release's fault from a lack of processors. Run again with fewer probes at once (`--jobs 1`), with less beside it, or on more processors.",
    )
}

/// How bad it is to refuse what common clients are known to refuse.
fn severity_of_refusal(case: &Case<'_>) -> Severity {
    let by_libraries = REFUSED_BY_LIBRARIES.iter().find(|(probe, _)| *probe == case.probe.id);
    let client = last_call(case).and_then(|call| call.request.client.as_deref());
    match (by_libraries, client) {
        (Some((_, libraries)), Some(client))
            if !libraries.iter().any(|l| client.starts_with(l)) =>
        {
            Severity::Fail
        }
        (Some(_) | None, _) => Severity::Warn,
    }
}

fn refused(case: &Case<'_>, severity: Severity) -> Finding {
    let how = match case.outcome {
        crate::Outcome::Refused { how, .. } => how.as_str(),
        crate::Outcome::Answered { .. }
        | crate::Outcome::TimedOut { .. }
        | crate::Outcome::Crashed { .. }
        | crate::Outcome::Left { .. } => "",
    };
    let transient = case.probe.attempts == crate::Attempts::Recovers;
    if transient {
        // With the good reply in its hands there is no excuse.
        let had_it = last_call(case).is_some_and(is_good_reply);
        let severity = if had_it { Severity::Fail } else { attempts::unrecovered(case.policy) };
        return Finding::new(
            severity,
            "transient-error-not-recovered",
            "an answer from the second attempt",
            format!("refused ({how})"),
            attempts::unrecovered_advice(case),
        );
    }
    let (code, expected, advice) = if case.probe.group == "tolerated"
        || case.probe.group == "stream"
    {
        (
            "tolerated-variation-refused",
            "an answer: this variation is legal, and providers send it",
            "The parser is stricter than the contract. Ignore what is unknown, treat optional fields as optional, and read event streams by the SSE rules.",
        )
    } else {
        (
            "happy-path-refused",
            "an answer to a documented reply",
            "The release cannot take the reply that the provider documents. Its own log tells which part it stumbled over.",
        )
    };
    Finding::new(severity, code, expected, format!("refused ({how})"), advice)
}

/// The reply was good: the answer must be what was delivered.
fn answer_to_a_good_reply(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let simulated = !case.probe.stimulus.is_live();
    let finding = match case.answer {
        AnswerRelation::Whole => return,
        AnswerRelation::Labelled | AnswerRelation::Respaced if !simulated => return,
        AnswerRelation::Respaced => Finding::new(
            Severity::Fail,
            "answer-damaged",
            "the delivered text, unchanged",
            "the delivered text with other white space in it",
            "Line breaks and indentation are a part of lists, tables and code. Do not join the words of an answer anew, and quote it wherever a shell sees it.",
        ),
        AnswerRelation::Labelled => Finding::new(
            Severity::Fail,
            "answer-damaged",
            "the delivered text, unchanged",
            "the label, with other text round it than was delivered",
            "Text is lost or changed between provider and user: bytes decoded chunk by chunk, escapes undone by hand, or pieces dropped. Decode whole lines as UTF-8 and JSON with a library.",
        ),
        AnswerRelation::Repeated => Finding::new(
            Severity::Fail,
            "answer-repeated",
            "the delivered text, once",
            "the same text more than once",
            "Users read the answer twice: the deltas of a stream and its final whole text, or two attempts, are both put out. Put out one of them.",
        ),
        AnswerRelation::OfAnother => of_another(),
        AnswerRelation::Littered => Finding::new(
            Severity::Fail,
            "answer-damaged",
            "the delivered text, unchanged",
            "the delivered text, and the name of an empty value or a piece of itself beside it",
            "A missing value was joined to the text (`undefined`, `None`), or a piece was put out twice. The last chunks of a stream have no content: skip what is not there.",
        ),
        AnswerRelation::Thought => Finding::new(
            Severity::Fail,
            "answer-damaged",
            "the delivered text, and nothing that is none of the answer",
            "what the model thought stands in the answer",
            "Reasoning was joined to the answer. Read `content` (chat) and the `output_text` parts of messages (responses) only; show `reasoning_content` and reasoning items apart, or not at all.",
        ),
        AnswerRelation::Partial => Finding::new(
            if simulated { Severity::Fail } else { Severity::Warn },
            "answer-incomplete",
            "the whole delivered text",
            "a part of it",
            "Pieces of the reply do not reach the user. Concatenate every delta, and return only when the reply is whole.",
        ),
        AnswerRelation::Empty | AnswerRelation::None => Finding::new(
            Severity::Fail,
            "empty-answer",
            "the delivered text",
            "an empty answer",
            "The reply had text, and none of it reached the user.",
        ),
        AnswerRelation::Unrelated | AnswerRelation::TypeName => Finding::new(
            Severity::Fail,
            "answer-not-from-provider",
            "the text that the provider delivered",
            "other text",
            "The answer does not come from this reply: a placeholder, a cache, a mock, or a default in place of an error.",
        ),
        AnswerRelation::UnrelatedToOffTopic => Finding::new(
            Severity::Warn,
            "answer-differs",
            "the text that the provider delivered",
            "other text; the provider had not given the label that was asked for",
            "The application rewrites replies, or the answer comes from elsewhere; with this provider it cannot be told which.",
        ),
    };
    findings.push(finding);
}

fn of_another() -> Finding {
    Finding::new(
        Severity::Fail,
        "answer-not-from-provider",
        "the text that the provider delivered for this ask",
        "text that it delivered for another ask",
        "Answers of different users are mixed: a variable that outlives a request (a module's, a default argument, a client's), a shared history, an answer kept for when the provider fails, or a cache with too short a key. Keep what belongs to an ask in that ask.",
    )
}

/// Whether a call brought an error status, or nothing at all.
fn is_error(call: &Exchange) -> bool {
    call.response.as_ref().is_none_or(|response| response.status >= 400)
}

/// An error became an answer.
fn answer_to_an_error(case: &Case<'_>, severity: Severity) -> Option<Finding> {
    let (code, seen, advice) = match case.answer {
        AnswerRelation::OfAnother => return Some(of_another()),
        AnswerRelation::Whole
        | AnswerRelation::Respaced
        | AnswerRelation::Repeated
        | AnswerRelation::Littered
        | AnswerRelation::Thought
        | AnswerRelation::Labelled
        | AnswerRelation::Partial
            if last_call(case).is_some_and(is_good_reply) =>
        {
            // The provider recovered, or the release has found a good reply elsewhere: nothing was invented.
            return None;
        }
        // The label stands in the question as well, and an error has no text.
        AnswerRelation::Labelled if last_call(case).is_none_or(is_error) => (
            "error-became-answer",
            "text that the provider never delivered, with what was asked in it: the question itself, given back",
            "An error was answered with the user's own text. Report it as an error: a status of 400 and up, a non-zero exit status, or an error event.",
        ),
        AnswerRelation::Whole
        | AnswerRelation::Respaced
        | AnswerRelation::Repeated
        | AnswerRelation::Littered
        | AnswerRelation::Thought
        | AnswerRelation::Labelled
        | AnswerRelation::Partial => (
            "incomplete-reply-accepted",
            "the part that had arrived, as if it were the answer",
            "Completion is proven by a non-null `finish_reason` of `stop` (chat) or by `response.completed` (responses), never by the end of the stream or by [DONE]. Refuse everything else.",
        ),
        AnswerRelation::Empty | AnswerRelation::None => (
            "error-became-empty-answer",
            "an empty answer",
            "An error was swallowed. Treat a reply without text and without proof of completion as an error, and tell the user.",
        ),
        AnswerRelation::TypeName => (
            "error-became-answer",
            "the name of a type in place of a text, as `[object Object]`",
            "A value that is no text was made one and shown. Look at the type of what the provider sent before it is joined to anything (`typeof part.text === \"string\"`), and report an error otherwise.",
        ),
        AnswerRelation::Unrelated | AnswerRelation::UnrelatedToOffTopic => (
            "error-became-answer",
            "text that the provider never delivered (an error text or a placeholder)",
            "An error was shown as if the model had said it. Report it as an error: a status of 400 and up, a non-zero exit status, or an error event.",
        ),
    };
    Some(Finding::new(severity, code, "a reported error", seen, advice))
}

/// Whether the provider delivered an empty text as a whole answer, and the release did the same. In a stream that is for applications to
/// notice, which gather the text; whoever asks a gateway sees it as well as the gateway does.
fn is_blank_as_delivered(case: &Case<'_>) -> bool {
    let stimulus = &case.probe.stimulus;
    let is_to_be_passed_on = *stimulus == Stimulus::Shape(ShapeFault::ContentEmpty)
        || (case.policy.kind == ReleaseKind::Gateway
            && matches!(stimulus, Stimulus::Stream(StreamFault::NoContent | StreamFault::Refusal)));
    case.answer == AnswerRelation::Empty && is_to_be_passed_on
}

fn blank() -> Finding {
    Finding::new(
        Severity::Warn,
        "error-became-empty-answer",
        "a reported error",
        "an empty answer, as the provider delivered it",
        "The provider said that it was done, and had no text: often a model that spent its tokens on thinking. Tell the user that there is no answer.",
    )
}

/// The form was wrong, the content may be right.
fn tolerable_answer(case: &Case<'_>, findings: &mut Vec<Finding>) {
    match case.answer {
        AnswerRelation::Whole | AnswerRelation::Respaced => {}
        // What current official SDKs make of it, without a chance for the application to notice: a list printed, a type's name.
        AnswerRelation::Labelled | AnswerRelation::TypeName => {
            findings.extend(answer_to_an_error(case, Severity::Warn));
        }
        AnswerRelation::None
        | AnswerRelation::Empty
        | AnswerRelation::Repeated
        | AnswerRelation::OfAnother
        | AnswerRelation::Littered
        | AnswerRelation::Thought
        | AnswerRelation::Partial
        | AnswerRelation::Unrelated
        | AnswerRelation::UnrelatedToOffTopic => {
            findings.extend(answer_to_an_error(case, Severity::Fail));
        }
    }
}

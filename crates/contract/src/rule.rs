//! Every finding that a response can get: its code, its weight and what to do. Whom it breaks is measured: see `clients.rs`.

use crate::ContractVerdict;
use crate::ContractVerdict::{Hold, Warn};

/// One kind of finding.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable kebab-case code.
    pub code: &'static str,
    /// How far it lowers the verdict.
    pub verdict: ContractVerdict,
    /// What the contract asks for.
    pub expected: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

macro_rules! rules {
    ($($name:ident = $code:literal, $verdict:expr, $expected:literal, $advice:literal;)*) => {
        $(pub(crate) const $name: Rule = Rule {
            code: $code, verdict: $verdict, expected: $expected, advice: $advice,
        };)*
        /// Returns every rule, in the order of the documentation.
        pub fn rules() -> &'static [Rule] {
            const RULES: &[Rule] = &[$($name),*];
            RULES
        }
    };
}

rules! {
    // The head of the response.
    REDIRECT = "redirect", Hold, "an answer, not a redirect", "correct the base URL: a redirected POST becomes a GET, and may carry the key elsewhere";
    STATUS_UNEXPECTED = "status-unexpected", Warn, "status 200", "ask the provider why; clients that test for 200 refuse it";
    CONTENT_TYPE_ODD = "content-type-odd", Warn, "application/json, or text/event-stream for a stream", "have the provider or proxy send the right type";
    CONTENT_ENCODED = "content-encoded", Warn, "an encoding that every client reads", "check that each client asks for the encoding it gets";
    ENCODING_FALSE = "encoding-false", Hold, "bytes in the encoding that the header names", "a proxy inflated the body and kept the header; fix the proxy";
    ENCODING_UNDECLARED = "encoding-undeclared", Hold, "a content-encoding header on compressed bytes", "a proxy dropped the header; fix the proxy";
    ENCODING_BROKEN = "encoding-broken", Hold, "a compressed body that inflates to its end", "the body was cut or damaged on the way";
    ENCODING_UNREAD = "encoding-unread", Hold, "identity, gzip or deflate", "let the client ask for an encoding that can be judged";
    RETRY_AFTER_LONG = "retry-after-long", Warn, "a wait of at most 120 seconds", "fail fast instead of waiting";
    RETRY_AFTER_INVALID = "retry-after-invalid", Warn, "whole seconds or an HTTP date", "ignore it and back off";

    // The body as a whole.
    BODY_EMPTY = "body-empty", Hold, "a body", "treat it as a failed call";
    BODY_HTML = "body-html", Hold, "JSON or events, not a web page", "correct the base URL (is `/v1` there?), or look for a login wall or an edge error";
    BODY_TEXT = "body-not-json", Hold, "JSON or events", "look at what answers at this address";
    BODY_CUT = "body-cut", Hold, "all bytes that the framing announced", "treat it as truncated, also where the text looks whole";
    BODY_BEYOND_LENGTH = "body-beyond-length", Hold, "no more bytes than `content-length` announces", "clients stop reading at the announced length, inside of the answer: find out who changed the header or the body";
    CUT_AFTER_DONE = "cut-after-done", Warn, "a closed body after [DONE] or the terminal event", "the answer is whole; clients that stop there do not notice, others raise";
    BODY_TOO_LARGE = "body-too-large", Hold, "at most 16 MiB in one document", "it was not judged: ask for less";
    JSON_TRUNCATED = "json-truncated", Hold, "a whole JSON document", "treat it as truncated";
    JSON_TRAILING = "json-trailing-bytes", Hold, "nothing after the document", "look for a proxy that appends to bodies";
    JSON_TWO = "json-second-document", Hold, "one document", "look for a gateway that joins two replies";
    JSON_MALFORMED = "json-malformed", Hold, "JSON as RFC 8259 has it", "report it to the provider";
    JSON_NAN = "json-not-a-number", Hold, "numbers that JSON has", "report it to the provider";
    JSON_UTF8 = "json-invalid-utf8", Hold, "UTF-8", "look for a proxy that recodes bodies";
    JSON_TOO_DEEP = "json-too-complex", Hold, "nesting to 128 and half a million values", "it was not judged";
    JSON_DUPLICATE_KEY = "json-duplicate-key", Warn, "each key once", "report it: parsers differ in which value they take";
    JSON_LONE_SURROGATE = "json-lone-surrogate", Warn, "whole surrogate pairs", "the text was cut inside a character; it cannot be written again as UTF-8";
    JSON_BOM = "json-byte-order-mark", Warn, "no byte order mark", "report it to the provider";
    JSON_NOT_OBJECT = "json-not-object", Hold, "an object", "look at what answers at this address";
    JSON_DOUBLE = "json-double-encoded", Hold, "an object, not a string that holds one", "a gateway encoded the reply twice";
    SHAPE_TOO_WIDE = "shape-too-wide", Warn, "at most 4096 distinct fields", "some fields were not looked at";
    MODE_STREAM_ON_UNARY = "mode-events-on-unary", Hold, "one JSON document", "the provider streams although it was not asked to";
    MODE_DOCUMENT_ON_STREAM = "mode-document-on-stream", Hold, "server-sent events", "the provider ignores `stream`";
    MODE_NDJSON = "mode-ndjson-on-stream", Hold, "server-sent events, not a document a line", "the provider speaks another stream format";
    WRONG_SURFACE = "wrong-surface", Hold, "a reply of the surface that was asked", "correct the path or the adapter";
    ENVELOPE_FOREIGN = "envelope-foreign", Hold, "the documented object at the top", "the reply is wrapped in a house envelope; use the documented endpoint";
    NOT_FINISHED = "not-finished", Hold, "a finished answer", "the provider queued the call; this client does not poll";
    ERROR_IN_SUCCESS = "error-in-success", Hold, "an error status for an error", "look for `error` before reading the answer";

    // What the provider's own OpenAPI document says, where one is declared.
    OPENAPI_MISSING = "openapi-field-missing", Hold, "the fields that the provider's OpenAPI document requires", "ask the provider which of both is wrong; correct the document, or leave it out of the configuration";
    OPENAPI_TYPE = "openapi-wrong-type", Hold, "the types that the provider's OpenAPI document names", "ask the provider which of both is wrong; correct the document, or leave it out of the configuration";
    OPENAPI_UNKNOWN = "openapi-field-unknown", Warn, "no fields beside those of an object that the provider's OpenAPI document closes", "skip the field";

    // Error replies.
    ERROR_STATUS = "error-status", Hold, "a success status", "see the error class";
    ERROR_STATUS_MISLEADS = "error-status-misleads", Warn, "a status that agrees with the code", "classify by code: sending it again cannot help";
    ERROR_CODE_INTEGER = "error-code-not-string", Warn, "`code` as string or null", "accept a number";
    ERROR_STRING = "error-string", Warn, "`error` as object", "take the string as message";
    ERROR_FLAT = "error-flat", Warn, "an object `error`", "accept the fields at the top";
    ERROR_DETAIL = "error-detail", Warn, "an object `error`", "class by status";
    ERROR_ARRAY = "error-array", Warn, "an object, not an array", "take the first element";
    ERROR_NO_BODY = "error-body-empty", Warn, "an error envelope", "class by status";
    ERROR_HTML = "error-body-html", Warn, "an error envelope, not a web page", "class by status: an edge answered";
    ERROR_UNREADABLE = "error-body-unreadable", Warn, "an error envelope", "class by status";
    ERROR_NESTED = "error-nested-in-message", Warn, "a message for people", "do not log it raw: it holds an upstream reply";

    // Objects of the chat surface.
    CHOICES_MISSING = "choices-missing", Hold, "an array `choices`", "treat it as a failed call";
    CHOICES_TYPE = "choices-wrong-type", Hold, "an array of objects", "treat it as a failed call";
    CHOICES_EMPTY = "choices-empty", Hold, "one choice", "treat it as a failed call";
    CHOICES_EXTRA = "choices-extra", Warn, "as many choices as were asked for", "read choice 0 only";
    CHOICE_ERROR = "choice-error", Hold, "no error inside a choice", "treat it as a failed call, also where content is present";
    MESSAGE_MISSING = "message-missing", Hold, "an object `message`", "treat it as a failed call";
    DELTA_ON_UNARY = "delta-on-unary", Hold, "`message`, not `delta`", "a gateway folded a stream badly";
    LEGACY_TEXT = "legacy-text-choice", Hold, "`message`, not `text`", "the legacy completions endpoint answered";
    CONTENT_TYPE = "content-wrong-type", Hold, "a string or null", "have the provider's adapter join the parts";
    CONTENT_KEY_MISSING = "content-key-missing", Warn, "a key `content`, also where it is null", "read it as null";
    NO_USABLE_CONTENT = "no-usable-content", Hold, "text, or a tool call", "treat it as a failed call: an empty answer is none";
    CONTENT_LIKE_ERROR = "content-looks-like-error", Hold, "an answer, not an error text", "the provider put an error into the answer";
    CONTENT_DAMAGED = "content-damaged", Warn, "text without U+FFFD", "something on the way cut characters and replaced them";
    REFUSAL = "refusal", Hold, "an answer", "show the refusal as such";
    FINISH_MISSING = "finish-reason-missing", Hold, "a `finish_reason` for each choice", "the answer is not proven to be whole: treat it as truncated";
    FINISH_EMPTY = "finish-reason-empty", Warn, "null while the answer runs", "read it as null";
    FINISH_TYPE = "finish-reason-wrong-type", Hold, "a string or null", "treat the answer as truncated";
    FINISH_ALIAS = "finish-reason-alias", Warn, "stop, length, tool_calls or content_filter", "map the upstream's word";
    FINISH_UNKNOWN = "finish-reason-unknown", Hold, "stop, length, tool_calls or content_filter", "treat the answer as truncated until the word is known";
    FINISH_LENGTH = "finish-length", Warn, "an answer below the token limit", "raise the token limit, or treat the answer as cut";
    FINISH_FILTER = "finish-content-filter", Hold, "an answer", "tell the user that it was filtered";
    FINISH_ERROR = "finish-error", Hold, "no failure in `finish_reason`", "treat it as a failed call";
    FINISH_STOP_TOOLS = "finish-stop-with-tool-calls", Warn, "tool_calls, where tools are called", "act on `tool_calls`, not on the reason";
    TOOLS_NOT_DELIVERED = "tool-calls-missing", Hold, "the tool call that `finish_reason` announces", "treat it as a failed call";
    TOOLS_TYPE = "tool-calls-wrong-type", Hold, "an array of tool calls, each with its `function` or `custom`", "treat it as a failed call";
    ARGUMENTS_OBJECT = "arguments-object", Warn, "`arguments` as a string", "have the adapter write JSON text";
    ARGUMENTS_TYPE = "arguments-wrong-type", Hold, "`arguments`, or the `input` of a custom tool, as a string", "treat the call as failed";
    ARGUMENTS_EMPTY = "arguments-empty", Warn, "`{}` for a call without arguments, and an `input` for a custom tool", "read it as `{}`";
    ARGUMENTS_BROKEN = "arguments-broken", Hold, "arguments that are one JSON object", "do not run the tool";
    ARGUMENTS_NOT_OBJECT = "arguments-not-object", Hold, "arguments that are a JSON object", "do not run the tool";
    ARGUMENTS_UNCHECKED = "arguments-too-large", Hold, "at most 1 MiB of arguments", "they were not judged";
    TOOL_ID_MISSING = "tool-call-id-missing", Warn, "an `id` for each tool call", "number the calls yourself";
    TOOL_ID_REPEATED = "tool-call-id-repeated", Warn, "an `id` of its own for each tool call", "number the calls yourself: a result sent back with this id fits two calls";
    TOOL_TYPE_MISSING = "tool-call-type-missing", Warn, "a `type` for each tool call", "read it as function";
    TOOL_NAME_MISSING = "tool-call-name-missing", Hold, "the name of the function", "do not run the tool";
    TOOL_INDEX_MISSING = "tool-call-index-missing", Warn, "an `index` on each delta", "a new id is a new call, else append to the last";
    TOOL_INDEX_SHARED = "tool-call-index-shared", Hold, "one call an index", "a new id is a new call";
    TOOL_INDEX_GAP = "tool-call-index-gap", Warn, "indexes from 0 without gaps", "order by first appearance";
    TOOL_HEAD_REPEATED = "tool-call-head-repeated", Warn, "`id` and name in the first delta of a tool call only", "take the first; a client that appends makes `ff` of `f`";
    ID_ODD = "id-odd", Warn, "a string `id`", "the call cannot be found again in logs";
    ID_CHANGED = "id-changed", Warn, "one `id` for all chunks", "two answers may have been spliced";
    OBJECT_ODD = "object-odd", Warn, "the documented `object`", "ignore it";
    MODEL_ODD = "model-odd", Warn, "a string `model`", "ignore it; never compare it for equality";
    MODEL_CHANGED = "model-changed", Warn, "one `model` for all chunks", "two answers may have been spliced";
    CREATED_ODD = "created-odd", Warn, "`created` in whole seconds", "never use it for logic";
    INDEX_ODD = "index-odd", Warn, "an integer `index` from 0", "take the only choice as 0";
    INDEX_AMBIGUOUS = "index-ambiguous", Hold, "an integer `index` on each of several choices", "treat it as a failed call";
    ROLE_ODD = "role-odd", Warn, "the role assistant", "take it as assistant";
    USAGE_MISSING = "usage-missing", Warn, "`usage`", "allow it, unless the application bills by it";
    USAGE_ODD = "usage-odd", Warn, "prompt_tokens, completion_tokens and total_tokens as integers that add up", "read what is there; never take usage as proof";
    USAGE_ALIAS = "usage-alias", Warn, "prompt_tokens and completion_tokens", "map the names";
    USAGE_EMPTY = "usage-empty", Warn, "no `usage`, or a whole one", "read it as absent";
    USAGE_UNDELIVERED = "usage-exceeds-text", Warn, "about as many tokens as text", "text may have been lost on the way";
    USAGE_PLACE = "usage-misplaced", Warn, "usage in a chunk of its own, after the finish", "take the last one";

    // Framing of streams.
    STREAM_EMPTY = "stream-empty", Hold, "at least one event", "treat it as a failed call";
    SSE_EMPTY_DISPATCH = "sse-empty-dispatch", Warn, "no blank line without data after `id` or `event`", "legal; let the proxy drop it";
    SSE_RETRY = "sse-retry-block", Warn, "no `retry` without data", "legal; let the proxy drop it";
    SSE_BOM = "sse-byte-order-mark", Warn, "no byte order mark", "legal; let the proxy drop it";
    SSE_STRAY = "sse-stray-line", Warn, "only fields and comments", "parsers ignore it: what it says is lost";
    SSE_LOST = "sse-data-lost", Hold, "each document in a `data:` field", "parsers ignore the line, so a part of the answer or an error is lost: have the provider or proxy write the field";
    EVENT_TOO_LONG = "event-too-large", Hold, "at most 4 MiB in one event", "it was not judged";
    EVENTS_TOO_MANY = "too-many-events", Hold, "at most a million events", "what followed was not judged";
    EVENT_EMPTY = "event-empty", Warn, "data in each event", "skip it";
    EVENT_NOT_JSON = "event-not-json", Hold, "JSON in each event", "treat it as a failed stream";
    EVENT_NOT_OBJECT = "event-not-object", Hold, "an object in each event", "treat it as a failed stream";
    EVENT_TWO = "event-second-document", Hold, "one object in each event", "treat it as a failed stream";
    EVENTS_UNSEPARATED = "events-not-separated", Hold, "a blank line between events", "have the provider end each event";
    COMMENT_AS_DATA = "comment-as-data", Hold, "comments as lines that begin with a colon", "a gateway wraps keep-alives into data";
    TAIL_UNDISPATCHED = "last-event-unterminated", Warn, "a blank line after the last event", "the standard discards it; some clients deliver it";
    TAIL_CUT = "last-event-cut", Hold, "a whole last event", "treat the answer as truncated";
    DONE_MISSING = "done-missing", Warn, "[DONE] at the end", "accept it: the finish reason is the proof";
    DONE_EARLY = "done-before-finish", Hold, "a finish reason before [DONE]", "[DONE] proves nothing: treat the answer as truncated";
    DONE_ODD = "done-variant", Warn, "`data: [DONE]`", "compare without case, spaces and quotes";
    DATA_AFTER_DONE = "data-after-done", Warn, "nothing after [DONE]", "ignore it";
    EVENT_UNKNOWN = "event-unknown", Warn, "chunks only", "skip it";

    // Content of chat streams.
    STREAM_ERROR = "stream-error", Hold, "no error in the stream", "the answer failed: keep its length only";
    CHUNK_CHOICES_MISSING = "chunk-choices-missing", Warn, "an array `choices` in each chunk", "skip the chunk";
    CHUNK_BOOKKEEPING = "chunk-bookkeeping", Warn, "id, object and model in each chunk", "skip the chunk";
    DELTA_MISSING = "delta-missing", Warn, "an object `delta`", "read it as {}";
    DELTA_TYPE = "delta-wrong-type", Hold, "an object `delta`", "treat it as a failed stream";
    MESSAGE_IN_STREAM = "message-in-stream", Hold, "`delta`, not `message`", "the provider sends a unary reply as an event";
    ROLE_MISSING = "role-missing", Warn, "a role in the first delta", "take it as assistant";
    FINISH_TWICE = "finish-reason-twice", Warn, "one finish reason for a choice", "take the first";
    FINISH_CONFLICT = "finish-reason-conflict", Hold, "one finish reason for a choice", "nobody can tell how it ended";
    CONTENT_AFTER_FINISH = "content-after-finish", Warn, "nothing after the finish reason", "an application that stops there loses text";
    TOO_MANY_PARTS = "too-many-parts", Hold, "at most 128 choices, 256 tool calls and 4096 items", "it was not judged";

    // The Responses surface.
    OUTPUT_MISSING = "output-missing", Hold, "an array `output`", "treat it as a failed call";
    OUTPUT_NOT_REPEATED = "terminal-output-missing", Warn, "the whole output in the terminal event", "rebuild it from the items before";
    ITEM_TYPE = "item-wrong-type", Hold, "the documented types in an item", "treat it as a failed call";
    ITEM_UNFINISHED = "item-not-completed", Hold, "completed items in a completed response", "the text may be cut";
    STATUS_MISSING = "status-missing", Warn, "a `status`", "infer it from the terminal event or the items";
    STATUS_ALIAS = "status-alias", Warn, "a `status` in lower case", "compare without case";
    STATUS_UNPROVEN = "status-unproven", Hold, "a `status`, or completed items", "the answer is not proven to be whole";
    STATUS_UNKNOWN = "status-unknown", Hold, "a documented `status`", "treat the answer as failed until the word is known";
    STATUS_FAILED = "status-failed", Hold, "status completed", "the status decides, not HTTP: a failed call";
    STATUS_INCOMPLETE = "status-incomplete", Hold, "status completed", "see incomplete_details: raise the limit, or tell the user";
    STATUS_RUNNING = "status-running", Hold, "status completed", "the answer is not there yet";
    DETAILS_DISAGREE = "incomplete-details-disagree", Hold, "no incomplete_details in a completed response", "treat the answer as cut";
    STATUS_DISAGREES = "terminal-status-disagrees", Hold, "a status that agrees with the event", "trust the status";
    TERMINAL_MISSING = "terminal-missing", Hold, "one terminal event", "treat the answer as truncated";
    TERMINAL_TWICE = "terminal-twice", Hold, "one terminal event", "nobody can tell how it ended";
    EVENT_AFTER_TERMINAL = "event-after-terminal", Warn, "nothing after the terminal event", "ignore it";
    CREATED_NOT_FIRST = "created-not-first", Warn, "response.created first", "ignore what comes before";
    WRAPPER_MISSING = "response-wrapper-missing", Hold, "an object `response` in lifecycle events", "treat it as a failed stream";
    TYPE_MISSING = "event-type-missing", Warn, "a `type` in each event", "take the event's name";
    TYPE_DISAGREES = "event-name-disagrees", Warn, "an event name equal to `type`", "trust `type`";
    SEQUENCE_ODD = "sequence-odd", Warn, "sequence_number from 0 in steps of 1", "order by arrival";
    RESPONSE_ID_CHANGED = "response-id-changed", Hold, "one response id", "two answers may have been spliced";
    ITEM_NOT_ADDED = "item-not-added", Warn, "output_item.added before what is in it", "buffer it";
    ITEM_ADDED_TWICE = "item-added-twice", Warn, "each output_index added once", "take the first";
    ITEM_NOT_DONE = "item-not-done", Warn, "a done event for each item and text", "take the terminal event as the end of all";
    EVENT_PLACE = "event-place-missing", Warn, "`item_id`, `output_index` and `content_index` or `summary_index` in the events of items and texts", "take the item that was added last; clients that look it up fail or mix items";
    DONE_TEXT_MISSING = "done-text-missing", Warn, "the whole text in the done event of a text", "take its deltas";
    PART_NOT_ADDED = "part-not-added", Warn, "content_part.added before its deltas", "buffer it";
    ITEM_ID_CHANGED = "item-id-changed", Warn, "one id for an item", "two answers may have been spliced";
    DONE_DIFFERS = "done-differs-from-deltas", Hold, "a final text equal to its deltas", "text was lost or spliced on the way";
    TERMINAL_DIFFERS = "terminal-differs-from-deltas", Hold, "the text of the terminal event equal to its deltas", "text was lost or spliced on the way";
    DELTAS_MISSING = "deltas-missing", Warn, "deltas before the final text", "take the final text; a client that shows deltas shows nothing";
    ERROR_EVENT_NESTED = "error-event-nested", Warn, "a flat error event", "accept both";
}

//! Every finding that a response can get: its code, its weight, and whom it breaks. One table, so that one place says it all.

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
    /// Known clients that it breaks, and how.
    pub breaks: &'static [&'static str],
}

macro_rules! rules {
    ($($name:ident = $code:literal, $verdict:expr, $expected:literal, $advice:literal, [$($breaks:literal),*];)*) => {
        $(pub(crate) const $name: Rule = Rule {
            code: $code, verdict: $verdict, expected: $expected, advice: $advice, breaks: &[$($breaks),*],
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
    REDIRECT = "redirect", Hold, "an answer, not a redirect", "correct the base URL: a redirected POST becomes a GET, and may carry the key elsewhere",
        ["openai-python 3: follows, then the caller gets a string", "openai-node 7: follows, then the caller gets a string"];
    STATUS_UNEXPECTED = "status-unexpected", Warn, "status 200", "ask the provider why; clients that test for 200 refuse it", [];
    CONTENT_TYPE_ODD = "content-type-odd", Warn, "application/json, or text/event-stream for a stream", "have the provider or proxy send the right type",
        ["openai-node 7: unary body arrives as a string", "aiohttp: refuses the body"];
    CONTENT_ENCODED = "content-encoded", Warn, "an encoding that every client reads", "check that each client asks for the encoding it gets",
        ["async-openai: built without gzip, cannot read it", "urllib: cannot read it"];
    ENCODING_FALSE = "encoding-false", Hold, "bytes in the encoding that the header names", "a proxy inflated the body and kept the header; fix the proxy",
        ["openai-python 3: raises", "openai-node 7: raises"];
    ENCODING_UNDECLARED = "encoding-undeclared", Hold, "a content-encoding header on compressed bytes", "a proxy dropped the header; fix the proxy",
        ["openai-python 3: raises", "openai-node 7: raises, or an empty stream", "async-openai: raises"];
    ENCODING_BROKEN = "encoding-broken", Hold, "a compressed body that inflates to its end", "the body was cut or damaged on the way", [];
    ENCODING_UNREAD = "encoding-unread", Hold, "identity, gzip or deflate", "let the client ask for an encoding that can be judged", [];
    RETRY_AFTER_LONG = "retry-after-long", Warn, "a wait of at most 120 seconds", "fail fast instead of waiting",
        ["openai-python 1: retries after half a second", "openai-node 7: retries after half a second", "async-openai: sleeps it all", "anthropic-python 2: sleeps it all"];
    RETRY_AFTER_INVALID = "retry-after-invalid", Warn, "whole seconds or an HTTP date", "ignore it and back off", ["async-openai: ignores it"];

    // The body as a whole.
    BODY_EMPTY = "body-empty", Hold, "a body", "treat it as a failed call", ["openai-node 7: returns undefined", "openai-python 3: raises"];
    BODY_HTML = "body-html", Hold, "JSON or events, not a web page", "correct the base URL (is `/v1` there?), or look for a login wall or an edge error",
        ["openai-python 3: a string without choices", "openai-node 7: crash in the caller", "every SDK in stream mode: silent empty stream"];
    BODY_TEXT = "body-not-json", Hold, "JSON or events", "look at what answers at this address",
        ["openai-python 3: a string without choices", "every SDK in stream mode: silent empty stream"];
    BODY_CUT = "body-cut", Hold, "all bytes that the framing announced", "treat it as truncated, also where the text looks whole",
        ["openai-python 1: httpx.RemoteProtocolError", "openai-python 3: APIConnectionError", "openai-node 7: TypeError terminated", "urllib: partial body"];
    CUT_AFTER_DONE = "cut-after-done", Warn, "a closed body after [DONE] or the terminal event", "the answer is whole; clients that stop there do not notice, others raise", [];
    BODY_TOO_LARGE = "body-too-large", Hold, "at most 16 MiB in one document", "it was not judged: ask for less", [];
    JSON_TRUNCATED = "json-truncated", Hold, "a whole JSON document", "treat it as truncated", ["every SDK: raises"];
    JSON_TRAILING = "json-trailing-bytes", Hold, "nothing after the document", "look for a proxy that appends to bodies", ["every SDK: raises"];
    JSON_TWO = "json-second-document", Hold, "one document", "look for a gateway that joins two replies", ["every SDK: raises"];
    JSON_MALFORMED = "json-malformed", Hold, "JSON as RFC 8259 has it", "report it to the provider", ["every SDK: raises"];
    JSON_NAN = "json-not-a-number", Hold, "numbers that JSON has", "report it to the provider", ["openai-python 3: silent NaN", "openai-node 7: raises", "async-openai: raises"];
    JSON_UTF8 = "json-invalid-utf8", Hold, "UTF-8", "look for a proxy that recodes bodies", ["openai-python 3: raises", "openai-node 7: silent replacement characters"];
    JSON_TOO_DEEP = "json-too-complex", Hold, "nesting to 128 and half a million values", "it was not judged", [];
    JSON_DUPLICATE_KEY = "json-duplicate-key", Warn, "each key once", "report it: parsers differ in which value they take", ["async-openai: raises", "openai-python 3: last value wins"];
    JSON_LONE_SURROGATE = "json-lone-surrogate", Warn, "whole surrogate pairs", "the text was cut inside a character; it cannot be written again as UTF-8", ["async-openai: raises"];
    JSON_BOM = "json-byte-order-mark", Warn, "no byte order mark", "report it to the provider", ["openai-node 4: raises", "async-openai: raises"];
    JSON_NOT_OBJECT = "json-not-object", Hold, "an object", "look at what answers at this address", ["openai-python 3: crash in the caller", "openai-node 7: crash in the caller"];
    JSON_DOUBLE = "json-double-encoded", Hold, "an object, not a string that holds one", "a gateway encoded the reply twice", ["openai-python 3: crash in the caller"];
    SHAPE_TOO_WIDE = "shape-too-wide", Warn, "at most 4096 distinct fields", "some fields were not looked at", [];
    MODE_STREAM_ON_UNARY = "mode-events-on-unary", Hold, "one JSON document", "the provider streams although it was not asked to", ["openai-python 3: crash in the caller", "openai-node 7: crash in the caller"];
    MODE_DOCUMENT_ON_STREAM = "mode-document-on-stream", Hold, "server-sent events", "the provider ignores `stream`", ["every SDK: silent empty stream"];
    MODE_NDJSON = "mode-ndjson-on-stream", Hold, "server-sent events, not a document a line", "the provider speaks another stream format", ["every SDK: silent empty stream"];
    WRONG_SURFACE = "wrong-surface", Hold, "the reply of the surface that was asked", "correct the path or the adapter", ["openai-python 3: crash in the caller", "openai-node 7: undefined"];
    ENVELOPE_FOREIGN = "envelope-foreign", Hold, "the documented object at the top", "the reply is wrapped in a house envelope; use the documented endpoint", ["openai-python 3: crash in the caller"];
    NOT_FINISHED = "not-finished", Hold, "a finished answer", "the provider queued the call; this client does not poll", ["openai-python 3: crash in the caller"];
    ERROR_IN_SUCCESS = "error-in-success", Hold, "an error status for an error", "look for `error` before reading the answer", ["openai-python 3: TypeError in the caller", "openai-node 7: TypeError in the caller, or undefined", "openai-python 3 (stream): silent empty stream"];

    // Error replies.
    ERROR_STATUS = "error-status", Hold, "a success status", "see the error class", [];
    ERROR_STATUS_MISLEADS = "error-status-misleads", Warn, "a status that agrees with the code", "classify by code: sending it again cannot help",
        ["openai-python 3: 3 requests", "openai-node 7: 3 requests", "async-openai: 4 requests"];
    ERROR_CODE_INTEGER = "error-code-not-string", Warn, "`code` as string or null", "accept a number", ["async-openai: type error hides the real one"];
    ERROR_STRING = "error-string", Warn, "`error` as object", "take the string as message", ["openai-python 3: message lost", "async-openai: type error"];
    ERROR_FLAT = "error-flat", Warn, "an object `error`", "accept the fields at the top", ["openai-node 4: message lost", "async-openai: type error"];
    ERROR_DETAIL = "error-detail", Warn, "an object `error`", "class by status", ["openai-python 3: message lost", "openai-node 4: message lost", "async-openai: type error"];
    ERROR_ARRAY = "error-array", Warn, "an object, not an array", "take the first element", ["openai-python 3: message lost", "async-openai: type error"];
    ERROR_NO_BODY = "error-body-empty", Warn, "an error envelope", "class by status", [];
    ERROR_HTML = "error-body-html", Warn, "an error envelope, not a web page", "class by status: an edge answered", [];
    ERROR_UNREADABLE = "error-body-unreadable", Warn, "an error envelope", "class by status", ["async-openai: type error hides the real one"];
    ERROR_NESTED = "error-nested-in-message", Warn, "a message for people", "do not log it raw: it holds an upstream reply", [];

    // Objects of the chat surface.
    CHOICES_MISSING = "choices-missing", Hold, "an array `choices`", "treat it as a failed call", ["openai-python 3: TypeError in the caller", "openai-node 7: TypeError in the caller"];
    CHOICES_TYPE = "choices-wrong-type", Hold, "an array of objects", "treat it as a failed call", ["openai-node 7: an object keyed \"0\" passes silently"];
    CHOICES_EMPTY = "choices-empty", Hold, "one choice", "treat it as a failed call", ["openai-python 3: IndexError in the caller", "async-openai: no choices"];
    CHOICES_EXTRA = "choices-extra", Warn, "as many choices as were asked for", "read choice 0 only", [];
    CHOICE_ERROR = "choice-error", Hold, "no error inside a choice", "treat it as a failed call, also where content is present", ["openai-python 3: silent", "openai-node 7: silent"];
    MESSAGE_MISSING = "message-missing", Hold, "an object `message`", "treat it as a failed call", ["openai-python 3: crash in the caller"];
    DELTA_ON_UNARY = "delta-on-unary", Hold, "`message`, not `delta`", "a gateway folded a stream badly", ["openai-python 3: crash in the caller"];
    LEGACY_TEXT = "legacy-text-choice", Hold, "`message`, not `text`", "the legacy completions endpoint answered", ["openai-python 3: crash in the caller"];
    CONTENT_TYPE = "content-wrong-type", Hold, "a string or null", "have the provider's adapter join the parts", ["openai-python 3: silent wrong type", "openai-node 7: silent wrong type"];
    CONTENT_KEY_MISSING = "content-key-missing", Warn, "a key `content`, also where it is null", "read it as null", [];
    NO_USABLE_CONTENT = "no-usable-content", Hold, "text, or a tool call", "treat it as a failed call: an empty answer is none", ["every SDK: None or an empty string looks like success"];
    CONTENT_LIKE_ERROR = "content-looks-like-error", Hold, "an answer, not an error text", "the provider put an error into the answer", ["every SDK: looks like success"];
    CONTENT_DAMAGED = "content-damaged", Warn, "text without U+FFFD", "something on the way cut characters and replaced them", ["every SDK: silent"];
    REFUSAL = "refusal", Hold, "an answer", "show the refusal as such", ["every SDK: content is None"];
    FINISH_MISSING = "finish-reason-missing", Hold, "a `finish_reason` for each choice", "the answer is not proven to be whole: treat it as truncated", ["every SDK: silent", "litellm: invents `stop`"];
    FINISH_EMPTY = "finish-reason-empty", Warn, "null while the answer runs", "read it as null", ["async-openai: raises"];
    FINISH_TYPE = "finish-reason-wrong-type", Hold, "a string or null", "treat the answer as truncated", ["async-openai: raises"];
    FINISH_ALIAS = "finish-reason-alias", Warn, "stop, length, tool_calls or content_filter", "map the upstream's word", ["async-openai: raises"];
    FINISH_UNKNOWN = "finish-reason-unknown", Hold, "stop, length, tool_calls or content_filter", "treat the answer as truncated until the word is known", ["async-openai: raises"];
    FINISH_LENGTH = "finish-length", Warn, "an answer below the token limit", "raise the token limit, or treat the answer as cut", [];
    FINISH_FILTER = "finish-content-filter", Hold, "an answer", "tell the user that it was filtered", [];
    FINISH_ERROR = "finish-error", Hold, "no failure in `finish_reason`", "treat it as a failed call", ["openai-python 3: silent", "openai-node 7: silent"];
    FINISH_STOP_TOOLS = "finish-stop-with-tool-calls", Warn, "tool_calls, where tools are called", "act on `tool_calls`, not on the reason", [];
    TOOLS_NOT_DELIVERED = "tool-calls-missing", Hold, "the tool call that `finish_reason` announces", "treat it as a failed call", [];
    TOOLS_TYPE = "tool-calls-wrong-type", Hold, "an array of tool calls", "treat it as a failed call", [];
    ARGUMENTS_OBJECT = "arguments-object", Warn, "`arguments` as a string", "have the adapter write JSON text", ["openai-node 7 helper: [object Object]", "async-openai: raises"];
    ARGUMENTS_TYPE = "arguments-wrong-type", Hold, "`arguments` as a string", "treat the call as failed", ["async-openai: raises"];
    ARGUMENTS_EMPTY = "arguments-empty", Warn, "`{}` for a call without arguments", "read it as `{}`", ["every SDK: parsing it raises later"];
    ARGUMENTS_BROKEN = "arguments-broken", Hold, "arguments that are one JSON object", "do not run the tool", ["every SDK: silent until the caller parses"];
    ARGUMENTS_NOT_OBJECT = "arguments-not-object", Hold, "arguments that are a JSON object", "do not run the tool", ["every SDK: silent"];
    ARGUMENTS_UNCHECKED = "arguments-too-large", Hold, "at most 1 MiB of arguments", "they were not judged", [];
    TOOL_ID_MISSING = "tool-call-id-missing", Warn, "an `id` for each tool call", "number the calls yourself", ["async-openai: raises"];
    TOOL_TYPE_MISSING = "tool-call-type-missing", Warn, "a `type` for each tool call", "read it as function", ["async-openai: raises"];
    TOOL_NAME_MISSING = "tool-call-name-missing", Hold, "the name of the function", "do not run the tool", [];
    TOOL_INDEX_MISSING = "tool-call-index-missing", Warn, "an `index` on each delta", "a new id is a new call, else append to the last", ["openai-python 3 helper: crash", "openai-node 7 helper: raises", "async-openai: raises"];
    TOOL_INDEX_SHARED = "tool-call-index-shared", Hold, "one call an index", "a new id is a new call", ["openai-python 3 helper: merges names and arguments", "openai-node 7 helper: merges names and arguments"];
    TOOL_INDEX_GAP = "tool-call-index-gap", Warn, "indexes from 0 without gaps", "order by first appearance", ["openai-python 3 helper: crash", "openai-node 7 helper: crash"];
    ID_ODD = "id-odd", Warn, "a string `id`", "the call cannot be found again in logs", ["async-openai: raises"];
    ID_CHANGED = "id-changed", Warn, "one `id` for all chunks", "two answers may have been spliced", ["every SDK: silent"];
    OBJECT_ODD = "object-odd", Warn, "the documented `object`", "ignore it", ["async-openai: raises when missing"];
    MODEL_ODD = "model-odd", Warn, "a string `model`", "ignore it; never compare it for equality", ["async-openai: raises when missing"];
    MODEL_CHANGED = "model-changed", Warn, "one `model` for all chunks", "two answers may have been spliced", ["every SDK: silent"];
    CREATED_ODD = "created-odd", Warn, "`created` in whole seconds", "never use it for logic", ["async-openai: raises"];
    INDEX_ODD = "index-odd", Warn, "an integer `index` from 0", "take the only choice as 0", ["async-openai: raises"];
    INDEX_AMBIGUOUS = "index-ambiguous", Hold, "an integer `index` on each of several choices", "treat it as a failed call", ["async-openai: raises"];
    ROLE_ODD = "role-odd", Warn, "the role assistant", "take it as assistant", ["openai-node 7 helper: raises", "async-openai: raises, text lost"];
    USAGE_MISSING = "usage-missing", Warn, "`usage`", "allow it, unless the application bills by it", [];
    USAGE_ODD = "usage-odd", Warn, "prompt_tokens, completion_tokens and total_tokens as integers that add up", "read what is there; never take usage as proof", ["async-openai: raises"];
    USAGE_ALIAS = "usage-alias", Warn, "prompt_tokens and completion_tokens", "map the names", ["openai-python 3: silent None", "async-openai: raises"];
    USAGE_EMPTY = "usage-empty", Warn, "no `usage`, or a whole one", "read it as absent", ["async-openai: raises"];
    USAGE_UNDELIVERED = "usage-exceeds-text", Warn, "about as many tokens as text", "text may have been lost on the way", [];
    USAGE_PLACE = "usage-misplaced", Warn, "usage in a chunk of its own, after the finish", "take the last one", [];

    // Framing of streams.
    STREAM_EMPTY = "stream-empty", Hold, "at least one event", "treat it as a failed call", ["every SDK: silent empty stream"];
    SSE_EMPTY_DISPATCH = "sse-empty-dispatch", Warn, "no blank line without data after `id` or `event`", "legal; let the proxy drop it", ["openai-python 1 and 3: JSONDecodeError"];
    SSE_RETRY = "sse-retry-block", Warn, "no `retry` without data", "legal; let the proxy drop it", ["openai-python 1 and 3: JSONDecodeError"];
    SSE_BOM = "sse-byte-order-mark", Warn, "no byte order mark", "legal; let the proxy drop it", ["openai-python 3: first event lost", "openai-node 4: first event lost", "async-openai: panic, empty stream"];
    SSE_STRAY = "sse-stray-line", Warn, "only fields and comments", "parsers ignore it: what it says is lost", ["every SDK: line ignored"];
    EVENT_TOO_LONG = "event-too-large", Hold, "at most 4 MiB in one event", "it was not judged", [];
    EVENT_EMPTY = "event-empty", Warn, "data in each event", "skip it", ["openai-python 3: raises", "openai-node 7: raises", "async-openai: raises"];
    EVENT_NOT_JSON = "event-not-json", Hold, "JSON in each event", "treat it as a failed stream", ["openai-python 3: JSONDecodeError", "openai-node 7: SyntaxError", "vercel ai: chunk skipped silently"];
    EVENT_NOT_OBJECT = "event-not-object", Hold, "an object in each event", "treat it as a failed stream", ["openai-python 3: crash in the caller", "openai-node 7: crash in the caller"];
    EVENT_TWO = "event-second-document", Hold, "one object in each event", "treat it as a failed stream", ["every SDK: raises"];
    EVENTS_UNSEPARATED = "events-not-separated", Hold, "a blank line between events", "have the provider end each event", ["every SDK: raises"];
    COMMENT_AS_DATA = "comment-as-data", Hold, "comments as lines that begin with a colon", "a gateway wraps keep-alives into data", ["every SDK: raises"];
    TAIL_UNDISPATCHED = "last-event-unterminated", Warn, "a blank line after the last event", "the standard discards it; some clients deliver it", ["openai-python 3: event dropped", "openai-node 4: event dropped", "async-openai: event dropped"];
    TAIL_CUT = "last-event-cut", Hold, "a whole last event", "treat the answer as truncated", [];
    DONE_MISSING = "done-missing", Warn, "[DONE] at the end", "accept it: the finish reason is the proof", ["every SDK: hangs if the connection stays open"];
    DONE_EARLY = "done-before-finish", Hold, "a finish reason before [DONE]", "[DONE] proves nothing: treat the answer as truncated", ["every SDK: silent"];
    DONE_ODD = "done-variant", Warn, "`data: [DONE]`", "compare without case, spaces and quotes", ["openai-python 3: raises on some", "openai-node 7: raises on some", "async-openai: raises on most"];
    DATA_AFTER_DONE = "data-after-done", Warn, "nothing after [DONE]", "ignore it", [];
    EVENT_UNKNOWN = "event-unknown", Warn, "chunks only", "skip it", ["openai-python 3: junk chunk", "openai-node 7 helper: raises", "async-openai: raises"];

    // Content of chat streams.
    STREAM_ERROR = "stream-error", Hold, "no error in the stream", "the answer failed: keep its length only", ["openai-python 3: a flat error event is a junk chunk, the stream ends well", "vercel ai: partial text"];
    CHUNK_CHOICES_MISSING = "chunk-choices-missing", Warn, "an array `choices` in each chunk", "skip the chunk", ["openai-python 3 helper: crash", "openai-node 7 helper: crash", "async-openai: raises"];
    CHUNK_BOOKKEEPING = "chunk-bookkeeping", Warn, "id, object and model in each chunk", "skip the chunk", ["async-openai: raises"];
    DELTA_MISSING = "delta-missing", Warn, "an object `delta`", "read it as {}", ["openai-python 3 helper: crash", "openai-node 4 helper: raises", "async-openai: finish lost"];
    DELTA_TYPE = "delta-wrong-type", Hold, "an object `delta`", "treat it as a failed stream", [];
    MESSAGE_IN_STREAM = "message-in-stream", Hold, "`delta`, not `message`", "the provider sends a unary reply as an event", ["openai-python 3: silent, no text", "async-openai: raises"];
    ROLE_MISSING = "role-missing", Warn, "a role in the first delta", "take it as assistant", ["openai-node 7 helper: raises"];
    FINISH_TWICE = "finish-reason-twice", Warn, "one finish reason for a choice", "take the first", ["every SDK: silent"];
    FINISH_CONFLICT = "finish-reason-conflict", Hold, "one finish reason for a choice", "nobody can tell how it ended", ["every SDK: silent"];
    CONTENT_AFTER_FINISH = "content-after-finish", Warn, "nothing after the finish reason", "an application that stops there loses text", ["every SDK: silent"];
    TOO_MANY_PARTS = "too-many-parts", Hold, "at most 128 choices, 256 tool calls and 4096 items", "it was not judged", [];

    // The Responses surface.
    OUTPUT_MISSING = "output-missing", Hold, "an array `output`", "treat it as a failed call", ["openai-python 3: crash", "openai-node 7: raises", "async-openai: raises"];
    OUTPUT_NOT_REPEATED = "terminal-output-missing", Warn, "the whole output in the terminal event", "rebuild it from the items before", ["async-openai: raises", "openai-python 1 helper: TypeError"];
    ITEM_TYPE = "item-wrong-type", Hold, "the documented types in an item", "treat it as a failed call", [];
    ITEM_UNFINISHED = "item-not-completed", Hold, "completed items in a completed response", "the text may be cut", ["every SDK: silent"];
    STATUS_MISSING = "status-missing", Warn, "a `status`", "infer it from the terminal event or the items", ["async-openai: raises"];
    STATUS_ALIAS = "status-alias", Warn, "a `status` in lower case", "compare without case", ["async-openai: raises"];
    STATUS_UNPROVEN = "status-unproven", Hold, "a `status`, or completed items", "the answer is not proven to be whole", ["openai-python 3: silent", "async-openai: raises"];
    STATUS_UNKNOWN = "status-unknown", Hold, "a documented `status`", "treat the answer as failed until the word is known", ["async-openai: raises"];
    STATUS_FAILED = "status-failed", Hold, "status completed", "the status decides, not HTTP: a failed call", ["every SDK: silent"];
    STATUS_INCOMPLETE = "status-incomplete", Hold, "status completed", "see incomplete_details: raise the limit, or tell the user", ["every SDK: silent"];
    STATUS_RUNNING = "status-running", Hold, "status completed", "the answer is not there yet", ["every SDK: silent"];
    DETAILS_DISAGREE = "incomplete-details-disagree", Hold, "no incomplete_details in a completed response", "treat the answer as cut", ["every SDK: silent"];
    STATUS_DISAGREES = "terminal-status-disagrees", Hold, "a status that agrees with the event", "trust the status", ["every SDK: silent"];
    TERMINAL_MISSING = "terminal-missing", Hold, "one terminal event", "treat the answer as truncated", ["openai-python 3: silent", "openai-node 7 helper: returns in_progress"];
    TERMINAL_TWICE = "terminal-twice", Hold, "one terminal event", "nobody can tell how it ended", [];
    EVENT_AFTER_TERMINAL = "event-after-terminal", Warn, "nothing after the terminal event", "ignore it", [];
    CREATED_NOT_FIRST = "created-not-first", Warn, "response.created first", "ignore what comes before", ["openai-python 3 helper: raises", "openai-node 7 helper: raises"];
    WRAPPER_MISSING = "response-wrapper-missing", Hold, "an object `response` in lifecycle events", "treat it as a failed stream", ["openai-python 3: silent", "openai-node 7: silent", "async-openai: raises"];
    TYPE_MISSING = "event-type-missing", Warn, "a `type` in each event", "take the event's name", ["openai-python 3: silent, no text", "openai-node 7: silent, no text", "async-openai: raises"];
    TYPE_DISAGREES = "event-name-disagrees", Warn, "an event name equal to `type`", "trust `type`", [];
    SEQUENCE_ODD = "sequence-odd", Warn, "sequence_number from 0 in steps of 1", "order by arrival", ["async-openai: raises when missing"];
    RESPONSE_ID_CHANGED = "response-id-changed", Hold, "one response id", "two answers may have been spliced", ["openai-python 3 helper: RuntimeError", "openai-node 7 helper: raises", "async-openai: silent"];
    ITEM_NOT_ADDED = "item-not-added", Warn, "output_item.added before what is in it", "buffer it", ["openai-python 3 helper: raises", "openai-node 7 helper: raises"];
    ITEM_ADDED_TWICE = "item-added-twice", Warn, "each output_index added once", "take the first", ["openai-python 3 helper: raises"];
    ITEM_NOT_DONE = "item-not-done", Warn, "a done event for each item and text", "take the terminal event as the end of all", ["every SDK: no event at the end of an item"];
    PART_NOT_ADDED = "part-not-added", Warn, "content_part.added before its deltas", "buffer it", ["openai-python 3 helper: raises"];
    ITEM_ID_CHANGED = "item-id-changed", Warn, "one id for an item", "two answers may have been spliced", ["openai-python 3 helper: raises"];
    DONE_DIFFERS = "done-differs-from-deltas", Hold, "a final text equal to its deltas", "text was lost or spliced on the way", ["every SDK: silent"];
    TERMINAL_DIFFERS = "terminal-differs-from-deltas", Hold, "the text of the terminal event equal to its deltas", "text was lost or spliced on the way", ["every SDK: silent"];
    DELTAS_MISSING = "deltas-missing", Warn, "deltas before the final text", "take the final text; a client that shows deltas shows nothing", ["every SDK: nothing to show while streaming"];
    ERROR_EVENT_NESTED = "error-event-nested", Warn, "a flat error event", "accept both", ["openai-python 3: flat one is yielded as an item", "async-openai: raises on a nested one"];
}

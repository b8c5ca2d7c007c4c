//! The keys of a profile file.

use super::Absent::{Otherwise, Required, Value};
use super::{Kind, Section, key};

/// The built-in profiles.
pub(crate) const NAMES: [&str; 7] =
    ["openai", "cometapi", "azure", "anthropic-compat", "gemini-compat", "deepseek", "openrouter"];

/// The classes of errors.
pub(crate) const CLASSES: [&str; 9] = [
    "auth",
    "permission",
    "invalid_request",
    "not_found",
    "quota",
    "rate_limit",
    "overloaded",
    "timeout",
    "server",
];

/// What a word for the end of an answer may mean.
pub(crate) const MEANINGS: [&str; 5] = ["stop", "length", "tool_calls", "content_filter", "error"];

/// A profile file.
pub(crate) static PROFILE: Section = Section {
    title: "profile file",
    about: "What a provider's documentation says otherwise than the contract; named by `provider.profile`, and by `--profile` of the contract commands. It forgives what is odd: what is no usable answer stays none.",
    keys: &[
        key("name", Kind::Text, Required, "The provider's name, for reports.", "acme"),
        key(
            "extends",
            Kind::Word(&NAMES),
            Value("openai"),
            "The built-in profile that all else is taken from.",
            "openai",
        ),
        key(
            "sources",
            Kind::List(&Kind::Section(&SOURCE)),
            Value("[]"),
            "What was read, and when.",
            "[{ url: \"https://docs.acme.example/api\", on: 2026-11-20 }]",
        ),
        key(
            "fields",
            Kind::List(&Kind::Pointer),
            Value("[]"),
            "Fields beside the documented ones. Unknown fields are never a finding of the contract; these are none of an OpenAPI document either.",
            "[/choices/0/message/reasoning]",
        ),
        key(
            "missing",
            Kind::List(&Kind::Pointer),
            Value("[]"),
            "Documented fields that this provider leaves out. What no answer can do without is refused.",
            "[/usage, /created]",
        ),
        key(
            "null",
            Kind::List(&Kind::Pointer),
            Value("[]"),
            "Documented fields that are null with this provider.",
            "[/model]",
        ),
        key(
            "finish_reasons",
            Kind::Map(&Kind::Word(&MEANINGS)),
            Value("{}"),
            "This provider's words for the end of an answer. What the contract knows keeps its meaning.",
            "{ eos_reached: stop }",
        ),
        key(
            "events",
            Kind::List(&Kind::Text),
            Value("[]"),
            "Events of a stream beside the documented ones.",
            "[ping]",
        ),
        key(
            "errors",
            Kind::Section(&ERRORS),
            Otherwise("the common envelopes"),
            "Where its errors stand, and what its codes mean.",
            "{ code: /fault/id }",
        ),
        key(
            "request_id_header",
            Kind::Text,
            Otherwise("any `*request-id*`"),
            "The header with its request id.",
            "x-acme-trace",
        ),
    ],
};

/// `sources[]`.
pub(crate) static SOURCE: Section = Section {
    title: "profile file: sources[]",
    about: "A page that was read.",
    keys: &[
        key("url", Kind::Text, Required, "Its address.", "https://docs.acme.example/api"),
        key("on", Kind::Date, Required, "The day of the reading.", "2026-11-20"),
    ],
};

/// `errors`.
static ERRORS: Section = Section {
    title: "profile file: errors",
    about: "Where an error reply has its parts: JSON pointers. Where none of them is found, the common envelopes are tried.",
    keys: &[
        key("code", Kind::Pointer, Otherwise("no own place"), "The code.", "/fault/id"),
        key("type", Kind::Pointer, Otherwise("no own place"), "The type.", "/fault/kind"),
        key("message", Kind::Pointer, Otherwise("no own place"), "The message.", "/fault/text"),
        key(
            "request_id",
            Kind::Pointer,
            Otherwise("no own place"),
            "The request id.",
            "/fault/trace",
        ),
        key(
            "codes",
            Kind::Map(&Kind::Section(&CODE)),
            Value("{}"),
            "What its codes and types mean.",
            "{ E42: { class: rate_limit } }",
        ),
    ],
};

/// `errors.codes.*`.
pub(crate) static CODE: Section = Section {
    title: "profile file: errors.codes.*",
    about: "What a code means.",
    keys: &[
        key("class", Kind::Word(&CLASSES), Required, "Its class.", "rate_limit"),
        key(
            "retry_safe",
            Kind::Boolean,
            Otherwise("true for `rate_limit`, `overloaded`, `timeout` and `server`"),
            "Whether sending the same request again may help. Releases are judged by it.",
            "true",
        ),
    ],
};

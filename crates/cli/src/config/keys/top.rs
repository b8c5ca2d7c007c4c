//! The keys of the top level, without those of releases. What is added here must be read in its section's reader.

use super::Absent::{Otherwise, Required, Value};
use super::provider::PROVIDER;
use super::release::RELEASES;
use super::{GATES, Kind, SETTINGS, SWITCHES, Section, key};

/// The whole file.
pub(crate) static ROOT: Section = Section {
    title: "surestep.yaml",
    about: "The top level of the file.",
    keys: &[
        key(
            "service",
            Kind::Text,
            Required,
            "The service's name, as reports and evidence show it.",
            "support-bot",
        ),
        key(
            "environment",
            Kind::Text,
            Required,
            "The environment's name. Evidence counts only in the environment that it was made in.",
            "staging",
        ),
        key(
            "provider",
            Kind::Section(&PROVIDER),
            Required,
            "The LLM API that both releases talk to.",
            "{ name: cometapi, modes: [unary], key: env:COMETAPI_API_KEY }",
        ),
        key(
            "model",
            Kind::Text,
            Required,
            "The model setting that the releases must put on the wire (`{model}`).",
            "${SUPPORT_MODEL}",
        ),
        key(
            "contract",
            Kind::Section(&CONTRACT),
            Otherwise("no review: the gate `contract_reviewed` holds"),
            "Reviews of the documentation, and the reply's fields that the application needs.",
            "{ required_fields: [/choices/0/message/content] }",
        ),
        key(
            "releases",
            Kind::Section(&RELEASES),
            Required,
            "The pair of releases.",
            "{ new: …, rollback: … }",
        ),
        key(
            "route",
            Kind::Section(&ROUTE),
            Otherwise("the embedded router with its defaults"),
            "Where user traffic goes, and what moves it.",
            "{ listen: 127.0.0.1:8080, step: 5 }",
        ),
        key(
            "gates",
            Kind::Section(&GATES_SECTION),
            Otherwise("all six gates"),
            "What the decision asks for.",
            "{ max_age: 24h }",
        ),
        key(
            "ledger",
            Kind::Text,
            Value("sqlite:.surestep/ledger.db"),
            "Where evidence is kept. A relative path starts at the configuration's folder.",
            "sqlite:.surestep/ledger.db",
        ),
    ],
};

/// `contract`.
pub(crate) static CONTRACT: Section = Section {
    title: "contract",
    about: "What people checked, and what this application needs of a reply.",
    keys: &[
        key(
            "reviewed",
            Kind::List(&Kind::Section(&REVIEW)),
            Value("[]"),
            "Who read which source when.",
            "[{ source: \"https://apidoc.cometapi.com/api/text/chat\", on: 2026-11-20, by: platform-team }]",
        ),
        key(
            "changes",
            Kind::List(&Kind::Section(&CHANGE)),
            Value("[]"),
            "Settings changed on purpose since the pair that was accepted last; a change without an entry holds.",
            "[{ setting: model, on: 2026-11-20, by: platform-team }]",
        ),
        key(
            "required_fields",
            Kind::List(&Kind::Pointer),
            Value("[]"),
            "JSON pointers into the reply that the application needs; `surestep contract learn` measures them.",
            "[/choices/0/message/content]",
        ),
        key(
            "openapi",
            Kind::Text,
            Otherwise("the built-in contract alone"),
            "The provider's own OpenAPI document (3.0 or 3.1, YAML or JSON): a reply that it does not allow holds. See [contracts](contracts.md).",
            "provider-openapi.yaml",
        ),
    ],
};

/// One entry of `contract.reviewed`.
pub(crate) static REVIEW: Section = Section {
    title: "contract.reviewed[]",
    about: "One review of a contract source.",
    keys: &[
        key(
            "source",
            Kind::Text,
            Required,
            "A URL or a file.",
            "https://apidoc.cometapi.com/api/text/chat",
        ),
        key("on", Kind::Date, Required, "The day of the review.", "2026-11-20"),
        key("by", Kind::Text, Required, "Who reviewed it.", "platform-team"),
        key(
            "digest",
            Kind::Text,
            Otherwise(
                "what `surestep contract review --accept` wrote into the ledger; without that, a change is not noticed",
            ),
            "The content that was read, as `surestep contract review` prints it. Other content fails.",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        ),
    ],
};

/// One entry of `contract.changes`.
pub(crate) static CHANGE: Section = Section {
    title: "contract.changes[]",
    about: "One setting that was changed on purpose, for one or both releases. Once a pair with the entry is accepted, it is used up.",
    keys: &[
        key("setting", Kind::Word(&SETTINGS), Required, "Which setting.", "model"),
        key("on", Kind::Date, Required, "The day on which the change was looked at.", "2026-11-20"),
        key("by", Kind::Text, Required, "Who looked at it.", "platform-team"),
    ],
};

/// `route`.
pub(crate) static ROUTE: Section = Section {
    title: "route",
    about: "Where user traffic goes, and what moves it.",
    keys: &[
        key(
            "switch",
            Kind::Word(&SWITCHES),
            Value("embedded"),
            "What moves traffic. Only `embedded` is available in this version.",
            "embedded",
        ),
        key(
            "listen",
            Kind::Address,
            Value("127.0.0.1:8080"),
            "The user-facing address.",
            "127.0.0.1:8080",
        ),
        key(
            "step",
            Kind::Integer { min: 1, max: 100 },
            Value("5"),
            "The canary's share in percent.",
            "5",
        ),
    ],
};

/// `gates`.
pub(crate) static GATES_SECTION: Section = Section {
    title: "gates",
    about: "What the decision asks for.",
    keys: &[
        key("max_age", Kind::Duration, Value("24h"), "Evidence counts only while younger.", "24h"),
        key(
            "require",
            Kind::List(&Kind::Word(&GATES)),
            Otherwise("all six"),
            "The gates that must pass. Every report shows when they are fewer than six.",
            "[contract_reviewed, new_release_smoke]",
        ),
        key("strict", Kind::Boolean, Value("false"), "Whether warnings block too.", "true"),
    ],
};

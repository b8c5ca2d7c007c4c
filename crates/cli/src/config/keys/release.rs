//! The keys of `releases`. What is added here must be read in its section's reader.

use super::Absent::{Otherwise, Required, Value};
use super::provider::RELEASE_PROVIDER;
use super::run::RUN;
use super::{Kind, Section, key};

/// `releases`.
pub(crate) static RELEASES: Section = Section {
    title: "releases",
    about: "The release about to get traffic and the one to return to.",
    keys: &[
        key(
            "new",
            Kind::Section(&RELEASE),
            Required,
            "The release about to get traffic.",
            "{ version: 2.4.0, run: … }",
        ),
        key(
            "rollback",
            Kind::Section(&RELEASE),
            Required,
            "The release to return to.",
            "{ version: 2.3.1, run: … }",
        ),
    ],
};

/// A release.
pub(crate) static RELEASE: Section = Section {
    title: "releases.new and releases.rollback",
    about: "A version of the service, how it runs, and what it may do.",
    keys: &[
        key(
            "version",
            Kind::Text,
            Required,
            "Its version (`{version}`); its logs must carry it.",
            "2.4.0",
        ),
        key(
            "image",
            Kind::Text,
            Otherwise("none"),
            "The image that it is deployed from; part of its identity in evidence.",
            "registry.example/support-bot@sha256:…",
        ),
        key(
            "run",
            Kind::Section(&RUN),
            Required,
            "How it runs and is asked.",
            "{ command: [python3, app.py, \"{prompt}\"] }",
        ),
        key(
            "provider",
            Kind::Section(&RELEASE_PROVIDER),
            Otherwise("the top level's"),
            "Its own provider: the promotion of a fallback. Host, credential and model may then differ from the other release's.",
            "{ name: openai, key: env:OPENAI_API_KEY }",
        ),
        key(
            "model",
            Kind::Text,
            Otherwise("the top level's"),
            "Its own model setting.",
            "fallback-model",
        ),
        key(
            "directory",
            Kind::Text,
            Otherwise("the configuration's folder"),
            "Where its processes run; relative programs and log files start here.",
            "releases/2.4.0",
        ),
        key(
            "env",
            Kind::Map(&Kind::Text),
            Value("{}"),
            "Its environment variables, with placeholders. Never secrets.",
            "{ COMETAPI_BASE_URL: \"{tap}\", SUPPORT_MODEL: \"{model}\" }",
        ),
        key(
            "secrets",
            Kind::Map(&Kind::Secret),
            Value("{}"),
            "Environment variables that take secrets, each from the release's own source. `{key}` hands it the control's credential, and so proves nothing about its own.",
            "{ COMETAPI_API_KEY: \"file:/run/secrets/comet\" }",
        ),
        key(
            "inherit",
            Kind::List(&Kind::Text),
            Value("[]"),
            "Names taken over from surestep's environment beside PATH, HOME, LANG, TZ and TMPDIR.",
            "[SSL_CERT_FILE]",
        ),
        key(
            "tap",
            Kind::Either(&[Kind::Word(&["reverse", "forward"]), Kind::Section(&TAP)]),
            Value("reverse"),
            "How its calls reach the tap: `reverse`, its base URL is `{tap}`, which is the tap; `forward`, the tap is its HTTPS proxy, it trusts a CA made for the run, and `{tap}` is the configured base URL.",
            "reverse",
        ),
        key(
            "deadline",
            Kind::Duration,
            Value("30s"),
            "An ask without outcome by then is hung.",
            "30s",
        ),
        key(
            "retry",
            Kind::Section(&RETRY),
            Otherwise("3 attempts within 20s"),
            "The retry policy of one upstream call, all layers together.",
            "{ max_attempts: 3, max_elapsed: 20s }",
        ),
        key(
            "calls_per_ask",
            Kind::Integer { min: 1, max: 100 },
            Value("1"),
            "Upstream calls that one ask makes, retries aside: a guard call and then the answer are 2. Where it varies, the smallest number.",
            "1",
        ),
        key(
            "models",
            Kind::List(&Kind::Text),
            Value("[]"),
            "Further models that a normal ask uses.",
            "[guard-model]",
        ),
        key(
            "fallback_models",
            Kind::List(&Kind::Text),
            Value("[]"),
            "Declared fallbacks. Anything else that gets called is silent fallback.",
            "[small-model]",
        ),
        key(
            "logs",
            Kind::Either(&[Kind::List(&Kind::Text), Kind::Section(&LOGS)]),
            Value("[stderr]"),
            "Where its logs are, as a list; or as a mapping, together with the names of their fields.",
            "[stderr, \"file:logs/app.log\"]",
        ),
    ],
};

/// `logs: { sources: …, fields: … }`.
pub(crate) static LOGS: Section = Section {
    title: "releases.*.logs",
    about: "Where its logs are, and which of their fields hold what an incident review needs.",
    keys: &[
        key(
            "sources",
            Kind::List(&Kind::Text),
            Value("[stderr]"),
            "`stderr`, `stdout`, `file:PATH` or `otlp` (what it exports by OpenTelemetry: surestep receives it). `*` and `?` in a path stand for any name; files that are made late and files that rotate are followed.",
            "[stderr, \"file:logs/*.log\"]",
        ),
        key(
            "fields",
            Kind::Section(&LOG_FIELDS),
            Otherwise("known by the usual names"),
            "Names of fields, where the usual ones are not used.",
            "{ version: app.release }",
        ),
    ],
};

/// `logs: { fields: … }`.
pub(crate) static LOG_FIELDS: Section = Section {
    title: "releases.*.logs.fields",
    about: "Names of fields in the logs, as paths with dots (`app.release` is `{\"app\": {\"release\": …}}` and `app.release=…`). What is named here is looked for in that field and nowhere else; what is not is known by the usual names of common loggers.",
    keys: &[
        key("version", Kind::Text, Otherwise(USUAL), "The release's version.", "app.release"),
        key("route", Kind::Text, Otherwise(USUAL), "The route or path of the call.", "http.route"),
        key("timestamp", Kind::Text, Otherwise(USUAL), "When it was.", "ts"),
        key("status", Kind::Text, Otherwise(USUAL), "How the call ended.", "http.status_code"),
        key(
            "request_id",
            Kind::Text,
            Otherwise("anywhere in the line"),
            "The provider's request id.",
            "upstream.request_id",
        ),
    ],
};

const USUAL: &str = "the usual names";

/// `tap` as a mapping.
pub(crate) static TAP: Section = Section {
    title: "releases.*.tap",
    about: "One of two: the tap at a fixed address, for an instance whose base URL is set once and for all; or what a release may reach through the tap as its proxy.",
    keys: &[
        key(
            "reverse",
            Kind::Address,
            Otherwise("a free port"),
            "Where the tap listens.",
            "127.0.0.1:9001",
        ),
        key(
            "forward",
            Kind::Section(&FORWARD),
            Otherwise("`tap: reverse`"),
            "What the release may reach through its proxy beside its provider.",
            "{ hosts: [vectors.internal] }",
        ),
    ],
};

/// `tap: { forward: … }`.
pub(crate) static FORWARD: Section = Section {
    title: "releases.*.tap.forward",
    about: "Other hosts than the provider's, which a release calls through its proxy. What they exchange is not looked at; that they were called is noted.",
    keys: &[
        key(
            "hosts",
            Kind::List(&Kind::Text),
            Value("[]"),
            "Hosts that it is known to call, `*.name` for all below one: a vector store, telemetry, a declared fallback. A call to any other one is silent fallback.",
            "[vectors.internal, \"*.sentry.io\"]",
        ),
        key(
            "others",
            Kind::Word(&["tunnel", "refuse"]),
            Value("tunnel"),
            "What becomes of calls to any other host: they are passed on unseen, or refused. They are noted in any case.",
            "refuse",
        ),
        key(
            "ca",
            Kind::Text,
            Otherwise("none"),
            "A PEM file with more trust for those hosts: it goes into the file that the release is handed, beside the system's trust and the run's CA.",
            "internal-ca.pem",
        ),
        key(
            "http2",
            Kind::Boolean,
            Value("false"),
            "Whether HTTP/2 is offered to it for calls to its provider, beside HTTP/1.1; what comes by HTTP/2 is asked of the provider by HTTP/2, if that agrees.",
            "true",
        ),
    ],
};

/// `retry`.
pub(crate) static RETRY: Section = Section {
    title: "releases.*.retry",
    about: "How often one upstream call may be tried, all layers (SDK, own loop, gateway) together.",
    keys: &[
        key(
            "max_attempts",
            Kind::Integer { min: 1, max: 100 },
            Value("3"),
            "Attempts at most, the first included.",
            "3",
        ),
        key(
            "max_elapsed",
            Kind::Duration,
            Value("20s"),
            "Time from the first attempt's start to the last one's at most.",
            "20s",
        ),
    ],
};

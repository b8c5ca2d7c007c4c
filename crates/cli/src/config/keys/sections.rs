//! The keys themselves. A key that is added here must be read in its section's reader; a test compares both.

use super::{Default, Key, Kind, Section};
use Default::{Otherwise, Required, Value};

const fn key(
    name: &'static str,
    kind: Kind,
    default: Default,
    means: &'static str,
    example: &'static str,
) -> Key {
    Key { name, kind, default, means, example }
}

/// The names of the gates, in the order of the reports.
pub(crate) const GATES: [&str; 6] = [
    "contract_reviewed",
    "new_release_smoke",
    "rollback_release_smoke",
    "negative_auth",
    "observability",
    "rollback_switch_drill",
];

/// The switches of the grammar. All but the first belong to later versions.
pub(crate) const SWITCHES: [&str; 6] =
    ["embedded", "envoy", "haproxy", "nginx", "gateway-api", "command"];

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

/// `provider`, also of a release.
pub(crate) static PROVIDER: Section = Section {
    title: "provider",
    about: "An LLM API. A release that talks to another one (the promotion of a fallback) has a section like this of its own; `surface`, \
            `modes` and `live_calls` are then taken from the top level where it leaves them out.",
    keys: &[
        key(
            "name",
            Kind::Text,
            Required,
            "A built-in profile (`cometapi`, `openai`, `simulated`), or any other name; then `base_url` is required. `simulated` without `base_url` is surestep's own simulated provider, started for the run.",
            "cometapi",
        ),
        key(
            "base_url",
            Kind::Text,
            Otherwise("the documented one of a built-in profile"),
            "Where the API is, up to and including `/v1`.",
            "https://api.cometapi.com/v1",
        ),
        key(
            "surface",
            Kind::Word(&["chat", "responses"]),
            Value("chat"),
            "The endpoint family that the service uses: `POST /v1/chat/completions` or `POST /v1/responses`.",
            "chat",
        ),
        key(
            "modes",
            Kind::List(&Kind::Word(&["unary", "stream"])),
            Required,
            "The modes that production uses. One that a release cannot be asked in stays unproven, and holds.",
            "[unary, stream]",
        ),
        key(
            "key",
            Kind::Secret,
            Otherwise("required; made up for the run with `simulated`"),
            "The credential of surestep's own direct call (the control).",
            "env:COMETAPI_API_KEY",
        ),
        key(
            "live_calls",
            Kind::Integer { min: 1, max: 100_000 },
            Value("60"),
            "Ceiling on calls that reach the provider in one run.",
            "60",
        ),
        key(
            "connect_to",
            Kind::Text,
            Otherwise("the host of `base_url`"),
            "Where the host of `base_url` is really reached, as `host:port`. The TLS name and the Host header stay.",
            "10.0.0.7:8443",
        ),
        key(
            "ca",
            Kind::Text,
            Otherwise("the system's trust"),
            "A PEM file with extra trust for the provider.",
            "private-ca.pem",
        ),
        key(
            "proxy",
            Kind::Text,
            Otherwise("a direct connection"),
            "An egress proxy, when only one leads to the provider.",
            "http://egress:3128",
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
            "required_fields",
            Kind::List(&Kind::Pointer),
            Value("[]"),
            "JSON pointers into the reply that the application needs; `surestep contract learn` measures them.",
            "[/choices/0/message/content]",
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
    ],
};

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
            Kind::Section(&PROVIDER),
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
            "How its calls reach the tap. `forward` is not available in this version.",
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
            "Upstream calls that one ask makes, retries aside: a guard call and then the answer are 2.",
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
            Kind::List(&Kind::Text),
            Value("[stderr]"),
            "Where its logs are: `stderr`, `stdout` or `file:PATH`.",
            "[stderr, \"file:logs/app.log\"]",
        ),
    ],
};

/// `tap: { reverse: … }`.
pub(crate) static TAP: Section = Section {
    title: "releases.*.tap",
    about: "The tap at a fixed address, for an instance whose base URL is set once and for all.",
    keys: &[key("reverse", Kind::Address, Required, "Where the tap listens.", "127.0.0.1:9001")],
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

/// `run`.
pub(crate) static RUN: Section = Section {
    title: "releases.*.run",
    about: "Exactly one of `command`, `service` and `url` says how the release runs; `ask` and `stream` say how it is asked.",
    keys: &[
        key(
            "command",
            Kind::List(&Kind::Text),
            Otherwise("`service` or `url`"),
            "One-shot: program and arguments of a process for each ask.",
            "[python3, app.py, \"{prompt}\"]",
        ),
        key(
            "prompt",
            Kind::Word(&["arg", "stdin"]),
            Value("arg"),
            "How the prompt reaches a command: by the `{prompt}` argument, or on standard input.",
            "arg",
        ),
        key(
            "answer",
            Kind::Text,
            Value("stdout"),
            "Where a command's answer is: `stdout`, or `stdout:/json/pointer` into it. Exit code 0 is an answer, anything else a refusal.",
            "stdout:/answer",
        ),
        key(
            "service",
            Kind::List(&Kind::Text),
            Otherwise("`command` or `url`"),
            "Long-running: program and arguments of a process that surestep starts.",
            "[node, server.js]",
        ),
        key(
            "env_port",
            Kind::Text,
            Otherwise("`{port}` in the command"),
            "The variable that takes the port on which the service must listen.",
            "PORT",
        ),
        key(
            "ready",
            Kind::Text,
            Otherwise("a TCP connection is enough"),
            "The path that answers 2xx once the service is ready.",
            "/healthz",
        ),
        key(
            "ready_within",
            Kind::Duration,
            Value("30s"),
            "How long the service may take to get ready.",
            "30s",
        ),
        key(
            "url",
            Kind::Text,
            Otherwise("`command` or `service`"),
            "The root of an instance that runs already. Its base URL must be the tap's: give `tap` a fixed address.",
            "https://canary.internal",
        ),
        key(
            "ask",
            Kind::Either(&[Kind::Section(&ASK), Kind::Section(&GATEWAY)]),
            Otherwise("only streams are asked"),
            "How a service or instance is asked (unary).",
            "{ post: /ask, json: { question: \"{prompt}\" }, answer: /answer }",
        ),
        key(
            "stream",
            Kind::Either(&[Kind::Section(&STREAM), Kind::Section(&COMMAND_STREAM)]),
            Otherwise("only unary asks"),
            "How a stream is asked for.",
            "{ command: [python3, app.py, --stream, \"{prompt}\"] }",
        ),
    ],
};

/// `run.stream` of a command.
pub(crate) static COMMAND_STREAM: Section = Section {
    title: "releases.*.run.stream of a command",
    about: "The command for stream asks; `prompt` and `answer` are taken from `run` where they are left out.",
    keys: &[
        key(
            "command",
            Kind::List(&Kind::Text),
            Required,
            "Program and arguments.",
            "[python3, app.py, --stream, \"{prompt}\"]",
        ),
        key(
            "prompt",
            Kind::Word(&["arg", "stdin"]),
            Otherwise("as in `run`"),
            "How the prompt gets in.",
            "stdin",
        ),
        key("answer", Kind::Text, Otherwise("as in `run`"), "Where the answer is.", "stdout"),
    ],
};

/// `run.ask`.
pub(crate) static ASK: Section = Section {
    title: "releases.*.run.ask",
    about: "The service's own endpoint. Refused is a status of 400 and up, or no answer.",
    keys: &[
        key("post", Kind::Text, Required, "The path to POST to.", "/ask"),
        key(
            "json",
            Kind::Json,
            Required,
            "The JSON body, with `{prompt}` in one of its strings.",
            "{ question: \"{prompt}\" }",
        ),
        key(
            "headers",
            Kind::Map(&Kind::Text),
            Value("{}"),
            "Extra request headers. Never secrets.",
            "{ X-Tenant: smoke }",
        ),
        key(
            "answer",
            Kind::Text,
            Required,
            "Where the answer is: a JSON pointer into the response, or `text` for all of it.",
            "/answer",
        ),
        key(
            "refused",
            Kind::Section(&REFUSED),
            Otherwise("status 400 and up, or no answer"),
            "How the application says that it refused, when it says so with a status below 400.",
            "{ pointer: /ok, equals: false }",
        ),
    ],
};

/// `run.stream` of a service.
pub(crate) static STREAM: Section = Section {
    title: "releases.*.run.stream of a service",
    about: "The service's streaming endpoint.",
    keys: &[
        key("post", Kind::Text, Required, "The path to POST to.", "/ask/stream"),
        key(
            "json",
            Kind::Json,
            Required,
            "The JSON body, with `{prompt}` in one of its strings.",
            "{ question: \"{prompt}\" }",
        ),
        key(
            "headers",
            Kind::Map(&Kind::Text),
            Value("{}"),
            "Extra request headers. Never secrets.",
            "{ X-Tenant: smoke }",
        ),
        key(
            "answer",
            Kind::Text,
            Required,
            "Where the answer is: `sse:/json/pointer` into each event, `sse` for each event's data as it is, or `text` for a plain chunked stream.",
            "sse:/delta",
        ),
        key(
            "done",
            Kind::Text,
            Otherwise("the end of the response"),
            "How the end is said: `sse:/json/pointer` to something other than false and null, `event:NAME`, or `data:TEXT`.",
            "sse:/done",
        ),
        key(
            "refused",
            Kind::Either(&[Kind::Text, Kind::Section(&REFUSED)]),
            Otherwise("status 400 and up, or no answer"),
            "How a refusal is said in the stream: as `done`, or as a value at a pointer.",
            "event:error",
        ),
    ],
};

/// `refused: { … }`.
pub(crate) static REFUSED: Section = Section {
    title: "refused",
    about: "A value in the response that says that the application refused.",
    keys: &[
        key("pointer", Kind::Pointer, Required, "Where it stands.", "/ok"),
        key("equals", Kind::Json, Required, "The value.", "false"),
    ],
};

/// `run.ask` of a gateway.
pub(crate) static GATEWAY: Section = Section {
    title: "releases.*.run.ask of a gateway",
    about: "The release is itself an OpenAI-compatible gateway; both modes are asked in the provider's own way.",
    keys: &[
        key("openai", Kind::Text, Required, "The path under which its API lies.", "/v1"),
        key(
            "key",
            Kind::Secret,
            Otherwise("no credential is sent"),
            "The credential that the gateway asks of its users.",
            "env:GATEWAY_KEY",
        ),
        key("model", Kind::Text, Required, "The model that its users name.", "chat-primary"),
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

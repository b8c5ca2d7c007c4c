//! The keys of `run`: how a release is started and asked.

use super::Absent::{Otherwise, Required, Value};
use super::{Kind, Section, key};

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
            "How the prompt reaches a command: by `{prompt}` in an argument or in `env`, or on standard input.",
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
            Otherwise("`{port}` in the command or in `env`"),
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
            "Extra request headers; `{secret:NAME}` stands for one of the release's `secrets`.",
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
            "Extra request headers; `{secret:NAME}` stands for one of the release's `secrets`.",
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

//! `run`: how a release is started and asked.

use std::time::Duration;

use drill::settings::{
    AnswerAt, AskMapping, CommandRun, EventMark, HttpAsk, OneShot, PromptBy, RefusedBy, Run,
    ServiceRun,
};

use super::problem::Problem;
use super::reader::{Fields, Reader};
use super::release::HandedByEnv;
use super::secret::ControlKey;
use super::tree::{Node, Value};
use super::{keys, masking, scalar};

const READY_WITHIN: Duration = Duration::from_secs(30);

/// What may stand beside each form.
const COMMAND_KEYS: [&str; 4] = ["command", "prompt", "answer", "stream"];
const SERVICE_KEYS: [&str; 6] = ["service", "env_port", "ready", "ready_within", "ask", "stream"];
const URL_KEYS: [&str; 3] = ["url", "ask", "stream"];

impl Reader<'_> {
    /// Reads how a release runs.
    pub(super) fn run(&mut self, fields: &Fields<'_>, env: HandedByEnv) -> Option<Run> {
        let forms: Vec<&str> = ["command", "service", "url"]
            .into_iter()
            .filter(|name| fields.get(name).is_some())
            .collect();
        match forms.as_slice() {
            ["command"] => self.command_run(fields, env),
            ["service"] => self.service_run(fields, env),
            ["url"] => self.url_run(fields),
            [] if streams_by_command(fields) => self.command_run(fields, env),
            [] => {
                let span = fields.at.clone();
                let message = format!("`{}` says nothing of how the release runs", fields.path);
                self.report(Problem::new(span, message).help(
                    "add `command` (a process for each ask), `service` (started by surestep) or `url` (runs already)",
                ));
                None
            }
            [first, others @ ..] => {
                for other in others {
                    let message = format!(
                        "`{}` and `{}` exclude each other",
                        fields.path(first),
                        fields.path(other)
                    );
                    self.report(
                        Problem::new(fields.span(other), message).help("keep one of the two"),
                    );
                }
                None
            }
        }
    }

    fn refuse_others(&mut self, fields: &Fields<'_>, form: &str, allowed: &[&str]) {
        for key in keys::RUN.keys {
            if fields.get(key.name).is_some() && !allowed.contains(&key.name) {
                let message = format!("`{}` does not go with `{form}`", fields.path(key.name));
                let help = format!("with `{form}` there are: {}", allowed.join(", "));
                self.report(Problem::new(fields.span(key.name), message).help(help));
            }
        }
    }

    fn command_run(&mut self, fields: &Fields<'_>, env: HandedByEnv) -> Option<Run> {
        self.refuse_others(fields, "command", &COMMAND_KEYS);
        let prompt = self.prompt(fields).unwrap_or(PromptBy::Argument);
        let answer = self.command_answer(fields).unwrap_or_default();
        let unary = match fields.get("command") {
            Some(_) => Some(self.one_shot(fields, prompt, answer.clone(), env)?),
            None => None,
        };
        let stream = match fields.get("stream") {
            Some(node) => {
                let stream = self.open(node, &keys::COMMAND_STREAM, fields.path("stream"))?;
                let prompt = self.prompt(&stream).unwrap_or(prompt);
                let answer = self.command_answer(&stream).unwrap_or(answer);
                Some(self.one_shot(&stream, prompt, answer, env)?)
            }
            None => None,
        };
        Some(Run::Command(CommandRun { unary, stream }))
    }

    fn prompt(&mut self, fields: &Fields<'_>) -> Option<PromptBy> {
        self.word(fields, "prompt").map(|word| match word {
            "stdin" => PromptBy::StandardInput,
            _ => PromptBy::Argument,
        })
    }

    /// Returns the pointer of `stdout:/pointer`, or for `stdout` that there is none.
    #[expect(clippy::option_option, reason = "absent, present without a pointer, present with one")]
    fn command_answer(&mut self, fields: &Fields<'_>) -> Option<Option<String>> {
        self.checked(fields, "answer", |text| match (text, text.strip_prefix("stdout:")) {
            ("stdout", _) => Ok(None),
            (_, Some(pointer)) => scalar::pointer(pointer).map(Some),
            _ => Err((
                format!("`{text}` is no place in a command's output"),
                "write stdout or stdout:/json/pointer".to_owned(),
            )),
        })
    }

    fn one_shot(
        &mut self,
        fields: &Fields<'_>,
        prompt: PromptBy,
        answer: Option<String>,
        env: HandedByEnv,
    ) -> Option<OneShot> {
        let command = self.command(fields, "command")?;
        let has_prompt = command.iter().any(|word| word.contains("{prompt}"));
        let path = fields.path("command");
        match prompt {
            PromptBy::Argument if !has_prompt && !env.prompt => {
                self.report(
                    Problem::new(
                        fields.span("command"),
                        format!("`{path}` does not hand over the prompt"),
                    )
                    .help("add \"{prompt}\" as an argument or to `env`, or write `prompt: stdin`"),
                );
                return None;
            }
            PromptBy::StandardInput if has_prompt => {
                self.report(
                    Problem::new(
                        fields.span("command"),
                        format!(
                            "`{path}` takes {{prompt}}, but the prompt comes on standard input"
                        ),
                    )
                    .help("remove the argument, or write `prompt: arg`"),
                );
                return None;
            }
            PromptBy::Argument | PromptBy::StandardInput => {}
        }
        if command.iter().any(|word| word.contains("{key}")) {
            self.warn(
                Problem::new(
                    fields.span("command"),
                    format!("`{path}` shows the credential to every user of the machine"),
                )
                .help("hand it over by `secrets`; arguments can be read by others"),
            );
        }
        Some(OneShot { command, prompt, answer_pointer: answer })
    }

    fn service_run(&mut self, fields: &Fields<'_>, env: HandedByEnv) -> Option<Run> {
        self.refuse_others(fields, "service", &SERVICE_KEYS);
        let command = self.command(fields, "service");
        let env_port = self.text(fields, "env_port");
        let ready = self.checked(fields, "ready", scalar::http_path);
        let ready_within = self.duration(fields, "ready_within").unwrap_or(READY_WITHIN);
        let ask = self.http_ask(fields);
        let command = command?;
        let takes_port = command.iter().any(|word| word.contains("{port}"));
        if fields.get("env_port").is_none() && !takes_port && !env.port {
            self.report(
                Problem::new(fields.span("service"), format!("nothing tells `{}` on which port to listen", fields.path("service")))
                    .help("add `env_port: PORT` (the variable that takes it), or \"{port}\" to the command or to `env`"),
            );
            return None;
        }
        if env_port.as_deref().is_some_and(|name| !super::substitution::is_variable_name(name)) {
            self.report(
                Problem::new(
                    fields.span("env_port"),
                    format!(
                        "`{}` is not the name of an environment variable",
                        fields.path("env_port")
                    ),
                )
                .help("write the name only: PORT"),
            );
            return None;
        }
        if let Some(word) = command.iter().find(|word| word.contains("{prompt}")) {
            self.report(
                Problem::new(
                    fields.span("service"),
                    format!("`{word}`: a service is started before there is a prompt"),
                )
                .help("a process for each ask is `command`; a service gets its prompts by `ask`"),
            );
            return None;
        }
        Some(Run::Service(ServiceRun { command, env_port, ready, ready_within, ask: ask? }))
    }

    fn url_run(&mut self, fields: &Fields<'_>) -> Option<Run> {
        self.refuse_others(fields, "url", &URL_KEYS);
        let url = self.checked(fields, "url", scalar::http_url);
        let ask = self.http_ask(fields);
        Some(Run::Url { url: url?, ask: ask? })
    }

    fn http_ask(&mut self, fields: &Fields<'_>) -> Option<HttpAsk> {
        let gateway = fields.get("ask").filter(|node| node.has_key("openai"));
        if let Some(node) = gateway {
            if fields.get("stream").is_some() {
                self.report(
                    Problem::new(
                        fields.span("stream"),
                        format!("`{}` has no place beside a gateway", fields.path("stream")),
                    )
                    .help("`ask: { openai: … }` covers both modes: remove `stream`"),
                );
            }
            return self.gateway(node, fields.path("ask"));
        }
        if fields.get("ask").is_none() && fields.get("stream").is_none() {
            self.report(
                Problem::new(fields.at.clone(), format!("`{}` does not say how to ask", fields.path)).help(
                    "add `ask: { post: /ask, json: { question: \"{prompt}\" }, answer: /answer }`, or `stream`",
                ),
            );
            return None;
        }
        let unary = match fields.get("ask") {
            Some(node) => {
                let ask = self.open(node, &keys::ASK, fields.path("ask"));
                Some(ask.and_then(|ask| self.mapping(&ask, unary_answer)))
            }
            None => None,
        };
        let stream = match fields.get("stream") {
            Some(node) => {
                let stream = self.open(node, &keys::STREAM, fields.path("stream"));
                Some(stream.and_then(|stream| self.stream_mapping(&stream)))
            }
            None => None,
        };
        // `Some(None)` is one that has problems: they are on record.
        let (unary, stream) = (
            unary.map_or(Some(None), |one| one.map(Some))?,
            stream.map_or(Some(None), |one| one.map(Some))?,
        );
        Some(HttpAsk::Mapped { unary, stream })
    }

    fn gateway(&mut self, node: &Node, path: String) -> Option<HttpAsk> {
        let fields = self.open(node, &keys::GATEWAY, path)?;
        let openai = self.checked(&fields, "openai", scalar::http_path);
        let model = self.text(&fields, "model");
        let key = match fields.get("key") {
            Some(node) => Some(self.secret(node, &fields.path("key"), ControlKey::Allowed)?),
            None => None,
        };
        let path = openai?.trim_end_matches('/').to_owned();
        Some(HttpAsk::Openai { path, key, model: model? })
    }

    fn stream_mapping(&mut self, fields: &Fields<'_>) -> Option<AskMapping> {
        let done = match fields.get("done") {
            Some(_) => Some(self.checked(fields, "done", event_mark)?),
            None => None,
        };
        let mapping = self.mapping(fields, stream_answer)?;
        if mapping.answer == AnswerAt::Text && done.is_some() {
            let message = format!(
                "`{}` has no place beside `answer: text`: a plain stream has no events",
                fields.path("done")
            );
            self.report(Problem::new(fields.span("done"), message).help("remove it"));
            return None;
        }
        Some(AskMapping { done, ..mapping })
    }

    fn mapping(
        &mut self,
        fields: &Fields<'_>,
        read_answer: fn(&str) -> Result<AnswerAt, scalar::Refusal>,
    ) -> Option<AskMapping> {
        let path = self.checked(fields, "post", scalar::http_path);
        let json = match fields.get("json") {
            Some(node) => self.body(fields, node),
            None => None,
        };
        for entry in self.free_entries(fields, "headers") {
            let Value::Scalar { text, .. } = &entry.value.value else { continue };
            let path = format!("{}.{}", fields.path("headers"), entry.key);
            if masking::looks_like_credential(text)
                || (masking::names_credential(&entry.key) && masking::fills_credential(text))
            {
                self.hide(entry.value.span.clone());
                self.report(
                    Problem::new(entry.value.span.clone(), format!("`{path}` holds what looks like a credential"))
                        .help("a configuration never holds secrets: add it to the release's `secrets`, and write {secret:NAME} here"),
                );
            }
            let name_is_fine = http::HeaderName::from_bytes(entry.key.as_bytes()).is_ok();
            if !name_is_fine || http::HeaderValue::from_str(text).is_err() {
                let message = format!("`{path}` is not a header that HTTP can carry");
                self.report(Problem::new(entry.key_span.clone(), message));
            }
        }
        let headers = self.text_map(fields, "headers");
        let answer = self.checked(fields, "answer", read_answer);
        let refused = match fields.get("refused") {
            Some(node) => Some(self.refused(fields, node)?),
            None => None,
        };
        Some(AskMapping { path: path?, json: json?, headers, answer: answer?, done: None, refused })
    }

    fn body(&mut self, fields: &Fields<'_>, node: &Node) -> Option<serde_json::Value> {
        let path = fields.path("json");
        let json = self.json(node, &path)?;
        if !json.to_string().contains("{prompt}") {
            self.report(
                Problem::new(node.at.clone(), format!("`{path}` does not hand over the prompt"))
                    .help("put {prompt} into one of its strings: { question: \"{prompt}\" }"),
            );
            return None;
        }
        Some(json)
    }

    fn refused(&mut self, fields: &Fields<'_>, node: &Node) -> Option<RefusedBy> {
        if matches!(node.value, Value::Map { .. }) {
            let refused = self.open(node, &keys::REFUSED, fields.path("refused"))?;
            let pointer = self.checked(&refused, "pointer", scalar::pointer);
            let equals = match refused.get("equals") {
                Some(node) => self.json(node, &refused.path("equals")),
                None => None,
            };
            return Some(RefusedBy::Value { pointer: pointer?, equals: equals? });
        }
        if fields.get("post").is_some() && !fields.accepts("done") {
            self.expected(
                node,
                &fields.path("refused"),
                "a mapping",
                Some(
                    "write { pointer: /ok, equals: false }: a unary response has no events"
                        .to_owned(),
                ),
            );
            return None;
        }
        self.checked(fields, "refused", event_mark).map(RefusedBy::Event)
    }

    /// Turns a value into JSON: plain words by YAML's core schema, with variables put in.
    fn json(&mut self, node: &Node, path: &str) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        match &node.value {
            Value::Scalar { .. } if node.is_null() => Some(Json::Null),
            Value::Scalar { plain, .. } => {
                let text = self.text_of(node, path)?;
                self.refuse_credential(node, path, &text);
                let typed = plain.then(|| serde_json::from_str::<Json>(&text).ok()).flatten();
                Some(
                    typed
                        .filter(|json| json.is_number() || json.is_boolean())
                        .unwrap_or(Json::String(text)),
                )
            }
            Value::List(items) => items.iter().map(|item| self.json(item, path)).collect(),
            Value::Map { entries, .. } => {
                let mut map = serde_json::Map::new();
                for entry in entries {
                    // `{prompt}` without quotes.
                    if entries.len() == 1 && entry.value.is_null() && entry.key == "prompt" {
                        self.expected(node, path, "a body with \"{prompt}\" in a string", None);
                        return None;
                    }
                    map.insert(entry.key.clone(), self.json(&entry.value, path)?);
                }
                Some(Json::Object(map))
            }
        }
    }
}

fn streams_by_command(fields: &Fields<'_>) -> bool {
    fields.get("stream").is_some_and(|node| node.has_key("command"))
}

fn unary_answer(text: &str) -> Result<AnswerAt, scalar::Refusal> {
    if text == "text" {
        return Ok(AnswerAt::Text);
    }
    if text.starts_with("sse") {
        return Err((
            format!("`{text}` is a place in events, and a unary response has none"),
            "write a JSON pointer such as /answer, or text".to_owned(),
        ));
    }
    scalar::pointer(text).map(AnswerAt::Pointer)
}

fn stream_answer(text: &str) -> Result<AnswerAt, scalar::Refusal> {
    match (text, text.strip_prefix("sse:")) {
        ("text", _) => Ok(AnswerAt::Text),
        ("sse", _) => Ok(AnswerAt::EventData),
        (_, Some(pointer)) => scalar::pointer(pointer).map(AnswerAt::EventPointer),
        (_, None) => {
            let help = if text.starts_with('/') {
                format!("did you mean sse:{text}?")
            } else {
                "write sse:/json/pointer, sse or text".to_owned()
            };
            Err((format!("`{text}` is no place in a stream"), help))
        }
    }
}

fn event_mark(text: &str) -> Result<EventMark, scalar::Refusal> {
    let form = text.split_once(':').filter(|(_, rest)| !rest.is_empty());
    match form {
        Some(("sse", pointer)) => scalar::pointer(pointer).map(EventMark::Pointer),
        Some(("event", name)) => Ok(EventMark::Name(name.to_owned())),
        Some(("data", data)) => Ok(EventMark::Data(data.to_owned())),
        Some(_) | None => Err((
            format!("`{text}` is no mark in an event stream"),
            "write sse:/json/pointer, event:NAME or data:TEXT".to_owned(),
        )),
    }
}

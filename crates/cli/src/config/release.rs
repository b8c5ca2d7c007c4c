//! `releases`: one version of the service each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use drill::settings::{
    Forward, HttpAsk, Provider, Release, RetryPolicy, Run, SecretSource, TapMode,
};

use super::problem::Problem;
use super::reader::{Fields, Reader};
use super::secret::ControlKey;
use super::substitution::is_variable_name;
use super::tree::{Node, Value};
use super::{keys, masking};

const DEADLINE: Duration = Duration::from_secs(30);
const RETRY: RetryPolicy =
    RetryPolicy { max_attempts: 3, max_elapsed: Duration::from_secs(20), is_declared: false };

/// What the values of `env` hand over, so that the command need not.
#[derive(Clone, Copy, Debug)]
pub(super) struct HandedByEnv {
    pub(super) prompt: bool,
    pub(super) port: bool,
}

impl HandedByEnv {
    fn of(env: Option<&Node>) -> Self {
        let Some(Node { value: Value::Map { entries, .. }, .. }) = env else {
            return Self { prompt: false, port: false };
        };
        let hands = |placeholder: &str| {
            entries.iter().any(|entry| match &entry.value.value {
                Value::Scalar { text, .. } => text.contains(placeholder),
                Value::List(_) | Value::Map { .. } => false,
            })
        };
        Self { prompt: hands("{prompt}"), port: hands("{port}") }
    }
}

impl Reader<'_> {
    /// Reads a release. `above`: the top level's provider, if that could be read.
    pub(super) fn release(
        &mut self,
        fields: &Fields<'_>,
        above: Option<&Provider>,
    ) -> Option<Release> {
        let version = self.text(fields, "version");
        let image = self.text(fields, "image");
        let directory = self.directory(fields);
        let run = match self.section(fields, "run") {
            Some(run) => self.run(&run, HandedByEnv::of(fields.get("env"))),
            None => None,
        };
        let provider = match self.section(fields, "provider") {
            Some(own) => self.provider(&own, above),
            None => None,
        };
        let model = self.text(fields, "model");
        let env = self.release_env(fields);
        let secrets = self.release_secrets(fields, &env);
        let inherit = self.inherit(fields, &env, &secrets);
        let tap = self.tap(fields);
        if let Some(TapMode::Forward(_)) = &tap {
            self.look_at_forward(fields, &env, &secrets, &inherit, provider.as_ref().or(above));
        }
        let deadline = self.duration(fields, "deadline").unwrap_or(DEADLINE);
        let retry = self.retry(fields);
        let calls_per_ask = self.integer(fields, "calls_per_ask").unwrap_or(1);
        let models = self.texts(fields, "models").unwrap_or_default();
        let fallback_models = self.texts(fields, "fallback_models").unwrap_or_default();
        let (logs, log_fields) = self.logs(fields, &directory, run.as_ref());
        if let Some(run) = &run {
            self.look_at_asked_secrets(fields, run, &secrets);
            self.look_at_unused(fields, run);
            self.require_tap(fields, run, &env, tap.as_ref());
        }
        if retry.max_attempts > 1 && retry.max_elapsed > deadline {
            let at =
                fields.get("retry").or_else(|| fields.get("deadline")).map(|node| node.at.clone());
            self.warn(
                Problem::new(
                    at.unwrap_or_else(|| fields.at.clone()),
                    format!("`{}` ends before the retries may", fields.path("deadline")),
                )
                .help("give `retry.max_elapsed` less time than `deadline`"),
            );
        }
        Some(Release {
            version: version?,
            image,
            run: run?,
            provider,
            model,
            directory,
            env,
            secrets,
            inherit,
            tap: tap?,
            deadline,
            retry,
            calls_per_ask,
            models,
            fallback_models,
            logs,
            log_fields,
        })
    }

    fn directory(&mut self, fields: &Fields<'_>) -> PathBuf {
        match (fields.get("directory"), self.file(fields, "directory")) {
            (Some(node), Some(path)) => {
                self.require_folder(&path, node, &fields.path("directory"));
                path
            }
            _ => self.base.clone(),
        }
    }

    fn release_env(&mut self, fields: &Fields<'_>) -> BTreeMap<String, String> {
        for entry in self.free_entries(fields, "env") {
            let path = format!("{}.{}", fields.path("env"), entry.key);
            self.require_variable_name(&entry.key, &entry.key_span, &path);
            let Value::Scalar { text, .. } = &entry.value.value else { continue };
            self.look_at_placeholders(&entry.value, text);
            let (substituted, _) = super::substitution::substitute(text, self.environment);
            if masking::looks_like_credential(&substituted) {
                self.refuse_credential(&entry.value, &path, &substituted);
            } else if masking::names_credential(&entry.key)
                && masking::fills_credential(&substituted)
            {
                self.hide(entry.value.span.clone());
                self.report(
                    Problem::new(
                        entry.value.span.clone(),
                        format!("`{path}` holds what its name calls a credential"),
                    )
                    .help(format!(
                        "move it to `secrets`: {}: env:NAME, file:PATH or command:[…]",
                        entry.key
                    )),
                );
            }
        }
        self.text_map(fields, "env")
    }

    fn release_secrets(
        &mut self,
        fields: &Fields<'_>,
        env: &BTreeMap<String, String>,
    ) -> BTreeMap<String, SecretSource> {
        let mut secrets = BTreeMap::new();
        for entry in self.free_entries(fields, "secrets") {
            let path = format!("{}.{}", fields.path("secrets"), entry.key);
            self.require_variable_name(&entry.key, &entry.key_span, &path);
            if env.contains_key(&entry.key) {
                let message = format!("`{}` is set in `env` and in `secrets`", entry.key);
                self.report(
                    Problem::new(entry.key_span.clone(), message).help("remove one of the two"),
                );
            }
            if let Some(source) = self.secret(&entry.value, &path, ControlKey::Allowed) {
                secrets.insert(entry.key.clone(), source);
            }
        }
        secrets
    }

    fn require_variable_name(&mut self, name: &str, span: &std::ops::Range<usize>, path: &str) {
        if !is_variable_name(name) {
            self.report(
                Problem::new(
                    span.clone(),
                    format!("`{path}`: not the name of an environment variable"),
                )
                .help("use letters, digits and underscores"),
            );
        }
    }

    fn inherit(
        &mut self,
        fields: &Fields<'_>,
        env: &BTreeMap<String, String>,
        secrets: &BTreeMap<String, SecretSource>,
    ) -> Vec<String> {
        let names = self.texts(fields, "inherit").unwrap_or_default();
        for name in &names {
            let span = fields.get("inherit").map_or(fields.at.clone(), |node| node.span.clone());
            if !is_variable_name(name) {
                let message = format!(
                    "`{}`: `{name}` is not the name of an environment variable",
                    fields.path("inherit")
                );
                self.report(Problem::new(span, message).help("write names only, without values"));
            } else if env.contains_key(name) || secrets.contains_key(name) {
                let message = format!("`{name}` is inherited and set: what is set wins");
                self.warn(Problem::new(span, message).help("remove it from `inherit`"));
            } else if masking::names_credential(name) {
                let message = format!(
                    "`{}` takes over `{name}`, which is named like a credential",
                    fields.path("inherit")
                );
                self.warn(
                    Problem::new(span, message)
                        .help(format!("write `secrets: {{ {name}: \"env:{name}\" }}`: then its value is kept out of everything written")),
                );
            }
        }
        names
    }

    fn tap(&mut self, fields: &Fields<'_>) -> Option<TapMode> {
        let runs_by = |form| {
            let has = |name| fields.get("run").is_some_and(|run| run.has_key(name));
            has(form)
                && ["command", "service", "url"].into_iter().filter(|name| has(name)).count() == 1
        };
        let path = fields.path("tap");
        let help = "this instance's base URL is set once and for all: write `tap: { reverse: 127.0.0.1:9001 }` and point it there";
        let Some(node) = fields.get("tap") else {
            if runs_by("url") {
                let message = format!(
                    "`{path}` is missing: nothing leads the calls of a running instance to the tap"
                );
                self.report(Problem::new(fields.at.clone(), message).help(help));
            }
            return Some(TapMode::Reverse { listen: None });
        };
        if let Value::Map { .. } = &node.value {
            let tap = self.open(node, &keys::TAP, path.clone())?;
            return match (tap.get("reverse"), tap.get("forward")) {
                (Some(_), None) => {
                    let listen = self.address(&tap, "reverse")?;
                    if runs_by("command") {
                        self.report(
                            Problem::new(node.at.clone(), format!("`{path}`: a fixed address is for `service` and `url`"))
                                .help("write `tap: reverse`: each process of a command gets a listener of its own"),
                        );
                        return None;
                    }
                    Some(TapMode::Reverse { listen: Some(listen) })
                }
                (None, Some(at)) => {
                    let rules = self.section(&tap, "forward")?;
                    self.forward(&rules, &path, at, runs_by("url"))
                }
                (Some(_), Some(_)) => {
                    let message =
                        format!("`{path}.forward` and `{path}.reverse` exclude each other");
                    self.report(Problem::new(node.at.clone(), message).help("keep one of them"));
                    None
                }
                (None, None) => {
                    let message = format!("`{path}` says neither `reverse` nor `forward`");
                    self.report(Problem::new(node.at.clone(), message).help(help));
                    None
                }
            };
        }
        match self.word_of(node, &path, &["reverse", "forward"])? {
            "forward" => self.forward_at(node, &path, Forward::default(), runs_by("url")),
            _ if runs_by("url") => {
                let message =
                    format!("`{path}: reverse` gives no address to an instance that runs already");
                self.report(Problem::new(node.span.clone(), message).help(help));
                None
            }
            _ => Some(TapMode::Reverse { listen: None }),
        }
    }

    /// A release that surestep starts must learn where the tap is.
    fn require_tap(
        &mut self,
        fields: &Fields<'_>,
        run: &Run,
        env: &BTreeMap<String, String>,
        tap: Option<&TapMode>,
    ) {
        let commands: Vec<&[String]> = match run {
            Run::Url { .. } => return,
            Run::Service(service) => vec![&service.command],
            Run::Command(command) => [&command.unary, &command.stream]
                .into_iter()
                .flatten()
                .map(|one| &*one.command)
                .collect(),
        };
        // A fixed address can be known to the release without being handed over.
        if tap != Some(&TapMode::Reverse { listen: None })
            || env.values().any(|value| value.contains("{tap}"))
        {
            return;
        }
        if commands.iter().any(|words| !words.iter().any(|word| word.contains("{tap}"))) {
            // No problem: the release may know a fixed address otherwise, and a call that does not arrive holds in any case.
            let message =
                format!("nothing hands {{tap}} to `{}`: its calls would not be seen", fields.path);
            self.warn(
                Problem::new(fields.at.clone(), message)
                    .help("set the variable from which the release takes its base URL, for example `env: { OPENAI_BASE_URL: \"{tap}\" }`"),
            );
        }
    }

    fn retry(&mut self, fields: &Fields<'_>) -> RetryPolicy {
        let Some(retry) = self.section(fields, "retry") else { return RETRY };
        RetryPolicy {
            max_attempts: self.integer(&retry, "max_attempts").unwrap_or(RETRY.max_attempts),
            max_elapsed: self.duration(&retry, "max_elapsed").unwrap_or(RETRY.max_elapsed),
            is_declared: true,
        }
    }

    /// A secret that asks carry has to be one of the release's.
    fn look_at_asked_secrets(
        &mut self,
        fields: &Fields<'_>,
        run: &Run,
        secrets: &BTreeMap<String, SecretSource>,
    ) {
        for name in asked_secrets(run).into_iter().filter(|name| !secrets.contains_key(name)) {
            let message = format!("`{{secret:{name}}}` is none of `{}`", fields.path("secrets"));
            self.report(
                Problem::new(fields.span("run"), message).help(format!(
                    "add `secrets: {{ {name}: \"env:{name}\" }}`, or correct the name"
                )),
            );
        }
    }

    /// An instance that runs already takes nothing from here but the secrets that it is asked with.
    fn look_at_unused(&mut self, fields: &Fields<'_>, run: &Run) {
        let Run::Url { ask, .. } = run else { return };
        let has_asked_secrets = !asked_secrets(run).is_empty();
        for name in ["directory", "env", "secrets", "inherit"] {
            if fields.get(name).is_some() && !(name == "secrets" && has_asked_secrets) {
                let message = format!(
                    "`{}` has no effect: surestep does not start this instance",
                    fields.path(name)
                );
                self.warn(Problem::new(fields.span(name), message).help("remove it"));
            }
        }
        if let HttpAsk::Openai { key: Some(SecretSource::Control), .. } = ask {
            let message = format!(
                "`{}` hands the provider's credential to an instance elsewhere",
                fields.path("run.ask.key")
            );
            self.warn(
                Problem::new(fields.at.clone(), message).help("give the gateway's own credential"),
            );
        }
    }
}

/// Returns the names of the secrets that the asks of a release carry, each once.
fn asked_secrets(run: &Run) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Some(HttpAsk::Mapped { unary, stream }) = run.http_ask() {
        for mapping in [unary, stream].into_iter().flatten() {
            for text in mapping.headers.values().chain([&mapping.json.to_string()]) {
                let named = text.split("{secret:").skip(1).filter_map(|rest| rest.split_once('}'));
                names.extend(named.map(|(name, _)| name.to_owned()));
            }
        }
    }
    names
}

//! Resolved settings: what `surestep.yaml`, the environment and the flags amount to. No "unset" state is left.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use contract::{Mode, Profile, Surface};
use judge::Role;
use judge::drift::SettingChange;
use judge::logs::LogFields;
use judge::reviews::Review;

/// Everything a run needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The service's name.
    pub service: String,
    /// The environment's name.
    pub environment: String,
    /// The folder of the configuration file: relative paths start there.
    pub base: PathBuf,
    /// The provider that both releases talk to, unless one names its own.
    pub provider: Provider,
    /// The model setting that the releases must put on the wire.
    pub model: String,
    /// Contract reviews and the fields that the application needs.
    pub contract: ContractSettings,
    /// The release about to get traffic.
    pub new: Release,
    /// The release to return to.
    pub rollback: Release,
    /// Where user traffic goes.
    pub route: Route,
    /// The gates.
    pub gates: Gates,
    /// The ledger's place.
    pub ledger: LedgerUrl,
}

impl Settings {
    /// Returns the release of a role.
    pub fn release(&self, role: Role) -> &Release {
        match role {
            Role::New => &self.new,
            Role::Rollback => &self.rollback,
        }
    }

    /// Returns the provider that a release talks to.
    pub fn provider_of(&self, role: Role) -> &Provider {
        self.release(role).provider.as_ref().unwrap_or(&self.provider)
    }

    /// Returns the model setting that a release must put on the wire.
    pub fn model_of(&self, role: Role) -> &str {
        self.release(role).model.as_deref().unwrap_or(&self.model)
    }
}

/// An LLM API.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name, as in `service_path`.
    pub name: String,
    /// Its documented deviations.
    pub profile: Profile,
    /// Where it is.
    pub endpoint: ProviderEndpoint,
    /// The endpoint family that the service uses.
    pub surface: Surface,
    /// The modes that production uses, without doubles.
    pub modes: Vec<Mode>,
    /// The control's credential.
    pub key: SecretSource,
    /// Ceiling on calls that reach the provider in one run.
    pub live_calls: u32,
    /// Where the host of the base URL is really reached (`host:port`).
    pub connect_to: Option<String>,
    /// A PEM file with extra trust for it.
    pub ca: Option<PathBuf>,
    /// An egress proxy's URL.
    pub proxy: Option<String>,
}

/// Where a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderEndpoint {
    /// At this URL, which ends in `/v1` as documented, without a trailing slash.
    Url(String),
    /// surestep's own simulated provider, started for the run (`name: simulated` without `base_url`).
    Simulated,
}

/// The simulated provider's base URL as releases see it whose proxy is the tap: clients go past proxies for loopback.
pub const SIMULATED_BASE_URL: &str = "https://simulated.surestep.test/v1";

/// Where a secret comes from. Never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// An environment variable of surestep's own environment.
    Env(String),
    /// A file, absolute; exactly one final line break is left out, any further one is part of the value and reported by `doctor`.
    File(PathBuf),
    /// A command's standard output, without its one final line break.
    Command(Vec<String>),
    /// The control's own credential (`{key}`). As the key of a simulated provider: one made up for the run.
    Control,
}

impl SecretSource {
    /// Returns the name of the source, which may be written down: `env:NAME`, `file:PATH`, `command:PROGRAM`, `control`.
    pub fn name(&self) -> String {
        match self {
            Self::Env(name) => format!("env:{name}"),
            Self::File(path) => format!("file:{}", path.display()),
            Self::Command(words) => format!("command:{}", words.first().map_or("", String::as_str)),
            Self::Control => "control".to_owned(),
        }
    }
}

/// Contract reviews and the fields that the application needs.
#[derive(Clone, Debug, Default)]
pub struct ContractSettings {
    /// Who reviewed which source when.
    pub reviewed: Vec<Review>,
    /// Settings that were changed on purpose since the pair that was accepted last.
    pub changes: Vec<SettingChange>,
    /// JSON pointers into the reply that the application needs.
    pub required_fields: Vec<String>,
}

/// A version of the service under test.
#[derive(Clone, Debug)]
pub struct Release {
    /// Its version, which its logs must carry.
    pub version: String,
    /// Its image, where it has one.
    pub image: Option<String>,
    /// How it runs and is asked.
    pub run: Run,
    /// Its own provider: the promotion of a fallback.
    pub provider: Option<Provider>,
    /// Its own model setting.
    pub model: Option<String>,
    /// Where it runs; absolute.
    pub directory: PathBuf,
    /// Environment values, with placeholders.
    pub env: BTreeMap<String, String>,
    /// Environment variables that take secrets.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Names taken over from surestep's environment beside PATH, HOME, LANG, TZ, TMPDIR.
    pub inherit: Vec<String>,
    /// How its calls reach the tap.
    pub tap: TapMode,
    /// An ask without outcome by then is hung.
    pub deadline: Duration,
    /// The retry policy of one upstream call, all layers together.
    pub retry: RetryPolicy,
    /// Upstream calls that one ask makes.
    pub calls_per_ask: u32,
    /// Further models that a normal ask uses.
    pub models: Vec<String>,
    /// Declared fallbacks.
    pub fallback_models: Vec<String>,
    /// Where its logs are.
    pub logs: Vec<LogSource>,
    /// Which of their fields hold what they must carry.
    pub log_fields: LogFields,
}

/// How a release's calls reach the tap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapMode {
    /// Its base URL is the tap's. `listen`: a fixed address, for an instance that runs already.
    Reverse {
        /// A fixed address instead of a free port.
        listen: Option<SocketAddr>,
    },
    /// It keeps its base URL; the tap is its HTTPS proxy.
    Forward(Forward),
}

/// What a release may reach through the tap as its proxy, beside its provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forward {
    /// Hosts that it is known to call: names, or `*.name` for all below one.
    pub hosts: Vec<String>,
    /// What becomes of calls to any further host.
    pub others: Others,
    /// A PEM file with more trust for those hosts, absolute.
    pub ca: Option<PathBuf>,
    /// Whether it may choose HTTP/2 for calls to its provider.
    pub http2: bool,
}

/// What becomes of calls to hosts that nobody has declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// They are passed on unseen, and noted.
    #[default]
    Tunnel,
    /// They are refused, and noted.
    Refuse,
}

/// The retry policy of one upstream call, all layers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts at most, the first included.
    pub max_attempts: u32,
    /// Time from the first attempt's start to the last one's at most.
    pub max_elapsed: Duration,
    /// Whether the configuration says so itself: a release with a policy of its own is known to retry.
    pub is_declared: bool,
}

/// Where a release writes its logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSource {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// A file, absolute; `*` and `?` in it stand for any name.
    File(PathBuf),
    /// What it exports by OpenTelemetry, received by surestep.
    Otlp,
}

/// How a release runs and is asked.
#[derive(Clone, Debug)]
pub enum Run {
    /// A process for each ask.
    Command(CommandRun),
    /// A long-running process started by surestep, asked over HTTP.
    Service(ServiceRun),
    /// An instance that runs already, asked over HTTP.
    Url {
        /// Its root, without a trailing slash.
        url: String,
        /// How it is asked.
        ask: HttpAsk,
    },
}

impl Run {
    /// Returns how the release is asked over HTTP; `None` for a command.
    pub fn http_ask(&self) -> Option<&HttpAsk> {
        match self {
            Self::Command(_) => None,
            Self::Service(run) => Some(&run.ask),
            Self::Url { ask, .. } => Some(ask),
        }
    }

    /// Returns how the prompt reaches a command in a mode; `None` for what is asked over HTTP.
    pub(crate) fn prompt_by(&self, mode: Mode) -> Option<PromptBy> {
        match self {
            Self::Command(run) => run.of(mode).map(|one_shot| one_shot.prompt),
            Self::Service(_) | Self::Url { .. } => None,
        }
    }

    /// Returns what an ask goes to, as a log names it: the path of an endpoint, the file of a command.
    pub(crate) fn places(&self, mode: Mode) -> Vec<String> {
        let ask = match self {
            Self::Command(run) => {
                return run
                    .of(mode)
                    .map(|one_shot| files_of(&one_shot.command))
                    .unwrap_or_default();
            }
            Self::Service(ServiceRun { ask, .. }) | Self::Url { ask, .. } => ask,
        };
        match ask {
            HttpAsk::Mapped { unary, stream } => {
                let mapping = match mode {
                    Mode::Unary => unary,
                    Mode::Stream => stream,
                };
                mapping.iter().map(|mapping| mapping.path.clone()).collect()
            }
            // The surface's own path is known anyway.
            HttpAsk::Openai { .. } => Vec::new(),
        }
    }
}

/// Returns the words of a command that name a file of the release: `bin/ask`; and `ask.pl`, also without its folder. An
/// interpreter's name, or a program's that is a word like any other, says nothing in a log.
fn files_of(command: &[String]) -> Vec<String> {
    let mut files = Vec::new();
    for word in command.iter().filter(|word| !word.starts_with('-') && !word.contains(['{', ' '])) {
        let name = word.rsplit('/').next().unwrap_or(word);
        let is_script = name.rsplit_once('.').is_some_and(|(stem, extension)| {
            !stem.is_empty()
                && !extension.is_empty()
                && extension.bytes().all(|byte| byte.is_ascii_alphabetic())
        });
        if is_script && name != word {
            files.push(name.to_owned());
        }
        if is_script || word.contains('/') {
            files.push(word.clone());
        }
    }
    files
}

/// A one-shot command.
#[derive(Clone, Debug)]
pub struct CommandRun {
    /// Program and arguments for unary asks, with placeholders; `None` when only `stream` is given.
    pub unary: Option<OneShot>,
    /// Program and arguments for stream asks.
    pub stream: Option<OneShot>,
}

impl CommandRun {
    fn of(&self, mode: Mode) -> Option<&OneShot> {
        match mode {
            Mode::Unary => self.unary.as_ref(),
            Mode::Stream => self.stream.as_ref(),
        }
    }
}

/// One way to run a command.
#[derive(Clone, Debug)]
pub struct OneShot {
    /// Program and arguments, with placeholders.
    pub command: Vec<String>,
    /// How the prompt gets in.
    pub prompt: PromptBy,
    /// JSON pointer into standard output; `None`: all of it is the answer.
    pub answer_pointer: Option<String>,
}

/// How the prompt reaches a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptBy {
    /// By the `{prompt}` argument.
    Argument,
    /// On standard input.
    StandardInput,
}

/// A service started by surestep.
#[derive(Clone, Debug)]
pub struct ServiceRun {
    /// Program and arguments, with placeholders.
    pub command: Vec<String>,
    /// The variable that takes the port, when `{port}` is not in the command.
    pub env_port: Option<String>,
    /// The path that answers 2xx once the service is ready; `None`: a TCP connection is enough.
    pub ready: Option<String>,
    /// How long it may take to get ready.
    pub ready_within: Duration,
    /// How it is asked.
    pub ask: HttpAsk,
}

/// How a service is asked over HTTP.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are two of them in a process")]
pub enum HttpAsk {
    /// By the service's own endpoints.
    Mapped {
        /// The unary endpoint.
        unary: Option<AskMapping>,
        /// The streaming endpoint.
        stream: Option<AskMapping>,
    },
    /// The release is itself an OpenAI-compatible gateway.
    Openai {
        /// The path under which its API lies, for example `/v1`.
        path: String,
        /// The credential that the gateway asks of its users.
        key: Option<SecretSource>,
        /// The model that its users name.
        model: String,
    },
}

/// One endpoint of a service and how its answer is read.
#[derive(Clone, Debug)]
pub struct AskMapping {
    /// The path to POST to.
    pub path: String,
    /// The JSON body, with `{prompt}` somewhere in a string.
    pub json: serde_json::Value,
    /// Extra request headers.
    pub headers: BTreeMap<String, String>,
    /// Where the answer is.
    pub answer: AnswerAt,
    /// For event streams: where the end is said.
    pub done: Option<EventMark>,
    /// How the application says that it refused, beside status 400 and up.
    pub refused: Option<RefusedBy>,
}

/// Where the answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerAt {
    /// At a JSON pointer into the response.
    Pointer(String),
    /// The whole response as text.
    Text,
    /// The concatenation of what stands at a JSON pointer in each event.
    EventPointer(String),
    /// The concatenation of each event's data as it is.
    EventData,
}

/// A mark in an event stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventMark {
    /// An event whose data has something other than `false` and `null` at this JSON pointer (`sse:/done`).
    Pointer(String),
    /// An event of this name (`event:done`).
    Name(String),
    /// An event whose data is this text (`data:[DONE]`).
    Data(String),
}

/// How an application says that it refused.
#[derive(Clone, Debug, PartialEq)]
pub enum RefusedBy {
    /// This value stands at this JSON pointer.
    Value {
        /// The pointer.
        pointer: String,
        /// The value.
        equals: serde_json::Value,
    },
    /// Such an event comes.
    Event(EventMark),
}

/// Where user traffic goes.
#[derive(Clone, Debug)]
pub struct Route {
    /// What moves it.
    pub switch: SwitchKind,
    /// The user-facing address.
    pub listen: SocketAddr,
    /// The canary's share, percent, 1 to 100.
    pub step: u8,
}

/// What moves traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwitchKind {
    /// surestep's own router.
    Embedded,
}

/// The gates.
#[derive(Clone, Debug)]
pub struct Gates {
    /// Evidence counts only while younger.
    pub max_age: Duration,
    /// The gates that are required, by name; all six unless narrowed.
    pub require: Vec<String>,
    /// Whether warnings block.
    pub strict: bool,
}

/// The ledger's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerUrl {
    /// A SQLite file, absolute.
    Sqlite(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_command_are_told_from_words() {
        for (command, files) in [
            (&["perl", "ask.pl", "{prompt}"][..], &["ask.pl"][..]),
            (&["./bin/ask.sh", "--url={tap}"], &["ask.sh", "./bin/ask.sh"]),
            (&["python3.12", "-m", "support.bot", "{prompt}"], &["support.bot"]),
            (&["bin/ask", "fast", "{prompt}"], &["bin/ask"]),
            (&["ask", "--no-colour", "{prompt}"], &[]),
            (&["sh", "-c", "exec ./ask.sh \"$Q\""], &[]),
        ] {
            let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(files_of(&command), files, "{command:?}");
        }
    }

    #[test]
    fn an_ask_goes_to_the_endpoint_of_its_mode() {
        let mapping = |path: &str| AskMapping {
            path: path.to_owned(),
            json: serde_json::Value::Null,
            headers: BTreeMap::new(),
            answer: AnswerAt::Text,
            done: None,
            refused: None,
        };
        let ask = HttpAsk::Mapped { unary: Some(mapping("/ask")), stream: Some(mapping("/live")) };
        let run = Run::Url { url: "http://h".to_owned(), ask };
        assert_eq!(run.places(Mode::Unary), ["/ask"]);
        assert_eq!(run.places(Mode::Stream), ["/live"]);
        assert_eq!(run.prompt_by(Mode::Unary), None);
    }
}

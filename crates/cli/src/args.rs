//! What may be typed.

mod contract;

use std::net::SocketAddr;
use std::path::PathBuf;

use ::contract::{Mode, Surface};
use clap::{Args, Parser, Subcommand, ValueEnum};
use judge::Role;

pub(crate) use self::contract::{
    ContractCommand, DiffArgs, JudgeArgs, LearnArgs, ReviewArgs, ShowArgs,
};
use crate::config::FILE_NAME;

/// Decides whether a service that calls an LLM API may take its next small step, and proves the way back.
///
/// It runs the real new release and the real rollback release behind a tap that observes and breaks the wire on purpose,
/// rehearses the traffic switch and the way back, and decides: hold, promote_small_step or rollback. Hold is the default.
///
/// Exit codes: 0 promote_small_step (check: all probes pass; can roll-back: proven), 2 usage or configuration, 10 hold: something
/// failed, 11 hold: something is missing or ambiguous, 20 rollback: traffic had been moved and was moved back, 70 surestep itself failed.
#[derive(Debug, Parser)]
#[command(name = "surestep", version, max_term_width = 110)]
pub(crate) struct Arguments {
    /// The configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = FILE_NAME)]
    pub(crate) config: PathBuf,
    /// The format of the answer on standard output. Exit codes are the same for all.
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// Stable and versioned, for programs.
    Json,
    /// GitHub Actions workflow commands.
    Github,
}

/// What surestep is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a commented surestep.yaml.
    Init(InitArgs),
    /// Smoke probes of each release, before any traffic.
    Check(CheckArgs),
    /// The eight-step drill, then the six gates: the main job.
    Drill(DrillArgs),
    /// Answer from stored evidence, at once and offline.
    #[command(subcommand)]
    Can(CanCommand),
    /// Read or move the route.
    #[command(subcommand)]
    Route(RouteCommand),
    /// Judge saved responses by the contract; learn what a release needs of them.
    #[command(subcommand)]
    Contract(ContractCommand),
    /// Look at the evidence.
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// The tap alone, in front of any client: watches its calls, and breaks their replies on purpose.
    Tap(TapArgs),
    /// The simulated provider alone.
    Provider(ProviderArgs),
    /// Break each thing on purpose, and show that its gate turns red. Offline, within seconds.
    SelfTest(SelfTestArgs),
    /// The built-in release of the self-test.
    #[command(name = crate::built_in::COMMAND, hide = true)]
    BuiltIn(crate::built_in::ReleaseArgs),
    /// Can this configuration work here? Each finding with its fix.
    Doctor,
    /// JSON Schema of the configuration, or of the results.
    Schema(SchemaArgs),
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Replace an existing file.
    #[arg(long)]
    pub(crate) force: bool,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Only this release.
    #[arg(long, value_enum)]
    pub(crate) release: Option<RoleWord>,
    #[command(flatten)]
    pub(crate) effort: EffortArgs,
}

/// How much is asked, and how much at once.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct EffortArgs {
    /// Every stimulus in every mode, each asked twice. Its evidence counts wherever the default plan's does.
    #[arg(long)]
    pub(crate) thorough: bool,
    /// Processes at work at once [default: the cores].
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) jobs: Option<usize>,
}

/// Arguments of `self-test`.
#[derive(Debug, Args)]
pub(crate) struct SelfTestArgs {
    /// Only what must give this finding code.
    #[arg(long, value_name = "CODE")]
    pub(crate) only: Option<String>,
    /// Leave out what is to be broken for this code: a self-test that cannot fail would be none.
    #[arg(long, value_name = "CODE", hide = true)]
    pub(crate) spare: Option<String>,
}

/// Arguments of `drill`.
#[derive(Debug, Args)]
pub(crate) struct DrillArgs {
    /// Move traffic without asking.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) effort: EffortArgs,
    /// End the process with SIGKILL after so many journal records: for tests of the way back.
    #[arg(long, value_name = "N", hide = true)]
    pub(crate) kill_after_record: Option<u64>,
}

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Of what.
    #[arg(value_enum, default_value_t = SchemaOf::Config)]
    pub(crate) of: SchemaOf,
}

/// What has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// surestep.yaml.
    Config,
    /// What check, drill and can print with `--format json`.
    Result,
    /// What contract learn prints with `--format json`.
    Learn,
}

/// Questions to the stored evidence.
#[derive(Debug, Subcommand)]
pub(crate) enum CanCommand {
    /// May this pair take the step, and if not, what is missing?
    Promote,
    /// The question of an incident: is the way back proven, and how old is the proof?
    RollBack,
}

/// What can be done to the route.
#[derive(Debug, Subcommand)]
pub(crate) enum RouteCommand {
    /// Read the route.
    Show,
    /// Move the route: `rollback` is the panic button, `new=N` gives `new` N percent.
    Set(RouteSetArgs),
    /// Run the embedded router on its own.
    Serve,
}

/// Arguments of `route set`.
#[derive(Debug, Args)]
pub(crate) struct RouteSetArgs {
    /// `rollback`, or `new=PERCENT`.
    #[arg(value_name = "rollback|new=PERCENT")]
    pub(crate) to: String,
    /// Move traffic without asking.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What can be done with the evidence.
#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// List the records.
    List(EvidenceListArgs),
    /// Show one record, or all of a run.
    Show {
        /// A record's or a run's id.
        id: String,
    },
    /// Prove that nothing was changed or dropped.
    Verify,
}

/// Arguments of `evidence list`.
#[derive(Debug, Args)]
pub(crate) struct EvidenceListArgs {
    /// Only this run.
    #[arg(long)]
    pub(crate) run: Option<String>,
    /// Only the last so many.
    #[arg(long, default_value_t = 50)]
    pub(crate) last: u32,
}

/// Arguments of `tap`.
#[derive(Debug, Args)]
pub(crate) struct TapArgs {
    /// Where clients come in; give them http://ADDRESS/v1 as their base URL.
    #[arg(long, default_value = "127.0.0.1:4020")]
    pub(crate) listen: SocketAddr,
    /// The provider's base URL. Without it nothing is relayed, and attempts get the documented reply.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// Where the provider's host is really reached, as with curl's option of that name.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) connect_to: Option<String>,
    /// A PEM file with extra trust for the provider.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// What happens to attempt 1, 2, … of each call, for example `429+header=retry-after:2,good`; `--faults` lists all words.
    #[arg(long, value_name = "SCRIPT")]
    pub(crate) fault: Option<String>,
    /// List what a script may say, and end.
    #[arg(long)]
    pub(crate) faults: bool,
    /// Be an HTTPS proxy for clients that keep the provider's base URL; prints the variables to give them.
    #[arg(long, requires = "upstream")]
    pub(crate) forward: bool,
    /// Offer HTTP/2 to clients of the proxy, beside HTTP/1.1, and to the provider for what comes by it.
    #[arg(long, requires = "forward")]
    pub(crate) http2: bool,
    /// The surface that clients call.
    #[arg(long, value_enum, default_value_t = SurfaceWord::Chat)]
    pub(crate) surface: SurfaceWord,
    /// Whose wording and documented deviations count: a profile's name, or its file.
    #[arg(long, default_value = "openai")]
    pub(crate) profile: String,
    /// A Unix socket that takes a new script a line, while the tap runs.
    #[arg(long, value_name = "PATH")]
    pub(crate) control: Option<PathBuf>,
}

/// Arguments of `provider`.
#[derive(Debug, Args)]
pub(crate) struct ProviderArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:4010")]
    pub(crate) listen: SocketAddr,
    /// Whose spelling and wording is copied: cometapi or openai.
    #[arg(long, default_value = "cometapi")]
    pub(crate) profile: String,
    /// The variable with the key that is accepted; without it, any key but one with `invalid` in it.
    #[arg(long, value_name = "NAME")]
    pub(crate) key_env: Option<String>,
    /// A model that exists; may be given several times. Without it, any.
    #[arg(long)]
    pub(crate) model: Vec<String>,
    /// A JSON pointer of a field that replies lack; may be given several times.
    #[arg(long, value_name = "POINTER", value_parser = pointer)]
    pub(crate) drop_field: Vec<String>,
}

/// Reads a JSON pointer.
fn pointer(text: &str) -> Result<String, String> {
    crate::config::pointer(text).map_err(|(what, help)| format!("{what}: {help}"))
}

/// Reads how many work at once.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => {
            Err("nothing would be done: leave it out for as many as there are cores".to_owned())
        }
        Ok(n) => Ok(n),
        Err(_) => Err("not a number of processes".to_owned()),
    }
}

/// A role as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RoleWord {
    /// The release about to get traffic.
    New,
    /// The release to return to.
    Rollback,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::New => Self::New,
            RoleWord::Rollback => Self::Rollback,
        }
    }
}

/// A surface as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SurfaceWord {
    /// POST /v1/chat/completions.
    Chat,
    /// POST /v1/responses.
    Responses,
}

impl From<SurfaceWord> for Surface {
    fn from(word: SurfaceWord) -> Self {
        match word {
            SurfaceWord::Chat => Self::Chat,
            SurfaceWord::Responses => Self::Responses,
        }
    }
}

/// A mode as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ModeWord {
    /// One JSON document.
    Unary,
    /// Server-sent events.
    Stream,
}

impl From<ModeWord> for Mode {
    fn from(word: ModeWord) -> Self {
        match word {
            ModeWord::Unary => Self::Unary,
            ModeWord::Stream => Self::Stream,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(words: &[&str], expected: &str) {
        let words = std::iter::once("surestep").chain(words.iter().copied());
        let error = Arguments::try_parse_from(words).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_would_do_nothing_is_refused() {
        check_refused(&["check", "--jobs", "0"], "nothing would be done");
        check_refused(&["contract", "learn", "--jobs", "0"], "nothing would be done");
        check_refused(&["drill", "--jobs", "two"], "not a number of processes");
        check_refused(&["provider", "--drop-field", "choices"], "does not begin with `/`");
    }
}

//! What may be typed after `contract`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ModeWord, RoleWord, SurfaceWord};

/// What can be done with the contract.
#[derive(Debug, Subcommand)]
pub(crate) enum ContractCommand {
    /// Show what the documentation says: fields, events, errors, and a provider's deviations, with sources.
    Show(ShowArgs),
    /// Judge responses that `curl -i` saved, or bare bodies.
    Judge(JudgeArgs),
    /// Find out by experiment which response fields a release really needs.
    Learn(LearnArgs),
    /// Has the documentation changed since it was reviewed? Reads the sources under `contract.reviewed` again.
    Review(ReviewArgs),
    /// Tell which changes between two replies, or two documents, break this application.
    Diff(DiffArgs),
}

/// Arguments of `contract learn`.
///
/// The tap answers every call of the release with the documented reply in which one thing is changed; none reaches a provider.
/// Exit codes: 0 learnt, 10 `--check` found a needed field that `contract.required_fields` lacks, 11 something could not be told.
#[derive(Debug, Args)]
pub(crate) struct LearnArgs {
    /// Only this release.
    #[arg(long, value_enum)]
    pub(crate) release: Option<RoleWord>,
    /// Asks at most, of all releases together; what is left then is not told.
    #[arg(long, value_name = "N", default_value_t = 3000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_asks: u32,
    /// Ask each change by itself, also of commands and gateways: many asks, and no assumption.
    #[arg(long)]
    pub(crate) each: bool,
    /// Exit with 10 when `contract.required_fields` lacks a field that a release needs.
    #[arg(long)]
    pub(crate) check: bool,
    /// Begin without being asked.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Processes at work at once [default: the cores].
    #[arg(long, value_name = "N", value_parser = super::at_least_one)]
    pub(crate) jobs: Option<usize>,
}

/// Arguments of `contract review`.
#[derive(Debug, Args)]
pub(crate) struct ReviewArgs {
    /// Say that you have read the sources as they are now: source, date, name and digest go into the ledger, content does not.
    #[arg(long)]
    pub(crate) accept: bool,
    /// Who has read them [default: whom `contract.reviewed[].by` names].
    #[arg(long, value_name = "NAME", requires = "accept")]
    pub(crate) by: Option<String>,
    /// Accept only these sources, as they stand in the configuration.
    #[arg(value_name = "SOURCE", requires = "accept")]
    pub(crate) sources: Vec<String>,
}

/// Arguments of `contract show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Only this endpoint family.
    #[arg(long, value_enum)]
    pub(crate) surface: Option<SurfaceWord>,
    /// Whose deviations are shown: a built-in profile's name, or a profile file.
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) profile: Option<String>,
    /// Print JSON Schema (2020-12) of the reply instead, with request, error and each stream event below $defs; needs --surface.
    #[arg(long, requires = "surface")]
    pub(crate) schema: bool,
}

/// Arguments of `contract diff`.
///
/// Exit codes: 0 nothing breaking, 10 breaking, 11 nothing comparable, 2 usage.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// What was: a response that `curl -i` saved, a bare body, a folder of them, a saved shape, or an OpenAPI document.
    #[arg(value_name = "BEFORE", required_unless_present = "openapi")]
    pub(crate) before: Option<PathBuf>,
    /// What is: the same kinds. Without it, BEFORE's shape is only saved (--save).
    #[arg(value_name = "AFTER", required_unless_present_any = ["openapi", "save"])]
    pub(crate) after: Option<PathBuf>,
    /// A field that the application reads, as a JSON pointer into the unary reply; may be given several times. Without it
    /// `contract.required_fields` of the configuration counts, and without that the fields that the contract requires.
    #[arg(long, value_name = "POINTER")]
    pub(crate) required: Vec<String>,
    /// The endpoint family [default: told by the replies].
    #[arg(long, value_enum)]
    pub(crate) surface: Option<SurfaceWord>,
    /// Compare a provider's OpenAPI document with the built-in contract.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["before", "after"])]
    pub(crate) openapi: Option<PathBuf>,
    /// Write the last shape to this file, to compare with later. It holds field names and types, no values.
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
}

/// Arguments of `contract judge`.
#[derive(Debug, Args)]
pub(crate) struct JudgeArgs {
    /// The endpoint family.
    #[arg(long, value_enum)]
    pub(crate) surface: SurfaceWord,
    /// What the request asked for.
    #[arg(long, value_enum)]
    pub(crate) mode: ModeWord,
    /// Whose documented deviations count: openai, cometapi, azure, anthropic-compat, gemini-compat, deepseek, openrouter, or a
    /// profile file.
    #[arg(long, default_value = "openai", value_name = "NAME|FILE")]
    pub(crate) profile: String,
    /// The provider's own OpenAPI document (3.0 or 3.1): a reply that it does not allow holds.
    #[arg(long, value_name = "FILE")]
    pub(crate) openapi: Option<PathBuf>,
    /// Saved responses; `-` is standard input; of a folder each file is judged.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

//! What may be typed after `contract`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ModeWord, SurfaceWord};

/// What can be done with the contract.
#[derive(Debug, Subcommand)]
pub(crate) enum ContractCommand {
    /// Judge responses that `curl -i` saved, or bare bodies.
    Judge(JudgeArgs),
    /// Has the documentation changed since it was reviewed? Reads the sources under `contract.reviewed` again.
    Review(ReviewArgs),
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

/// Arguments of `contract judge`.
#[derive(Debug, Args)]
pub(crate) struct JudgeArgs {
    /// The endpoint family.
    #[arg(long, value_enum)]
    pub(crate) surface: SurfaceWord,
    /// What the request asked for.
    #[arg(long, value_enum)]
    pub(crate) mode: ModeWord,
    /// Whose documented deviations count: openai, cometapi, azure, anthropic-compat, gemini-compat, deepseek, openrouter.
    #[arg(long, default_value = "openai")]
    pub(crate) profile: String,
    /// Saved responses; `-` is standard input; of a folder each file is judged.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

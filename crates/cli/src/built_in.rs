//! The built-in release: a small service that calls an LLM API, healthy or with one defect, for the self-test.
//!
//! It is a release like any other: a process of its own behind the tap, with its own client, parser, retry policy and log. Nothing
//! of it is shared with what judges it, so that a mistake of the one is not made by the other as well.

mod client;
mod defect;
mod gateway;
mod reply;
mod service;
mod streaming;

use clap::Args;

pub(crate) use self::defect::Defect;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::terminal::{answer, say};

/// The hidden subcommand that runs it.
pub(crate) const COMMAND: &str = "__release";

/// The variables by which it is configured.
pub(crate) const URL: &str = "PROVIDER_URL";
pub(crate) const KEY: &str = "PROVIDER_KEY";
pub(crate) const MODEL: &str = "MODEL";
pub(crate) const VERSION: &str = "VERSION";
pub(crate) const PORT: &str = "PORT";

/// Arguments of the built-in release.
#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    /// What is wrong with it.
    #[arg(value_enum)]
    defect: Defect,
    /// Ask the provider for a stream.
    #[arg(long)]
    stream: bool,
    /// Listen, instead of answering one question.
    #[arg(long)]
    serve: bool,
    /// The question.
    #[arg(default_value = "")]
    question: String,
}

/// Runs it: the exit code 0 is an answer, 1 a refusal.
pub(crate) async fn run(environment: &Environment, args: &ReleaseArgs) -> Result<u8, Failure> {
    let read = |name: &str| {
        environment.text(name).map(str::to_owned).map_err(|problem| {
            Failure::usage(
                format!("the variable {name} {problem}"),
                "Only the self-test runs this.",
            )
        })
    };
    if args.serve {
        service::misbehave_at_start(args.defect).await?;
    }
    let bot = client::Bot::new(
        args.defect,
        client::Access {
            base_url: read(URL)?,
            key: read(KEY)?,
            model: read(MODEL)?,
            proxy: environment.text("HTTPS_PROXY").ok().map(str::to_owned),
            trust: environment.text("SSL_CERT_FILE").ok().map(str::to_owned),
        },
        read(VERSION)?,
    )?;
    if args.serve {
        return service::serve(bot, &read(PORT)?).await;
    }
    match bot.answer(&args.question, args.stream).await {
        Ok(text) => {
            answer(&text);
            Ok(0)
        }
        Err(refused) => {
            say(&format!("no answer: {}", refused.0));
            Ok(1)
        }
    }
}

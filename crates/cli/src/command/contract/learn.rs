//! `contract learn`: which response fields each release really needs, found by experiment.

use std::io::{IsTerminal as _, Write as _};

use drill::learning::{LearnOptions, expected, learn};
use drill::settings::Settings;
use judge::Role;

use crate::args::{EffortArgs, Format, LearnArgs};
use crate::command::{Call, pretty};
use crate::failure::Failure;
use crate::learnt::Learnt;
use crate::terminal::{Paint, may_colour, say};
use crate::wiring::{unseal, wire};

/// Runs it.
pub(super) async fn run(call: &Call, args: &LearnArgs) -> Result<u8, Failure> {
    let settings = call.settings()?;
    let unsealed = unseal(&settings, &call.environment)?;
    let scanner = unsealed.scanner.clone();
    let options = LearnOptions {
        roles: args.release.map_or_else(|| Role::BOTH.to_vec(), |role| vec![role.into()]),
        max_asks: args.max_asks,
        each: args.each,
    };
    announce(&settings, &options, args.yes)?;
    // Depth is of probes, and none is made here.
    let effort = EffortArgs { thorough: false, jobs: args.jobs };
    let wired = wire(settings, &call.environment, unsealed, call.progress(), effort.into())
        .await
        .map_err(|failure| failure.redacted(&scanner))?;
    let releases = learn(&wired.bench, &options).await;
    for provider in wired.simulated {
        provider.stop().await;
    }
    wired.ledger.close().await;
    let learnt = Learnt::new(&wired.bench.settings, releases, options.max_asks, args.check);
    let text = match call.arguments.format {
        Format::Human | Format::Github => learnt.render(Paint::when(may_colour(&call.environment))),
        Format::Json => pretty(&learnt.to_json()),
    };
    call.answer(&text, &wired.bench.scanner);
    Ok(learnt.exit_code())
}

/// Says how often releases will be asked; on a terminal, waits for a yes.
fn announce(settings: &Settings, options: &LearnOptions, yes: bool) -> Result<(), Failure> {
    let each: Vec<String> = options
        .roles
        .iter()
        .map(|role| format!("{role} about {} times", expected(settings, *role, options.each)))
        .collect();
    say(&format!(
        "asks {}, {} times at most (--max-asks); the tap answers every call, none reaches a provider",
        each.join(" and "),
        options.max_asks
    ));
    if yes || !std::io::stdin().is_terminal() {
        return Ok(());
    }
    let mut error = std::io::stderr().lock();
    // If the question cannot be shown, the answer will not be yes.
    drop(write!(error, "Go on? [y/N] ").and_then(|()| error.flush()));
    let mut reply = String::new();
    match std::io::stdin().read_line(&mut reply) {
        Ok(_) if matches!(reply.trim(), "y" | "Y" | "yes") => Ok(()),
        Ok(_) | Err(_) => Err(Failure::usage(
            "not confirmed; nothing was asked",
            "Pass `--yes` to begin without being asked.",
        )),
    }
}

//! `drill`: the eight steps, then the six gates.

use std::io::{IsTerminal as _, Write as _};

use drill::{Rehearsal, drill};
use evidence::Holder;
use route::{EmbeddedSwitch, RouteConfig};

use crate::args::DrillArgs;
use crate::command::{Call, can};
use crate::failure::Failure;
use crate::self_test::standing;
use crate::wiring::{state_dir, unseal, wire};

/// Runs it.
pub(crate) async fn run(call: &Call, args: &DrillArgs) -> Result<u8, Failure> {
    let settings = call.settings()?;
    let unsealed = unseal(&settings, &call.environment)?;
    let scanner = unsealed.scanner.clone();
    let question = format!(
        "This moves {} percent of the traffic on {} to `new` and back. Go on?",
        settings.route.step, settings.route.listen
    );
    confirm(args.yes, &question)?;
    let route = RouteConfig { listen: settings.route.listen, state_dir: state_dir(&settings) };
    let mut wired =
        wire(settings, &call.environment, unsealed, call.progress(), args.effort.into())
            .await
            .map_err(|failure| failure.redacted(&scanner))?;
    wired.bench.preconditions.extend(standing(&call.environment));
    let switch = EmbeddedSwitch::connect(route)
        .await
        .map_err(|error| Failure::not_begun(error).redacted(&scanner))?;
    let rehearsal = Rehearsal {
        switch: &switch,
        ledger: &wired.ledger,
        holder: Holder::this_process(),
        on_record: args.kill_after_record.map(kill_after),
    };
    let result = drill(&wired.bench, rehearsal, interrupted()).await;
    switch.close().await;
    for provider in wired.simulated {
        provider.stop().await;
    }
    let report = result.map_err(|error| Failure::from(error).redacted(&scanner))?;
    let bench = &wired.bench;
    let mut outcome =
        can::outcome("drill", &bench.settings, &bench.subject, &wired.ledger, Some(&report.run))
            .await?;
    outcome.percent_new = report.percent_new;
    wired.ledger.close().await;
    Ok(call.show(&outcome, &bench.scanner))
}

/// Asks before traffic is moved. Without a terminal there is nobody to ask.
pub(crate) fn confirm(yes: bool, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let advice = "Pass `--yes` to move traffic without being asked.";
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "this moves traffic, and there is no terminal to ask on",
            advice,
        ));
    }
    let mut error = std::io::stderr().lock();
    // If the question cannot be shown, the answer will not be yes.
    drop(write!(error, "{question} [y/N] ").and_then(|()| error.flush()));
    let mut reply = String::new();
    match std::io::stdin().read_line(&mut reply) {
        Ok(_) if matches!(reply.trim(), "y" | "Y" | "yes") => Ok(()),
        Ok(_) | Err(_) => Err(Failure::usage("not confirmed; nothing was moved", advice)),
    }
}

/// Waits for Ctrl-C, SIGTERM or SIGHUP.
pub(crate) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = |kind: SignalKind| async move {
        match signal(kind) {
            Ok(mut stream) => {
                stream.recv().await;
            }
            // A signal that cannot be caught ends the process; the router then brings the route back by itself.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::hangup()) => {}
    }
}

/// Ends this process the hard way after so many journal records.
fn kill_after(n: u64) -> Box<dyn Fn(u64) + Send + Sync> {
    let seen = std::sync::atomic::AtomicU64::new(0);
    Box::new(move |_| {
        if seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == n {
            match rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            ) {
                // If the signal could not be sent, the test that wanted it will see that we live.
                Ok(()) | Err(_) => {}
            }
        }
    })
}

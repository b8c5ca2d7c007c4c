//! `route show`, `route set` and `route serve`.

use std::path::{Path, PathBuf};

use drill::settings::Settings;
use evidence::Scanner;
use route::{Backends, RouteConfig, Server, Shown};
use serde_json::json;

use crate::args::{Format, RouteCommand, RouteSetArgs};
use crate::command::drill::{confirm, interrupted};
use crate::command::{Call, pretty};
use crate::exit_code;
use crate::failure::Failure;
use crate::result::{SCHEMA_VERSION, share_json};
use crate::terminal::say;
use crate::wiring::state_dir;

/// Runs it.
pub(crate) async fn run(call: &Call, what: &RouteCommand) -> Result<u8, Failure> {
    match what {
        RouteCommand::Show => {
            let shown = route::show(&state_dir(&call.settings()?)).await?;
            show(call, &shown);
            Ok(exit_code::PASS)
        }
        RouteCommand::Set(args) => set(call, args).await,
        RouteCommand::Serve => serve(call, &call.settings()?).await,
    }
}

/// Returns the folder of the route's state. In an incident the configuration may be broken, and the way back must work all the same:
/// then the place of the ledger is read off its line, or is the usual one.
fn state_folder(call: &Call) -> PathBuf {
    match call.settings() {
        Ok(settings) => state_dir(&settings),
        // What is wrong with it can wait.
        Err(_) => {
            let folder = folder_of_ledger_line(&call.arguments.config);
            say(&format!(
                "the configuration cannot be used (`surestep doctor` says why); taking the route's state in {}",
                folder.display()
            ));
            folder
        }
    }
}

fn folder_of_ledger_line(config: &Path) -> PathBuf {
    let base = config.parent().map(PathBuf::from).unwrap_or_default();
    let text = std::fs::read_to_string(config).unwrap_or_default();
    let named = text.lines().find_map(|line| line.strip_prefix("ledger:")).map(|value| {
        let value = value.split(" #").next().unwrap_or("").trim().trim_matches(['"', '\'']);
        base.join(value.trim_start_matches("sqlite:"))
    });
    let ledger = named.unwrap_or_else(|| base.join(".surestep/ledger.db"));
    ledger.parent().map_or(base, PathBuf::from)
}

async fn set(call: &Call, args: &RouteSetArgs) -> Result<u8, Failure> {
    let percent_new = percent(&args.to)?;
    // The way back is the panic button: it is never asked about, and needs no whole configuration.
    let folder = if percent_new == 0 {
        state_folder(call)
    } else {
        let settings = call.settings()?;
        let question = format!(
            "This moves {percent_new} percent of the traffic on {} to `new`. Go on?",
            settings.route.listen
        );
        confirm(args.yes, &question)?;
        state_dir(&settings)
    };
    let shown = route::set(&folder, percent_new).await?;
    show(call, &shown);
    Ok(exit_code::PASS)
}

fn percent(to: &str) -> Result<u8, Failure> {
    if to == "rollback" {
        return Ok(0);
    }
    to.strip_prefix("new=")
        .map(|number| number.trim_end_matches('%'))
        .and_then(|number| number.parse::<u8>().ok())
        .filter(|percent| *percent <= 100)
        .ok_or_else(|| {
            Failure::usage(
                format!("`{}` is no share", to.chars().take(40).collect::<String>()),
                "Say `rollback`, or `new=PERCENT` with 0 to 100.",
            )
        })
}

fn show(call: &Call, shown: &Shown) {
    let text = match call.arguments.format {
        Format::Json => {
            let mut value = share_json(shown.percent_new);
            value["schema_version"] = json!(SCHEMA_VERSION);
            value["durable"] = share_json(shown.durable_percent_new);
            value["running"] = json!(shown.running);
            value["held_by"] = json!(shown.held_by);
            value["listen"] = json!(shown.listen);
            value["served_by"] = json!(shown.served_by);
            pretty(&value)
        }
        Format::Human | Format::Github => human(shown),
    };
    call.answer(&text, &Scanner::new([]));
}

fn human(shown: &Shown) -> String {
    let new = shown.percent_new;
    let mut text = format!("new {new} percent, rollback {} percent\n", 100_u8.saturating_sub(new));
    if let Some(pid) = shown.held_by {
        text.push_str(&format!(
            "held by a drill (process {pid}); when it ends, new goes back to {} percent\n",
            shown.durable_percent_new
        ));
    }
    match shown.listen {
        Some(listen) if shown.running => text.push_str(&format!("router on {listen}\n")),
        Some(_) | None => {
            text.push_str(
                "no router is running; this is the share that the next one starts with\n",
            );
        }
    }
    text
}

async fn serve(call: &Call, settings: &Settings) -> Result<u8, Failure> {
    let config = RouteConfig { listen: settings.route.listen, state_dir: state_dir(settings) };
    let server = Server::start(&config, Backends::default()).await.map_err(Failure::not_begun)?;
    let base = crate::command::route_base::start(call, settings).await?;
    server.set_base(base.backends());
    say(&format!("router on {}; ends with Ctrl-C", server.address()));
    show(call, &server.show());
    interrupted().await;
    server.shutdown(std::time::Duration::from_secs(2)).await;
    base.stop().await;
    Ok(exit_code::PASS)
}

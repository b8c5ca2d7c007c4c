//! `route show`, `route set` and `route serve`.

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
    let settings = call.settings()?;
    match what {
        RouteCommand::Show => {
            let shown = route::show(&state_dir(&settings)).await?;
            show(call, &shown);
            Ok(exit_code::PASS)
        }
        RouteCommand::Set(args) => set(call, &settings, args).await,
        RouteCommand::Serve => serve(call, &settings).await,
    }
}

async fn set(call: &Call, settings: &Settings, args: &RouteSetArgs) -> Result<u8, Failure> {
    let percent_new = percent(&args.to)?;
    // The way back is never asked about: it is the panic button.
    if percent_new > 0 {
        let question = format!(
            "This moves {percent_new} percent of the traffic on {} to `new`. Go on?",
            settings.route.listen
        );
        confirm(args.yes, &question)?;
    }
    let shown = route::set(&state_dir(settings), percent_new).await?;
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
    let server = Server::start(&config, Backends::default()).await?;
    let base = crate::command::route_base::start(call, settings).await?;
    server.set_base(base.backends());
    say(&format!("router on {}; ends with Ctrl-C", server.address()));
    show(call, &server.show());
    interrupted().await;
    server.shutdown(std::time::Duration::from_secs(2)).await;
    base.stop().await;
    Ok(exit_code::PASS)
}

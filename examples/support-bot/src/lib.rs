//! A small support bot on async-openai, in two releases: what surestep's example puts to the test.
//!
//! It is written to be copied. Three things make it pass, and each has a file:
//! - `upstream`: which failures are retried, how often, and how long after each other;
//! - `answer`: what has to be true before the model's text is shown to a user;
//! - `log`: what an incident review needs, and nothing that may not be kept.

mod answer;
mod log;
mod server;
mod upstream;

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use crate::answer::Assistant;
use crate::log::Log;
use crate::upstream::Credential;

/// What tells the releases apart.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// Its version, in every log line.
    pub version: &'static str,
    /// How freely the model answers.
    pub temperature: f32,
    /// Whether log lines tell how long the call took.
    pub logs_duration: bool,
}

/// Runs the service until it is told to stop. Wrong settings end it at once, and the log says which.
pub fn run(release: Release) -> ExitCode {
    let log = Log::new(release);
    let started = settings().and_then(|settings| {
        let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.port));
        let assistant = Assistant::new(release, settings.model, &settings.credential, log)?;
        runtime.block_on(server::serve(address, assistant)).map_err(|error| error.to_string())
    });
    match started {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            log.trouble(&trouble);
            ExitCode::FAILURE
        }
    }
}

struct Settings {
    credential: Credential,
    model: String,
    port: u16,
}

fn settings() -> Result<Settings, String> {
    Ok(Settings {
        credential: Credential::new(&variable("OPENAI_BASE_URL")?, &variable("OPENAI_API_KEY")?)?,
        model: variable("SUPPORT_MODEL")?,
        port: variable("PORT")?.parse().map_err(|_not_shown| "PORT is not a port number")?,
    })
}

/// Reads a variable. A blank one counts as missing: it is a deployment's mistake, never a wish.
#[expect(clippy::disallowed_methods, reason = "this program's settings are its environment")]
fn variable(name: &str) -> Result<String, String> {
    let value = env::var(name).map_err(|error| format!("{name}: {error}"))?;
    let value = value.trim();
    if value.is_empty() { Err(format!("{name} is blank")) } else { Ok(value.to_owned()) }
}

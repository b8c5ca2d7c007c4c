//! The releases behind a router that runs on its own: started here, without a tap, towards the real provider.

use std::net::SocketAddr;

use drill::ports::{Releases as _, RunningRelease as _, Start, Way};
use drill::settings::{ProviderEndpoint, Settings};
use judge::Role;
use release::{ReleaseRunner, RunnerConfig, Running};
use route::Backends;

use crate::command::Call;
use crate::failure::Failure;
use crate::terminal::say;
use crate::wiring::{Unsealed, supervisor, unseal};

/// Releases that serve users.
pub(crate) struct Base {
    new: Option<(Running, SocketAddr)>,
    rollback: Option<(Running, SocketAddr)>,
    /// Lives as long as they do.
    simulated: Vec<provider::Running>,
}

/// Starts both releases. One that does not start is told about and left out: the router answers for it, and says so.
pub(crate) async fn start(call: &Call, settings: &Settings) -> Result<Base, Failure> {
    let unsealed = unseal(settings, &call.environment)?;
    let runner = ReleaseRunner::new(RunnerConfig {
        environment: call.environment.all(),
        supervisor: supervisor(),
    });
    let mut base = Base { new: None, rollback: None, simulated: Vec::new() };
    for role in Role::BOTH {
        let upstream = match &settings.provider_of(role).endpoint {
            ProviderEndpoint::Url(url) => url.clone(),
            ProviderEndpoint::Simulated => {
                let running = crate::wiring::start_simulated(
                    settings,
                    role,
                    settings.provider_of(role),
                    unsealed.secrets.of(role),
                )
                .await?;
                let url = running.base_url();
                base.simulated.push(running);
                url
            }
        };
        let started = start_one(settings, role, &runner, &unsealed, upstream).await;
        match role {
            Role::New => base.new = started,
            Role::Rollback => base.rollback = started,
        }
    }
    Ok(base)
}

async fn start_one(
    settings: &Settings,
    role: Role,
    runner: &ReleaseRunner,
    unsealed: &Unsealed,
    upstream: String,
) -> Option<(Running, SocketAddr)> {
    let secrets = unsealed.secrets.of(role);
    let tell =
        |what: String| say(&format!("`{role}` does not serve: {}", unsealed.scanner.redact(&what)));
    if let Some(problem) = secrets.problems.first() {
        tell(problem.seen.clone());
        return None;
    }
    let start = Start {
        role,
        surface: settings.provider_of(role).surface,
        tap: Way::direct(upstream.clone()),
        model: settings.model_of(role).to_owned(),
        control_key: secrets.control.clone(),
        secrets: secrets.values.clone(),
        gateway_key: secrets.gateway_key.clone(),
    };
    let running = match runner.start(settings.release(role), start).await {
        Ok(running) => running,
        Err(error) => {
            tell(crate::failure::chain(&error));
            return None;
        }
    };
    match running.front(Way::direct(upstream)).await {
        Ok(address) => Some((running, address)),
        Err(error) => {
            tell(crate::failure::chain(&error));
            None
        }
    }
}

impl Base {
    pub(crate) fn backends(&self) -> Backends {
        let address =
            |release: &Option<(Running, SocketAddr)>| release.as_ref().map(|(_, address)| *address);
        Backends { new: address(&self.new), rollback: address(&self.rollback) }
    }

    pub(crate) async fn stop(self) {
        for (running, _) in self.new.iter().chain(&self.rollback) {
            running.stop().await;
        }
        for provider in self.simulated {
            provider.stop().await;
        }
    }
}

//! `provider`: the simulated provider alone.

use provider::{Provider, ProviderConfig};

use crate::args::ProviderArgs;
use crate::command::Call;
use crate::command::drill::interrupted;
use crate::exit_code;
use crate::failure::{Failure, chain};
use crate::terminal::{answer, say};

/// Runs it.
pub(crate) async fn run(call: &Call, args: &ProviderArgs) -> Result<u8, Failure> {
    let mut keys = Vec::new();
    if let Some(name) = &args.key_env {
        let key = call.environment.text(name).map_err(|problem| {
            Failure::usage(
                format!("the variable {name} {problem}"),
                "Set it to the key that clients will send.",
            )
        })?;
        keys.push(key.trim().to_owned());
    }
    let config = ProviderConfig {
        listen: args.listen,
        profile: super::contract::profile(call, &args.profile)?,
        keys,
        models: args.model.clone(),
        drop_fields: args.drop_field.clone(),
        ..ProviderConfig::default()
    };
    let running = Provider::start(config)
        .await
        .map_err(|error| Failure::usage(chain(&error), "Choose another address with --listen."))?;
    answer(&running.describe());
    say("ends with Ctrl-C");
    interrupted().await;
    running.stop().await;
    Ok(exit_code::PASS)
}

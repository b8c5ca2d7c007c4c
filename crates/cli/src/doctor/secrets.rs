//! Whether every reference leads to a secret, and what is odd about it. Values are looked at and dropped.

use drill::settings::{HttpAsk, Provider, ProviderEndpoint, Run, SecretSource, Settings};
use evidence::Sensitive;
use judge::Role;

use super::Checkup;
use crate::config::{self, SecretProblem};
use crate::environment::Environment;

/// Resolves everything. Commands may take seconds, so this leaves the runtime's own threads.
pub(super) async fn look(settings: &Settings, environment: &Environment) -> Vec<Checkup> {
    let (settings, environment) = (settings.clone(), environment.clone());
    let looked = tokio::task::spawn_blocking(move || look_at_all(&settings, &environment)).await;
    looked.unwrap_or_else(|error| {
        vec![Checkup::broken(
            format!("the secrets could not be looked at: {error}"),
            "this is a bug of surestep",
        )]
    })
}

fn look_at_all(settings: &Settings, environment: &Environment) -> Vec<Checkup> {
    let mut found = Vec::new();
    let control = config::resolve_control(&settings.provider, environment, &settings.base);
    if has_no_key(&settings.provider) {
        found.push(Checkup::fine("the simulated provider needs no key"));
    } else {
        report(&mut found, "`provider.key`", &settings.provider.key, &control);
    }
    for role in Role::BOTH {
        let release = settings.release(role);
        let name = format!("`releases.{role}");
        let mut control_of_release = control.clone();
        if let Some(provider) = &release.provider {
            control_of_release = config::resolve_control(provider, environment, &settings.base);
            report(
                &mut found,
                &format!("{name}.provider.key`"),
                &provider.key,
                &control_of_release,
            );
        }
        let control = control_of_release.ok();
        let resolve =
            |source| config::resolve(source, environment, &settings.base, control.as_ref());
        for (variable, source) in &release.secrets {
            let name = format!("{name}.secrets.{variable}`");
            report(&mut found, &name, source, &resolve(source));
            // Of a key that opens nothing there is no source in production.
            if *source == SecretSource::Control && !has_no_key(settings.provider_of(role)) {
                found.push(Checkup::odd(
                    format!("{name} is the control's credential"),
                    "nothing is proven about the release's own: give the source that it uses in production",
                ));
            }
        }
        if let Run::Service(drill::settings::ServiceRun { ask, .. }) | Run::Url { ask, .. } =
            &release.run
            && let HttpAsk::Openai { key: Some(source), .. } = ask
        {
            report(&mut found, &format!("{name}.run.ask.key`"), source, &resolve(source));
        }
    }
    found
}

/// Tells whether the control needs no credential: the provider is simulated, and none is named.
fn has_no_key(provider: &Provider) -> bool {
    provider.endpoint == ProviderEndpoint::Simulated && provider.key == SecretSource::Control
}

fn report(
    found: &mut Vec<Checkup>,
    name: &str,
    source: &SecretSource,
    resolved: &Result<Sensitive, SecretProblem>,
) {
    match resolved {
        Err(problem) => {
            found.push(Checkup::broken(format!("{name}: {problem}"), problem.help.clone()));
        }
        Ok(secret) => {
            let blemishes = config::blemishes(secret);
            if blemishes.is_empty() {
                found.push(Checkup::fine(format!("{name}: {} gives a secret", source.name())));
            }
            for blemish in blemishes {
                found.push(Checkup::odd(
                    format!("{name}: the secret {} {blemish}", source.name()),
                    "it is handed over just so: correct it at its source, unless the release is to prove that it copes",
                ));
            }
        }
    }
}

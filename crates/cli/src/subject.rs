//! What evidence is about: fingerprints of the configuration, of both releases and of their credentials.

use drill::settings::Settings;
use drill::{ReleaseSecrets, Secrets};
use evidence::Fingerprinter;
use judge::{Fingerprint, ReleaseIdentity, Role, Subject};

mod build;

/// Returns what the evidence of these settings is about.
pub(crate) fn subject(
    settings: &Settings,
    secrets: &Secrets,
    fingerprinter: &Fingerprinter,
) -> Subject {
    let provider = &settings.provider;
    // `Debug` of settings shows names of secrets' sources, never values: they are not in there.
    let configuration = format!(
        "{:?}",
        (
            (
                &provider.name,
                &provider.endpoint,
                provider.surface,
                &provider.modes,
                &provider.connect_to
            ),
            &settings.model,
            (settings.route.step, &settings.route.switch),
            (&settings.gates.require, settings.gates.strict),
        )
    );
    let version = &contract::ContractDocument::of(provider.surface).version;
    let contract = format!("{version} {:?} {:?}", settings.contract, provider.profile);
    Subject {
        service: settings.service.clone(),
        environment: settings.environment.clone(),
        new: identity(settings, Role::New, &secrets.new, fingerprinter),
        rollback: identity(settings, Role::Rollback, &secrets.rollback, fingerprinter),
        configuration: fingerprinter.fingerprint("configuration", configuration.as_bytes()),
        contract: fingerprinter.fingerprint("contract", contract.as_bytes()),
    }
}

fn identity(
    settings: &Settings,
    role: Role,
    secrets: &ReleaseSecrets,
    fingerprinter: &Fingerprinter,
) -> ReleaseIdentity {
    let release = settings.release(role);
    let mut run = format!("{release:?}").into_bytes();
    build::add(release, &mut run);
    ReleaseIdentity {
        version: release.version.clone(),
        image: release.image.clone(),
        run: fingerprinter.fingerprint("release", &run),
        credential: credential(secrets, fingerprinter),
    }
}

fn credential(secrets: &ReleaseSecrets, fingerprinter: &Fingerprinter) -> Option<Fingerprint> {
    if secrets.values.is_empty() {
        return None;
    }
    let mut bytes = Vec::new();
    for (variable, value) in &secrets.values {
        for part in [variable.as_str(), value.expose()] {
            bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    Some(fingerprinter.fingerprint("secrets", &bytes))
}

//! What evidence is about: fingerprints of the configuration, of both releases and of their credentials.

use std::path::Path;

use drill::settings::{Release, Run, Settings};
use drill::{ReleaseSecrets, Secrets};
use evidence::Fingerprinter;
use judge::{Fingerprint, ReleaseIdentity, Role, Subject};
use sha2::{Digest as _, Sha256};

/// A program or script larger than this is told by its size and time of change instead of by its content.
const CONTENT_MAX: u64 = 64 * 1024 * 1024;

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
    for word in words(release) {
        if let Some(content) = content_of(&release.directory.join(word)) {
            run.extend_from_slice(word.as_bytes());
            run.extend_from_slice(&content);
        }
    }
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

/// Returns the words of a release's commands: those that name files are a part of what it is.
fn words(release: &Release) -> Vec<&String> {
    match &release.run {
        Run::Command(command) => [&command.unary, &command.stream]
            .into_iter()
            .flatten()
            .flat_map(|one| &one.command)
            .collect(),
        Run::Service(service) => service.command.iter().collect(),
        Run::Url { .. } => Vec::new(),
    }
}

/// Returns a digest of a file's content; `None` for what is no file.
fn content_of(path: &Path) -> Option<Vec<u8>> {
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    if metadata.len() > CONTENT_MAX {
        return Some(format!("{} {:?}", metadata.len(), metadata.modified().ok()).into_bytes());
    }
    // A file that cannot be read is told by its name alone; whether it can be run, its start will show.
    let mut file = std::fs::File::open(path).ok()?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        match std::io::Read::read(&mut file, &mut buffer) {
            Ok(0) => return Some(hasher.finalize().to_vec()),
            Ok(n) => hasher.update(buffer.get(..n)?),
            Err(_) => return None,
        }
    }
}

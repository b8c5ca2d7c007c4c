//! A pair of releases against a provider, written down as a project: a folder with a `surestep.yaml`.

use std::hash::{BuildHasher as _, Hasher as _};
use std::path::{Path, PathBuf};

use crate::network::free_port;
use crate::project::Project;
use crate::sdk_release::{SdkRelease, quoted};

/// The model setting of every project.
pub(crate) const MODEL: &str = "test-model";
/// The versions of the pair.
const VERSIONS: [&str; 2] = ["2.4.0", "2.3.1"];

/// Where the provider is.
#[derive(Clone, Debug)]
pub enum ProviderAt {
    /// surestep's own simulated one, started for the run.
    Simulated,
    /// At this base URL, which ends in `/v1`; CometAPI's profile applies.
    Url(String),
    /// At this base URL, which ends in `/v1`, reached elsewhere and trusted by a CA of its own; CometAPI's profile applies.
    Secured {
        /// The base URL.
        base_url: String,
        /// `host:port`.
        connect_to: String,
        /// A PEM file.
        ca: PathBuf,
    },
}

/// A pair of releases against a provider.
#[derive(Clone, Debug)]
pub struct Pair {
    new: SdkRelease,
    rollback: SdkRelease,
    provider: ProviderAt,
    provider_key: Option<String>,
    modes: Vec<&'static str>,
    surface: String,
    extra: String,
}

impl Pair {
    /// A pair against the simulated provider, in both modes.
    pub fn new(new: SdkRelease, rollback: SdkRelease) -> Self {
        Self {
            new,
            rollback,
            provider: ProviderAt::Simulated,
            provider_key: None,
            modes: vec!["unary", "stream"],
            surface: "chat".into(),
            extra: String::new(),
        }
    }

    /// Talks to another provider.
    #[must_use]
    pub fn provider(mut self, provider: ProviderAt) -> Self {
        self.provider = provider;
        self
    }

    /// Uses this credential, for a provider that checks it; otherwise a made-up one.
    #[must_use]
    pub fn provider_key(mut self, key: &str) -> Self {
        self.provider_key = Some(key.to_owned());
        self
    }

    /// Probes only these modes.
    #[must_use]
    pub fn modes(mut self, modes: &[&'static str]) -> Self {
        self.modes = modes.to_vec();
        self
    }

    /// Is called by another surface than chat.
    #[must_use]
    pub fn surface(mut self, name: &str) -> Self {
        name.clone_into(&mut self.surface);
        self
    }

    /// Adds lines at the top level of the configuration.
    #[must_use]
    pub fn extra(mut self, yaml: &str) -> Self {
        self.extra.push_str(yaml);
        self.extra.push('\n');
        self
    }

    /// Writes the project into a new temporary folder, its secrets into another.
    ///
    /// # Errors
    ///
    /// When an environment is not installed or a file cannot be written.
    pub fn write(&self) -> Result<Project, String> {
        let folder = tempfile::Builder::new().prefix("surestep-project-").tempdir();
        let secrets = tempfile::Builder::new().prefix("surestep-secrets-").tempdir();
        let folder = folder.map_err(|error| format!("cannot make a temporary folder: {error}"))?;
        let secrets =
            secrets.map_err(|error| format!("cannot make a temporary folder: {error}"))?;
        let provider_key =
            self.provider_key.clone().unwrap_or_else(|| format!("sk-{}{}", chance(), chance()));
        let gateway_key = format!("sk-gw-{}{}", chance(), chance());
        let marker = format!("run-{}", chance());
        let route_port = free_port();
        write(&secrets.path().join("provider-key"), &provider_key)?;
        write(&secrets.path().join("gateway-key"), &gateway_key)?;
        write(
            &folder.path().join("contract.md"),
            "What the application relies on: see the provider's documentation.\n",
        )?;
        write(
            &folder.path().join("surestep.yaml"),
            &self.config(secrets.path(), &marker, route_port)?,
        )?;
        Ok(Project::new(folder, secrets, marker, vec![provider_key, gateway_key], route_port))
    }

    fn config(&self, secrets: &Path, marker: &str, route_port: u16) -> Result<String, String> {
        let provider = match &self.provider {
            ProviderAt::Simulated => "name: simulated".to_owned(),
            ProviderAt::Url(url) => format!("name: cometapi\n  base_url: {}", quoted(url)),
            ProviderAt::Secured { base_url, connect_to, ca } => format!(
                "name: cometapi\n  base_url: {}\n  connect_to: {}\n  ca: {}",
                quoted(base_url),
                quoted(connect_to),
                quoted(&ca.display().to_string())
            ),
        };
        let key = quoted(&format!("file:{}", secrets.join("provider-key").display()));
        let modes = self.modes.join(", ");
        let today = jiff::Zoned::now().date();
        let new = self.new.yaml(VERSIONS[0], marker, secrets)?;
        let rollback = self.rollback.yaml(VERSIONS[1], marker, secrets)?;
        let extra = &self.extra;
        let surface = &self.surface;
        let required = match surface.as_str() {
            "responses" => "/output/0/content/0/text",
            _ => "/choices/0/message/content",
        };
        Ok(format!(
            "service: support-bot\nenvironment: test\n\
             provider:\n  {provider}\n  surface: {surface}\n  modes: [{modes}]\n  key: {key}\n  live_calls: 200\n\
             model: {MODEL}\n\
             contract:\n  reviewed:\n    - {{ source: \"contract.md\", on: {today}, by: tests }}\n  \
             required_fields: [{required}]\n\
             releases:\n  new:\n{new}  rollback:\n{rollback}\
             route: {{ switch: embedded, listen: \"127.0.0.1:{route_port}\", step: 50 }}\n\
             ledger: \"sqlite:.surestep/ledger.db\"\n{extra}"
        ))
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Returns 16 hexadecimal digits of chance.
fn chance() -> String {
    // Each `RandomState` has keys of its own, which come from the operating system.
    format!("{:016x}", std::hash::RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdk_release::{Form, Stack};

    #[test]
    fn project_holds_no_secret_itself() {
        let pair = Pair::new(
            SdkRelease::new(Stack::PythonNaive, Form::Command),
            SdkRelease::new(Stack::PythonNaive, Form::Command)
                .defect("stock")
                .setting("calls_per_ask", "2"),
        );
        let project = pair.write().unwrap();
        let yaml = std::fs::read_to_string(project.folder().join("surestep.yaml")).unwrap();
        assert!(
            yaml.contains("DEFECT: \"stock\"") && yaml.contains("    calls_per_ask: 2\n"),
            "{yaml}"
        );
        assert_eq!(project.leaks_on_disk(&[]), vec![]);
    }

    #[test]
    fn chance_does_not_repeat() {
        assert_ne!(chance(), chance());
    }
}

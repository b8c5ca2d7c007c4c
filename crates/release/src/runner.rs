//! Starts releases: the implementation of [`Releases`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use drill::ports::{Ask, Asked, ChangedFiles, FileId, Folders, PortError, Releases, Start};
use drill::settings::{LogSource, Release, Run};

use crate::capture::lock;
use crate::command::Commands;
use crate::files::{Files, holders};
use crate::front;
use crate::http::Http;
use crate::logs::LogSources;
use crate::otlp::Receiver;
use crate::placeholders::Placeholders;
use crate::process::on_blocking_thread;
use crate::running::{HttpRelease, Kind, Running};
use crate::service::{Service, ServiceStart};

/// What a [`ReleaseRunner`] needs to know of the surestep process.
#[derive(Clone, Default)]
pub struct RunnerConfig {
    /// surestep's own environment, of which releases get only what is named.
    pub environment: BTreeMap<OsString, OsString>,
    /// The program, and its first arguments, that calls [`supervise`](crate::supervise()): surestep's own executable with a
    /// hidden subcommand; `/proc/self/exe` names it even when its file was replaced meanwhile. Without one, processes do not end when surestep is killed.
    pub supervisor: Option<Vec<OsString>>,
}

impl fmt::Debug for RunnerConfig {
    /// Shows no values: environments hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerConfig")
            .field("n_variables", &self.environment.len())
            .field("supervisor", &self.supervisor)
            .finish()
    }
}

/// Runs releases and asks them.
#[derive(Clone, Debug)]
pub struct ReleaseRunner {
    config: RunnerConfig,
    http: Http,
    /// What lies in the folders of the releases.
    files: Arc<Mutex<Files>>,
}

impl ReleaseRunner {
    /// Makes a runner; nothing is started yet.
    pub fn new(config: RunnerConfig) -> Self {
        Self { config, http: Http::plain(), files: Arc::default() }
    }

    async fn start_kind(&self, release: &Release, start: Start) -> Result<Kind, PortError> {
        let placeholders = Placeholders {
            prompt: None,
            tap: Some(start.tap.clone()),
            port: None,
            version: Some(release.version.clone()),
            model: Some(start.model.clone()),
            key: start.control_key.clone(),
            secrets: BTreeMap::new(),
        };
        let of_asks = Placeholders {
            secrets: start.secrets.iter().cloned().collect(),
            ..placeholders.clone()
        };
        let receiver = if release.logs.contains(&LogSource::Otlp) {
            Some(Receiver::open().await?)
        } else {
            None
        };
        match &release.run {
            Run::Command(run) => {
                let commands = Commands::new(
                    run.clone(),
                    release.clone(),
                    start.secrets,
                    self.config.environment.clone(),
                    self.config.supervisor.clone(),
                    placeholders,
                    receiver,
                );
                commands.check()?;
                Ok(Kind::Command(commands))
            }
            Run::Service(run) => {
                let receiver = receiver.map(Arc::new);
                let service_start = ServiceStart {
                    run,
                    release,
                    secrets: &start.secrets,
                    own_environment: &self.config.environment,
                    supervisor: self.config.supervisor.as_deref(),
                    placeholders: &placeholders,
                    http: &self.http,
                    receiver: receiver.as_ref(),
                };
                // What can be told without starting it comes first: nothing is left to be stopped.
                let how = (run.ask.clone(), start.surface, start.gateway_key, of_asks);
                HttpRelease::check(&how)?;
                let service = Box::pin(Service::start(service_start)).await?;
                let base = format!("http://{}", service.address());
                Ok(Kind::Http(HttpRelease::new(base, self.http.clone(), how, Some(service))))
            }
            Run::Url { url, ask } => {
                let how = (ask.clone(), start.surface, start.gateway_key, of_asks);
                HttpRelease::check(&how)?;
                let files = LogSources::open(&release.logs, None);
                HttpRelease::connect(url, &self.http, how, files).await.map(Kind::Http)
            }
        }
    }
}

impl Releases for ReleaseRunner {
    type Running = Running;

    async fn start(&self, release: &Release, start: Start) -> Result<Running, PortError> {
        let kind = Box::pin(self.start_kind(release, start)).await?;
        Ok(Running::new(kind, release.deadline))
    }

    async fn ask_at(&self, running: &Running, address: SocketAddr, ask: Ask) -> Asked {
        match running.kind() {
            Kind::Command(_) => front::ask(&self.http, address, ask).await,
            Kind::Http(release) => release.ask_at(&self.http, address, &ask).await,
        }
    }

    async fn ask_uniform(&self, address: SocketAddr, ask: Ask) -> Asked {
        front::ask(&self.http, address, ask).await
    }

    async fn list_files(&self, folders: Folders) {
        let files = Arc::clone(&self.files);
        on_blocking_thread(move || *lock(&files) = Files::list(folders)).await;
    }

    async fn changed_files(&self) -> ChangedFiles {
        let files = Arc::clone(&self.files);
        // A runtime that shuts down has no use for it.
        tokio::task::spawn_blocking(move || lock(&files).changed()).await.unwrap_or_default()
    }

    async fn is_written_by_others(&self, file: FileId) -> bool {
        let look = tokio::task::spawn_blocking(move || holders::is_written_by_others(file));
        look.await.unwrap_or_default()
    }
}

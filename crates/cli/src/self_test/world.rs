//! The project of a case: folder, configuration, provider, and the wiring of any other run.

use std::path::Path;
use std::sync::Arc;

use drill::settings::Settings;
use drill::{Event, Progress};
use judge::Role;
use judge::reviews::Sighting;
use route::{EmbeddedSwitch, RouteConfig};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::case::{How, Scene};
use super::provider;
use super::switch::{Fault, Tampered};
use crate::built_in::{COMMAND, Defect, KEY, MODEL, PORT, URL, VERSION};
use crate::config;
use crate::environment::Environment;
use crate::failure::{Failure, chain};
use crate::sources::Sources;
use crate::wiring::{Effort, Wired, chance, now, state_dir, unseal, wire};

/// The one source of the contract.
const SOURCE: &str = "contract.md";

/// A project, wired.
pub(super) struct World {
    pub(super) wired: Wired,
    folder: TempDir,
    provider: Option<provider::Running>,
}

/// Nobody watches a case.
struct Nobody;

impl Progress for Nobody {
    fn event(&self, _event: Event) {}
}

impl World {
    /// Makes a project.
    pub(super) async fn make(scene: &Scene, environment: &Environment) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("surestep-self-test-")
            .tempdir()
            .map_err(|error| cannot_write(&error))?;
        let provider = match scene.provider {
            Some(trouble) => Some(provider::start(trouble).await?),
            None => None,
        };
        let base_url = provider.as_ref().map(|provider| provider.base_url.as_str());
        let configuration = configuration(scene, base_url)?;
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).map_err(|error| cannot_write(&error))
        };
        // No `sk-` in front: a key must be known for what it is, not for how it looks.
        write("key", &format!("K{:016x}z{:016x}", chance(), chance()))?;
        write("pin", "1234")?;
        write(SOURCE, "What the application relies on.\n")?;
        write(config::FILE_NAME, &format!("{configuration:#}"))?;
        let wired = wired(scene, folder.path(), environment).await?;
        Ok(Self { wired, folder, provider })
    }

    /// Makes another run on the same folder and ledger, with what this scene has.
    pub(super) async fn again(
        self,
        scene: &Scene,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let Self { wired: before, folder, provider } = self;
        end(before).await;
        let base_url = provider.as_ref().map(|provider| provider.base_url.as_str());
        let configuration = configuration(scene, base_url)?;
        std::fs::write(folder.path().join(config::FILE_NAME), format!("{configuration:#}"))
            .map_err(|error| cannot_write(&error))?;
        let wired = wired(scene, folder.path(), environment).await?;
        Ok(Self { wired, folder, provider })
    }

    /// Starts the router of the drill.
    pub(super) async fn switch(&self, fault: Fault) -> Result<Tampered, Failure> {
        let settings = &self.wired.bench.settings;
        let route = RouteConfig { listen: settings.route.listen, state_dir: state_dir(settings) };
        Tampered::new(EmbeddedSwitch::connect(route).await?, fault).await
    }

    /// Ends what still runs.
    pub(super) async fn end(self) {
        end(self.wired).await;
    }
}

async fn end(wired: Wired) {
    for provider in wired.simulated {
        provider.stop().await;
    }
    wired.ledger.close().await;
}

async fn wired(scene: &Scene, folder: &Path, environment: &Environment) -> Result<Wired, Failure> {
    let settings = load(&folder.join(config::FILE_NAME), environment).await?;
    let unsealed = unseal(&settings, environment)?;
    let mut wired = wire(settings, environment, unsealed, Arc::new(Nobody), Effort::LEAST).await?;
    let mut only = vec![judge::catalogue::HAPPY_LIVE];
    only.extend(scene.probes);
    wired.bench.only = Some(only);
    Ok(wired)
}

fn cannot_write(error: &std::io::Error) -> Failure {
    Failure::internal(
        format!("no project can be written: {error}"),
        "Look at the folder for temporary files (TMPDIR).",
    )
}

/// Reads the configuration as any other, and accepts the contract's source as it lies there.
async fn load(path: &Path, environment: &Environment) -> Result<Settings, Failure> {
    let mut settings = config::load_with_warnings(path, environment)
        .map_err(|errors| {
            Failure::internal(
                errors.render(false),
                "This is a bug of the self-test: please report it.",
            )
        })?
        .settings;
    // Any free port: cases run side by side, and beside whatever else this machine serves.
    settings.route.listen.set_port(0);
    let sources = Sources::new(&settings, environment);
    for review in &mut settings.contract.reviewed {
        use drill::ports::SourceReader as _;
        if review.digest.is_none()
            && review.by == BY
            && let Sighting::Content { digest } = sources.read(&review.source).await
        {
            review.digest = Some(digest);
        }
    }
    Ok(settings)
}

/// Who reviews; another name's reviews stay without a digest.
const BY: &str = "self-test";

fn configuration(scene: &Scene, base_url: Option<&str>) -> Result<Value, Failure> {
    let own = std::env::current_exe().map_err(|error| {
        Failure::internal(chain(&error), "The built-in releases are in this program itself.")
    })?;
    let own = own.display().to_string();
    let defect_of = |role: Role| if scene.broken == role { scene.defect } else { Defect::None };
    let mode = if scene.how == How::Stream { "stream" } else { "unary" };
    let mut provider =
        json!({ "name": "simulated", "modes": [mode], "live_calls": 60, "key": "file:key" });
    if let Some(base_url) = base_url {
        provider["name"] = json!("other");
        provider["base_url"] = json!(base_url);
    }
    let mut all = json!({
        "service": "self-test",
        "environment": "self-test",
        "provider": provider,
        "model": "self-test-model",
        "contract": {
            "reviewed": [{ "source": SOURCE, "on": now().strftime("%Y-%m-%d").to_string(), "by": BY }],
            "required_fields": ["/choices/0/message/content"],
        },
        "releases": {
            "new": release(Role::New, defect_of(Role::New), scene.how, &own),
            "rollback": release(Role::Rollback, defect_of(Role::Rollback), scene.how, &own),
        },
        "route": { "switch": "embedded", "listen": "127.0.0.1:8080", "step": 50 },
        "gates": { "strict": scene.strict },
        "ledger": "sqlite:.surestep/ledger.db",
    });
    for (pointer, json) in scene.keys {
        set(&mut all, pointer, json)?;
    }
    Ok(all)
}

fn release(role: Role, defect: Defect, how: How, own: &str) -> Value {
    use clap::ValueEnum as _;
    let defect = defect.to_possible_value().map(|value| value.get_name().to_owned());
    let run = match how {
        How::Command | How::Stream => json!({
            "command": [own, COMMAND, defect, "{prompt}"],
            "stream": { "command": [own, COMMAND, defect, "--stream", "{prompt}"] },
        }),
        How::Service => json!({
            "service": [own, COMMAND, defect, "--serve"],
            "env_port": PORT,
            "ready": "/healthz",
            "ready_within": "10s",
            "ask": { "post": "/ask", "json": { "question": "{prompt}" }, "answer": "/answer" },
            "stream": {
                "post": "/ask/stream", "json": { "question": "{prompt}" },
                "answer": "sse:/delta", "done": "event:done", "refused": "event:error",
            },
        }),
        How::Gateway => json!({
            "service": [own, COMMAND, defect, "--serve"],
            "env_port": PORT,
            "ready": "/healthz",
            "ready_within": "10s",
            "ask": { "openai": "/v1", "model": "self-test-gateway" },
        }),
    };
    let version = match role {
        Role::New => "2.4.0",
        Role::Rollback => "2.3.1",
    };
    json!({
        "version": version,
        "run": run,
        "env": { URL: "{tap}", MODEL: "{model}", VERSION: "{version}" },
        "secrets": { KEY: "file:key" },
        "deadline": "10s",
        "retry": { "max_attempts": 3, "max_elapsed": "8s" },
        "logs": ["stderr"],
    })
}

/// Sets what a pointer names; `null` takes it away.
fn set(all: &mut Value, pointer: &str, json: &str) -> Result<(), Failure> {
    let bug = |what: &str| {
        Failure::internal(format!("{what}: {pointer} {json}"), "This is a bug of the self-test.")
    };
    let value: Value = serde_json::from_str(json).map_err(|_error| bug("no JSON"))?;
    let (parent, key) = pointer.rsplit_once('/').ok_or_else(|| bug("no pointer"))?;
    let parent = all.pointer_mut(parent).and_then(Value::as_object_mut);
    let parent = parent.ok_or_else(|| bug("nothing there"))?;
    if value.is_null() {
        parent.shift_remove(key);
    } else {
        parent.insert(key.to_owned(), value);
    }
    Ok(())
}

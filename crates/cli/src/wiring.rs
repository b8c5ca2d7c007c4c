//! Wires a run: secrets, ledger, provider, tap, releases and control, out of settings and environment.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use contract::Mode;
use drill::ports::Upstream;
use drill::settings::{HttpAsk, LedgerUrl, Provider, ProviderEndpoint, Run, Settings};
use drill::{Bench, ControlPort, Progress, ReleaseSecrets, RunNames, Secrets, Upstreams};
use evidence::{Ledger, Needle, NeedleKind, Scanner, Sensitive};
use jiff::Timestamp;
use judge::catalogue::Depth;
use judge::judging::Control;
use judge::{Finding, Role, Severity};
use provider::ProviderConfig;
use release::{ReleaseRunner, RunnerConfig};
use tap::control::{ControlCall, control};
use tap::{TapConfig, TapServer};

use crate::args::EffortArgs;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::sources::Sources;
use crate::{config, subject};

/// The hidden subcommand under which releases run, so that they end when surestep does.
pub(crate) const SUPERVISE: &str = "__supervise";

/// How long surestep's own call may take: longer than any reply to the smoke prompt, shorter than a person waits.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(20);

/// A run's bench with what has to live as long as it.
pub(crate) struct Wired {
    pub(crate) bench: Bench<TapServer, ReleaseRunner, Controller>,
    pub(crate) ledger: Ledger,
    pub(crate) simulated: Vec<provider::Running>,
}

/// Returns the wall clock's time.
#[expect(clippy::disallowed_methods, reason = "the one place where the wall clock enters")]
pub(crate) fn now() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Returns where the ledger is.
pub(crate) fn ledger_path(settings: &Settings) -> PathBuf {
    match &settings.ledger {
        LedgerUrl::Sqlite(path) => path.clone(),
    }
}

/// Returns the folder of the ledger, where the route keeps its state.
pub(crate) fn state_dir(settings: &Settings) -> PathBuf {
    ledger_path(settings).parent().map_or_else(|| settings.base.clone(), PathBuf::from)
}

/// All secrets of a configuration, resolved, and a scanner for them.
pub(crate) struct Unsealed {
    pub(crate) secrets: Secrets,
    pub(crate) scanner: Scanner,
}

/// Resolves all secrets. A release's own that cannot be resolved is a finding about that release; the control's is a failure.
pub(crate) fn unseal(settings: &Settings, environment: &Environment) -> Result<Unsealed, Failure> {
    let new = release_secrets(settings, Role::New, environment)?;
    let rollback = release_secrets(settings, Role::Rollback, environment)?;
    let mut needles = Vec::new();
    for (role, secrets) in [(Role::New, &new), (Role::Rollback, &rollback)] {
        for (variable, value) in &secrets.values {
            needles.push(credential(format!("secret {variable} of {role}"), value));
        }
        needles.extend(
            secrets.control.iter().map(|value| credential("the control's key".to_owned(), value)),
        );
        needles.extend(
            secrets
                .gateway_key
                .iter()
                .map(|value| credential(format!("gateway key of {role}"), value)),
        );
    }
    Ok(Unsealed { secrets: Secrets { new, rollback }, scanner: Scanner::new(needles) })
}

/// A needle for a credential; blanks and line breaks round it are not a part of what leaks.
fn credential(name: String, value: &Sensitive) -> Needle {
    Needle::new(NeedleKind::Credential, name, Sensitive::new(value.expose().trim()))
}

fn release_secrets(
    settings: &Settings,
    role: Role,
    environment: &Environment,
) -> Result<ReleaseSecrets, Failure> {
    let release = settings.release(role);
    let control = config::resolve_control(settings.provider_of(role), environment, &settings.base)
        .map_err(|problem| {
            Failure::usage(format!("surestep's own call needs its key: {problem}"), problem.help)
        })?;
    let mut found = ReleaseSecrets { control: Some(control.clone()), ..ReleaseSecrets::default() };
    for (variable, source) in &release.secrets {
        match config::resolve(source, environment, &settings.base, Some(&control)) {
            Ok(value) => found.values.push((variable.clone(), value)),
            Err(problem) => found.problems.push(missing(role, variable, &problem)),
        }
    }
    if let Some(source) = gateway_key(&release.run) {
        match config::resolve(source, environment, &settings.base, Some(&control)) {
            Ok(value) => found.gateway_key = Some(value),
            Err(problem) => found.problems.push(missing(role, "the gateway's key", &problem)),
        }
    }
    Ok(found)
}

fn missing(role: Role, what: &str, problem: &config::SecretProblem) -> Finding {
    Finding::new(
        Severity::Fail,
        "credential-missing",
        format!("a secret for {what}"),
        problem.to_string(),
        format!("{}. Without it this release cannot make a single call.", problem.help),
    )
    .of_release(role)
}

fn gateway_key(run: &Run) -> Option<&drill::settings::SecretSource> {
    let ask = match run {
        Run::Command(_) => return None,
        Run::Service(service) => &service.ask,
        Run::Url { ask, .. } => ask,
    };
    match ask {
        HttpAsk::Openai { key, .. } => key.as_ref(),
        HttpAsk::Mapped { .. } => None,
    }
}

/// Wires a run.
pub(crate) async fn wire(
    settings: Settings,
    environment: &Environment,
    unsealed: Unsealed,
    progress: Arc<dyn Progress>,
    effort: Effort,
) -> Result<Wired, Failure> {
    let Unsealed { secrets, mut scanner } = unsealed;
    let ledger = Ledger::open(&ledger_path(&settings)).await?;
    let fingerprinter = ledger.fingerprinter();
    let subject = subject::subject(&settings, &secrets, &fingerprinter);
    let names = RunNames::new(now(), chance());
    scanner.add(names.needles());
    let mut simulated = Vec::new();
    let mut upstreams = Vec::new();
    for role in Role::BOTH {
        let (upstream, started) = upstream(&settings, role, secrets.of(role)).await?;
        simulated.extend(started);
        upstreams.push(upstream);
    }
    let [new, rollback] = <[Upstream; 2]>::try_from(upstreams).map_err(|_these| {
        Failure::internal(
            "a release has no upstream",
            "This is a bug of surestep: please report it.",
        )
    })?;
    let upstreams = Upstreams { new, rollback };
    let settings = Arc::new(settings);
    let tap_fingerprinter = ledger.fingerprinter();
    let bench = Bench {
        tap: TapServer::new(TapConfig {
            fingerprint: Arc::new(move |bytes| tap_fingerprinter.fingerprint("credential", bytes)),
        })
        .with_trust_folder(state_dir(&settings).join("forward")),
        releases: ReleaseRunner::new(RunnerConfig {
            environment: environment.all(),
            supervisor: supervisor(),
        }),
        sources: Arc::new(Sources::new(&settings, environment)),
        control: Controller::new(&settings, &upstreams, &secrets),
        upstreams,
        secrets,
        subject,
        fingerprinter,
        scanner,
        progress,
        names,
        now,
        depth: effort.depth,
        only: None,
        jobs: effort.jobs.unwrap_or_else(cores),
        live_calls: drill::LiveCalls::new(settings.provider.live_calls),
        starting: drill::Starting::default(),
        late_logs: drill::LateLogs::default(),
        preconditions: Vec::new(),
        settings,
    };
    Ok(Wired { bench, ledger, simulated })
}

/// Returns the program that holds releases: this one, by its hidden subcommand.
pub(crate) fn supervisor() -> Option<Vec<OsString>> {
    let own = std::env::current_exe().ok()?;
    Some(vec![own.into_os_string(), OsString::from(SUPERVISE)])
}

/// How much is asked, and how much at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    depth: Depth,
    jobs: Option<usize>,
}

impl Effort {
    /// As little as there is, for a run beside many others.
    pub(crate) const LEAST: Self = Self { depth: Depth::Default, jobs: Some(2) };
}

impl From<EffortArgs> for Effort {
    fn from(args: EffortArgs) -> Self {
        let depth = if args.thorough { Depth::Thorough } else { Depth::Default };
        Self { depth, jobs: args.jobs }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// Draws 64 bits: names of a run have to differ, and need not be secret.
pub(crate) fn chance() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}

async fn upstream(
    settings: &Settings,
    role: Role,
    secrets: &ReleaseSecrets,
) -> Result<(Upstream, Option<provider::Running>), Failure> {
    let provider = settings.provider_of(role);
    let (base_url, started) = match &provider.endpoint {
        ProviderEndpoint::Url(url) => (url.clone(), None),
        ProviderEndpoint::Simulated => {
            let running = start_simulated(settings, role, provider, secrets).await?;
            (running.base_url(), Some(running))
        }
    };
    let upstream = Upstream {
        base_url,
        connect_to: provider.connect_to.clone(),
        ca: provider.ca.clone(),
        proxy: provider.proxy.clone(),
    };
    Ok((upstream, started))
}

/// Starts the simulated provider. It knows the control's key and the configured models, and nothing else.
pub(crate) async fn start_simulated(
    settings: &Settings,
    role: Role,
    provider: &Provider,
    secrets: &ReleaseSecrets,
) -> Result<provider::Running, Failure> {
    let release = settings.release(role);
    let mut models = vec![settings.model_of(role).to_owned()];
    models.extend(release.models.iter().chain(&release.fallback_models).cloned());
    let config = ProviderConfig {
        profile: provider.profile,
        keys: secrets.control.iter().map(|key| key.expose().trim().to_owned()).collect(),
        models,
        ..ProviderConfig::default()
    };
    provider::Provider::start(config).await.map_err(|error| {
        Failure::internal(
            crate::failure::chain(&error),
            "See whether this machine lets programs listen on loopback.",
        )
    })
}

/// Makes surestep's own calls.
#[derive(Debug)]
pub(crate) struct Controller {
    new: Option<ControlCall>,
    rollback: Option<ControlCall>,
}

impl Controller {
    fn new(settings: &Settings, upstreams: &Upstreams, secrets: &Secrets) -> Self {
        let call = |role: Role| {
            let provider = settings.provider_of(role);
            Some(ControlCall {
                upstream: upstreams.of(role).clone(),
                key: secrets.of(role).control.clone()?,
                surface: provider.surface,
                mode: Mode::Unary,
                profile: provider.profile,
                model: settings.model_of(role).to_owned(),
                prompt: Sensitive::new(contract::smoke::prompt("surestep control", "SSL-CONTROL")),
                timeout: CONTROL_TIMEOUT,
            })
        };
        Self { new: call(Role::New), rollback: call(Role::Rollback) }
    }
}

impl ControlPort for Controller {
    async fn call(&self, role: Role, mode: Mode) -> Control {
        let call = match role {
            Role::New => &self.new,
            Role::Rollback => &self.rollback,
        };
        let Some(call) = call else { return Control::Unreachable };
        let report = control(&ControlCall { mode, ..call.clone() }).await;
        match (report.status, report.judgement) {
            (Some(status), Some(judgement)) => {
                if let Some(error) = judgement.error {
                    return Control::Refused { status, class: error.class };
                }
                if judgement.verdict == contract::ContractVerdict::Hold {
                    let codes = judgement
                        .findings
                        .iter()
                        .filter(|finding| finding.verdict == contract::ContractVerdict::Hold)
                        .map(|finding| finding.code.to_owned())
                        .collect();
                    return Control::OffContract { codes };
                }
                Control::Good
            }
            (_, _) => Control::Unreachable,
        }
    }
}

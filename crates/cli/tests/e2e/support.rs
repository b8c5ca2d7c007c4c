//! A written project with two plain releases: runs surestep in it, and looks for what must not be left behind.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{
    Leak, MARKER_VARIABLE, Needle, Orphan, orphans, releases_folder, scan_bytes, scan_folder,
};

/// The longest that anything may take on a machine with much else to do.
pub(crate) const LONG: Duration = Duration::from_secs(180);
/// How long processes that were told to end may take to be gone.
const GONE: Duration = Duration::from_secs(20);

/// Waits until the condition holds; `false` when it took longer than `limit`.
pub(crate) fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    const LOOK_AGAIN: Duration = Duration::from_millis(20);
    let clock = Clock::starting_now();
    while !condition() {
        if clock.elapsed() > limit {
            return false;
        }
        // Nothing can wake us: other processes are waited for.
        std::thread::park_timeout(LOOK_AGAIN);
    }
    true
}

/// The clock of whoever waits for other processes.
pub(crate) struct Clock(std::time::Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "tests wait in real time for real processes")]
    pub(crate) fn starting_now() -> Self {
        Self(std::time::Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Returns 16 hexadecimal digits of chance.
pub(crate) fn chance() -> String {
    format!("{:016x}", std::hash::RandomState::new().build_hasher().finish())
}

/// Returns a port of loopback that is free now, and that no connection gets by chance before it is listened on: those are
/// numbered from 32768.
pub(crate) fn port() -> u16 {
    const FIRST: u64 = 10_000;
    const N_PORTS: u64 = 22_000;
    loop {
        let number = std::hash::RandomState::new().build_hasher().finish() % N_PORTS + FIRST;
        let port = u16::try_from(number).expect("a port");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Returns a text in double quotes, as YAML and JSON both read it.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// One release of a project.
#[derive(Clone)]
pub(crate) struct Release {
    keys: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    secret: String,
}

impl Release {
    /// The healthy plain service.
    pub(crate) fn plain(version: &str) -> Self {
        Self::script(version, "service.py")
    }

    /// A service of `releases/plain`.
    pub(crate) fn script(version: &str, script: &str) -> Self {
        Self::service(version, &["python3", script])
    }

    /// A service of any command.
    pub(crate) fn service(version: &str, command: &[&str]) -> Self {
        let run = format!(
            "{{ service: {}, env_port: PORT, ready: /healthz, ready_within: 90s, ask: {} }}",
            json!(command),
            r#"{ post: /ask, json: { question: "{prompt}" }, answer: /answer }"#
        );
        Self {
            keys: vec![
                ("version".into(), quoted(version)),
                ("run".into(), run),
                ("directory".into(), quoted(&plain_folder().display().to_string())),
                ("deadline".into(), "30s".into()),
                ("retry".into(), "{ max_attempts: 1, max_elapsed: 20s }".into()),
            ],
            environment: [
                ("COMETAPI_BASE_URL", "{tap}"),
                ("SUPPORT_MODEL", "{model}"),
                ("APP_VERSION", "{version}"),
                ("LLM_DEADLINE", "2"),
                // Scripts lie in the source tree.
                ("PYTHONDONTWRITEBYTECODE", "1"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            secret: String::new(),
        }
    }

    /// Sets a key, its value in YAML on one line.
    pub(crate) fn key(mut self, key: &str, yaml: &str) -> Self {
        self.keys.retain(|(known, _)| known != key);
        self.keys.push((key.to_owned(), yaml.to_owned()));
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes its secret from elsewhere.
    pub(crate) fn secret(mut self, source: &str) -> Self {
        source.clone_into(&mut self.secret);
        self
    }

    fn yaml(&self, marker: &str, key_file: &str) -> String {
        let mut variables = self.environment.clone();
        variables.push((MARKER_VARIABLE.to_owned(), marker.to_owned()));
        let variables: Vec<String> =
            variables.iter().map(|(name, value)| format!("{name}: {}", quoted(value))).collect();
        let secret = if self.secret.is_empty() { key_file } else { &self.secret };
        let mut text: String =
            self.keys.iter().map(|(key, value)| format!("    {key}: {value}\n")).collect();
        text.push_str(&format!("    env: {{ {} }}\n", variables.join(", ")));
        text.push_str(&format!("    secrets: {{ COMETAPI_API_KEY: {} }}\n", quoted(secret)));
        text
    }
}

/// The folder of the plain releases.
pub(crate) fn plain_folder() -> PathBuf {
    releases_folder().join("plain")
}

/// What a project is made of.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) new: Release,
    pub(crate) rollback: Release,
    /// Of `provider`, without surface, modes and key.
    pub(crate) provider: String,
    pub(crate) provider_key: String,
    pub(crate) key: String,
    pub(crate) model: String,
    /// Of the contract.
    pub(crate) source: String,
    pub(crate) required_fields: String,
    pub(crate) step: u8,
    pub(crate) extra: String,
}

impl Plan {
    /// Two healthy releases and the simulated provider.
    pub(crate) fn healthy() -> Self {
        Self {
            new: Release::plain("2.4.0"),
            rollback: Release::plain("2.3.1"),
            provider: "name: simulated".to_owned(),
            provider_key: String::new(),
            // No `sk-` in front: a key must be known for what it is, not for how it looks.
            key: format!("K{}z{}", chance(), chance()),
            model: "test-model".to_owned(),
            source: "contract.md".to_owned(),
            required_fields: "[/choices/0/message/content]".to_owned(),
            step: 50,
            extra: String::new(),
        }
    }

    /// The same with another `new`.
    pub(crate) fn with_new(new: Release) -> Self {
        Self { new, ..Self::healthy() }
    }

    /// Talks to a provider at a base URL.
    pub(crate) fn provider_at(mut self, base_url: &str) -> Self {
        self.provider = format!("name: cometapi\n  base_url: {}", quoted(base_url));
        self
    }

    pub(crate) fn write(self) -> Project {
        let folder = |prefix: &str| {
            tempfile::Builder::new().prefix(prefix).tempdir().expect("a temporary folder")
        };
        let project = Project {
            folder: folder("surestep-e2e-"),
            beside: folder("surestep-e2e-beside-"),
            marker: format!("e2e-{}", chance()),
            route_port: port(),
            plan: self,
        };
        fs::write(project.beside().join("key"), &project.plan.key).expect("the key is written");
        fs::write(project.folder().join("contract.md"), "What the application relies on.\n")
            .expect("a page is written");
        project.configure();
        project
    }
}

/// A written project.
pub(crate) struct Project {
    folder: TempDir,
    /// Secrets and captured output: no part of what must hold no secret.
    beside: TempDir,
    marker: String,
    pub(crate) route_port: u16,
    pub(crate) plan: Plan,
}

impl Project {
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn beside(&self) -> &Path {
        self.beside.path()
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.folder().join(".surestep/ledger.db")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder().join("surestep.yaml")
    }

    pub(crate) fn key_source(&self) -> String {
        format!("file:{}", self.beside().join("key").display())
    }

    /// Writes the configuration anew.
    pub(crate) fn configure(&self) {
        let plan = &self.plan;
        let key = self.key_source();
        let provider_key = if plan.provider_key.is_empty() { &key } else { &plan.provider_key };
        let today = jiff::Zoned::now().date();
        let (provider, model, required, step, extra) =
            (&plan.provider, &plan.model, &plan.required_fields, plan.step, &plan.extra);
        let source = quoted(&plan.source);
        let (new, rollback) =
            (plan.new.yaml(&self.marker, &key), plan.rollback.yaml(&self.marker, &key));
        let provider_key = quoted(provider_key);
        let port = self.route_port;
        let text = format!(
            "service: support-bot\nenvironment: test\n\
             provider:\n  {provider}\n  surface: chat\n  modes: [unary]\n  key: {provider_key}\n  live_calls: 300\n\
             model: {model}\n\
             contract:\n  reviewed:\n    - {{ source: {source}, on: {today}, by: tests }}\n  required_fields: {required}\n\
             releases:\n  new:\n{new}  rollback:\n{rollback}\
             route: {{ switch: embedded, listen: \"127.0.0.1:{port}\", step: {step} }}\n\
             ledger: \"sqlite:.surestep/ledger.db\"\n{extra}\n"
        );
        fs::write(self.config(), text).expect("the configuration is written");
    }

    /// Replaces a text of the configuration.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.config()).expect("the configuration is there");
        assert!(text.contains(from), "{from:?} is not in the configuration:\n{text}");
        fs::write(self.config(), text.replace(from, to)).expect("the configuration is written");
    }

    /// Runs surestep to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        self.run_with(arguments, &[])
    }

    /// Runs surestep to its end, with more variables in its environment.
    #[track_caller]
    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Done {
        let mut running = self.start_with(arguments, variables);
        assert!(
            running.ends_within(LONG),
            "`surestep {}` does not end:\n{}",
            arguments.join(" "),
            running.so_far()
        );
        running.done()
    }

    /// Starts surestep.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_with(arguments, &[])
    }

    fn start_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Running {
        let output = self.beside().join(format!("output-{}", chance()));
        let (stdout, stderr) = (output.with_extension("stdout"), output.with_extension("stderr"));
        let file = |path: &Path| File::create(path).expect("a file for output");
        let child = Command::new(env!("CARGO_BIN_EXE_surestep"))
            .args(arguments)
            .current_dir(self.folder())
            .env(MARKER_VARIABLE, &self.marker)
            // What a self-test says here is for this project only.
            .env("XDG_STATE_HOME", self.beside().join("state"))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(file(&stdout))
            .stderr(file(&stderr))
            .process_group(0)
            .spawn()
            .expect("surestep starts");
        Running { child, stdout, stderr }
    }

    /// Drills, and asserts that it ends with this code and leaves nothing behind.
    #[track_caller]
    pub(crate) fn drill(&self, code: i32) -> Done {
        let done = self.run(&["drill", "--yes", "--format", "json"]);
        assert_eq!(done.code, Some(code), "{done}");
        assert_eq!(self.orphans(), vec![], "{done}");
        self.assert_route_is_back();
        done
    }

    /// Asserts that all traffic is on `rollback`, as `route show` tells it.
    #[track_caller]
    pub(crate) fn assert_route_is_back(&self) {
        let shown = self.run(&["route", "show", "--format", "json"]);
        assert_eq!(shown.code, Some(0), "{shown}");
        assert_eq!(shown.json()["share"], json!({ "new": 0, "rollback": 100 }), "{shown}");
    }

    /// Asserts that nothing in the ledger was changed or dropped.
    #[track_caller]
    pub(crate) fn assert_intact(&self) {
        let verified = self.run(&["evidence", "verify", "--format", "json"]);
        assert_eq!(verified.code, Some(0), "{verified}");
        assert_eq!(verified.json()["intact"], json!(true), "{verified}");
    }

    /// Returns the processes of this project that still run, after a time in which ending ones may end.
    pub(crate) fn orphans(&self) -> Vec<Orphan> {
        wait_until(GONE, || orphans(&self.marker).is_empty());
        orphans(&self.marker)
    }

    /// Returns where the key, a prompt, a completion or a further needle stands: in any file below the folder, or in output.
    pub(crate) fn leaks(&self, outputs: &[&Done], further: &[Needle]) -> Vec<Leak> {
        let mut needles = vec![
            Needle::new("the key", &self.plan.key),
            Needle::new("the key's first half", self.plan.key.get(..14).expect("a long key")),
            Needle::new("a prompt", "Release check. Reply with"),
            Needle::new("a prompt's end", "this label and nothing else"),
        ];
        needles.extend(further.iter().cloned());
        let mut leaks =
            scan_folder(self.folder(), &needles).expect("the files of the project can be read");
        for (n, done) in outputs.iter().enumerate() {
            leaks.extend(scan_bytes(&format!("stdout {n}"), &done.stdout, &needles));
            leaks.extend(scan_bytes(&format!("stderr {n}"), &done.stderr, &needles));
        }
        leaks
    }

    /// Asks through the route as a user does.
    pub(crate) fn ask_as_user(&self) -> Result<Value, String> {
        let asked = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.route_port))?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            let body = json!({ "question": "Where is my parcel?" }).to_string();
            write!(
                stream,
                "POST /ask HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{body}",
                body.len()
            )?;
            let mut reply = String::new();
            stream.read_to_string(&mut reply)?;
            Ok(reply)
        };
        let reply = asked().map_err(|error| error.to_string())?;
        let (_, body) = reply.split_once("\r\n\r\n").ok_or_else(|| reply.clone())?;
        serde_json::from_str(body).map_err(|_not_json| reply.clone())
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // A failed test leaves nothing running.
        for orphan in orphans(&self.marker) {
            if let Some(pid) = i32::try_from(orphan.pid).ok().and_then(Pid::from_raw) {
                kill_process(pid, Signal::KILL).ok();
            }
        }
    }
}

/// A surestep under way. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    /// Waits for its end.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> bool {
        wait_until(limit, || matches!(self.child.try_wait(), Ok(Some(_))))
    }

    /// Sends it a signal, and to nobody else.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid =
            i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        // It may have ended by itself in between.
        kill_process(pid, signal).ok();
    }

    /// Returns what it has written on standard error.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap_or_default()).into_owned()
    }

    /// Waits until it has written this on standard error; `false` when it ended before.
    pub(crate) fn says(&mut self, what: &str) -> bool {
        let mut ended = false;
        wait_until(LONG, || {
            // In this order: what it said last counts.
            ended = matches!(self.child.try_wait(), Ok(Some(_)));
            self.said().contains(what) || ended
        });
        self.said().contains(what)
    }

    /// Returns the most memory that it had so far.
    pub(crate) fn peak_kb(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .ok()
    }

    fn so_far(&self) -> String {
        format!(
            "{}\n{}",
            String::from_utf8_lossy(&fs::read(&self.stdout).unwrap_or_default()),
            self.said()
        )
    }

    /// Waits for its end and returns it.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Done {
        assert!(self.ends_within(LONG), "it does not end:\n{}", self.so_far());
        self.done()
    }

    /// Returns how it ended.
    pub(crate) fn done(mut self) -> Done {
        let status = self.child.wait().expect("a child of ours can be waited for");
        Done {
            code: status.code(),
            signal: status.signal(),
            stdout: fs::read(&self.stdout).expect("its output is there"),
            stderr: fs::read(&self.stderr).expect("its output is there"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
                kill_process_group(group, Signal::KILL).ok();
            }
            self.child.wait().ok();
        }
    }
}

/// A surestep that has ended.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Done {
    /// Returns standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON on standard output ({error}): {self}"))
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Returns the codes of the findings of a release, or of none, that block.
    pub(crate) fn codes(&self, release: Option<&str>) -> Vec<String> {
        let json = self.json();
        let findings = json["findings"].as_array().cloned().unwrap_or_default();
        let mut codes: Vec<String> = findings
            .iter()
            .filter(|finding| finding["release"].as_str() == release)
            .filter(|finding| matches!(finding["severity"].as_str(), Some("fail" | "ambiguous")))
            .filter_map(|finding| finding["code"].as_str().map(str::to_owned))
            .collect();
        codes.sort();
        codes.dedup();
        codes
    }

    /// Returns the verdict and the reasons of a gate.
    #[track_caller]
    pub(crate) fn gate(&self, name: &str) -> (String, String) {
        let json = self.json();
        let gates = json["gates"].as_array().cloned().unwrap_or_default();
        let gate = gates
            .iter()
            .find(|gate| gate["gate"] == *name)
            .unwrap_or_else(|| panic!("no gate {name}: {self}"));
        (gate["verdict"].as_str().unwrap_or_default().to_owned(), gate["reasons"].to_string())
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "exit code {:?}, signal {:?}", self.code, self.signal)?;
        writeln!(f, "--- standard output\n{}", self.out())?;
        write!(f, "--- standard error\n{}", self.err())
    }
}

/// A misbehaving provider. Dropping it ends it.
pub(crate) struct BadProvider {
    child: Child,
    port: u16,
}

impl BadProvider {
    /// Starts the one that misbehaves so.
    pub(crate) fn start(how: &str) -> Self {
        let mut child = Command::new("python3")
            .arg("provider.py")
            .current_dir(plain_folder())
            .env("HOW", how)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("standard output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the provider says its port");
        Self { child, port: line.trim().parse().expect("a port") }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }
}

impl Drop for BadProvider {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

//! Real clients through the tap, as base URL and as proxy, in both modes: each call arrives, is attributed, and is answered as
//! without the tap. What a client cannot do is known as well: docs/clients.md is this table in words.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use contract::{Profile, Surface};
use drill::ports::{ArmedAsk, OpenPort, PortKind, Tap as _, TapPort as _, Upstream, Way};
use drill::settings::{Forward, SIMULATED_BASE_URL};
use judge::{AskId, Fingerprint, Marker, Observation, Role, Stimulus};
use release::{NODE_PROXY_VARIABLE, PROXY_VARIABLES, TRUST_VARIABLES};
use serde_json::Value;
use tap::{ListeningPort, TapConfig, TapServer};
use testkit::{environment, releases_folder};

const LABEL: &str = "SSL-0123456789ab";

/// Whether a client goes by the proxy variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proxied {
    Yes,
    Never,
}

fn ask() -> ArmedAsk {
    ArmedAsk {
        id: AskId(1),
        marker: Marker::new(1),
        label: LABEL.to_owned(),
        question: Some(contract::smoke::Wording::Plain),
        asked_with: contract::conversation::AskedWith::Question,
        stimulus: Stimulus::Documented,
        exclusive: false,
        among_users: false,
        live_calls_max: 0,
        attempts_max: 100,
    }
}

fn spec(kind: PortKind) -> OpenPort {
    OpenPort {
        role: Role::New,
        kind,
        // Nothing is relayed here.
        upstream: Upstream {
            base_url: "http://127.0.0.1:9/v1".to_owned(),
            connect_to: None,
            ca: None,
            proxy: None,
        },
        surface: Surface::Chat,
        profile: Profile::Openai,
    }
}

async fn collect(port: &ListeningPort) -> Observation {
    port.collect(AskId(1), Duration::from_secs(5)).await.0
}

/// Runs a client that asks in both modes, at the tap and through it.
fn run(command: &mut Command, reverse: &Way, forward: &Way) -> Vec<u8> {
    let proxy = forward.proxy.as_ref().expect("a proxy");
    for name in PROXY_VARIABLES {
        command.env(name, &proxy.url);
    }
    for name in TRUST_VARIABLES {
        command.env(name, &proxy.trust);
    }
    let loopback = "127.0.0.1,localhost,::1";
    let done = command
        .args([&reverse.base_url, &forward.base_url])
        .envs([("NO_PROXY", loopback), ("no_proxy", loopback), (NODE_PROXY_VARIABLE, "1")])
        .env("API_KEY", "sk-client")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("the client can be run");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    done.stdout
}

/// Checks a client; `answers` reads the four answers out of what it wrote.
#[track_caller]
fn check(
    mut command: Command,
    proxied: Proxied,
    answers: fn(&[u8]) -> Vec<Result<String, String>>,
) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let tap = TapServer::new(TapConfig {
        fingerprint: Arc::new(|secret: &[u8]| {
            Fingerprint::from_digest(&(secret.len() as u64).to_be_bytes())
        }),
    })
    .with_trust_folder(folder.path().join("forward"));
    let forward =
        PortKind::Forward { base_url: SIMULATED_BASE_URL.to_owned(), rules: Forward::default() };
    let ports = runtime.block_on(async {
        let ports = [
            tap.open(spec(PortKind::Reverse { listen: None })).await.expect("a port"),
            tap.open(spec(forward)).await.expect("a port"),
        ];
        ports.iter().for_each(|port| port.arm(ask()));
        ports
    });
    let prompt = contract::smoke::prompt(Marker::new(1).as_str(), LABEL);
    command.args(["m", &prompt]);
    let wrote = run(&mut command, &ports[0].way(), &ports[1].way());
    let answers = answers(&wrote);
    let seen = runtime.block_on(async { [collect(&ports[0]).await, collect(&ports[1]).await] });
    let text = judge::documented_text(LABEL);
    let [in_reverse, in_forward] = &seen;
    let as_sent = |answer: &Result<String, String>| answer.as_deref() == Ok(text.as_str());
    assert!(answers[..2].iter().all(as_sent), "in reverse mode: {answers:#?}");
    arrived(in_reverse);
    match proxied {
        Proxied::Yes => {
            assert!(answers[2..].iter().all(as_sent), "in forward mode: {answers:#?}");
            arrived(in_forward);
        }
        Proxied::Never => {
            assert!(answers[2..].iter().all(Result::is_err), "in forward mode: {answers:#?}");
            assert_eq!((in_forward.exchanges.len(), in_forward.certificates_shown), (0, 0));
        }
    }
}

/// Both calls arrived whole and are known for the ask's.
#[track_caller]
fn arrived(seen: &Observation) {
    let calls: Vec<_> = seen
        .exchanges
        .iter()
        .map(|call| (call.request.path.as_str(), call.request.stream, call.request.carries_marker))
        .collect();
    let path = "/v1/chat/completions";
    assert_eq!(calls, [(path, false, true), (path, true, true)], "{seen:#?}");
    assert_eq!((seen.lost, &*seen.tunnels), (0, &[][..]));
}

/// Reads what the scripts in Python and JavaScript write.
fn documents(wrote: &[u8]) -> Vec<Result<String, String>> {
    let results: Vec<Value> = serde_json::from_slice(wrote).expect("a list");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    results
        .iter()
        .map(|result| match result.get("answer") {
            Some(answer) => Ok(text(answer)),
            None => Err(text(&result["error"])),
        })
        .collect()
}

/// Reads replies as they came over the wire.
fn replies(wrote: &[u8]) -> Vec<Result<String, String>> {
    let content = |document: &str| -> String {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let choice = &document["choices"][0];
        let text = choice["message"]["content"].as_str().or(choice["delta"]["content"].as_str());
        text.unwrap_or_default().to_owned()
    };
    String::from_utf8_lossy(wrote)
        .split("--next--\n")
        .filter(|reply| !reply.trim().is_empty())
        .map(|reply| {
            let events: String =
                reply.lines().filter_map(|line| line.strip_prefix("data: ")).map(content).collect();
            let text = if events.is_empty() { content(reply) } else { events };
            if text.is_empty() { Err(reply.to_owned()) } else { Ok(text) }
        })
        .collect()
}

fn clients(name: &str) -> std::path::PathBuf {
    releases_folder().join("clients").join(name)
}

#[track_caller]
fn python(place: &str, client: &str, proxied: Proxied) {
    let place = environment(place).expect("it is installed by `cargo xtask test`");
    let mut command = Command::new(place.join("bin/python"));
    command.arg(clients("clients.py")).arg(client);
    check(command, proxied, documents);
}

#[track_caller]
fn node(program: &Path, place: &str, client: &str, proxied: Proxied) {
    let place = environment(place).expect("it is installed by `cargo xtask test`");
    let mut command = Command::new(program);
    command.env("SDK_HOME", place).arg(clients("clients.mjs")).arg(client);
    check(command, proxied, documents);
}

fn node_24() -> std::path::PathBuf {
    let modules = environment("node-24").expect("it is installed by `cargo xtask test`");
    let entries = std::fs::read_dir(modules.join("node_modules")).expect("it is whole");
    entries
        .map(|entry| entry.expect("an entry").path().join("bin/node"))
        .find(|program| program.is_file())
        .expect("a Node is installed")
}

#[test]
fn python_clients_that_read_the_environment() {
    python("python-openai-1", "openai", Proxied::Yes);
    python("python-openai-3", "openai", Proxied::Yes);
    python("python-langchain", "langchain", Proxied::Yes);
    python("python-litellm", "litellm", Proxied::Yes);
    python("python-clients", "httpx", Proxied::Yes);
    python("python-clients", "requests", Proxied::Yes);
    python("python-clients", "urllib", Proxied::Yes);
    python("python-clients", "aiohttp_trust_env", Proxied::Yes);
}

#[test]
fn aiohttp_reads_it_only_when_it_is_told_to() {
    python("python-clients", "aiohttp", Proxied::Never);
}

#[test]
fn node_clients_on_a_node_that_reads_the_environment() {
    let program = node_24();
    node(&program, "node-openai-7", "openai", Proxied::Yes);
    node(&program, "node-openai-7", "fetch", Proxied::Yes);
    node(&program, "node-clients", "ai", Proxied::Yes);
}

#[test]
fn old_node_sdk_never_reads_it() {
    node(&node_24(), "node-openai-4", "openai", Proxied::Never);
}

#[test]
fn async_openai_reads_it() {
    let tests = std::env::current_exe().expect("a running program has a place");
    let target = tests.ancestors().nth(2).expect("it lies in a folder of the target's");
    let client = target.join("examples/async_openai");
    assert!(client.is_file(), "`cargo build -p cli --example async_openai` makes the client");
    check(Command::new(client), Proxied::Yes, documents);
}

#[test]
fn curl_reads_it() {
    check(Command::new(clients("clients.sh")), Proxied::Yes, replies);
}

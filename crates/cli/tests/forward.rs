//! Releases that keep their base URL and have the tap for their proxy, against a provider behind TLS and a private CA: healthy
//! ones are promoted, and what only this shows is held for its own reason.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use provider::{Provider, ProviderConfig};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use testkit::{Form, Pair, Project, ProviderAt, SdkRelease, Stack, environment};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const SURESTEP: &str = env!("CARGO_BIN_EXE_surestep");

/// A drill of two services takes a quarter of a minute on a machine that has nothing else to do.
const LIMIT: Duration = Duration::from_secs(400);

const KEY: &str = "K5f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// The simulated provider as `https://api.provider.test/v1`, on loopback.
struct TlsProvider {
    at: ProviderAt,
    _folder: tempfile::TempDir,
    _provider: provider::Running,
    _runtime: tokio::runtime::Runtime,
}

impl TlsProvider {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let config = ProviderConfig {
            keys: vec![KEY.to_owned()],
            models: vec!["test-model".to_owned()],
            ..ProviderConfig::default()
        };
        let (provider, listener) = runtime.block_on(async {
            let provider = Provider::start(config).await.expect("a provider");
            (provider, TcpListener::bind("127.0.0.1:0").await.expect("a port"))
        });
        let inside =
            provider.base_url().trim_start_matches("http://").trim_end_matches("/v1").to_owned();
        let connect_to = listener.local_addr().expect("it is bound").to_string();
        let folder = tempfile::tempdir().expect("a folder");
        let ca = folder.path().join("ca.pem");
        let acceptor = acceptor(&ca);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, inside) = (acceptor.clone(), inside.clone());
                tokio::spawn(async move {
                    let Ok(mut outside) = acceptor.accept(stream).await else { return };
                    let mut inside = TcpStream::connect(inside).await.expect("it listens");
                    // How it ends is up to its two ends.
                    tokio::io::copy_bidirectional(&mut outside, &mut inside).await.ok();
                });
            }
        });
        let base_url = "https://api.provider.test/v1".to_owned();
        Self {
            at: ProviderAt::Secured { base_url, connect_to, ca },
            _folder: folder,
            _provider: provider,
            _runtime: runtime,
        }
    }

    fn pair(&self, new: SdkRelease, rollback: SdkRelease) -> Pair {
        Pair::new(new, rollback).provider(self.at.clone()).provider_key(KEY)
    }
}

/// Makes a private CA, writes it down, and serves TLS with a certificate of it.
fn acceptor(ca_file: &Path) -> TlsAcceptor {
    let ca_key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).expect("a certificate");
    fs::write(ca_file, ca.pem()).expect("a file");
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["api.provider.test".to_owned()])
        .and_then(|params| params.signed_by(&key, &issuer))
        .expect("a certificate");
    let crypto = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(crypto))
        .with_safe_default_protocol_versions()
        .expect("known versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("they belong together");
    TlsAcceptor::from(Arc::new(config))
}

fn forward(stack: Stack) -> SdkRelease {
    SdkRelease::new(stack, Form::Service).setting("tap", "forward")
}

fn python() -> SdkRelease {
    forward(Stack::PythonOpenai3)
}

/// On a Node that can take its proxy from the environment.
fn node() -> SdkRelease {
    let folder = environment("node-24").expect("it is installed by `cargo xtask test`");
    let programs = fs::read_dir(folder.join("node_modules")).expect("it is whole");
    let programs: Vec<PathBuf> = programs
        .map(|entry| entry.expect("an entry").path().join("bin"))
        .filter(|bin| bin.join("node").is_file())
        .collect();
    let [bin] = &*programs else { panic!("one Node is installed: {programs:?}") };
    forward(Stack::NodeOpenai7).env("PATH", &format!("{}:/usr/bin:/bin", bin.display()))
}

fn trust_folders(project: &Project) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(project.folder().join(".surestep/forward")) else {
        return Vec::new();
    };
    entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir()).collect()
}

#[track_caller]
fn promoted(pair: &Pair) {
    let project = pair.write().expect("the environments are installed by `cargo xtask test`");
    let done = project.run(Path::new(SURESTEP), &["drill", "--yes", "--format", "json"], LIMIT);
    assert_eq!(done.exit_code, Some(0), "{done}");
    assert_eq!(done.json()["decision"], "promote_small_step", "{done}");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(text.contains("\"auth-unknown-ca\""), "it was made: {text}");
    assert_eq!(project.orphans(), []);
    assert_eq!(project.leaks(&done, &[]), []);
    assert_eq!(trust_folders(&project), Vec::<PathBuf>::new());
}

/// Checks a pair; each of these findings is made about its release.
#[track_caller]
fn held(pair: &Pair, findings: &[(&str, &str)]) {
    let project = pair.write().expect("the environments are installed by `cargo xtask test`");
    let done = project.run(Path::new(SURESTEP), &["check", "--format", "json"], LIMIT);
    assert!(matches!(done.exit_code, Some(10 | 11)), "{done}");
    let blocking = done.blocking_findings();
    for (code, release) in findings {
        let is_wanted = |(found, of, _): &(String, String, String)| found == code && of == release;
        assert!(blocking.iter().any(is_wanted), "no {code} of {release}: {blocking:#?}\n{done}");
    }
    assert_eq!(project.orphans(), []);
    assert_eq!(project.leaks(&done, &[]), []);
}

#[test]
fn healthy_python_services_are_promoted() {
    let provider = TlsProvider::start();
    promoted(&provider.pair(python(), python()));
}

#[test]
fn healthy_node_services_are_promoted() {
    let provider = TlsProvider::start();
    promoted(&provider.pair(node(), node()).modes(&["unary"]));
}

#[test]
fn verification_that_is_switched_off_is_held_on_either_side() {
    let provider = TlsProvider::start();
    let pair = provider
        .pair(
            python().defect("disables-tls-verification"),
            node().defect("disables-tls-verification"),
        )
        .modes(&["unary"]);
    let code = "tls-verification-disabled";
    held(&pair, &[(code, "new"), (code, "rollback")]);
}

#[test]
fn other_hosts_and_calls_past_the_proxy_are_held() {
    let provider = TlsProvider::start();
    let pair = provider
        .pair(python().defect("other-host-fallback"), python().defect("ignores-proxy"))
        .modes(&["unary"]);
    held(&pair, &[("silent-fallback", "new"), ("not-observed", "rollback")]);
}

#[test]
fn trust_files_of_a_killed_run_go_with_the_next_one() {
    let provider = TlsProvider::start();
    let pair = provider.pair(python(), python()).modes(&["unary"]);
    let project = pair.write().expect("the environments are installed by `cargo xtask test`");
    let mut running = project.spawn(Path::new(SURESTEP), &["check", "--release", "new"]);
    let files = loop {
        if let [folder] = &*trust_folders(&project)
            && let Ok(file) = fs::metadata(folder.join("trust-0.pem"))
        {
            let mode = |metadata: &fs::Metadata| metadata.permissions().mode() & 0o777;
            let of_folder = fs::metadata(folder).expect("a folder");
            break (folder.clone(), mode(&of_folder), mode(&file));
        }
        let ended = running.try_wait().expect("a child of ours");
        assert!(ended.is_none(), "it ended before a trust file was seen");
        std::thread::yield_now();
    };
    running.kill().expect("it runs");
    running.wait().expect("a child of ours");
    let (folder, of_folder, of_file) = files;
    assert_eq!((of_folder, of_file), (0o700, 0o600));
    assert!(folder.is_dir(), "nobody was there to remove it");
    assert_eq!(project.leaks_on_disk(&[]), []);
    let private_key =
        |path: &Path| fs::read_to_string(path).is_ok_and(|text| text.contains("PRIVATE"));
    let entries = fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("one").path());
    assert_eq!(entries.filter(|path| private_key(path)).count(), 0);

    let done =
        project.run(Path::new(SURESTEP), &["check", "--release", "new", "--format", "json"], LIMIT);
    assert_eq!(done.exit_code, Some(0), "{done}");
    assert_eq!(trust_folders(&project), Vec::<PathBuf>::new());
    assert_eq!(project.orphans(), []);
}

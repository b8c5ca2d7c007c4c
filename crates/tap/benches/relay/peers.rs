//! The processes that proxy: how each is started, reached and weighed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::provider::read_message;
use crate::runtime;

/// The host that a release behind TLS has configured.
pub(crate) const HOST: &str = "api.example.test";

/// Who is measured, in the order of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
    Envoy,
    Tap,
    Product,
    NginxTls,
    TapForward,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Nginx,
        Self::Haproxy,
        Self::Envoy,
        Self::Tap,
        Self::Product,
        Self::NginxTls,
        Self::TapForward,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Envoy => "Envoy",
            Self::Tap => "tap, observing",
            Self::Product => "`surestep tap`, a JSON line each",
            Self::NginxTls => "nginx, TLS ends at it",
            Self::TapForward => "tap as HTTPS proxy, observing",
        }
    }

    /// The nginx that does the same.
    pub(crate) fn nginx(self) -> Self {
        match self {
            Self::Nginx | Self::Haproxy | Self::Envoy | Self::Tap | Self::Product => Self::Nginx,
            Self::NginxTls | Self::TapForward => Self::NginxTls,
        }
    }
}

/// How a client gets to the provider.
enum Way {
    Plain,
    Tls(TlsConnector),
    /// CONNECT, then TLS.
    Proxy(TlsConnector),
}

/// A connection, with TLS on it or without.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// A process that proxies.
pub(crate) struct Peer {
    address: SocketAddr,
    way: Way,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Connects to a peer, or to the provider itself.
pub(crate) async fn connect(peer: Option<&Peer>, provider: SocketAddr) -> Box<dyn Duplex> {
    let name = ServerName::try_from(HOST).unwrap();
    if let Some(peer) = peer
        && let Way::Proxy(connector) = &peer.way
    {
        return Box::new(connector.connect(name, peer.tunnel().await).await.unwrap());
    }
    let tcp = TcpStream::connect(peer.map_or(provider, |peer| peer.address)).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    match peer.map(|peer| &peer.way) {
        None | Some(Way::Plain | Way::Proxy(_)) => Box::new(tcp),
        Some(Way::Tls(connector)) => Box::new(connector.connect(name, tcp).await.unwrap()),
    }
}

impl Peer {
    /// Starts a tap that watches whatever passes, as `surestep tap` does.
    pub(crate) fn watching(provider: SocketAddr) -> Self {
        let mut command = on_core_1(&std::env::current_exe().unwrap());
        command.args(["watch-tap", &provider.to_string()]);
        Self::own(tempfile::tempdir().unwrap(), command)
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        let output = self.process.stdout.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
        line
    }

    /// Begins TLS with a proxy for a host, and returns how long that took from the first byte of TLS on.
    pub(crate) async fn handshake(&self, host: &str) -> Duration {
        let Way::Proxy(connector) = &self.way else { panic!("it is no proxy") };
        let tcp = self.tunnel().await;
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let started = tokio::time::Instant::now();
        connector.connect(name, tcp).await.unwrap();
        started.elapsed()
    }

    /// Connects to the provider's host through a proxy.
    async fn tunnel(&self) -> TcpStream {
        let mut tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let wanted = format!("CONNECT {HOST}:443 HTTP/1.1\r\nhost: {HOST}:443\r\n\r\n");
        tcp.write_all(wanted.as_bytes()).await.unwrap();
        read_message(&mut tcp, &mut Vec::new()).await.unwrap();
        tcp
    }

    /// Starts one; `None` if it does not run here, as when it is not installed.
    pub(crate) fn start(kind: Kind, provider: SocketAddr) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        match kind {
            Kind::Nginx => Self::nginx(folder, provider, false),
            Kind::NginxTls => Self::nginx(folder, provider, true),
            Kind::Haproxy => Self::haproxy(folder, provider),
            Kind::Envoy => Self::envoy(folder, provider),
            Kind::Tap => Some(Self::tap(folder, provider, false)),
            Kind::Product => Self::product(folder, provider),
            Kind::TapForward => Some(Self::tap(folder, provider, true)),
        }
    }

    fn tap(folder: tempfile::TempDir, provider: SocketAddr, forward: bool) -> Self {
        let mut command = on_core_1(&std::env::current_exe().unwrap());
        command.args(["serve-tap", &provider.to_string()]);
        if forward {
            command.arg(folder.path());
        }
        Self::own(folder, command)
    }

    /// Starts the command, of a build in the same profile.
    fn product(folder: tempfile::TempDir, provider: SocketAddr) -> Option<Self> {
        let address = free();
        let mut command = on_core_1(&product());
        command.args(["tap", "--format", "json", "--listen", &address.to_string()]);
        command.args(["--upstream", &format!("http://{provider}/v1")]);
        Self::other(folder, address, Way::Plain, command)
    }

    /// Starts one of ours, and reads where it listens.
    fn own(folder: tempfile::TempDir, mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let output = process.stdout.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
        let mut words = line.split_whitespace();
        let address = words.next().unwrap().parse().unwrap();
        let way = words.next().map_or(Way::Plain, |trust| Way::Proxy(trusting(Path::new(trust))));
        Self { address, way, process, _folder: folder }
    }

    fn nginx(folder: tempfile::TempDir, provider: SocketAddr, tls: bool) -> Option<Self> {
        let path = folder.path().display();
        let address = free();
        let (mut listen, mut way) = (String::new(), Way::Plain);
        if tls {
            let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
            let certificate = folder.path().join("certificate.pem");
            std::fs::write(&certificate, made.cert.pem()).unwrap();
            std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem())
                .unwrap();
            listen = format!(
                " ssl; ssl_certificate {path}/certificate.pem; ssl_certificate_key {path}/key.pem"
            );
            way = Way::Tls(trusting(&certificate));
        }
        let configuration = format!(
            "daemon off; master_process off; worker_processes 1; pid {path}/pid; error_log {path}/error.log;\n\
             events {{ worker_connections 8192; }}\n\
             http {{ access_log off; client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;\n\
             fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n\
             keepalive_requests 1000000000;\n\
             upstream provider {{ server {provider}; keepalive 256; keepalive_requests 1000000000; }}\n\
             server {{ listen {address}{listen}; location / {{ proxy_pass http://provider; proxy_http_version 1.1;\n\
             proxy_set_header connection \"\"; proxy_buffering off; }} }} }}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let mut command = on_core_1(Path::new("nginx"));
        command.arg("-c").arg(&file).arg("-p").arg(folder.path());
        Self::other(folder, address, way, command)
    }

    fn haproxy(folder: tempfile::TempDir, provider: SocketAddr) -> Option<Self> {
        let address = free();
        // Without `http-no-delay` it holds each event for a tenth of a second.
        let configuration = format!(
            "global\n nbthread 1\n maxconn 4096\n\
             defaults\n mode http\n option http-no-delay\n http-reuse always\n\
             \x20timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
             frontend release\n bind {address}\n default_backend provider\n\
             backend provider\n server provider {provider}\n"
        );
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, configuration).unwrap();
        let mut command = on_core_1(Path::new("haproxy"));
        command.arg("-db").arg("-f").arg(&file);
        Self::other(folder, address, Way::Plain, command)
    }

    fn envoy(folder: tempfile::TempDir, provider: SocketAddr) -> Option<Self> {
        let address = free();
        let place = |address: SocketAddr| {
            serde_json::json!({ "socket_address": {
                "address": address.ip().to_string(), "port_value": address.port() } })
        };
        let types = "type.googleapis.com/envoy.extensions.filters";
        let most = 8192;
        let configuration = serde_json::json!({ "static_resources": {
            "listeners": [{ "address": place(address), "filter_chains": [{ "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": format!("{types}.network.http_connection_manager.v3.HttpConnectionManager"),
                    "stat_prefix": "release", "stream_idle_timeout": "0s",
                    "route_config": { "virtual_hosts": [{ "name": "provider", "domains": ["*"], "routes": [
                        { "match": { "prefix": "/" }, "route": { "cluster": "provider", "timeout": "0s" } }] }] },
                    "http_filters": [{ "name": "envoy.filters.http.router",
                        "typed_config": { "@type": format!("{types}.http.router.v3.Router") } }]
                } }] }] }],
            "clusters": [{ "name": "provider", "type": "STATIC",
                "circuit_breakers": { "thresholds": [{
                    "max_connections": most, "max_pending_requests": most, "max_requests": most }] },
                "load_assignment": { "cluster_name": "provider", "endpoints": [
                    { "lb_endpoints": [{ "endpoint": { "address": place(provider) } }] }] } }]
        } });
        let file = folder.path().join("envoy.json");
        std::fs::write(&file, configuration.to_string()).unwrap();
        // The test environment's, or an installed one.
        let installed = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../.test-env/python-peers/bin/envoy");
        let program = if installed.exists() { installed } else { PathBuf::from("envoy") };
        let mut command = on_core_1(&program);
        command.args(["--concurrency", "1", "--disable-hot-restart", "-l", "off", "-c"]).arg(&file);
        Self::other(folder, address, Way::Plain, command)
    }

    /// Starts somebody else's proxy and waits until it listens.
    fn other(
        folder: tempfile::TempDir,
        address: SocketAddr,
        way: Way,
        mut command: Command,
    ) -> Option<Self> {
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let mut peer = Self { address, way, process, _folder: folder };
        let listens = runtime().block_on(async {
            tokio::time::timeout(Duration::from_secs(20), async {
                while TcpStream::connect(address).await.is_err() {
                    // Not installed, or it does not like what it was given: it has ended.
                    if !matches!(peer.process.try_wait(), Ok(None)) {
                        return false;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                true
            })
            .await
        });
        (listens == Ok(true)).then_some(peer)
    }

    /// Returns the CPU time that it has used, in nanoseconds.
    pub(crate) fn cpu_nanos(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        tasks
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
            .filter_map(|stat| stat.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()))
            .sum()
    }

    /// Returns the memory that it has now, and the most that it ever had, in KiB.
    pub(crate) fn memory_kib(&self) -> (u64, u64) {
        memory_kib(self.process.id())
    }
}

/// Where the command is, if it was built.
pub(crate) fn product() -> PathBuf {
    let me = std::env::current_exe().unwrap();
    me.parent().unwrap().parent().unwrap().join("surestep")
}

/// Returns a process's resident memory and its high-water mark, in KiB.
pub(crate) fn memory_kib(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// A command whose process has core 1.
fn on_core_1(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]).arg(program);
    command
}

fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A TLS client that trusts what is in a file.
fn trusting(file: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).unwrap() {
        // The platform's own may have some that this library does not take.
        drop(roots.add(certificate.unwrap()));
    }
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Each handshake is a whole one.
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

//! A raw client and a raw provider on loopback: tests say byte for byte what is sent and what must come.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "each test binary compiles this file and uses a part of it"
)]

pub mod frames;
pub mod reply;
pub mod secured;
pub mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use contract::{Profile, Surface};
use drill::ports::{ArmedAsk, OpenPort, PortKind, Proxy, Tap as _, TapPort as _, Upstream};
use drill::settings::Forward;
use judge::fault::Script;
use judge::{
    Act, Answer, AnswerEnd, AskId, Exchange, Fingerprint, Marker, Observation, Piece, Role,
    Stimulus,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tap::{ListeningPort, TapConfig, TapServer, Watched};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Receiver;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Bound of every wait in the tests: far beyond what loopback needs, so that only a hang meets it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that must come.
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// Makes a tap whose fingerprint shows the credential's length only.
pub fn tap() -> TapServer {
    TapServer::new(TapConfig {
        fingerprint: Arc::new(|secret: &[u8]| {
            Fingerprint::from_digest(&(secret.len() as u64).to_be_bytes())
        }),
    })
}

/// An upstream at an address.
pub fn upstream(address: SocketAddr) -> Upstream {
    Upstream { base_url: format!("http://{address}/v1"), connect_to: None, ca: None, proxy: None }
}

/// What a port is opened for.
pub fn spec(upstream: Upstream) -> OpenPort {
    OpenPort {
        role: Role::New,
        kind: PortKind::Reverse { listen: None },
        upstream,
        surface: Surface::Chat,
        profile: Profile::Openai,
    }
}

/// Opens a port in front of an address.
pub async fn open(address: SocketAddr) -> ListeningPort {
    tap().open(spec(upstream(address))).await.expect("loopback port 0 is free")
}

/// Opens a port in front of nothing.
pub async fn open_alone() -> ListeningPort {
    open(dead_address().await).await
}

/// Returns an address on which nobody listens.
pub async fn dead_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .expect("port 0 is free")
        .local_addr()
        .expect("it is bound")
}

/// Returns the address of a port.
pub fn address(port: &ListeningPort) -> SocketAddr {
    port.way()
        .base_url
        .strip_prefix("http://")
        .and_then(|rest| rest.strip_suffix("/v1"))
        .unwrap()
        .parse()
        .unwrap()
}

/// What a release has configured that takes the tap for its proxy.
pub const CONFIGURED: &str = "https://api.example.test/v1";

/// What a port is opened for that is a proxy.
pub fn forward_spec(upstream: Upstream, rules: Forward) -> OpenPort {
    OpenPort {
        kind: PortKind::Forward { base_url: CONFIGURED.to_owned(), rules },
        ..spec(upstream)
    }
}

/// A port that is a proxy, and the folder of its trust files.
pub struct ForwardPort {
    pub port: ListeningPort,
    _tap: Taps,
}

/// A tap with a folder for its trust files.
#[derive(Clone)]
pub struct Taps {
    pub tap: Arc<TapServer>,
    _folder: Arc<tempfile::TempDir>,
}

impl Taps {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tap = tap().with_trust_folder(folder.path().join("forward"));
        Self { tap: Arc::new(tap), _folder: Arc::new(folder) }
    }

    /// Opens a proxy that leads to an upstream.
    pub async fn proxy(&self, spec: OpenPort) -> ForwardPort {
        let port = self.tap.open(spec).await.expect("loopback port 0 is free");
        ForwardPort { port, _tap: self.clone() }
    }
}

impl ForwardPort {
    /// Opens a proxy that leads to an upstream.
    pub async fn open(spec: OpenPort) -> Self {
        Taps::new().proxy(spec).await
    }

    /// Opens a proxy for any client, each exchange of which gets what the script says.
    pub async fn watching(spec: OpenPort, script: Script) -> (Self, Receiver<Watched>) {
        let taps = Taps::new();
        let (port, _watch, told) = taps.tap.watch(spec, script).await.expect("port 0 is free");
        (Self { port, _tap: taps }, told)
    }

    fn proxy(&self) -> Proxy {
        self.port.way().proxy.expect("it is a proxy")
    }

    pub fn address(&self) -> SocketAddr {
        self.proxy().url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// Asks the proxy for a connection. Returns the head of its answer.
    pub async fn connect(&self, to: &str) -> (Raw, String) {
        let mut raw = Raw::connect(self.address()).await;
        raw.send(&format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n")).await;
        let answer = raw.until("\r\n\r\n").await;
        (raw, answer)
    }

    /// Connects to the provider through the proxy, as a client does that trusts what it was handed.
    pub async fn secured(&self, host: &str) -> std::io::Result<Raw<TlsStream<TcpStream>>> {
        self.offering(host, &[]).await
    }

    /// The same, by a client that offers some protocols.
    pub async fn offering(
        &self,
        host: &str,
        protocols: &[&str],
    ) -> std::io::Result<Raw<TlsStream<TcpStream>>> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(self.proxy().trust).unwrap() {
            // The platform's own may have some that this library does not take.
            drop(roots.add(certificate.unwrap()));
        }
        let mut config = tls_client().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        self.secured_by(host, config).await
    }

    pub async fn secured_by(
        &self,
        host: &str,
        config: ClientConfig,
    ) -> std::io::Result<Raw<TlsStream<TcpStream>>> {
        let (raw, answer) = self.connect(&format!("{host}:443")).await;
        assert_eq!(answer, "HTTP/1.1 200 Connection established\r\n\r\n");
        let name = rustls::pki_types::ServerName::try_from(host.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = soon("the handshake", connector.connect(name, raw.stream)).await?;
        Ok(Raw::of(stream))
    }
}

/// Begins the configuration of a TLS client.
pub fn tls_client() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(crypto).with_safe_default_protocol_versions().unwrap()
}

/// An ask that has the port to itself.
pub fn ask(id: u64, stimulus: Stimulus) -> ArmedAsk {
    ArmedAsk {
        id: AskId(id),
        marker: Marker::new(id),
        label: "SSL-1".to_owned(),
        question: None,
        asked_with: contract::conversation::AskedWith::Question,
        stimulus,
        exclusive: true,
        among_users: false,
        live_calls_max: 100,
        attempts_max: 100,
    }
}

/// An ask on a shared port.
pub fn shared_ask(id: u64, stimulus: Stimulus) -> ArmedAsk {
    ArmedAsk { exclusive: false, ..ask(id, stimulus) }
}

/// An ask whose exchanges all get one act.
pub fn acting(act: Act) -> ArmedAsk {
    ask(1, Stimulus::Acts(vec![act]))
}

/// A chunked event stream made of these pieces.
pub fn answer(pieces: Vec<Piece>, end: AnswerEnd) -> Answer {
    Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), "text/event-stream".to_owned())],
        declared_length: None,
        pieces,
        end,
    }
}

/// A piece of text.
pub fn bytes(text: &str) -> Piece {
    Piece::Bytes(text.as_bytes().to_vec())
}

/// A chat request with a marker in it.
pub fn chat_request(marker: u64) -> String {
    let marker = Marker::new(marker);
    post(
        "/v1/chat/completions",
        &format!(
            "{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"[{}] hi\"}}]}}",
            marker.as_str()
        ),
    )
}

/// A request with a body.
pub fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: tap\r\nAuthorization: Bearer sk-real\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A raw connection: what was read and not yet looked at is kept.
pub struct Raw<S = TcpStream> {
    pub stream: S,
    pub unread: Vec<u8>,
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await.expect("it listens");
        stream.set_nodelay(true).expect("it is open");
        Self::of(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub fn of(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        soon("the peer to take bytes", sending).await.expect("the peer reads");
    }

    /// Reads up to and with `end`, and returns it.
    pub async fn until(&mut self, end: &str) -> String {
        let end_bytes = end.as_bytes();
        loop {
            if let Some(at) =
                self.unread.windows(end_bytes.len()).position(|window| window == end_bytes)
            {
                let rest = self.unread.split_off(at + end_bytes.len());
                return String::from_utf8(std::mem::replace(&mut self.unread, rest))
                    .expect("it is text");
            }
            let n =
                soon(end, self.stream.read_buf(&mut self.unread)).await.expect("the peer writes");
            assert!(
                n > 0,
                "the end came before {end:?}: {:?}",
                String::from_utf8_lossy(&self.unread)
            );
        }
    }

    /// Reads a head and a body of `content-length`.
    pub async fn message(&mut self) -> (String, String) {
        let head = self.until("\r\n\r\n").await;
        let length =
            header(&head, "content-length").map_or(0, |length| length.parse().expect("a length"));
        while self.unread.len() < length {
            let n = soon("a body", self.stream.read_buf(&mut self.unread))
                .await
                .expect("the peer writes");
            assert!(n > 0, "the end came before the body: {head}");
        }
        let rest = self.unread.split_off(length);
        (head, String::from_utf8(std::mem::replace(&mut self.unread, rest)).expect("it is text"))
    }

    /// Reads to the end of the connection. Returns what came, and the error that ended it, if one did.
    pub async fn read_to_end(&mut self) -> (String, Option<std::io::ErrorKind>) {
        let error = loop {
            match soon("the end", self.stream.read_buf(&mut self.unread)).await {
                Ok(0) => break None,
                Ok(_) => {}
                Err(error) => break Some(error.kind()),
            }
        };
        (String::from_utf8(std::mem::take(&mut self.unread)).expect("it is text"), error)
    }
}

/// Returns a header's value out of a raw head, whatever its case.
pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// A raw provider.
pub struct Provider {
    pub address: SocketAddr,
    listener: TcpListener,
}

impl Provider {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port 0 is free");
        Self { address: listener.local_addr().expect("it is bound"), listener }
    }

    pub async fn accept(&self) -> Raw {
        Raw::of(soon("the tap to connect", self.listener.accept()).await.expect("it listens").0)
    }
}

/// Ends an ask without waiting for anything.
pub async fn collect(port: &ListeningPort, id: u64) -> Observation {
    soon("collect", port.collect(AskId(id), PATIENCE)).await.0
}

/// Returns the only exchange.
pub fn only(observation: &Observation) -> &Exchange {
    assert_eq!((observation.exchanges.len(), observation.lost), (1, 0), "{observation:#?}");
    &observation.exchanges[0]
}

/// Returns the memory of this process, in KiB.
pub fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

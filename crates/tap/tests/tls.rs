//! Providers behind TLS, a private CA, another address, or an egress proxy; compressed replies; the control call.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use contract::{ContractVerdict, Mode, Profile, Surface};
use drill::ports::{Tap as _, TapPort as _, Upstream};
use evidence::Sensitive;
use judge::Stimulus;
use support::secured::Secured;
use support::{PATIENCE, Provider, Raw, ask, chat_request, collect, header, soon};
use tap::control::{ControlCall, control};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const REPLY: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"SSL-1","refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

/// [`REPLY`], compressed by Node's zlib.
const BROTLI: &[u8] = b"\x1b\x00\x01\x80\x8c\xd3\x15\xf3\xa2\x94\x71\x8f\x80\xe5\x4d\xfb\xcd\xaf\xfe\x2d\x96\xc5\x66\x94\x24\x06\xca\xe7\x83\xe9\x93\x3a\x2c\x7d\x6f\xdb\xf8\x43\xc4\xe3\xf3\x89\x1a\x78\xc5\x15\xb5\x6b\xbe\xde\xc8\x9d\x78\x7c\xee\x36\xb4\xe4\xe7\xab\x3a\x36\xac\xfb\xf2\xae\xb9\x9c\x4d\x12\xf2\x88\x1e\x97\x21\xb8\x64\x37\xa9\x8b\x21\x41\xd7\x15\x59\xb6\xb7\x18\x2b\xa2\x4d\x0c\xda\x25\x95\x74\x03\x53\x09\xb1\x7d\x31\x0c\x3d\x03\xfc\xa9\x2f\x97\x13\x2f\xda\x1f\x0b\xf3\xac\xb7\x62\x20\x9b\xa7\xe0\x2b\x3b\x97\xfb\xca\xe5\x9d\x5d\xf1\x78\x48\x01\xef\x0b\x05\xf5\x08\xd0\xf6\x1f";

/// [`REPLY`], compressed by the tool zstd.
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd\x04\x58\x45\x05\x00\x72\x0c\x24\x1d\x70\x49\xda\x06\xec\xaa\xc9\x56\x12\x69\x55\xd7\xea\x6f\x9b\xfc\xc0\xa5\xb1\x0a\xef\xba\xf6\xc6\x34\x01\xaa\xc2\x10\x49\x22\x80\xb0\xb7\x6f\xc5\x9d\x35\x15\xb6\x11\xad\xd2\x2e\x75\xdc\x0c\x92\xab\x6d\xfe\x5d\x97\x31\x17\xc2\xe0\xa3\x27\x71\x4b\x10\x3a\xf4\x8e\x90\x8f\x44\x2e\x82\xc3\xe1\xf7\xd6\x6c\xdd\x72\x7b\x2b\x36\x1f\x66\xfc\x3d\xd1\xae\x23\xf7\x44\x40\xe6\x4c\x37\xc3\x7d\x21\x8d\x9e\x23\x05\x77\xce\x72\xd6\x28\xb7\xa7\xdf\x51\x9a\x4d\x37\xc3\x40\x71\x37\xd9\x98\xab\xdc\xae\x7b\x3a\x91\x4a\x5b\x02\xba\x64\xc2\xc1\xde\x5e\x00\x20\x95\x4a\xa3\x51\x7e\x37\xe7\x48\x07\x00\x34\x0b\xcd\xe1\xc1\xee\x77\x90\x16\xa4\x9f\x82\xb9\x51\x5c\x1e\x66\x36\xf1\x4b\xf3\xc1\x52";

/// A TLS provider for `api.example.test` that answers every request, and its CA.
struct TlsProvider {
    secured: Arc<Secured>,
    hosts: tokio::sync::mpsc::Receiver<String>,
}

async fn tls_provider() -> TlsProvider {
    let secured = Arc::new(Secured::start(&[]).await);
    let provider = secured.clone();
    let (seen, hosts) = tokio::sync::mpsc::channel(16);
    tokio::spawn(async move {
        loop {
            let stream = provider.tcp().await;
            let (provider, seen) = (provider.clone(), seen.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = provider.secure(stream).await else { return };
                let mut request = Vec::new();
                while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let request = String::from_utf8_lossy(&request).into_owned();
                seen.send(header(&request, "host").unwrap_or_default().to_owned()).await.unwrap();
                let reply = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: r1\r\ncontent-length: {}\r\n\r\n{REPLY}",
                    REPLY.len()
                );
                stream.write_all(reply.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            });
        }
    });
    TlsProvider { secured, hosts }
}

impl TlsProvider {
    fn upstream(&self) -> Upstream {
        self.secured.upstream()
    }
}

async fn call(upstream: Upstream) -> (String, String) {
    let port = support::tap().open(support::spec(upstream)).await.unwrap();
    port.arm(ask(1, Stimulus::Relay));
    let mut client = Raw::connect(support::address(&port)).await;
    client.send(&chat_request(1)).await;
    let reply = client.message().await;
    collect(&port, 1).await;
    reply
}

#[tokio::test]
async fn private_ca_and_another_address_are_used_and_the_name_stays() {
    let mut provider = tls_provider().await;
    let (head, body) = call(provider.upstream()).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}{body}");
    assert_eq!(body, REPLY);
    assert_eq!(
        soon("the request", provider.hosts.recv()).await.as_deref(),
        Some("api.example.test")
    );
}

#[tokio::test]
async fn certificate_from_an_unknown_ca_is_refused() {
    let provider = tls_provider().await;
    let (head, body) = call(Upstream { ca: None, ..provider.upstream() }).await;
    assert!(
        head.starts_with("HTTP/1.1 502 ") && body.contains("TLS handshake with api.example.test"),
        "{head}{body}"
    );
}

#[tokio::test]
async fn unreadable_trust_is_said_when_the_port_is_opened() {
    let provider = tls_provider().await;
    let missing = Upstream { ca: Some(PathBuf::from("no-such-file.pem")), ..provider.upstream() };
    let error = support::tap().open(support::spec(missing)).await.unwrap_err().to_string();
    assert!(error.contains("no-such-file.pem"), "{error}");
}

#[tokio::test]
async fn egress_proxy_tunnels_https() {
    let provider = tls_provider().await;
    let to = provider.secured.address;
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy_address = proxy.local_addr().unwrap();
    let proxying = tokio::spawn(async move {
        let mut client = Raw::of(proxy.accept().await.unwrap().0);
        let asked = client.until("\r\n\r\n").await;
        client.send("HTTP/1.1 200 Connection established\r\n\r\n").await;
        let mut server = TcpStream::connect(to).await.unwrap();
        // How the tunnel ends is up to its two ends.
        drop(tokio::io::copy_bidirectional(&mut client.stream, &mut server).await);
        asked
    });
    let upstream =
        Upstream { proxy: Some(format!("http://u:p@{proxy_address}")), ..provider.upstream() };
    let (head, body) = call(upstream).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}{body}");
    let asked = soon("the proxy", proxying).await.unwrap();
    assert!(asked.starts_with(&format!("CONNECT {to} HTTP/1.1\r\n")), "{asked}");
    assert_eq!(header(&asked, "proxy-authorization"), Some("Basic dTpw"));
}

#[tokio::test]
async fn egress_proxy_that_refuses_is_named() {
    let provider = tls_provider().await;
    let proxy = Provider::start().await;
    let upstream =
        Upstream { proxy: Some(format!("http://{}", proxy.address)), ..provider.upstream() };
    let refusing = async {
        let mut client = proxy.accept().await;
        client.until("\r\n\r\n").await;
        client.send("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    };
    let ((_, body), ()) = tokio::join!(call(upstream), refusing);
    assert!(body.contains("refuses to connect") && body.contains("407"), "{body}");
}

#[tokio::test]
async fn egress_proxy_gets_plain_http_in_absolute_form() {
    let proxy = Provider::start().await;
    let upstream = Upstream {
        base_url: "http://api.example.test/v1".to_owned(),
        connect_to: None,
        ca: None,
        proxy: Some(format!("http://{}", proxy.address)),
    };
    let proxying = async {
        let mut client = proxy.accept().await;
        let (head, _) = client.message().await;
        client.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
        head
    };
    let ((_, body), head) = tokio::join!(call(upstream), proxying);
    assert_eq!(body, "{}");
    assert!(
        head.starts_with("POST http://api.example.test/v1/chat/completions HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(header(&head, "host"), Some("api.example.test"));
}

/// A compressed reply passes as it is and is judged by what it says.
async fn check_encoding(encoding: &str, body: &[u8], verdict: ContractVerdict, lost: u32) {
    let provider = Provider::start().await;
    let port = support::open(provider.address).await;
    port.arm(ask(1, Stimulus::Relay));
    let mut client = Raw::connect(support::address(&port)).await;
    client.send(&chat_request(1)).await;
    let mut upstream = provider.accept().await;
    upstream.message().await;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    upstream.send(&head).await;
    upstream.send_bytes(body).await;
    assert_eq!(client.until("\r\n\r\n").await, head);
    while client.unread.len() < body.len() {
        soon("the body", client.stream.read_buf(&mut client.unread)).await.unwrap();
    }
    assert_eq!(client.unread, body);
    let observation = collect(&port, 1).await;
    let judgement = &observation.exchanges[0].response.as_ref().unwrap().judgement;
    assert_eq!(
        (judgement.verdict, observation.lost),
        (verdict, lost),
        "{encoding}: {judgement:#?}"
    );
}

/// The judge warns of any encoding, as some clients read none, and holds what it cannot read.
#[tokio::test]
async fn compressed_replies_are_judged_by_what_they_say() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(REPLY.as_bytes()).unwrap();
    check_encoding("gzip", &gzip.finish().unwrap(), ContractVerdict::Warn, 0).await;
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(REPLY.as_bytes()).unwrap();
    check_encoding("deflate", &zlib.finish().unwrap(), ContractVerdict::Warn, 0).await;
    check_encoding("br", BROTLI, ContractVerdict::Pass, 0).await;
    check_encoding("br", b"no brotli at all", ContractVerdict::Hold, 1).await;
    check_encoding("zstd", ZSTD, ContractVerdict::Pass, 0).await;
    check_encoding("zstd", &ZSTD[..100], ContractVerdict::Hold, 1).await;
    check_encoding("zstd", b"no zstd at all", ContractVerdict::Hold, 1).await;
    check_encoding("gzip", b"no gzip at all", ContractVerdict::Hold, 0).await;
}

fn control_call(upstream: Upstream) -> ControlCall {
    ControlCall {
        upstream,
        key: Sensitive::new("sk-control"),
        surface: Surface::Chat,
        mode: Mode::Unary,
        profile: Profile::Openai,
        model: "m".to_owned(),
        prompt: Sensitive::new("say hi"),
        timeout: PATIENCE,
    }
}

#[tokio::test]
async fn control_call_is_judged() {
    let provider = tls_provider().await;
    let report = control(&control_call(provider.upstream())).await;
    assert_eq!((report.status, report.error.as_deref()), (Some(200), None));
    assert_eq!(report.judgement.unwrap().verdict, ContractVerdict::Pass);
    assert_eq!(report.request_ids, ["r1"]);
}

#[tokio::test]
async fn control_call_says_what_stood_in_the_way() {
    let dead = support::upstream(support::dead_address().await);
    let report = control(&control_call(dead)).await;
    assert!(report.error.unwrap().contains("cannot connect to"));
    let silent = Provider::start().await;
    let call = ControlCall {
        timeout: Duration::from_millis(50),
        ..control_call(support::upstream(silent.address))
    };
    let report = control(&call).await;
    assert!(report.error.unwrap().contains("no whole reply within 0.05 s"));
    let call = ControlCall { key: Sensitive::new("a\nb"), ..call };
    let error = control(&call).await.error.unwrap();
    assert!(error.contains("key has characters") && !error.contains("a\nb"), "{error}");
}

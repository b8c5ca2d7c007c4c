//! `surestep tap` and a client by HTTP/2: what it says of calls that share a connection, to whom it passes them on, and what it finds.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;
use http::{Request, Response};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::tap::{KEY, PROMPT, end, start, start_proxy};

const HOST: &str = "api.example.test";

/// Bound of every wait: only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client that speaks HTTP/2 over one connection.
struct Client(SendRequest<Bytes>);

impl Client {
    async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (requests, connection) = h2::client::handshake(io).await.unwrap();
        tokio::spawn(connection);
        Self(requests)
    }

    /// Goes by the variables that the tap told.
    async fn by(variables: &[(String, String)]) -> Self {
        let of = |name: &str| &variables.iter().find(|(known, _)| known == name).unwrap().1;
        let proxy = of("HTTPS_PROXY").trim_start_matches("http://");
        let mut tcp = TcpStream::connect(proxy).await.unwrap();
        let wanted = format!("CONNECT {HOST}:443 HTTP/1.1\r\nhost: {HOST}:443\r\n\r\n");
        tcp.write_all(wanted.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(tcp.read_u8().await.unwrap());
        }
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(of("SSL_CERT_FILE")).unwrap() {
            // The platform's own may have some that this library does not take.
            drop(roots.add(certificate.unwrap()));
        }
        let mut config = ClientConfig::builder_with_provider(crypto())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from(HOST).unwrap();
        Self::over(TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()).await
    }

    /// Makes a call; returns its status, or how it broke off.
    async fn ask(&self, number: usize) -> Result<u16, Reason> {
        let body = json!({ "model": "m", "messages": [
            { "role": "user", "content": format!("{PROMPT} {number}") }] });
        let request = Request::post(format!("https://{HOST}/v1/chat/completions"))
            .header("authorization", format!("Bearer {KEY}"))
            .header("content-type", "application/json")
            .body(())
            .unwrap();
        let asking = async {
            let mut requests = self.0.clone().ready().await.unwrap();
            let (response, mut sending) = requests.send_request(request, false).unwrap();
            sending.send_data(body.to_string().into(), true).unwrap();
            let broken = |error: h2::Error| error.reason().unwrap();
            let (parts, mut reply) = response.await.map_err(broken)?.into_parts();
            while let Some(data) = reply.data().await {
                let n = data.map_err(broken)?.len();
                reply.flow_control().release_capacity(n).unwrap();
            }
            Ok(parts.status.as_u16())
        };
        timeout(PATIENCE, asking).await.expect("it is answered")
    }
}

fn crypto() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The codes of the summary's findings, and how many exchanges it counts.
fn summary(lines: &[Value]) -> (Vec<&str>, u64) {
    let summary = &lines.last().unwrap()["summary"];
    assert_eq!(summary["lost"], 0);
    let findings = summary["findings"].as_array().unwrap();
    let codes = findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect();
    (codes, summary["exchanges"].as_u64().unwrap())
}

#[tokio::test]
async fn hasty_retry_over_one_connection_is_found() {
    const FAULT: [&str; 2] = ["--fault", "429+header=retry-after:9,good"];
    let (proxy, variables) = start_proxy(&[&FAULT[..], &["--http2"]].concat());
    let (plain, base_url) = start(&FAULT);
    let address = base_url.trim_start_matches("http://").trim_end_matches("/v1");
    let over_tls = Client::by(&variables).await;
    let by_preface = Client::over(TcpStream::connect(address).await.unwrap()).await;
    for (tap, client) in [(proxy, over_tls), (plain, by_preface)] {
        assert_eq!((client.ask(0).await, client.ask(0).await), (Ok(429), Ok(200)));
        let (lines, code, text) = end(tap);
        let seen: Vec<_> =
            lines.iter().filter_map(|line| line["response"]["status"].as_u64()).collect();
        assert_eq!((seen, code), (vec![429, 200], Some(10)), "{text}");
        let (codes, n_exchanges) = summary(&lines);
        assert!(codes.contains(&"retry-after-ignored") && n_exchanges == 2, "{text}");
        assert!(!text.contains(KEY) && !text.contains(PROMPT), "{text}");
    }
}

#[tokio::test]
async fn fault_breaks_its_stream_off_and_the_line_says_so() {
    let (tap, variables) = start_proxy(&["--http2", "--fault", "reset,503+reset-at=9,good"]);
    let client = Client::by(&variables).await;
    for expected in [Err(Reason::INTERNAL_ERROR), Err(Reason::INTERNAL_ERROR), Ok(200)] {
        assert_eq!(client.ask(0).await, expected);
    }
    let (lines, _, text) = end(tap);
    let ends: Vec<_> = lines[..3].iter().map(|line| line["client_end"].as_str().unwrap()).collect();
    assert_eq!(ends, ["injected", "injected", "complete"], "{text}");
    assert_eq!(summary(&lines).1, 3);
}

/// A provider behind TLS that answers by HTTP/2 as often as it is asked; returns its address, and the certificate to trust.
async fn provider(folder: &std::path::Path) -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    let file = folder.join("certificate.pem");
    std::fs::write(&file, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(crypto())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        // One connection only: a second one would wait for ever.
        let (tcp, _) = listener.accept().await.unwrap();
        let stream = TlsAcceptor::from(Arc::new(config)).accept(tcp).await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_request, mut respond))) = connection.accept().await {
            let head = Response::builder().header("content-type", "application/json");
            let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
            let reply = json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{ "index": 0, "finish_reason": "stop", "logprobs": null,
                    "message": { "role": "assistant", "content": "yes", "refusal": null } }],
                "usage": { "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 }
            });
            stream.send_data(reply.to_string().into(), true).unwrap();
        }
    });
    (address, file.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn calls_at_a_time_are_passed_on_over_one_connection_and_each_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (address, trust) = provider(folder.path()).await;
    let address = address.to_string();
    let (tap, variables) =
        start_proxy(&["--http2", "--fault", "live", "--connect-to", &address, "--ca", &trust]);
    let client = Client::by(&variables).await;
    let answered = futures_util::future::join_all((0..10).map(|n| client.ask(n))).await;
    assert_eq!(answered, [Ok(200); 10]);
    let (lines, code, text) = end(tap);
    assert_eq!((summary(&lines), code), ((vec![], 10), Some(0)), "{text}");
    for line in &lines[..10] {
        assert_eq!(
            (&line["provider_end"], &line["client_end"], &line["attempt"]),
            (&json!("complete"), &json!("complete"), &json!(1)),
            "{line}"
        );
    }
    assert!(!text.contains(KEY) && !text.contains(PROMPT), "{text}");
}

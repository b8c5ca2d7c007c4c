//! The tap as a release's proxy: what it opens, what it carries unseen, what it refuses, and what it shows to whom.

mod support;

use std::sync::Arc;

use drill::ports::{OpenPort, PortKind, TapPort as _, Upstream};
use drill::settings::{Forward, Others};
use judge::{AnsweredBy, AskId, NetworkFault, Observation, Stimulus, TunnelEnd};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use support::{
    CONFIGURED, ForwardPort, PATIENCE, Provider, Raw, ask, chat_request, collect, dead_address,
    forward_spec, header, only, post, shared_ask, tls_client, upstream,
};

const HOST: &str = "api.example.test";

async fn alone() -> ForwardPort {
    ForwardPort::open(forward_spec(upstream(dead_address().await), Forward::default())).await
}

/// A client that takes any certificate.
fn careless() -> ClientConfig {
    #[derive(Debug)]
    struct TakesAny;
    impl ServerCertVerifier for TakesAny {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            Ok(ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            rustls::crypto::aws_lc_rs::default_provider()
                .signature_verification_algorithms
                .supported_schemes()
        }
    }
    tls_client()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TakesAny))
        .with_no_client_auth()
}

#[tokio::test]
async fn release_keeps_its_base_url_and_is_handed_a_proxy() {
    let proxy = alone().await;
    let way = proxy.port.way();
    assert_eq!(way.base_url, CONFIGURED);
    let trust = std::fs::read_to_string(way.proxy.expect("a proxy").trust).unwrap();
    let certificates = trust.matches("BEGIN CERTIFICATE").count();
    let system = rustls_native_certs::load_native_certs().certs.len();
    assert_eq!(certificates, system + 1, "the system's trust and the run's CA");
}

#[tokio::test]
async fn call_over_tls_is_answered_and_attributed() {
    let proxy = alone().await;
    proxy.port.arm(ask(1, Stimulus::Documented));
    let mut client = proxy.secured(HOST).await.unwrap();
    client.send(&chat_request(1)).await;
    let (head, body) = client.message().await;
    assert!(head.starts_with("HTTP/1.1 200 ") && body.contains("SSL-1"), "{head}{body}");
    let observation = collect(&proxy.port, 1).await;
    assert_eq!(only(&observation).request.path, "/v1/chat/completions");
    assert_eq!((observation.certificates_shown, observation.stray_connections), (1, 0));
}

#[tokio::test]
async fn live_call_reaches_the_provider_on_the_path_that_was_sent() {
    let provider = Provider::start().await;
    let spec = OpenPort {
        kind: PortKind::Forward {
            base_url: "https://api.example.test/openai/v1".to_owned(),
            rules: Forward::default(),
        },
        ..forward_spec(upstream(provider.address), Forward::default())
    };
    let proxy = ForwardPort::open(spec).await;
    proxy.port.arm(ask(1, Stimulus::InvalidCredential));
    let mut client = proxy.secured(HOST).await.unwrap();
    client
        .send(&chat_request(1).replace("/v1/chat/completions", "/openai/v1//chat/completions?a=1"))
        .await;
    let mut upstream = provider.accept().await;
    let (head, _) = upstream.message().await;
    assert!(head.starts_with("POST /openai/v1//chat/completions?a=1 HTTP/1.1\r\n"), "{head}");
    assert!(header(&head, "authorization").unwrap().starts_with("Bearer sk-surestep-invalid"));
    upstream.send("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}").await;
    assert!(client.message().await.0.starts_with("HTTP/1.1 401 "));
    let observation = collect(&proxy.port, 1).await;
    let request = &only(&observation).request;
    assert_eq!(request.path, "/v1//chat/completions", "as it is in reverse mode");
    assert_eq!(only(&observation).answered_by, AnsweredBy::Provider);
}

#[tokio::test]
async fn client_that_offers_http2_gets_http1() {
    let proxy = alone().await;
    let mut config = careless();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let client = proxy.secured_by(HOST, config).await.unwrap();
    assert_eq!(client.stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn ip_address_gets_a_certificate_for_it() {
    let spec = OpenPort {
        kind: PortKind::Forward {
            base_url: "https://192.0.2.7/v1".to_owned(),
            rules: Forward::default(),
        },
        ..forward_spec(upstream(dead_address().await), Forward::default())
    };
    let proxy = ForwardPort::open(spec).await;
    assert!(proxy.secured("192.0.2.7").await.is_ok());
}

/// A client that checks ends the connection, and the call never leaves it; one that does not check makes its call.
#[tokio::test]
async fn certificate_from_an_unknown_ca_is_shown_for_its_ask_only() {
    let proxy = alone().await;
    // This one stays open and idle: it was trusted, and must not be used for the next ask.
    proxy.port.arm(ask(9, Stimulus::Documented));
    let mut idle = proxy.secured(HOST).await.unwrap();
    idle.send(&chat_request(9)).await;
    idle.message().await;
    collect(&proxy.port, 9).await;

    proxy.port.arm(ask(1, Stimulus::UnknownCa));
    assert_eq!(idle.read_to_end().await, (String::new(), None));
    let error = proxy.secured(HOST).await.err().expect("a refusal").to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
    let careful = collect(&proxy.port, 1).await;
    assert_eq!((careful.exchanges.len(), careful.certificates_shown), (0, 1));

    proxy.port.arm(ask(2, Stimulus::UnknownCa));
    let mut client = proxy.secured_by(HOST, careless()).await.unwrap();
    client.send(&chat_request(2)).await;
    assert!(client.message().await.0.starts_with("HTTP/1.1 200 "));
    assert_eq!(collect(&proxy.port, 2).await.exchanges.len(), 1);

    proxy.port.arm(ask(3, Stimulus::Documented));
    assert!(proxy.secured(HOST).await.is_ok(), "trusted again");
}

async fn other_host(rules: Forward, to: &str, said: &str) -> Observation {
    let proxy = ForwardPort::open(forward_spec(upstream(dead_address().await), rules)).await;
    proxy.port.arm(ask(1, Stimulus::Documented));
    let (_, answer) = proxy.connect(to).await;
    assert!(answer.starts_with(said), "{answer}");
    collect(&proxy.port, 1).await
}

#[tokio::test]
async fn other_hosts_are_carried_unseen_and_counted() {
    let other = Provider::start().await;
    let proxy = alone().await;
    proxy.port.arm(ask(1, Stimulus::Documented));
    let (mut client, answer) = proxy.connect(&other.address.to_string()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut server = other.accept().await;
    client.send("not HTTP").await;
    server.until("not HTTP").await;
    server.send("nor TLS").await;
    client.until("nor TLS").await;
    let observation = collect(&proxy.port, 1).await;
    let [tunnel] = &*observation.tunnels else { panic!("{observation:#?}") };
    assert_eq!((tunnel.host.as_str(), tunnel.declared), (&*other.address.to_string(), false));
    assert_eq!((tunnel.end, tunnel.sent, tunnel.received), (TunnelEnd::Carried, 8, 7));
    assert_eq!(observation.exchanges, []);

    // The connection goes on; an ask that does not use it does not show it.
    proxy.port.arm(ask(2, Stimulus::Documented));
    assert_eq!(collect(&proxy.port, 2).await.tunnels, []);
    proxy.port.arm(ask(3, Stimulus::Documented));
    client.send("more").await;
    server.until("more").await;
    assert_eq!(collect(&proxy.port, 3).await.tunnels[0].sent, 4);
}

/// A fallback comes after the call that failed, so an ask whose call is still open has not made it.
#[tokio::test]
async fn other_host_is_noted_for_the_ask_whose_calls_are_over() {
    let proxy = alone().await;
    proxy.port.arm(shared_ask(1, Stimulus::Network(NetworkFault::StallBeforeHeaders)));
    proxy.port.arm(shared_ask(2, Stimulus::Documented));
    let mut waiting = proxy.secured(HOST).await.unwrap();
    waiting.send(&chat_request(1)).await;
    assert!(proxy.port.arrived(AskId(1), PATIENCE).await);
    let mut answered = proxy.secured(HOST).await.unwrap();
    answered.send(&chat_request(2)).await;
    answered.message().await;
    let (_, answer) = proxy.connect(&dead_address().await.to_string()).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(collect(&proxy.port, 2).await.tunnels.len(), 1);
    drop(waiting);
    assert_eq!(collect(&proxy.port, 1).await.tunnels, []);
}

#[tokio::test]
async fn other_hosts_are_refused_where_it_is_configured() {
    let rules = Forward { others: Others::Refuse, ..Forward::default() };
    let seen = other_host(rules, "api.other.test:443", "HTTP/1.1 403 ").await;
    assert_eq!(seen.tunnels[0].end, TunnelEnd::Refused);
    assert_eq!(seen.tunnels[0].host, "api.other.test:443");
}

#[tokio::test]
async fn declared_hosts_are_not_refused() {
    let to = dead_address().await.to_string();
    let hosts = vec!["127.0.0.1".to_owned()];
    let rules = Forward { others: Others::Refuse, hosts, ..Forward::default() };
    let seen = other_host(rules, &to, "HTTP/1.1 502 ").await;
    assert_eq!((seen.tunnels[0].end, seen.tunnels[0].declared), (TunnelEnd::Unreachable, true));
}

#[tokio::test]
async fn another_port_of_the_providers_host_is_another_host() {
    let rules = Forward { others: Others::Refuse, ..Forward::default() };
    other_host(rules, "api.example.test:8443", "HTTP/1.1 403 ").await;
}

async fn plain() -> (ForwardPort, Provider) {
    let provider = Provider::start().await;
    let spec = OpenPort {
        kind: PortKind::Forward {
            base_url: "http://api.example.test/v1".to_owned(),
            rules: Forward::default(),
        },
        ..forward_spec(
            Upstream {
                base_url: "http://api.example.test/v1".to_owned(),
                connect_to: Some(provider.address.to_string()),
                ca: None,
                proxy: None,
            },
            Forward::default(),
        )
    };
    (ForwardPort::open(spec).await, provider)
}

#[tokio::test]
async fn plain_calls_come_in_absolute_form_or_through_a_connection() {
    let (proxy, _provider) = plain().await;
    proxy.port.arm(ask(1, Stimulus::Documented));
    let mut client = Raw::connect(proxy.address()).await;
    client.send(&chat_request(1).replace("POST ", "POST http://api.example.test")).await;
    assert!(client.message().await.0.starts_with("HTTP/1.1 200 "));
    let (mut client, _) = proxy.connect("API.example.test:80").await;
    client.send(&chat_request(1)).await;
    assert!(client.message().await.0.starts_with("HTTP/1.1 200 "));
    let observation = collect(&proxy.port, 1).await;
    let paths: Vec<_> = observation.exchanges.iter().map(|seen| &*seen.request.path).collect();
    assert_eq!(paths, ["/v1/chat/completions"; 2]);
    assert_eq!(observation.tunnels, []);
}

#[tokio::test]
async fn plain_calls_to_other_hosts_are_passed_on() {
    let (proxy, _provider) = plain().await;
    let other = Provider::start().await;
    proxy.port.arm(ask(1, Stimulus::Documented));
    let mut client = Raw::connect(proxy.address()).await;
    let url = format!("http://{}/metrics", other.address);
    client.send(&post(&url, "abc")).await;
    let mut server = other.accept().await;
    let (head, body) = server.message().await;
    assert!(head.starts_with("POST /metrics HTTP/1.1\r\n"), "{head}");
    assert_eq!((header(&head, "host"), &*body), (Some(&*other.address.to_string()), "abc"));
    server.send("HTTP/1.1 202 Accepted\r\ncontent-length: 4\r\n\r\ndone").await;
    let (head, body) = client.message().await;
    assert!(head.starts_with("HTTP/1.1 202 "), "{head}");
    assert_eq!(body, "done");
    let observation = collect(&proxy.port, 1).await;
    assert_eq!((observation.exchanges.len(), observation.tunnels[0].received), (0, 4));
}

#[tokio::test]
async fn nonsense_is_a_stray_connection() {
    let proxy = alone().await;
    proxy.port.arm(ask(1, Stimulus::Documented));
    let (_, answer) = proxy.connect("no-port").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(collect(&proxy.port, 1).await.stray_connections, 1);
}

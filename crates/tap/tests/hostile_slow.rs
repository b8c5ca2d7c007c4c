//! Clients of a proxy that are slow on purpose: who does not say in time what it wants is ended, and others are served meanwhile. How long a
//! head and the beginning of HTTP/2 may take is tested beside the code, by a time of the test's own.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use drill::settings::Forward;
use support::{ForwardPort, Raw, dead_address, forward_spec, upstream};

async fn proxy() -> ForwardPort {
    let spec = forward_spec(upstream(dead_address().await), Forward::default());
    ForwardPort::open(spec).await
}

/// Everybody is ended, and somebody else is served before.
async fn ended(proxy: &ForwardPort, clients: Vec<Raw>) {
    let mut other = proxy.secured("api.example.test").await.unwrap();
    other.send("GET /v1/models HTTP/1.1\r\nHost: api.example.test\r\n\r\n").await;
    assert!(other.message().await.0.starts_with("HTTP/1.1 502 "));
    for mut client in clients {
        assert_eq!(client.read_to_end().await, (String::new(), None));
    }
}

#[tokio::test]
async fn who_does_not_say_which_host_is_wanted_is_ended() {
    let proxy = proxy().await;
    let mut clients = Vec::new();
    for half in ["C", "CONNECT api.example.test:443 HTTP/1.1\r\nHost: x"] {
        let mut client = Raw::connect(proxy.address()).await;
        client.send(half).await;
        clients.push(client);
    }
    ended(&proxy, clients).await;
}

#[tokio::test]
async fn half_a_handshake_of_tls_is_ended() {
    let proxy = proxy().await;
    let mut clients = Vec::new();
    // Nothing, the head of a record, and the beginning of a hello.
    for half in [&b""[..], b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let (mut client, _) = proxy.connect("api.example.test:443").await;
        client.send_bytes(half).await;
        clients.push(client);
    }
    ended(&proxy, clients).await;
}

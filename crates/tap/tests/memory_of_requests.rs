//! What compressed requests stand for is not held while they are answered. Alone in its binary: memory is the whole process's.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use contract::reply;
use drill::ports::TapPort as _;
use judge::Stimulus;
use support::{Provider, Raw, ask, open, shared_ask};

/// Calls at a time, and what the body of each stands for; it is sent in a kilobyte.
const CALLS: usize = 48;
const CALL_BYTES: usize = 1 << 20;

/// What may be added at most: one body that is read, with the buffer that it grew in, and sockets; far below what all of them stand for.
const GROWTH_MAX_KIB: u64 = 16 * 1024;

/// Returns how much memory this process has, in KiB.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn compressed_requests_are_held_as_they_came() {
    let provider = Provider::start().await;
    let asks = vec![ask(1, Stimulus::Relay)];
    // Without a marker, beside several asks, they are users'.
    let among_users = vec![shared_ask(2, Stimulus::Relay), shared_ask(3, Stimulus::Relay)];
    let text = "a".repeat(CALL_BYTES);
    let body = reply::gzip(
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#).as_bytes(),
    );
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: tap\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    for armed in [asks, among_users] {
        let port = open(provider.address).await;
        armed.into_iter().for_each(|ask| port.arm(ask));
        let before = memory_kib();
        let mut under_way = Vec::new();
        for _ in 0..CALLS {
            let mut client = Raw::connect(support::address(&port)).await;
            client.send_bytes(&[head.as_bytes(), &body].concat()).await;
            let mut upstream = provider.accept().await;
            upstream.until("\r\n\r\n").await;
            under_way.push((client, upstream));
        }
        let growth = memory_kib().saturating_sub(before);
        assert!(growth < GROWTH_MAX_KIB, "memory grew by {growth} KiB for {CALLS} calls");
    }
}

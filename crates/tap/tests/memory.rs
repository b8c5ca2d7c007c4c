//! A stream of any length passes in constant memory. Alone in its binary: the high-water mark is the whole process's.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use drill::ports::TapPort as _;
use judge::{End, Stimulus};
use support::{Provider, Raw, ask, chat_request, collect, only, open, soon};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// 48 MiB in debug builds, where judging is slow; 1 GiB otherwise.
const STREAM_BYTES: usize = if cfg!(debug_assertions) { 48 << 20 } else { 1 << 30 };

/// What may be added at most: sockets' and tasks' buffers with room to spare, far below the stream's length.
const GROWTH_MAX_KIB: u64 = 16 * 1024;

/// Returns the high-water mark of this process's memory, in KiB.
fn high_water_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn endless_stream_passes_in_constant_memory() {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    port.arm(ask(1, Stimulus::Relay));
    let mut client = Raw::connect(support::address(&port)).await;
    client.send(&chat_request(1)).await;
    let mut upstream = provider.accept().await;
    upstream.message().await;
    let before = high_water_kib();

    let event = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"},\"finish_reason\":null}]}\n\n";
    let block = event.repeat(65_536 / event.len());
    let blocks = STREAM_BYTES / block.len();
    let total = blocks * block.len();
    let sending = tokio::spawn(async move {
        upstream.send(&format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {total}\r\n\r\n")).await;
        for _ in 0..blocks {
            upstream.stream.write_all(block.as_bytes()).await.unwrap();
        }
        upstream
    });
    client.until("\r\n\r\n").await;
    let mut received = client.unread.len();
    let mut buffer = vec![0; 65_536];
    while received < total {
        let n = soon("more of the stream", client.stream.read(&mut buffer)).await.unwrap();
        assert!(n > 0, "the stream ended after {received} of {total} bytes");
        received += n;
    }
    assert_eq!(received, total);
    drop(sending.await.unwrap());
    let growth = high_water_kib() - before;
    assert!(growth < GROWTH_MAX_KIB, "memory grew by {growth} KiB over {total} bytes");
    let observation = collect(&port, 1).await;
    assert_eq!(only(&observation).release_end, End::Complete);
    assert_eq!(only(&observation).response.as_ref().unwrap().body_bytes, total as u64);
}

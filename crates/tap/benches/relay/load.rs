//! The clients, and what each kind of load shows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::peers::{Duplex, Peer, connect};
use crate::provider::{PACE, Wanted, delays, read_message, request};
use crate::runtime;

/// As in the measurements of other proxies that the goal was taken from.
pub(crate) const CONCURRENCY: usize = 64;
pub(crate) const ROUND: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(300);
/// Streams at a pace, side by side.
pub(crate) const PACED: u32 = 100;
/// Streams held open.
pub(crate) const HELD: u64 = 2000;
/// Longest time to open them all.
const HOLDING_MAX: Duration = Duration::from_secs(60);

/// What one round showed.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    pub(crate) per_second: f64,
    pub(crate) cpu_micros: f64,
}

/// As many calls as go, for the length of a round.
#[expect(clippy::cast_precision_loss, reason = "counts of a few seconds are far below 2^52")]
pub(crate) fn round(peer: Option<&Peer>, provider: SocketAddr, wanted: Wanted) -> Round {
    let counted = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    runtime().block_on(async {
        let mut clients = Vec::new();
        for _ in 0..CONCURRENCY {
            let (counted, stop) = (counted.clone(), stop.clone());
            let mut connection = connect(peer, provider).await;
            clients.push(tokio::spawn(async move {
                let request = request(wanted);
                let mut buffer = Vec::with_capacity(8192);
                while !stop.load(Ordering::Relaxed) {
                    connection.write_all(request.as_bytes()).await.unwrap();
                    connection.flush().await.unwrap();
                    if wanted == Wanted::Unary {
                        read_message(&mut connection, &mut buffer).await.expect("a reply");
                    } else {
                        read_to_last_chunk(&mut connection, &mut buffer).await;
                    }
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        tokio::time::sleep(WARM_UP).await;
        let cpu = || peer.map_or(0, Peer::cpu_nanos);
        let (count_before, cpu_before, started) =
            (counted.load(Ordering::Relaxed), cpu(), Instant::now());
        tokio::time::sleep(ROUND).await;
        let (count, cpu, elapsed) =
            (counted.load(Ordering::Relaxed) - count_before, cpu() - cpu_before, started.elapsed());
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        Round {
            per_second: count as f64 / elapsed.as_secs_f64(),
            cpu_micros: cpu as f64 / 1000.0 / count.max(1) as f64,
        }
    })
}

async fn read_to_last_chunk(connection: &mut Box<dyn Duplex>, buffer: &mut Vec<u8>) {
    buffer.clear();
    loop {
        assert!(connection.read_buf(buffer).await.unwrap() > 0, "the stream is whole");
        if buffer.ends_with(b"0\r\n\r\n") {
            return;
        }
        let keep = buffer.len().saturating_sub(16);
        buffer.drain(..keep);
    }
}

/// Streams at a pace: returns how long the median event was on its way, in microseconds.
pub(crate) fn delay_micros(peer: Option<&Peer>, provider: SocketAddr) -> u64 {
    runtime().block_on(async {
        let mut clients = Vec::new();
        for n in 0..PACED {
            let mut connection = connect(peer, provider).await;
            clients.push(tokio::spawn(async move {
                // Spread over the time between two events.
                tokio::time::sleep(PACE * n / PACED).await;
                connection.write_all(request(Wanted::Paced).as_bytes()).await.unwrap();
                connection.flush().await.unwrap();
                let (mut read, mut seen) = (Vec::with_capacity(8192), Vec::new());
                while !read.ends_with(b"0\r\n\r\n") {
                    assert!(connection.read_buf(&mut read).await.unwrap() > 0, "it is whole");
                    delays(&mut read, &mut seen);
                }
                seen
            }));
        }
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.await.unwrap());
        }
        all.sort_unstable();
        all[all.len() / 2] / 1000
    })
}

/// Opens streams that stay open, and returns the peer's memory before and with them, in KiB; `None` if it does not carry them.
pub(crate) fn held_kib(peer: &Peer, provider: SocketAddr) -> (u64, Option<u64>) {
    let (before, _) = peer.memory_kib();
    let opening = async {
        let mut open = Vec::new();
        for _ in 0..HELD {
            let mut connection = connect(Some(peer), provider).await;
            connection.write_all(request(Wanted::Held).as_bytes()).await.unwrap();
            connection.flush().await.unwrap();
            let mut read = Vec::new();
            while memchr::memmem::find(&read, b"\n\n").is_none() {
                assert!(connection.read_buf(&mut read).await.unwrap() > 0, "it stays open");
            }
            open.push(connection);
        }
        peer.memory_kib().0
    };
    let with = runtime().block_on(async { tokio::time::timeout(HOLDING_MAX, opening).await });
    (before, with.ok())
}

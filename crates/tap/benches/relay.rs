//! What a call through the fully observing tap costs, beside a direct call and nginx as a plain proxy, in one run.
//!
//! Run by `cargo bench -p tap`. Provider and load share core 0, the peer has core 1 to itself; each peer's own CPU time is
//! read from the kernel, so that a busy machine disturbs it little. Peers take turns, and the best round of each counts.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at whatever goes wrong"
)]

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use contract::{Profile, Surface};
use drill::ports::{ArmedAsk, OpenPort, PortKind, Tap as _, TapPort as _, Upstream};
use judge::{AskId, Fingerprint, Marker, Role, Stimulus};
use tap::{TapConfig, TapServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// As in the measurements of other proxies that the goal was taken from.
const CONCURRENCY: usize = 64;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(300);
/// Events of one stream.
const EVENTS: usize = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("serve-tap") => serve_tap(arguments.get(2).unwrap().parse().unwrap()),
        Some("measure") => measure(),
        // Again, on core 0.
        _ => {
            let me = std::env::current_exe().unwrap();
            let status =
                Command::new("taskset").args(["-c", "0"]).arg(me).arg("measure").status().unwrap();
            assert!(status.success());
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The peer under measurement: one thread, one ask that owns the port, every exchange observed and judged.
fn serve_tap(upstream: SocketAddr) {
    runtime().block_on(async {
        let fingerprint =
            |secret: &[u8]| Fingerprint::from_digest(&(secret.len() as u64).to_be_bytes());
        let tap = TapServer::new(TapConfig { fingerprint: Arc::new(fingerprint) });
        let upstream = Upstream {
            base_url: format!("http://{upstream}/v1"),
            connect_to: None,
            ca: None,
            proxy: None,
        };
        let spec = OpenPort {
            role: Role::New,
            kind: PortKind::Reverse { listen: None },
            upstream,
            surface: Surface::Chat,
            profile: Profile::Openai,
        };
        let port = tap.open(spec).await.unwrap();
        port.arm(ArmedAsk {
            id: AskId(1),
            marker: Marker::new(1),
            label: "SSL-1".to_owned(),
            stimulus: Stimulus::Relay,
            exclusive: true,
            live_calls_max: u32::MAX,
            attempts_max: u32::MAX,
        });
        println!("{}", port.way().base_url);
        std::future::pending::<()>().await;
    });
}

/// A process that proxies.
struct Peer {
    name: &'static str,
    address: SocketAddr,
    processes: Vec<Child>,
    _folder: Option<tempfile::TempDir>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        for process in &mut self.processes {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

impl Peer {
    fn tap(upstream: SocketAddr) -> Self {
        let me = std::env::current_exe().unwrap();
        let mut child = Command::new("taskset")
            .args(["-c", "1"])
            .arg(me)
            .args(["serve-tap", &upstream.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(
            &mut std::io::BufReader::new(child.stdout.as_mut().unwrap()),
            &mut line,
        )
        .unwrap();
        let address = line
            .trim()
            .strip_prefix("http://")
            .unwrap()
            .strip_suffix("/v1")
            .unwrap()
            .parse()
            .unwrap();
        Self { name: "tap, observing", address, processes: vec![child], _folder: None }
    }

    fn nginx(upstream: SocketAddr) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let path = folder.path().display();
        let configuration = format!(
            "daemon off; master_process off; worker_processes 1; pid {path}/pid; error_log {path}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;\n\
             fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n\
             keepalive_requests 1000000000;\n\
             upstream provider {{ server {upstream}; keepalive 256; keepalive_requests 1000000000; }}\n\
             server {{ listen {free}; location / {{ proxy_pass http://provider; proxy_http_version 1.1;\n\
             proxy_set_header connection \"\"; proxy_buffering off; }} }} }}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let child = Command::new("taskset")
            .args(["-c", "1", "nginx", "-c"])
            .arg(&file)
            .arg("-p")
            .arg(folder.path())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut peer =
            Self { name: "nginx", address: free, processes: vec![child], _folder: Some(folder) };
        let started = std::time::Duration::from_secs(5);
        let answers = runtime().block_on(async {
            tokio::time::timeout(started, async {
                while TcpStream::connect(free).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
            .await
            .is_ok()
        });
        // Not installed: taskset ends at once.
        let runs = answers
            && peer.processes.iter_mut().all(|process| matches!(process.try_wait(), Ok(None)));
        runs.then_some(peer)
    }

    /// Returns the CPU time that the peer has used, in nanoseconds.
    fn cpu_nanos(&self) -> u64 {
        self.processes.iter().map(|process| cpu_nanos_of(process.id())).sum()
    }

    fn resident_kib(&self) -> u64 {
        let status =
            |pid| std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let rss = |text: String| {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:").map(str::to_owned));
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok())
                .unwrap_or(0)
        };
        self.processes.iter().map(|process| rss(status(process.id()))).sum()
    }
}

fn cpu_nanos_of(pid: u32) -> u64 {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()))
        .sum()
}

/// A chat completion of the size that the other measurements used.
fn reply() -> String {
    let content = "All work and no play makes a dull benchmark. ".repeat(10);
    let body = serde_json::json!({
        "id": "chatcmpl-0123456789", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-4o-mini",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": content, "refusal": null },
                      "logprobs": null, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 19, "completion_tokens": 120, "total_tokens": 139 },
        "service_tier": "default", "system_fingerprint": "fp_0123456789"
    })
    .to_string();
    format!(
        "HTTP/1.1 200 OK\r\ndate: Sun, 22 Nov 2026 08:00:00 GMT\r\ncontent-type: application/json\r\nx-request-id: req_0123456789abcdef\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn stream_head() -> &'static str {
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_0123456789abcdef\r\ntransfer-encoding: chunked\r\n\r\n"
}

fn chunk(last: bool) -> String {
    let (delta, finish) =
        if last { ("{}", "\"stop\"") } else { ("{\"content\":\" word\"}", "null") };
    let event = format!(
        "data: {{\"id\":\"chatcmpl-0123456789\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-mini\",\"system_fingerprint\":\"fp_0123456789\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
    );
    format!("{:x}\r\n{event}\r\n", event.len())
}

fn request(stream: bool) -> String {
    let content = format!("[{}] {}", Marker::new(1).as_str(), "Release check. ".repeat(40));
    let body = serde_json::json!({
        "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": content }], "stream": stream
    })
    .to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: tap\r\nauthorization: Bearer sk-benchmark\r\nuser-agent: OpenAI/Python 3.54.0\r\naccept: application/json\r\ncontent-type: application/json\r\nx-stainless-lang: python\r\nx-stainless-package-version: 3.54.0\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Reads one message; returns `None` at the end of the connection.
async fn read_message(stream: &mut TcpStream, buffer: &mut Vec<u8>, chunked: bool) -> Option<bool> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
        if chunked {
            if buffer.ends_with(b"0\r\n\r\n") {
                return Some(false);
            }
            let keep = buffer.len().saturating_sub(16);
            buffer.drain(..keep);
            continue;
        }
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&buffer[..end]).unwrap();
        let length: usize = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.trim().parse().unwrap());
        while buffer.len() < end + 4 + length {
            if stream.read_buf(buffer).await.ok()? == 0 {
                return None;
            }
        }
        return Some(buffer.windows(13).any(|window| window == b"\"stream\":true"));
    }
}

/// The provider: answers at once, or event by event with a yield after each, so that events are chunks of their own.
fn start_provider() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(async move {
                    let (reply, chunk_text, last) =
                        (reply(), chunk(false), chunk(true) + "0\r\n\r\n");
                    let mut buffer = Vec::with_capacity(8192);
                    while let Some(streams) = read_message(&mut stream, &mut buffer, false).await {
                        if !streams {
                            stream.write_all(reply.as_bytes()).await.unwrap_or(());
                            continue;
                        }
                        stream.write_all(stream_head().as_bytes()).await.unwrap_or(());
                        for _ in 1..EVENTS {
                            stream.write_all(chunk_text.as_bytes()).await.unwrap_or(());
                            tokio::task::yield_now().await;
                        }
                        stream.write_all(last.as_bytes()).await.unwrap_or(());
                    }
                });
            }
        });
    });
    told.recv().unwrap()
}

/// What one round showed.
#[derive(Clone, Copy)]
struct Round {
    per_second: f64,
    cpu_micros: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few seconds are far below 2^52")]
fn round(peer: Option<&Peer>, address: SocketAddr, stream: bool) -> Round {
    let counted = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    runtime().block_on(async {
        let mut clients = Vec::new();
        for _ in 0..CONCURRENCY {
            let (counted, stop) = (counted.clone(), stop.clone());
            clients.push(tokio::spawn(async move {
                let mut connection = TcpStream::connect(address).await.unwrap();
                connection.set_nodelay(true).unwrap();
                let request = request(stream);
                let mut buffer = Vec::with_capacity(8192);
                while !stop.load(Ordering::Relaxed) {
                    connection.write_all(request.as_bytes()).await.unwrap();
                    read_message(&mut connection, &mut buffer, stream)
                        .await
                        .expect("the peer answers");
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

fn measure() {
    let provider = start_provider();
    let peers: Vec<Peer> = Peer::nginx(provider).into_iter().chain([Peer::tap(provider)]).collect();
    for stream in [false, true] {
        let (what, divisor) = if stream { ("event", 100.0) } else { ("request", 1.0) };
        println!(
            "{} at concurrency {CONCURRENCY}, {ROUNDS} rounds of {} s each; best and median",
            if stream { "streams of 100 events" } else { "unary calls" },
            ROUND.as_secs()
        );
        println!("| peer | {what}s/s best | median | CPU µs/{what} best | median | × nginx |");
        println!("|---|---|---|---|---|---|");
        let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); peers.len() + 1];
        for _ in 0..ROUNDS {
            rounds[0].push(round(None, provider, stream));
            for (peer, rounds) in peers.iter().zip(rounds.iter_mut().skip(1)) {
                rounds.push(round(Some(peer), peer.address, stream));
            }
        }
        let names = std::iter::once("direct").chain(peers.iter().map(|peer| peer.name));
        let mut nginx = None;
        for (name, rounds) in names.zip(&mut rounds) {
            rounds.sort_by(|a, b| b.per_second.total_cmp(&a.per_second));
            let (best, median) =
                (rounds[0].per_second * divisor, rounds[ROUNDS / 2].per_second * divisor);
            rounds.sort_by(|a, b| a.cpu_micros.total_cmp(&b.cpu_micros));
            let (cpu, cpu_median) =
                (rounds[0].cpu_micros / divisor, rounds[ROUNDS / 2].cpu_micros / divisor);
            if name == "nginx" {
                nginx = Some(cpu);
            }
            let ratio = nginx
                .filter(|_| cpu > 0.0)
                .map_or("–".to_owned(), |nginx| format!("{:.2}", cpu / nginx));
            println!("| {name} | {best:.0} | {median:.0} | {cpu:.1} | {cpu_median:.1} | {ratio} |");
        }
        println!();
    }
    for peer in &peers {
        println!("{}: peak memory {} KiB", peer.name, peer.resident_kib());
    }
}

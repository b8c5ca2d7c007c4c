//! What a call through the fully observing tap costs, beside a direct call and other proxies, in one run.
//!
//! Run by `cargo bench -p tap`, with the words `unary`, `streams`, `delay`, `memory`, `certificate` and `many` for a part of it. Provider and load
//! share core 0, the peer has core 1 to itself; each peer's own CPU time is read from the kernel, so that a busy machine
//! disturbs it little. Peers take turns, and the best round of each counts.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at whatever goes wrong"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use contract::{Profile, Surface};
use drill::ports::{ArmedAsk, OpenPort, PortKind, Tap as _, TapPort as _, Upstream};
use drill::settings::Forward;
use judge::{AskId, Fingerprint, Marker, Role, Stimulus};
use load::{CONCURRENCY, HELD, PACED, ROUND, Round, delay_micros, held_kib, round};
use peers::{HOST, Kind, Peer};
use provider::{EVENTS, PACE, Wanted};
use tap::{TapConfig, TapServer};

mod certificate;
mod load;
mod many;
mod peers;
mod provider;

const ROUNDS: usize = 5;
/// Of the paced streams, each of which lasts for two seconds.
const DELAY_ROUNDS: usize = 3;
/// A process that has started needs no more memory after this long.
const SETTLED: Duration = Duration::from_secs(1);

/// As in the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("serve-tap") => {
            serve_tap(arguments[1].parse().unwrap(), arguments.get(2).map(PathBuf::from));
        }
        Some("measure") => measure(&arguments[1..]),
        Some("watch-tap") => many::watch_tap(arguments[1].parse().unwrap()),
        // Again, on core 0, and with as many files as the open streams need.
        _ => {
            let me = std::env::current_exe().unwrap();
            let again = "ulimit -n $(ulimit -Hn); exec taskset -c 0 \"$@\"";
            let status = Command::new("sh")
                .args(["-c", again, "sh"])
                .arg(me)
                .arg("measure")
                .args(arguments)
                .status();
            assert!(status.unwrap().success());
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The tap under measurement: one thread, one ask that owns the port, every exchange observed and judged. With a folder for
/// its trust files it is a proxy at which TLS ends.
fn serve_tap(provider: SocketAddr, trust_folder: Option<PathBuf>) {
    runtime().block_on(async {
        let fingerprint =
            |secret: &[u8]| Fingerprint::from_digest(&(secret.len() as u64).to_be_bytes());
        let mut tap = TapServer::new(TapConfig { fingerprint: Arc::new(fingerprint) });
        let mut kind = PortKind::Reverse { listen: None };
        if let Some(folder) = trust_folder {
            tap = tap.with_trust_folder(folder.join("forward"));
            let rules = Forward::default();
            kind = PortKind::Forward { base_url: format!("https://{HOST}/v1"), rules };
        }
        let port = tap.open(spec(kind, provider)).await.unwrap();
        port.arm(ArmedAsk {
            id: AskId(1),
            marker: Marker::new(1),
            label: "SSL-1".to_owned(),
            question: None,
            asked_with: contract::conversation::AskedWith::Question,
            stimulus: Stimulus::Relay,
            exclusive: true,
            among_users: false,
            live_calls_max: u32::MAX,
            attempts_max: u32::MAX,
        });
        let way = port.way();
        let (url, trust) = match &way.proxy {
            None => (way.base_url.trim_end_matches("/v1"), Path::new("")),
            Some(proxy) => (proxy.url.as_str(), proxy.trust.as_path()),
        };
        println!("{} {}", url.trim_start_matches("http://"), trust.display());
        std::future::pending::<()>().await;
    });
}

/// What a port of the tap is opened for.
fn spec(kind: PortKind, provider: SocketAddr) -> OpenPort {
    let upstream = Upstream {
        base_url: format!("http://{provider}/v1"),
        connect_to: None,
        ca: None,
        proxy: None,
    };
    let (surface, profile) = (Surface::Chat, Profile::Openai);
    OpenPort { role: Role::New, kind, upstream, surface, profile }
}

fn measure(parts: &[String]) {
    let wants = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let provider = provider::start();
    if wants("many") {
        many::measure(provider);
    }
    if wants("certificate") {
        certificate::measure(provider);
    }
    if !["unary", "streams", "delay", "memory"].into_iter().any(wants) {
        return;
    }
    let peers: Vec<(Kind, Option<Peer>)> =
        Kind::ALL.into_iter().map(|kind| (kind, Peer::start(kind, provider))).collect();
    if wants("unary") {
        cost(provider, &peers, Wanted::Unary);
    }
    if wants("streams") {
        cost(provider, &peers, Wanted::Stream);
    }
    if wants("unary") || wants("streams") {
        println!("peak memory so far, at concurrency {CONCURRENCY}");
        println!("| peer | MiB |\n|---|---|");
        for (kind, peer) in &peers {
            println!(
                "| {} | {} |",
                kind.name(),
                shown(peer.as_ref().map(|peer| mib(peer.memory_kib().1)))
            );
        }
        println!();
    }
    if wants("delay") {
        delay(provider, &peers);
    }
    drop(peers);
    if wants("memory") {
        memory(provider);
    }
}

fn shown(figure: Option<String>) -> String {
    figure.unwrap_or_else(|| "does not run here".to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "memory in KiB is far below 2^52")]
fn mib(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}

/// CPU time for each call or event.
#[expect(clippy::cast_precision_loss, reason = "a hundred events")]
fn cost(provider: SocketAddr, peers: &[(Kind, Option<Peer>)], wanted: Wanted) {
    let stream = wanted == Wanted::Stream;
    let (what, divisor) = if stream { ("event", EVENTS as f64) } else { ("request", 1.0) };
    println!(
        "{} at concurrency {CONCURRENCY}, {ROUNDS} rounds of {} s each; best and median",
        if stream { "streams of 100 events" } else { "unary calls" },
        ROUND.as_secs()
    );
    println!("| peer | {what}s/s best | median | CPU µs/{what} best | median | × nginx |");
    println!("|---|---|---|---|---|---|");
    let mut direct = Vec::new();
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); peers.len()];
    for _ in 0..ROUNDS {
        direct.push(round(None, provider, wanted));
        for ((_, peer), rounds) in peers.iter().zip(&mut rounds) {
            rounds.extend(peer.as_ref().map(|peer| round(Some(peer), provider, wanted)));
        }
    }
    let speed = |rounds: &mut Vec<Round>| {
        rounds.sort_by(|a, b| b.per_second.total_cmp(&a.per_second));
        (rounds[0].per_second * divisor, rounds[ROUNDS / 2].per_second * divisor)
    };
    let (best, median) = speed(&mut direct);
    println!("| direct | {best:.0} | {median:.0} | – | – | – |");
    let mut nginx: Vec<(Kind, f64)> = Vec::new();
    for ((kind, _), rounds) in peers.iter().zip(&mut rounds) {
        if rounds.is_empty() {
            println!("| {} | does not run here | | | | |", kind.name());
            continue;
        }
        let (best, median) = speed(rounds);
        rounds.sort_by(|a, b| a.cpu_micros.total_cmp(&b.cpu_micros));
        let (cpu, cpu_median) =
            (rounds[0].cpu_micros / divisor, rounds[ROUNDS / 2].cpu_micros / divisor);
        nginx.push((*kind, cpu));
        let beside = nginx.iter().find(|(known, _)| *known == kind.nginx());
        let ratio = beside.map_or("–".to_owned(), |(_, nginx)| format!("{:.2}", cpu / nginx));
        println!(
            "| {} | {best:.0} | {median:.0} | {cpu:.1} | {cpu_median:.1} | {ratio} |",
            kind.name()
        );
    }
    println!();
}

/// How much longer an event of a stream at a pace takes.
fn delay(provider: SocketAddr, peers: &[(Kind, Option<Peer>)]) {
    println!(
        "delay of an event: median of {PACED} streams, an event every {} ms; best of {DELAY_ROUNDS} rounds",
        PACE.as_millis()
    );
    println!("| peer | µs | added µs |\n|---|---|---|");
    let mut direct = u64::MAX;
    let mut best = vec![u64::MAX; peers.len()];
    for _ in 0..DELAY_ROUNDS {
        direct = direct.min(delay_micros(None, provider));
        for ((_, peer), best) in peers.iter().zip(&mut best) {
            if let Some(peer) = peer {
                *best = delay_micros(Some(peer), provider).min(*best);
            }
        }
    }
    println!("| direct | {direct} | – |");
    for ((kind, peer), best) in peers.iter().zip(best) {
        match peer {
            Some(_) => println!("| {} | {best} | {} |", kind.name(), best.saturating_sub(direct)),
            None => println!("| {} | does not run here | |", kind.name()),
        }
    }
    println!();
}

/// What a peer that has just started needs, and what each open stream adds.
#[expect(clippy::cast_precision_loss, reason = "memory in KiB is far below 2^52")]
fn memory(provider: SocketAddr) {
    println!("memory: started and idle, and with {HELD} streams open");
    println!("| peer | idle MiB | with streams MiB | KiB for each stream |\n|---|---|---|---|");
    for kind in Kind::ALL {
        let Some(peer) = Peer::start(kind, provider) else {
            println!("| {} | does not run here | | |", kind.name());
            continue;
        };
        settle();
        let (idle, with) = held_kib(&peer, provider);
        let (with, each) = with.map_or(("not carried".to_owned(), "–".to_owned()), |with| {
            (mib(with), format!("{:.1}", with.saturating_sub(idle) as f64 / HELD as f64))
        });
        println!("| {} | {} | {with} | {each} |", kind.name(), mib(idle));
    }
}

fn settle() {
    runtime().block_on(async { tokio::time::sleep(SETTLED).await });
}

//! `tap`: the tap alone, in front of any client. Exchanges are told as they end; what they show together is said at the end.

mod line;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use drill::ports::{OpenPort, PortKind, TapPort as _, Upstream};
use drill::settings::Forward;
use evidence::Fingerprinter;
use judge::fault::{Script, words};
use judge::{Exchange, Finding, Role, Severity, watching};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tap::{TapConfig, TapServer, Watch, Watched};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{sleep, timeout};

use crate::args::{Format, TapArgs};
use crate::command::Call;
use crate::command::drill::interrupted;
use crate::exit_code;
use crate::failure::Failure;
use crate::result::SCHEMA_VERSION;
use crate::terminal::{Paint, answer, may_colour, say};

/// Calls that the summary is made of; more are counted only.
const CALLS_KEPT: usize = 10_000;

/// Exchanges told in one write, at most: making the lines of more would hold up the calls under way.
const TOLD_AT_ONCE: usize = 64;

/// How long exchanges are gathered after a write. Nobody sees it, and thousands a second cost fifty wake-ups.
const GATHERED_FOR: Duration = Duration::from_millis(20);

/// Writes that wait for whoever reads the lines.
const WRITES_UNDER_WAY: usize = 4;

/// How long whoever reads the lines may take for the last of them.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// Longest script that the control socket takes.
const SCRIPT_BYTES_MAX: usize = 64 * 1024;

/// Runs it until Ctrl-C.
pub(crate) async fn run(call: &Call, args: &TapArgs) -> Result<u8, Failure> {
    if args.faults {
        answer(&listing());
        return Ok(exit_code::PASS);
    }
    let default = if args.upstream.is_some() { "live" } else { "good" };
    let script = parse(args.fault.as_deref().unwrap_or(default), args.upstream.is_some())?;
    let spec = port_spec(call, args)?;
    let surface = spec.surface;
    raise_open_files();
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| {
        Failure::internal(format!("no random number: {error}"), "Look at this machine.")
    })?;
    let fingerprinter = Fingerprinter::new(key);
    let server = TapServer::new(TapConfig {
        fingerprint: Arc::new(move |bytes| fingerprinter.fingerprint("credential", bytes)),
    })
    .with_trust_folder(std::env::temp_dir().join("surestep-tap"));
    let (port, watch, mut told) = server.watch(spec, script).await.map_err(|error| {
        // What cannot be opened or reached so was typed so.
        Failure::usage(
            Failure::from(error).message,
            "Correct --listen (where the tap is), or --upstream (the provider's base URL), --connect-to and --ca (the way there).",
        )
    })?;
    let control = control(args.control.as_deref(), watch.clone(), args.upstream.is_some())?;
    greet(args, &port.way());
    let paint = Paint::when(may_colour(&call.environment));
    let mut teller = Teller::new(call.arguments.format, paint);
    let stop = interrupted();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = teller.tell_some(&mut told) => {}
            () = &mut stop => break,
        }
    }
    watch.end(port).await;
    while let Ok(watched) = told.try_recv() {
        teller.tell(watched);
    }
    let (seen, is_read) = teller.end().await;
    if let Some(control) = control {
        control.abort();
    }
    if let Some(path) = &args.control {
        // A socket that is gone already is what we want.
        std::fs::remove_file(path).unwrap_or(());
    }
    let calls: Vec<Vec<Exchange>> = seen.calls.values().cloned().collect();
    let findings = watching::judge(surface, &calls);
    if is_read {
        summary(call, &seen, watch.lost(), &findings);
    } else {
        say(
            "error: whoever reads standard output has stopped: the last lines and the summary were not written",
        );
        say("  do: let the reader go on, or write into a file (`surestep tap … > FILE`)");
    }
    let has_failed = findings.iter().any(|finding| finding.severity == Severity::Fail);
    Ok(if has_failed { exit_code::HOLD_FAILED } else { exit_code::PASS })
}

/// Lets this process open as many files as it ever may: each stream takes two, and the usual soft limit is 1,024.
///
/// Only here, where nothing is started: a release would inherit the limit, and be tested with another one than it has when it
/// is deployed.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        // A system that refuses leaves the tap with what it has: connections beyond wait to be accepted.
        Ok(()) | Err(_) => {}
    }
}

fn port_spec(call: &Call, args: &TapArgs) -> Result<OpenPort, Failure> {
    let profile = super::contract::profile(call, &args.profile)?;
    // Nothing is relayed without an upstream; the address is one that nobody can have.
    let base_url = args.upstream.as_deref().unwrap_or("http://nowhere.invalid/v1");
    let base_url = crate::config::http_url(base_url).map_err(|(what, _)| {
        Failure::usage(
            format!("--upstream: {what}"),
            "Write it as https://host[:port]/v1; the credential comes with each call of the client.",
        )
    })?;
    let kind = if args.forward {
        let rules = Forward { http2: args.http2, ..Forward::default() };
        PortKind::Forward { base_url: base_url.clone(), rules }
    } else {
        PortKind::Reverse { listen: Some(args.listen) }
    };
    Ok(OpenPort {
        role: Role::New,
        kind,
        upstream: Upstream {
            base_url,
            connect_to: args.connect_to.clone(),
            ca: args.ca.as_deref().map(absolute).transpose()?,
            proxy: None,
        },
        surface: args.surface.into(),
        profile,
    })
}

fn absolute(path: &Path) -> Result<std::path::PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::usage(format!("{}: {error}", path.display()), "Name a PEM file with --ca.")
    })
}

/// Reads a script. Without an upstream nothing can be relayed.
fn parse(text: &str, has_upstream: bool) -> Result<Script, Failure> {
    let script = Script::parse(text)
        .map_err(|problem| Failure::usage(format!("--fault: {problem}"), problem.advice.clone()))?;
    if script.is_live() && !has_upstream {
        return Err(Failure::usage(
            "--fault relays an attempt to the provider, and no --upstream says where it is",
            "Add --upstream URL, or begin the fault with `good`, a status or a probe.",
        ));
    }
    Ok(script)
}

fn greet(args: &TapArgs, way: &drill::ports::Way) {
    match &way.proxy {
        None => say(&format!("the tap listens; the base URL for clients is {}", way.base_url)),
        Some(proxy) => {
            say(&format!("the tap is a proxy for {}; give clients these variables:", way.base_url));
            for name in release::PROXY_VARIABLES {
                say(&format!("  export {name}={}", proxy.url));
            }
            for name in release::TRUST_VARIABLES {
                say(&format!("  export {name}={}", proxy.trust.display()));
            }
            say(&format!("  export {}=1", release::NODE_PROXY_VARIABLE));
        }
    }
    match (&args.upstream, &args.fault) {
        (None, None) => say("without --upstream each call gets the documented reply"),
        (_, Some(fault)) => say(&format!("each call gets: {fault}")),
        (Some(_), None) => {}
    }
    say("ends with Ctrl-C");
}

/// Takes new scripts from a socket, a line each, and says `ok` or what is wrong.
fn control(
    path: Option<&Path>,
    watch: Arc<Watch>,
    has_upstream: bool,
) -> Result<Option<JoinHandle<()>>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let listener = UnixListener::bind(path).map_err(|error| {
        Failure::usage(
            format!("the control socket {} cannot be opened: {error}", path.display()),
            "Name a path that does not exist yet, in a folder that you may write to.",
        )
    })?;
    Ok(Some(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (reader, mut writer) = stream.into_split();
            let mut lines =
                BufReader::new(tokio::io::AsyncReadExt::take(reader, SCRIPT_BYTES_MAX as u64))
                    .lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let reply = match parse(line.trim(), has_upstream) {
                    Ok(script) => {
                        watch.set_script(script);
                        say(&format!("from now on each call gets: {}", line.trim()));
                        "ok\n".to_owned()
                    }
                    Err(failure) => format!("error: {}\n", failure.message),
                };
                if writer.write_all(reply.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    })))
}

/// Tells exchanges as they end. Lines are written by a thread of their own: a reader that does not keep up holds up no client.
struct Teller {
    format: Format,
    paint: Paint,
    lines: Vec<u8>,
    out: mpsc::Sender<Vec<u8>>,
    written: oneshot::Receiver<()>,
    some: Vec<Watched>,
    seen: Seen,
}

impl Teller {
    fn new(format: Format, paint: Paint) -> Self {
        let (out, mut to_write) = mpsc::channel::<Vec<u8>>(WRITES_UNDER_WAY);
        let (done, written) = oneshot::channel();
        // No task of the runtime, whose end would wait for a write that never ends.
        std::thread::spawn(move || {
            while let Some(lines) = to_write.blocking_recv() {
                answer(&String::from_utf8_lossy(&lines));
            }
            // Nobody waits any more where it took too long.
            done.send(()).ok();
        });
        let (lines, some) = (Vec::new(), Vec::new());
        Self { format, paint, lines, out, written, some, seen: Seen::default() }
    }

    /// Waits for exchanges, tells them, and gives others the time to gather. May be left at any point: nothing is lost.
    async fn tell_some(&mut self, told: &mut mpsc::Receiver<Watched>) {
        let mut n = 0;
        if self.lines.is_empty() {
            n = told.recv_many(&mut self.some, TOLD_AT_ONCE).await;
            if n == 0 {
                // Nothing comes any more: the end is for others to tell.
                std::future::pending::<()>().await;
            }
            for watched in std::mem::take(&mut self.some) {
                self.tell(watched);
            }
        }
        self.write().await;
        if n < TOLD_AT_ONCE {
            sleep(GATHERED_FOR).await;
        } else {
            yield_now().await;
        }
    }

    fn tell(&mut self, watched: Watched) {
        match self.format {
            Format::Json => line::json(&watched, &mut self.lines),
            Format::Human | Format::Github => {
                self.lines.extend_from_slice(line::human(&watched, self.paint).as_bytes());
            }
        }
        self.lines.push(b'\n');
        self.seen.take(watched);
    }

    async fn write(&mut self) {
        if let Ok(place) = self.out.reserve().await {
            place.send(std::mem::take(&mut self.lines));
        }
    }

    /// Returns what passed, and whether all of it was written: whoever reads the lines may have stopped, and holds up no end.
    async fn end(mut self) -> (Seen, bool) {
        let seen = std::mem::take(&mut self.seen);
        let ending = async move {
            if !self.lines.is_empty() {
                self.write().await;
            }
            drop(self.out);
            self.written.await.is_ok()
        };
        let is_written = timeout(READ_WITHIN, ending).await.unwrap_or(false);
        (seen, is_written)
    }
}

/// What passed, for the summary.
#[derive(Default)]
struct Seen {
    calls: BTreeMap<u64, Vec<Exchange>>,
    n_exchanges: u64,
    beyond: u64,
}

impl Seen {
    fn take(&mut self, watched: Watched) {
        self.n_exchanges += 1;
        if self.calls.len() < CALLS_KEPT || self.calls.contains_key(&watched.call) {
            self.calls.entry(watched.call).or_default().push(watched.exchange);
        } else {
            self.beyond += 1;
        }
    }
}

/// Says what the calls show together.
fn summary(call: &Call, seen: &Seen, lost: u64, findings: &[Finding]) {
    let paint = Paint::when(may_colour(&call.environment));
    answer(&match call.arguments.format {
        Format::Json => summary_json(seen, lost, findings),
        Format::Human | Format::Github => summary_human(seen, lost, findings, paint),
    });
}

fn summary_json(seen: &Seen, lost: u64, findings: &[Finding]) -> String {
    let findings: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({ "code": finding.code, "severity": finding.severity, "expected": finding.expected,
                "seen": finding.seen, "advice": finding.advice })
        })
        .collect();
    json!({ "schema_version": SCHEMA_VERSION, "summary": {
        "calls": seen.calls.len(), "exchanges": seen.n_exchanges, "lost": lost + seen.beyond, "findings": findings } })
    .to_string()
}

fn summary_human(seen: &Seen, lost: u64, findings: &[Finding], paint: Paint) -> String {
    let mut text = format!(
        "\n{} calls, {} exchanges{}\n",
        seen.calls.len(),
        seen.n_exchanges,
        match lost + seen.beyond {
            0 => String::new(),
            lost => format!(", {lost} of them not looked at: they came too fast, or were too many"),
        }
    );
    if findings.is_empty() && seen.n_exchanges > 0 {
        text.push_str("nothing to object to in what clients sent and how they retried\n");
    }
    if seen.n_exchanges == 0 {
        text.push_str("nothing arrived: is the client's base URL the one above, ending in /v1?\n");
    }
    for finding in findings {
        let word = match finding.severity {
            Severity::Fail => paint.red("FAIL"),
            Severity::Warn => paint.yellow("warn"),
            Severity::Ambiguous | Severity::Info => paint.dim("note"),
        };
        text.push_str(&format!(
            "\n{word} {}\n  expected  {}\n  seen      {}\n  do        {}\n",
            paint.bold(&finding.code),
            finding.expected,
            finding.seen,
            finding.advice
        ));
    }
    text.push_str(
        "\nnot asserted: what the client made of the replies (surestep check and drill ask it)\n",
    );
    text
}

fn listing() -> String {
    let mut text = String::from(
        "A script: faults for attempt 1, 2, … with commas between; the last one goes on.\n\
         A fault: a base, then edits, with `+` between: 429+header=retry-after:2,live+ttfb=2s\n\n",
    );
    for (word, form, what) in words() {
        let word = if form.is_empty() { word } else { format!("{word}={form}") };
        text.push_str(&format!("  {word:<34} {what}\n"));
    }
    text
}

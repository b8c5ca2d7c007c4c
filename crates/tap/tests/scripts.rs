//! Each word of the script language does to a reply on the wire what it says, in front of a base URL and through the proxy.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::fmt::Write as _;
use std::net::SocketAddr;

use contract::{Mode, Surface};
use drill::settings::Forward;
use futures_util::future::join_all;
use judge::catalogue::{Depth, plan};
use judge::fault::{Script, words};
use judge::{Marker, PlanContext};
use support::reply::{Ended, Reply, Until, normal, read};
use support::{ForwardPort, Provider, Raw, forward_spec, header, post, soon, spec, tap, upstream};
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinHandle;

/// Connections at a time.
const AT_ONCE: usize = 24;

/// A reply of the provider's.
#[derive(Clone, Copy, Debug)]
enum Theirs {
    /// Three events and `[DONE]`, chunked.
    Stream,
    /// The events of a response.
    Response,
    /// A document under a length.
    Document,
    /// The same, chunked.
    Chunked,
}

const EVENTS: [&str; 3] = [
    "data: {\"a\":1}\n\n",
    "data: {\"b\":\"caf\u{e9}\",\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n",
    "data: [DONE]\n\n",
];
const RESPONSE: [&str; 2] = [
    "event: response.created\ndata: {\"type\":\"response.created\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n",
];
const ERROR: &str = r#"{"error":{"message":"The server had an error processing your request.","type":"server_error","param":null,"code":null}}"#;
const DOCUMENT: &str = "{\"a\":1,\"b\":\"caf\u{e9}\",\"choices\":[{\"finish_reason\":\"stop\"}]}";

impl Theirs {
    fn wire(self) -> String {
        let chunked = |kind: &str, pieces: &[&str]| {
            let mut wire = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
            );
            for piece in pieces {
                write!(wire, "{:x}\r\n{piece}\r\n", piece.len()).unwrap();
            }
            wire + "0\r\n\r\n"
        };
        match self {
            Self::Stream => chunked("text/event-stream", &EVENTS),
            Self::Response => chunked("text/event-stream", &RESPONSE),
            Self::Chunked => chunked("application/json", &[DOCUMENT]),
            Self::Document => format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{DOCUMENT}",
                DOCUMENT.len()
            ),
        }
    }

    fn body(self) -> String {
        match self {
            Self::Stream => EVENTS.concat(),
            Self::Response => RESPONSE.concat(),
            Self::Document | Self::Chunked => DOCUMENT.to_owned(),
        }
    }
}

/// Starts a provider that replies so to whoever asks.
async fn provider(theirs: Theirs) -> (SocketAddr, JoinHandle<()>) {
    let provider = Provider::start().await;
    let address = provider.address;
    let providing = tokio::spawn(async move {
        loop {
            let mut upstream = provider.accept().await;
            tokio::spawn(async move {
                // Until the tap leaves.
                while matches!(upstream.stream.read_buf(&mut upstream.unread).await, Ok(1..)) {
                    upstream.message().await;
                    upstream.send(&theirs.wire()).await;
                }
            });
        }
    });
    (address, providing)
}

/// A request that asks for a stream.
fn streaming_request() -> String {
    let prompt = contract::smoke::prompt(Marker::new(1).as_str(), "SSL-1");
    let messages = format!("[{{\"role\":\"user\",\"content\":\"{prompt}\"}}]");
    post(
        "/v1/chat/completions",
        &format!("{{\"model\":\"m\",\"stream\":true,\"messages\":{messages}}}"),
    )
}

/// Sends a request through a tap with a script, in front of a provider that replies so if it is asked.
async fn scripted(script: &str, theirs: Theirs, until: Until) -> Reply {
    let (address, providing) = provider(theirs).await;
    let faults = Script::parse(script).unwrap();
    let request = streaming_request();
    let (port, _watch, mut told) =
        tap().watch(spec(upstream(address)), faults.clone()).await.unwrap();
    let mut client = Raw::connect(support::address(&port)).await;
    client.send(&request).await;
    let in_reverse = read(&mut client, until).await;
    drop(client);

    let open = forward_spec(upstream(address), Forward::default());
    let (proxy, mut told_in_forward) = ForwardPort::watching(open, faults).await;
    let mut client = proxy.secured("api.example.test").await.unwrap();
    client.send(&request).await;
    let in_forward = read(&mut client, until).await;
    drop(client);
    assert_eq!(in_forward.signature(), in_reverse.signature(), "{script}: in forward mode");
    if in_reverse.ended != Ended::Ticking {
        let bodies = [&in_forward, &in_reverse]
            .map(|reply| normal(&reply.body(), header(&reply.head, "x-request-id")));
        assert_eq!(bodies[0], bodies[1], "{script}: in forward mode");
    }
    // Each is told once, however it ended.
    soon("the exchange to be told", told.recv()).await.unwrap();
    soon("the exchange to be told", told_in_forward.recv()).await.unwrap();
    providing.abort();
    in_reverse
}

/// A script, what the provider sends, what is waited for, what comes in a few words, and its body.
type Row = (&'static str, Theirs, Until, &'static str, String);

fn prefix(theirs: Theirs, bytes: usize) -> String {
    String::from_utf8_lossy(&theirs.body().as_bytes()[..bytes]).into_owned()
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn rows() -> Vec<Row> {
    use Theirs::{Chunked, Document, Response, Stream};
    use Until::{End, Silence, Ticks};
    let all = Stream.body();
    let first = EVENTS[0].to_owned();
    let whole = "200 sse chunked whole";
    let in_b = |to: &str| all.replace(&EVENTS[1].replace("\n\n", "")[6..], to);
    let rest = "\"choices\":[{\"finish_reason\":\"stop\"}]";
    vec![
        ("live", Stream, End, whole, all.clone()),
        ("live", Document, End, "200 json length whole", Document.body()),
        ("live", Chunked, End, "200 json chunked whole", Document.body()),
        ("ttfb=30ms", Stream, End, whole, all.clone()),
        ("per-event=10ms", Stream, End, whole, all.clone()),
        ("header=x-made:here", Stream, End, whole, all.clone()),
        ("content-type=text/plain", Stream, End, "200 text/plain chunked whole", all.clone()),
        ("drop=/b", Stream, End, whole, in_b(&format!("{{{rest}}}"))),
        ("null=/b", Stream, End, whole, in_b(&format!("{{\"b\":null,{rest}}}"))),
        ("drop=/b", Document, End, "200 json chunked whole", format!("{{\"a\":1,{rest}}}")),
        ("retype=/a", Document, End, "200 json chunked whole", DOCUMENT.replace('1', "\"1\"")),
        (
            "rename=/a",
            Document,
            End,
            "200 json chunked whole",
            DOCUMENT.replace("\"a\":1,", "").replace("]}", "],\"x_a\":1}"),
        ),
        ("error-event=2", Stream, End, whole, format!("{first}data: {ERROR}\n\n")),
        (
            "cut-character",
            Stream,
            End,
            "200 sse chunked fin",
            format!("{first}data: {{\"b\":\"caf\u{fffd}"),
        ),
        (
            "cut-character",
            Document,
            End,
            "200 json length fin",
            "{\"a\":1,\"b\":\"caf\u{fffd}".to_owned(),
        ),
        ("no-finish", Stream, End, whole, all.replace("\"stop\"", "null")),
        ("no-done", Stream, End, whole, EVENTS[..2].concat()),
        ("no-terminal", Response, End, whole, RESPONSE[0].to_owned()),
        ("dribble=3", Stream, End, whole, all.clone()),
        ("dribble=3", Document, End, "200 json length whole", Document.body()),
        ("bandwidth=5000", Stream, End, whole, all.clone()),
        ("truncate=20", Stream, End, whole, prefix(Stream, 20)),
        ("truncate=9", Document, End, "200 json chunked whole", prefix(Document, 9)),
        ("truncate-event=1", Stream, End, whole, first.clone()),
        ("fin-at=20", Stream, End, "200 sse chunked fin", prefix(Stream, 20)),
        ("fin-at=1e", Stream, End, "200 sse chunked fin", first.clone()),
        ("fin-at=9", Document, End, "200 json length fin", prefix(Document, 9)),
        ("reset-at=20", Stream, End, "200 sse chunked reset", prefix(Stream, 20)),
        ("reset-at=2e", Stream, End, "200 sse chunked reset", EVENTS[..2].concat()),
        ("reset-at=9", Document, End, "200 json length reset", prefix(Document, 9)),
        ("reset-at=9", Chunked, End, "200 json chunked reset", prefix(Document, 9)),
        ("stall-at=20", Stream, Silence { body: 20 }, "200 sse chunked silent", prefix(Stream, 20)),
        (
            "stall-at=1e",
            Stream,
            Silence { body: EVENTS[0].len() },
            "200 sse chunked silent",
            first.clone(),
        ),
        (
            "stall-at=9",
            Document,
            Silence { body: 9 },
            "200 json length silent",
            prefix(Document, 9),
        ),
        (
            "comments-at=1e",
            Stream,
            Ticks { body: EVENTS[0].len() + 14 },
            "200 sse chunked ticking",
            format!("{first}: keep-alive\n\n: keep-alive\n\n"),
        ),
        ("reset", Stream, End, "reset", String::new()),
        ("close", Stream, End, "fin", String::new()),
        ("stall", Stream, Silence { body: 0 }, "silent", String::new()),
        (
            "418+body=short and stout",
            Stream,
            End,
            "418 text/plain length whole",
            "short and stout".to_owned(),
        ),
        ("200+body={\"x\":1}", Stream, End, "200 json length whole", "{\"x\":1}".to_owned()),
    ]
}

/// Runs these rows, and returns what was otherwise than they say.
async fn otherwise(rows: &[Row]) -> Vec<String> {
    let mut wrong = Vec::new();
    for rows in rows.chunks(AT_ONCE) {
        let replies = join_all(
            rows.iter().map(|(script, theirs, until, _, _)| scripted(script, *theirs, *until)),
        );
        for ((script, theirs, _, signature, body), reply) in rows.iter().zip(replies.await) {
            let came = (reply.signature(), reply.text());
            if (&*came.0, &came.1) != (*signature, body) {
                wrong
                    .push(format!("{script} of {theirs:?}: {came:?}, not {:?}", (signature, body)));
            }
        }
    }
    wrong
}

#[tokio::test]
async fn words_of_a_script_are_on_the_wire_what_they_say() {
    assert_eq!(otherwise(&rows()).await, [""; 0]);
}

#[test]
fn every_word_of_a_script_is_in_the_table() {
    let rows = rows();
    let names = |script: &str, word: &str| {
        script.split(['+', ',']).any(|part| part.split('=').next() == Some(word))
    };
    let probes = [Surface::Chat, Surface::Responses].into_iter().flat_map(|surface| {
        let context = PlanContext::widest(surface);
        [Mode::Unary, Mode::Stream]
            .into_iter()
            .flat_map(move |mode| plan(Depth::Thorough, mode, &context))
    });
    let probes: Vec<&str> = probes.map(|probe| probe.id).collect();
    let missing: Vec<String> = words()
        .into_iter()
        .map(|(word, _, _)| word.trim_start_matches('+').to_owned())
        // Probes, of which `good` is the first, have tables of their own; statuses are numbers.
        .filter(|word| !probes.contains(&word.as_str()) && word != "STATUS" && word != "good")
        .filter(|word| !rows.iter().any(|(script, ..)| names(script, word)))
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[tokio::test]
async fn documented_reply_is_cut_inside_of_a_character() {
    let reply = scripted("good+cut-character", Theirs::Stream, Until::End).await;
    assert_eq!(reply.signature(), "200 sse chunked fin");
    let cut = std::str::from_utf8(&reply.chunks.concat()).map(str::len).unwrap_err();
    // The last character is there in part.
    assert_eq!(cut.error_len(), None);
}

#[tokio::test]
async fn each_attempt_gets_its_own_fault_on_a_connection_of_its_own() {
    let (address, providing) = provider(Theirs::Stream).await;
    let script = Script::parse("429+header=retry-after:1,reset,fin-at=1e,close,good").unwrap();
    let (port, _watch, mut told) = tap().watch(spec(upstream(address)), script).await.unwrap();
    let mut came = Vec::new();
    for _ in 0..6 {
        let mut client = Raw::connect(support::address(&port)).await;
        client.send(&streaming_request()).await;
        let reply = read(&mut client, Until::End).await;
        drop(client);
        let told = soon("the exchange to be told", told.recv()).await.unwrap();
        came.push((told.call, told.exchange.attempt, reply.signature()));
    }
    let expected = [
        (1, 1, "429 json length whole"),
        (1, 2, "reset"),
        (1, 3, "200 sse chunked fin"),
        (1, 4, "fin"),
        (1, 5, "200 sse chunked whole"),
        (2, 1, "429 json length whole"),
    ];
    assert_eq!(came, expected.map(|(call, attempt, what)| (call, attempt, what.to_owned())));
    providing.abort();
}

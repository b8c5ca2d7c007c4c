//! Real clients, put to the bytes of every row, make of them what `data/clients.tsv` says.
//!
//! One process for each client goes through all rows; what it makes of them is rendered as the table, and compared with the stored one.

#[path = "../clients/async_openai.rs"]
mod async_openai;
#[path = "../clients/outcome.rs"]
mod outcome;
#[path = "../clients/server.rs"]
mod server;
#[path = "../clients/table.rs"]
mod table;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use contract::{ContractVerdict, Surface};
use outcome::Told;
use serde_json::{Value, json};
use server::Server;

use crate::build::{self, Row};

/// A row with a name, and what the judge made of it.
#[derive(Debug)]
struct Case {
    /// The row's number, and a letter for each of its variants.
    id: String,
    row: Row,
    verdict: ContractVerdict,
    /// The finding that stands for the case, and what it saw; `-` without one.
    code: &'static str,
    seen: String,
    /// The text that the judge took for delivered.
    text: String,
    /// The body is left open instead of being cut.
    stays_open: bool,
    /// What is special about how it comes, where the finding does not say.
    when: Option<&'static str>,
}

/// Row 87 has no bytes of its own: these of row 84, and of a whole stream, over a connection that stays open.
fn rows_left_open() -> [Row; 2] {
    let whole = || build::stream(|_| {});
    [
        build::row(87, build::H, "body-cut", whole().swap("data: [DONE]\n\n", "").cut()),
        build::row(87, build::W, "cut-after-done", whole().cut()),
    ]
}

/// Good replies, which every client has to take: without them, what is said of the others would say nothing.
fn good_rows() -> [Row; 6] {
    [
        build::chat(|_| {}),
        build::chat_tools(|_| {}),
        build::stream(|_| {}),
        build::stream_tools(|_| {}),
        build::responses(|_| {}),
        build::responses_stream(|_| {}),
    ]
    .map(|reply| build::row(0, build::P, "", reply))
}

fn cases() -> Vec<Case> {
    let mut variants: BTreeMap<u16, u8> = BTreeMap::new();
    let mut rows: Vec<Row> = good_rows().into_iter().chain(crate::rows()).collect();
    rows.extend(rows_left_open());
    rows.sort_by_key(|row| row.number);
    rows.into_iter()
        .map(|row| {
            let letter = variants.entry(row.number).and_modify(|at| *at += 1).or_insert(b'a');
            case(format!("{}{}", row.number, char::from(*letter)), row)
        })
        .collect()
}

fn case(id: String, row: Row) -> Case {
    let (judgement, text) = crate::judge_with_text(&row.reply, usize::MAX);
    // An error reply is held for its status; the row is about its envelope. Else what decided counts.
    let decides = |code: &str, verdict: ContractVerdict| {
        row.reply.status >= 400 && code == row.code || verdict == judgement.verdict
    };
    let mut deciding = judgement.findings.iter().filter(|one| decides(one.code, one.verdict));
    let first = deciding.clone().find(|one| one.code == row.code).or_else(|| deciding.next());
    Case {
        id,
        verdict: judgement.verdict,
        code: first.map_or("-", |finding| finding.code),
        seen: first.map_or_else(|| "-".to_owned(), |finding| finding.seen.clone()),
        text: text.expose().to_owned(),
        stays_open: row.number == 87,
        when: if row.number == 87 {
            Some("while the connection stays open")
        } else if row.reply.headers.iter().any(|(name, _)| name == "connection") {
            Some("after `connection: close`")
        } else {
            None
        },
        row,
    }
}

/// An SDK that runs in a process of its own, by the key that the table has for it.
const SDKS: [(&str, &str); 4] = [
    ("py1", "python-openai-1"),
    ("py3", "python-openai-3"),
    ("nd4", "node-openai-4"),
    ("nd7", "node-openai-7"),
];
const ASYNC_OPENAI: &str = "rs";

/// What a client is, and what it told about all cases.
struct Client {
    key: &'static str,
    version: String,
    told: Vec<Told>,
}

fn surface_word(surface: Surface) -> &'static str {
    match surface {
        Surface::Chat => "chat",
        Surface::Responses => "responses",
    }
}

/// Runs the process that puts all cases to an SDK.
fn put_all(key: &'static str, environment: &str, base: &str, cases: &[Case]) -> Client {
    let home = testkit::environment(environment).unwrap();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let mut command = if environment.starts_with("python") {
        let mut command = Command::new(home.join("bin/python"));
        command.arg("-W").arg("ignore").arg(scripts.join("client.py"));
        command
    } else {
        let mut command = Command::new("node");
        command.arg(scripts.join("client.mjs"));
        command
    };
    let order = |case: &Case| {
        json!({
            "id": case.id,
            "surface": surface_word(case.row.reply.surface),
            "mode": case.row.reply.mode.as_str(),
            "retries": case.row.reply.status >= 400,
            "reason": case.reason(),
        })
    };
    let cases: Vec<Value> = cases.iter().map(order).collect();
    command.env("SDK_HOME", &home).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let order = json!({"base": base, "cases": cases}).to_string();
    child.stdin.take().unwrap().write_all(order.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{key} ended with {}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let version = lines.next().unwrap().to_owned();
    Client { key, version, told: lines.map(|line| serde_json::from_str(line).unwrap()).collect() }
}

/// Returns the version of a crate that the workspace is built with.
fn locked_version(name: &str) -> String {
    let lock = std::fs::read_to_string(testkit::workspace_root().join("Cargo.lock")).unwrap();
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Puts all cases to all clients at once.
fn put_to_all(server: &Server, cases: &[Case]) -> Vec<Client> {
    let base = |key: &str| format!("http://{}/{key}", server.address);
    std::thread::scope(|scope| {
        let running = SDKS.map(|(key, environment)| {
            let base = base(key);
            scope.spawn(move || put_all(key, environment, &base, cases))
        });
        let told = async_openai::put_all(&base(ASYNC_OPENAI), cases);
        let last = Client { key: ASYNC_OPENAI, version: locked_version("async-openai"), told };
        let all = running.into_iter().map(|thread| thread.join().unwrap());
        all.chain([last]).collect()
    })
}

#[test]
fn clients_make_of_each_row_what_the_data_says() {
    let cases = cases();
    let server = Server::start(&cases);
    let clients = put_to_all(&server, &cases);
    let stored = table::Table::stored();
    let fresh = stored.with_measured(&cases, &clients, &server);
    let differing = stored.differences(&fresh);
    if !differing.is_empty() {
        fresh.write_beside();
        panic!(
            "crates/contract/data/clients.tsv is not what the clients do; the fresh table lies beside it as clients.tsv.new:\n{}",
            differing.join("\n")
        );
    }
    assert_eq!(fresh.broken_by_good_replies(), Vec::<String>::new());
    assert_eq!(fresh.broken_by_passed_replies(), Vec::<String>::new());
}

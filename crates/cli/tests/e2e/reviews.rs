//! The review of the contract: a page that changes under an accepted review, and settings that change without anybody saying so.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use testkit::Needle;

use crate::support::{Done, Plan, Project};

/// A page of documentation that can be changed, and taken away.
struct Page {
    address: SocketAddr,
    text: Arc<Mutex<Option<String>>>,
}

impl Page {
    fn start(text: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let text = Arc::new(Mutex::new(Some(text.to_owned())));
        let shared = Arc::clone(&text);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let text = shared.lock().expect("nobody panics with it").clone();
                // A reader that has left gets nothing.
                serve(stream, text.as_deref()).ok();
            }
        });
        Self { address, text }
    }

    fn set(&self, text: Option<&str>) {
        *self.text.lock().expect("nobody panics with it") = text.map(str::to_owned);
    }

    fn url(&self) -> String {
        format!("http://{}/chat.md", self.address)
    }
}

fn serve(mut stream: TcpStream, text: Option<&str>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        request.extend_from_slice(&byte);
    }
    match text {
        Some(text) => write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
            text.len()
        )?,
        None => stream.shutdown(Shutdown::Both)?,
    }
    Ok(())
}

#[track_caller]
fn review(project: &Project, arguments: &[&str], code: i32, state: &str) -> Done {
    let mut all = vec!["contract", "review", "--format", "json"];
    all.extend(arguments);
    let done = project.run(&all);
    assert_eq!(done.code, Some(code), "{done}");
    assert_eq!(done.json()["exit_code"], code, "{done}");
    assert_eq!(done.json()["sources"][0]["state"], state, "{done}");
    done
}

#[test]
fn changed_page_and_changed_settings_hold_until_somebody_says_so() {
    let page = Page::start("# Chat\n\nAt most 4 choices.\n");
    let project = Plan { source: page.url(), ..Plan::healthy() }.write();

    // A date alone counts, and says that it cannot notice a change.
    let unknown = review(&project, &[], 0, "unknown");
    assert!(unknown.out().contains("contract-review-without-digest"), "{unknown}");
    let accepted = review(&project, &["--accept", "--by", "alice"], 0, "accepted");
    assert_eq!(accepted.json()["sources"][0]["by"], "alice", "{accepted}");
    let drilled = project.drill(0);
    assert!(!drilled.out().contains("contract-"), "{drilled}");

    // The page is not there for a while: what was read last still counts, and asked for itself the answer is "unknown".
    page.set(None);
    review(&project, &[], 11, "unreadable");
    assert_eq!(project.run(&["can", "promote"]).code, Some(0));

    page.set(Some("# Chat\n\nAt most 8 choices.\n"));
    review(&project, &[], 10, "changed");
    let asked = project.run(&["can", "promote", "--format", "json"]);
    assert_eq!(asked.code, Some(10), "{asked}");
    assert_eq!(asked.gate("contract_reviewed").0, "fail", "{asked}");
    assert!(asked.codes(None).contains(&"contract-content-changed".to_owned()), "{asked}");

    // Another model for both: each release agrees with the other, and nobody has said that it is meant.
    project.edit("model: test-model", "model: other-model");
    let held = project.drill(10);
    let (verdict, reasons) = held.gate("contract_reviewed");
    assert_eq!(verdict, "fail", "{held}");
    assert!(reasons.contains("contract-content-changed"), "{held}");
    assert!(reasons.contains("another `model` of `new` and `rollback`"), "{held}");
    assert_eq!(held.gate("new_release_smoke").0, "pass", "{held}");
    let steps = held.json()["steps"].as_array().map(Vec::len);
    assert_eq!(steps, Some(4), "nothing is switched: {held}");

    let still = review(&project, &["--accept"], 11, "accepted");
    assert_eq!(still.codes(None), ["settings-drifted"], "{still}");
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    project.edit(
        "contract:\n",
        &format!("contract:\n  changes: [{{ setting: model, on: {today}, by: bob }}]\n"),
    );
    let done = review(&project, &[], 0, "unchanged");
    assert_eq!(done.json()["findings"], serde_json::json!([]), "{done}");
    let asked = project.run(&["can", "promote", "--format", "json"]);
    assert_eq!(asked.gate("contract_reviewed").0, "pass", "{asked}");
    assert_eq!(asked.code, Some(11), "smoked with another contract: {asked}");

    // The digest is kept, the content is not.
    let needles = [Needle::new("the page", "At most")];
    assert_eq!(project.leaks(&[&unknown, &accepted, &drilled, &held, &still, &done], &needles), []);
    project.assert_intact();
}

#[test]
fn digest_of_the_configuration_counts_without_any_ledger() {
    let project = Plan::healthy().write();
    let printed = project.run(&["contract", "review", "--accept"]);
    assert_eq!(printed.code, Some(0), "{printed}");
    let out = printed.out();
    let entry = out.lines().last().expect("an entry").trim();
    assert!(entry.contains("digest: \"sha256:"), "{printed}");
    std::fs::remove_dir_all(project.folder().join(".surestep")).expect("there is a ledger");
    let text = std::fs::read_to_string(project.config()).expect("the configuration is there");
    let old = text.lines().find(|line| line.contains("source:")).expect("an entry");
    project.edit(old.trim(), entry);
    review(&project, &[], 0, "unchanged");
    std::fs::write(project.folder().join("contract.md"), "Something else.\n").expect("a page");
    review(&project, &[], 10, "changed");
    std::fs::remove_file(project.folder().join("contract.md")).expect("it was there");
    review(&project, &[], 10, "gone");
    // What cannot be read cannot be accepted.
    review(&project, &["--accept"], 10, "gone");
    for (arguments, expected) in [
        (&["--accept", "other.md"][..], "`other.md` is no source"),
        (&["--by", "alice"], "--accept"),
    ] {
        let refused = project.run(&[&["contract", "review"], arguments].concat());
        assert_eq!(refused.code, Some(2), "{refused}");
        assert!(refused.err().contains(expected), "{refused}");
    }
}

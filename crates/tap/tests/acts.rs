//! Each act of a stimulus does on the wire exactly what its name says.

mod support;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use contract::ContractVerdict;
use drill::ports::TapPort as _;
use drill::settings::Forward;
use judge::{Act, Answer, AnswerEnd, AnsweredBy, AskId, End, Observation, Piece, Stimulus};
use support::{
    ForwardPort, Raw, acting, address, answer, bytes, chat_request, collect, dead_address,
    forward_spec, header, only, open_alone, soon, upstream,
};

/// Performs an act on one exchange, the same over plain TCP and over TLS. Returns all that the release got, how its
/// connection ended, and what was seen.
async fn perform(act: Act) -> (String, Option<ErrorKind>, Observation) {
    let port = open_alone().await;
    port.arm(acting(act.clone()));
    let mut client = Raw::connect(address(&port)).await;
    client.send(&chat_request(1)).await;
    let (text, error) = client.read_to_end().await;

    let proxy =
        ForwardPort::open(forward_spec(upstream(dead_address().await), Forward::default())).await;
    proxy.port.arm(acting(act));
    let mut client = proxy.secured("api.example.test").await.expect("it is trusted");
    client.send(&chat_request(1)).await;
    assert_eq!(client.read_to_end().await, (text.clone(), error), "in forward mode");
    let (seen, in_forward) = (collect(&port, 1).await, collect(&proxy.port, 1).await);
    assert_eq!(only(&in_forward).release_end, only(&seen).release_end, "in forward mode");
    (text, error, seen)
}

fn body(text: &str) -> &str {
    text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[tokio::test]
async fn reset_sends_rst_without_a_byte() {
    let (text, error, observation) = perform(Act::Reset).await;
    assert_eq!((text.as_str(), error), ("", Some(ErrorKind::ConnectionReset)));
    assert_eq!(
        (only(&observation).release_end, only(&observation).response.is_none()),
        (End::Injected, true)
    );
    assert_eq!(
        (only(&observation).answered_by, only(&observation).provider_end),
        (AnsweredBy::Tap, None)
    );
}

#[tokio::test]
async fn close_sends_fin_without_a_byte() {
    let (text, error, observation) = perform(Act::Close).await;
    assert_eq!((text.as_str(), error), ("", None));
    assert_eq!(only(&observation).release_end, End::Injected);
}

#[tokio::test]
async fn declared_length_larger_than_the_body_is_cut_by_fin() {
    for end in [AnswerEnd::Fin, AnswerEnd::Complete] {
        let cut = Answer { declared_length: Some(100), ..answer(vec![bytes("half")], end) };
        let (text, error, observation) = perform(Act::Answer(cut)).await;
        assert_eq!(
            (header(&text, "content-length"), body(&text), error),
            (Some("100"), "half", None)
        );
        assert_eq!(header(&text, "connection"), None, "{text}");
        assert_eq!(only(&observation).release_end, End::Injected);
    }
}

#[tokio::test]
async fn declared_length_without_a_byte_is_kept() {
    let cut = Answer { declared_length: Some(9), ..answer(Vec::new(), AnswerEnd::Fin) };
    let (text, error, _) = perform(Act::Answer(cut)).await;
    assert_eq!((header(&text, "content-length"), body(&text), error), (Some("9"), "", None));
}

#[tokio::test]
async fn chunked_answer_has_a_chunk_for_each_piece() {
    let port = open_alone().await;
    port.arm(acting(Act::Answer(answer(
        vec![bytes("one"), bytes(""), bytes("three")],
        AnswerEnd::Complete,
    ))));
    let mut client = Raw::connect(address(&port)).await;
    for _ in 0..2 {
        client.send(&chat_request(1)).await;
        let head = client.until("\r\n\r\n").await;
        assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
        assert_eq!(client.until("0\r\n\r\n").await, "3\r\none\r\n5\r\nthree\r\n0\r\n\r\n");
    }
    let observation = collect(&port, 1).await;
    assert_eq!(
        observation.exchanges.iter().map(|e| e.release_end).collect::<Vec<_>>(),
        [End::Complete; 2]
    );
    assert_eq!(observation.exchanges.iter().map(|e| e.attempt).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn chunked_answer_cut_by_fin_has_no_last_chunk() {
    let (text, error, _) = perform(Act::Answer(answer(vec![bytes("one")], AnswerEnd::Fin))).await;
    assert_eq!((body(&text), error), ("3\r\none\r\n", None));
}

#[tokio::test]
async fn reset_comes_after_the_good_bytes() {
    let (text, error, observation) =
        perform(Act::Answer(answer(vec![bytes("one")], AnswerEnd::Reset))).await;
    assert_eq!((body(&text), error), ("3\r\none\r\n", Some(ErrorKind::ConnectionReset)));
    assert_eq!(only(&observation).response.as_ref().unwrap().status, 200);
}

#[tokio::test]
async fn whole_body_may_also_end_in_fin_or_reset() {
    for (end, error) in
        [(AnswerEnd::Fin, None), (AnswerEnd::Reset, Some(ErrorKind::ConnectionReset))]
    {
        let whole = Answer { declared_length: Some(3), ..answer(vec![bytes("one")], end) };
        let (text, seen, observation) = perform(Act::Answer(whole)).await;
        assert_eq!((body(&text), seen), ("one", error));
        assert_eq!(only(&observation).release_end, End::Injected);
    }
}

/// Performs an act that holds, reads up to `seen`, and ends the ask.
async fn hold(act: Act, seen: &str) -> Observation {
    let port = open_alone().await;
    port.arm(acting(act));
    let mut client = Raw::connect(address(&port)).await;
    client.send(&chat_request(1)).await;
    if !seen.is_empty() {
        client.until(seen).await;
    }
    assert!(port.arrived(AskId(1), support::PATIENCE).await);
    let (observation, _) = soon("collect", port.collect(AskId(1), Duration::ZERO)).await;
    // The held connection has been ended with the ask.
    client.read_to_end().await;
    observation
}

#[tokio::test]
async fn held_things_end_with_the_ask() {
    let stall = Act::Answer(answer(vec![bytes("one")], AnswerEnd::Hold));
    let rounds = vec![Piece::Repeat { bytes: b"tick".to_vec(), every: Duration::from_millis(1) }];
    let pause = vec![bytes("before"), Piece::Pause(Duration::from_hours(1)), bytes("after")];
    for (act, seen) in [
        (Act::Hold, ""),
        (stall, "one"),
        (
            Act::Answer(answer(rounds, AnswerEnd::Complete)),
            "4\r\ntick\r\n4\r\ntick\r\n4\r\ntick\r\n",
        ),
        (Act::Answer(answer(pause, AnswerEnd::Complete)), "before"),
    ] {
        let observation = hold(act, seen).await;
        assert_eq!(only(&observation).release_end, End::StillOpen);
        assert_eq!(only(&observation).response.is_some(), !seen.is_empty());
    }
}

#[tokio::test]
async fn held_release_that_leaves_is_seen_to_leave() {
    for act in [Act::Hold, Act::Answer(answer(vec![bytes("one")], AnswerEnd::Hold))] {
        let port = open_alone().await;
        port.arm(acting(act));
        let mut client = Raw::connect(address(&port)).await;
        client.send(&chat_request(1)).await;
        assert!(port.arrived(AskId(1), support::PATIENCE).await);
        drop(client);
        assert_eq!(only(&collect(&port, 1).await).release_end, End::PeerLeft);
    }
}

#[tokio::test]
async fn pause_comes_between_the_pieces() {
    let pieces = vec![bytes("a"), Piece::Pause(Duration::from_millis(60)), bytes("b")];
    let port = open_alone().await;
    port.arm(acting(Act::Answer(answer(pieces, AnswerEnd::Complete))));
    let mut client = Raw::connect(address(&port)).await;
    client.send(&chat_request(1)).await;
    client.until("1\r\na\r\n").await;
    #[expect(clippy::disallowed_methods, reason = "measures the pause")]
    let first = Instant::now();
    client.until("0\r\n\r\n").await;
    assert!(first.elapsed() > Duration::from_millis(40), "{:?}", first.elapsed());
}

#[tokio::test]
async fn documented_replies_pass_the_contract() {
    for stream in ["", "\"stream\":true,"] {
        let port = open_alone().await;
        port.arm(support::ask(1, Stimulus::Documented));
        let mut client = Raw::connect(address(&port)).await;
        let prompt = contract::smoke::prompt(judge::Marker::new(1).as_str(), "SSL-1");
        let request = format!(
            "{{{stream}\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"{prompt}\"}}]}}"
        );
        client.send(&support::post("/v1/chat/completions", &request)).await;
        let head = client.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let (observation, texts) = soon("collect", port.collect(AskId(1), support::PATIENCE)).await;
        let exchange = only(&observation);
        let judgement = &exchange.response.as_ref().unwrap().judgement;
        assert_eq!(
            (judgement.verdict, exchange.request.stream),
            (ContractVerdict::Pass, !stream.is_empty()),
            "{judgement:#?}"
        );
        assert!(texts[0].expose().contains("SSL-1"), "the label is in the delivered text");
        assert_eq!(exchange.request.model.as_deref(), Some("m"));
    }
}

#[tokio::test]
async fn other_paths_get_a_list_or_a_documented_404_in_the_simulated_lane() {
    let port = open_alone().await;
    port.arm(support::ask(1, Stimulus::Documented));
    let mut client = Raw::connect(address(&port)).await;
    client.send("GET /v1/models HTTP/1.1\r\nHost: tap\r\n\r\n").await;
    let (head, list) = client.message().await;
    assert!(
        head.starts_with("HTTP/1.1 200 ") && list.contains("\"object\":\"list\""),
        "{head}{list}"
    );
    client.send("GET /v1/nothing HTTP/1.1\r\nHost: tap\r\n\r\n").await;
    let (head, error) = client.message().await;
    assert!(
        head.starts_with("HTTP/1.1 404 ") && error.contains("Invalid URL (GET /v1/nothing)"),
        "{head}{error}"
    );
    // Neither is an attempt of the release at its call: the stimulus still counts from one.
    let observation = collect(&port, 1).await;
    assert!(observation.exchanges.iter().all(|exchange| exchange.answered_by == AnsweredBy::Guard));
}

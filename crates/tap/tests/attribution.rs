//! Which exchange belongs to which ask, and what keeps a release from running away.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::io::{ErrorKind, Write as _};
use std::time::Duration;

use drill::ports::{ArmedAsk, TapPort as _};
use judge::{Act, Answer, AnswerEnd, AnsweredBy, AskId, Marker, Stimulus};
use support::{
    Provider, Raw, acting, address, answer, ask, chat_request, collect, only, open, open_alone,
    post, shared_ask, soon,
};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// Answers with a status and an empty body.
fn status(status: u16) -> Stimulus {
    Stimulus::Acts(vec![Act::Answer(Answer {
        status,
        declared_length: Some(0),
        ..answer(Vec::new(), AnswerEnd::Complete)
    })])
}

async fn status_of(client: &mut Raw, request: &str) -> String {
    client.send(request).await;
    client.message().await.0.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn concurrent_asks_are_told_apart_by_their_markers() {
    let port = open_alone().await;
    port.arm(shared_ask(1, status(429)));
    port.arm(shared_ask(2, status(503)));
    let mut one = Raw::connect(address(&port)).await;
    let mut two = Raw::connect(address(&port)).await;
    for _ in 0..3 {
        assert_eq!(status_of(&mut one, &chat_request(1)).await, "429");
        assert_eq!(status_of(&mut two, &chat_request(2)).await, "503");
    }
    assert_eq!(status_of(&mut one, &chat_request(2)).await, "503");
    assert_eq!(collect(&port, 1).await.exchanges.len(), 3);
    assert_eq!(collect(&port, 2).await.exchanges.len(), 4);
}

/// A chat call with these asks' prompts, in this order.
fn asking(asks: &[u64]) -> String {
    let messages: Vec<_> = asks
        .iter()
        .map(|ask| {
            let question = contract::smoke::prompt(Marker::new(*ask).as_str(), "SSL-1");
            serde_json::json!({ "role": "user", "content": question })
        })
        .collect();
    let body = serde_json::json!({ "model": "m", "messages": messages });
    post("/v1/chat/completions", &body.to_string())
}

#[tokio::test]
async fn the_last_question_is_the_asks_own() {
    let port = open_alone().await;
    port.arm(shared_ask(1, status(429)));
    collect(&port, 1).await;
    port.arm(shared_ask(2, status(503)));
    port.arm(shared_ask(3, status(500)));
    let mut client = Raw::connect(address(&port)).await;
    // Of one who is gone, one who is under way, one of another run, the own one twice.
    let other_run = 0x00ab_0000_0001;
    assert_eq!(status_of(&mut client, &asking(&[3, 1, 3, other_run, 2])).await, "503");
    assert_eq!(status_of(&mut client, &asking(&[3])).await, "500");
    // One that came too late, behind the question of one who is under way.
    assert_eq!(status_of(&mut client, &asking(&[3, 1])).await, "500");
    let seen = |observation: judge::Observation| -> Vec<(bool, u32)> {
        let of = |exchange: &judge::Exchange| {
            (exchange.request.carries_marker, exchange.request.other_asks)
        };
        observation.exchanges.iter().map(of).collect()
    };
    assert_eq!(seen(collect(&port, 2).await), [(true, 2)]);
    assert_eq!(seen(collect(&port, 3).await), [(true, 0), (true, 1)]);
}

#[tokio::test]
async fn the_question_is_looked_for_where_it_is_asked_after() {
    use contract::smoke::{QuestionSeen, Wording};
    // By its header: what is in it does not matter then.
    let compressed =
        post("/v1/chat/completions", "{}").replacen("\r\n", "\r\nContent-Encoding: deflate\r\n", 1);
    for (question, body, expected) in [
        (Some(Wording::Plain), asking(&[1]), QuestionSeen::Whole),
        (Some(Wording::Written), asking(&[1]), QuestionSeen::Damaged),
        (None, asking(&[1]), QuestionSeen::Unread),
        (Some(Wording::Plain), post("/v1/chat/completions", "{}"), QuestionSeen::Absent),
        (Some(Wording::Plain), post("/v1/chat/completions", "{"), QuestionSeen::Damaged),
        (Some(Wording::Plain), compressed, QuestionSeen::Unread),
        // Beside the surface it is nobody's business.
        (Some(Wording::Plain), post("/v1/moderations", "{}"), QuestionSeen::Unread),
    ] {
        let port = open_alone().await;
        port.arm(ArmedAsk { question, ..ask(1, status(429)) });
        let mut client = Raw::connect(address(&port)).await;
        status_of(&mut client, &body).await;
        assert_eq!(only(&collect(&port, 1).await).request.question, expected, "{body}");
    }
}

#[tokio::test]
async fn what_of_a_conversation_does_not_arrive_is_named() {
    use contract::conversation::{AskedWith, Loss, PartLost, RequestPart};
    use contract::smoke::{Wording, prompt};
    let sent = AskedWith::Conversation.request(
        contract::Surface::Chat,
        contract::Mode::Stream,
        "m",
        &prompt("ssm-1", "SSL-1"),
    );
    let mut without_tools = sent.clone();
    without_tools.as_object_mut().unwrap().remove("tools");
    let tools = PartLost { part: RequestPart::Tools, loss: Loss::Absent };
    for (asked_with, body, expected) in [
        (AskedWith::Conversation, &sent, Some(vec![])),
        (AskedWith::Conversation, &without_tools, Some(vec![tools])),
        (AskedWith::Question, &without_tools, None),
    ] {
        let port = open_alone().await;
        let question = Some(Wording::Plain);
        port.arm(ArmedAsk { question, asked_with, ..ask(1, status(429)) });
        let mut client = Raw::connect(address(&port)).await;
        status_of(&mut client, &post("/v1/chat/completions", &body.to_string())).await;
        assert_eq!(only(&collect(&port, 1).await).request.lost, expected, "{body}");
    }
}

#[tokio::test]
async fn call_without_marker_belongs_to_the_only_ask() {
    let port = open_alone().await;
    port.arm(shared_ask(1, status(429)));
    let mut client = Raw::connect(address(&port)).await;
    assert_eq!(status_of(&mut client, &post("/v1/chat/completions", "{}")).await, "429");
    assert!(!only(&collect(&port, 1).await).request.carries_marker);
}

#[tokio::test]
async fn exclusive_ask_gets_whatever_comes() {
    let port = open_alone().await;
    port.arm(ask(1, status(429)));
    let mut client = Raw::connect(address(&port)).await;
    assert_eq!(status_of(&mut client, &chat_request(99)).await, "429");
    assert_eq!(status_of(&mut client, &post("/chat/completions", "{}")).await, "429");
    let observation = collect(&port, 1).await;
    assert_eq!(observation.exchanges.len(), 2);
    assert_eq!(observation.exchanges[1].request.path, "/chat/completions");
    assert_eq!(observation.exchanges[1].request.resource, "/v1/chat/completions");
}

#[tokio::test]
async fn late_retry_of_a_finished_ask_reaches_nobody() {
    let port = open_alone().await;
    port.arm(shared_ask(1, status(429)));
    collect(&port, 1).await;
    port.arm(shared_ask(2, status(500)));
    let mut client = Raw::connect(address(&port)).await;
    client.send(&chat_request(1)).await;
    let (head, body) = client.message().await;
    assert!(head.starts_with("HTTP/1.1 503 ") && body.contains("ask_is_over"), "{head}{body}");
    assert_eq!((port.live_calls(), collect(&port, 2).await.exchanges.len()), (0, 0));
}

#[tokio::test]
async fn who_follows_a_redirect_is_found_by_the_marker_in_the_path() {
    let port = open_alone().await;
    port.arm(shared_ask(1, Stimulus::Redirect(judge::Redirect { status: 301, elsewhere: false })));
    port.arm(shared_ask(2, status(500)));
    let mut client = Raw::connect(address(&port)).await;
    client.send(&chat_request(1)).await;
    let (head, _) = client.message().await;
    let location = support::header(&head, "location").unwrap().to_owned();
    client.send(&format!("GET {location} HTTP/1.1\r\nHost: tap\r\n\r\n")).await;
    let (head, body) = client.message().await;
    assert!(head.starts_with("HTTP/1.1 200 ") && body.contains("<html"), "{head}{body}");
    assert_eq!(collect(&port, 1).await.exchanges.len(), 2);
}

#[tokio::test]
async fn spent_budget_is_a_guard_answer() {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    port.arm(ArmedAsk { live_calls_max: 1, ..ask(1, Stimulus::Relay) });
    let mut client = Raw::connect(address(&port)).await;
    client.send(&chat_request(1)).await;
    let mut upstream = provider.accept().await;
    upstream.message().await;
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    client.message().await;
    client.send(&chat_request(1)).await;
    let (head, body) = client.message().await;
    assert!(
        head.starts_with("HTTP/1.1 503 ") && body.contains("live_call_budget_spent"),
        "{head}{body}"
    );
    let observation = collect(&port, 1).await;
    let answered: Vec<_> =
        observation.exchanges.iter().map(|exchange| exchange.answered_by).collect();
    assert_eq!(answered, [AnsweredBy::Provider, AnsweredBy::Guard]);
    assert_eq!(port.live_calls(), 1);
}

/// A call of a user, who knows of no marker, comes while an ask takes the same way.
#[tokio::test]
async fn no_limit_of_an_ask_keeps_users_from_the_provider() {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    let limited = ArmedAsk { live_calls_max: 1, attempts_max: 1, ..shared_ask(1, Stimulus::Relay) };
    port.arm(ArmedAsk { among_users: true, ..limited });
    let mut client = Raw::connect(address(&port)).await;
    client.send(&post("/v1/chat/completions", "{}")).await;
    let mut upstream = provider.accept().await;
    for n in 0..4 {
        upstream.message().await;
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
        let (head, _) = client.message().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "call {n}: {head}");
        client.send(&post("/v1/chat/completions", "{}")).await;
    }
}

#[tokio::test]
async fn hot_loop_is_stopped() {
    let port = open_alone().await;
    port.arm(ArmedAsk { attempts_max: 2, ..ask(1, status(429)) });
    for n in 0..20 {
        let mut client = Raw::connect(address(&port)).await;
        client.send(&chat_request(1)).await;
        let (text, error) =
            if n < 2 { (client.until("\r\n\r\n").await, None) } else { client.read_to_end().await };
        assert_eq!((text.is_empty(), error), (n >= 2, None), "exchange {n}: {text}");
    }
    let observation = collect(&port, 1).await;
    let guarded = observation
        .exchanges
        .iter()
        .filter(|exchange| exchange.answered_by == AnsweredBy::Guard)
        .count();
    assert_eq!((observation.exchanges.len(), guarded, observation.lost), (6, 4, 0));
}

#[tokio::test]
async fn refused_connections_are_refused_until_the_ask_is_over() {
    let port = open_alone().await;
    port.arm(ask(1, status(429)));
    let mut idle = Raw::connect(address(&port)).await;
    status_of(&mut idle, &chat_request(1)).await;
    port.refuse_connections().await;
    let refused = TcpStream::connect(address(&port)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    // A kept connection must not lead round the refusal.
    assert_eq!(idle.read_to_end().await, (String::new(), None));
    collect(&port, 1).await;
    port.arm(ask(2, status(500)));
    let mut client = Raw::connect(address(&port)).await;
    assert_eq!(status_of(&mut client, &chat_request(2)).await, "500");
}

#[tokio::test]
async fn connection_that_is_no_http_is_a_stray() {
    let port = open_alone().await;
    port.arm(ask(1, status(429)));
    let mut client = Raw::connect(address(&port)).await;
    client.send_bytes(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc]).await;
    client.stream.readable().await.unwrap();
    client.read_to_end().await;
    // The connection is counted when its task ends, which is after its socket did: another exchange on the same
    // single-threaded runtime comes later still.
    let mut second = Raw::connect(address(&port)).await;
    status_of(&mut second, &chat_request(1)).await;
    let observation = collect(&port, 1).await;
    assert_eq!((observation.stray_connections, observation.exchanges.len()), (1, 1));
}

#[tokio::test]
async fn arrival_is_waited_for() {
    let port = open_alone().await;
    port.arm(acting(Act::Close));
    assert!(!port.arrived(AskId(1), Duration::from_millis(1)).await);
    assert!(!port.arrived(AskId(7), support::PATIENCE).await, "nobody armed it");
    let mut client = Raw::connect(address(&port)).await;
    let request = chat_request(1);
    let (arrived, ()) =
        tokio::join!(port.arrived(AskId(1), support::PATIENCE), client.send(&request));
    assert!(arrived);
}

#[tokio::test]
async fn ask_that_was_never_armed_is_lost() {
    let port = open_alone().await;
    let (observation, texts) = soon("collect", port.collect(AskId(5), Duration::ZERO)).await;
    assert_eq!((observation.lost, observation.exchanges.len(), texts.len()), (1, 0, 0));
}

#[tokio::test]
async fn slow_reader_slows_only_itself() {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    port.arm(ask(1, Stimulus::Relay));
    let mut slow = Raw::connect(address(&port)).await;
    slow.send(&chat_request(1)).await;
    let mut endless = provider.accept().await;
    endless.message().await;
    endless.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let flood = tokio::spawn(async move {
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
        while tokio::io::AsyncWriteExt::write_all(&mut endless.stream, chunk.as_bytes())
            .await
            .is_ok()
        {}
    });
    let mut quick = Raw::connect(address(&port)).await;
    quick.send(&chat_request(1)).await;
    let mut upstream = provider.accept().await;
    upstream.message().await;
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    assert_eq!(quick.message().await.1, "{}");
    assert!(!flood.is_finished(), "the flood is held back, not swallowed");
    // Ending the ask ends also a stream whose reader takes nothing.
    let (observation, _) = soon("collect", port.collect(AskId(1), Duration::ZERO)).await;
    assert_eq!((observation.exchanges.len(), observation.lost), (2, 0));
    soon("the provider's side to be closed", flood).await.unwrap();
    assert_eq!(Marker::new(1).as_str().len(), Marker::LEN);
}

#[tokio::test]
async fn compressed_call_is_read_and_sent_as_it_came() {
    let provider = Provider::start().await;
    let port = open(provider.address).await;
    port.arm(shared_ask(1, status(429)));
    port.arm(shared_ask(2, Stimulus::Relay));
    let plain = chat_request(2);
    let (_, body) = plain.split_once("\r\n\r\n").unwrap();
    let body = body.replacen('{', r#"{"user":"sk-in-the-body","#, 1);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(body.as_bytes()).unwrap();
    let body = gzip.finish().unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: tap\r\nAuthorization: Bearer sk-in-the-body\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut client = Raw::connect(address(&port)).await;
    client.send_bytes(&[head.as_bytes(), &body].concat()).await;
    let mut upstream = provider.accept().await;
    upstream.until("\r\n\r\n").await;
    while upstream.unread.len() < body.len() {
        soon("the body", upstream.stream.read_buf(&mut upstream.unread)).await.unwrap();
    }
    assert_eq!(upstream.unread, body);
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    client.message().await;
    assert_eq!(collect(&port, 1).await.exchanges, []);
    let seen = collect(&port, 2).await;
    let request = &only(&seen).request;
    assert_eq!((request.model.as_deref(), request.body_bytes), (Some("m"), body.len() as u64));
    assert_eq!(request.exposure, judge::Exposure::Body);
}

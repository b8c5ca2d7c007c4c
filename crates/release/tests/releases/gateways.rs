//! A release that is itself an OpenAI-compatible gateway.

use contract::Surface;
use drill::ports::{Releases as _, RunningRelease as _, Start};
use drill::settings::{HttpAsk, Run};
use evidence::Sensitive;

use crate::harness::{Bench, said, service, start, stream, unary};

fn gateway() -> HttpAsk {
    HttpAsk::Openai { path: "/v1".to_owned(), key: None, model: "chat-primary".to_owned() }
}

#[tokio::test]
async fn it_is_asked_as_its_users_ask_it() {
    let bench = Bench::supervised();
    let release = bench.release(Run::Service(service(&bench, gateway())));
    let running = bench.start(&release).await.unwrap();
    for (ask, expected) in [
        (unary("x"), "answered hi chat-primary"),
        (unary("500"), "refused: status 500"),
        (unary("half"), "refused: reply broke off"),
        (stream("x"), "answered hi"),
        (stream("laundered"), "refused: [DONE] without finish_reason"),
        (stream("error"), "refused: an error in the stream"),
        // Behind the finish reason: an unclean end all the same.
        (stream("cut"), "refused: stream broke off"),
    ] {
        let prompt = ask.prompt.expose().to_owned();
        let asked = running.ask(ask).await;
        assert_eq!(said(&asked), expected, "{prompt}");
    }
}

#[tokio::test]
async fn a_wrong_credential_and_the_other_surface_are_told() {
    let bench = Bench::supervised();
    let release = bench.release(Run::Service(service(&bench, gateway())));
    let wrong = Start { gateway_key: Some(Sensitive::new("sk-wrong")), ..start() };
    let running = bench.runner.start(&release, wrong).await.unwrap();
    assert_eq!(said(&running.ask(unary("x")).await), "refused: status 401");
    let responses = Start { surface: Surface::Responses, ..start() };
    let running = bench.runner.start(&release, responses).await.unwrap();
    assert_eq!(said(&running.ask(unary("x")).await), "answered hello");
}

#[tokio::test]
async fn a_credential_of_two_lines_is_no_credential() {
    let bench = Bench::supervised();
    let release = bench.release(Run::Service(service(&bench, gateway())));
    let broken = Start { gateway_key: Some(Sensitive::new("sk\nsk")), ..start() };
    let error = bench.runner.start(&release, broken).await.unwrap_err();
    assert!(error.to_string().contains("the gateway's credential cannot be sent"), "{error}");
}

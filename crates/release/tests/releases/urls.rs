//! Instances that run already.

use drill::ports::{LogPosition, PortError, Releases as _, RunningRelease as _, Way};
use drill::settings::{LogSource, Run};

use crate::harness::{Bench, mapped, said, service, stream, unary};

fn url(address: impl std::fmt::Display) -> Run {
    Run::Url { url: format!("http://{address}"), ask: mapped() }
}

#[tokio::test]
async fn an_instance_is_asked_under_its_url() {
    let bench = Bench::supervised();
    let there = bench.start(&bench.release(Run::Service(service(&bench, mapped())))).await.unwrap();
    let address = there.front(Way::direct(String::new())).await.unwrap();
    let running = bench.start(&bench.release(url(address))).await.unwrap();
    assert_eq!(running.front(Way::direct(String::new())).await.unwrap(), address);
    assert_eq!(said(&running.ask(unary("x")).await), "answered echo x");
    assert_eq!(said(&running.ask(stream("x")).await), "answered ax");
    assert_eq!(said(&running.ask(unary("500")).await), "refused: status 500");
    assert_eq!(said(&running.ask(unary("drop")).await), "crashed: ConnectionLost");
    running.stop().await;
    assert_eq!(said(&running.ask(unary("x")).await), "answered echo x", "not ours to stop");
}

#[tokio::test]
async fn the_log_file_of_an_instance_is_read() {
    let bench = Bench::supervised();
    let there = bench.start(&bench.release(Run::Service(service(&bench, mapped())))).await.unwrap();
    let mut release = bench.release(url(there.front(Way::direct(String::new())).await.unwrap()));
    let file = bench.path().join("app.log");
    release.logs = vec![LogSource::Stderr, LogSource::File(file.clone())];
    let running = bench.start(&release).await.unwrap();
    let start = running.logs_since(LogPosition::default()).end;
    std::fs::write(&file, "asked\n").unwrap();
    assert_eq!(running.logs_since(start).text.expose(), "asked\n");
}

#[tokio::test]
async fn an_instance_with_a_name_is_relayed_to() {
    let bench = Bench::supervised();
    let there = bench.start(&bench.release(Run::Service(service(&bench, mapped())))).await.unwrap();
    let address = there.front(Way::direct(String::new())).await.unwrap();
    // A name that is not `localhost` itself but leads to loopback on every machine with glibc.
    let named = url(format!("LOCALHOST:{}", address.port()));
    let running = bench.start(&bench.release(named)).await.unwrap();
    let front = running.front(Way::direct(String::new())).await.unwrap();
    assert_ne!(front, address);
    assert_eq!(said(&bench.runner.ask_at(&running, front, unary("x")).await), "answered echo x");
    assert_eq!(said(&bench.runner.ask_at(&running, front, stream("b")).await), "answered ab");
    assert_eq!(
        said(&bench.runner.ask_at(&running, front, stream("cut")).await),
        "refused: stream broke off"
    );
}

#[tokio::test]
async fn an_instance_that_is_not_there_is_told_at_the_start() {
    let bench = Bench::supervised();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let error = bench.start(&bench.release(url(address))).await.unwrap_err();
    let PortError::Release { code, what, .. } = error else { panic!("{error:?}") };
    assert_eq!(code, "release-not-ready");
    assert!(what.contains("could not be connected to"), "{what}");
}

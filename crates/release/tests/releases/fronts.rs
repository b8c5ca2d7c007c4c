//! Releases behind an address: the route asks them there.

use drill::ports::{Ask, LogPosition, Releases as _, RunningRelease as _, Way};
use drill::settings::Run;

use crate::harness::{Bench, exposed, mapped, said, service, stream, unary};

#[tokio::test]
async fn a_command_is_asked_through_its_front() {
    let bench = Bench::supervised();
    let mut release = bench.shell(
        "echo log >&2; case $1 in refuse) echo shown; exit 2;; crash) kill -SEGV $$;; *) echo $BASE $1;; esac",
    );
    release.env.insert("BASE".to_owned(), "{tap}".to_owned());
    let running = bench.start(&release).await.unwrap();
    let front = running.front(Way::direct("http://127.0.0.1:5/v1".to_owned())).await.unwrap();
    let ask = |prompt| bench.runner.ask_at(&running, front, unary(prompt));
    assert_eq!(said(&ask("hello").await), "answered http://127.0.0.1:5/v1 hello");
    let refused = ask("refuse").await;
    assert_eq!(said(&refused), "refused: exit status 2");
    assert_eq!(exposed(refused.shown.as_ref()), "shown\n");
    assert_eq!(said(&ask("crash").await), "crashed: Signal { number: 11 }");
    assert_eq!(running.logs_since(LogPosition::default()).text.expose(), "log\nlog\nlog\n");
    running.stop().await;
    assert_eq!(said(&ask("hello").await), "crashed: ConnectionLost");
}

#[tokio::test]
async fn a_service_is_asked_at_its_own_address_or_in_the_common_format() {
    let bench = Bench::supervised();
    let running =
        bench.start(&bench.release(Run::Service(service(&bench, mapped())))).await.unwrap();
    let native = running.front(Way::direct(String::new())).await.unwrap();
    assert_eq!(said(&bench.runner.ask_at(&running, native, unary("x")).await), "answered echo x");
    assert_eq!(said(&bench.runner.ask_at(&running, native, stream("x")).await), "answered ax");
    let uniform = running.front_uniform(Way::direct(String::new())).await.unwrap();
    assert_eq!(said(&bench.runner.ask_uniform(uniform, unary("x")).await), "answered echo x");
    assert_eq!(said(&bench.runner.ask_uniform(uniform, stream("x")).await), "answered ax");
    let refused = bench.runner.ask_uniform(uniform, unary("500")).await;
    assert_eq!(said(&refused), "refused: status 500");
    let ask = Ask { deadline: std::time::Duration::from_millis(500), ..unary("hang") };
    assert_eq!(said(&bench.runner.ask_uniform(uniform, ask).await), "timed out");
}

#[tokio::test]
async fn what_is_no_front_is_not_believed() {
    let bench = Bench::supervised();
    let running =
        bench.start(&bench.release(Run::Service(service(&bench, mapped())))).await.unwrap();
    let address = running.front(Way::direct(String::new())).await.unwrap();
    // The service answers 200 in its own format to /ask, and knows no prompt: it drops the request.
    assert_eq!(
        said(&bench.runner.ask_uniform(address, unary("x")).await),
        "crashed: ConnectionLost"
    );
}

//! Services: how they start, what their replies amount to, and what they log.

use std::time::Duration;

use drill::ports::{LogPosition, PortError, RunningRelease as _};
use drill::settings::{
    AnswerAt, AskMapping, EventMark, HttpAsk, LogSource, RefusedBy, Run, ServiceRun,
};
use serde_json::json;

use crate::harness::{
    Bench, exposed, mapped, mapping, said, service, stream, unary, until, within,
};

fn words(command: &[&str]) -> Vec<String> {
    command.iter().map(|word| (*word).to_owned()).collect()
}

#[track_caller]
fn release_error(error: PortError) -> (&'static str, String, String) {
    match error {
        PortError::Release { code, what, output, .. } => {
            (code, what, exposed(output.as_ref()).to_owned())
        }
        PortError::Environment { what, .. } => panic!("{what}"),
    }
}

#[tokio::test]
async fn replies_are_told_apart() {
    let bench = Bench::supervised();
    let running =
        bench.start(&bench.release(Run::Service(service(&bench, mapped())))).await.unwrap();
    assert!(!running.process_per_ask());
    for (prompt, expected) in [
        ("\"quoted\" {tap}\nü", "answered echo \"quoted\" {tap}\nü"),
        ("null", "refused: no answer at /answer"),
        ("html", "refused: no answer at /answer"),
        ("latin", "answered caf\u{fffd}"),
        ("500", "refused: status 500"),
        ("redirect", "refused: status 307"),
        ("half", "refused: reply broke off"),
        ("drop", "crashed: ConnectionLost"),
    ] {
        assert_eq!(said(&running.ask(unary(prompt)).await), expected, "{prompt}");
    }
    let asked = running.ask(unary("500")).await;
    assert_eq!(exposed(asked.shown.as_ref()), "it is broken");
    let hung = running.ask(within(Duration::from_millis(500), unary("hang"))).await;
    assert_eq!(said(&hung), "timed out");
    assert!(hung.cpu_wait.is_some(), "how long it waited for a processor is known");
    running.stop().await;
    assert_eq!(said(&running.ask(unary("x")).await), "crashed: Signal { number: 15 }");
}

#[tokio::test]
async fn streams_are_told_apart() {
    let bench = Bench::supervised();
    let ask = HttpAsk::Mapped {
        unary: None,
        stream: Some(AskMapping {
            done: Some(EventMark::Pointer("/done".to_owned())),
            refused: Some(RefusedBy::Event(EventMark::Name("error".to_owned()))),
            ..mapping("/stream", AnswerAt::EventPointer("/delta".to_owned()))
        }),
    };
    let running = bench.start(&bench.release(Run::Service(service(&bench, ask)))).await.unwrap();
    for (prompt, expected, partial) in [
        ("b", "answered ab", "ab"),
        ("no end", "refused: stream ended without its done mark", "ano end"),
        ("error", "refused: event error", "aerror"),
        ("cut", "refused: stream broke off", "acut"),
    ] {
        let asked = running.ask(stream(prompt)).await;
        assert_eq!(said(&asked), expected, "{prompt}");
        assert_eq!(exposed(asked.answer.as_ref()), partial, "{prompt}");
    }
    let asked = running.ask(within(Duration::from_secs(3), stream("stall"))).await;
    assert_eq!((said(&asked).as_str(), exposed(asked.answer.as_ref())), ("timed out", "astall"));
    assert_eq!(said(&running.ask(unary("x")).await), "refused: no unary ask is configured");
    let asked = running.ask(stream("die late")).await;
    assert_eq!(said(&asked), "crashed: Exited { status: 4 }");
    assert_eq!(exposed(asked.answer.as_ref()), "adie late");
}

#[tokio::test]
async fn declared_refusals_and_text_are_read() {
    let bench = Bench::supervised();
    let ask = HttpAsk::Mapped {
        unary: Some(AskMapping {
            refused: Some(RefusedBy::Value { pointer: "/ok".to_owned(), equals: json!(false) }),
            ..mapping("/ask", AnswerAt::Pointer("/answer".to_owned()))
        }),
        stream: Some(mapping("/text", AnswerAt::Text)),
    };
    let running = bench.start(&bench.release(Run::Service(service(&bench, ask)))).await.unwrap();
    assert_eq!(said(&running.ask(unary("not ok")).await), "refused: false at /ok");
    assert_eq!(said(&running.ask(stream("x")).await), "answered plain text");
    assert_eq!(said(&running.ask(stream("cut")).await), "refused: stream broke off");
    let wrong_path = HttpAsk::Mapped {
        unary: Some(mapping("/nowhere", AnswerAt::Pointer("/tenant".to_owned()))),
        stream: Some(mapping("/ask", AnswerAt::Pointer("/tenant".to_owned()))),
    };
    let running =
        bench.start(&bench.release(Run::Service(service(&bench, wrong_path)))).await.unwrap();
    assert_eq!(said(&running.ask(unary("x")).await), "refused: status 404");
    // The configured header arrived.
    assert_eq!(said(&running.ask(stream("x")).await), "answered t1");
}

#[tokio::test]
async fn a_service_that_dies_has_crashed() {
    for (prompt, expected) in
        [("die", "crashed: Exited { status: 3 }"), ("abort", "crashed: Signal { number: 6 }")]
    {
        for bench in [Bench::supervised(), Bench::unsupervised()] {
            let release = bench.release(Run::Service(service(&bench, mapped())));
            let running = bench.start(&release).await.unwrap();
            assert_eq!(said(&running.ask(unary(prompt)).await), expected);
            assert_eq!(said(&running.ask(unary("x")).await), expected, "afterwards");
        }
    }
}

#[tokio::test]
async fn logs_are_read_by_position() {
    let bench = Bench::supervised();
    let mut release = bench.release(Run::Service(service(&bench, mapped())));
    let file = bench.path().join("app.log");
    std::fs::write(&file, "old\n").unwrap();
    release.logs = vec![LogSource::Stderr, LogSource::File(file.clone()), LogSource::Stdout];
    let running = bench.start(&release).await.unwrap();
    let logged = running.logs_since(LogPosition::default());
    assert_eq!((logged.text.expose(), logged.cut), ("started\n", false));
    let start = logged.end;
    running.ask(unary("x")).await;
    std::fs::write(&file, "old\nnew\n").unwrap();
    let logged = running.logs_since(start.clone());
    assert_eq!(logged.text.expose(), "release=2.4.0 asked\nnew\nasked\n");
    assert_eq!(running.logs_since(start).text, logged.text, "reading takes nothing away");
    assert_eq!(running.logs_since(logged.end).text.expose(), "");
    assert_eq!(running.beside_logs().expose(), "", "both outputs are sources");
}

#[tokio::test]
async fn what_is_written_is_read_even_before_our_reader_comes_to_it() {
    let bench = Bench::supervised();
    let script = "(while ! test -e more; do sleep 0.01; done; echo more >&2; echo > written) & \
        exec python3 service.py";
    let run = ServiceRun { command: words(&["sh", "-c", script]), ..service(&bench, mapped()) };
    let running = bench.start(&bench.release(Run::Service(run))).await.unwrap();
    std::fs::write(bench.path().join("more"), "").unwrap();
    // Without an `await`, the task that reads cannot run.
    let written = bench.path().join("written");
    let looks = (0..10_000_000).take_while(|_| !written.exists()).count();
    assert!(looks < 10_000_000);
    assert!(running.logs_since(LogPosition::default()).text.expose().ends_with("more\n"));
}

#[tokio::test]
async fn a_log_that_was_emptied_before_it_was_read_counts_as_cut() {
    let bench = Bench::supervised();
    let mut release = bench.release(Run::Service(service(&bench, mapped())));
    let file = bench.path().join("app.log");
    std::fs::write(&file, "an old line\n").unwrap();
    release.logs = vec![LogSource::File(file.clone())];
    let running = bench.start(&release).await.unwrap();
    std::fs::write(&file, "new\n").unwrap();
    let logged = running.logs_since(LogPosition::default());
    assert_eq!((logged.text.expose(), logged.cut), ("new\n", true));
}

#[tokio::test]
async fn outputs_that_are_no_source_are_kept_too() {
    let bench = Bench::supervised();
    let mut release = bench.release(Run::Service(service(&bench, mapped())));
    for (source, beside) in
        [(LogSource::Stderr, "asked\n"), (LogSource::Stdout, "started\nrelease=2.4.0 asked\n")]
    {
        release.logs = vec![source];
        let running = bench.start(&release).await.unwrap();
        running.ask(unary("x")).await;
        assert_eq!(running.beside_logs().expose(), beside);
    }
}

#[tokio::test]
async fn a_service_that_exits_at_once_is_shown_with_its_last_words() {
    let bench = Bench::supervised();
    let run = ServiceRun {
        command: words(&["sh", "-c", "echo cannot bind >&2; exit 7"]),
        ..service(&bench, mapped())
    };
    let error = bench.start(&bench.release(Run::Service(run))).await.unwrap_err();
    let (code, what, output) = release_error(error);
    assert_eq!(code, "release-exited");
    assert!(what.ends_with("exit status 7"), "{what}");
    assert_eq!(output, "cannot bind\n");
}

#[tokio::test]
async fn a_service_that_is_never_ready_says_what_it_answered() {
    let bench = Bench::supervised();
    let patience = Duration::from_secs(3);
    let run = ServiceRun {
        ready: Some("/nope".to_owned()),
        ready_within: patience,
        ..service(&bench, mapped())
    };
    let error = bench.start(&bench.release(Run::Service(run))).await.unwrap_err();
    let (code, what, _) = release_error(error);
    assert_eq!(code, "release-not-ready");
    assert!(what.ends_with("/nope answered 404"), "{what}");

    let run = ServiceRun {
        command: words(&["sh", "-c", "echo $$ > pids; exec sleep 600"]),
        ready: None,
        ready_within: Duration::from_millis(500),
        ..service(&bench, mapped())
    };
    let error = bench.start(&bench.release(Run::Service(run))).await.unwrap_err();
    let (code, what, _) = release_error(error);
    assert_eq!(code, "release-not-ready");
    assert!(what.ends_with("nothing listened on its port"), "{what}");
    let pid = crate::harness::pids(bench.path())[0];
    until("it has gone", || !crate::harness::is_alive(pid)).await;
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let bench = Bench::supervised();
    let run = ServiceRun { command: words(&["./server.sh"]), ..service(&bench, mapped()) };
    let error = bench.start(&bench.release(Run::Service(run))).await.unwrap_err();
    let (code, what, _) = release_error(error);
    assert_eq!(code, "release-did-not-start");
    assert!(what.contains("`./server.sh`") && what.contains("No such file"), "{what}");
}

#[tokio::test]
async fn a_program_that_the_system_will_not_run_did_not_start() {
    use std::os::unix::fs::PermissionsExt as _;
    for bench in [Bench::supervised(), Bench::unsupervised()] {
        let file = bench.path().join("server");
        std::fs::write(&file, "neither a script nor a program\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let run = ServiceRun { command: words(&["./server"]), ..service(&bench, mapped()) };
        let error = bench.start(&bench.release(Run::Service(run))).await.unwrap_err();
        let (code, what, _) = release_error(error);
        assert_eq!(code, "release-did-not-start");
        assert!(what.contains("Exec format error"), "{what}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_meanwhile_is_given_up_for_another() {
    let bench = Bench::supervised();
    let script = "test -e tried && exec python3 service.py; echo $PORT > port; mv port tried; \
        while ! test -e go; do sleep 0.01; done; echo in use >&2; exit 1";
    let run = ServiceRun { command: words(&["sh", "-c", script]), ..service(&bench, mapped()) };
    let release = bench.release(Run::Service(run));
    let thief = async {
        let tried = bench.path().join("tried");
        until("a port was chosen", || tried.exists()).await;
        let port: u16 = std::fs::read_to_string(&tried).unwrap().trim().parse().unwrap();
        let taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        std::fs::write(bench.path().join("go"), "").unwrap();
        taken
    };
    let (running, _taken) = tokio::join!(bench.start(&release), thief);
    assert_eq!(said(&running.unwrap().ask(unary("x")).await), "answered echo x");
}

#[tokio::test]
async fn the_port_comes_by_argument_and_a_connection_is_ready_enough() {
    let bench = Bench::supervised();
    let run = ServiceRun {
        command: words(&["sh", "-c", "PORT=$1 exec python3 service.py", "sh", "{port}"]),
        env_port: None,
        ready: None,
        ..service(&bench, mapped())
    };
    let running = bench.start(&bench.release(Run::Service(run))).await.unwrap();
    assert_eq!(said(&running.ask(unary("x")).await), "answered echo x");
}

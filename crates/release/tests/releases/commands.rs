//! One-shot commands: what their exit and their output amount to.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use drill::ports::{PortError, RunningRelease as _};
use drill::settings::{LogSource, PromptBy, Run};

use crate::harness::{Bench, exposed, is_alive, pids, said, shell, stream, unary, until, within};

#[tokio::test]
async fn exits_and_signals_are_told_apart() {
    let bench = Bench::supervised();
    for (script, expected) in [
        ("echo \"$1\"", "answered hello"),
        ("printf 'a\\n\\n'", "answered a\n"),
        (":", "answered "),
        ("echo sorry; exit 3", "refused: exit status 3"),
        ("exit 127", "refused: exit status 127"),
        ("kill -SEGV $$", "crashed: Signal { number: 11 }"),
        ("kill -KILL $$", "crashed: Signal { number: 9 }"),
        ("kill -TERM $$", "crashed: Signal { number: 15 }"),
        ("exit 134", "crashed: Signal { number: 6 }"),
        ("exit 143", "refused: exit status 143"),
    ] {
        let asked = bench.ask(&bench.shell(script), unary("hello")).await;
        assert_eq!(said(&asked), expected, "{script}");
    }
}

#[tokio::test]
async fn they_are_told_apart_without_a_supervisor_too() {
    let bench = Bench::unsupervised();
    for (script, expected) in [
        ("echo \"$1\"", "answered hello"),
        ("exit 3", "refused: exit status 3"),
        ("kill -ABRT $$", "crashed: Signal { number: 6 }"),
    ] {
        let asked = bench.ask(&bench.shell(script), unary("hello")).await;
        assert_eq!(said(&asked), expected, "{script}");
    }
}

#[tokio::test]
async fn an_error_keeps_what_was_shown_and_logged() {
    let bench = Bench::supervised();
    let mut release = bench.shell("echo sorry; echo why >&2; echo line >> app.log; exit 1");
    std::fs::write(bench.path().join("app.log"), "before\n").unwrap();
    release.logs = vec![LogSource::Stderr, LogSource::File(bench.path().join("app.log"))];
    let asked = bench.ask(&release, unary("p")).await;
    assert_eq!(said(&asked), "refused: exit status 1");
    assert_eq!(exposed(asked.shown.as_ref()), "sorry\n");
    assert_eq!(exposed(asked.logs.as_ref()), "why\nline\n");
    assert!(!asked.cut);
}

#[tokio::test]
async fn the_answer_is_found_in_json() {
    let bench = Bench::supervised();
    for (script, expected) in [
        ("echo '{\"a\": {\"b\": \"x\"}}'", "answered x"),
        ("echo '{\"a\": {\"b\": \"\"}}'", "answered "),
        ("echo '{\"a\": {\"b\": null}}'", "refused: no answer at /a/b"),
        ("echo '{\"a\": 1}'", "refused: no answer at /a/b"),
        ("echo plain", "refused: no answer at /a/b"),
        (":", "refused: no answer at /a/b"),
    ] {
        let release = bench.release(shell(script, PromptBy::Argument, Some("/a/b")));
        let asked = bench.ask(&release, unary("p")).await;
        assert_eq!(said(&asked), expected, "{script}");
    }
}

#[tokio::test]
async fn a_prompt_comes_in_on_standard_input() {
    let bench = Bench::supervised();
    let release = bench.release(shell("cat; test $# = 0", PromptBy::StandardInput, None));
    // More than a pipe holds, so that writing and reading must go side by side.
    let prompt = "line {tap}\n".repeat(30_000);
    let asked = bench.ask(&release, unary(&prompt)).await;
    assert_eq!(said(&asked), format!("answered {}", prompt.trim_end()));
}

#[tokio::test]
async fn a_command_that_ignores_its_input_is_not_waited_for() {
    let bench = Bench::supervised();
    let release = bench.release(shell("echo early", PromptBy::StandardInput, None));
    let asked = bench.ask(&release, unary(&"x".repeat(1_000_000))).await;
    assert_eq!(said(&asked), "answered early");
}

#[tokio::test]
async fn endless_output_neither_blocks_nor_bloats() {
    let bench = Bench::supervised();
    let mut release = bench.shell(
        "head -c 100000000 /dev/zero | tr '\\0' x; echo first >&2; head -c 100000000 /dev/zero | tr '\\0' y >&2; echo last >&2",
    );
    release.logs = vec![LogSource::Stderr];
    let asked = bench.ask(&release, unary("p")).await;
    assert!(asked.cut);
    assert_eq!(exposed(asked.answer.as_ref()).len(), 8 * 1024 * 1024);
    let logs = exposed(asked.logs.as_ref());
    assert!(logs.starts_with("first\n") && logs.ends_with("last\n"));
    assert!(logs.len() < 1_100_000, "{} bytes", logs.len());
}

#[tokio::test]
async fn a_command_that_hangs_times_out_with_what_it_had_said() {
    for bench in [Bench::supervised(), Bench::unsupervised()] {
        let release = bench.shell("echo part; exec sleep 600");
        let asked = bench.ask(&release, within(Duration::from_secs(2), unary("p"))).await;
        assert_eq!(said(&asked), "timed out");
        assert_eq!(exposed(asked.answer.as_ref()), "part\n");
        let elapsed = asked.outcome.elapsed_ms();
        assert!((2000..10_000).contains(&elapsed), "{elapsed} ms");
        assert!(asked.cpu_wait.is_some(), "how long it waited for a processor is known");
    }
}

#[tokio::test]
async fn an_asker_who_leaves_ends_the_command() {
    let bench = Bench::supervised();
    let running =
        bench.start(&bench.shell("echo $$ > pids; sleep 600 & echo $! >> pids; wait")).await;
    let running = running.unwrap();
    {
        let asking = running.ask(unary("p"));
        let started = until("two processes", || pids(bench.path()).len() == 2);
        tokio::select! {
            asked = asking => panic!("nobody waited for {}", said(&asked)),
            () = started => {}
        }
    }
    let left = pids(bench.path());
    until("an end of both", || !left.iter().any(|pid| is_alive(*pid))).await;
}

#[tokio::test]
async fn a_mode_without_a_command_is_refused_and_says_so() {
    let bench = Bench::supervised();
    let asked = bench.ask(&bench.shell("echo x"), stream("p")).await;
    assert_eq!(said(&asked), "refused: no stream command is configured");
}

#[tokio::test]
async fn a_program_that_is_missing_is_named_before_anything_runs() {
    let bench = Bench::supervised();
    let mut release = bench.shell("echo x");
    release.directory = bench.path().join("gone");
    let error = bench.start(&release).await.unwrap_err();
    let PortError::Release { code, what, .. } = error else { panic!("{error:?}") };
    assert_eq!(code, "release-did-not-start");
    assert!(what.contains("/gone cannot be entered"), "{what}");
}

#[tokio::test]
async fn a_program_that_the_system_will_not_run_has_given_no_answer() {
    for bench in [Bench::supervised(), Bench::unsupervised()] {
        let file = bench.path().join("app");
        std::fs::write(&file, "neither a script nor a program\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut release = bench.shell("");
        let Run::Command(run) = &mut release.run else { panic!() };
        run.unary.as_mut().unwrap().command = vec!["./app".to_owned()];
        let asked = bench.ask(&release, unary("p")).await;
        assert_eq!(said(&asked), "crashed: Exited { status: 127 }");
        assert!(exposed(asked.shown.as_ref()).starts_with("Exec format error"), "{asked:?}");
    }
}

#[tokio::test]
async fn a_supervisor_costs_little() {
    let bench = Bench::supervised();
    let running = bench.start(&bench.shell("echo x")).await.unwrap();
    let mut fastest = u64::MAX;
    for _ in 0..10 {
        let asked = running.ask(unary("p")).await;
        assert_eq!(said(&asked), "answered x");
        fastest = fastest.min(asked.outcome.elapsed_ms());
    }
    // Above what it takes, below what any wait of ours would add: the grace for leftovers is 200 ms.
    assert!(fastest < 150, "{fastest} ms");
}

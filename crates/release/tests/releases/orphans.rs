//! Nothing that a release starts outlives its ask, whatever it does and whatever happens to us.

use std::process::{Command, Stdio};
use std::time::Duration;

use drill::ports::RunningRelease as _;
use drill::settings::Run;

use crate::harness::{
    Bench, is_alive, mapped, pids, said, service, supervisor, unary, until, within,
};

/// Asks, and returns what was said when every process that wrote its id into `pids` has gone.
async fn ask_and_bury(bench: &Bench, script: &str, deadline: Duration, n_pids: usize) -> String {
    std::fs::write(bench.path().join("pids"), "").unwrap();
    let asked = bench.ask(&bench.shell(script), within(deadline, unary("p"))).await;
    let pids = pids(bench.path());
    assert_eq!(pids.len(), n_pids, "{script}");
    for pid in pids {
        until("the process has gone", || !is_alive(pid)).await;
    }
    said(&asked)
}

#[tokio::test]
async fn children_that_live_on_are_ended_and_do_not_hold_us() {
    for bench in [Bench::supervised(), Bench::unsupervised()] {
        // In the group; in a session of its own; in one of its own and deaf to SIGTERM. All hold the pipe.
        for child in [
            "sh -c 'echo $$ >> pids; exec sleep 600' &",
            "setsid sh -c 'echo $$ >> pids; exec sleep 600' &",
            "setsid sh -c 'trap \"\" TERM HUP; echo $$ >> pids; while :; do sleep 1; done' &",
        ] {
            let script = format!("{child} while ! test -s pids; do sleep 0.01; done; echo done");
            let said = ask_and_bury(&bench, &script, crate::harness::LONG, 1).await;
            assert_eq!(said, "answered done");
        }
    }
}

#[tokio::test]
async fn a_child_without_its_mark_is_ended_by_the_supervisor() {
    let script = "(env -i setsid sh -c 'echo $$ >> pids; sleep 600; :' &) ; \
        while ! test -s pids; do sleep 0.01; done; echo done";
    let said = ask_and_bury(&Bench::supervised(), script, crate::harness::LONG, 1).await;
    assert_eq!(said, "answered done");
}

#[tokio::test]
async fn who_ignores_sigterm_is_killed() {
    let script = "trap '' TERM; echo $$ >> pids; \
        setsid sh -c 'trap \"\" TERM; echo $$ >> pids; while :; do sleep 1; done' & \
        while :; do sleep 1; done";
    for bench in [Bench::supervised(), Bench::unsupervised()] {
        let said = ask_and_bury(&bench, script, Duration::from_secs(3), 2).await;
        assert_eq!(said, "timed out");
    }
}

#[tokio::test]
async fn a_late_writer_gets_its_moment() {
    // A process substitution's `tee` ends a moment after the command.
    let script = "(sleep 0.05; echo late; echo $$ >> pids) & echo early";
    let bench = Bench::supervised();
    let asked = bench.ask(&bench.shell(script), unary("p")).await;
    assert_eq!(said(&asked), "answered early\nlate");
}

#[tokio::test]
async fn an_ask_that_is_dropped_takes_its_processes_along() {
    for bench in [Bench::supervised(), Bench::unsupervised()] {
        let release =
            bench.shell("setsid sh -c 'echo $$ >> pids; exec sleep 600' & echo $$ >> pids; wait");
        let running = bench.start(&release).await.unwrap();
        {
            let folder = bench.path().to_owned();
            tokio::select! {
                asked = running.ask(unary("p")) => panic!("{asked:?}"),
                () = until("both run", move || pids(&folder).len() == 2) => {}
            }
        }
        for pid in pids(bench.path()) {
            until("the process has gone", || !is_alive(pid)).await;
        }
    }
}

#[tokio::test]
async fn a_killed_surestep_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut surestep = Command::new(supervisor())
        .arg("hold")
        .arg(folder.path())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    until("all three run", || pids(folder.path()).len() == 3).await;
    let pids = pids(folder.path());
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    surestep.kill().unwrap();
    surestep.wait().unwrap();
    for pid in pids {
        until("the process has gone", || !is_alive(pid)).await;
    }
}

#[tokio::test]
async fn a_stopped_service_is_gone_with_its_children() {
    for bench in [Bench::supervised(), Bench::unsupervised()] {
        let mut run = service(&bench, mapped());
        run.command = [
            "sh",
            "-c",
            "setsid sh -c 'trap \"\" TERM; echo $$ >> pids; while :; do sleep 1; done' & echo $$ >> pids; python3 service.py",
        ]
        .map(str::to_owned)
        .to_vec();
        let running = bench.start(&bench.release(Run::Service(run))).await.unwrap();
        let pids = pids(bench.path());
        assert_eq!(pids.len(), 2);
        running.stop().await;
        running.stop().await;
        for pid in pids {
            assert!(!is_alive(pid));
        }
    }
}

#[tokio::test]
async fn a_dropped_service_is_gone() {
    let bench = Bench::supervised();
    let mut run = service(&bench, mapped());
    run.command =
        ["sh", "-c", "echo $$ > pids; exec python3 service.py"].map(str::to_owned).to_vec();
    let running = bench.start(&bench.release(Run::Service(run))).await.unwrap();
    let pid = pids(bench.path())[0];
    assert!(is_alive(pid));
    drop(running);
    until("the service has gone", || !is_alive(pid)).await;
}

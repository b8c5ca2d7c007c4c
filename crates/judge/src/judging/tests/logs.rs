//! What a release logged, and what it must not log.

use super::*;

const COMPLETE: LogReading = LogReading {
    any: true,
    version: true,
    route: true,
    timestamp: true,
    status: true,
    claims_success: false,
    request_id: Some(true),
};

#[track_caller]
fn check_logs(id: &str, reading: LogReading, expected: &[(&str, Severity)]) {
    let status = if id == "happy-live" { 200 } else { 400 };
    let mut scene = scene(id, vec![live(status)], refused(), A::None);
    if status == 200 {
        (scene.outcome, scene.answer) = (answered(), A::Whole);
    }
    scene.logs = LogEvidence { reading: Some(reading), ..LogEvidence::default() };
    let judged = scene.judged();
    let found: Vec<(&str, Severity)> = judged
        .log_findings
        .iter()
        .map(|finding| (finding.code.as_str(), finding.severity))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn each_missing_log_field_is_a_finding_of_its_own() {
    check_logs("happy-live", COMPLETE, &[]);
    check_logs(
        "happy-live",
        LogReading { version: false, ..COMPLETE },
        &[("log-version-missing", Fail)],
    );
    check_logs(
        "happy-live",
        LogReading { route: false, ..COMPLETE },
        &[("log-route-missing", Fail)],
    );
    check_logs(
        "happy-live",
        LogReading { timestamp: false, ..COMPLETE },
        &[("log-timestamp-missing", Fail)],
    );
    check_logs(
        "happy-live",
        LogReading { status: false, ..COMPLETE },
        &[("log-status-missing", Fail)],
    );
    check_logs("happy-live", LogReading { any: false, ..COMPLETE }, &[("log-missing", Fail)]);
}

#[test]
fn request_id_is_demanded_where_it_is_easy_to_get() {
    let without = LogReading { request_id: Some(false), ..COMPLETE };
    check_logs("happy-live", without, &[("log-request-id-missing", Fail)]);
    check_logs("request-400", without, &[("log-request-id-missing", Warn)]);
    check_logs("happy-live", LogReading { request_id: None, ..COMPLETE }, &[]);
}

#[test]
fn leaks_are_findings_at_every_probe() {
    let mut scene = scene("shape-html", vec![call(1, 0, 200)], refused(), A::None);
    scene.logs.leaks = vec![LeakSeen {
        kind: LeakKind::Credential,
        name: "secret K".to_owned(),
        form: "base64".to_owned(),
        place: "its log",
    }];
    let judged = scene.judged();
    assert_eq!(judged.log_findings[0].code, "log-leaks-credential");
    assert_eq!(judged.log_findings[0].seen, "it is there (base64)");
}

#[test]
fn log_of_an_ask_without_a_call_was_not_judged() {
    let mut scene = scene("happy-live", vec![], answered(), A::Unrelated);
    scene.logs = LogEvidence { reading: Some(COMPLETE), ..LogEvidence::default() };
    assert!(!scene.judged().logs_judged);
    scene.exchanges = vec![live(200)];
    assert!(scene.judged().logs_judged);
}

//! The same table for what a release exports as telemetry: what was read in, finding codes of the log out.

use super::*;
use crate::telemetry::TelemetryReading;

/// What the observability gate gets of an ask whose log is complete, and whose telemetry was this.
#[track_caller]
fn check(id: &str, telemetry: TelemetryReading, expected: &[(&str, Severity)]) {
    let mut scene = scene(id, vec![live(200)], answered(), A::Whole);
    let reading = LogReading {
        any: true,
        version: true,
        route: true,
        timestamp: true,
        status: true,
        claims_success: false,
        request_id: Some(true),
    };
    scene.logs = LogEvidence {
        reading: Some(reading),
        telemetry: Some(telemetry),
        ..LogEvidence::default()
    };
    assert_codes(&scene.judged().log_findings, expected);
}

fn exported() -> TelemetryReading {
    TelemetryReading { any: true, ..TelemetryReading::default() }
}

#[test]
fn an_export_that_keeps_to_the_conventions_is_no_finding() {
    check("happy-live", exported(), &[]);
}

#[test]
fn each_way_to_export_badly_has_its_finding() {
    check("happy-live", TelemetryReading::default(), &[("telemetry-missing", Fail)]);
    // What cannot be read may be anything: it is not missing.
    let not_understood = TelemetryReading { not_understood: true, ..TelemetryReading::default() };
    check("happy-live", not_understood, &[("telemetry-not-understood", Ambiguous)]);
    let partly = TelemetryReading { not_understood: true, ..exported() };
    check("happy-live", partly, &[("telemetry-not-understood", Ambiguous)]);
    let poor = TelemetryReading { missing: vec!["server.address"], ..exported() };
    check("happy-live", poor, &[("telemetry-attribute-missing", Warn)]);
    let telling = TelemetryReading { content: vec!["gen_ai.prompt"], ..exported() };
    check("happy-live", telling, &[("telemetry-carries-content", Fail)]);
}

#[test]
fn content_is_found_whatever_is_asked_and_the_rest_only_where_logs_are_judged() {
    let bad = TelemetryReading {
        any: false,
        content: vec!["gen_ai.prompt"],
        missing: vec!["server.address"],
        ..TelemetryReading::default()
    };
    check("happy-unicode", bad, &[("telemetry-carries-content", Fail)]);
}

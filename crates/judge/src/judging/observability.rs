//! What the logs of an ask must carry, and what they must not.

use super::{Case, missing};
use crate::logs::LogReading;
use crate::telemetry::TelemetryReading;
use crate::{Finding, Outcome, Severity, catalogue};

/// What the logs of one ask showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogEvidence {
    /// What they carry; `None` where the lines cannot be told from those of other asks.
    pub reading: Option<LogReading>,
    /// What was exported as telemetry; `None` where that is no source, or cannot be told from that of other asks.
    pub telemetry: Option<TelemetryReading>,
    /// What they must not carry and do.
    pub leaks: Vec<LeakSeen>,
    /// Whether a part was lost at the capture limit.
    pub cut: bool,
}

/// Something sensitive, found where it must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeakSeen {
    /// What it is.
    pub kind: LeakKind,
    /// What it is called, for example `secret COMETAPI_API_KEY`.
    pub name: String,
    /// In which form: `plain`, `base64`, `url-encoded`, `json-escaped`, `badly masked`.
    pub form: String,
    /// Where: `its log`, `the error it shows its user`.
    pub place: &'static str,
}

/// What leaked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeakKind {
    /// A credential.
    Credential,
    /// A prompt.
    Prompt,
    /// A completion.
    Completion,
}

/// Probes whose asks must be found again in the logs: one that goes well, one that is refused, one that fails upstream.
const LOGGED_PROBES: &[&str] =
    &[catalogue::HAPPY_LIVE, "auth-invalid-credential", "request-400", "overload-500"];

/// Judges the logs of one ask. Tells whether what they must carry was looked for: without a call there is nothing to be found again.
pub(super) fn judge(case: &Case<'_>, findings: &mut Vec<Finding>) -> bool {
    for leak in &case.logs.leaks {
        findings.push(leaked(leak));
    }
    if let Some(telemetry) = &case.logs.telemetry {
        carries_content(telemetry, findings);
    }
    let was_called = !case.observation.exchanges.is_empty();
    let Some(reading) = case.logs.reading else { return false };
    if !was_called
        || !LOGGED_PROBES.contains(&case.probe.id)
        || matches!(case.outcome, Outcome::Crashed { .. })
    {
        return false;
    }
    if case.logs.cut {
        findings.push(Finding::new(
            Severity::Ambiguous,
            "log-cut",
            "the whole log of an ask",
            "more than surestep keeps",
            "The release writes so much that the log of one ask could not be read whole. Lower its log level.",
        ));
        return false;
    }
    if !reading.any {
        findings.push(Finding::new(
            Severity::Fail,
            "log-missing",
            "at least one log line for each ask",
            "nothing in the configured log sources",
            "Write one line for each upstream call, with time, version, route, status and request id; or name where the log is under `logs`.",
        ));
        return true;
    }
    if let Some(telemetry) = &case.logs.telemetry {
        judge_telemetry(telemetry, findings);
    }
    for (code, what) in missing(reading) {
        let is_lie = code == "log-status-missing" && reading.claims_success;
        findings.push(Finding::new(
            Severity::Fail,
            code,
            format!("{what} in the log of each ask"),
            if is_lie { "one of success, although the provider refused the call" } else { "none" },
            "An incident review needs time, version, route, status and request id of each upstream call. Add it as a field of its own; where the line has it under another name, tell that name by `logs: { fields: … }`.",
        ));
    }
    if reading.request_id == Some(false) {
        // A stream's or an error's request id is hard to get at in some SDKs; the one of a plain reply is not.
        let is_plain = case.probe.id == catalogue::HAPPY_LIVE
            && (case.probe.mode == contract::Mode::Unary || case.policy.streams_only);
        findings.push(Finding::new(
            if is_plain { Severity::Fail } else { Severity::Warn },
            "log-request-id-missing",
            "the provider's request id (or the reply's id) in the log of each ask",
            "none",
            "Without it the provider's support cannot find the call. Log the `x-request-id` header, the id in CometAPI's error message, or the reply's `id`.",
        ));
    }
    true
}

/// Says which content stands in telemetry, by its names: whether it is this ask's text or another one.
fn carries_content(telemetry: &TelemetryReading, findings: &mut Vec<Finding>) {
    if telemetry.content.is_empty() {
        return;
    }
    findings.push(Finding::new(
        Severity::Fail,
        "telemetry-carries-content",
        "no content of asks and answers in telemetry",
        telemetry.content.join(", "),
        "What users ask and models answer must not leave the service in telemetry. Switch the capture of content off: it is an option of the instrumentation.",
    ));
}

/// Judges what was exported for an ask: whether anything was, and whether it follows the conventions.
fn judge_telemetry(telemetry: &TelemetryReading, findings: &mut Vec<Finding>) {
    if telemetry.not_understood {
        findings.push(Finding::new(
            Severity::Ambiguous,
            "telemetry-not-understood",
            "exports as OTLP over HTTP, in Protocol Buffers or JSON",
            "an export that is neither, or beyond 4 MiB",
            "Export by the standard exporter with OTEL_EXPORTER_OTLP_PROTOCOL as it is handed over (http/protobuf).",
        ));
    }
    if !telemetry.any && !telemetry.not_understood {
        findings.push(Finding::new(
            Severity::Fail,
            "telemetry-missing",
            "a span, log record or metric for each ask",
            "no export",
            "Take the endpoint from OTEL_EXPORTER_OTLP_ENDPOINT, speak http/protobuf, and flush before a command ends; or take `otlp` out of `logs`.",
        ));
    }
    if !telemetry.missing.is_empty() {
        findings.push(Finding::new(
            Severity::Warn,
            "telemetry-attribute-missing",
            "a client span of each upstream call, with the attributes that the conventions require",
            format!("missing: {}", telemetry.missing.join(", ")),
            "Dashboards and alerts go by these names. Use an instrumentation of the OpenTelemetry conventions, or add the attributes.",
        ));
    }
}

/// Words something sensitive that stands where it must not.
pub fn leaked(leak: &LeakSeen) -> Finding {
    let (code, advice) = match leak.kind {
        LeakKind::Credential => (
            "log-leaks-credential",
            "A key in a log has to be treated as stolen: rotate it. Keep header dumps, settings dumps and raw exceptions out of logs, and mask all but a few characters.",
        ),
        LeakKind::Prompt => (
            "log-leaks-prompt",
            "What users ask must not be in logs. Log sizes, ids and classes instead.",
        ),
        LeakKind::Completion => (
            "log-leaks-completion",
            "What the model answered must not be in logs. Log sizes, ids and classes instead.",
        ),
    };
    Finding::new(
        Severity::Fail,
        code,
        format!("{} without {}", leak.place, leak.name),
        format!("it is there ({})", leak.form),
        advice,
    )
}

//! One JSON line for each upstream reply and each failed answer. No question, no answer, no key, no upstream body.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Release;

/// Writes log lines on standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    release: Release,
}

/// What is known of an upstream reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The path that was called, for example `/v1/chat/completions`.
    pub(crate) route: String,
    /// The status; `None` when no reply came.
    pub(crate) status: Option<u16>,
    /// The provider's id for it.
    pub(crate) request_id: Option<String>,
}

impl Log {
    pub(crate) fn new(release: Release) -> Self {
        Self { release }
    }

    /// An attempt came to an end.
    pub(crate) fn attempt(self, reply: &Reply, attempt: u32, took: Duration) {
        let mut line = self.about("attempt", reply);
        line["attempt"] = json!(attempt);
        if self.release.logs_duration {
            line["took_ms"] = json!(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        }
        write(&line);
    }

    /// A user got an answer or, with a reason, none.
    pub(crate) fn answered(self, reply: &Reply, failure: Option<&'static str>) {
        let mut line = self.about(if failure.is_some() { "refused" } else { "answered" }, reply);
        if let Some(reason) = failure {
            line["reason"] = json!(reason);
        }
        write(&line);
    }

    /// The service itself cannot work.
    pub(crate) fn trouble(self, trouble: &str) {
        let time = jiff::Timestamp::now().to_string();
        let version = self.release.version;
        write(&json!({ "time": time, "version": version, "event": "stopped", "reason": trouble }));
    }

    fn about(self, event: &str, reply: &Reply) -> Value {
        json!({
            "time": jiff::Timestamp::now().to_string(),
            "version": self.release.version,
            "event": event,
            "route": reply.route,
            "status": reply.status,
            "request_id": reply.request_id,
        })
    }
}

fn write(line: &Value) {
    // One call for the whole line, so that lines of concurrent requests do not mix. A log that cannot be written must not stop
    // the service.
    std::io::stderr().lock().write_all(format!("{line}\n").as_bytes()).ok();
}

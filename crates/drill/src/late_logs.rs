//! Waits for what a service logs of an ask, and learns how long that takes: most write at once, some every ten seconds (Envoy's access log).

use std::sync::OnceLock;
use std::time::Duration;

use judge::catalogue::{AUTH_GROUP, HAPPY_LIVE};
use judge::logs::{LogContext, read};
use judge::{Probe, Role, telemetry};
use tokio::time::Instant;

use crate::ports::{LogPosition, Logged, RunningRelease};

/// How long a service's log lines may come after its answer.
const LOG_GRACE: Duration = Duration::from_millis(700);

/// How long the first lines may come, where there are none yet: Envoy's `--file-flush-interval-msec` is ten seconds unless set.
const LATE_MAX: Duration = Duration::from_secs(12);

const LOG_POLL: Duration = Duration::from_millis(20);

/// Which release writes its log late, as far as that was seen in this run: its first ask tells.
#[derive(Debug, Default)]
pub struct LateLogs {
    new: OnceLock<bool>,
    rollback: OnceLock<bool>,
}

impl LateLogs {
    /// Whether the lines of this ask are worth waiting for. Where they come late, only those are that a gate looks for.
    pub(crate) fn may_wait(&self, role: Role, probe: &Probe) -> bool {
        self.of(role).get() != Some(&true) || probe.id == HAPPY_LIVE || probe.group == AUTH_GROUP
    }

    fn of(&self, role: Role) -> &OnceLock<bool> {
        match role {
            Role::New => &self.new,
            Role::Rollback => &self.rollback,
        }
    }

    /// How long lines may take to come, where nothing has come yet.
    fn patience(&self, role: Role) -> Duration {
        if self.of(role).get() == Some(&false) { LOG_GRACE } else { LATE_MAX }
    }

    /// Notes whether something came, and when. A service that writes nothing is waited for once.
    fn learn(&self, role: Role, came: Option<Duration>) {
        self.of(role).get_or_init(|| came.is_some_and(|after| after > LOG_GRACE));
    }
}

/// Waits for the log lines of an ask that had the service to itself: until nothing is missing, or the grace is over. Where lines may come late,
/// it is learnt whether they do.
pub(crate) async fn of_service<R: RunningRelease>(
    running: &R,
    before: &LogPosition,
    context: &LogContext,
    late_logs: Option<(&LateLogs, Role)>,
) -> Logged {
    let start = Instant::now();
    let patience = late_logs.map_or(LOG_GRACE, |(late_logs, role)| late_logs.patience(role));
    let mut came = None;
    loop {
        let logged = running.logs_since(before.clone());
        let text = logged.text.expose();
        let elapsed = start.elapsed();
        if came.is_none() && !text.trim().is_empty() {
            came = Some(elapsed);
        }
        let has_telemetry = !context.telemetry || telemetry::read(text).any;
        let is_complete = has_telemetry && read(text, context).is_complete();
        let is_over = match came {
            // The rest of it comes together.
            Some(after) => elapsed >= after.max(LOG_GRACE),
            None => elapsed >= patience,
        };
        if is_complete || is_over {
            if let Some((late_logs, role)) = late_logs {
                late_logs.learn(role, came);
            }
            return logged;
        }
        tokio::time::sleep(LOG_POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use contract::{Mode, Surface};
    use judge::PlanContext;
    use judge::catalogue::default_plan;

    use super::*;

    fn probe(id: &str) -> Probe {
        let plan = default_plan(Mode::Unary, &PlanContext::widest(Surface::Chat));
        plan.into_iter().find(|probe| probe.id == id).unwrap()
    }

    #[test]
    fn the_first_ask_tells_how_long_the_others_wait() {
        let (happy, other) = (probe(HAPPY_LIVE), probe("shape-html"));
        for (came, patience, waits_for_all) in [
            (Some(Duration::from_millis(5)), LOG_GRACE, true),
            (Some(Duration::from_secs(9)), LATE_MAX, false),
            (None, LOG_GRACE, true),
        ] {
            let late_logs = LateLogs::default();
            assert_eq!(late_logs.patience(Role::New), LATE_MAX);
            late_logs.learn(Role::New, came);
            late_logs.learn(Role::New, None);
            assert_eq!(late_logs.patience(Role::New), patience, "{came:?}");
            assert!(late_logs.may_wait(Role::New, &happy));
            assert_eq!(late_logs.may_wait(Role::New, &other), waits_for_all, "{came:?}");
            assert_eq!(late_logs.patience(Role::Rollback), LATE_MAX, "each for itself");
        }
    }
}

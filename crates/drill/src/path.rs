//! Asks through the user-facing path, and proves by the taps which release served.

use std::time::Duration;

use contract::conversation::AskedWith;
use contract::smoke::Wording;
use evidence::Sensitive;
use judge::{
    AnswerRelation, AnsweredBy, Finding, Observation, Outcome, OutcomeKind, Role, Severity,
    Stimulus, relate,
};

use crate::asking::{ASKED_TOO_OFTEN, prompt};
use crate::bench::{Bench, COLLECT_GRACE, ControlPort, count_live};
use crate::ports::{
    ArmedAsk, Ask, Releases, RunningRelease as _, Tap, TapPort as _, TrafficSwitch,
};
use crate::smoke::Alive;

/// Live calls that one ask through the path may make.
const LIVE_CALLS_PER_ASK: u32 = 6;

/// Rounds of the weighted router in which an ask meets `new` beside users: that none of them does has a chance of one in twenty thousand, at any share.
const ROUNDS_AMONG_USERS: u32 = 10;

/// How many asks prove that `rollback` serves again: one may be luck, three in a row at a share of zero are not needed more.
const ASKS_BACK: u32 = 3;

/// How often a release may say that it is asked too often, and how long it is left alone then.
const TOO_OFTEN_MAX: u32 = 10;
const TOO_OFTEN_PAUSE: Duration = Duration::from_millis(600);

/// Both releases behind the route.
pub(crate) struct Path<'b, T: Tap, R: Releases, S> {
    pub(crate) new: &'b Alive<R::Running, T::Port>,
    pub(crate) rollback: &'b Alive<R::Running, T::Port>,
    pub(crate) switch: &'b S,
    /// Both are asked in one format of ours, because they have none in common.
    pub(crate) uniform: bool,
}

/// Which release a marker was seen at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    By(Role),
    Nobody,
    Both,
}

impl<T: Tap, R: Releases, S: TrafficSwitch> Path<'_, T, R, S> {
    /// Step 5: asks until `new` has served once, well.
    pub(crate) async fn prove_new<C: ControlPort>(
        &self,
        bench: &Bench<T, R, C>,
        percent: u8,
    ) -> Vec<Finding> {
        let round = 100_u32.div_ceil(u32::from(percent.max(1)));
        // Two full rounds of the weighted router are enough where nobody else asks. Users' own requests take shares of it: beside them it is a matter of chance.
        let (alone, among_users) = (2 * round + 4, ROUNDS_AMONG_USERS * round + 4);
        let mut bound = alone;
        let mut n_asked = 0;
        while n_asked < bound {
            n_asked += 1;
            let (served, finding) = self.ask(bench).await;
            if served == Served::By(Role::New) || finding.is_some() {
                return finding.into_iter().collect();
            }
            if n_asked == alone && self.has_users(n_asked).await {
                bound = among_users;
            }
        }
        vec![
            Finding::new(
                Severity::Fail,
                "new-never-served",
                format!("`new` serves within {bound} asks at {percent} percent"),
                "each ask was served by `rollback`",
                "The switch says that it has moved traffic, and it has not. Look at the router between users and releases.",
            )
            .of_release(Role::New),
        ]
    }

    /// Whether others than us were answered through the route since traffic was moved.
    async fn has_users(&self, n_asked: u32) -> bool {
        self.switch.show().await.is_ok_and(|route| route.n_answered > u64::from(n_asked))
    }

    /// Step 7: asks a few times; `rollback` serves each, `new` none.
    pub(crate) async fn prove_rollback<C: ControlPort>(
        &self,
        bench: &Bench<T, R, C>,
    ) -> Vec<Finding> {
        for _ in 0..ASKS_BACK {
            let (served, finding) = self.ask(bench).await;
            if let Some(finding) = finding {
                return vec![finding];
            }
            if served != Served::By(Role::Rollback) {
                return vec![
                    Finding::new(
                        Severity::Fail,
                        "new-still-serves",
                        "every ask is served by `rollback`, now that traffic was moved back",
                        "an ask was served by `new`",
                        "The way back does not take effect: a connection, a cache or a second router still leads to `new`.",
                    )
                    .of_release(Role::New),
                ];
            }
        }
        Vec::new()
    }

    /// Puts one question to the user-facing address and looks at both taps. A release may say that it is asked too often: then it is
    /// asked again, some time later.
    async fn ask<C: ControlPort>(&self, bench: &Bench<T, R, C>) -> (Served, Option<Finding>) {
        for _ in 0..TOO_OFTEN_MAX {
            let (asked, served, finding) = self.ask_once(bench).await;
            let is_too_often =
                matches!(&asked, Outcome::Refused { how, .. } if how == ASKED_TOO_OFTEN);
            if !(is_too_often && served == Served::Nobody) {
                return (served, finding);
            }
            tokio::time::sleep(TOO_OFTEN_PAUSE).await;
        }
        let (_, served, finding) = self.ask_once(bench).await;
        (served, finding)
    }

    async fn ask_once<C: ControlPort>(
        &self,
        bench: &Bench<T, R, C>,
    ) -> (Outcome, Served, Option<Finding>) {
        let names = bench.names.ask();
        for port in [&self.new.port, &self.rollback.port] {
            port.arm(ArmedAsk {
                id: names.id,
                marker: names.marker.clone(),
                label: names.label.clone(),
                question: None,
                asked_with: AskedWith::Question,
                stimulus: Stimulus::Relay,
                exclusive: false,
                among_users: true,
                live_calls_max: bench.live_calls.allow(LIVE_CALLS_PER_ASK),
                attempts_max: LIVE_CALLS_PER_ASK * 2,
            });
        }
        let modes = &bench.settings.provider.modes;
        let deadline = bench.settings.new.deadline.max(bench.settings.rollback.deadline);
        let ask = Ask {
            prompt: prompt(&names, Wording::Plain),
            asked_with: AskedWith::Question,
            mode: modes.first().copied().unwrap_or(contract::Mode::Unary),
            deadline: deadline + Duration::from_secs(1),
            tap: None,
        };
        let asked = if self.uniform {
            bench.releases.ask_uniform(self.switch.address(), ask).await
        } else {
            bench.releases.ask_at(&self.rollback.running, self.switch.address(), ask).await
        };
        let (new, delivered_new) = self.new.port.collect(names.id, COLLECT_GRACE).await;
        let (rollback, delivered_rollback) =
            self.rollback.port.collect(names.id, COLLECT_GRACE).await;
        bench.live_calls.spend_beside_probes(count_live(&new) + count_live(&rollback));
        let served = served(&new, &rollback);
        let delivered: Vec<&str> = delivered_new
            .iter()
            .chain(&delivered_rollback)
            .map(contract::DeliveredText::expose)
            .collect();
        let relation =
            relate(asked.answer.as_ref().map(Sensitive::expose), &delivered, &names.label);
        let is_refused = asked.outcome.kind() == OutcomeKind::Refused;
        let broke_off = if is_refused { provider_broke_off(served, &new, &rollback) } else { None };
        let finding =
            broke_off.or_else(|| finding(served, asked.outcome.kind(), relation, &asked.outcome));
        (asked.outcome, served, finding)
    }
}

/// Says that the provider could not be reached when a release called it last: then it is right that its user gets an error.
fn provider_broke_off(
    served: Served,
    new: &Observation,
    rollback: &Observation,
) -> Option<Finding> {
    let Served::By(role) = served else { return None };
    let observation = match role {
        Role::New => new,
        Role::Rollback => rollback,
    };
    let last = observation.exchanges.iter().rfind(|exchange| exchange.is_call())?;
    (last.answered_by == AnsweredBy::ProviderUnreachable).then(|| {
        Finding::new(
            Severity::Ambiguous,
            "provider-unreachable",
            "an answer through the user-facing path, served by one release",
            "the provider did not answer, or broke off, and the user got an error",
            "This is the provider's or the network's trouble, not the release's. See `surestep doctor`; run again when the provider is back.",
        )
        .of_release(role)
    })
}

fn served(new: &Observation, rollback: &Observation) -> Served {
    // A call of a user that comes meanwhile has no marker, and the tap gives it to the only ask that it knows: where one call
    // carries the marker, only that one counts.
    let marked = |observation: &Observation| {
        observation.exchanges.iter().any(|exchange| exchange.request.carries_marker)
    };
    let by_marker = marked(new) || marked(rollback);
    let has = |observation: &Observation| {
        if by_marker { marked(observation) } else { !observation.exchanges.is_empty() }
    };
    match (has(new), has(rollback)) {
        (true, false) => Served::By(Role::New),
        (false, true) => Served::By(Role::Rollback),
        (true, true) => Served::Both,
        (false, false) => Served::Nobody,
    }
}

fn finding(
    served: Served,
    outcome: OutcomeKind,
    relation: AnswerRelation,
    detail: &judge::Outcome,
) -> Option<Finding> {
    let expected = "an answer through the user-facing path, served by one release";
    let role = match served {
        Served::By(role) => Some(role),
        Served::Nobody | Served::Both => None,
    };
    let finding = match (served, outcome) {
        (Served::Both, _) => Finding::new(
            Severity::Ambiguous,
            "served-by-both",
            expected,
            "both taps saw the ask",
            "The request was sent to both releases: the router retries or mirrors. Switch that off for the drill.",
        ),
        (Served::By(_), OutcomeKind::Answered) => match relation {
            AnswerRelation::Whole
            | AnswerRelation::Labelled
            | AnswerRelation::Respaced
            | AnswerRelation::UnrelatedToOffTopic => return None,
            AnswerRelation::None
            | AnswerRelation::Empty
            | AnswerRelation::Repeated
            | AnswerRelation::OfAnother
            | AnswerRelation::Littered
            | AnswerRelation::Thought
            | AnswerRelation::Partial
            | AnswerRelation::TypeName
            | AnswerRelation::Unrelated => Finding::new(
                Severity::Fail,
                "path-answer-wrong",
                expected,
                "an answer that is not what the provider delivered",
                "The release answers well when it is asked directly, but not through the route: look at what stands between.",
            ),
        },
        (Served::Nobody, OutcomeKind::Answered) => Finding::new(
            Severity::Fail,
            "path-not-through-releases",
            expected,
            "an answer, and neither tap saw the ask",
            "Something else answers users: a cache, another instance, or another address than the route's.",
        ),
        (
            _,
            OutcomeKind::Refused | OutcomeKind::TimedOut | OutcomeKind::Crashed | OutcomeKind::Left,
        ) => {
            let seen = match detail {
                judge::Outcome::Refused { how, .. } => format!("refused ({how})"),
                judge::Outcome::TimedOut { elapsed_ms } => {
                    format!("no outcome after {elapsed_ms} ms")
                }
                judge::Outcome::Answered { .. }
                | judge::Outcome::Crashed { .. }
                | judge::Outcome::Left { .. } => "the connection broke".to_owned(),
            };
            Finding::new(
                Severity::Fail,
                "path-ask-failed",
                expected,
                seen,
                "Users on this path get an error. The release answered when it was asked directly: look at the router, its address, and what the release needs when it is reached through it.",
            )
        }
    };
    Some(match role {
        Some(role) => finding.of_release(role),
        None => finding,
    })
}

/// Opens the fronts of both releases: their own address where they have one format in common, else fronts of ours.
pub(crate) async fn fronts<T: Tap, R: Releases>(
    new: &Alive<R::Running, T::Port>,
    rollback: &Alive<R::Running, T::Port>,
    uniform: bool,
) -> Result<(std::net::SocketAddr, std::net::SocketAddr), crate::ports::PortError> {
    if uniform {
        Ok((
            new.running.front_uniform(new.port.way()).await?,
            rollback.running.front_uniform(rollback.port.way()).await?,
        ))
    } else {
        Ok((
            new.running.front(new.port.way()).await?,
            rollback.running.front(rollback.port.way()).await?,
        ))
    }
}

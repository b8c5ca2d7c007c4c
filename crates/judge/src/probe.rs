//! Probes: experiments, each with a stimulus and what is expected of the release.

use contract::conversation::AskedWith;
use contract::smoke::Wording;
use contract::{Mode, Surface};

use crate::judging::ReleaseKind;
use crate::{Lane, RequestType, Stimulus};

/// The probe of what people write, in questions and in answers.
pub(crate) const HAPPY_UNICODE: &str = "happy-unicode";

/// The probes of gateways that are asked all that their callers ask.
pub(crate) const HAPPY_CONVERSATION: &str = "happy-conversation";
pub(crate) const HAPPY_TOOL_CALLS: &str = "happy-tool-calls";

/// One experiment: an ask, a stimulus at the tap, an expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Stable id, for example `overload-503`.
    pub id: &'static str,
    /// The group: `happy`, `tolerated`, `auth`, `request`, `overload`, `network`, `fallback`, `client`, `shape`, `stream`.
    pub group: &'static str,
    /// In which mode it is made.
    pub mode: Mode,
    /// What the tap does.
    pub stimulus: Stimulus,
    /// What the release must make of it.
    pub expect: Expect,
    /// How many attempts are right.
    pub attempts: Attempts,
    /// How often it is made at least; what differs from one time to the next is flaky.
    pub asks: u32,
}

/// What a release must make of a stimulus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It answers with what the provider delivered.
    Answer,
    /// It answers; a refusal is only a warning, since common clients are known to do so.
    AnswerOrWarn,
    /// It refuses: it tells its user that there is no answer.
    Refusal,
    /// It refuses; an answer is only a warning, since stock SDKs let it through and nothing is lost but form.
    RefusalOrWarn,
    /// It answers well or refuses; it only must not hang or crash.
    AnyOutcome,
    /// Nobody is there to tell: only what becomes of the upstream call, and of the process, is judged.
    Nobody,
}

/// How many attempts are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempts {
    /// One: sending the same again cannot help.
    One,
    /// One; up to the policy is a warning, because stock SDKs cannot tell (contracts.md section 6.3, R3).
    OneOrWarn,
    /// Up to the policy, spaced.
    Policy,
    /// As [`Attempts::Policy`], and the `retry-after` that was sent is a floor or a reason to give up; missing it fails.
    PolicyAfterFloor,
    /// The same, but missing the floor is a warning: not every stock SDK reads that form.
    PolicyAfterFloorOrWarn,
    /// At least two: the second one gets the documented reply.
    Recovers,
}

impl Probe {
    /// Returns what kind of request it makes.
    pub fn request_type(&self) -> RequestType {
        match self.expect {
            Expect::Answer | Expect::AnswerOrWarn => RequestType::HappyPath,
            Expect::Refusal | Expect::RefusalOrWarn | Expect::AnyOutcome | Expect::Nobody => {
                RequestType::ErrorPath
            }
        }
    }

    /// Returns how its question is worded, where it is looked for in the requests: one cause is not to be found at each probe.
    /// The words are plain, but where characters are what is asked after.
    pub fn question(&self) -> Option<Wording> {
        let wording = if self.id == HAPPY_UNICODE { Wording::Written } else { Wording::Plain };
        (self.group == "happy").then_some(wording)
    }

    /// Returns how its question is worded where that is not looked for. Good replies are asked for by questions that begin alike, one after the
    /// other and together: what keeps answers by a part of the question shows in them.
    pub fn wording(&self) -> Wording {
        if self.group == "tolerated" { Wording::Alike } else { Wording::Plain }
    }

    /// Returns what is asked beside its question.
    pub fn asked_with(&self) -> AskedWith {
        if matches!(self.id, HAPPY_CONVERSATION | HAPPY_TOOL_CALLS) {
            AskedWith::Conversation
        } else {
            AskedWith::Question
        }
    }

    /// Returns who answers.
    pub fn lane(&self) -> Lane {
        if self.stimulus.is_live() { Lane::Live } else { Lane::Simulated }
    }

    /// Returns whether it only makes sense while one ask owns the tap's port.
    pub fn needs_own_port(&self) -> bool {
        self.stimulus == Stimulus::Refused
    }

    /// Returns whether its asker leaves before the outcome.
    pub fn asker_leaves(&self) -> bool {
        self.expect == Expect::Nobody
    }

    /// Returns whether it shows before any call is made, and so cannot be told from what other asks meet at the same time.
    pub fn is_before_the_call(&self) -> bool {
        matches!(self.stimulus, Stimulus::UnknownCa | Stimulus::Refused)
    }

    /// Returns whether the release will have to wait out a silence of its provider: such probes are started first.
    pub fn is_slow(&self) -> bool {
        self.asker_leaves() || self.stimulus.is_silence()
    }
}

/// What the plan depends on.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that leaves probes out or lets them in"
)]
pub struct PlanContext<'a> {
    /// The surface under test.
    pub surface: Surface,
    /// Whether the provider is CometAPI, whose two mis-statused errors are probed.
    pub cometapi: bool,
    /// Fields that the application needs: variations that leave them out are not made.
    pub required_fields: &'a [String],
    /// The model setting.
    pub model: &'a str,
    /// Further models that a normal ask uses.
    pub models: &'a [String],
    /// The release's retry policy.
    pub max_attempts: u32,
    /// Whether each ask is a process of its own, with a tap port of its own.
    pub own_port: bool,
    /// Whether the release is probed in unary mode as well.
    pub unary_as_well: bool,
    /// Whether the tap is the release's proxy and ends its TLS.
    pub ends_tls: bool,
    /// What the release is to those who ask it.
    pub kind: ReleaseKind,
}

impl PlanContext<'static> {
    /// Returns the context in which no probe of a surface is left out.
    pub const fn widest(surface: Surface) -> Self {
        Self {
            surface,
            cometapi: true,
            required_fields: &[],
            model: "m-1",
            models: &[],
            max_attempts: 3,
            own_port: true,
            ends_tls: true,
            unary_as_well: false,
            kind: ReleaseKind::Application,
        }
    }
}

//! Settings of a pair that change without anybody saying so.
//!
//! The comparison of the pair sees what differs between the releases. It cannot see what changes for both at once, nor what
//! surestep itself is told to allow: another model for all, a longer deadline, one attempt more. So each accepted pair (a drill
//! that ended with `promote_small_step`) leaves fingerprints of these settings, and the next one is compared with them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::gates::Decision;
use crate::{Fact, Finding, Fingerprint, Item, Role, Severity};

/// A setting that decides where calls go or what is allowed of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// The model.
    Model,
    /// The provider's base URL, and the surface.
    Endpoint,
    /// Attempts and time that one upstream call may take.
    Retry,
    /// When an ask is hung.
    Deadline,
    /// Upstream calls that one ask may make.
    CallsPerAsk,
    /// Further models that a normal ask uses.
    Models,
    /// Declared fallbacks.
    FallbackModels,
}

impl Setting {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Self; 7] = [
        Self::Model,
        Self::Endpoint,
        Self::Retry,
        Self::Deadline,
        Self::CallsPerAsk,
        Self::Models,
        Self::FallbackModels,
    ];

    /// Returns the word used in the configuration and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Endpoint => "endpoint",
            Self::Retry => "retry",
            Self::Deadline => "deadline",
            Self::CallsPerAsk => "calls_per_ask",
            Self::Models => "models",
            Self::FallbackModels => "fallback_models",
        }
    }

    /// Returns the setting of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setting| setting.as_str() == name)
    }

    /// Whether a difference between the releases of one pair is seen by comparing and probing them: these two are then named by
    /// the configuration, too, which gives them to one release alone.
    fn is_compared(self) -> bool {
        match self {
            Self::Model | Self::Endpoint => true,
            Self::Retry
            | Self::Deadline
            | Self::CallsPerAsk
            | Self::Models
            | Self::FallbackModels => false,
        }
    }
}

/// Somebody's statement that a setting was changed on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SettingChange {
    /// Which.
    pub setting: Setting,
    /// When it was looked at.
    pub on: Date,
    /// By whom.
    pub by: String,
}

/// The settings of a pair, as fingerprints: equal from different, and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairSettings {
    /// Of `new`.
    pub new: BTreeMap<Setting, Fingerprint>,
    /// Of `rollback`.
    pub rollback: BTreeMap<Setting, Fingerprint>,
    /// The changes that the configuration named then: they are used up.
    pub changes: BTreeSet<SettingChange>,
}

impl PairSettings {
    fn of(&self, role: Role, setting: Setting) -> Option<&Fingerprint> {
        match role {
            Role::New => self.new.get(&setting),
            Role::Rollback => self.rollback.get(&setting),
        }
    }

    fn has(&self, setting: Setting, value: Option<&Fingerprint>) -> bool {
        Role::BOTH.into_iter().any(|role| self.of(role, setting) == value)
    }
}

/// Compares the settings of a pair with those of the pair that was accepted last. With none before, there is nothing to compare.
///
/// Each release may have what either release of the accepted pair had: the accepted `new` is the next pair's `rollback`.
pub fn drift(current: &PairSettings, items: &[Item], today: Date) -> Vec<Finding> {
    let Some((item, accepted)) = last_accepted(items) else { return Vec::new() };
    let mut findings = Vec::new();
    for setting in Setting::ALL {
        let roles: Vec<Role> = Role::BOTH
            .into_iter()
            .filter(|&role| drifted(current, accepted, role, setting))
            .collect();
        let is_named = current.changes.iter().any(|change| {
            change.setting == setting
                && today.tomorrow().is_ok_and(|tomorrow| change.on <= tomorrow)
                && !accepted.changes.contains(change)
        });
        if roles.is_empty() || is_named {
            continue;
        }
        let names: Vec<String> = roles.iter().map(|role| format!("`{role}`")).collect();
        let word = setting.as_str();
        let finding = Finding::new(
            Severity::Ambiguous,
            "settings-drifted",
            format!(
                "`{word}` as in the pair that was accepted on {} (new {}, rollback {}), or the change named under `contract.changes`",
                item.at.to_zoned(TimeZone::UTC).date(),
                item.subject.new.version,
                item.subject.rollback.version,
            ),
            format!(
                "another `{word}` of {}, and nobody says that it is meant",
                names.join(" and ")
            ),
            format!(
                "Look at the change; if it is meant, add {{ setting: {word}, on: {today}, by: … }} to `contract.changes`. An entry counts for one change."
            ),
        );
        findings.push(match roles.as_slice() {
            [role] => finding.of_release(*role),
            _ => finding,
        });
    }
    findings
}

fn drifted(current: &PairSettings, accepted: &PairSettings, role: Role, setting: Setting) -> bool {
    let value = current.of(role, setting);
    if accepted.has(setting, value) {
        return false;
    }
    let other = current.of(role.other(), setting);
    // `new` alone has another one, and the way back leads to an accepted one: what the pair itself is compared in.
    let is_seen = setting.is_compared()
        && role == Role::New
        && other != value
        && accepted.has(setting, other);
    !is_seen
}

/// Returns the settings of the pair that was accepted last, with the fact that says so.
fn last_accepted(items: &[Item]) -> Option<(&Item, &PairSettings)> {
    items.iter().rev().find_map(|item| match &item.fact {
        Fact::Decided { decision: Decision::PromoteSmallStep, settings } => Some((item, settings)),
        Fact::Decided { decision: Decision::Hold | Decision::Rollback, .. }
        | Fact::Planned { .. }
        | Fact::Probed(_)
        | Fact::Compared { .. }
        | Fact::Reviewed { .. }
        | Fact::Stepped { .. }
        | Fact::SourceRead { .. }
        | Fact::SourceAccepted(_)
        | Fact::Withheld { .. } => None,
    })
}

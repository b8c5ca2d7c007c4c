//! Collects findings: each code once, at the place where it was met first.

use std::fmt;

use crate::rule::Rule;
use crate::{ContractFinding, ContractVerdict, Profile};

/// Most places told of one kind of finding.
const EACH_MAX: usize = 50;

/// The findings of one response.
#[derive(Debug)]
pub(crate) struct Report {
    profile: Profile,
    findings: Vec<ContractFinding>,
}

impl Report {
    pub(crate) fn new(profile: Profile) -> Self {
        Self { profile, findings: Vec::new() }
    }

    pub(crate) fn profile(&self) -> Profile {
        self.profile
    }

    /// Adds a finding, unless the code is there already or the profile documents the deviation.
    pub(crate) fn add(&mut self, rule: &Rule, at: fmt::Arguments<'_>, seen: fmt::Arguments<'_>) {
        // A hold is never tolerated: no provider documents an unusable answer.
        if rule.verdict == ContractVerdict::Warn && self.profile.tolerates(rule.code)
            || self.has(rule)
        {
            return;
        }
        if let Some(custom) = self.profile.custom()
            && rule.verdict == ContractVerdict::Warn
            && custom.declares(&at.to_string(), &seen.to_string())
        {
            return;
        }
        self.push(rule, at, seen);
    }

    /// Adds a finding for each place, up to a limit: what a provider's own document says is wrong in many.
    pub(crate) fn add_each(
        &mut self,
        rule: &Rule,
        at: fmt::Arguments<'_>,
        seen: fmt::Arguments<'_>,
    ) {
        if self.findings.iter().filter(|finding| finding.code == rule.code).count() < EACH_MAX {
            self.push(rule, at, seen);
        }
    }

    fn push(&mut self, rule: &Rule, at: fmt::Arguments<'_>, seen: fmt::Arguments<'_>) {
        self.findings.push(ContractFinding {
            code: rule.code,
            verdict: rule.verdict,
            at: at.to_string(),
            expected: rule.expected.to_owned(),
            seen: seen.to_string(),
        });
    }

    pub(crate) fn has(&self, rule: &Rule) -> bool {
        self.findings.iter().any(|finding| finding.code == rule.code)
    }

    pub(crate) fn count(&self) -> usize {
        self.findings.len()
    }

    /// Forgets all findings but the first so many, and those of some rules.
    pub(crate) fn forget_after(&mut self, n_kept: usize, rules: &[&Rule]) {
        let mut place = 0;
        self.findings.retain(|finding| {
            place += 1;
            place <= n_kept || rules.iter().any(|rule| rule.code == finding.code)
        });
    }

    /// Returns the worst verdict so far.
    pub(crate) fn verdict(&self) -> ContractVerdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(ContractVerdict::Pass)
    }

    pub(crate) fn into_findings(self) -> Vec<ContractFinding> {
        self.findings
    }
}

//! Turns what a run found into evidence records.

use std::sync::atomic::{AtomicU64, Ordering};

use evidence::{
    CheckId, FallbackDecision, Fingerprints, HttpStatusClass, OperatorNote, ParserResult,
    RECORD_FORMAT, Record, RedactionStatus, RequiredFields, RetryDecision, ServicePath, Sources,
};
use jiff::Timestamp;
use judge::{
    AnsweredBy, Exchange, Fact, Finding, Fingerprint, OutcomeKind, Phase, Planned, Probed,
    RequestType, Role, Subject, Verdict,
};

use crate::asking::Probing;
use crate::bench::count_live;
use crate::settings::{Release, Settings};

/// Makes the records of one run.
#[derive(Debug)]
pub(crate) struct Clerk<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) subject: &'a Subject,
    pub(crate) run: &'a str,
    pub(crate) environment: Fingerprint,
    pub(crate) now: fn() -> Timestamp,
    next: AtomicU64,
}

impl<'a> Clerk<'a> {
    pub(crate) fn new(
        settings: &'a Settings,
        subject: &'a Subject,
        run: &'a str,
        environment: Fingerprint,
        now: fn() -> Timestamp,
    ) -> Self {
        Self { settings, subject, run, environment, now, next: AtomicU64::new(1) }
    }

    /// A record of a fact that is about no single probe.
    pub(crate) fn fact(&self, role: Option<Role>, fact: Fact, note: &str) -> Record {
        let findings = match &fact {
            Fact::Compared { findings, .. }
            | Fact::Reviewed { findings, .. }
            | Fact::Stepped { findings, .. } => findings.clone(),
            Fact::Planned { .. }
            | Fact::Probed(_)
            | Fact::SourceRead { .. }
            | Fact::SourceAccepted(_)
            | Fact::Decided { .. }
            | Fact::Withheld { .. } => Vec::new(),
        };
        let release = role.map(|role| self.settings.release(role));
        let provider = role.map_or(&self.settings.provider, |role| self.settings.provider_of(role));
        let now = (self.now)();
        Record {
            check_id: CheckId::at(now),
            service_path: ServicePath::new(&provider.name, provider.surface),
            environment: self.settings.environment.clone(),
            request_type: RequestType::HappyPath,
            http_status_class: HttpStatusClass::of(None),
            parser_result: ParserResult::UnexpectedShape,
            required_fields_present: RequiredFields::NotChecked,
            retry_decision: RetryDecision::NoRetry,
            fallback_decision: FallbackDecision::Hold,
            redaction_status: RedactionStatus::SecretsRemoved,
            operator_note: OperatorNote::new(note),
            format: RECORD_FORMAT,
            record_id: format!("{}-{:04}", self.run, self.next.fetch_add(1, Ordering::Relaxed)),
            run_id: self.run.to_owned(),
            time: now,
            service: self.settings.service.clone(),
            release: role,
            version: release.map(|release| release.version.clone()),
            identity: role.map(|role| match role {
                Role::New => self.subject.new.clone(),
                Role::Rollback => self.subject.rollback.clone(),
            }),
            sources: role.map(|role| self.sources(role)).unwrap_or_default(),
            client: None,
            probe: None,
            mode: None,
            lane: None,
            endpoint_path: None,
            model: None,
            status: None,
            error_class: None,
            attempts: 0,
            gaps_ms: Vec::new(),
            other_hosts: Vec::new(),
            request_ids: Vec::new(),
            required_fields_found: Vec::new(),
            findings,
            fingerprints: self.fingerprints(role),
            live_calls: 0,
            subject: self.subject.clone(),
            fact,
        }
    }

    /// The record of a probe.
    pub(crate) fn probing(
        &self,
        role: Role,
        phase: Phase,
        probing: &Probing,
        strict: bool,
    ) -> Record {
        let probe = &probing.probe;
        let outcome = probing.outcome.as_ref().map(judge::Outcome::kind);
        let verdict = Verdict::of(&probing.judged.findings, strict);
        let calls: Vec<&Exchange> =
            probing.observation.exchanges.iter().filter(|exchange| exchange.is_call()).collect();
        let last = calls.last().copied();
        let response = last.and_then(|exchange| exchange.response.as_ref());
        let fact = Fact::Probed(Probed {
            planned: Planned { role, probe: probe.id.to_owned(), mode: probe.mode, phase },
            group: probe.group.to_owned(),
            request_type: probe.request_type(),
            lane: probe.lane(),
            verdict,
            outcome,
            attempts: u32::try_from(calls.len()).unwrap_or(u32::MAX),
            findings: probing.judged.findings.clone(),
            log_findings: probing.judged.log_findings.clone(),
            logs_judged: probing.judged.logs_judged,
            repeats: probing.repeats.clone(),
        });
        let note = note(probe.id, verdict, outcome, probing.judged.findings.first());
        let mut findings = probing.judged.findings.clone();
        findings.extend(probing.judged.log_findings.iter().cloned());
        let required = &self.settings.contract.required_fields;
        let found = judge::judging::required_fields_found(required, last);
        Record {
            request_type: probe.request_type(),
            http_status_class: HttpStatusClass::of(response.map(|response| response.status)),
            parser_result: match outcome {
                Some(OutcomeKind::Answered) => ParserResult::Parsed,
                Some(OutcomeKind::Refused) => ParserResult::Rejected,
                Some(OutcomeKind::TimedOut | OutcomeKind::Crashed | OutcomeKind::Left) | None => {
                    ParserResult::UnexpectedShape
                }
            },
            required_fields_present: match (&found, probe.request_type()) {
                (Some(found), RequestType::HappyPath) if found.len() == required.len() => {
                    RequiredFields::True
                }
                (Some(_), RequestType::HappyPath) => RequiredFields::False,
                (Some(_) | None, _) => RequiredFields::NotChecked,
            },
            retry_decision: retry_decision(&calls),
            fallback_decision: if verdict.permits_release() {
                FallbackDecision::PromoteSmallStep
            } else {
                FallbackDecision::Hold
            },
            operator_note: OperatorNote::new(&note),
            client: last.and_then(|exchange| exchange.request.client.clone()),
            probe: Some(probe.id.to_owned()),
            mode: Some(probe.mode),
            lane: Some(probe.lane()),
            endpoint_path: last.map(|exchange| exchange.request.resource.clone()),
            model: last.and_then(|exchange| exchange.request.model.clone()),
            status: response.map(|response| response.status),
            error_class: response
                .and_then(|response| response.judgement.error.as_ref())
                .map(|error| error.class),
            attempts: u32::try_from(calls.len()).unwrap_or(u32::MAX),
            gaps_ms: gaps(&calls),
            other_hosts: probing.observation.tunnels.clone(),
            request_ids: calls
                .iter()
                .filter_map(|exchange| exchange.response.as_ref())
                .flat_map(|response| response.request_ids.iter().cloned())
                .collect(),
            required_fields_found: found.unwrap_or_default(),
            findings,
            live_calls: count_live(&probing.observation),
            ..self.fact(Some(role), fact, "")
        }
    }

    fn sources(&self, role: Role) -> Sources {
        let release = self.settings.release(role);
        Sources {
            base_url: variable_with(release, "{tap}"),
            model: variable_with(release, "{model}"),
            secret: release
                .secrets
                .iter()
                .next()
                .map(|(variable, source)| format!("env:{variable} from {}", source.name())),
        }
    }

    fn fingerprints(&self, role: Option<Role>) -> Fingerprints {
        let identity = role.map(|role| match role {
            Role::New => &self.subject.new,
            Role::Rollback => &self.subject.rollback,
        });
        Fingerprints {
            configuration: self.subject.configuration.clone(),
            contract: self.subject.contract.clone(),
            credential: identity.and_then(|identity| identity.credential.clone()),
            environment: self.environment.clone(),
            run: identity.map(|identity| identity.run.clone()),
        }
    }
}

/// Returns the name of the variable that takes a placeholder.
fn variable_with(release: &Release, placeholder: &str) -> Option<String> {
    release
        .env
        .iter()
        .find(|(_, value)| value.contains(placeholder))
        .map(|(variable, _)| format!("env:{variable}"))
}

fn note(
    probe: &str,
    verdict: Verdict,
    outcome: Option<OutcomeKind>,
    finding: Option<&Finding>,
) -> String {
    let outcome = outcome.map_or("not asked", OutcomeKind::as_str);
    match finding {
        Some(finding) => {
            format!("{probe}: {}, {outcome}; {}: {}", verdict.as_str(), finding.code, finding.seen)
        }
        None => format!("{probe}: {}, {outcome}", verdict.as_str()),
    }
}

fn retry_decision(calls: &[&Exchange]) -> RetryDecision {
    if calls.iter().any(|call| call.answered_by == AnsweredBy::Guard) {
        RetryDecision::Blocked
    } else if calls.len() > 1 {
        RetryDecision::RetryWithBudget
    } else {
        RetryDecision::NoRetry
    }
}

/// Returns the waits between attempts. What follows a good reply is another call.
pub(crate) fn gaps(calls: &[&Exchange]) -> Vec<u64> {
    calls
        .iter()
        .zip(calls.iter().skip(1))
        .filter(|(before, _)| !judge::judging::is_good_reply(before))
        .map(|(before, after)| judge::gap(before, after))
        .collect()
}

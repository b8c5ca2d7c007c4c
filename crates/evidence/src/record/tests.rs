//! The record: its form, and what becomes of one with a secret in it.

use contract::Surface;
use judge::drift::{PairSettings, Setting, SettingChange};
use judge::gates::Decision;
use judge::reviews::{Review, Sighting, SourceDigest};
use judge::{OutcomeKind, Phase, Planned, Probed, Severity, Verdict};

use super::*;
use crate::{Fingerprinter, Needle, NeedleKind, Scanner, Sensitive};

fn fingerprint(text: &str) -> Fingerprint {
    Fingerprinter::new([7; 32]).fingerprint("test", text.as_bytes())
}

/// A record of a passed probe, number `n` of run `run`.
#[expect(clippy::too_many_lines, reason = "every field once")]
pub(crate) fn record(run: &str, n: u32) -> Record {
    let time: Timestamp = "2026-11-20T10:30:59Z".parse().unwrap();
    let identity = |version: &str| ReleaseIdentity {
        version: version.to_owned(),
        image: Some("registry.example/support-bot@sha256:12".to_owned()),
        run: fingerprint(version),
        credential: Some(fingerprint("credential")),
    };
    let finding = Finding {
        code: "log-without-request-id".to_owned(),
        severity: Severity::Warn,
        release: Some(Role::New),
        probe: Some("happy-unary".to_owned()),
        mode: Some(Mode::Unary),
        expected: "the provider's request id".to_owned(),
        seen: "none".to_owned(),
        advice: "log it".to_owned(),
        deviations: Vec::new(),
    };
    Record {
        check_id: CheckId::at(time),
        service_path: ServicePath::new("cometapi", Surface::Chat),
        environment: "staging".to_owned(),
        request_type: RequestType::HappyPath,
        http_status_class: HttpStatusClass::of(Some(200)),
        parser_result: ParserResult::Parsed,
        required_fields_present: RequiredFields::True,
        retry_decision: RetryDecision::NoRetry,
        fallback_decision: FallbackDecision::PromoteSmallStep,
        redaction_status: RedactionStatus::SecretsRemoved,
        operator_note: OperatorNote::new("happy-unary of new passed"),
        format: RECORD_FORMAT,
        record_id: format!("{run}-{n}"),
        run_id: run.to_owned(),
        time,
        service: "support-bot".to_owned(),
        release: Some(Role::New),
        version: Some("2.4.0".to_owned()),
        identity: Some(identity("2.4.0")),
        sources: Sources {
            base_url: Some("env:COMETAPI_BASE_URL".to_owned()),
            model: Some("env:SUPPORT_MODEL".to_owned()),
            secret: Some("file:/run/secrets/comet".to_owned()),
        },
        client: Some("openai-python 3.54.0".to_owned()),
        probe: Some("happy-unary".to_owned()),
        mode: Some(Mode::Unary),
        lane: Some(Lane::Live),
        endpoint_path: Some("/v1/chat/completions".to_owned()),
        model: Some("gpt-5-mini".to_owned()),
        status: Some(200),
        error_class: None,
        attempts: 1,
        gaps_ms: Vec::new(),
        other_hosts: Vec::new(),
        request_ids: vec!["req-20261120103059".to_owned()],
        required_fields_found: vec!["/choices/0/message/content".to_owned()],
        findings: vec![finding.clone()],
        fingerprints: Fingerprints {
            configuration: fingerprint("configuration"),
            contract: fingerprint("contract"),
            credential: Some(fingerprint("credential")),
            environment: fingerprint("environment"),
            run: Some(fingerprint("2.4.0")),
        },
        live_calls: 1,
        subject: Subject {
            service: "support-bot".to_owned(),
            environment: "staging".to_owned(),
            new: identity("2.4.0"),
            rollback: identity("2.3.1"),
            configuration: fingerprint("configuration"),
            contract: fingerprint("contract"),
        },
        fact: Fact::Probed(Probed {
            planned: Planned {
                role: Role::New,
                probe: "happy-unary".to_owned(),
                mode: Mode::Unary,
                phase: Phase::Smoke,
            },
            group: "happy".to_owned(),
            request_type: RequestType::HappyPath,
            lane: Lane::Live,
            verdict: Verdict::Pass,
            outcome: Some(OutcomeKind::Answered),
            attempts: 1,
            findings: vec![finding],
            log_findings: Vec::new(),
            logs_judged: true,
            repeats: Vec::new(),
        }),
    }
}

fn scanner() -> Scanner {
    let key = Sensitive::new("sk-Zx81Qm4vLtRwYk2PbNc7");
    Scanner::new([Needle::new(NeedleKind::Credential, "secret KEY of new", key)])
}

#[test]
fn eleven_fields_open_the_record() {
    let json = record("run", 1).to_json();
    assert!(
        json.starts_with(
            r#"{"check_id":"response-shape-smoke-20261120-1030","service_path":"cometapi-text-chat","environment":"staging","request_type":"happy_path","http_status_class":"2xx","parser_result":"parsed","required_fields_present":"true","retry_decision":"no_retry","fallback_decision":"promote_small_step","redaction_status":"secrets_removed","operator_note":"happy-unary of new passed","format":1,"#
        ),
        "{json}"
    );
}

fn accepted() -> Review {
    Review {
        source: "https://docs.example/chat".to_owned(),
        on: "2026-11-20".parse().unwrap(),
        by: "platform-team".to_owned(),
        digest: Some(SourceDigest::of_sha256(&[7; 32])),
    }
}

fn settings() -> PairSettings {
    let change = SettingChange {
        setting: Setting::CallsPerAsk,
        on: "2026-11-20".parse().unwrap(),
        by: "platform-team".to_owned(),
    };
    PairSettings {
        new: [(Setting::Model, fingerprint("model"))].into(),
        rollback: [(Setting::FallbackModels, fingerprint("none"))].into(),
        changes: [change].into(),
    }
}

/// A digest in a record is no token, and a secret in the name of a reviewer or of a source is one.
#[test]
fn accepted_review_is_scanned() {
    let with = |review: Review| {
        let fact = Fact::SourceAccepted(review);
        Record { fact, ..record("run", 1) }.seal(&scanner())
    };
    assert!(with(accepted()).withheld().is_none());
    for (source, by) in [
        ("https://docs.example/?key=sk-Zx81Qm4vLtRwYk2PbNc7", "platform-team"),
        ("https://docs.example/", "sk-Zx81Qm4vLtRwYk2PbNc7"),
    ] {
        let sealed = with(Review { source: source.into(), by: by.into(), ..accepted() });
        assert!(sealed.withheld().is_some(), "{source} {by}");
        assert!(!sealed.json().contains("Zx81Qm4v"), "{}", sealed.json());
    }
}

#[test]
fn record_round_trips() {
    let mut facts = vec![
        Fact::Planned { probes: Vec::new() },
        Fact::Compared { verdict: Verdict::Ambiguous, findings: Vec::new() },
        Fact::Reviewed { verdict: Verdict::Fail, findings: Vec::new(), since: None },
        Fact::SourceRead {
            source: "https://docs.example/chat".to_owned(),
            sighting: Sighting::Content { digest: SourceDigest::of_sha256(&[7; 32]) },
        },
        Fact::SourceRead {
            source: "contract.md".to_owned(),
            sighting: Sighting::Unreadable { why: "status 500".to_owned() },
        },
        Fact::SourceAccepted(accepted()),
        Fact::Decided { decision: Decision::PromoteSmallStep, settings: settings() },
        Fact::Withheld { what: "x".to_owned() },
    ];
    facts.push(Fact::Stepped {
        step: 4,
        name: "switch".to_owned(),
        verdict: Verdict::Pass,
        findings: Vec::new(),
        percent_new: Some(5),
    });
    facts.push(record("run", 1).fact);
    for fact in facts {
        let record = Record { fact, ..record("run", 1) };
        assert_eq!(Record::from_json(record.to_json().as_bytes()).unwrap(), record);
    }
}

#[test]
fn newer_format_and_unknown_fields_are_refused() {
    let json = record("run", 1).to_json();
    let newer = json.replace("\"format\":1,", "\"format\":2,\"more\":true,");
    assert!(matches!(Record::from_json(newer.as_bytes()), Err(RecordError::Newer { format: 2 })));
    let unknown = json.replace("\"format\":1,", "\"format\":1,\"more\":true,");
    assert!(matches!(Record::from_json(unknown.as_bytes()), Err(RecordError::Unreadable(_))));
    for bad in ["\"2xx\"", "\"response-shape-smoke-20261120-1030\"", "\"cometapi-text-chat\""] {
        let bad = json.replace(bad, "\"something\"");
        assert!(matches!(Record::from_json(bad.as_bytes()), Err(RecordError::Unreadable(_))));
    }
}

#[test]
fn clean_record_is_sealed_as_it_is() {
    let record = record("run", 1);
    let sealed = record.clone().seal(&scanner());
    assert_eq!(sealed.record(), &record);
    assert_eq!(sealed.withheld(), None);
    assert!(matches!(sealed.record().item().fact, Fact::Probed(_)));
}

/// The record becomes a stub without the secret, whose item makes gates hold.
#[track_caller]
fn check_withheld(record: Record) -> Sealed {
    let scanner = scanner();
    let sealed = record.seal(&scanner);
    assert_eq!(sealed.record().redaction_status, RedactionStatus::Withheld);
    assert_eq!(sealed.record().fallback_decision, FallbackDecision::Hold);
    assert!(matches!(sealed.record().item().fact, Fact::Withheld { .. }));
    assert_eq!(scanner.scan(sealed.json().as_bytes()), [], "{}", sealed.json());
    assert_eq!(Record::from_json(sealed.json().as_bytes()).unwrap(), *sealed.record());
    sealed
}

#[test]
fn record_with_a_secret_becomes_a_stub() {
    let secret = "c2stWng4MVFtNHZMdFJ3WWsyUGJOYzc=";
    let sealed = check_withheld(Record { model: Some(secret.to_owned()), ..record("run", 1) });
    let found = &sealed.withheld().unwrap().found;
    assert!(found.contains(&"secret KEY of new (base64)".to_owned()), "{found:?}");
    assert_eq!(sealed.record().subject, record("run", 1).subject, "gates still match it");
    let mut in_fact = record("run", 1);
    if let Fact::Probed(probed) = &mut in_fact.fact {
        probed.log_findings = in_fact.findings.clone();
        probed.log_findings[0].seen = "Zx81Qm4v…".to_owned();
    }
    check_withheld(in_fact);
}

#[test]
fn secret_in_a_name_that_gates_match_by_is_thrown_away_too() {
    let secret = "sk-Zx81Qm4vLtRwYk2PbNc7".to_owned();
    let mut record = record("run", 1);
    record.subject.environment.clone_from(&secret);
    record.environment = secret;
    let sealed = check_withheld(record);
    assert_eq!(sealed.record().item().subject.environment, "");
}

/// Also where somebody else wrote the record: the status decides, not the fact.
#[test]
fn item_of_a_withheld_record_makes_gates_hold_whatever_its_fact() {
    let withheld = Record { redaction_status: RedactionStatus::Withheld, ..record("run", 1) };
    assert!(matches!(withheld.item().fact, Fact::Withheld { .. }));
}

#[test]
fn unknown_token_in_a_note_withholds() {
    let note = OperatorNote::new("used sk-abcd1234EFGH5678ijkl for this");
    let sealed = Record { operator_note: note, ..record("run", 1) }.seal(&Scanner::default());
    assert!(!sealed.json().contains("abcd1234"), "{}", sealed.json());
}

#[test]
fn note_is_one_capped_line() {
    assert_eq!(OperatorNote::new(" a\nb\u{1b}[31mc ").as_str(), "a b [31mc");
    let long = OperatorNote::new(&"ö".repeat(500));
    assert_eq!(long.as_str().chars().count(), OperatorNote::CHARS_MAX);
    let json = format!("\"{}\"", "x\\n".repeat(300));
    let read: OperatorNote = serde_json::from_str(&json).unwrap();
    assert!(read.as_str().chars().count() <= OperatorNote::CHARS_MAX);
}

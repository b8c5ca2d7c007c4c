//! The review of the contract: reads the sources whose content was accepted, and judges that with the settings of the pair.

use std::collections::{BTreeMap, BTreeSet};

use evidence::{Fingerprinter, Ledger, Record, Scanner};
use futures_util::future::join_all;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use judge::drift::{PairSettings, Setting, drift};
use judge::reviews::{Review, Sighting, Standing, judge_reviews, standings};
use judge::{Fact, Finding, Fingerprint, Item, Role, Subject, Verdict};

use crate::ports::SourceReader;
use crate::records::Clerk;
use crate::run::{Keeper, RunError};
use crate::settings::{Provider, ProviderEndpoint, Settings};

/// What a review works with, outside of a run.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// What the evidence is about.
    pub subject: &'a Subject,
    /// The run's id.
    pub run: &'a str,
    /// The ledger.
    pub ledger: &'a Ledger,
    /// Searches for what must not be written down.
    pub scanner: &'a Scanner,
    /// The wall clock.
    pub now: fn() -> Timestamp,
}

/// Whose review is to be accepted, and of which sources.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// Who reviewed; `None`: whom the configuration names.
    pub by: Option<String>,
    /// Of these sources; empty: of all.
    pub sources: Vec<String>,
}

/// What a review found.
#[derive(Clone, Debug)]
pub struct ReviewReport {
    /// Each source, in the configuration's order.
    pub sources: Vec<SourceReport>,
    /// What the gate `contract_reviewed` rests on.
    pub findings: Vec<Finding>,
    /// What these findings amount to.
    pub verdict: Verdict,
}

/// One source of a review.
#[derive(Clone, Debug)]
pub struct SourceReport {
    /// The review that counts, with what it accepts.
    pub standing: Standing,
    /// What the source was just now.
    pub sighting: Sighting,
    /// Whether its content was accepted just now.
    pub accepted_now: bool,
}

/// Reads every source, accepts what is to be accepted, judges, and keeps all that.
pub async fn review_sources(
    desk: &Desk<'_>,
    reader: &dyn SourceReader,
    acceptance: Option<&Acceptance>,
) -> Result<ReviewReport, RunError> {
    let Desk { settings, subject, run, ledger, scanner, now } = *desk;
    let fingerprinter = ledger.fingerprinter();
    let environment = fingerprinter.fingerprint("environment", settings.environment.as_bytes());
    let keeper =
        Keeper { ledger, clerk: Clerk::new(settings, subject, run, environment, now), scanner };
    let all: Vec<String> = standings(&settings.contract.reviewed, &[])
        .into_iter()
        .map(|standing| standing.review.source)
        .collect();
    let read = read_sources(&keeper, reader, all).await?;
    let mut accepted_now = Vec::new();
    if let Some(acceptance) = acceptance {
        accepted_now = accept(&keeper, acceptance, &read).await?;
    }
    let findings = judge_and_keep(&keeper, &fingerprinter).await?;
    let verdict = Verdict::of(&findings, settings.gates.strict);
    let items = keeper.items().await?;
    let sources = standings(&settings.contract.reviewed, &items)
        .into_iter()
        .zip(read)
        .map(|(standing, (source, sighting))| SourceReport {
            accepted_now: accepted_now.contains(&source),
            standing,
            sighting,
        })
        .collect();
    Ok(ReviewReport { sources, findings, verdict })
}

/// The review of a run: reads what has an accepted digest, judges, and keeps that.
pub(crate) async fn review_contract(
    keeper: &Keeper<'_>,
    reader: &dyn SourceReader,
    fingerprinter: &Fingerprinter,
) -> Result<Vec<Finding>, RunError> {
    let items = keeper.items().await?;
    let to_read = standings(&keeper.clerk.settings.contract.reviewed, &items)
        .into_iter()
        .filter(|standing| !standing.accepted.is_empty())
        .map(|standing| standing.review.source)
        .collect();
    read_sources(keeper, reader, to_read).await?;
    judge_and_keep(keeper, fingerprinter).await
}

/// Reads sources side by side, and keeps what they were.
async fn read_sources(
    keeper: &Keeper<'_>,
    reader: &dyn SourceReader,
    sources: Vec<String>,
) -> Result<Vec<(String, Sighting)>, RunError> {
    let read = join_all(sources.into_iter().map(|source| async move {
        let sighting = reader.read(&source).await;
        (source, sighting)
    }))
    .await;
    let records = read.iter().map(|(source, sighting)| read_record(keeper, source, sighting));
    keeper.keep(records.collect()).await?;
    Ok(read)
}

fn read_record(keeper: &Keeper<'_>, source: &str, sighting: &Sighting) -> Record {
    let note = match sighting {
        Sighting::Content { digest } => format!("read {source}: {}", digest.short()),
        Sighting::Gone { how } => format!("{source} is gone: {how}"),
        Sighting::Unreadable { why } => format!("could not read {source}: {why}"),
    };
    let fact = Fact::SourceRead { source: source.to_owned(), sighting: sighting.clone() };
    keeper.clerk.fact(None, fact, &note)
}

/// Accepts the content that was just read; what could not be read cannot be accepted.
async fn accept(
    keeper: &Keeper<'_>,
    acceptance: &Acceptance,
    read: &[(String, Sighting)],
) -> Result<Vec<String>, RunError> {
    let on = (keeper.clerk.now)().to_zoned(TimeZone::UTC).date();
    let mut records = Vec::new();
    let mut accepted = Vec::new();
    for (source, sighting) in read {
        let is_wanted = acceptance.sources.is_empty() || acceptance.sources.contains(source);
        let Sighting::Content { digest } = sighting else { continue };
        if !is_wanted {
            continue;
        }
        let configured = &keeper.clerk.settings.contract.reviewed;
        let named =
            configured.iter().filter(|review| review.source == *source).max_by_key(|r| r.on);
        let Some(by) = acceptance.by.clone().or_else(|| named.map(|review| review.by.clone()))
        else {
            continue;
        };
        let note = format!("accepted {source} by {by}: {}", digest.short());
        let review = Review { source: source.clone(), on, by, digest: Some(digest.clone()) };
        records.push(keeper.clerk.fact(None, Fact::SourceAccepted(review), &note));
        accepted.push(source.clone());
    }
    keeper.keep(records).await?;
    Ok(accepted)
}

async fn judge_and_keep(
    keeper: &Keeper<'_>,
    fingerprinter: &Fingerprinter,
) -> Result<Vec<Finding>, RunError> {
    let settings = keeper.clerk.settings;
    let now = (keeper.clerk.now)();
    let items = keeper.items().await?;
    let max_age = SignedDuration::try_from(settings.gates.max_age).unwrap_or(SignedDuration::MAX);
    let reviewed = judge_reviews(&settings.contract.reviewed, &items, now, max_age);
    let mut findings = reviewed.findings;
    let today = now.to_zoned(TimeZone::UTC).date();
    findings.extend(drift(&pair_settings(settings, fingerprinter), &items, today));
    let verdict = Verdict::of(&findings, settings.gates.strict);
    let note = format!("contract review: {}", verdict.as_str());
    let fact = Fact::Reviewed { verdict, findings: findings.clone(), since: reviewed.since };
    keeper.keep(vec![keeper.clerk.fact(None, fact, &note)]).await?;
    Ok(findings)
}

impl Keeper<'_> {
    /// Reads what the ledger knows of this service in this environment.
    pub(crate) async fn items(&self) -> Result<Vec<Item>, RunError> {
        let settings = self.clerk.settings;
        Ok(self.ledger.items(&settings.service, &settings.environment, None).await?)
    }
}

/// Returns the fingerprints of what must not change without anybody saying so.
pub(crate) fn pair_settings(settings: &Settings, fingerprinter: &Fingerprinter) -> PairSettings {
    let of = |role: Role| -> BTreeMap<Setting, Fingerprint> {
        Setting::ALL
            .into_iter()
            .map(|setting| {
                let value = value(settings, role, setting);
                (setting, fingerprinter.fingerprint(setting.as_str(), value.as_bytes()))
            })
            .collect()
    };
    let changes: BTreeSet<_> = settings.contract.changes.iter().cloned().collect();
    PairSettings { new: of(Role::New), rollback: of(Role::Rollback), changes }
}

fn value(settings: &Settings, role: Role, setting: Setting) -> String {
    let release = settings.release(role);
    let sorted = |names: &[String]| format!("{:?}", names.iter().collect::<BTreeSet<_>>());
    match setting {
        Setting::Model => settings.model_of(role).to_owned(),
        Setting::Endpoint => endpoint(settings.provider_of(role)),
        Setting::Retry => format!("{:?}", release.retry),
        Setting::Deadline => format!("{:?}", release.deadline),
        Setting::CallsPerAsk => release.calls_per_ask.to_string(),
        Setting::Models => sorted(&release.models),
        Setting::FallbackModels => sorted(&release.fallback_models),
    }
}

/// A stand-in on loopback gets any free port: there the port says nothing.
fn endpoint(provider: &Provider) -> String {
    let surface = provider.surface;
    let url = match &provider.endpoint {
        ProviderEndpoint::Simulated => return format!("simulated {surface}"),
        ProviderEndpoint::Url(url) => url.as_str(),
    };
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = match authority.rsplit_once(':') {
        Some((host, _port)) if matches!(host, "localhost" | "127.0.0.1" | "[::1]") => host,
        Some(_) | None => authority,
    };
    format!("{scheme}://{host}{path} {surface}")
}

#[cfg(test)]
mod tests {
    use contract::{Mode, Profile, Surface};

    use super::*;
    use crate::settings::SecretSource;

    #[track_caller]
    fn check(url: &str, expected: &str) {
        let provider = Provider {
            name: "any".to_owned(),
            profile: Profile::Openai,
            endpoint: ProviderEndpoint::Url(url.to_owned()),
            surface: Surface::Chat,
            modes: vec![Mode::Unary],
            key: SecretSource::Control,
            live_calls: 1,
            connect_to: None,
            ca: None,
            proxy: None,
        };
        assert_eq!(endpoint(&provider), expected);
    }

    #[test]
    fn endpoint_is_where_calls_go_but_for_a_free_port_on_loopback() {
        check("https://api.example.com/v1", "https://api.example.com/v1 chat");
        check("https://api.example.com:8443/v1", "https://api.example.com:8443/v1 chat");
        check("http://127.0.0.1:4010/v1", "http://127.0.0.1/v1 chat");
        check("http://[::1]:4010/v1", "http://[::1]/v1 chat");
        check("http://localhost:4010/a/v1", "http://localhost/a/v1 chat");
    }
}

//! Judges who has reviewed the contract's sources, and whether these have changed since.
//!
//! A review stands in the configuration or was accepted in the ledger (`contract review --accept`); of each source the newest one
//! counts. Where it knows a digest, the source's content is compared with it: as it was read in this run or, where it cannot be
//! reached, as it was read last, while that is young enough.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Fact, Finding, Item, Severity};

/// How old a review may be: providers change their documentation every few weeks, and three months miss many of them.
pub const REVIEW_MAX_DAYS: i32 = 90;

/// The digest of a source's content, as normalised: `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceDigest(String);

impl SourceDigest {
    const PREFIX: &'static str = "sha256:";

    /// Writes down a SHA-256.
    pub fn of_sha256(digest: &[u8; 32]) -> Self {
        use fmt::Write as _;
        let mut text = Self::PREFIX.to_owned();
        for byte in digest {
            write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        }
        Self(text)
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns enough of it to tell it from others.
    pub fn short(&self) -> &str {
        self.0.get(..Self::PREFIX.len() + 12).unwrap_or(&self.0)
    }
}

impl TryFrom<String> for SourceDigest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix(Self::PREFIX);
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match digits {
            Some(digits) if digits.len() == 64 && digits.bytes().all(is_digit) => Ok(Self(text)),
            Some(_) | None => {
                Err("a digest has to be sha256: and 64 hexadecimal digits".to_owned())
            }
        }
    }
}

impl From<SourceDigest> for String {
    fn from(digest: SourceDigest) -> Self {
        digest.0
    }
}

impl fmt::Display for SourceDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody's statement that they read a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// A URL or a file.
    pub source: String,
    /// When.
    pub on: Date,
    /// By whom.
    pub by: String,
    /// What they read; `None`: the date alone is known, and a change cannot be noticed.
    pub digest: Option<SourceDigest>,
}

/// What a source was when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Sighting {
    /// It had this content.
    Content {
        /// Its digest.
        digest: SourceDigest,
    },
    /// It is not there any more.
    Gone {
        /// How that was said.
        how: String,
    },
    /// It could not be read: nothing is known.
    Unreadable {
        /// Why.
        why: String,
    },
}

/// The newest review of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The review: of those of its day the one that says most.
    pub review: Review,
    /// Each content that it accepts: two, where configuration and ledger were written on one day.
    pub accepted: Vec<SourceDigest>,
}

/// What the reviews amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reviewed {
    /// Why they do not count, or what is odd about them.
    pub findings: Vec<Finding>,
    /// When the oldest reading of a source was made that this rests on; `None` where it rests on none.
    pub since: Option<Timestamp>,
}

/// Returns the newest review of each source that the configuration names, in its order.
pub fn standings(configured: &[Review], items: &[Item]) -> Vec<Standing> {
    let mut standings: Vec<Standing> = Vec::new();
    for review in configured {
        if standings.iter().any(|standing| standing.review.source == review.source) {
            continue;
        }
        let of_source = |other: &&Review| other.source == review.source;
        // Of those in the ledger the last one replaces the earlier ones.
        let in_ledger = items.iter().rev().find_map(|item| match &item.fact {
            Fact::SourceAccepted(accepted) if accepted.source == review.source => Some(accepted),
            Fact::SourceAccepted(_)
            | Fact::Planned { .. }
            | Fact::Probed(_)
            | Fact::Compared { .. }
            | Fact::Reviewed { .. }
            | Fact::Stepped { .. }
            | Fact::SourceRead { .. }
            | Fact::Decided { .. }
            | Fact::Withheld { .. } => None,
        });
        let all: Vec<&Review> = configured.iter().filter(of_source).chain(in_ledger).collect();
        let Some(newest) = all.iter().map(|review| review.on).max() else { continue };
        let newest: Vec<&Review> = all.into_iter().filter(|review| review.on == newest).collect();
        let accepted: Vec<SourceDigest> =
            newest.iter().filter_map(|review| review.digest.clone()).collect();
        // On one day, whoever noted the content says more; the ledger's comes last.
        let noted = newest.iter().rfind(|review| review.digest.is_some());
        if let Some(&review) = noted.or(newest.first()) {
            standings.push(Standing { review: review.clone(), accepted });
        }
    }
    standings
}

/// Judges the reviews that the configuration names, with what the ledger knows of their sources.
pub fn judge_reviews(
    configured: &[Review],
    items: &[Item],
    now: Timestamp,
    max_age: SignedDuration,
) -> Reviewed {
    if configured.is_empty() {
        let finding = Finding::new(
            Severity::Ambiguous,
            "contract-not-reviewed",
            "somebody has read the provider's documentation, and says so",
            "no entry under `contract.reviewed`",
            "Read the page that documents the surface, then add { source, on, by }.",
        );
        return Reviewed { findings: vec![finding], since: None };
    }
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut reviewed = Reviewed::default();
    for standing in standings(configured, items) {
        reviewed.findings.extend(judge_date(&standing.review, today));
        match judge_content(&standing, items, now, max_age) {
            Ok(since) => {
                reviewed.since = match (reviewed.since, since) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
            }
            Err(finding) => reviewed.findings.push(*finding),
        }
        if standing.accepted.is_empty() {
            reviewed.findings.push(without_digest(&standing.review));
        }
    }
    reviewed
}

fn judge_date(review: &Review, today: Date) -> Option<Finding> {
    let days = today.since(review.on).map_or(i32::MAX, |span| span.get_days());
    if days > REVIEW_MAX_DAYS {
        return Some(Finding::new(
            Severity::Ambiguous,
            "contract-review-stale",
            format!("a review at most {REVIEW_MAX_DAYS} days old"),
            format!("{} was reviewed on {}, {days} days ago", review.source, review.on),
            "Read the source again, then renew the review: `surestep contract review --accept`.",
        ));
    }
    // Someone east of Greenwich may be a day ahead.
    (days < -1).then(|| {
        Finding::new(
            Severity::Ambiguous,
            "contract-review-in-the-future",
            "a review that was made",
            format!("{} is said to be reviewed on {}", review.source, review.on),
            "Correct the date, or this machine's clock.",
        )
    })
}

fn without_digest(review: &Review) -> Finding {
    Finding::new(
        Severity::Warn,
        "contract-review-without-digest",
        "a review that says what was read, so that a change shows",
        format!("{} was reviewed on {}, and its content was not noted", review.source, review.on),
        "Read the source again and note its content: `surestep contract review --accept`.",
    )
}

/// Compares what the source was when it was read last with what was accepted; returns when that was.
fn judge_content(
    standing: &Standing,
    items: &[Item],
    now: Timestamp,
    max_age: SignedDuration,
) -> Result<Option<Timestamp>, Box<Finding>> {
    let (review, accepted) = (&standing.review, &standing.accepted);
    let Some(first) = accepted.first() else { return Ok(None) };
    let (known, why) = last_known(&review.source, items, now, max_age);
    let changed = |seen: String| {
        Err(Box::new(Finding::new(
            Severity::Fail,
            "contract-content-changed",
            format!("{} as it was reviewed on {} by {}", review.source, review.on, review.by),
            seen,
            "Read the source again, see what the change means for the application, then accept it: `surestep contract review --accept`.",
        )))
    };
    match known {
        Some((Sighting::Content { digest }, at)) if accepted.contains(digest) => Ok(Some(at)),
        Some((Sighting::Content { digest }, _)) => changed(format!(
            "other content: {} where {} was accepted",
            digest.short(),
            first.short()
        )),
        Some((Sighting::Gone { how }, _)) => changed(format!("it is not there any more: {how}")),
        Some((Sighting::Unreadable { .. }, _)) | None => Err(Box::new(Finding::new(
            Severity::Ambiguous,
            "contract-source-unreadable",
            format!("{} read, to see whether it has changed since {}", review.source, review.on),
            why.unwrap_or("nobody has tried").to_owned(),
            "Run `surestep contract review` with this ledger where the source can be reached: its answer counts for `gates.max_age`.",
        ))),
    }
}

/// Returns what a source was when it was last read with success, while that counts; and why it could not be read last, if so.
fn last_known<'i>(
    source: &str,
    items: &'i [Item],
    now: Timestamp,
    max_age: SignedDuration,
) -> (Option<(&'i Sighting, Timestamp)>, Option<&'i str>) {
    let mut why = None;
    for item in items.iter().rev() {
        let Fact::SourceRead { source: read, sighting } = &item.fact else { continue };
        let age = now.duration_since(item.at);
        // Clocks may differ by some minutes, as for all evidence.
        if read != source || age >= max_age || age < SignedDuration::from_mins(-5) {
            continue;
        }
        match sighting {
            Sighting::Content { .. } | Sighting::Gone { .. } => {
                return (Some((sighting, item.at)), why);
            }
            Sighting::Unreadable { why: reason } => why = why.or(Some(reason.as_str())),
        }
    }
    (None, why)
}

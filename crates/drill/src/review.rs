//! Looks at who has reviewed the contract, and when.

use jiff::civil::Date;
use judge::{Finding, Severity};

use crate::settings::ContractSettings;

/// How old a review may be: providers change their documentation every few weeks, and three months miss many of them.
pub const REVIEW_MAX_DAYS: i32 = 90;

/// Judges the reviews as of a day.
pub(crate) fn review(contract: &ContractSettings, today: Date) -> Vec<Finding> {
    if contract.reviewed.is_empty() {
        return vec![Finding::new(
            Severity::Ambiguous,
            "contract-not-reviewed",
            "somebody has read the provider's documentation, and says so",
            "no entry under `contract.reviewed`",
            "Read the page that documents the surface, then add { source, on, by }.",
        )];
    }
    let mut findings = Vec::new();
    for review in &contract.reviewed {
        let days = today.since(review.on).map_or(i32::MAX, |span| span.get_days());
        if days > REVIEW_MAX_DAYS {
            findings.push(Finding::new(
                Severity::Ambiguous,
                "contract-review-stale",
                format!("a review at most {REVIEW_MAX_DAYS} days old"),
                format!("{} was reviewed on {}, {days} days ago", review.source, review.on),
                "Read the source again, and renew the date.",
            ));
        } else if days < -1 {
            findings.push(Finding::new(
                Severity::Ambiguous,
                "contract-review-in-the-future",
                "a review that was made",
                format!("{} is said to be reviewed on {}", review.source, review.on),
                "Correct the date, or this machine's clock.",
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Review;

    #[track_caller]
    fn check(on: &[&str], expected: &[&str]) {
        let reviewed = on
            .iter()
            .map(|on| Review {
                source: "the documentation".to_owned(),
                on: on.parse().expect("a date"),
                by: "team".to_owned(),
            })
            .collect();
        let contract = ContractSettings { reviewed, required_fields: Vec::new() };
        let findings = review(&contract, "2026-11-22".parse().expect("a date"));
        let codes: Vec<&str> = findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, expected);
    }

    #[test]
    fn reviews_count_for_ninety_days() {
        check(&["2026-11-20", "2026-08-24"], &[]);
        check(&["2026-08-23"], &["contract-review-stale"]);
        check(&["2026-11-20", "2025-01-01"], &["contract-review-stale"]);
    }

    #[test]
    fn none_and_future_ones_do_not_count() {
        check(&[], &["contract-not-reviewed"]);
        check(&["2027-01-01"], &["contract-review-in-the-future"]);
    }
}

//! `contract`: reviews, changed settings, required fields.

use drill::settings::ContractSettings;
use judge::drift::{Setting, SettingChange};
use judge::reviews::{Review, SourceDigest};

use super::problem::Problem;
use super::reader::{Fields, Reader};
use super::{keys, scalar};

impl Reader<'_> {
    pub(super) fn contract(
        &mut self,
        root: &Fields<'_>,
    ) -> (ContractSettings, Option<super::openapi::Named>) {
        let Some(fields) = self.section(root, "contract") else {
            return (ContractSettings::default(), None);
        };
        let openapi = self.openapi(&fields);
        let path = fields.path("reviewed");
        let mut reviewed = Vec::new();
        for node in self.items(&fields, "reviewed").unwrap_or_default() {
            let review = self.open(node, &keys::REVIEW, path.clone());
            reviewed.extend(review.and_then(|review| self.review(&review)));
        }
        let path = fields.path("changes");
        let mut changes = Vec::new();
        for node in self.items(&fields, "changes").unwrap_or_default() {
            let change = self.open(node, &keys::CHANGE, path.clone());
            changes.extend(change.and_then(|change| self.change(&change)));
        }
        let mut required_fields: Vec<String> = Vec::new();
        let path = fields.path("required_fields");
        for node in self.items(&fields, "required_fields").unwrap_or_default() {
            let Some(text) = self.text_of(node, &path) else { continue };
            let Some(pointer) = self.check(node, &path, &text, scalar::pointer) else { continue };
            if required_fields.contains(&pointer) {
                self.warn(Problem::new(
                    node.span.clone(),
                    format!("`{pointer}` stands twice in `{path}`"),
                ));
            } else {
                required_fields.push(pointer);
            }
        }
        (ContractSettings { reviewed, changes, required_fields }, openapi)
    }

    fn review(&mut self, fields: &Fields<'_>) -> Option<Review> {
        let source = self.checked(fields, "source", without_credentials);
        let by = self.text(fields, "by");
        let on = self.day(fields);
        let digest = match fields.get("digest") {
            None => Some(None),
            Some(_) => self
                .checked(fields, "digest", |text| {
                    SourceDigest::try_from(text.to_owned()).map_err(|what| {
                        (
                            what,
                            "`surestep contract review` prints the digest of each source"
                                .to_owned(),
                        )
                    })
                })
                .map(Some),
        };
        Some(Review { source: source?, on: on?, by: by?, digest: digest? })
    }

    fn change(&mut self, fields: &Fields<'_>) -> Option<SettingChange> {
        // The table has the same words; a test compares them.
        let setting = self.word(fields, "setting").and_then(Setting::from_name);
        let by = self.text(fields, "by");
        let on = self.day(fields);
        Some(SettingChange { setting: setting?, on: on?, by: by? })
    }

    fn day(&mut self, fields: &Fields<'_>) -> Option<jiff::civil::Date> {
        self.checked(fields, "on", |text| {
            text.parse::<jiff::civil::Date>().map_err(|_parsing| {
                // The cause speaks of the parser's grammar.
                (format!("`{text}` is not a date"), "write it as 2026-11-20".to_owned())
            })
        })
    }
}

/// The source goes into evidence and reports as it is written.
fn without_credentials(text: &str) -> Result<String, scalar::Refusal> {
    let authority = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err((
            "it carries credentials, and evidence would show them".to_owned(),
            "name the page without them, or a copy of it beside this file".to_owned(),
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_every_setting() {
        assert_eq!(Setting::ALL.map(Setting::as_str), keys::SETTINGS);
    }
}

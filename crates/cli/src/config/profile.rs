//! `provider.profile`: a built-in profile's name, or a file that declares what a provider does otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use contract::{
    Code, CustomProfile, Envelope, ErrorClass, FinishMeaning, Profile, ProfileFault, Surface,
};

use super::keys;
use super::problem::{ConfigErrors, Problem, Report};
use super::reader::{Fields, Reader, UNEXPLAINED, plain_lines};
use super::scalar::{self, Refusal};
use crate::environment::Environment;

const SURFACES: [Surface; 2] = [Surface::Chat, Surface::Responses];

/// Loads a profile by its name or its file. A path starts at `base`.
pub(crate) fn load_profile(
    named: &str,
    base: &Path,
    environment: &Environment,
) -> Result<Profile, ConfigErrors> {
    match Profile::built_in(named) {
        Some(profile) => Ok(profile),
        None => {
            let profile = load(&base.join(named), named, environment);
            profile.map(CustomProfile::publish).map_err(|report| ConfigErrors(report, Vec::new()))
        }
    }
}

fn load(path: &Path, named: &str, environment: &Environment) -> Result<CustomProfile, Report> {
    let file = path.display().to_string();
    let source = super::read(path).map_err(|problem| {
        let known = keys::profile::NAMES;
        let help = match scalar::closest(named, known).or_else(|| scalar::containing(named, known))
        {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("name a profile file, or one of {}", known.join(", ")),
        };
        Report::new(file.clone(), "", vec![problem.help(help)], &[])
    })?;
    parse(&file, &source, path.parent().unwrap_or(Path::new("")), environment)
}

/// Reads a profile from its text.
pub(super) fn parse(
    file: &str,
    source: &str,
    base: &Path,
    environment: &Environment,
) -> Result<CustomProfile, Report> {
    let source = plain_lines(source);
    let mut reader = Reader::new(&source, base, environment);
    let empty = Problem::of_file("the profile file is empty")
        .help("write at least `name: NAME` and what this provider does otherwise");
    let profile = reader.whole(&keys::PROFILE, empty, |reader, root| reader.custom_profile(root));
    let Reader { mut problems, warnings, hidden, .. } = reader;
    // Doubles and the like: there is nobody to warn where a profile is only named.
    problems.extend(warnings);
    match profile {
        Some(profile) if problems.is_empty() => Ok(profile),
        _ => {
            if problems.is_empty() {
                problems.push(Problem::of_file(UNEXPLAINED));
            }
            Err(Report::new(file, &source, problems, &hidden))
        }
    }
}

impl Reader<'_> {
    /// Reads `profile` of a provider. What is wrong in the file is reported with the configuration's own problems.
    pub(super) fn profile(&mut self, fields: &Fields<'_>) -> Option<Profile> {
        let named = self.text(fields, "profile")?;
        match load_profile(&named, &self.base.clone(), self.environment) {
            Ok(profile) => Some(profile),
            Err(ConfigErrors(report, _)) => {
                self.others.push(report);
                None
            }
        }
    }

    fn custom_profile(&mut self, fields: &Fields<'_>) -> Option<CustomProfile> {
        let name = self.text(fields, "name");
        let extends = self.word(fields, "extends").unwrap_or("openai");
        let mut profile = CustomProfile {
            extends: Profile::built_in(extends).unwrap_or(Profile::Openai).into(),
            sources: self.sources(fields),
            fields: self.paths(fields, "fields", |text| Ok(folded(&scalar::pointer(text)?))),
            missing: self.paths(fields, "missing", documented),
            null: self.paths(fields, "null", documented),
            finish_reasons: self.finish_reasons(fields),
            request_id_header: self.checked(fields, "request_id_header", header_name),
            ..CustomProfile::default()
        };
        profile.events = self.paths(fields, "events", |text| {
            SURFACES
                .iter()
                .try_for_each(|surface| CustomProfile::check_event(*surface, text))
                .map_err(|fault| {
                    (fault.to_string(), "leave it out: it needs no declaration".to_owned())
                })?;
            Ok(text.to_owned())
        });
        if let Some(errors) = self.section(fields, "errors") {
            profile.envelope = self.envelope(&errors);
            profile.codes = self.codes(&errors);
        }
        profile.name = name?;
        Some(profile)
    }

    fn sources(&mut self, fields: &Fields<'_>) -> Vec<(String, String)> {
        let path = fields.path("sources");
        let mut sources = Vec::new();
        for node in self.items(fields, "sources").unwrap_or_default() {
            let Some(source) = self.open(node, &keys::SOURCE, path.clone()) else { continue };
            let url = self.text(&source, "url");
            let on = self.checked(&source, "on", |text| {
                text.parse::<jiff::civil::Date>().map(|date| date.to_string()).map_err(|_parsing| {
                    // The cause speaks of the parser's grammar.
                    (format!("`{text}` is not a date"), "write it as 2026-11-20".to_owned())
                })
            });
            sources.extend(url.zip(on));
        }
        sources
    }

    /// Reads a list of texts, each checked and put into the form that the judge compares with.
    fn paths(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        check: impl Fn(&str) -> Result<String, Refusal>,
    ) -> BTreeSet<String> {
        let path = fields.path(name);
        let mut all = BTreeSet::new();
        for node in self.items(fields, name).unwrap_or_default() {
            let Some(text) = self.text_of(node, &path) else { continue };
            let Some(one) = self.check(node, &path, &text, &check) else { continue };
            if !all.insert(one) {
                let message = format!("`{}` stands twice in `{path}`", self.quote(node));
                self.report(Problem::new(node.span.clone(), message).help("remove one of the two"));
            }
        }
        all
    }

    fn finish_reasons(&mut self, fields: &Fields<'_>) -> BTreeMap<String, FinishMeaning> {
        let mut reasons = BTreeMap::new();
        for entry in self.free_entries(fields, "finish_reasons") {
            let path = format!("{}.{}", fields.path("finish_reasons"), entry.key);
            let Some(word) = self.word_of(&entry.value, &path, &keys::profile::MEANINGS) else {
                continue;
            };
            let Some((_, meaning)) =
                FinishMeaning::WORDS.into_iter().find(|(known, _)| *known == word)
            else {
                continue;
            };
            match CustomProfile::check_finish_reason(&entry.key, meaning) {
                Ok(()) => {
                    reasons.insert(entry.key.clone(), meaning);
                }
                Err(fault) => {
                    let help =
                        "leave it out: no profile changes what the contract's own words mean";
                    self.report(Problem::new(entry.key_span.clone(), fault.to_string()).help(help));
                }
            }
        }
        reasons
    }

    fn envelope(&mut self, errors: &Fields<'_>) -> Option<Envelope> {
        let mut pointer = |name| self.checked(errors, name, scalar::pointer);
        let envelope = Envelope {
            code: pointer("code"),
            kind: pointer("type"),
            message: pointer("message"),
            request_id: pointer("request_id"),
        };
        (envelope != Envelope::default()).then_some(envelope)
    }

    fn codes(&mut self, errors: &Fields<'_>) -> BTreeMap<String, Code> {
        let mut codes = BTreeMap::new();
        for entry in self.free_entries(errors, "codes") {
            let path = format!("{}.{}", errors.path("codes"), entry.key);
            let Some(fields) = self.open(&entry.value, &keys::CODE, path) else { continue };
            let class = self.word(&fields, "class").and_then(class_of);
            let retry_safe = self.boolean(&fields, "retry_safe");
            if let Some(class) = class {
                let retry_safe = retry_safe.unwrap_or_else(|| class.is_retry_safe());
                codes.insert(entry.key.clone(), Code { class, retry_safe });
            }
        }
        codes
    }
}

fn class_of(word: &str) -> Option<ErrorClass> {
    // The words are those of the class itself.
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}

/// Checks a field that is declared as missing or null.
fn documented(text: &str) -> Result<String, Refusal> {
    let pointer = scalar::pointer(text)?;
    let checked = SURFACES.map(|surface| CustomProfile::check_field(surface, &pointer));
    if let Some(Err(fault)) =
        checked.iter().find(|one| matches!(one, Err(ProfileFault::NeededField(_))))
    {
        let help = "leave it out: a reply without it holds, whatever the provider says";
        return Err((fault.to_string(), help.to_owned()));
    }
    let mut faults = Vec::new();
    for one in checked {
        match one {
            Ok(path) => return Ok(path),
            Err(fault) => faults.push(fault),
        }
    }
    let known: Vec<_> =
        SURFACES.iter().flat_map(|s| CustomProfile::documented_fields(*s)).collect();
    let path = folded(&pointer);
    let close = scalar::closest(&path, known.iter().map(String::as_str));
    let help = match close {
        Some(close) => format!("did you mean `{close}`?"),
        None => "`surestep contract show` lists the fields".to_owned(),
    };
    let message = faults.first().map_or_else(String::new, ToString::to_string);
    Err((message, help))
}

fn folded(pointer: &str) -> String {
    contract::folded(pointer)
}

fn header_name(text: &str) -> Result<String, Refusal> {
    match http::HeaderName::from_bytes(text.as_bytes()) {
        Ok(name) => Ok(name.as_str().to_owned()),
        Err(_invalid) => {
            // The cause says only "invalid HTTP header name".
            Err((format!("`{text}` is no name of a header"), "write it as x-request-id".to_owned()))
        }
    }
}

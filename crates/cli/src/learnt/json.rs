//! What was learnt, as stable, versioned JSON: names of fields and classes of outcomes, never a value.

use contract::change::Place;
use drill::learning::{ModeLearnt, ReleaseLearnt};
use judge::learning::{FieldNeed, Grouping, Need};
use serde_json::{Map, Value, json};

use super::{Learnt, OPTIONAL_ADVICE, effect_phrase, effect_word, trouble_text, untold_phrase};
use crate::result::{NOT_ASSERTED, SCHEMA_VERSION};

impl Learnt {
    pub(crate) fn to_json(&self) -> Value {
        let mut releases = Map::new();
        for (version, release) in &self.releases {
            releases.insert(release.role.to_string(), release_json(version, release));
        }
        json!({
            "schema_version": SCHEMA_VERSION,
            "command": "contract learn",
            "exit_code": self.exit_code(),
            "service": self.service,
            "environment": self.environment,
            "provider": self.provider,
            "complete": self.is_complete(),
            "required_fields": self.required_fields,
            "configuration": { "lacks": self.lacking, "needless": self.unneeded },
            "differences": self.differences.iter().map(|difference| json!({
                "mode": difference.mode, "field": difference.field, "only": difference.only,
            })).collect::<Vec<_>>(),
            "releases": releases,
            "max_asks": self.max_asks,
            "not_asserted": NOT_ASSERTED,
        })
    }
}

fn release_json(version: &str, release: &ReleaseLearnt) -> Value {
    json!({
        "version": version,
        "complete": release.is_certain(),
        "asks": release.asks,
        "asked": match release.grouping {
            Grouping::Each => "each",
            Grouping::Together => "together",
        },
        "modes": release.modes.iter().map(mode_json).collect::<Vec<_>>(),
        "findings": release.problems,
    })
}

fn mode_json(mode: &ModeLearnt) -> Value {
    let needs = &mode.needs;
    json!({
        "mode": mode.mode,
        "surface": mode.surface,
        "streams": mode.wire == contract::Mode::Stream,
        "fields": mode.places,
        "changes": mode.changes,
        "trouble": mode.trouble.map(|trouble| {
            let (seen, advice) = trouble_text(trouble);
            json!({ "seen": seen, "advice": advice })
        }),
        "needs": needs.fields.iter().map(need_json).collect::<Vec<_>>(),
        "unknown_not_taken": needs.additions.iter().map(|(place, effect)| json!({
            "field": place.to_string(), "effect": effect_word(*effect),
        })).collect::<Vec<_>>(),
        "one_of": needs.together.iter().map(|(places, effect)| json!({
            "fields": places.iter().map(Place::to_string).collect::<Vec<_>>(),
            "effect": effect_word(*effect),
        })).collect::<Vec<_>>(),
        "documented_not_taken": mode.left_out.iter().map(|(place, effect)| json!({
            "field": place.to_string(), "effect": effect.map_or("unclear", effect_word),
        })).collect::<Vec<_>>(),
        "unclear": needs.untold.iter().map(|(change, why)| json!({
            "change": change, "why": why, "seen": untold_phrase(*why),
        })).collect::<Vec<_>>(),
    })
}

fn need_json(field: &FieldNeed) -> Value {
    let mut changes = Map::new();
    for reaction in &field.reactions {
        changes.insert(reaction.kind.as_str().to_owned(), json!(effect_word(reaction.effect)));
    }
    let is_surprise = field.presence == contract::Presence::Optional && field.need == Need::Always;
    json!({
        "field": field.place.to_string(),
        "documented": field.presence,
        "need": match &field.need {
            Need::Always => "always",
            Need::Inside(_) => "inside",
            Need::Never => "never",
        },
        "inside": match &field.need {
            Need::Inside(outer) => Some(outer),
            Need::Always | Need::Never => None,
        },
        "required_field": field.required_field,
        "changes": changes,
        "seen": seen(field),
        "advice": is_surprise.then_some(OPTIONAL_ADVICE),
    })
}

/// Returns how each change of a field breaks the release, by what it then does.
pub(super) fn seen(field: &FieldNeed) -> String {
    let mut effects = Vec::new();
    for reaction in field.reactions.iter().filter(|reaction| !is_same(reaction.effect)) {
        if !effects.contains(&reaction.effect) {
            effects.push(reaction.effect);
        }
    }
    let one = |effect: &judge::learning::Effect| {
        let kinds: Vec<&str> = field
            .reactions
            .iter()
            .filter(|reaction| reaction.effect == *effect)
            .map(|reaction| participle(reaction.kind))
            .collect();
        format!("{} when {}", effect_phrase(*effect), kinds.join(", "))
    };
    effects.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn is_same(effect: judge::learning::Effect) -> bool {
    effect == judge::learning::Effect::Same
}

fn participle(kind: contract::change::ChangeKind) -> &'static str {
    use contract::change::ChangeKind;
    match kind {
        ChangeKind::Delete => "deleted",
        ChangeKind::Null => "null",
        ChangeKind::Retype => "re-typed",
        ChangeKind::Rename => "renamed",
        ChangeKind::Add => "added",
    }
}

//! Reads the result of a search field by field: what is needed, inside of what, and how each change breaks the release.

use std::collections::BTreeMap;

use contract::change::{Change, ChangeKind, Place};
use contract::{Mode, Presence, Surface, presence, presence_of_event, required_field};

use super::cell::is_inside;
use super::{Effect, Found, Told, Untold};

/// What a release needs of a reply in one mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The fields and events that it needs or minds, in the order of the reply.
    pub fields: Vec<FieldNeed>,
    /// Unknown fields and events that break it.
    pub additions: Vec<(Place, Effect)>,
    /// Smallest sets of which it needs one: each may be left out alone, all of them together may not.
    pub together: Vec<(Vec<Place>, Effect)>,
    /// What could not be told.
    pub untold: Vec<(String, Untold)>,
}

/// A field or event that a release needs, or minds in some form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldNeed {
    /// Which, as the wire has it.
    pub place: Place,
    /// Whether the documentation promises it.
    pub presence: Presence,
    /// Whether it may be left out.
    pub need: Need,
    /// How `contract.required_fields` names it; only of what is always needed.
    pub required_field: Option<String>,
    /// What each kind of change did, where it could be made and told.
    pub reactions: Vec<Reaction>,
}

/// Whether a field may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// It may not.
    Always,
    /// Only together with this object round it.
    Inside(String),
    /// It may; but some other change of it breaks the release.
    Never,
}

/// What a kind of change did; [`Effect::Same`] is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// The kind of change.
    pub kind: ChangeKind,
    /// What the release made of it.
    pub effect: Effect,
}

impl Needs {
    /// Reads a result. `changes` are those whose indexes it has.
    pub fn of(changes: &[Change], found: &Found, surface: Surface, mode: Mode) -> Self {
        let reading = Reading::new(changes, found);
        let mut needs = Self::default();
        for place in reading.places.iter().copied() {
            if let Some(Told::Breaks(effect)) = reading.told(place, ChangeKind::Add) {
                needs.additions.push((place.clone(), effect));
            }
            needs.fields.extend(reading.field(place, surface, mode));
        }
        let place = |index: &usize| changes.get(*index).map(|change| change.place.clone());
        for (set, effect) in &found.together {
            needs.together.push((set.iter().filter_map(place).collect(), *effect));
        }
        for (index, told) in &found.told {
            if let (Some(change), Told::Untold(why)) = (changes.get(*index), told) {
                needs.untold.push((change.to_string(), *why));
            }
        }
        for (set, why) in &found.together_untold {
            needs.untold.push((format!("delete {} fields at once", set.len()), *why));
        }
        needs
    }

    /// Returns the lines for `contract.required_fields`.
    pub fn required_fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().filter_map(|field| field.required_field.as_deref())
    }
}

struct Reading<'a> {
    /// In the order of the reply.
    places: Vec<&'a Place>,
    told: BTreeMap<(&'a Place, ChangeKind), Told>,
}

impl<'a> Reading<'a> {
    fn new(changes: &'a [Change], found: &Found) -> Self {
        let mut places = Vec::new();
        let mut told = BTreeMap::new();
        for (index, change) in changes.iter().enumerate() {
            if !places.contains(&&change.place) {
                places.push(&change.place);
            }
            if let Some(known) = found.told.get(&index) {
                told.insert((&change.place, change.kind), *known);
            }
        }
        Self { places, told }
    }

    fn told(&self, place: &Place, kind: ChangeKind) -> Option<Told> {
        self.told.get(&(place, kind)).copied()
    }

    fn breaks_without(&self, place: &Place) -> bool {
        matches!(self.told(place, ChangeKind::Delete), Some(Told::Breaks(_)))
    }

    /// Returns the objects round a field, the innermost first.
    fn round(&self, pointer: &str) -> impl Iterator<Item = &'a str> {
        let mut round: Vec<&str> = self
            .places
            .iter()
            .filter_map(|place| match place {
                Place::Field(outer) if is_inside(pointer, outer) => Some(outer.as_str()),
                Place::Field(_) | Place::Event(_) => None,
            })
            .collect();
        round.sort_by_key(|outer| std::cmp::Reverse(outer.len()));
        round.into_iter()
    }

    /// Returns the innermost object round a field that may be left out with it.
    fn optional_round(&self, pointer: &str) -> Option<&'a str> {
        self.round(pointer).find(|outer| {
            let outer = Place::Field((*outer).to_owned());
            matches!(self.told(&outer, ChangeKind::Delete), Some(Told::Taken))
        })
    }

    /// Whether a field is missed because of something inside it that is: then it is not reported a second time.
    fn is_explained(&self, pointer: &str) -> bool {
        self.places.iter().any(|place| match place {
            Place::Field(inner) if is_inside(inner, pointer) => {
                let between = self.optional_round(inner);
                self.breaks_without(place)
                    && between.is_none_or(|between| !is_inside(between, pointer))
            }
            Place::Field(_) | Place::Event(_) => false,
        })
    }

    fn field(&self, place: &Place, surface: Surface, mode: Mode) -> Option<FieldNeed> {
        let is_needed = self.breaks_without(place);
        let (need, presence, name) = match place {
            Place::Field(pointer) => {
                if is_needed && self.is_explained(pointer) {
                    return None;
                }
                let need = match self.optional_round(pointer) {
                    _ if !is_needed => Need::Never,
                    Some(outer) => Need::Inside(outer.to_owned()),
                    None => Need::Always,
                };
                let name = required_field(surface, mode, pointer);
                (need, presence(surface, mode, pointer), name)
            }
            Place::Event(name) => {
                let need = if is_needed { Need::Always } else { Need::Never };
                (need, presence_of_event(name), None)
            }
        };
        let kinds = [ChangeKind::Delete, ChangeKind::Null, ChangeKind::Retype, ChangeKind::Rename];
        let reactions: Vec<Reaction> = kinds
            .into_iter()
            .filter_map(|kind| match self.told(place, kind)? {
                Told::Taken => Some(Reaction { kind, effect: Effect::Same }),
                Told::Breaks(effect) => Some(Reaction { kind, effect }),
                Told::Untold(_) => None,
            })
            .collect();
        reactions.iter().any(|reaction| reaction.effect != Effect::Same).then(|| FieldNeed {
            required_field: name.filter(|_| need == Need::Always),
            place: place.clone(),
            presence,
            need,
            reactions,
        })
    }
}

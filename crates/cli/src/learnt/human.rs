//! What was learnt, for people.

use std::fmt::Write as _;

use contract::Presence;
use contract::change::Place;
use drill::learning::{ModeLearnt, ReleaseLearnt};
use judge::learning::{FieldNeed, Grouping, Need};

use super::json::seen;
use super::{Learnt, OPTIONAL_ADVICE, effect_phrase, trouble_text, untold_phrase};
use crate::terminal::Paint;

/// How many changes that could not be told are named before the rest is counted.
const UNTOLD_SHOWN: usize = 6;

impl Learnt {
    /// Renders it.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let mut text = String::new();
        self.render_into(paint, &mut text).expect("writing to a String cannot fail");
        text
    }

    fn render_into(&self, paint: Paint, out: &mut String) -> std::fmt::Result {
        writeln!(out)?;
        let headline = if self.is_complete() {
            paint.green("learnt")
        } else {
            paint.yellow("not all could be told")
        };
        writeln!(out, "{}  {} in {}", paint.bold(&headline), self.service, self.environment)?;
        for (version, release) in &self.releases {
            writeln!(out)?;
            render_release(version, release, paint, out)?;
        }
        writeln!(out)?;
        for difference in &self.differences {
            writeln!(
                out,
                "difference: only {} needs {} ({})",
                difference.only, difference.field, difference.mode
            )?;
        }
        self.render_configuration(paint, out)
    }

    fn render_configuration(&self, paint: Paint, out: &mut String) -> std::fmt::Result {
        if !self.required_fields.is_empty() {
            writeln!(out, "{}", paint.dim("# for surestep.yaml: what the application needs"))?;
            writeln!(out, "contract:\n  required_fields:")?;
            for field in &self.required_fields {
                writeln!(out, "    - {field}")?;
            }
        }
        if !self.lacking.is_empty() {
            writeln!(
                out,
                "{} {}",
                paint.yellow("the configuration lacks"),
                self.lacking.join(", ")
            )?;
        } else if !self.required_fields.is_empty() {
            writeln!(out, "the configuration has all of them")?;
        }
        if !self.unneeded.is_empty() {
            writeln!(
                out,
                "the configuration requires what no release that was asked needs: {}",
                self.unneeded.join(", ")
            )?;
        }
        Ok(())
    }
}

fn render_release(
    version: &str,
    release: &ReleaseLearnt,
    paint: Paint,
    out: &mut String,
) -> std::fmt::Result {
    let way = match release.grouping {
        Grouping::Each => "each change by itself",
        Grouping::Together => "changes together where that tells as much",
    };
    writeln!(out, "{} {version}: {} asks, {way}", paint.bold(release.role.as_str()), release.asks)?;
    for problem in &release.problems {
        writeln!(out, "  {} {}: {}", paint.yellow("unsure"), problem.code, problem.seen)?;
        writeln!(out, "         {}", problem.advice)?;
    }
    release.modes.iter().try_for_each(|mode| render_mode(mode, paint, out))
}

fn render_mode(mode: &ModeLearnt, paint: Paint, out: &mut String) -> std::fmt::Result {
    writeln!(out, "  {}: {} changes of {} fields", mode.mode, mode.changes, mode.places)?;
    if let Some(trouble) = mode.trouble {
        let (seen, advice) = trouble_text(trouble);
        writeln!(out, "    {} {seen}", paint.yellow("unsure "))?;
        writeln!(out, "            {advice}")?;
        return Ok(());
    }
    let needs = &mode.needs;
    let width = needs.fields.iter().map(|field| name(field).len()).max().unwrap_or(0);
    for field in &needs.fields {
        let word = match field.need {
            Need::Always | Need::Inside(_) => paint.bold("needs  "),
            Need::Never => "minds  ".to_owned(),
        };
        writeln!(out, "    {word} {:width$}  {}", name(field), seen(field))?;
    }
    for (places, effect) in &needs.together {
        let names: Vec<String> = places.iter().map(Place::to_string).collect();
        writeln!(
            out,
            "    {} one of {}: {} without any of them",
            paint.bold("needs  "),
            names.join(", "),
            effect_phrase(*effect)
        )?;
    }
    for (place, effect) in &needs.additions {
        writeln!(out, "    minds   an unknown {place}: {}", effect_phrase(*effect))?;
    }
    for (place, effect) in &mode.left_out {
        let effect = effect.map_or("could not be told", effect_phrase);
        writeln!(out, "    minds   {place}, which is documented: {effect} when it has a value")?;
    }
    for (change, why) in needs.untold.iter().take(UNTOLD_SHOWN) {
        writeln!(out, "    {} {change}: {}", paint.yellow("unsure "), untold_phrase(*why))?;
    }
    if needs.untold.len() > UNTOLD_SHOWN {
        writeln!(out, "            and {} more", needs.untold.len() - UNTOLD_SHOWN)?;
    }
    let surprises = needs
        .fields
        .iter()
        .any(|field| field.need == Need::Always && field.presence == Presence::Optional);
    if surprises {
        writeln!(out, "    {}", paint.dim(&format!("do      {OPTIONAL_ADVICE}")))?;
    }
    Ok(())
}

fn name(field: &FieldNeed) -> String {
    let optional = match field.presence {
        Presence::Optional => " (optional)",
        Presence::Promised => "",
    };
    match &field.need {
        Need::Always | Need::Never => format!("{}{optional}", field.place),
        Need::Inside(outer) => format!("{}, if {outer} is there{optional}", field.place),
    }
}

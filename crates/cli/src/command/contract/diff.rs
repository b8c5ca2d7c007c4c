//! `contract diff`: which changes between two replies, or two documents, break this application.

mod side;

use contract::{
    ContractDocument, ShapeChange, ShapeChangeLevel, Surface, folded, places_of, shape_diff,
};
use evidence::Scanner;
use serde_json::{Value, json};
use side::{Channel, Side};

use crate::args::{DiffArgs, Format};
use crate::command::{Call, pretty};
use crate::exit_code;
use crate::failure::Failure;

/// Where the required fields come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Flag,
    Configuration,
    Contract,
}

/// One comparison.
struct Diff {
    surface: Surface,
    required: Vec<String>,
    from: From,
    compared: Vec<Channel>,
    changes: Vec<(Channel, ShapeChange)>,
}

/// Compares, or saves a shape.
pub(super) fn run(call: &Call, args: &DiffArgs) -> Result<u8, Failure> {
    let (before, after) = sides(args)?;
    if let Some(path) = &args.save {
        after.as_ref().unwrap_or(&before).save(path)?;
    }
    let Some(after) = after else { return Ok(exit_code::PASS) };
    let (required, from) = required(call, args)?;
    let Some(surface) = common_surface(args, &before, &after) else {
        return Ok(incomparable(call, &before, &after, "they are of different surfaces"));
    };
    let diff = compare(surface, required, from, &before, &after);
    if diff.compared.is_empty() {
        let why = "none of the kinds of reply (unary, stream, error) is on both sides";
        return Ok(incomparable(call, &before, &after, why));
    }
    let code = if diff.count(ShapeChangeLevel::Breaking) > 0 {
        exit_code::HOLD_FAILED
    } else {
        exit_code::PASS
    };
    let text = match call.arguments.format {
        Format::Json => pretty(&diff.to_json(&before, &after, code)),
        Format::Human => diff.human(&before, &after),
        Format::Github => diff.github(),
    };
    call.answer(&text, &Scanner::new([]));
    Ok(code)
}

fn sides(args: &DiffArgs) -> Result<(Side, Option<Side>), Failure> {
    let surface = args.surface.map(Surface::from);
    if let Some(path) = &args.openapi {
        let after = Side::of_openapi(path, surface)?;
        let surface = after.surface.or(surface).unwrap_or(Surface::Chat);
        return Ok((Side::built_in(surface), Some(after)));
    }
    let Some(before) = &args.before else {
        return Err(Failure::usage("there is nothing to compare", "Name two saved responses."));
    };
    let mut before = Side::read(before, surface, None)?;
    let Some(after) = &args.after else { return Ok((before, None)) };
    let after = Side::read(after, surface, before.surface)?;
    // An OpenAPI document says something of both surfaces: the other side decides.
    if let (Some(path), Some(other)) = (before.document.clone(), after.surface)
        && before.surface != Some(other)
        && surface.is_none()
        && let Ok(again) = Side::of_openapi(&path, Some(other))
    {
        before = again;
    }
    Ok((before, Some(after)))
}

fn common_surface(args: &DiffArgs, before: &Side, after: &Side) -> Option<Surface> {
    match (before.surface, after.surface) {
        (Some(before), Some(after)) if before != after => None,
        (Some(surface), _) | (None, Some(surface)) => Some(surface),
        (None, None) => Some(args.surface.map_or(Surface::Chat, Surface::from)),
    }
}

/// Returns the fields that the application reads, and who says so.
fn required(call: &Call, args: &DiffArgs) -> Result<(Vec<String>, From), Failure> {
    if let Some(odd) = args.required.iter().find(|pointer| !pointer.starts_with('/')) {
        return Err(Failure::usage(
            format!("`--required {odd}` is not a JSON pointer: it does not begin with `/`"),
            "Write it as /choices/0/message/content.",
        ));
    }
    if !args.required.is_empty() {
        return Ok((args.required.clone(), From::Flag));
    }
    if call.arguments.config.is_file() {
        let required = call.settings()?.contract.required_fields;
        if !required.is_empty() {
            return Ok((required, From::Configuration));
        }
    }
    Ok((Vec::new(), From::Contract))
}

fn compare(
    surface: Surface,
    mut required: Vec<String>,
    from: From,
    before: &Side,
    after: &Side,
) -> Diff {
    if from == From::Contract {
        let fields = &ContractDocument::of(surface).reply;
        // What lies in a field that may be left out is needed only there.
        let is_within = |path: &str| {
            fields.iter().any(|other| {
                let rest = path.strip_prefix(&other.path);
                !other.is_required() && rest.is_some_and(|rest| rest.starts_with('/'))
            })
        };
        let needed = fields.iter().filter(|field| {
            field.is_required() && !field.path.contains('{') && !is_within(&field.path)
        });
        required = needed.map(contract::Field::shape_path).collect();
    }
    let (mut compared, mut changes) = (Vec::new(), Vec::new());
    for channel in Channel::ALL {
        let (Some(old), Some(new)) = (before.shapes.get(&channel), after.shapes.get(&channel))
        else {
            continue;
        };
        compared.push(channel);
        let places = channel.mode().map_or_else(Vec::new, |mode| {
            let places = |pointer: &String| {
                let all = places_of(surface, mode, pointer);
                // A field may have several places in a stream: those that were used before count.
                let used: Vec<_> =
                    all.iter().filter(|place| old.contains(place)).cloned().collect();
                match (used.is_empty(), from) {
                    (false, _) => used,
                    // What the contract asks for and neither side has was broken before.
                    (true, From::Contract) => Vec::new(),
                    (true, From::Flag | From::Configuration) => all.into_iter().take(1).collect(),
                }
            };
            required.iter().flat_map(places).collect::<Vec<_>>()
        });
        let found = shape_diff(old, new, &places);
        changes.extend(found.into_iter().map(|change| (channel, change)));
    }
    changes.sort_by_key(|(channel, change)| (std::cmp::Reverse(change.level), *channel));
    Diff { surface, required, from, compared, changes }
}

fn incomparable(call: &Call, before: &Side, after: &Side, why: &str) -> u8 {
    let text = match call.arguments.format {
        Format::Json => pretty(&json!({
            "schema_version": crate::result::SCHEMA_VERSION,
            "exit_code": exit_code::HOLD_MISSING,
            "before": before.to_json(),
            "after": after.to_json(),
            "comparable": [],
            "reason": why,
        })),
        Format::Human | Format::Github => {
            let mut text = format!("nothing to compare: {why}\n");
            for (word, side) in [("before", before), ("after", after)] {
                text.push_str(&format!("  {word:<7} {}\n", side.describe()));
                for left_out in &side.left_out {
                    text.push_str(&format!("            left out: {left_out}\n"));
                }
            }
            text
        }
    };
    call.answer(&text, &Scanner::new([]));
    exit_code::HOLD_MISSING
}

impl Diff {
    fn count(&self, level: ShapeChangeLevel) -> usize {
        self.changes.iter().filter(|(_, change)| change.level == level).count()
    }

    fn required_from(&self) -> &'static str {
        match self.from {
            From::Flag => "--required",
            From::Configuration => "contract.required_fields",
            From::Contract => "the contract's required fields",
        }
    }

    fn to_json(&self, before: &Side, after: &Side, code: u8) -> Value {
        let changes: Vec<_> = self
            .changes
            .iter()
            .map(|(channel, change)| {
                let mut form = json!(change);
                form["reply"] = json!(channel.as_str());
                form
            })
            .collect();
        json!({
            "schema_version": crate::result::SCHEMA_VERSION,
            "exit_code": code,
            "surface": self.surface,
            "before": before.to_json(),
            "after": after.to_json(),
            "comparable": self.compared.iter().map(|channel| channel.as_str()).collect::<Vec<_>>(),
            "required": self.required.iter().map(|pointer| folded(pointer)).collect::<Vec<_>>(),
            "required_from": self.required_from(),
            "breaking": self.count(ShapeChangeLevel::Breaking),
            "compatible": self.count(ShapeChangeLevel::Compatible),
            "info": self.count(ShapeChangeLevel::Info),
            "changes": changes,
        })
    }

    fn human(&self, before: &Side, after: &Side) -> String {
        use ShapeChangeLevel::{Breaking, Compatible, Info};
        let mut text = format!(
            "{} breaking, {} compatible, {} for information  ({}; judged by {})\n  before  {}\n  after   {}\n",
            self.count(Breaking),
            self.count(Compatible),
            self.count(Info),
            self.surface,
            self.required_from(),
            before.describe(),
            after.describe()
        );
        for left_out in before.left_out.iter().chain(&after.left_out) {
            text.push_str(&format!("  left out: {left_out}\n"));
        }
        for (channel, change) in &self.changes {
            let level = match change.level {
                Breaking => "breaking",
                Compatible => "compatible",
                Info => "info",
            };
            text.push_str(&format!(
                "{level:<10}  {}  {} reply at {}: {} -> {}\n",
                change.rule,
                channel.as_str(),
                change.path,
                change.before,
                change.after
            ));
        }
        text
    }

    fn github(&self) -> String {
        let mut text = String::new();
        for (channel, change) in &self.changes {
            let command = match change.level {
                ShapeChangeLevel::Breaking => "error",
                ShapeChangeLevel::Compatible | ShapeChangeLevel::Info => "notice",
            };
            text.push_str(&format!(
                "::{command} title={}::{} reply at {}: {} -> {}\n",
                change.rule,
                channel.as_str(),
                change.path,
                change.before,
                change.after
            ));
        }
        if text.is_empty() {
            text.push_str("::notice title=contract diff::no change\n");
        }
        text
    }
}

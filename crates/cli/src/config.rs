//! `surestep.yaml`: from a file to [`Settings`], with every problem at once.
//!
//! [`tree`] parses YAML into nodes that know their places; the readers walk it against the one table in [`keys`], record what is wrong
//! and go on; [`problem`] shows it. [`secret`] takes references only, [`masking`] keeps what is none out of every message.

mod forward;
mod keys;
mod logs;
mod masking;
mod openapi;
mod problem;
mod profile;
mod provider;
mod reader;
mod release;
mod resolving;
mod review;
mod run;
mod scalar;
mod secret;
mod substitution;
mod tree;

use std::path::{Path, PathBuf};
use std::time::Duration;

use drill::settings::{Gates, LedgerUrl, Route, Settings, SwitchKind, TapMode};
pub(crate) use keys::{Absent, GATES, Kind, ROOT, Section};
pub(crate) use openapi::{load_openapi, with_requirement};
pub(crate) use problem::{ConfigErrors, Problem, Report, Severity};
pub(crate) use profile::load_profile;
use reader::{Fields, Reader, UNEXPLAINED, plain_lines};
pub(crate) use resolving::{SecretProblem, blemishes, resolve, resolve_control};
pub(crate) use scalar::{http_url, pointer};

use crate::environment::Environment;

/// The file that every command reads unless told otherwise.
pub(crate) const FILE_NAME: &str = "surestep.yaml";

/// A configuration is read whole; the largest sensible one has some ten kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

const LISTEN: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
const STEP: u32 = 5;
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
const LEDGER: &str = ".surestep/ledger.db";

/// A configuration that can be used, with what is odd about it.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// What it amounts to.
    pub(crate) settings: Settings,
    /// What is legal, but odd.
    pub(crate) warnings: Report,
}

/// Loads a configuration file, and tells what is odd about it.
pub(crate) fn load_with_warnings(
    path: &Path,
    environment: &Environment,
) -> Result<Loaded, ConfigErrors> {
    let file = path.display().to_string();
    let fail =
        |problem| ConfigErrors(Report::new(file.clone(), "", vec![problem], &[]), Vec::new());
    let base = folder_of(path).map_err(&fail)?;
    let source = read(path).map_err(&fail)?;
    parse(&file, &source, &base, environment)
}

/// Reads a configuration from its text. Relative paths start at `base`.
pub(crate) fn parse(
    file: &str,
    source: &str,
    base: &Path,
    environment: &Environment,
) -> Result<Loaded, ConfigErrors> {
    let source = plain_lines(source);
    let mut reader = Reader::new(&source, base, environment);
    let empty =
        Problem::of_file("the file is empty").help("`surestep init --force` writes a template");
    let settings = reader.whole(&ROOT, empty, |reader, root| reader.root(root));
    let Reader { problems, warnings, hidden, others, .. } = reader;
    let report = |problems| Report::new(file, &source, problems, &hidden);
    match settings {
        Some(settings) if problems.is_empty() && others.is_empty() => {
            Ok(Loaded { settings, warnings: report(warnings) })
        }
        None if problems.is_empty() && others.is_empty() => {
            Err(ConfigErrors(report(vec![Problem::of_file(UNEXPLAINED)]), others))
        }
        _ => Err(ConfigErrors(report(problems), others)),
    }
}

fn folder_of(path: &Path) -> Result<PathBuf, Problem> {
    let absolute = std::path::absolute(path).map_err(|error| {
        Problem::of_file(format!("the folder of the configuration cannot be found: {error}"))
    })?;
    Ok(absolute.parent().map_or_else(|| absolute.clone(), Path::to_owned))
}

fn read(path: &Path) -> Result<String, Problem> {
    let help = "`surestep init` writes a commented one; `--config FILE` names another";
    read_within(path, FILE_BYTES_MAX, help)
}

/// Reads a file up to a size. `absent`: what to do when there is none.
fn read_within(path: &Path, bytes_max: u64, absent: &str) -> Result<String, Problem> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Problem::of_file("there is no such file").help(absent),
        _ => Problem::of_file(format!("the file cannot be read: {error}")),
    })?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Problem::of_file(format!("the file cannot be read: {error}")))?;
    if bytes.len() as u64 > bytes_max {
        return Err(Problem::of_file(format!("the file is larger than {bytes_max} bytes"))
            .help("is it the right file?"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::of_file(format!("the file is not UTF-8 text (byte {at})")).help("save it as UTF-8")
    })
}

impl Reader<'_> {
    fn root(&mut self, fields: &Fields<'_>) -> Option<Settings> {
        let service = self.text(fields, "service");
        let environment = self.text(fields, "environment");
        let provider = match self.section(fields, "provider") {
            Some(own) => self.provider(&own, None),
            None => None,
        };
        let model = self.text(fields, "model");
        let (contract, openapi) = self.contract(fields);
        let provider = provider.map(|mut provider| {
            if let Some(named) = openapi {
                provider.profile = self.required_by(&named, &provider);
            }
            provider
        });
        let (mut new, mut rollback) = (None, None);
        if let Some(releases) = self.section(fields, "releases") {
            if let Some(own) = self.section(&releases, "new") {
                new = self.release(&own, provider.as_ref());
            }
            if let Some(own) = self.section(&releases, "rollback") {
                rollback = self.release(&own, provider.as_ref());
            }
        }
        let route = self.route(fields);
        let gates = self.gates(fields);
        let ledger = self.ledger(fields);
        let settings = Settings {
            service: service?,
            environment: environment?,
            base: self.base.clone(),
            provider: provider?,
            model: model?,
            contract,
            new: new?,
            rollback: rollback?,
            route: route?,
            gates,
            ledger: ledger?,
        };
        self.look_at_pair(fields, &settings);
        Some(settings)
    }

    fn route(&mut self, root: &Fields<'_>) -> Option<Route> {
        let default = Route { switch: SwitchKind::Embedded, listen: LISTEN, step: 5 };
        if root.get("route").is_none() {
            return Some(default);
        }
        let fields = self.section(root, "route")?;
        let switch = self.word(&fields, "switch").unwrap_or("embedded");
        if switch != "embedded" {
            let message = format!("`route.switch: {switch}` is not available in this version");
            let span = fields.get("switch").map_or(fields.at.clone(), |node| node.span.clone());
            self.report(
                Problem::new(span, message).help("write `switch: embedded`, surestep's own router"),
            );
        }
        let listen = self.address(&fields, "listen").unwrap_or(default.listen);
        let step = self.integer(&fields, "step").unwrap_or(STEP);
        // The table allows 1 to 100.
        Some(Route { switch: SwitchKind::Embedded, listen, step: u8::try_from(step).unwrap_or(1) })
    }

    fn gates(&mut self, root: &Fields<'_>) -> Gates {
        let all = || GATES.map(str::to_owned).to_vec();
        let Some(fields) = self.section(root, "gates") else {
            return Gates { max_age: MAX_AGE, require: all(), strict: false };
        };
        let max_age = self.duration(&fields, "max_age").unwrap_or(MAX_AGE);
        let strict = self.boolean(&fields, "strict").unwrap_or(false);
        let mut require = Vec::new();
        for node in self.items(&fields, "require").unwrap_or_default() {
            let Some(gate) = self.word_of(node, "gates.require", &GATES) else { continue };
            if require.iter().any(|known| known == gate) {
                self.warn(Problem::new(
                    node.span.clone(),
                    format!("`{gate}` stands twice in `gates.require`"),
                ));
            } else {
                require.push(gate.to_owned());
            }
        }
        match fields.get("require") {
            None => require = all(),
            // A list of misspelt names has its problems already.
            Some(node) if matches!(&node.value, tree::Value::List(items) if items.is_empty()) => {
                self.report(
                    Problem::new(
                        node.span.clone(),
                        "`gates.require` names no gate: everything would be promoted without proof",
                    )
                    .help("leave the key out to require all six"),
                );
            }
            Some(node) if require.len() < GATES.len() => {
                let missing: Vec<_> = GATES
                    .iter()
                    .filter(|gate| !require.iter().any(|known| known == *gate))
                    .copied()
                    .collect();
                let message = format!("`gates.require` leaves out {}", missing.join(", "));
                self.warn(Problem::new(node.at.clone(), message).help("every report will show it"));
            }
            Some(_) => {}
        }
        Gates { max_age, require, strict }
    }

    fn ledger(&mut self, root: &Fields<'_>) -> Option<LedgerUrl> {
        let Some(node) = root.get("ledger") else {
            return Some(LedgerUrl::Sqlite(self.absolute(LEDGER)));
        };
        let text = self.text(root, "ledger")?;
        let refuse = |message: &str, help: &str| Err((message.to_owned(), help.to_owned()));
        let path = self.check(node, "ledger", &text, |text| match text.split_once(':') {
            Some(("sqlite", ":memory:" | "")) => {
                refuse("a ledger in memory keeps nothing", "write sqlite:PATH")
            }
            Some(("sqlite", path)) if path.starts_with("//") => refuse(
                "this is no path",
                "write sqlite:relative/path.db or sqlite:/absolute/path.db",
            ),
            Some(("sqlite", path)) => Ok(path.to_owned()),
            Some(("postgres" | "postgresql", _)) => {
                refuse("PostgreSQL is not in this build", "write sqlite:PATH")
            }
            Some(_) | None => refuse("not a ledger's address", "write sqlite:PATH"),
        });
        if text.starts_with("postgres") && text.contains('@') {
            // It may carry a password.
            self.hide(node.span.clone());
        }
        Some(LedgerUrl::Sqlite(self.absolute(&path?)))
    }

    fn look_at_pair(&mut self, fields: &Fields<'_>, settings: &Settings) {
        let at = || fields.span("releases");
        if settings.new.version == settings.rollback.version {
            let message = format!("`new` and `rollback` are both version {}", settings.new.version);
            let help = "a drill tells them apart by role; their logs will not";
            self.warn(Problem::new(at(), message).help(help));
        }
        let fixed = |tap: &TapMode| match tap {
            TapMode::Reverse { listen } => *listen,
            TapMode::Forward(_) => None,
        };
        let (new, rollback) = (fixed(&settings.new.tap), fixed(&settings.rollback.tap));
        if new.is_some() && new == rollback {
            let message = "the taps of `new` and `rollback` share one address: their calls could not be told apart";
            self.report(Problem::new(at(), message).help("give each a port of its own"));
        }
        for (role, listen) in [("new", new), ("rollback", rollback)] {
            if listen == Some(settings.route.listen) {
                let message = format!("the tap of `{role}` and `route.listen` share one address");
                self.report(Problem::new(at(), message).help("give each a port of its own"));
            }
        }
    }
}

/// The documentation's example as JSON, for the tests of what is built from the table of keys.
#[cfg(test)]
pub(crate) use tests::example_as_json;

#[cfg(test)]
mod tests;

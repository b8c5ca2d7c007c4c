//! `logs` of a release: a list of sources, or a mapping of sources and field names.

use std::path::Path;

use drill::settings::{LogSource, Run};
use judge::logs::LogFields;

use super::problem::Problem;
use super::reader::{Fields, Reader};
use super::tree::{Node, Value};
use super::{keys, scalar};

impl Reader<'_> {
    /// Reads where a release's logs are, and which fields of them are looked at.
    pub(super) fn logs(
        &mut self,
        fields: &Fields<'_>,
        directory: &Path,
        run: Option<&Run>,
    ) -> (Vec<LogSource>, LogFields) {
        let is_started = !matches!(run, Some(Run::Url { .. }));
        let by_default = if is_started { vec![LogSource::Stderr] } else { Vec::new() };
        let Some(node) = fields.get("logs") else { return (by_default, LogFields::default()) };
        if !matches!(node.value, Value::Map { .. }) {
            return (self.log_sources(fields, "logs", directory, is_started), LogFields::default());
        }
        let Some(logs) = self.open(node, &keys::LOGS, fields.path("logs")) else {
            return (by_default, LogFields::default());
        };
        let sources = match logs.get("sources") {
            Some(_) => self.log_sources(&logs, "sources", directory, is_started),
            None => by_default,
        };
        (sources, self.log_fields(&logs))
    }

    fn log_fields(&mut self, logs: &Fields<'_>) -> LogFields {
        let Some(names) = self.section(logs, "fields") else { return LogFields::default() };
        let mut name = |key: &str| {
            self.checked(&names, key, |text| {
                // JSON pointers are what the neighbours of this key take.
                if text.starts_with(['/', '$', '.']) || text.ends_with('.') {
                    let plain = text.trim_matches(['/', '$', '.']).replace('/', ".");
                    return Err((
                        format!("`{text}` is no name of a field"),
                        format!("write the names that lead to it with dots between: `{plain}`"),
                    ));
                }
                Ok(text.to_owned())
            })
        };
        LogFields {
            version: name("version"),
            route: name("route"),
            timestamp: name("timestamp"),
            status: name("status"),
            request_id: name("request_id"),
        }
    }

    fn log_sources(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        directory: &Path,
        is_started: bool,
    ) -> Vec<LogSource> {
        let path = fields.path(key);
        let mut sources = Vec::new();
        for node in self.items(fields, key).unwrap_or_default() {
            let Some(text) = self.text_of(node, &path) else { continue };
            let Some(source) = self.log_source(node, &path, &text, directory) else { continue };
            if !is_started && !matches!(source, LogSource::File(_)) {
                self.report(
                    Problem::new(node.span.clone(), format!("`{path}`: surestep does not start this instance and cannot read its {text}"))
                        .help("write `file:PATH`"),
                );
            } else if sources.contains(&source) {
                self.warn(Problem::new(
                    node.span.clone(),
                    format!("`{text}` stands twice in `{path}`"),
                ));
            } else {
                sources.push(source);
            }
        }
        sources
    }

    fn log_source(
        &mut self,
        node: &Node,
        path: &str,
        text: &str,
        directory: &Path,
    ) -> Option<LogSource> {
        match (text, text.strip_prefix("file:")) {
            ("stderr", _) => Some(LogSource::Stderr),
            ("stdout", _) => Some(LogSource::Stdout),
            ("otlp", _) => Some(LogSource::Otlp),
            (_, Some(file)) if !file.is_empty() => {
                Some(LogSource::File(directory.join(file).components().collect()))
            }
            _ => {
                let close = scalar::closest(text, ["stderr", "stdout", "otlp"]);
                let help = close.map(|close| format!("did you mean `{close}`?"));
                self.expected(
                    node,
                    path,
                    "a list of `stderr`, `stdout`, `otlp` and `file:PATH`",
                    help,
                );
                None
            }
        }
    }
}

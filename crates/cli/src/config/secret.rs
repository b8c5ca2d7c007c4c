//! References to secrets: `env:NAME`, `file:PATH`, `command:[…]`, `{key}`. A secret itself is refused and never shown.

use drill::settings::SecretSource;

use super::problem::Problem;
use super::reader::Reader;
use super::substitution::is_variable_name;
use super::tree::{self, Node, Value};

const FORMS: &str = "write env:NAME, file:PATH or command:[program, argument]";

/// Whether `{key}`, the control's credential, may stand here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ControlKey {
    Allowed,
    Refused,
}

impl Reader<'_> {
    /// Reads a reference to a secret.
    pub(super) fn secret(
        &mut self,
        node: &Node,
        path: &str,
        control: ControlKey,
    ) -> Option<SecretSource> {
        match &node.value {
            Value::Map { entries, .. } => match entries.as_slice() {
                [entry] if entry.key == "command" => self.secret_command(&entry.value, node, path),
                _ => {
                    self.expected(node, path, "a reference to a secret", mapping_help(entries));
                    None
                }
            },
            Value::List(_) => {
                self.expected(node, path, "a reference to a secret", Some(FORMS.to_owned()));
                None
            }
            Value::Scalar { .. } if node.is_null() => {
                self.expected(node, path, "a reference to a secret", Some(FORMS.to_owned()));
                None
            }
            Value::Scalar { text: written, .. } => {
                let written = written.clone();
                // Known before anything can go wrong: no excerpt may show what is no reference.
                if !begins_as_reference(&written)
                    && written != "{key}"
                    && !written.starts_with("${")
                {
                    self.hide(node.span.clone());
                }
                let text = self.text_of(node, path)?;
                self.secret_text(node, path, control, &written, &text)
            }
        }
    }

    fn secret_text(
        &mut self,
        node: &Node,
        path: &str,
        control: ControlKey,
        written: &str,
        text: &str,
    ) -> Option<SecretSource> {
        if let Some(name) = text.strip_prefix("env:") {
            if is_variable_name(name) {
                return Some(SecretSource::Env(name.to_owned()));
            }
            self.hide(node.span.clone());
            self.report(
                Problem::new(
                    node.span.clone(),
                    format!("`{path}`: what follows `env:` is no variable name"),
                )
                .help("write the variable's name, not its value: env:COMETAPI_API_KEY"),
            );
            return None;
        }
        if let Some(file) = text.strip_prefix("file:") {
            return self.secret_file(node, path, file);
        }
        if let Some(words) = text.strip_prefix("command:") {
            let mut problems = Vec::new();
            let list = tree::parse(words, &mut problems).ok().flatten();
            if let Some(words) =
                list.filter(|_| problems.is_empty()).and_then(|list| plain_words(&list))
            {
                return Some(SecretSource::Command(words));
            }
            self.report(
                Problem::new(node.span.clone(), format!("`{path}`: what follows `command:` is no list of words"))
                    .help("write command:[program, argument], or as a mapping { command: [program, argument] }"),
            );
            return None;
        }
        if text == "{key}" {
            if control == ControlKey::Allowed {
                return Some(SecretSource::Control);
            }
            self.report(
                Problem::new(
                    node.span.clone(),
                    format!(
                        "`{path}` is the control's credential itself: `{{key}}` cannot stand here"
                    ),
                )
                .help(FORMS),
            );
            return None;
        }
        let variable = written.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let help = match variable {
            Some(name) if is_variable_name(name) => format!("write env:{name}"),
            _ => format!(
                "{FORMS}; and replace the secret at its maker, if this is one, as it has been written down"
            ),
        };
        self.report(
            Problem::new(
                node.span.clone(),
                format!("`{path}` must be a reference to a secret, never the secret"),
            )
            .help(help),
        );
        None
    }

    fn secret_file(&mut self, node: &Node, path: &str, file: &str) -> Option<SecretSource> {
        let refused = match file {
            "" => Some(("names no file", "write file:PATH")),
            _ if file.starts_with('~') => {
                Some(("begins with `~`, which only a shell expands", "write file:${HOME}/…"))
            }
            _ => None,
        };
        if let Some((what, help)) = refused {
            self.report(Problem::new(node.span.clone(), format!("`{path}` {what}")).help(help));
            return None;
        }
        Some(SecretSource::File(self.absolute(file)))
    }

    fn secret_command(&mut self, words: &Node, node: &Node, path: &str) -> Option<SecretSource> {
        let Value::List(items) = &words.value else {
            self.expected(words, path, "program and arguments as a list", Some(FORMS.to_owned()));
            return None;
        };
        let words: Vec<String> = items.iter().filter_map(|item| self.text_of(item, path)).collect();
        if words.first().is_none_or(|program| program.trim().is_empty()) {
            self.report(
                Problem::new(node.span.clone(), format!("`{path}` names no program")).help(FORMS),
            );
            return None;
        }
        (words.len() == items.len()).then_some(SecretSource::Command(words))
    }
}

/// Tells whether a text says where a secret is, and is none itself.
pub(super) fn begins_as_reference(text: &str) -> bool {
    ["env:", "file:", "command:"].iter().any(|prefix| text.starts_with(prefix))
}

fn mapping_help(entries: &[tree::Entry]) -> Option<String> {
    match entries {
        [entry] if entry.key == "key" && entry.value.is_null() => None,
        [entry] if matches!(entry.key.as_str(), "env" | "file") => {
            Some(format!("write it as one word, without a blank: {}:…", entry.key))
        }
        _ => Some(FORMS.to_owned()),
    }
}

fn plain_words(list: &Node) -> Option<Vec<String>> {
    let Value::List(items) = &list.value else { return None };
    let words: Option<Vec<String>> = items
        .iter()
        .map(|item| match &item.value {
            Value::Scalar { text, .. } if !item.is_null() => Some(text.clone()),
            Value::Scalar { .. } | Value::List(_) | Value::Map { .. } => None,
        })
        .collect();
    words.filter(|words| words.first().is_some_and(|program| !program.trim().is_empty()))
}

//! The release's version in its logs, and not that of an SDK, a protocol or another number.

use serde_json::Value;

use super::names;
use super::records::Field;

/// Whose versions are not the release's.
const OTHERS: &[&str] = &[
    "http",
    "https",
    "tls",
    "ssl",
    "python",
    "node",
    "nodejs",
    "openai",
    "asyncopenai",
    "azureopenai",
    "anthropic",
    "httpx",
    "httpcore",
    "urllib3",
    "requests",
    "aiohttp",
    "undici",
    "axios",
    "got",
    "uvicorn",
    "gunicorn",
    "hypercorn",
    "express",
    "fastify",
    "starlette",
    "fastapi",
    "flask",
    "django",
    "pydantic",
    "litellm",
    "langchain",
    "reqwest",
    "hyper",
    "go",
    "rust",
    "rustc",
    "java",
    "jvm",
    "linux",
    "darwin",
    "windows",
    "kernel",
    "curl",
    "nginx",
    "envoy",
    "haproxy",
    "caddy",
    "gpt",
    "claude",
    "gemini",
    "stainless",
    "sdk",
    "runtime",
    "package",
    "library",
    "lib",
    "protocol",
    "schema",
    "api",
    "model",
    "client",
    "telemetry",
    "otel",
    "opentelemetry",
    "logger",
    "format",
    "pino",
    "winston",
    "bunyan",
    "deno",
    "bun",
    "v8",
    "npm",
    "pip",
];

/// Names behind which a version stands that is not telling by itself.
const ANNOUNCE: &[&str] = &[
    "version",
    "release",
    "ver",
    "rev",
    "revision",
    "build",
    "commit",
    "sha",
    "tag",
    "image",
    "deploy",
    "deployment",
    "v",
];

/// What follows a version that is an earlier one.
const NOT_YET: &[&str] =
    &["rc", "alpha", "beta", "dev", "pre", "preview", "snapshot", "nightly", "canary"];

/// Tells whether a value is the version, or names it among others: `support-bot@2.4.0`.
pub(super) fn is_value(value: &Value, version: &str) -> bool {
    let text = names::text_of(value);
    !version.is_empty()
        && (text == version
            || places(&text, version).next().is_some()
            || is_short_hash(&text, version))
}

/// Tells whether a field says the version.
pub(super) fn in_field(field: &Field, version: &str) -> bool {
    let mut words = names::words(&field.path).collect::<Vec<_>>();
    if words.iter().any(|word| OTHERS.contains(&word.as_str())) {
        return false;
    }
    let name = words.pop().unwrap_or_default();
    let is_announced = ANNOUNCE.contains(&name.as_str())
        || ["version", "release"].iter().any(|end| name.ends_with(end))
        || names::either(&field.path, |name| matches!(name, "gitsha" | "gitcommit" | "imagetag"));
    if is_announced {
        return is_value(&field.value, version)
            && !is_of_other(&names::text_of(&field.value), version);
    }
    // Under another name, only a word with a version in it that is no other thing's: `service: support-bot@2.4.0`.
    let text = names::text_of(&field.value);
    is_telling(version) && !text.contains(char::is_whitespace) && in_text(&text, version)
}

/// Tells whether a text for people says the version.
pub(super) fn in_text(text: &str, version: &str) -> bool {
    places(text, version).any(|at| {
        let before = text.get(..at).unwrap_or("");
        let mut words = before
            .rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
            .filter(|word| !word.is_empty() && !matches!(*word, "v" | "V"))
            .map(str::to_ascii_lowercase);
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is_announced = ANNOUNCE.contains(&first.as_str());
        let whose = if is_announced { &second } else { &first };
        let is_others = OTHERS.contains(&whose.as_str())
            // `x-stainless-package-version: 2.4.0`, `openai_version=2.4.0`, `OpenAI/Python 2.4.0`.
            || (OTHERS.contains(&second.as_str()) && before.trim_end_matches(['"', '\'', ' ']).ends_with([':', '=']))
            || OTHERS.contains(&first.as_str());
        !is_others && (is_announced || is_telling(version) || before.ends_with('v') )
    })
}

/// Tells whether a value names the version only as that of something else: `openai-2.4.0`.
fn is_of_other(text: &str, version: &str) -> bool {
    text.len() > version.len() + 1
        && !in_text(&format!("version={text}"), version)
        && !is_short_hash(text, version)
}

/// Returns where the version stands and is not a part of a longer number or word, or an earlier version of it.
fn places<'t>(text: &'t str, version: &'t str) -> impl Iterator<Item = usize> {
    let version = if version.is_empty() { "\0" } else { version };
    text.match_indices(version).map(|(at, _)| at).filter(move |&at| {
        let head = text.get(..at).unwrap_or("");
        let head = head.strip_suffix(['v', 'V']).unwrap_or(head);
        let is_open_before = head
            .chars()
            .next_back()
            .is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '.' | '_')));
        let behind = text.get(at + version.len()..).unwrap_or("");
        let mut after = behind.chars();
        let is_open_behind = match after.next() {
            None => true,
            Some('.') => !after.next().is_some_and(char::is_alphanumeric),
            Some('-' | '~') => {
                let rest = after.as_str().to_ascii_lowercase();
                !NOT_YET.iter().any(|word| rest.starts_with(word))
            }
            Some(c) => !(c.is_alphanumeric() || c == '_'),
        };
        is_open_before && is_open_behind
    })
}

/// Tells whether the version is a short hash, and the value the long one.
fn is_short_hash(text: &str, version: &str) -> bool {
    let is_hash = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    version.len() >= 7
        && matches!(text.len(), 40 | 64)
        && is_hash(text)
        && is_hash(version)
        && text.starts_with(version)
}

/// Tells whether a version can be believed wherever it stands: `2.4.0`, `4f2a9c1`, not `3`, `1.0` or a date.
fn is_telling(version: &str) -> bool {
    const LEN_MIN: usize = 5;
    let n_dots = version.matches('.').count();
    let has_letter = version.chars().skip(1).any(char::is_alphabetic);
    let digits = version.chars().filter(char::is_ascii_digit).count();
    let is_date =
        digits == 8 && (version.starts_with("20") || version.starts_with("19")) && !has_letter;
    version.len() >= LEN_MIN && digits > 0 && !is_date && (n_dots >= 2 || has_letter)
}

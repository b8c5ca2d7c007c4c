//! Manifests: lints inherited, and dependencies between our crates that point down only.

use super::TextFile;

/// What each crate may depend on: the picture in docs/ARCHITECTURE.md. A line more here is a change of design.
const DOWN: [(&str, &[&str]); 12] = [
    ("contract", &[]),
    ("judge", &["contract"]),
    ("evidence", &["contract", "judge"]),
    ("drill", &["contract", "judge", "evidence"]),
    ("tap", &["contract", "judge", "evidence", "drill"]),
    ("release", &["contract", "judge", "evidence", "drill"]),
    ("route", &["contract", "judge", "evidence", "drill"]),
    ("server", &["contract", "judge", "evidence", "drill"]),
    ("provider", &["contract"]),
    (
        "cli",
        &[
            "contract", "judge", "evidence", "drill", "tap", "release", "route", "server",
            "provider",
        ],
    ),
    ("testkit", &[]),
    ("support-bot", &[]),
];
/// What tests may use besides.
const FOR_TESTS: [&str; 2] = ["testkit", "provider"];

pub(super) fn check(files: &[TextFile], problems: &mut Vec<String>) {
    for TextFile { path, text } in files.iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        let manifest = Manifest::read(text);
        // Fuzz targets and comparisons are workspaces of their own, so that what they need is in no build of ours.
        if manifest.is_own_workspace {
            continue;
        }
        if !manifest.inherits_lints {
            problems.push(format!("{path}: lacks `[lints] workspace = true`"));
        }
        let allowed = DOWN.iter().find(|(name, _)| *name == manifest.name);
        let (ours, allowed) = match allowed {
            Some((_, allowed)) => (manifest.dependencies, *allowed),
            None if manifest.name == "xtask" => continue,
            None => {
                let name = manifest.name;
                problems
                    .push(format!("{path}: where does `{name}` stand? Add it to xtask's picture"));
                continue;
            }
        };
        for Dependency { name, for_tests } in ours {
            let is_ours = DOWN.iter().any(|(crate_name, _)| *crate_name == name);
            let excused = for_tests && FOR_TESTS.contains(&name);
            if is_ours && !allowed.contains(&name) && !excused {
                let crate_name = manifest.name;
                problems.push(format!("{path}: `{crate_name}` must not depend on `{name}`"));
            }
        }
    }
}

/// What we read of a manifest; a full parser would be a dependency for ten lines of use.
#[derive(Debug, Default)]
struct Manifest<'t> {
    name: &'t str,
    inherits_lints: bool,
    is_own_workspace: bool,
    dependencies: Vec<Dependency<'t>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Dependency<'t> {
    name: &'t str,
    for_tests: bool,
}

impl<'t> Manifest<'t> {
    fn read(text: &'t str) -> Self {
        let mut manifest = Self::default();
        let mut section = "";
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                section = line.trim_matches(['[', ']']);
                manifest.is_own_workspace |= section == "workspace";
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let key = key.trim();
            match section {
                "package" if key == "name" => manifest.name = value.trim().trim_matches('"'),
                "lints" if key == "workspace" => manifest.inherits_lints = value.trim() == "true",
                "dependencies" | "build-dependencies" | "dev-dependencies" => {
                    let name = key.split('.').next().unwrap_or(key);
                    let for_tests = section == "dev-dependencies";
                    manifest.dependencies.push(Dependency { name, for_tests });
                }
                _ => {}
            }
        }
        manifest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_manifest(body: &str, expected: &[&str]) {
        let file = TextFile { path: "crates/judge/Cargo.toml".to_owned(), text: body.to_owned() };
        let mut problems = Vec::new();
        check(&[file], &mut problems);
        assert_eq!(problems, expected);
    }

    #[test]
    fn a_line_upward_is_found() {
        let start = "[package]\nname = \"judge\"\n[lints]\nworkspace = true\n";
        check_manifest(&format!("{start}[dependencies]\ncontract.workspace = true\n"), &[]);
        let upward = "crates/judge/Cargo.toml: `judge` must not depend on `drill`";
        check_manifest(&format!("{start}[dependencies]\ndrill.workspace = true\n"), &[upward]);
        check_manifest(
            &format!("{start}[dependencies]\ndrill = {{ workspace = true }}\n"),
            &[upward],
        );
        check_manifest(&format!("{start}[dev-dependencies]\ntestkit.workspace = true\n"), &[]);
        let real = "crates/judge/Cargo.toml: `judge` must not depend on `testkit`";
        check_manifest(&format!("{start}[dependencies]\ntestkit.workspace = true\n"), &[real]);
    }

    #[test]
    fn lints_that_are_not_inherited_are_found() {
        let lacks = "crates/judge/Cargo.toml: lacks `[lints] workspace = true`";
        check_manifest("[package]\nname = \"judge\"\n", &[lacks]);
    }

    #[test]
    fn an_unknown_crate_has_to_be_placed() {
        let asks = "crates/judge/Cargo.toml: where does `misc` stand? Add it to xtask's picture";
        check_manifest("[package]\nname = \"misc\"\n[lints]\nworkspace = true\n", &[asks]);
    }
}

//! The configuration as a whole: DESIGN's example, and what is said of configurations with problems.

use super::*;

/// DESIGN.md's example, word for word.
pub(crate) const EXAMPLE: &str = include_str!("tests/example.yaml");

fn environment() -> Environment {
    Environment::from_iter([("SUPPORT_MODEL", "gpt-5.4-mini"), ("HOME", "/home/someone")])
}

fn example_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("releases/2.4.0")).expect("a folder in it");
    folder
}

#[test]
fn the_example_loads() {
    let folder = example_folder();
    let path = folder.path().join(FILE_NAME);
    std::fs::write(&path, EXAMPLE).expect("a file");
    let loaded =
        load_with_warnings(&path, &environment()).unwrap_or_else(|errors| panic!("{errors}"));
    let settings = loaded.settings;
    assert_eq!(settings.service, "support-bot");
}

//! The layering rules, the size limit and the naming habits, as a test.
//!
//! Invariant: arrows point inwards. Every `use` and every path in `src` is read as tokens, resolved
//! against the module that it stands in, and compared with the table of rooms in `rules.rs`.
//! Invariant: the checker can fail; `planted.rs` shows it violations and demands an answer.
//! A search of the text would be shorter, but comments, strings and `super::super` would fool it.

mod planted;
mod rules;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder as (path relative to the root, content), in order.
fn rust_files(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(root())
                    .expect("it is below the root")
                    .to_string_lossy()
                    .into_owned();
                found.push((name, std::fs::read_to_string(&path).expect("source is text")));
            }
        }
    }
    found.sort();
    found
}

/// Crates under `[dependencies]`, as they are written in code.
fn dependencies(manifest: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().expect("a manifest");
    let mut names: Vec<String> = manifest["dependencies"]
        .as_table()
        .expect("a table")
        .keys()
        .map(|name| name.replace('-', "_"))
        .collect();
    names.sort();
    names
}

/// Macros that are exported at the crate's root, with the room that they come from.
fn macros(files: &[(String, String)]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (path, source) in files {
        for part in source.split("#[macro_export]").skip(1) {
            let name = part.split("macro_rules!").nth(1).and_then(|rest| {
                rest.split(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .find(|word| !word.is_empty())
            });
            let room = path.split('/').nth(1).unwrap_or_default();
            found.extend(name.map(|name| (name.to_owned(), room.to_owned())));
        }
    }
    found
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn arrows_point_inwards() {
    let files = rust_files("src");
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let dependencies = dependencies(&manifest);
    let macros = macros(&files);
    assert!(dependencies.contains(&"tokio_util".to_owned()), "{dependencies:?}");
    assert_eq!(macros.get("closed_enum").map(String::as_str), Some("domain"));
    let mut wrong = Vec::new();
    for room in rules::ROOMS {
        let inside = format!("src/{room}/");
        let of_room: Vec<_> = files.iter().filter(|(path, _)| path.starts_with(&inside)).collect();
        assert!(!of_room.is_empty(), "no file in {inside}");
        for (path, source) in of_room {
            wrong.extend(rules::layers(path, source, &dependencies, &macros));
        }
    }
    assert_none(&wrong);
}

#[test]
fn files_keep_the_habits_of_the_house() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        for (path, source) in rust_files(folder) {
            wrong.extend(rules::habits(&path, &source));
        }
    }
    assert_none(&wrong);
}

#[test]
fn every_folder_has_one_door() {
    let paths: Vec<PathBuf> = ["src", "tests", "benches", "examples"]
        .iter()
        .flat_map(|folder| rust_files(folder))
        .map(|(path, _)| PathBuf::from(path))
        .collect();
    assert_none(&rules::doubled_doors(&paths));
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let names: Vec<String> = match listed {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .split('\0')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        // A copy without its history: what was written by hand is still checked.
        _ => ["src", "tests", "benches", "examples"]
            .iter()
            .flat_map(|folder| rust_files(folder))
            .map(|(path, _)| path)
            .collect(),
    };
    assert!(names.len() > 30, "only {} files were found", names.len());
    let mut wrong = Vec::new();
    for name in names {
        // A file may be gone again, or be an image: neither has text to check.
        if let Ok(text) = std::fs::read_to_string(root().join(&name)) {
            wrong.extend(rules::machine_paths(&name, &text));
        }
    }
    assert_none(&wrong);
}

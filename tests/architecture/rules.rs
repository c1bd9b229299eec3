//! The rules: which room may name what, how things are called, where `cfg(feature)` stands.
//!
//! Invariant: there is no list of exceptions. Test code (`#[cfg(test)]`, `tests.rs`) has the few
//! liberties of `allowed_in_tests`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::source::{Named, Reader, Token, tokens};

pub(crate) const ROOMS: [&str; 5] =
    ["domain", "application", "infrastructure", "presentation", "composition"];
const MAX_LINES: usize = 500;
/// What a room never names of the standard library: those belong to adapters. Addresses are values, what
/// is done with them is not.
const OUTSIDE_WORLD: [&str; 12] = [
    "std::fs",
    "std::io",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::env",
    "std::process",
    "std::os",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];
/// Words that say nothing about what a type is.
const EMPTY_WORDS: [&str; 7] =
    ["Manager", "Helper", "Helpers", "Util", "Utils", "Impl", "Industrial"];

/// What one room may name.
struct Room {
    rooms: &'static [&'static str],
    /// `Some`: only these paths of dependencies. `None`: all but `never`.
    only: Option<&'static [&'static str]>,
    never: &'static [&'static str],
    is_pure: bool,
}

fn room(name: &str) -> Room {
    let infrastructure_only: &[&str] = &["redb", "sqlx", "redis"];
    match name {
        "domain" => Room {
            rooms: &["domain"],
            only: Some(&[
                "serde",
                "serde_json",
                "sha2",
                "uuid",
                "chrono",
                "ipnet",
                "petgraph",
                "semver",
                "thiserror",
                "regex",
                "aho_corasick",
            ]),
            never: &OUTSIDE_WORLD,
            is_pure: true,
        },
        "application" => Room {
            rooms: &["domain", "application"],
            only: Some(&[
                "async_trait",
                "futures_util",
                "tokio::sync",
                "tokio::select",
                "tokio::join",
                "tokio::try_join",
                "tokio::pin",
                "tokio_util",
                "uuid",
                "serde",
                "serde_json",
                "thiserror",
                "tracing",
            ]),
            never: &OUTSIDE_WORLD,
            is_pure: false,
        },
        "infrastructure" => Room {
            rooms: &["domain", "application", "infrastructure"],
            only: None,
            never: &["axum", "clap", "utoipa", "utoipa_axum"],
            is_pure: false,
        },
        "presentation" => Room {
            rooms: &["domain", "application", "presentation"],
            only: None,
            never: infrastructure_only,
            is_pure: false,
        },
        _ => Room { rooms: &ROOMS, only: None, never: &[], is_pure: false },
    }
}

/// What test code may name beyond its room: tools of tests (a runtime, files and how they are spelled,
/// the length of a run), and for use cases the real stores.
fn allowed_in_tests(room: &str, path: &str) -> bool {
    ["tokio", "std::env", "std::fs", "toml"].iter().any(|tool| starts_with_path(path, tool))
        || (room == "application" && starts_with_path(path, "crate::infrastructure"))
}

fn starts_with_path(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// `src/application/ports/store.rs` → `application`, `ports`, `store`.
fn module_of(path: &str) -> Vec<String> {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    inner.split('/').map(str::to_owned).collect()
}

/// Everything that one source file of a room does against the table.
pub(crate) fn layers(
    path: &str,
    source: &str,
    dependencies: &[String],
    macros: &BTreeMap<String, String>,
) -> Vec<String> {
    let module = module_of(path);
    let home = module[0].clone();
    let room = room(&home);
    let tokens = tokens(source);
    let is_test_file = path.ends_with("/tests.rs") || path.contains("/tests/");
    let reader = Reader { tokens: &tokens, module, dependencies, found: Vec::new() };
    let mut wrong = Vec::new();
    for Named { path: named, line, in_test } in reader.read(is_test_file) {
        let inner = named.strip_prefix("crate::").map(|inner| {
            let first = inner.split("::").next().unwrap_or_default();
            macros.get(first).map_or(first, String::as_str).to_owned()
        });
        let is_fine = match inner {
            Some(target) => room.rooms.contains(&target.as_str()),
            None if named == "crate" => true,
            None if room.never.iter().any(|never| starts_with_path(&named, never)) => false,
            None if named.starts_with("std") || named.starts_with("core") => true,
            None => room.only.is_none_or(|only| {
                // `use tokio::{self}` names the whole crate, which no narrower entry covers.
                only.iter().any(|allowed| starts_with_path(&named, allowed))
            }),
        };
        if !(is_fine || in_test && allowed_in_tests(&home, &named)) {
            wrong.push(format!("{path}:{line}: {home} may not name {named}"));
        }
    }
    if room.is_pure {
        let asynchronous = tokens.iter().filter(|token| matches!(&*token.text, "async" | "await"));
        wrong.extend(asynchronous.map(|t| format!("{path}:{}: {home} is not async", t.line)));
        for call in [["Utc", "now"], ["Local", "now"], ["Uuid", "now_v7"], ["Uuid", "new_v4"]] {
            for window in tokens.windows(4).filter(|w| w[0].text == call[0] && w[3].text == call[1])
            {
                let line = window[0].line;
                wrong.push(format!("{path}:{line}: {home} has no clock and no chance"));
            }
        }
    }
    wrong
}

/// Names that say nothing, ways round the lints, and `cfg(feature)` where it may not stand.
pub(crate) fn habits(path: &str, source: &str) -> Vec<String> {
    let tokens = tokens(source);
    let text = |at: usize| tokens.get(at).map_or("", |token: &Token| token.text.as_str());
    let mut wrong = Vec::new();
    for (at, Token { text: word, line }) in tokens.iter().enumerate() {
        let mut report = |what: &str| wrong.push(format!("{path}:{line}: {what}"));
        let next = text(at + 1);
        match word.as_str() {
            "struct" | "enum" | "trait" | "type" | "union"
                if camel_words(next).iter().any(|word| EMPTY_WORDS.contains(&word.as_str())) =>
            {
                report(&format!("the name {next} says nothing"));
            }
            "print" | "println" | "eprint" | "eprintln" | "dbg" | "todo" | "unimplemented"
                if next == "!"
                    && !may_print(path, word)
                    && text(at.wrapping_sub(3)) != "anstream" =>
            {
                report(&format!("{word}! is not used here"));
            }
            "select"
                if next == "!"
                    && path.starts_with("src/application/")
                    && text(at + 3) != "biased" =>
            {
                report("select! is biased here: chance comes from the `Ids` port alone");
            }
            "allow" if next == "(" && matches!(text(at - 1), "[" | ",") => {
                report("suppress with #[expect(…, reason = …)]");
            }
            "ignore" if text(at - 1) == "[" => report("no test is left out"),
            "unsafe" => report("unsafe code is forbidden"),
            "cfg" | "cfg_attr" if path.starts_with("src/") && names_feature(&tokens[at..]) => {
                let close = tokens[at..].iter().position(|token| token.text == "]");
                let item = close.map_or(0, |close| at + close + 1);
                let item = if text(item) == "pub" { item + 1 } else { item };
                if path != "src/composition/mod.rs" && (next == "!" || text(item) != "mod") {
                    report("cfg(feature) stands on `mod` lines or in composition/mod.rs");
                }
            }
            _ => {}
        }
    }
    if path.starts_with("src/") && !source.starts_with("//!") && path != "src/main.rs" {
        wrong.push(format!("{path}:1: a file begins with `//!`: what it is, what stays true"));
    }
    let lines = source.lines().count();
    if lines > MAX_LINES {
        wrong.push(format!("{path}: {lines} lines; the limit is {MAX_LINES}"));
    }
    wrong
}

/// A test's runner shows what it prints; nobody but the command line speaks for the product.
fn may_print(path: &str, word: &str) -> bool {
    !path.starts_with("src/") && matches!(word, "print" | "println" | "eprint" | "eprintln")
}

fn names_feature(from: &[Token]) -> bool {
    let mut depth = 0_i32;
    for token in &from[1..] {
        match token.text.as_str() {
            "(" => depth += 1,
            ")" if depth == 1 => return false,
            ")" => depth -= 1,
            "feature" => return depth > 0,
            "!" => {}
            _ if depth == 0 => return false,
            _ => {}
        }
    }
    false
}

fn camel_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    words
}

/// `name.rs` beside `name/`: a room has one door, `mod.rs`.
pub(crate) fn doubled_doors(paths: &[PathBuf]) -> Vec<String> {
    let folders: BTreeSet<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
    let doubled = paths.iter().filter(|path| folders.contains(path.with_extension("").as_path()));
    doubled.map(|path| format!("{}: stands beside a folder of its name", path.display())).collect()
}

/// Folders that exist on one machine only. Assembled here, so that this file does not contain them.
pub(crate) fn machine_paths(path: &str, text: &str) -> Vec<String> {
    let folders = ["work", "farm", "tmp/h", "root", "Users"].map(|name| format!("/{name}/"));
    let begins = |before: &str| {
        before.chars().next_back().is_none_or(|c| c.is_whitespace() || "\"'`=(:,[<".contains(c))
    };
    let mut wrong = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for folder in &folders {
            if line.match_indices(folder.as_str()).any(|(at, _)| begins(&line[..at])) {
                wrong.push(format!("{path}:{}: names {folder}", number + 1));
            }
        }
    }
    wrong
}

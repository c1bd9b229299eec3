//! Violations planted on purpose: each must be found, and their harmless neighbours must not.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::rules::{doubled_doors, habits, layers, machine_paths};

fn wrong_arrows(path: &str, source: &str) -> Vec<String> {
    let dependencies =
        ["axum", "redb", "serde", "serde_json", "sha2", "tokio", "tracing", "uuid", "bytes"]
            .map(str::to_owned);
    let macros = BTreeMap::from([("closed_enum".to_owned(), "domain".to_owned())]);
    layers(path, source, &dependencies, &macros)
}

fn assert_refused(path: &str, source: &str, names: &str) {
    let wrong = wrong_arrows(path, source);
    assert!(wrong.iter().any(|line| line.contains(names)), "{source:?} in {path} gave {wrong:?}");
}

#[test]
fn outward_arrows_are_found_however_they_are_written() {
    let domain = "src/domain/session/mod.rs";
    let service = "src/application/session/create.rs";
    for (path, source, names) in [
        (domain, "use crate::application::error::AppError;", "crate::application"),
        (domain, "use crate::{domain::ids, infrastructure::clock as c};", "crate::infrastructure"),
        (domain, "use super::super::application::ports;", "crate::application::ports"),
        (domain, "fn f() { crate::composition::start() }", "crate::composition"),
        (domain, "fn f() { $crate::presentation::api() }", "crate::presentation"),
        (domain, "fn f() -> super::super::presentation::X { g() }", "crate::presentation"),
        (domain, "mod inner { use super::super::super::infrastructure::X; }", "infrastructure"),
        (domain, "fn f(x: Vec<::tokio::sync::Mutex<u8>>) {}", "tokio::sync::Mutex"),
        (domain, "#[tracing::instrument] fn f() {}", "tracing::instrument"),
        (domain, "extern crate axum;", "axum"),
        (domain, "use std::{fs, fmt};", "std::fs"),
        (domain, "let now = std::time::Instant::now();", "std::time::Instant"),
        (domain, "use std::time::{Duration, SystemTime};", "std::time::SystemTime"),
        (domain, "async fn f() {}", "not async"),
        (domain, "let at = Utc::now();", "no clock"),
        (domain, "let id = Uuid::now_v7();", "no clock"),
        (service, "use axum::{Json, http::StatusCode};", "axum::Json"),
        (service, "use crate::infrastructure::storage::redb::RedbStore;", "crate::infrastructure"),
        (service, "tokio::time::sleep(d).await;", "tokio::time::sleep"),
        (service, "use tokio::{select, sync::mpsc, net::TcpStream};", "tokio::net::TcpStream"),
        (service, "use tokio;", "may not name tokio"),
        (service, "use redb as store;", "redb"),
        ("src/infrastructure/clock.rs", "use crate::presentation::api::Problem;", "presentation"),
        ("src/infrastructure/clock.rs", "use axum::Router;", "axum::Router"),
        ("src/presentation/api/mod.rs", "use redb::Database;", "redb::Database"),
        ("src/presentation/api/mod.rs", "use crate::infrastructure::ids;", "infrastructure"),
        ("src/presentation/api/mod.rs", "use crate::composition::Settings;", "composition"),
        // Behind literals and comments that could hide the rest of the file.
        (domain, "const Q: char = '\"'; use axum::Json;", "axum::Json"),
        (domain, "const R: &str = r#\"a\"b\"#; use axum::Json;", "axum::Json"),
        (domain, "/* a /* b */ c */ use axum::Json;", "axum::Json"),
        (domain, "fn f<'a>(x: &'a str) -> &'a str { axum::f(x) }", "axum::f"),
    ] {
        assert_refused(path, source, names);
    }
}

#[test]
fn inward_arrows_pass() {
    let domain = "src/domain/session/mod.rs";
    let service = "src/application/session/create.rs";
    for (path, source) in [
        (domain, "use serde_json::{Map, Value};\nuse super::ids::TenantId;"),
        (domain, "use crate::closed_enum;\nuse std::fmt::Display;\nuse std::time::Duration;"),
        (domain, "// use axum::Json;\n/* use redb::Database; */\nconst A: &str = \"axum::Json\";"),
        (domain, "let tokio = 1; let x = tokio + 1; self.redb.get();"),
        (domain, "#[cfg(test)]\nmod tests { use super::*; use tokio::time; }"),
        (domain, "mod inner { use super::super::ids; }"),
        (domain, "#[cfg(test)] mod tests { fn f() { std::env::var_os(\"DEEP\"); } }"),
        (service, "use tokio::sync::{mpsc, oneshot};\nasync fn f() { tokio::select! {} }"),
        (service, "#[cfg(test)] mod tests { use crate::infrastructure::ids::SystemIds; }"),
        ("src/application/session/tests.rs", "use crate::infrastructure::ids::SystemIds;"),
        ("src/infrastructure/storage/redb/mod.rs", "use redb::Database; use bytes::Bytes;"),
        ("src/presentation/api/mod.rs", "use axum::Json; use crate::application::error::AppError;"),
        ("src/composition/mod.rs", "use crate::presentation::api; use redb::Database;"),
    ] {
        let wrong = wrong_arrows(path, source);
        assert!(wrong.is_empty(), "{source:?} in {path} gave {wrong:?}");
    }
}

#[test]
fn liberties_of_tests_end_with_the_test_code() {
    let service = "src/application/session/create.rs";
    let around = "#[cfg(test)] mod tests { fn f() {} }\nuse crate::infrastructure::ids::SystemIds;";
    assert_refused(service, around, "crate::infrastructure");
    let single = "#[cfg(test)] use tokio::time; use tokio::net::TcpStream;";
    assert_eq!(wrong_arrows(service, single).len(), 1);
    assert_refused("src/domain/session/tests.rs", "use crate::infrastructure::ids;", "domain may");
}

#[test]
fn broken_habits_are_found() {
    let path = "src/application/session/create.rs";
    for (source, says) in [
        ("pub struct SessionManager;", "SessionManager says nothing"),
        ("trait StringUtil {}", "StringUtil says nothing"),
        ("enum IndustrialMode { A }", "IndustrialMode says nothing"),
        ("type StoreImpl = u8;", "StoreImpl says nothing"),
        ("fn f() { println!(\"x\") }", "println! is not used"),
        ("fn f() { std::eprint!(\"x\") }", "eprint! is not used"),
        ("fn f() { todo!() }", "todo! is not used"),
        ("async fn f() { tokio::select! { a = b => {} } }", "select! is biased"),
        ("#[allow(dead_code)] fn f() {}", "#[expect("),
        ("#![allow(dead_code)]", "#[expect("),
        ("#[cfg_attr(x, allow(dead_code))] fn f() {}", "#[expect("),
        ("#[test] #[ignore] fn f() {}", "no test is left out"),
        ("#[ignore = \"slow\"] fn f() {}", "no test is left out"),
        ("unsafe fn f() {}", "unsafe code"),
        ("#[cfg(feature = \"x\")] fn f() {}", "cfg(feature)"),
        ("#[cfg(all(unix, not(feature = \"x\")))] use a::b;", "cfg(feature)"),
        ("fn f() { if cfg!(feature = \"x\") {} }", "cfg(feature)"),
        ("use std::fmt;", "a file begins with"),
    ] {
        let wrong = habits(path, source);
        assert!(wrong.iter().any(|line| line.contains(says)), "{source:?} gave {wrong:?}");
    }
    let long = format!("//! Long.\n{}", "\n".repeat(500));
    assert!(habits(path, &long)[0].contains("501 lines"), "{:?}", habits(path, &long));
}

#[test]
fn good_habits_pass() {
    let path = "src/application/session/create.rs";
    for source in [
        "//! A.\nstruct Implementation; struct Utilization; struct Managed;",
        "//! A.\n#[expect(dead_code, reason = \"b\")] fn allow(ignore: u8) { f(\"println!\") }",
        "//! A.\nfn f() { anstream::println!(\"x\") }",
        "//! A.\nasync fn f() { tokio::select! { biased; a = b => {} } }",
        "//! A.\n#[cfg(feature = \"x\")]\npub mod a;\n#[cfg(feature = \"y\")] mod b;",
        "//! A.\n#[cfg(test)] mod tests { struct Feature; }",
    ] {
        assert_eq!(habits(path, source), Vec::<String>::new(), "{source:?}");
    }
    let prints = "//! A.\nfn f() { eprintln!(\"seed 1\") }";
    assert_eq!(habits("tests/it/main.rs", prints), Vec::<String>::new());
    assert_eq!(habits("tests/it/main.rs", "//! A.\nfn f() { todo!() }").len(), 1);
    let gated = "//! A.\n#[cfg(feature = \"x\")] fn f() {}";
    assert_eq!(habits("src/composition/mod.rs", gated), Vec::<String>::new());
    let full = format!("//! Long.\n{}", "\n".repeat(499));
    assert_eq!(habits(path, &full), Vec::<String>::new());
}

#[test]
fn doubled_doors_and_folders_of_one_machine_are_found() {
    let paths = ["src/a/mod.rs", "src/a.rs", "src/b/c.rs", "src/d.rs"].map(PathBuf::from);
    assert_eq!(doubled_doors(&paths).len(), 1, "{:?}", doubled_doors(&paths));
    let folder = ["", "work", ""].join("/");
    let planted = format!("cd {folder}x\nsee http://host{folder}x and $HOME{folder}\n");
    assert_eq!(machine_paths("notes.md", &planted), [format!("notes.md:1: names {folder}")]);
}

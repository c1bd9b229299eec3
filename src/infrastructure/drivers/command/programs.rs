//! Programs on this machine: where they lie, and what version they say they are.
//!
//! Invariant: nothing is found by way of the folder that a session works in: a program has an absolute path.
//! Invariant: a program whose file did not change is not asked again.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{Access, access};

use crate::domain::time::Timestamp;

/// Programs that are remembered.
const KEPT: usize = 256;
/// A program that could not say its version is asked again after so long: what it lacked may be there.
const ASKED_AGAIN: Duration = Duration::from_mins(5);
/// Longest version that is told.
const VERSION_CHARS: usize = 50;

/// Finds a program: by its absolute path, or by its name in the folders of `PATH`.
///
/// # Errors
/// Why it is not found, in words for people.
pub(super) fn find(name: &str, folders: &str) -> Result<PathBuf, String> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        return match runnable(&path) {
            _ if !path.is_absolute() => {
                Err(format!("`{name}` must be the name of a program on PATH, or an absolute path"))
            }
            true => Ok(path),
            false if path.exists() => Err(format!("{name} is not a program that may be run")),
            false => Err(format!("{name} is not there")),
        };
    }
    if name.is_empty() {
        return Err("the command names no program".to_owned());
    }
    let places = std::env::split_paths(folders).filter(|folder| folder.is_absolute());
    let mut found = places.map(|folder| folder.join(name)).filter(|path| runnable(path));
    found.next().ok_or_else(|| format!("{name} is not installed: it is not on PATH"))
}

fn runnable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// What a program is asked with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct AskedWith {
    pub(super) arguments: Vec<String>,
    /// Sum of its environment: what one agent sets makes no answer for another.
    pub(super) variables: String,
}

/// A file as it is now, and what it is asked with: when one of these changes, so may the version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    path: PathBuf,
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
    asked_with: AskedWith,
}

impl Identity {
    /// Of a program that is asked with this.
    pub(super) fn of(path: &Path, asked_with: AskedWith) -> std::io::Result<Self> {
        let about = std::fs::metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            device: about.dev(),
            inode: about.ino(),
            bytes: about.len(),
            changed: (about.mtime(), about.mtime_nsec()),
            asked_with,
        })
    }
}

type Answer = Result<String, String>;

/// What programs said.
#[derive(Debug, Default)]
pub(super) struct Versions(Mutex<HashMap<Identity, (Timestamp, Answer)>>);

impl Versions {
    /// What this program said, unless it has to be asked.
    pub(super) fn known(&self, program: &Identity, now: Timestamp) -> Option<Answer> {
        let known = self.lock();
        let (at, answer) = known.get(program)?;
        let holds = answer.is_ok() || now.since(*at) < ASKED_AGAIN;
        holds.then(|| answer.clone())
    }

    pub(super) fn said(&self, program: Identity, now: Timestamp, answer: Answer) {
        let mut known = self.lock();
        known.retain(|other, _| {
            other.path != program.path || other.asked_with != program.asked_with
        });
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(program, (now, answer));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Identity, (Timestamp, Answer)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The version in what a program printed: the first word that is one, else its first line.
pub(super) fn version_in(printed: &str) -> Option<String> {
    let first = printed.lines().map(str::trim).find(|line| !line.is_empty())?;
    let is_version = |word: &&str| {
        word.starts_with(|letter: char| letter.is_ascii_digit()) && word.contains('.')
    };
    let mut words = first.split([' ', '\t', '/', '@', ',', '(', ')']);
    let found = words.by_ref().map(|word| word.strip_prefix('v').unwrap_or(word)).find(is_version);
    Some(found.unwrap_or(first).chars().take(VERSION_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn program(path: &Path, mode: u32) {
        std::fs::write(path, "#!/bin/sh\n").expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("allowed");
    }

    #[test]
    fn a_program_is_found_on_path_or_by_its_absolute_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        for folder in [&one, &two] {
            std::fs::create_dir(folder).expect("made");
        }
        program(&one.join("agent"), 0o644);
        program(&two.join("agent"), 0o755);
        std::fs::create_dir(one.join("folder")).expect("made");
        let folders = format!("relative:{}::{}", one.display(), two.display());
        assert_eq!(find("agent", &folders), Ok(two.join("agent")), "the first that may be run");
        let absolute = two.join("agent").display().to_string();
        assert_eq!(find(&absolute, ""), Ok(two.join("agent")));
        for (name, says) in [
            ("folder", "not installed"),
            ("none", "not installed"),
            ("./agent", "absolute path"),
            ("two/agent", "absolute path"),
            ("", "no program"),
            ("/nonexistent/agent", "is not there"),
        ] {
            let told = find(name, &folders).expect_err("not found");
            assert!(told.contains(says), "{name}: {told}");
        }
        let locked = one.join("agent").display().to_string();
        assert!(find(&locked, "").expect_err("refused").contains("may be run"));
    }

    #[test]
    fn versions_are_found_in_what_programs_print() {
        for (printed, version) in [
            ("2.1.197 (Claude Code)\n", "2.1.197"),
            ("codex-cli 0.169.0", "0.169.0"),
            ("\n aider 0.86.2\nmore 9.9", "0.86.2"),
            ("tool v1.2.3-beta+4, made in 2026", "1.2.3-beta+4"),
            ("pkg@3.1", "3.1"),
            ("nightly build", "nightly build"),
        ] {
            assert_eq!(version_in(printed).as_deref(), Some(version), "{printed}");
        }
        assert_eq!(version_in(" \n"), None);
        assert_eq!(version_in(&"x".repeat(999)).map(|text| text.len()), Some(VERSION_CHARS));
    }

    #[test]
    fn a_file_that_did_not_change_is_not_asked_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent");
        program(&path, 0o755);
        let asked = |variables: &str| AskedWith {
            arguments: vec!["--version".to_owned()],
            variables: variables.to_owned(),
        };
        let identity = || Identity::of(&path, asked("x")).expect("there");
        let versions = Versions::default();
        let (now, later) = (Timestamp::from_millis(0), Timestamp::from_millis(300_000));
        assert_eq!(versions.known(&identity(), now), None);
        versions.said(identity(), now, Ok("1.0".to_owned()));
        assert_eq!(versions.known(&identity(), later), Some(Ok("1.0".to_owned())));
        let other = Identity::of(&path, asked("y")).expect("there");
        assert_eq!(versions.known(&other, now), None, "another environment, another answer");
        std::fs::write(&path, "#!/bin/sh\n# newer\n").expect("written");
        assert_eq!(versions.known(&identity(), later), None, "it is another file now");
        versions.said(identity(), now, Err("no node".to_owned()));
        assert!(versions.known(&identity(), now).is_some_and(|answer| answer.is_err()));
        assert_eq!(versions.known(&identity(), later), None, "it is asked again some time");
        assert_eq!(versions.lock().len(), 1);
    }
}

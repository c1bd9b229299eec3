//! From what is hidden to what is granted: Landlock knows no exceptions, so "all but this" is spelt as
//! everything that lies beside the way to it.
//!
//! What follows of it: in the folders on the way themselves (`/`, `/home`, …) nothing can be made, removed
//! or renamed, their names can be listed, and what is put there later is not granted.
//!
//! Invariant: nothing is granted through a symbolic link: a rule is for the folder that it was made for.
//! Invariant: a hidden folder is granted by no rule, nor is any that it lies in.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode as Bits, OFlags, ResolveFlags, open, openat2};

use super::{Confines, Mode};

/// Devices that every program may use.
const DEVICES: [&str; 8] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
];

/// What may be done below a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    /// Folders may be listed.
    List,
    /// Files may be read and run.
    Read,
    /// Devices may be used.
    Device,
    /// Everything.
    Write,
}

/// What a program reaches.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    place: PathBuf,
    grant: Grant,
    /// Device and number: another folder of the same name is not what was granted.
    identity: (u64, u64),
}

impl Reach {
    pub(super) fn of(confines: &Confines) -> Self {
        let Confines { mode, hidden, own } = confines;
        let hidden: Vec<PathBuf> = hidden
            .iter()
            .map(|place| place.canonicalize().unwrap_or_else(|_| place.clone()))
            .collect();
        let mut reach = Self::default();
        reach.grant(Path::new("/"), Grant::List);
        let beside = if *mode == Mode::Strict { Grant::Read } else { Grant::Write };
        reach.grant_beside(Path::new("/"), beside, &hidden);
        if *mode == Mode::Strict {
            for device in DEVICES {
                reach.grant(Path::new(device), Grant::Device);
            }
            reach.grant(Path::new("/dev/shm"), Grant::Write);
        }
        for place in own {
            let Ok(place) = place.canonicalize() else { continue };
            let holds_hidden = hidden.iter().any(|hidden| hidden.starts_with(&place));
            if holds_hidden {
                reach.grant_beside(&place, Grant::Write, &hidden);
            } else {
                reach.grant(&place, Grant::Write);
            }
        }
        reach
    }

    /// Whether everything at this place may be changed, and everything that lies below it.
    #[must_use]
    pub fn covers(&self, place: &Path) -> bool {
        let is_meant = |rule: &&Rule| rule.grant == Grant::Write && place.starts_with(&rule.place);
        let is_still = |rule: &Rule| {
            std::fs::symlink_metadata(&rule.place)
                .is_ok_and(|about| (about.dev(), about.ino()) == rule.identity)
        };
        self.rules.iter().filter(is_meant).any(is_still)
    }

    /// The places, opened; what went away in the meantime is left out.
    pub(super) fn opened(&self) -> impl Iterator<Item = (File, Grant)> {
        self.rules.iter().filter_map(|rule| {
            let file = opened(&rule.place).ok()?;
            let about = file.metadata().ok()?;
            ((about.dev(), about.ino()) == rule.identity).then_some((file, rule.grant))
        })
    }

    /// Grants all that lies below a place, but nothing that is hidden.
    fn grant_beside(&mut self, place: &Path, grant: Grant, hidden: &[PathBuf]) {
        if hidden.iter().any(|hidden| place.starts_with(hidden)) {
            return;
        }
        if !hidden.iter().any(|hidden| hidden.starts_with(place)) {
            return self.grant(place, grant);
        }
        let listed = std::fs::read_dir(place).into_iter().flatten().flatten();
        let mut inner: BTreeSet<PathBuf> = listed.map(|entry| entry.path()).collect();
        // The way goes on, also where its folders may not be listed.
        let below = hidden.iter().filter_map(|hidden| hidden.strip_prefix(place).ok());
        inner.extend(below.filter_map(|rest| Some(place.join(rest.components().next()?))));
        for entry in inner {
            let is_link = std::fs::symlink_metadata(&entry).is_ok_and(|about| about.is_symlink());
            if !is_link {
                self.grant_beside(&entry, grant, hidden);
            }
        }
    }

    fn grant(&mut self, place: &Path, grant: Grant) {
        let Ok(about) = std::fs::symlink_metadata(place) else { return };
        if !about.is_symlink() {
            let identity = (about.dev(), about.ino());
            self.rules.push(Rule { place: place.to_owned(), grant, identity });
        }
    }
}

/// A place whose path has no symbolic link in it, for naming it and nothing else.
fn opened(place: &Path) -> io::Result<File> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match openat2(CWD, place, flags, Bits::empty(), ResolveFlags::NO_SYMLINKS) {
        Err(rustix::io::Errno::NOSYS) => Ok(open(place, flags, Bits::empty())?.into()),
        opened => Ok(opened?.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confines(mode: Mode, hidden: &Path, own: &[&Path]) -> Confines {
        let own = own.iter().map(|place| place.to_path_buf()).collect();
        Confines { mode, hidden: vec![hidden.to_owned()], own }
    }

    #[test]
    fn all_is_granted_but_what_is_hidden_and_what_lies_above_it() {
        let home = tempfile::tempdir().expect("a folder");
        let home = home.path().canonicalize().expect("there");
        let [data, beside, own] = ["data", "beside", "data/own"].map(|name| home.join(name));
        for folder in [&own, &beside] {
            std::fs::create_dir_all(folder).expect("made");
        }
        std::fs::write(data.join("key"), "x").expect("written");
        std::os::unix::fs::symlink(&data, home.join("link")).expect("a link");
        let reach = confines(Mode::Data, &data, &[&own]).reach();
        for (place, granted) in [
            (&beside, true),
            (&beside.join("new"), true),
            (&own.join("file"), true),
            (&data, false),
            (&data.join("key"), false),
            (&home, false),
            (&home.join("later"), false),
            (&home.join("link/key"), false),
        ] {
            assert_eq!(reach.covers(place), granted, "{}", place.display());
        }
        // Another folder of the same name is not the one that was granted.
        std::fs::rename(&beside, home.join("moved")).expect("moved");
        std::fs::create_dir(&beside).expect("made");
        assert!(!reach.covers(&beside));
    }

    #[test]
    fn strict_grants_writing_to_what_is_its_own_alone() {
        let home = tempfile::tempdir().expect("a folder");
        let home = home.path().canonicalize().expect("there");
        let [data, beside, own] = ["data", "beside", "own"].map(|name| home.join(name));
        for folder in [&data, &beside, &own] {
            std::fs::create_dir(folder).expect("made");
        }
        let reach = confines(Mode::Strict, &data, &[&own]).reach();
        assert!(reach.covers(&own) && !reach.covers(&beside) && !reach.covers(&data));
        assert!(reach.rules.iter().any(|rule| rule.place == beside && rule.grant == Grant::Read));
        // What holds what is hidden is granted without it.
        let reach = confines(Mode::Strict, &data, &[&home]).reach();
        assert!(reach.covers(&own) && reach.covers(&beside) && !reach.covers(&data));
    }
}

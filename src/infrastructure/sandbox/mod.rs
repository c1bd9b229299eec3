//! What a program that we start may reach of this machine's files, kept by the kernel (Landlock).
//!
//! The map: this file says what is wanted and spells it for the guard, which is another process; `ground`
//! turns it into rules for real folders; `enforce` puts the rules in force; `repository` finds what git
//! needs beside a worktree. Why it is made so: ADR 5.
//!
//! Invariant: what is hidden stays hidden from a program and everything that it starts, whatever user it
//! runs as, as long as it lives.
//! Invariant: a sandbox that was demanded and cannot be kept means that nothing is started.

mod enforce;
mod ground;
mod repository;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub use self::enforce::{Status, status};
pub use self::ground::Reach;
pub use self::repository::folders_of;
use crate::closed_enum;

closed_enum!(
    /// How much is kept from programs.
    Mode {
        Off = "off",
        Data = "data",
        Strict = "strict",
    }
);

/// What holds for every program that a server starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// How much is kept from them; `None` keeps nothing.
    pub mode: Option<Mode>,
    /// What none of them may read or write: the server's own folders and files.
    pub hidden: Vec<PathBuf>,
    /// What all of them may change, for `strict`.
    pub writable: Vec<PathBuf>,
}

/// What holds for one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confines {
    mode: Mode,
    hidden: Vec<PathBuf>,
    own: Vec<PathBuf>,
}

impl Sandbox {
    /// Whether anything is kept from programs.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.mode().is_some()
    }

    fn mode(&self) -> Option<Mode> {
        self.mode.filter(|mode| *mode != Mode::Off)
    }

    /// The confines of a program that works in these folders; `None` when there are none.
    #[must_use]
    pub fn around<'a>(&self, own: impl IntoIterator<Item = &'a Path>) -> Option<Confines> {
        let mode = self.mode()?;
        let own = own.into_iter().map(Path::to_owned).chain(self.writable.iter().cloned());
        Some(Confines { mode, hidden: self.hidden.clone(), own: own.collect() })
    }
}

impl Confines {
    /// The flags by which the guard is told.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let mut words = vec!["--sandbox".to_owned(), self.mode.as_str().to_owned()];
        for (flag, places) in [("--hide", &self.hidden), ("--own", &self.own)] {
            for place in places {
                words.extend([flag.to_owned(), place.to_string_lossy().into_owned()]);
            }
        }
        words
    }

    /// Confines of this mode that keep nothing yet.
    #[must_use]
    pub fn of(mode: &OsStr) -> Option<Self> {
        let mode = mode.to_str().and_then(Mode::parse).filter(|mode| *mode != Mode::Off)?;
        Some(Self { mode, hidden: Vec::new(), own: Vec::new() })
    }

    /// One more place that is hidden.
    pub fn hide(&mut self, place: &OsStr) {
        self.hidden.push(place.into());
    }

    /// One more place that is the program's own.
    pub fn own(&mut self, place: &OsStr) {
        self.own.push(place.into());
    }

    /// What the program will reach, as the folders lie now.
    #[must_use]
    pub fn reach(&self) -> Reach {
        Reach::of(self)
    }

    /// Confines this thread and whatever it starts from now on.
    ///
    /// # Errors
    /// Why not, in words for people; a kernel that cannot is one only for `strict`.
    pub fn enter(&self) -> Result<(), String> {
        let mode = self.mode;
        let kept = enforce::enforce(&self.reach());
        decided(
            mode,
            kept.map_err(|error| format!("the sandbox `{mode}` cannot be made: {error}"))?,
        )
    }
}

/// Whether a program may be started with what was kept from it.
fn decided(mode: Mode, status: Status) -> Result<(), String> {
    match (status, mode) {
        (Status::Landlock(_), _) | (Status::None(_), Mode::Data | Mode::Off) => Ok(()),
        (Status::None(reason), Mode::Strict) => Err(format!(
            "the sandbox `strict` cannot be kept here: {reason}; set agents.sandbox to `data` or `off`, or use a \
             kernel with Landlock"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_cannot_starts_nothing_that_is_strict() {
        let none = || Status::None("this kernel has no Landlock".to_owned());
        let refused = decided(Mode::Strict, none()).expect_err("refused");
        assert!(refused.contains("no Landlock") && refused.contains("agents.sandbox"), "{refused}");
        assert_eq!(decided(Mode::Data, none()), Ok(()));
        assert_eq!(decided(Mode::Strict, Status::Landlock("1".to_owned())), Ok(()));
        assert_eq!(none().to_string(), "none: this kernel has no Landlock");
    }

    #[test]
    fn what_the_guard_is_told_is_what_was_wanted() {
        let places = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let (hidden, writable) = (places(&["/d"]), places(&["/w"]));
        let sandbox = Sandbox { mode: Some(Mode::Strict), hidden, writable };
        let confines = sandbox.around([Path::new("/o")]).expect("it is on");
        let told = ["--sandbox", "strict", "--hide", "/d", "--own", "/o", "--own", "/w"];
        assert_eq!(confines.flags(), told);
        assert_eq!(Sandbox { mode: Some(Mode::Off), ..sandbox }.around([]), None);
        assert_eq!(Confines::of(OsStr::new("off")), None);
    }
}

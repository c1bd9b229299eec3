//! Landlock itself.
//!
//! Invariant: only the calling thread is confined, and whatever it starts: nobody else is.

use std::fmt;

use landlock::{
    ABI, Access, AccessFs, BitFlags, LandlockStatus, PathBeneath, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::ground::{Grant, Reach};

/// The newest set of rights that was tried; a kernel that knows fewer keeps those that it knows.
const RIGHTS: ABI = ABI::V6;

/// What this kernel can keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Landlock, in this version.
    Landlock(String),
    /// Nothing, and why.
    None(String),
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Landlock(version) => write!(formatter, "landlock {version}"),
            Self::None(reason) => write!(formatter, "none: {reason}"),
        }
    }
}

/// Asks the kernel, by confining a thread that does nothing.
#[must_use]
pub fn status() -> Status {
    std::thread::spawn(|| {
        let confined = Ruleset::default()
            .handle_access(AccessFs::MakeBlock)
            .and_then(Ruleset::create)
            .and_then(landlock::RulesetCreated::restrict_self);
        confined.map_or_else(|error| Status::None(error.to_string()), |kept| told(&kept))
    })
    .join()
    .unwrap_or_else(|_| Status::None("it could not be tried".to_owned()))
}

/// Confines the calling thread, or says that this kernel cannot. An error is neither.
pub(super) fn enforce(reach: &Reach) -> Result<Status, RulesetError> {
    confine(reach).map(|kept| told(&kept))
}

fn confine(reach: &Reach) -> Result<RestrictionStatus, RulesetError> {
    let all = AccessFs::from_all(RIGHTS);
    let mut rules = Ruleset::default().handle_access(all)?.scope(Scope::Signal)?.create()?;
    for (folder, grant) in reach.opened() {
        let is_folder = folder.metadata().is_ok_and(|about| about.is_dir());
        let rights = rights(grant) & if is_folder { all } else { AccessFs::from_file(RIGHTS) };
        rules = rules.add_rule(PathBeneath::new(folder, rights))?;
    }
    rules.restrict_self()
}

fn rights(grant: Grant) -> BitFlags<AccessFs> {
    match grant {
        Grant::List => AccessFs::ReadDir.into(),
        Grant::Read => AccessFs::from_read(RIGHTS),
        Grant::Device => {
            AccessFs::from_read(RIGHTS)
                | AccessFs::WriteFile
                | AccessFs::Truncate
                | AccessFs::IoctlDev
        }
        Grant::Write => AccessFs::from_all(RIGHTS),
    }
}

fn told(kept: &RestrictionStatus) -> Status {
    match (kept.landlock, &kept.ruleset) {
        (LandlockStatus::NotEnabled, _) => {
            Status::None("Landlock is switched off in this kernel".to_owned())
        }
        (LandlockStatus::NotImplemented, _) => {
            Status::None("this kernel has no Landlock".to_owned())
        }
        (LandlockStatus::Available { .. }, RulesetStatus::NotEnforced) => {
            Status::None("this kernel did not put Landlock in force".to_owned())
        }
        (LandlockStatus::Available { effective_abi, kernel_abi }, _) => Status::Landlock(
            kernel_abi.map_or_else(|| effective_abi.to_string(), |newer| newer.to_string()),
        ),
    }
}

//! What git needs outside of a worktree: its repository, which may be anybody's, and whose configuration
//! and hooks would be run by others.
//!
//! Invariant: a folder is believed to be the worktree of a repository only when the repository says so too.

use std::path::{Path, PathBuf};

/// Where git keeps objects, names and worktrees; not `config` and `hooks`, which are programs to others.
const WRITTEN: [&str; 4] = ["objects", "refs", "logs", "worktrees"];

/// The folders that work in a worktree changes beside it; none for any other folder. A `.git` in the
/// folder itself lies in it already.
#[must_use]
pub fn folders_of(worktree: &Path) -> Vec<PathBuf> {
    let Some(common) = common_dir(worktree) else { return Vec::new() };
    let found = WRITTEN.iter().map(|name| common.join(name));
    // A link would lead elsewhere.
    found
        .filter(|folder| std::fs::symlink_metadata(folder).is_ok_and(|about| about.is_dir()))
        .collect()
}

fn common_dir(worktree: &Path) -> Option<PathBuf> {
    let pointer = worktree.join(".git");
    if !std::fs::symlink_metadata(&pointer).ok()?.is_file() {
        return None;
    }
    let text = std::fs::read_to_string(&pointer).ok()?;
    let admin = worktree.join(text.strip_prefix("gitdir: ")?.trim_end());
    let admin = admin.canonicalize().ok()?;
    let back = std::fs::read_to_string(admin.join("gitdir")).ok()?;
    if Path::new(back.trim_end()).canonicalize().ok()? != pointer.canonicalize().ok()? {
        return None;
    }
    let common = std::fs::read_to_string(admin.join("commondir")).ok()?;
    let common = admin.join(common.trim_end()).canonicalize().ok()?;
    (admin.parent() == Some(&common.join("worktrees"))).then_some(common)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lay(file: &Path, text: &str) {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(file, text).expect("written");
    }

    #[test]
    fn only_a_worktree_that_its_repository_knows_opens_it() {
        let home = tempfile::tempdir().expect("a folder");
        let home = home.path().canonicalize().expect("there");
        let (tree, repo) = (home.join("tree"), home.join("repo/.git"));
        let admin = repo.join("worktrees/one");
        lay(&tree.join(".git"), &format!("gitdir: {}\n", admin.display()));
        lay(&admin.join("commondir"), "../..\n");
        lay(&admin.join("gitdir"), &format!("{}\n", tree.join(".git").display()));
        for folder in ["objects", "refs", "hooks"] {
            std::fs::create_dir(repo.join(folder)).expect("made");
        }
        let expected = ["objects", "refs", "worktrees"].map(|name| repo.join(name));
        assert_eq!(folders_of(&tree), expected);
        let thief = home.join("thief");
        lay(&thief.join(".git"), &format!("gitdir: {}\n", admin.display()));
        assert!(folders_of(&thief).is_empty());
        // A repository of one's own that is somebody else's folder in parts.
        let fake = thief.join("fake");
        lay(&fake.join("worktrees/x/commondir"), "../..");
        lay(&fake.join("worktrees/x/gitdir"), &thief.join(".git").display().to_string());
        std::os::unix::fs::symlink(repo.join("hooks"), fake.join("objects")).expect("a link");
        lay(&thief.join(".git"), &format!("gitdir: {}", fake.join("worktrees/x").display()));
        assert_eq!(folders_of(&thief), [fake.join("worktrees")]);
    }
}

//! Real git repositories for tests.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Files by path: `f`, `x` or `l` (plain, runnable, link) and the content.
pub(crate) type Files = std::collections::BTreeMap<Vec<u8>, (char, Vec<u8>)>;

/// A repository in a folder of its own, which is removed with this value.
pub(crate) struct TestRepo {
    _home: TempDir,
    path: PathBuf,
}

impl TestRepo {
    /// A repository with these files in one commit on `main`.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let repo = Self::empty();
        for (path, text) in files {
            repo.write(path, text.as_bytes());
        }
        repo.git(&["add", "-A"]);
        repo.git(&["commit", "-q", "--allow-empty", "-m", "Begin"]);
        repo
    }

    /// A repository without a commit.
    pub(crate) fn empty() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let path = home.path().canonicalize().expect("it exists").join("repo");
        std::fs::create_dir(&path).expect("a new folder");
        let repo = Self { _home: home, path };
        repo.git(&["init", "-q", "-b", "main"]);
        repo.git(&["config", "user.name", "Someone"]);
        repo.git(&["config", "user.email", "someone@example.com"]);
        repo
    }

    /// Its folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its folder as text.
    pub(crate) fn text(&self) -> String {
        self.path.to_str().expect("UTF-8").to_owned()
    }

    /// Writes a file, with the folders that it needs.
    pub(crate) fn write(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        write(&self.path.join(path), bytes);
    }

    /// Writes and commits a file.
    pub(crate) fn commit(&self, path: &str, text: &str) -> String {
        self.write(path, text.as_bytes());
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", path]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git here as a person would; it must work. Returns what it printed, trimmed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.path, arguments)
    }
}

/// Writes a file, with the folders that it needs.
pub(crate) fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
    std::fs::write(path, bytes).expect("a file");
}

/// Runs git in a folder as a person would; it must work. Returns what it printed, trimmed.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = try_git(folder, arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?} in {}: {complaint}", folder.display());
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs git in a folder, without the settings of this machine.
pub(crate) fn try_git(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git is installed")
}

/// Every file below a folder: path, mode bits that matter, and content (the target of a link),
/// without the `.git` at the top.
pub(crate) fn files(folder: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.file_name() == Some(OsStr::new(".git")) {
                continue;
            }
            let about = std::fs::symlink_metadata(&path).expect("it is there");
            let name = path.strip_prefix(folder).expect("below").as_os_str().as_bytes().to_vec();
            if about.is_symlink() {
                let target = std::fs::read_link(&path).expect("a link");
                found.insert(name, ('l', target.as_os_str().as_bytes().to_vec()));
            } else if about.is_dir() {
                folders.push(path);
            } else {
                let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions());
                let kind = if mode & 0o100 == 0 { 'f' } else { 'x' };
                found.insert(name, (kind, std::fs::read(&path).expect("a file")));
            }
        }
    }
    found
}

/// Two worktrees of one repository below a root, as two sessions have them, and what a program in the first one
/// does that is fine and what is not.
pub(crate) struct Neighbours {
    pub(crate) repo: TestRepo,
    pub(crate) root: PathBuf,
}

impl Neighbours {
    /// Below this folder.
    pub(crate) fn below(place: &Path) -> Self {
        let (repo, root) = (TestRepo::with(&[("a.txt", "one\n")]), place.join("worktrees"));
        for name in ["mine", "theirs"] {
            let folder = root.join(name);
            repo.git(&["worktree", "add", "-q", "-b", name, folder.to_str().expect("UTF-8")]);
        }
        write(&root.join("theirs/secret.txt"), b"words of theirs\n");
        Self { repo, root }
    }

    /// Where the program works.
    pub(crate) fn mine(&self) -> PathBuf {
        self.root.join("mine")
    }

    /// Lines of a shell that say what they could do.
    pub(crate) fn script(&self) -> String {
        let theirs = self.root.join("theirs").display().to_string();
        format!(
            "git status --short --branch; echo two > b.txt; git add b.txt && git commit -qm made && echo committed
             cat {theirs}/secret.txt; cat ../theirs/secret.txt; echo x > {theirs}/planted; true"
        )
    }

    /// What the program left, and what it said.
    pub(crate) fn check(&self, said: &str, is_kept: bool) {
        assert!(said.contains("## mine") && said.contains("committed"), "{said}");
        assert_eq!(self.repo.git(&["log", "-1", "--format=%s", "mine"]), "made");
        assert_eq!(git(&self.mine(), &["status", "--porcelain"]), "");
        // Where the kernel keeps nothing, the same lines show what they would do.
        assert_eq!(said.contains("words of theirs"), !is_kept, "{said}");
        assert_eq!(self.root.join("theirs/planted").exists(), !is_kept);
    }
}

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

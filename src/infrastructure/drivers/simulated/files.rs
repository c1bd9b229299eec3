//! Writes files below a folder and nowhere else.
//!
//! Invariant: every folder on the way is opened without following links, from the one before; the
//! file is no link and has no second name.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, fstat, ftruncate, mkdirat, openat};

/// Writes a file below `top`, with the folders that it needs; one that has this content already
/// stays as it is. Returns whether it was written.
pub(super) fn write_below(top: &Path, path: &str, content: &[u8]) -> std::io::Result<bool> {
    let mut names = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) if name != ".git" => names.push(name),
            Component::CurDir => {}
            Component::Normal(_)
            | Component::ParentDir
            | Component::RootDir
            | Component::Prefix(_) => return Err(refused("leaves the folder of the session")),
        }
    }
    let Some((file, folders)) = names.split_last() else { return Err(refused("is empty")) };
    let look = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let mut folder: OwnedFd = openat(CWD, top, look, Mode::empty())?;
    for name in folders {
        match mkdirat(&folder, *name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        folder = openat(&folder, *name, look, Mode::empty())?;
    }
    let open =
        OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = openat(&folder, *file, open, Mode::from_raw_mode(0o666))?;
    let about = fstat(&opened)?;
    let mut opened = File::from(opened);
    if !opened.metadata()?.is_file() || about.st_nlink != 1 {
        return Err(refused("is no plain file of its own"));
    }
    let mut present = Vec::new();
    let limit = u64::try_from(content.len()).unwrap_or(u64::MAX).saturating_add(1);
    (&mut opened).take(limit).read_to_end(&mut present)?;
    if present == content && opened.metadata()?.len() > 0 {
        return Ok(false);
    }
    ftruncate(&opened, 0)?;
    std::io::Seek::rewind(&mut opened)?;
    opened.write_all(content)?;
    Ok(true)
}

fn refused(why: &str) -> Error {
    Error::new(ErrorKind::PermissionDenied, format!("the path {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_below_the_folder_only() {
        let top = tempfile::tempdir().expect("a folder");
        let outside = tempfile::tempdir().expect("a folder");
        assert!(write_below(top.path(), "a/b/c.txt", b"one").expect("written"));
        assert!(!write_below(top.path(), "a/b/c.txt", b"one").expect("the same"));
        assert!(write_below(top.path(), "./a/b/c.txt", b"x").expect("written"));
        assert_eq!(std::fs::read(top.path().join("a/b/c.txt")).expect("there"), b"x");
        let secret = outside.path().join("secret");
        std::fs::write(&secret, "secret").expect("written");
        std::os::unix::fs::symlink(outside.path(), top.path().join("link")).expect("a link");
        std::os::unix::fs::symlink(&secret, top.path().join("file")).expect("a link");
        std::fs::hard_link(&secret, top.path().join("hard")).expect("a link");
        let absolute = secret.to_str().expect("UTF-8");
        for path in
            ["../x", absolute, "link/secret", "file", "hard", "", "a/../../x", ".git/config"]
        {
            write_below(top.path(), path, b"gone").expect_err(path);
        }
        assert_eq!(std::fs::read(&secret).expect("there"), b"secret");
    }
}

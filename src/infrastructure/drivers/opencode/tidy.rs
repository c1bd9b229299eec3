//! What a server keeps on the disk beside its conversations stays small: its log, and the output of
//! tools that was too long to show.
//!
//! Invariant: only plain files right in the given folder are touched, and no link is followed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;
use tracing::debug;

/// A log is cut when it is larger than this.
const LARGEST_LOG: u64 = 16 * 1024 * 1024;
/// What is kept of it, beside it.
const KEPT_OF_LOG: u64 = 1024 * 1024;
/// Logs that are kept.
const LOGS: usize = 6;
/// Ending of the file that keeps the end of a log.
const OLD: &str = "old";
/// What the output of tools may take.
const LARGEST_OUTPUT: u64 = 512 * 1024 * 1024;

/// Brings the folders of logs and of output back to their size.
pub(super) fn tidy(logs: &Path, output: &Path) {
    trim_logs(logs);
    trim_output(output, LARGEST_OUTPUT);
}

fn trim_logs(folder: &Path) {
    for (index, found) in newest_first(folder).into_iter().enumerate() {
        if index >= LOGS {
            remove(&found.path);
        } else if found.bytes > LARGEST_LOG
            && let Err(error) = cut(&found.path)
        {
            debug!(%error, "The log {} could not be cut", found.path.display());
        }
    }
}

fn trim_output(folder: &Path, most: u64) {
    let mut total = 0_u64;
    for found in newest_first(folder) {
        total = total.saturating_add(found.bytes);
        if total > most {
            remove(&found.path);
        }
    }
}

struct Found {
    path: PathBuf,
    bytes: u64,
    changed: SystemTime,
}

fn newest_first(folder: &Path) -> Vec<Found> {
    let mut files: Vec<Found> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let facts = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            let changed = facts.modified().ok()?;
            Some(Found { path: entry.path(), bytes: facts.len(), changed })
        })
        .collect();
    files.sort_by_key(|found| std::cmp::Reverse(found.changed));
    files
}

/// Empties a log that somebody appends to, and keeps its end beside it.
fn cut(path: &Path) -> io::Result<()> {
    let mut log = open(OpenOptions::new().read(true).write(true), path)?;
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(KEPT_OF_LOG)))?;
    let mut end = Vec::new();
    let read = (&log).take(KEPT_OF_LOG).read_to_end(&mut end);
    log.set_len(0)?;
    read?;
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(OLD);
    let beside = PathBuf::from(name);
    remove(&beside);
    open(OpenOptions::new().write(true).create_new(true).mode(0o600), &beside)?.write_all(&end)
}

fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    options.custom_flags(flags).open(path)
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            debug!(%error, "{} could not be removed", path.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// A file that was changed so many seconds after the epoch.
    fn file(path: &Path, bytes: u64, at: u64) {
        let file = File::create(path).expect("made");
        file.set_len(bytes).expect("grown");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(at)).expect("dated");
    }

    #[test]
    fn a_log_that_is_written_to_is_cut_and_its_end_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("opencode.log");
        file(&path, LARGEST_LOG, 1);
        let mut writer = OpenOptions::new().append(true).open(&path).expect("open");
        trim_logs(folder.path());
        assert_eq!(names(folder.path()), ["opencode.log"], "not too large yet");
        writer.write_all(b"the end").expect("written");
        trim_logs(folder.path());
        assert_eq!(fs::metadata(&path).expect("there").len(), 0);
        let old = fs::read(folder.path().join("opencode.log.old")).expect("kept");
        assert!(old.ends_with(b"the end") && old.len() == 1024 * 1024);
        writer.write_all(b"goes on").expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"goes on");
    }

    #[test]
    fn old_logs_and_too_much_output_go_and_links_are_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (logs, output) = (folder.path().join("log"), folder.path().join("output"));
        let outside = folder.path().join("outside");
        file(&outside, 2 * LARGEST_LOG, 0);
        for place in [&logs, &output] {
            fs::create_dir(place).expect("made");
            std::os::unix::fs::symlink(&outside, place.join("link")).expect("linked");
        }
        for number in 0..9 {
            file(&logs.join(format!("{number}.log")), 10, number);
            file(&output.join(format!("tool_{number}")), 100, number);
        }
        trim_logs(&logs);
        trim_output(&output, 350);
        let kept = ["3.log", "4.log", "5.log", "6.log", "7.log", "8.log", "link"];
        assert_eq!(names(&logs), kept);
        assert_eq!(names(&output), ["link", "tool_6", "tool_7", "tool_8"]);
        assert_eq!(fs::metadata(&outside).expect("there").len(), 2 * LARGEST_LOG);
        tidy(&folder.path().join("missing"), &folder.path().join("missing"));
    }
}

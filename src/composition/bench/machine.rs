//! What the figures were read on; a figure without its machine says nothing.

use std::path::Path;

use serde::Serialize;

/// The machine, as far as its kernel tells.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Machine {
    /// Model of the processor.
    pub(super) cpu: String,
    /// Processors that this process may use.
    pub(super) cores: usize,
    /// Operating system and its version.
    pub(super) kernel: String,
    /// Memory in MiB.
    pub(super) memory_mib: Option<u64>,
    /// File system of the measured stores.
    pub(super) disk: String,
    /// Runnable tasks in the last minute before the measurements; far above zero means a busy machine.
    pub(super) load: Option<f64>,
}

impl Machine {
    /// Reads it; whatever cannot be read is unknown.
    pub(super) fn read(folder: &Path) -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let (cpus, memory) = (file("/proc/cpuinfo"), file("/proc/meminfo"));
        let release = file("/proc/sys/kernel/osrelease");
        Self {
            cpu: field(&cpus, "model name").unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: format!("{} {}", std::env::consts::OS, release.trim()),
            memory_mib: field(&memory, "MemTotal")
                .and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok())
                .map(|kib| kib / 1024),
            disk: disk(&file("/proc/self/mountinfo"), folder).unwrap_or("unknown").to_owned(),
            load: file("/proc/loadavg").split(' ').next().and_then(|text| text.parse().ok()),
        }
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        let Self { cpu, cores, kernel, memory_mib, disk, load } = self;
        let memory = memory_mib.map_or("unknown memory".to_owned(), |mib| format!("{mib} MiB"));
        let load = load.map_or("unknown".to_owned(), |load| format!("{load:.2}"));
        format!("{cpu}, {cores} cores, {memory}, {kernel}, stores on {disk}, load before {load}")
    }
}

/// The value behind `name :`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

/// The file system of the longest mount point that a folder lies below.
fn disk<'a>(mounts: &'a str, folder: &Path) -> Option<&'a str> {
    let folder = folder.canonicalize().ok()?;
    mounts
        .lines()
        .filter_map(|line| line.split_once(" - "))
        .filter_map(|(mount, kind)| Some((mount.split(' ').nth(4)?, kind.split(' ').next()?)))
        .filter(|(point, _)| folder.starts_with(point))
        .max_by_key(|(point, _)| point.len())
        .map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_point_wins() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /tmp rw - tmpfs none rw\n";
        assert_eq!(disk(mounts, Path::new("/tmp")), Some("tmpfs"));
        assert_eq!(disk(mounts, Path::new("/")), Some("ext4"));
        assert_eq!(disk("", Path::new("/")), None);
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "MemFree: 2 kB\nMemTotal:       16 kB\n";
        assert_eq!(field(text, "MemTotal"), Some("16 kB"));
        assert_eq!(field(text, "Mem"), None);
    }
}

//! From the bytes of an archive to a store that was looked through.
//!
//! Invariant: nothing of an archive is believed before its sum was compared, and no path, link or
//! size in it decides where or how much is written.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use tar::{Archive, Entry, EntryType};

use super::check::check;
use super::pack::{SEAL_BYTES, measure, seal};
use super::{ArchiveFault, FORMAT, MANIFEST, Manifest, STORE, nameless, shown};

/// Largest description.
const MANIFEST_BYTES: u64 = 1024 * 1024;
/// Largest memory that a frame may ask for, as a power of two: what level 3 writes needs 2 MiB.
const WINDOW_LOG: u32 = 23;
/// A store is at most this many times its archive, or this large.
const RATIO: u64 = 2000;
const SMALL_BYTES: u64 = 256 * 1024 * 1024;
/// What may follow the last file: the padding of a tar.
const PADDING_BYTES: u64 = 64 * 1024;

type Frames = zstd::Decoder<'static, BufReader<io::Take<File>>>;

/// Reads an archive in full, without putting it anywhere.
///
/// # Errors
/// What is wrong with it.
pub fn verify(archive: &Path) -> Result<Manifest, ArchiveFault> {
    let folder = archive.parent().filter(|folder| !folder.as_os_str().is_empty());
    let beside = nameless(folder.unwrap_or(Path::new(".")));
    // An archive on a medium that cannot be written to is looked through elsewhere.
    let file = beside.or_else(|_| nameless(&std::env::temp_dir()));
    let file = file.map_err(ArchiveFault::file(&std::env::temp_dir()))?;
    unpack(archive, file)
}

/// Writes the store of an archive into an empty file and reads it there in full.
pub(super) fn unpack(archive: &Path, mut to: File) -> Result<Manifest, ArchiveFault> {
    let at = |error| ArchiveFault::file(archive)(error);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default())
        .open(archive)
        .map_err(at)?;
    let facts = file.metadata().map_err(at)?;
    let Some(length) = facts.len().checked_sub(SEAL_BYTES).filter(|_| facts.is_file()) else {
        return Err(ArchiveFault::broken("it is no archive of this product"));
    };
    sealed(&file, length).map_err(at)??;
    let frames = open(file, length).map_err(ArchiveFault::broken)?;
    let mut tar = Archive::new(frames);
    let manifest = {
        // Raw: what would only lengthen a name is an entry that does not belong, and is not read.
        let mut entries = tar.entries().map_err(ArchiveFault::broken)?.raw(true);
        let mut first = next(&mut entries, MANIFEST)?;
        let manifest = describe(&mut first)?;
        drop(first);
        let mut second = next(&mut entries, STORE)?;
        fits(&manifest, second.size(), length, &to)?;
        write(&mut second, &mut to)?;
        drop(second);
        match entries.next() {
            None => manifest,
            Some(_) => return Err(ArchiveFault::broken("it holds more than it should")),
        }
    };
    rest(&mut tar.into_inner())?;
    to.sync_all().map_err(written)?;
    if measure(&mut to).map_err(written)? != manifest.store {
        return Err(ArchiveFault::broken("the store in it has another sum"));
    }
    to.seek(SeekFrom::Start(0)).map_err(written)?;
    check(to, &manifest)?;
    Ok(manifest)
}

/// Compares the sum at the end with the bytes before it.
fn sealed(file: &File, length: u64) -> io::Result<Result<(), ArchiveFault>> {
    let mut hash = Sha256::new();
    let mut part = vec![0; 256 * 1024];
    let mut left = file.take(length);
    loop {
        let read = left.read(&mut part)?;
        if read == 0 {
            break;
        }
        hash.update(&part[..read]);
    }
    let mut end = Vec::new();
    file.take(SEAL_BYTES + 1).read_to_end(&mut end)?;
    let expected = seal(&hash.finalize().into());
    Ok(if end == expected { Ok(()) } else { Err(ArchiveFault::broken("its sum does not match")) })
}

fn open(mut file: File, length: u64) -> io::Result<Frames> {
    file.seek(SeekFrom::Start(0))?;
    let mut frames = zstd::Decoder::new(file.take(length))?;
    frames.window_log_max(WINDOW_LOG)?;
    Ok(frames)
}

/// The next file, which must be this one and nothing else.
fn next<'a, R: Read + 'a>(
    entries: &mut tar::Entries<'a, R>,
    name: &str,
) -> Result<Entry<'a, R>, ArchiveFault> {
    let missing = || ArchiveFault::broken(format!("{name} is missing"));
    let entry = entries.next().ok_or_else(missing)?.map_err(ArchiveFault::broken)?;
    let is_plain = entry.header().entry_type() == EntryType::Regular;
    if !is_plain || entry.path_bytes().as_ref() != name.as_bytes() {
        let found = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        return Err(ArchiveFault::broken(format!("{found:?} does not belong into an archive")));
    }
    Ok(entry)
}

fn describe(entry: &mut Entry<'_, impl Read>) -> Result<Manifest, ArchiveFault> {
    if entry.size() > MANIFEST_BYTES {
        return Err(ArchiveFault::broken("its description is too large"));
    }
    let mut text = Vec::new();
    entry.take(MANIFEST_BYTES).read_to_end(&mut text).map_err(ArchiveFault::broken)?;
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(ArchiveFault::broken)?;
    let found = value["format"].as_u64().and_then(|format| u32::try_from(format).ok());
    match found {
        Some(found) if found > FORMAT => {
            Err(ArchiveFault::Newer { found, made_by: shown(value["version"].as_str()) })
        }
        Some(_) => serde_json::from_value(value).map_err(ArchiveFault::broken),
        None => Err(ArchiveFault::broken("its description tells no format")),
    }
}

/// Refuses a store of another size than was told, of one out of proportion, or that has no room.
fn fits(manifest: &Manifest, size: u64, length: u64, to: &File) -> Result<(), ArchiveFault> {
    if size != manifest.store.bytes {
        return Err(ArchiveFault::broken("the store in it has another size"));
    }
    if size > length.saturating_mul(RATIO).max(SMALL_BYTES) {
        return Err(ArchiveFault::broken("it grows out of all proportion"));
    }
    let about = rustix::fs::fstatvfs(to).map_err(|error| written(error.into()))?;
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    if size > free {
        let what = format!("{size} bytes are needed and {free} are free");
        return Err(ArchiveFault::File { what, source: io::ErrorKind::StorageFull.into() });
    }
    Ok(())
}

fn write(entry: &mut Entry<'_, impl Read>, to: &mut File) -> Result<(), ArchiveFault> {
    let mut part = vec![0; 256 * 1024];
    loop {
        let read = entry.read(&mut part).map_err(ArchiveFault::broken)?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&part[..read]).map_err(written)?;
    }
}

/// Reads to the end, so that the sum of the frame is compared too.
fn rest(frames: &mut Frames) -> Result<(), ArchiveFault> {
    let mut padding = Vec::new();
    frames.take(PADDING_BYTES + 1).read_to_end(&mut padding).map_err(ArchiveFault::broken)?;
    let is_padding = padding.iter().all(|byte| *byte == 0);
    let is_end = u64::try_from(padding.len()).is_ok_and(|length| length <= PADDING_BYTES);
    if is_padding && is_end {
        return Ok(());
    }
    Err(ArchiveFault::broken("it holds more than it should"))
}

fn written(error: io::Error) -> ArchiveFault {
    ArchiveFault::File {
        what: "the store of the archive could not be written".to_owned(),
        source: error,
    }
}

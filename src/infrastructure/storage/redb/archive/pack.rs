//! From a copied store to the bytes of an archive.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use super::{Contained, MANIFEST, Manifest, STORE, hex};

/// Level of compression: the copy is on its way to somebody who waits.
const LEVEL: i32 = 3;
/// First bytes of a frame that readers of zstd skip.
// Source: RFC 8878, section 3.1.2.
const SKIPPED: [u8; 4] = 0x184D_2A5E_u32.to_le_bytes();
/// What lies in that frame before the sum.
const WORDS: &[u8; 12] = b"orchestrator";
/// Bytes of the whole frame: its head, the words, the sum.
pub(super) const SEAL_BYTES: u64 = 8 + 12 + 32;

/// The frame at the end of an archive whose bytes have this sum.
pub(super) fn seal(sum: &[u8; 32]) -> Vec<u8> {
    let inside = u32::try_from(WORDS.len() + sum.len()).unwrap_or(0);
    [&SKIPPED[..], &inside.to_le_bytes(), WORDS, sum].concat()
}

/// Size and sum of a file, from its beginning.
pub(super) fn measure(file: &mut File) -> io::Result<Contained> {
    file.seek(SeekFrom::Start(0))?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut part = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut part)?;
        if read == 0 {
            let sum: [u8; 32] = hash.finalize().into();
            return Ok(Contained { bytes, sha256: hex(&sum) });
        }
        hash.update(&part[..read]);
        bytes += u64::try_from(read).unwrap_or(0);
    }
}

/// Passes bytes on and sums them up.
struct Summed<W> {
    inner: W,
    hash: Sha256,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes the archive of a store.
pub(super) fn pack(manifest: &Manifest, store: &mut File, to: impl Write) -> io::Result<()> {
    store.seek(SeekFrom::Start(0))?;
    let text = serde_json::to_vec_pretty(manifest).map_err(io::Error::other)?;
    let mut frame = zstd::Encoder::new(Summed { inner: to, hash: Sha256::new() }, LEVEL)?;
    frame.include_checksum(true)?;
    let mut tar = tar::Builder::new(frame);
    let at = u64::try_from(manifest.made_at.millis() / 1000).unwrap_or(0);
    let size = u64::try_from(text.len()).unwrap_or(0);
    tar.append_data(&mut header(size, at), MANIFEST, text.as_slice())?;
    let mut exactly = store.take(manifest.store.bytes);
    tar.append_data(&mut header(manifest.store.bytes, at), STORE, &mut exactly)?;
    let Summed { mut inner, hash } = tar.into_inner()?.finish()?;
    inner.write_all(&seal(&hash.finalize().into()))?;
    inner.flush()
}

fn header(bytes: u64, at: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(at);
    header
}

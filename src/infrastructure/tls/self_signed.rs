//! A certificate that the server makes for itself, and keeps as long as it fits.
//!
//! Its names and its end stand as plain lines before the certificate: readers of PEM pass over them.
//!
//! Invariant: certificate and key are private files of the data directory, each written as a whole; a
//! pair that does not go together, as a crash between the two leaves it, is replaced.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Datelike};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

use super::{Identity, TlsError, from_files};
use crate::domain::time::Timestamp;
use crate::infrastructure::private_file;

/// How long a certificate lasts. Browsers take none that lasts longer than 825 days.
const LASTS: Duration = Duration::from_hours(24 * 397);
/// It begins so much earlier: clocks of clients that are late by less do not matter.
const DAY_MS: i64 = 86_400_000;
/// One that ends sooner is replaced.
const RENEWED: Duration = Duration::from_hours(24 * 30);
/// The names that this machine has for itself.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
const CERTIFICATE: &str = "self-signed.pem";
const KEY: &str = "self-signed.key";

/// A certificate of the server's own making.
pub struct Made {
    /// The certificate.
    pub identity: Identity,
    /// Where it lies, for those who are to trust it.
    pub file: PathBuf,
    /// When it ends.
    pub until: Timestamp,
    /// Whether it replaces another one: who trusted that one has to be told.
    pub replaces: bool,
}

/// The certificate of this directory for these names; a new one when there is none that fits.
///
/// # Errors
/// A file that cannot be written, or a name that no certificate can have.
pub fn made(dir: &Path, names: &[String], now: Timestamp) -> Result<Made, TlsError> {
    let own = OWN_NAMES.iter().map(|name| (*name).to_owned());
    let wanted: BTreeSet<String> = own.chain(names.iter().cloned()).collect();
    let earlier = stored(dir);
    let replaces = earlier.is_some() || dir.join(CERTIFICATE).exists();
    if let Some((made, known)) = earlier
        && wanted.is_subset(&known)
        && made.until.since(now) > RENEWED
    {
        return Ok(made);
    }
    write_new(dir, &wanted, now)?;
    let (made, _) =
        stored(dir).ok_or_else(|| TlsError::Unmade("it cannot be read again".to_owned()))?;
    Ok(Made { replaces, ..made })
}

/// The certificate of this directory, whether it still fits or not, with its names.
#[must_use]
pub fn stored(dir: &Path) -> Option<(Made, BTreeSet<String>)> {
    let file = dir.join(CERTIFICATE);
    let text = fs::read_to_string(&file).ok()?;
    let about = |what: &str| text.lines().find_map(|line| line.strip_prefix(what));
    let names = about("Names: ")?.split(' ').map(str::to_owned).collect();
    let until = Timestamp::parse(about("Ends: ")?)?;
    let identity = from_files(&file, &dir.join(KEY)).ok()?;
    Some((Made { identity, file, until, replaces: false }, names))
}

fn write_new(dir: &Path, names: &BTreeSet<String>, now: Timestamp) -> Result<(), TlsError> {
    let unmade = |error: rcgen::Error| TlsError::Unmade(error.to_string());
    let mut params =
        CertificateParams::new(names.iter().cloned().collect::<Vec<_>>()).map_err(unmade)?;
    let (from, until) = (Timestamp::from_millis(now.millis() - DAY_MS), now.after(LASTS));
    let (year, month, day) = date(from)?;
    params.not_before = date_time_ymd(year, month, day);
    let (year, month, day) = date(until)?;
    params.not_after = date_time_ymd(year, month, day);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Industrial Orchestrator, self-signed");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(unmade)?;
    let certificate = params.self_signed(&key).map_err(unmade)?;
    let listed = names.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let head = format!("Names: {listed}\nEnds: {until}\n");
    let text = head + &as_pem("CERTIFICATE", certificate.der());
    write(&dir.join(KEY), as_pem("PRIVATE KEY", &key.serialize_der()).as_bytes())?;
    write(&dir.join(CERTIFICATE), text.as_bytes())
}

/// Year, month and day of UTC.
fn date(at: Timestamp) -> Result<(i32, u8, u8), TlsError> {
    let date = DateTime::from_timestamp_millis(at.millis());
    let date = date.ok_or_else(|| TlsError::Unmade(format!("the clock says {at}")))?;
    let part = |number: u32| u8::try_from(number).unwrap_or(1);
    Ok((date.year(), part(date.month()), part(date.day())))
}

fn as_pem(label: &str, bytes: &[u8]) -> String {
    let encoded = STANDARD.encode(bytes);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), TlsError> {
    let failed = |error| TlsError::File { path: path.to_owned(), what: "written", error };
    private_file::write(path, bytes).map_err(failed)
}

//! Certificates: made once, kept, replaced when they no longer fit, and told apart when wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;
use crate::domain::time::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn names(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn days(count: u64) -> Timestamp {
    NOW.after(Duration::from_hours(24 * count))
}

#[test]
fn a_certificate_is_made_once_and_replaced_when_it_no_longer_fits() {
    let dir = tempfile::tempdir().expect("a folder");
    let make = |wanted: &[&str], at| made(dir.path(), &names(wanted), at).expect("made");
    let first = make(&["box.example"], NOW);
    assert!(!first.replaces);
    for file in ["self-signed.pem", "self-signed.key"] {
        let mode = fs::metadata(dir.path().join(file)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    for again in [make(&["box.example"], days(300)), make(&[], NOW)] {
        assert_eq!(again.identity.fingerprint, first.identity.fingerprint);
        assert!(!again.replaces && again.until == first.until);
    }
    let wider = make(&["box.example", "192.168.1.5"], days(1));
    let late = make(&["box.example"], days(1 + 397 - 29));
    fs::copy(dir.path().join("self-signed.key"), dir.path().join("kept")).expect("copied");
    let other = tempfile::tempdir().expect("a folder");
    made(other.path(), &[], NOW).expect("made");
    fs::copy(other.path().join("self-signed.key"), dir.path().join("self-signed.key"))
        .expect("copied");
    let torn = make(&["box.example"], days(1 + 397 - 29));
    let mut seen = vec![first.identity.fingerprint];
    for made in [wider, late, torn] {
        assert!(made.replaces);
        assert!(!seen.contains(&made.identity.fingerprint));
        seen.push(made.identity.fingerprint);
    }
}

#[test]
fn a_name_that_no_certificate_can_have_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let error = made(dir.path(), &names(&["böx.example"]), NOW).err().expect("refused");
    assert!(error.to_string().starts_with("no certificate can be made"), "{error}");
}

#[test]
fn files_that_are_none_are_told_apart() {
    let (dir, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("one"));
    for place in [&dir, &other] {
        made(place.path(), &[], NOW).expect("made");
    }
    let (cert, key) = (dir.path().join("self-signed.pem"), dir.path().join("self-signed.key"));
    assert!(from_files(&cert, &key).is_ok());
    let said = |cert: &Path, key: &Path| from_files(cert, key).err().expect("wrong").to_string();
    assert!(said(&dir.path().join("none"), &key).contains("none cannot be read"));
    assert!(said(&key, &key).contains("holds no certificate in PEM"));
    assert!(said(&cert, &cert).contains("holds no private key in PEM"));
    let foreign = other.path().join("self-signed.key");
    assert!(said(&cert, &foreign).contains("cannot be used with its key"));
}

//! Archives that are not as they were written: flipped bits, cut ends, forged insides.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::ports::clock::Clock;
use orchestrator::domain::canonical::sha256_hex;
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::storage::redb::archive::{ArchiveFault, restore, verify};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};
use tempfile::TempDir;

use super::{back_up, files, is_deep, path, used_site};
use crate::support::server::{Finished, Site};

const SEED: u64 = 20_261_121;

/// A site with a backup, and a folder for what is made of it.
async fn backed_up() -> (Site, Vec<u8>, TempDir) {
    let site = used_site().await;
    let file = back_up(&site, "a.tar.zst").await;
    verify(&file).expect("it is whole");
    let bytes = std::fs::read(&file).expect("readable");
    (site, bytes, TempDir::new().expect("a folder"))
}

fn written(folder: &TempDir, bytes: &[u8]) -> PathBuf {
    let file = folder.path().join("changed.tar.zst");
    std::fs::write(&file, bytes).expect("written");
    file
}

/// Nothing is put back from this file, and nothing is left of the try.
async fn refused(file: &Path, folder: &TempDir) -> ArchiveFault {
    let dir = folder.path().join("data");
    let clock = Arc::new(SystemClock::new()) as Arc<dyn Clock>;
    let fault = restore(file, &dir, clock, Arc::new(SystemIds)).await.expect_err("it is refused");
    assert!(!dir.exists(), "{fault} left {:?}", files(&dir));
    fault
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_flipped_bit_is_found() {
    let (_site, bytes, folder) = backed_up().await;
    let mut chance = StdRng::seed_from_u64(SEED);
    let flips = if is_deep() { 1000 } else { 100 };
    let ends = [0, 1, bytes.len() * 8 - 1, (bytes.len() - 52) * 8, (bytes.len() - 40) * 8];
    let bits = ends.into_iter().chain((0..flips).map(|_| chance.random_range(0..bytes.len() * 8)));
    for bit in bits.collect::<Vec<_>>() {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let found = verify(&written(&folder, &changed));
        assert!(matches!(found, Err(ArchiveFault::Broken(_))), "bit {bit}: {found:?}");
    }
    for _ in 0..20 {
        let end = chance.random_range(0..bytes.len());
        let found = verify(&written(&folder, &bytes[..end]));
        assert!(matches!(found, Err(ArchiveFault::Broken(_))), "cut at {end}: {found:?}");
    }
    let longer = [&bytes[..], b"more"].concat();
    assert!(verify(&written(&folder, &longer)).is_err(), "something was added");
    let fault = refused(&written(&folder, &bytes[..bytes.len() / 2]), &folder).await;
    assert_eq!(fault.exit_code(), 65);
}

/// One file of a forged archive.
struct Forged {
    kind: EntryType,
    name: Vec<u8>,
    data: Vec<u8>,
    link: Option<&'static str>,
}

fn plain(name: &str, data: &[u8]) -> Forged {
    Forged { kind: EntryType::Regular, name: name.into(), data: data.to_vec(), link: None }
}

/// An archive whose sum is right, whatever is in it.
fn sealed(files: &[Forged]) -> Vec<u8> {
    let mut tar = tar::Builder::new(zstd::Encoder::new(Vec::new(), 3).expect("a frame"));
    for Forged { kind, name, data, link } in files {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(data.len() as u64);
        header.set_mode(0o600);
        // Past the checks of the builder, as a forger would.
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        if let Some(link) = link {
            header.set_link_name(link).expect("a link");
        }
        header.set_cksum();
        tar.append(&header, data.as_slice()).expect("appended");
    }
    seal(tar.into_inner().expect("a tar").finish().expect("a frame"))
}

fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = Sha256::digest(&bytes);
    bytes.write_all(&0x184D_2A5E_u32.to_le_bytes()).expect("written");
    bytes.write_all(&44_u32.to_le_bytes()).expect("written");
    bytes.write_all(b"orchestrator").expect("written");
    bytes.write_all(&sum).expect("written");
    bytes
}

/// Description and store of a real archive.
fn inside(bytes: &[u8]) -> (Value, Vec<u8>) {
    let tar = zstd::decode_all(bytes).expect("zstd");
    let mut archive = tar::Archive::new(tar.as_slice());
    let mut found = archive.entries().expect("entries").map(|entry| {
        let mut data = Vec::new();
        std::io::Read::read_to_end(&mut entry.expect("an entry"), &mut data).expect("read");
        data
    });
    let manifest = found.next().expect("a description");
    let store = found.next().expect("a store");
    (serde_json::from_slice(&manifest).expect("JSON"), store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_archive_writes_nowhere_and_restores_nothing() {
    let (_site, bytes, folder) = backed_up().await;
    let (manifest, store) = inside(&bytes);
    let (manifest, store) = (|| plain("manifest.json", manifest.to_string().as_bytes()), store);
    let whole = || plain("store.redb", &store);
    let good = sealed(&[manifest(), whole()]);
    verify(&written(&folder, &good)).expect("the forger's tools are right");
    let link = |kind, link| Forged {
        kind,
        name: b"store.redb".to_vec(),
        data: Vec::new(),
        link: Some(link),
    };
    let evil = folder.path().join("evil");
    let cases = [
        vec![whole()],
        vec![manifest()],
        vec![whole(), manifest()],
        vec![manifest(), plain("../evil", &store)],
        vec![manifest(), plain(evil.to_str().expect("UTF-8"), &store)],
        vec![manifest(), plain("./store.redb", &store)],
        vec![manifest(), whole(), plain("evil", b"more")],
        vec![plain("evil", b"first"), manifest(), whole()],
        vec![manifest(), link(EntryType::Symlink, "/etc/passwd")],
        vec![manifest(), link(EntryType::Link, "/etc/passwd")],
        vec![manifest(), link(EntryType::Directory, "x")],
        vec![manifest(), plain("store.redb", &store[..store.len() / 2])],
        vec![manifest(), plain("store.redb", &[&store[..], b"more"].concat())],
        vec![manifest(), plain("store.redb", &vec![0; store.len()])],
        vec![plain("manifest.json", b"{}"), whole()],
        vec![plain("manifest.json", &vec![b' '; 2 * 1024 * 1024]), whole()],
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let fault = refused(&written(&folder, &sealed(&case)), &folder).await;
        assert_eq!(fault.exit_code(), 65, "case {number}: {fault}");
        assert!(!evil.exists(), "case {number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_of_a_newer_version_or_with_other_counts_is_refused() {
    let (_site, bytes, folder) = backed_up().await;
    let (manifest, store) = inside(&bytes);
    let forged = |field: &str, value: Value| {
        let mut manifest = manifest.clone();
        *manifest.pointer_mut(field).expect("a field") = value;
        let text = manifest.to_string();
        sealed(&[plain("manifest.json", text.as_bytes()), plain("store.redb", &store)])
    };
    let newer = forged("/format", json!(2));
    let fault = refused(&written(&folder, &newer), &folder).await;
    assert_eq!(fault.exit_code(), 78, "{fault}");
    for (field, value) in [
        ("/tables/sessions.k1", json!(2)),
        ("/damaged", json!(1)),
        ("/store/sha256", json!("00")),
        ("/store/bytes", json!(1)),
    ] {
        let fault = refused(&written(&folder, &forged(field, value)), &folder).await;
        assert_eq!(fault.exit_code(), 65, "{field}: {fault}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_grows_out_of_proportion_is_not_written() {
    let (_site, bytes, folder) = backed_up().await;
    let (mut manifest, _) = inside(&bytes);
    let size = 1024 * 1024 * 1024 * 1024_u64; // said, not written
    manifest["store"]["bytes"] = json!(size);
    let mut tar = tar::Builder::new(zstd::Encoder::new(Vec::new(), 3).expect("a frame"));
    let text = manifest.to_string();
    for (name, bytes, data) in
        [("manifest.json", text.len() as u64, text.as_bytes()), ("store.redb", size, &[0; 4096])]
    {
        let mut header = Header::new_gnu();
        header.set_path(name).expect("a name");
        header.set_size(bytes);
        header.set_cksum();
        tar.append(&header, data).expect("appended");
    }
    let frame = tar.into_inner().expect("a tar").finish().expect("a frame");
    let fault = refused(&written(&folder, &seal(frame)), &folder).await;
    assert!(fault.to_string().contains("proportion"), "{fault}");
}

/// So much memory a process has had at the most, in KiB, as far as that was seen.
async fn watched(site: &Site, file: &Path) -> (Finished, u64) {
    let mut command = site.command(&["backup", "--verify", path(file)]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("spawned");
    let status = format!("/proc/{}/status", child.id().expect("it runs"));
    let mut most = 0;
    let mut done = std::pin::pin!(child.wait_with_output());
    let done = loop {
        let tick = tokio::time::sleep(Duration::from_millis(2));
        tokio::select! {
            biased;
            done = &mut done => break done.expect("it ended"),
            () = tick => {}
        }
        let told = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = told.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
        most = most.max(peak.unwrap_or(0));
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let exit = done.status.code().unwrap_or(-1);
    (Finished { out: text(done.stdout), err: text(done.stderr), exit }, most)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_only_lengthen_a_name_is_not_read() {
    let (site, bytes, folder) = backed_up().await;
    let (manifest, store) = inside(&bytes);
    let (_, usual) = watched(&site, &written(&folder, &bytes)).await;
    assert!(usual > 0, "it was watched");
    let zeros = zstd::encode_all(vec![0; 16 * 1024 * 1024].as_slice(), 3).expect("a frame");
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
        let mut header = Header::new_gnu();
        header.set_path("././@LongLink").expect("a name");
        header.set_entry_type(kind);
        header.set_size(2 * 1024 * 1024 * 1024);
        header.set_cksum();
        // Frames one after another are read as one.
        let mut bomb = zstd::encode_all(header.as_bytes().as_slice(), 3).expect("a frame");
        bomb.extend(zeros.repeat(128));
        let text = manifest.to_string();
        let rest = sealed(&[plain("manifest.json", text.as_bytes()), plain("store.redb", &store)]);
        bomb.extend(&rest[..rest.len() - 52]);
        let file = written(&folder, &seal(bomb));
        let looked = tokio::time::timeout(Duration::from_secs(20), watched(&site, &file)).await;
        let (done, most) = looked.expect("it is refused at once");
        assert_eq!(done.exit, 65, "{done:?}");
        assert!(done.err.contains("does not belong into an archive"), "{done:?}");
        assert!(most < usual + 100 * 1024, "{most} KiB, usually {usual}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_pages_with_right_sums_are_told_as_damage_and_in_no_other_words() {
    const PAGE: usize = 4096;
    let (site, bytes, folder) = backed_up().await;
    let (manifest, store) = inside(&bytes);
    let mut chance = StdRng::seed_from_u64(SEED);
    for round in 0..24 {
        let (mut manifest, mut store) = (manifest.clone(), store.clone());
        let pages = store.len() / PAGE;
        let (one, other) = (chance.random_range(1..pages), chance.random_range(1..pages));
        if round % 2 == 0 {
            let copied = store[other * PAGE..(other + 1) * PAGE].to_vec();
            store[one * PAGE..(one + 1) * PAGE].copy_from_slice(&copied);
        } else {
            for byte in &mut store[one * PAGE..one * PAGE + 16] {
                *byte ^= 0xFF;
            }
        }
        manifest["store"]["sha256"] = json!(sha256_hex(&store));
        let text = manifest.to_string();
        let forged =
            sealed(&[plain("manifest.json", text.as_bytes()), plain("store.redb", &store)]);
        let file = written(&folder, &forged);
        let done = site.cli(&["backup", "--verify", path(&file)]).await;
        assert!(done.exit == 65 || done.exit == 0, "round {round}: {done:?}");
        assert!(!done.err.contains("panicked"), "round {round}: {done:?}");
        assert!(done.err.lines().count() <= 3, "round {round}: {done:?}");
    }
}

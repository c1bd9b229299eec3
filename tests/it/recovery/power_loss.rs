//! Power cuts at any write or sync, also while the store recovers from the cut before.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::disk::{Disk, Loss};
use super::history::History;
use super::{is_deep, open_on};

/// Opens a disk, with the power going again during some openings.
fn recovered(mut disk: Disk, chance: &mut StdRng, cuts: &mut u64) -> Disk {
    for _ in 0..2 {
        if chance.random_bool(0.5) {
            disk.power_for(chance.random_range(0..12));
            drop(open_on(&disk));
            disk.cut();
            *cuts += 1;
            let loss = Loss::EACH[chance.random_range(0..3)];
            disk = disk.after_power_loss(loss, chance.random());
        }
    }
    disk
}

/// One life of a store with up to three cuts.
async fn life(seed: u64, cuts: &mut u64) -> Result<usize, String> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut disk = Disk::default();
    let mut history = History::default();
    drop(open_on(&disk).map_err(|error| format!("a new store: {error}"))?);
    for _ in 0..chance.random_range(1..=3) {
        let store = open_on(&disk).map_err(|error| format!("opening: {error}"))?;
        disk.power_for(chance.random_range(0..200));
        history.write(&store, 8).await;
        disk.cut();
        *cuts += 1;
        store.close().await;
        let loss = Loss::EACH[chance.random_range(0..3)];
        disk = recovered(disk.after_power_loss(loss, chance.random()), &mut chance, cuts);
        let store = open_on(&disk).map_err(|error| format!("reopening: {error}"))?;
        history.verify(&store).await?;
        store.close().await;
    }
    Ok(history.acknowledged())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_cuts_lose_nothing_that_was_acknowledged() {
    let wanted = if is_deep() { 10_000 } else { 200 };
    let (mut cuts, mut seed, mut acknowledged) = (0, 0, 0);
    while cuts < wanted {
        match life(seed, &mut cuts).await {
            Ok(count) => acknowledged += count,
            Err(what) => panic!("seed {seed}: {what}"),
        }
        seed += 1;
    }
    eprintln!("{cuts} power cuts, {acknowledged} acknowledged units, none lost");
    assert!(acknowledged as u64 > cuts * 2, "the cuts came too early");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_lies_about_syncs_is_caught() {
    let (lives, mut caught) = (40, 0);
    for seed in 0..lives {
        let disk = Disk::default();
        drop(open_on(&disk).expect("a new store"));
        disk.lie();
        let store = open_on(&disk).expect("it opens");
        let mut history = History::default();
        history.write(&store, 3).await;
        assert!(history.acknowledged() > 0, "a lying disk acknowledges");
        disk.cut();
        store.close().await;
        let loss = if seed % 2 == 0 { Loss::All } else { Loss::Torn };
        let found = match open_on(&disk.after_power_loss(loss, seed)) {
            Ok(store) => history.verify(&store).await,
            Err(error) => Err(error.to_string()),
        };
        caught += usize::from(found.is_err());
    }
    assert!(caught >= 40, "only {caught} of {lives} losses were seen");
}

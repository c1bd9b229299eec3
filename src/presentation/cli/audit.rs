//! `audit …`: who did what, and whether the record of it is whole.
//!
//! Invariant: a file is verified without a server, from its own bytes.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::args::{AuditCommand, AuditListArgs};
use super::claims::{claimed, lines};
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{line, plain, relative};
use super::output::Printer;
use crate::domain::audit::checkpoint::Verify;
use crate::domain::audit::tail::Tail;
use crate::domain::audit::walk::{Spelled, Walk};
use crate::domain::canonical::{canonical, from_hex, hex};
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;

/// Longest line of an export that is read.
const MAX_LINE: u64 = 16 * 1024 * 1024;

/// Runs `audit …` against a server.
pub(super) async fn run(
    command: AuditCommand,
    client: &Client,
    verifier: Verify,
    printer: &Printer,
) -> Result<u8, CliError> {
    match command {
        AuditCommand::List(args) => list(args, client, printer).await,
        AuditCommand::Verify { file: Some(file), head, signer } => {
            verify_file(&file, head, (signer.as_deref(), verifier), printer)
        }
        AuditCommand::Verify { file: None, head, .. } => {
            verify(head, client, verifier, printer).await
        }
        AuditCommand::Export { file } => export(&file, client, printer).await,
    }
}

async fn list(args: AuditListArgs, client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let AuditListArgs { after, action, actor, subject, outcome, limit } = args;
    let mut query = vec![("limit", limit.to_string())];
    query.extend(after.map(|after| ("after", after.to_string())));
    for (name, value) in
        [("action", action), ("actor", actor), ("subject", subject), ("outcome", outcome)]
    {
        query.extend(value.map(|value| (name, value)));
    }
    let page = client.get(&["audit"], &query).await?;
    if printer.is_json() {
        printer.json(&page);
        return Ok(code::OK);
    }
    let now = client.clock.now();
    let row = |entry: &Value| {
        let reason = plain(&entry["reason"]);
        let reason = match entry["after"]["repeated"].as_u64() {
            Some(count) => format!("{count} more: {reason}"),
            None => reason,
        };
        vec![
            plain(&entry["seq"]),
            relative(&entry["at"], now),
            line(&plain(&entry["actor"]["id"]), 36),
            line(&plain(&entry["action"]), 40),
            plain(&entry["outcome"]),
            line(&plain(&entry["subject"]["id"]), 36),
            line(&reason, 40),
        ]
    };
    let rows: Vec<Vec<String>> = page["items"].as_array().into_iter().flatten().map(row).collect();
    printer.table(&["SEQ", "WHEN", "WHO", "ACTION", "OUTCOME", "SUBJECT", "REASON"], &rows);
    Ok(code::OK)
}

async fn verify(
    head: Option<String>,
    client: &Client,
    verifier: Verify,
    printer: &Printer,
) -> Result<u8, CliError> {
    let verdict = client.get(&["audit", "verify"], &[]).await?;
    if head.is_none() || verdict["intact"].as_bool() != Some(true) {
        return tell(&verdict, printer);
    }
    // Whether a hash of then is in the chain is seen by looking at its entries.
    let signer = verdict["signed_by"].as_str().and_then(from_hex);
    let mut walk = Chain::new(head, signer, verifier);
    each(client, |entry| walk.take(entry)).await?;
    let seen = walk.verdict();
    tell(if seen["intact"].as_bool() == Some(true) { &verdict } else { &seen }, printer)
}

/// Hands over every entry, until it says that it has seen enough.
async fn each(client: &Client, mut take: impl FnMut(&Value) -> bool) -> Result<(), CliError> {
    let mut after = 0;
    loop {
        let query = [("after", after.to_string()), ("limit", "200".to_owned())];
        let page = client.get(&["audit"], &query).await?;
        for entry in page["items"].as_array().into_iter().flatten() {
            if !take(entry) {
                return Ok(());
            }
        }
        match (page["has_more"].as_bool(), page["next_after"].as_u64()) {
            (Some(true), Some(next)) => after = next,
            _ => return Ok(()),
        }
    }
}

async fn export(file: &Path, client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let failed = |error: std::io::Error| {
        CliError::new(code::FAILED, format!("{} could not be written: {error}", file.display()))
            .remedy("name a file that does not exist yet, in a folder of yours")
    };
    // Whoever may not read it leaves no file behind.
    client.get(&["audit"], &[("limit", "1".to_owned())]).await?;
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let opened = opened.map_err(failed)?;
    let mut out = BufWriter::new(opened);
    let (mut count, mut trouble) = (0_u64, None);
    let written = each(client, |entry| {
        count += 1;
        trouble = writeln!(out, "{entry}").err();
        trouble.is_none()
    });
    written.await?;
    match trouble {
        Some(error) => return Err(failed(error)),
        None => out.flush().and_then(|()| out.get_ref().sync_all()).map_err(failed)?,
    }
    if printer.is_json() {
        printer.json(&json!({ "entries": count, "file": file }));
    } else {
        printer.note(format!("{count} entries are in {}", file.display()));
    }
    Ok(code::OK)
}

/// Runs `audit verify --file FILE`.
pub(super) fn verify_file(
    file: &Path,
    head: Option<String>,
    (signer, verifier): (Option<&str>, Verify),
    printer: &Printer,
) -> Result<u8, CliError> {
    let signer = signer.map(|text| {
        from_hex(text).ok_or_else(|| {
            CliError::new(code::USAGE, "`--signer` takes the 64 digits of a public key")
                .remedy("`orchestrator audit verify` of the server shows it")
        })
    });
    let signer = signer.transpose()?;
    let unreadable = |error: std::io::Error| {
        CliError::new(code::FAILED, format!("{} could not be read: {error}", file.display()))
    };
    let mut lines = BufReader::new(std::fs::File::open(file).map_err(unreadable)?);
    let mut walk = Chain::new(head, signer, verifier);
    let mut tail = Tail::default();
    loop {
        let mut bytes = Vec::new();
        let read = std::io::Read::take(&mut lines, MAX_LINE).read_until(b'\n', &mut bytes);
        if read.map_err(unreadable)? == 0 {
            break;
        }
        // What is no JSON is no entry, nor what says a name twice or is spelled in another way.
        let entry: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let is_as_exported = entry.to_string().as_bytes() == bytes.trim_ascii_end();
        let entry = if is_as_exported { entry } else { Value::Null };
        if !walk.take(&entry) {
            break;
        }
        let at = entry["at"].as_str().and_then(Timestamp::parse).unwrap_or(Timestamp::EPOCH);
        let vouched = walk.walk.vouched().map(|vouched| vouched.seq);
        tail.follow(walk.walk.last(), at, vouched);
    }
    if walk.walk.entries() == 0 && walk.first_bad.is_none() {
        let message = format!("{} holds no entry", file.display());
        return Err(CliError::new(code::DAMAGED, message)
            .remedy("`orchestrator audit export` writes such files"));
    }
    tell(&claimed(walk.verdict(), &tail, signer.is_some()), printer)
}

/// A chain of entries as they are spelled on the wire.
struct Chain {
    walk: Walk,
    first_bad: Option<u64>,
    /// A hash that has to be in it, until it was seen.
    wanted: Option<String>,
}

impl Chain {
    fn new(wanted: Option<String>, signer: Option<[u8; 32]>, verifier: Verify) -> Self {
        Self { walk: Walk::new(verifier, signer), first_bad: None, wanted }
    }

    /// Takes one more entry; `false` when there is no use in going on.
    fn take(&mut self, entry: &Value) -> bool {
        let text = |name: &str| entry[name].as_str().unwrap_or("");
        let mut bare = entry.clone();
        if let Some(members) = bare.as_object_mut() {
            members.remove("prev_hash");
            members.remove("hash");
        }
        let taken = self.walk.take(Spelled {
            tenant_id: TenantId::parse(text("tenant_id")).unwrap_or(TenantId::SYSTEM),
            seq: entry["seq"].as_u64().unwrap_or(0),
            at: Timestamp::parse(text("at")).unwrap_or(Timestamp::EPOCH),
            action: text("action"),
            after: entry.get("after"),
            prev_hash: text("prev_hash"),
            hash: text("hash"),
            canonical: &canonical(&bare),
        });
        self.first_bad = taken.err();
        if self.wanted.as_deref() == Some(text("hash")) && self.first_bad.is_none() {
            self.wanted = None;
        }
        self.first_bad.is_none()
    }

    fn verdict(&self) -> Value {
        // Without the entry that somebody knew, the end was cut off or all of it was written anew.
        let is_cut = self.first_bad.is_none() && self.wanted.is_some();
        let missing = is_cut.then_some(self.walk.last() + 1);
        let first_bad = self.first_bad.or_else(|| self.walk.end()).or(missing);
        let vouched = self.walk.vouched();
        json!({
            "intact": first_bad.is_none(), "entries": self.walk.entries(),
            "first": self.walk.first(), "head": self.walk.head(), "first_bad": first_bad,
            "begins_signed_by": self.walk.founder().map(|key| hex(&key)),
            "signed_up_to": vouched.map(|vouched| vouched.seq),
            "signed_by": vouched.map(|vouched| hex(&vouched.key)),
        })
    }
}

fn tell(verdict: &Value, printer: &Printer) -> Result<u8, CliError> {
    let entries = plain(&verdict["entries"]);
    if printer.is_json() {
        printer.json(verdict);
    }
    if verdict["intact"].as_bool() == Some(true) {
        if !printer.is_json() {
            printer.line(format!("{entries} entries, each as it was written"));
            if let (Some(first), Some(key)) =
                (verdict["first"].as_u64(), verdict["begins_signed_by"].as_str())
            {
                printer.line(format!("held from entry {first} on; the older ones, removed by retention, were signed by {key}"));
            }
            printer.line(format!("head {}", plain(&verdict["head"])));
            match (verdict["signed_up_to"].as_u64(), verdict["signed_by"].as_str()) {
                (Some(seq), Some(key)) => {
                    printer.line(format!("signed up to entry {seq} by {key}"));
                }
                _ => printer.note("none of them is signed, so that all could be written anew"),
            }
            for line in lines(verdict) {
                printer.line(line);
            }
        }
        return Ok(code::OK);
    }
    if let Some(problem) = verdict["problem"].as_str() {
        return Err(CliError::new(code::DAMAGED, problem).remedy(
            "name the key that `audit verify` of the server shows; a server signs its newest entries within a minute, and its chain from entry 1 on can be exported anew",
        ));
    }
    let bad = plain(&verdict["first_bad"]);
    Err(CliError::new(code::DAMAGED, format!("the chain breaks at entry {bad}: it is missing, out of place or changed"))
        .remedy("compare with an export or a backup from before; entries up to the one before it are as they were written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Vec<String> {
        let mut previous = crate::domain::audit::NO_HASH.to_owned();
        let entry = |seq: u64| {
            let bare = json!({ "seq": seq, "action": "pause", "outcome": "ok", "after": { "b": 1, "a": [seq] } });
            let hash = crate::domain::audit::link_hash(&previous, &canonical(&bare));
            let mut whole = bare;
            whole["prev_hash"] = json!(previous);
            whole["hash"] = json!(hash);
            previous = hash;
            whole.to_string()
        };
        (1..=12).map(entry).collect()
    }

    fn verdict(lines: &[String], head: Option<&str>) -> Value {
        let mut chain = Chain::new(head.map(str::to_owned), None, |_, _, _| false);
        for line in lines {
            if !chain.take(&serde_json::from_str(line).unwrap_or_default()) {
                break;
            }
        }
        chain.verdict()
    }

    #[test]
    fn every_changed_byte_is_found_at_its_entry_or_the_next() {
        let lines = chain();
        let intact = verdict(&lines, None);
        assert_eq!((&intact["intact"], &intact["entries"]), (&json!(true), &json!(12)));
        for (at, line) in lines.iter().enumerate() {
            for place in 0..line.len() {
                let mut lines = lines.clone();
                let mut bytes = line.clone().into_bytes();
                bytes[place] = if bytes[place] == b'7' { b'8' } else { b'7' };
                lines[at] = String::from_utf8_lossy(&bytes).into_owned();
                let found = verdict(&lines, None);
                assert_eq!(found["first_bad"], json!(at + 1), "byte {place} of {line}");
            }
        }
    }

    #[test]
    fn a_tail_that_was_cut_off_is_found_by_whoever_kept_a_hash() {
        let lines = chain();
        let head = verdict(&lines, None)["head"].as_str().expect("a hash").to_owned();
        assert_eq!(verdict(&lines, Some(&head))["intact"], json!(true));
        assert_eq!(verdict(&lines[..9], None)["intact"], json!(true), "nothing tells");
        assert_eq!(verdict(&lines[..9], Some(&head))["first_bad"], json!(10));
    }
}

//! `backup`, `restore`, `export` and `import`: the store as one file.
//!
//! Invariant: a backup has its name only when it was read back in full; a file that is there is
//! replaced only by a complete one, and only when that was asked for.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::args::{BackupArgs, ExportArgs, ImportArgs, RestoreArgs};
use super::client::Client;
use super::exit::{CliError, code};
use super::format::plain;
use super::output::{Printer, Spinner};
use super::{Context, Host};

/// So much of the end of a file is looked at.
const END_BYTES: usize = 64;
/// What a backup does not hold.
const NOT_IN_IT: [&str; 4] = [
    "git repositories and worktrees",
    "what agents keep for themselves",
    "settings",
    "key files: admin.key and others beside the store",
];

/// Runs `backup PATH` against a server.
pub(super) async fn backup(
    args: BackupArgs,
    client: &Client,
    context: &Context<'_>,
) -> Result<u8, CliError> {
    let BackupArgs { path, force, verify: _, reason } = args;
    if !force && path.exists() {
        return Err(taken(&path));
    }
    let mut partial = Partial::open(&path)?;
    let request = client.request(Method::POST, &["system", "backup"]);
    let request = request.json(&json!({ "reason": reason }));
    let bytes = fetch(client, request, &mut partial, "receiving the backup").await?.0;
    partial.file.sync_all().map_err(unwritten(&path))?;
    let manifest = patiently(context.host, &partial.path).await?;
    partial.name(&path, force)?;
    let told = json!({
        "file": path, "bytes": bytes, "manifest": manifest, "not_included": NOT_IN_IT,
    });
    tell(&told, context.printer, "is in");
    Ok(code::OK)
}

/// Runs `backup --verify PATH`, without a server.
pub(super) async fn verify(path: &Path, context: &Context<'_>) -> Result<u8, CliError> {
    let manifest = patiently(context.host, path).await?;
    let bytes = fs::metadata(path).map_or(0, |facts| facts.len());
    let told = json!({
        "file": path, "bytes": bytes, "manifest": manifest, "not_included": NOT_IN_IT,
    });
    tell(&told, context.printer, "is whole in");
    Ok(code::OK)
}

/// Runs `restore PATH`, without a server.
pub(super) async fn restore(args: RestoreArgs, context: &Context<'_>) -> Result<u8, CliError> {
    let spinner = Spinner::new("reading the backup and putting it back");
    let told = context.host.restore(args.path).await?;
    drop(spinner);
    let printer = context.printer;
    if printer.is_json() {
        printer.json(&told);
        return Ok(code::OK);
    }
    let (made_at, dir) = (plain(&told["manifest"]["made_at"]), plain(&told["data_dir"]));
    printer.line(format!("what was stored at {made_at} is in {dir}"));
    printer.note("put the key files back beside it: admin.key, and others that lay there");
    printer.note("keys that were revoked since then are valid again: revoke them again");
    Ok(code::OK)
}

/// Runs `export FILE` against a server.
pub(super) async fn export(
    args: ExportArgs,
    client: &Client,
    context: &Context<'_>,
) -> Result<u8, CliError> {
    let ExportArgs { file, redact, force } = args;
    if !force && file.exists() {
        return Err(taken(&file));
    }
    let tenant = context.connection.tenant.clone();
    let mut query = vec![("redact", redact.to_string())];
    query.extend(tenant.clone().map(|tenant| ("tenant", tenant)));
    let mut partial = Partial::open(&file)?;
    let request = client.request(Method::GET, &["system", "export"]).query(&query);
    let (bytes, end) = fetch(client, request, &mut partial, "receiving the export").await?;
    let end = String::from_utf8_lossy(&end).into_owned();
    let last: Option<Value> =
        end.trim_end().rsplit('\n').next().and_then(|last| serde_json::from_str(last).ok());
    let Some(records) = last.and_then(|last| last["rows"].as_u64()) else {
        return Err(CliError::new(code::UNAVAILABLE, "the server broke off before the end")
            .remedy("its log says why; nothing was kept of it"));
    };
    partial.file.sync_all().map_err(unwritten(&file))?;
    partial.name(&file, force)?;
    let printer = context.printer;
    if printer.is_json() {
        printer.json(&json!({
            "file": file, "bytes": bytes, "records": records, "tenant": tenant, "redacted": redact,
        }));
        return Ok(code::OK);
    }
    let whose = tenant.map_or("all tenants".to_owned(), |tenant| format!("the tenant {tenant}"));
    printer.line(format!("{records} records of {whose} are in {}", file.display()));
    Ok(code::OK)
}

/// Runs `import FILE`, without a server.
pub(super) async fn import(args: ImportArgs, context: &Context<'_>) -> Result<u8, CliError> {
    let spinner = Spinner::new("reading the export");
    let told = context.host.import(args.file).await?;
    drop(spinner);
    let printer = context.printer;
    if printer.is_json() {
        printer.json(&told);
        return Ok(code::OK);
    }
    let (records, dir) = (plain(&told["records"]), plain(&told["data_dir"]));
    printer.line(format!("{records} records are in {dir}"));
    if told["webhooks_without_secret"].as_u64() > Some(0) {
        printer.note("webhooks have no secrets any more: rotate each of them");
    }
    if told["damaged"].as_u64() > Some(0) {
        printer.note(format!("{} were damaged where they came from", plain(&told["damaged"])));
    }
    printer.note("name the administrator's key at the first start: ORCHESTRATOR_ADMIN_KEY");
    Ok(code::OK)
}

/// Reads an archive, with a sign of life.
async fn patiently(host: &dyn Host, path: &Path) -> Result<Value, CliError> {
    let _spinner = Spinner::new("reading the backup in full");
    host.verify_archive(path.to_owned()).await
}

fn tell(told: &Value, printer: &Printer, how: &str) {
    if printer.is_json() {
        return printer.json(told);
    }
    let manifest = &told["manifest"];
    let rows: u64 =
        manifest["tables"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
    let (made_at, file) = (plain(&manifest["made_at"]), plain(&told["file"]));
    let kib = told["bytes"].as_u64().unwrap_or(0).div_ceil(1024);
    printer.line(format!("what was stored at {made_at} {how} {file}: {rows} rows, {kib} KiB"));
    let damaged = manifest["damaged"].as_u64().unwrap_or(0);
    if damaged > 0 {
        printer.note(format!("{damaged} of them were damaged before and are in it as they are"));
    }
    printer.note(format!("not in it: {}", NOT_IN_IT.join("; ")));
}

/// Receives a file; returns how many bytes it has, and the last of them.
async fn fetch(
    client: &Client,
    request: RequestBuilder,
    partial: &mut Partial,
    what: &str,
) -> Result<(u64, Vec<u8>), CliError> {
    let began = client.clock.now();
    let mut answer = client.send(request).await?;
    let (mut bytes, mut spinner, mut end) = (0, None, Vec::new());
    while let Some(part) = answer.chunk().await.map_err(|error| client.unreachable(&error))? {
        partial.file.write_all(&part).map_err(unwritten(&partial.path))?;
        bytes += u64::try_from(part.len()).unwrap_or(0);
        end.extend_from_slice(&part[part.len().saturating_sub(END_BYTES)..]);
        end.drain(..end.len().saturating_sub(END_BYTES));
        if client.clock.now().since(began) > Duration::from_secs(1) {
            let spinner = spinner.get_or_insert_with(|| Spinner::new(what));
            spinner.say(&format!("{what}: {} MiB", bytes / (1024 * 1024)));
        }
    }
    Ok((bytes, end))
}

/// The file of a backup that is not complete; it goes away with the value.
struct Partial {
    path: PathBuf,
    file: File,
    is_named: bool,
}

impl Partial {
    fn open(path: &Path) -> Result<Self, CliError> {
        let name = path
            .file_name()
            .ok_or_else(|| CliError::usage(format!("{} is no name of a file", path.display())))?;
        let partial = path.with_file_name(format!(".{}.partial", name.to_string_lossy()));
        if fs::symlink_metadata(&partial).is_ok_and(|facts| !facts.is_file()) {
            let text = format!("{} is in the way", partial.display());
            return Err(CliError::new(code::FAILED, text).remedy("remove it, or name another file"));
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&partial);
        let file = file.map_err(unwritten(path))?;
        if file.try_lock().is_err() {
            let text = format!("another backup is being written to {}", path.display());
            return Err(
                CliError::new(code::FAILED, text).remedy("wait for it, or name another file")
            );
        }
        // What a command left that was killed.
        file.set_len(0).map_err(unwritten(path))?;
        Ok(Self { path: partial, file, is_named: false })
    }

    /// Gives it its name.
    fn name(&mut self, path: &Path, force: bool) -> Result<(), CliError> {
        let named = if force {
            fs::rename(&self.path, path)
        } else {
            // Unlike renaming, this never replaces anything.
            fs::hard_link(&self.path, path).and_then(|()| fs::remove_file(&self.path))
        };
        match named {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(taken(path)),
            named => named.map_err(unwritten(path))?,
        }
        self.is_named = true;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        folder.and_then(|folder| folder.sync_all()).map_err(unwritten(path))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_named {
            drop(fs::remove_file(&self.path));
        }
    }
}

fn taken(path: &Path) -> CliError {
    CliError::new(code::FAILED, format!("{} is there already", path.display()))
        .remedy("name another file, or say --force to replace it")
}

fn unwritten(path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let text = path.display().to_string();
    move |error| {
        CliError::new(code::FAILED, format!("{text} could not be written: {error}"))
            .remedy("make room, or name a file in a folder of yours")
    }
}

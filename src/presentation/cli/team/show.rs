//! `team show`: who is there, who is invited, which programs have keys, and what is left of the quotas.

use serde_json::{Value, json};

use crate::presentation::cli::client::Client;
use crate::presentation::cli::exit::{CliError, code};
use crate::presentation::cli::format::{line, plain, relative};
use crate::presentation::cli::output::{BOLD, Printer, painted};
use crate::presentation::cli::user::state;

/// Runs `team show`.
pub(super) async fn run(client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let path = ["tenants", client.tenant()];
    let tenant = client.get(&path, &[]).await?;
    let quotas = client.get(&[path[0], path[1], "quotas"], &[]).await?;
    let users = client.all(&["users"]).await?;
    let invites = client.all(&["invites"]).await?;
    let mut services = client.all_of(&["keys"], &[("kind", "key")]).await?;
    let is_service = |key: &Value| key["user_id"].is_null() && key["revoked_at"].is_null();
    services.retain(|key| is_service(key) && key["kind"] == json!("key"));
    if printer.is_json() {
        printer.json(&json!({
            "tenant": tenant, "quotas": quotas,
            "users": users, "invites": invites, "services": services,
        }));
        return Ok(code::OK);
    }
    let title = format!("{} ({})", plain(&tenant["name"]), plain(&tenant["slug"]));
    printer.line(painted(&line(&title, 200), BOLD));
    let now = client.clock.now();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for user in &users {
        let name = line(&plain(&user["full_name"]), 40);
        rows.push(row(&user["email"], &user["role"], state(user), name));
    }
    for invite in &invites {
        let end = relative(&invite["expires_at"], now);
        let is_over = !end.starts_with("in ");
        let told = if is_over { "invitation over" } else { "invited" };
        rows.push(row(&invite["email"], &invite["role"], told, format!("ends {end}")));
    }
    for key in &services {
        let used = format!("used {}", relative(&key["last_used_at"], now));
        rows.push(row(&key["name"], &key["role"], "service", used));
    }
    printer.table(&["WHO", "ROLE", "STATE", ""], &rows);
    let used = quotas["used"].as_object().into_iter().flatten();
    let bound = |name: &str| {
        let limit = Some(&quotas[name]).filter(|limit| !limit.is_null());
        limit.map_or_else(|| "none".to_owned(), plain)
    };
    let rows: Vec<Vec<String>> =
        used.map(|(name, used)| vec![name.clone(), plain(used), bound(name)]).collect();
    printer.table(&["QUOTA", "USED", "LIMIT"], &rows);
    Ok(code::OK)
}

fn row(name: &Value, role: &Value, state: &str, more: String) -> Vec<String> {
    vec![line(&plain(name), 60), plain(role), state.to_owned(), more]
}

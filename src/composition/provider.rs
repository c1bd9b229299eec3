//! The identity provider of a server: made from the settings, and looked at by `doctor`.

use std::fs;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::graph::Graph;
use super::settings::{OidcSettings, Settings};
use crate::application::identity::provider::{ProviderOptions, ProviderSignIn};
use crate::application::ports::clock::Clock;
use crate::application::ports::identity_provider::IdentityProvider as _;
use crate::application::ports::sealer::Sealer;
use crate::infrastructure::oidc::{OidcOptions, OidcProvider};
use crate::presentation::cli::doctor::Check;
use crate::presentation::cli::exit::{CliError, code};

/// Largest file with a secret.
const LARGEST_SECRET: u64 = 4096;

/// Signing in through the provider that the settings name; nothing is asked of it yet.
pub(super) fn sign_in(
    settings: &Settings,
    graph: &Graph,
    sealer: Arc<dyn Sealer>,
) -> Result<Option<ProviderSignIn>, CliError> {
    let Some(wanted) = &settings.oidc else { return Ok(None) };
    let provider = provider(wanted, settings, Arc::clone(&graph.clock))?;
    let options = ProviderOptions {
        name: wanted.name.clone(),
        tenant: wanted.tenant.clone(),
        email_domains: wanted.email_domains.clone(),
    };
    let world = (Arc::clone(&graph.clock), Arc::clone(&graph.ids));
    let identity = graph.identity.clone();
    Ok(Some(ProviderSignIn::new(identity, Arc::new(provider), sealer, world, options)))
}

fn provider(
    wanted: &OidcSettings,
    settings: &Settings,
    clock: Arc<dyn Clock>,
) -> Result<OidcProvider, CliError> {
    let mut options = OidcOptions::new(wanted.issuer.clone(), wanted.client_id.clone());
    options.client_secret = secret(wanted)?;
    options.scopes.clone_from(&wanted.scopes);
    settings.redactor.learn(options.client_secret.iter().map(ExposeSecret::expose_secret));
    OidcProvider::new(options, clock).map_err(|error| {
        CliError::new(code::UNAVAILABLE, format!("the HTTP client failed: {error}"))
            .remedy("see what `orchestrator doctor` says")
    })
}

/// The secret itself, or what its file holds.
fn secret(wanted: &OidcSettings) -> Result<Option<SecretString>, CliError> {
    let Some(file) = &wanted.client_secret_file else { return Ok(wanted.client_secret.clone()) };
    let read = || -> std::io::Result<String> {
        if fs::metadata(file)?.len() > LARGEST_SECRET {
            return Err(std::io::Error::other("it is larger than 4 KiB"));
        }
        fs::read_to_string(file)
    };
    let refused = |why: String| {
        let text = format!("auth.oidc.client_secret_file: {}: {why}", file.display());
        CliError::new(code::CONFIG, text)
            .remedy("name a file that holds the secret of the provider, and nothing else")
    };
    let text = read().map_err(|error| refused(error.to_string()))?;
    match text.trim() {
        "" => Err(refused("it is empty".to_owned())),
        secret => Ok(Some(SecretString::from(secret.to_owned()))),
    }
}

/// What `doctor` says of the provider; nothing when there is to be none.
pub(super) async fn check(settings: &Settings, clock: Arc<dyn Clock>) -> Option<Check> {
    const NAME: &str = "identity provider";
    let wanted = settings.oidc.as_ref()?;
    let found = match provider(wanted, settings, clock) {
        Ok(found) => found,
        Err(error) => return Some(Check::fail(NAME, error.message, "correct the settings")),
    };
    Some(match found.probe().await {
        Ok(()) if settings.server.public_url.is_none() && !settings.server.is_local() => {
            Check::warn(
                NAME,
                format!("{} answers; people come back to whatever name they called", wanted.issuer),
                "set server.public_url, and register its /login/oidc/callback with the provider",
            )
        }
        Ok(()) => Check::ok(NAME, format!("{} answers", wanted.issuer)),
        Err(error) => Check::fail(
            NAME,
            error.to_string(),
            "compare auth.oidc.issuer with what the provider calls itself, and see that it is reached",
        ),
    })
}

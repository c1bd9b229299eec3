//! `[auth.oidc]`: signing in through an identity provider. Without an issuer there is none.
//!
//! Invariant: what is wrong is told at the start, not to whoever signs in first.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::reader::Reader;
use crate::domain::tenant::is_slug;
use crate::infrastructure::oidc::checked_address;

/// Longest name on the button.
const LONGEST_NAME: usize = 60;

/// `[auth.oidc]`, once an issuer is named.
#[derive(Debug, Clone)]
pub struct OidcSettings {
    /// Address of the provider, as it calls itself.
    pub issuer: String,
    /// What it calls this server.
    pub client_id: String,
    /// What this server shows to it.
    pub client_secret: Option<SecretString>,
    /// A file with that in it.
    pub client_secret_file: Option<PathBuf>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// What people call it.
    pub name: String,
    /// The tenant that people come to.
    pub tenant: String,
    /// Domains of those who may come without an invitation, in lower case.
    pub email_domains: Vec<String>,
}

impl OidcSettings {
    pub(super) fn read(reader: &mut Reader<'_>, home: Option<&Path>) -> Option<Self> {
        let settings = Self {
            issuer: reader.text("auth.oidc.issuer"),
            client_id: reader.text("auth.oidc.client_id"),
            client_secret: reader.secret("auth.oidc.client_secret"),
            client_secret_file: reader.path("auth.oidc.client_secret_file", home),
            scopes: reader.list("auth.oidc.scopes"),
            name: reader.text("auth.oidc.name").trim().to_owned(),
            tenant: reader.text("auth.oidc.tenant"),
            email_domains: domains(reader),
        };
        if settings.issuer.is_empty() {
            settings.refuse_without_issuer(reader);
            return None;
        }
        settings.check(reader);
        Some(settings)
    }

    /// A client of nobody is a mistake: somebody believes that people can sign in.
    fn refuse_without_issuer(&self, reader: &mut Reader<'_>) {
        if !self.client_id.is_empty() {
            let message = "`auth.oidc.client_id` is set and `auth.oidc.issuer` is not; name the \
                           address of the provider, such as https://id.example.org";
            reader.refuse("auth.oidc.client_id", message);
        }
    }

    fn check(&self, reader: &mut Reader<'_>) {
        match checked_address(&self.issuer) {
            Ok(url) if url.query().is_none() => {}
            Ok(_) => {
                reader.refuse("auth.oidc.issuer", "`auth.oidc.issuer` may have no part behind ?");
            }
            Err(why) => {
                let message = format!(
                    "`auth.oidc.issuer`: {why}; only on this machine a provider is spoken to by http"
                );
                reader.refuse("auth.oidc.issuer", message);
            }
        }
        if self.client_id.is_empty() {
            let message = "`auth.oidc.issuer` needs `auth.oidc.client_id`, which the provider gives to \
                           this server when it is registered there";
            reader.refuse("auth.oidc.issuer", message);
        }
        if self.client_secret.is_some() && self.client_secret_file.is_some() {
            let message =
                "give `auth.oidc.client_secret` or `auth.oidc.client_secret_file`, not both";
            reader.refuse("auth.oidc.client_secret", message);
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            let message = "`auth.oidc.scopes` must name `openid`, or the provider signs nothing";
            reader.refuse("auth.oidc.scopes", message);
        }
        let of_scope = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        if let Some(bad) =
            self.scopes.iter().find(|scope| scope.is_empty() || !scope.bytes().all(of_scope))
        {
            let message = format!("`auth.oidc.scopes`: `{bad}` is no scope; list each by itself");
            reader.refuse("auth.oidc.scopes", message);
        }
        let length = self.name.chars().count();
        if !(1..=LONGEST_NAME).contains(&length) || self.name.chars().any(char::is_control) {
            let message = format!("`auth.oidc.name` must have 1 to {LONGEST_NAME} characters");
            reader.refuse("auth.oidc.name", message);
        }
        if !is_slug(&self.tenant) {
            let message = "`auth.oidc.tenant` must be the short name of a tenant, such as default";
            reader.refuse("auth.oidc.tenant", message);
        }
    }
}

fn domains(reader: &mut Reader<'_>) -> Vec<String> {
    let mut domains = Vec::new();
    for text in reader.list("auth.oidc.email_domains") {
        let domain = text.trim().to_ascii_lowercase();
        let of_domain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        if !domain.is_empty() && domain.bytes().all(of_domain) {
            domains.push(domain);
        } else {
            let message =
                format!("`auth.oidc.email_domains`: `{text}` is no domain such as example.org");
            reader.refuse("auth.oidc.email_domains", message);
        }
    }
    domains
}

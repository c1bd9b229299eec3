//! Somebody else who says who people are.
//!
//! Invariant: what is told of somebody was signed by the provider for this server and for this very
//! sign-in, and the provider vouches for the e-mail address.

use async_trait::async_trait;

/// One sign-in, from its beginning to its end. All but the address is secret until then.
#[derive(Clone, PartialEq, Eq)]
pub struct Flow {
    /// Comes back with the browser.
    pub state: String,
    /// Comes back in what the provider signs.
    pub nonce: String,
    /// Shows that whoever brings the code is who began.
    pub verifier: String,
    /// Where the browser comes back to.
    pub redirect_uri: String,
}

/// Somebody whom the provider knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// The provider's name for them, which it never gives to anybody else.
    pub subject: String,
    /// Their e-mail address, which the provider has verified.
    pub email: String,
    /// What they are called, when the provider says it.
    pub full_name: Option<String>,
}

/// Why nobody is vouched for. The texts are for those who run the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It does not answer, or not as a provider does.
    #[error("the identity provider cannot be used: {0}")]
    Unavailable(String),
    /// It does not take the code, or what it tells does not hold.
    #[error("the identity provider vouches for nobody: {0}")]
    NotVouched(String),
    /// It knows them, but vouches for no e-mail address of theirs.
    #[error("the identity provider vouches for no e-mail address of theirs")]
    NoEmail,
}

/// Says who people are.
#[async_trait]
pub trait IdentityProvider: Send + Sync {
    /// Its address, by which it is known.
    fn issuer(&self) -> &str;

    /// Whether it can be used now.
    ///
    /// # Errors
    /// `ProviderError::Unavailable`.
    async fn probe(&self) -> Result<(), ProviderError>;

    /// Where a browser signs in for this flow.
    ///
    /// # Errors
    /// `ProviderError::Unavailable`.
    async fn address(&self, flow: &Flow) -> Result<String, ProviderError>;

    /// Who came back with this code.
    ///
    /// # Errors
    /// `ProviderError`.
    async fn redeem(&self, code: &str, flow: &Flow) -> Result<Vouched, ProviderError>;
}

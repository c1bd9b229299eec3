//! Signing in through an identity provider: a browser is sent there and comes back with a code.
//!
//! What has to be known when it comes back travels with the browser, sealed: whoever begins a thousand
//! sign-ins and ends none costs the server no memory.
//!
//! Invariant: a sign-in ends in the browser that began it, within ten minutes, once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::IdentityService;
use super::admit::Arrival;
use super::browsers::SignedIn;
use crate::application::error::AppError;
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::identity_provider::{Flow, IdentityProvider, ProviderError};
use crate::application::ports::sealer::Sealer;
use crate::domain::canonical::sha256;
use crate::domain::time::Timestamp;

/// How long somebody may take to sign in there.
pub const FLOW_LIFE: Duration = Duration::from_mins(10);
/// What the flow is sealed for.
const PURPOSE: &[u8] = b"sign-in through an identity provider";
/// Sign-ins that are known to be over; the oldest make room.
const MOST_SPENT: usize = 10_000;

/// What may come of a sign-in.
#[derive(Debug, Clone)]
pub struct ProviderOptions {
    /// What people call the provider.
    pub name: String,
    /// The tenant that people come to, by its slug.
    pub tenant: String,
    /// Domains of those who may come without an invitation, in lower case.
    pub email_domains: Vec<String>,
}

/// A sign-in that has begun.
pub struct Begun {
    /// Where the browser goes.
    pub address: String,
    /// What it brings back.
    pub sealed: Vec<u8>,
}

/// A browser that came back.
pub struct Returned<'a> {
    /// What it was given on its way.
    pub sealed: &'a [u8],
    /// What the provider was given on its way.
    pub state: &'a str,
    /// The provider that says it has sent it, when it says so.
    pub issuer: Option<&'a str>,
    /// What it brings; an error of the provider when there is none.
    pub code: Option<&'a str>,
    /// What the browser is called.
    pub device: &'a str,
    /// Which request.
    pub request_id: &'a str,
}

/// Why a sign-in did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// It was begun elsewhere, too long ago, or is over.
    #[error("it was not begun by this browser, too long ago, or is over")]
    NotBegun,
    /// The provider let nobody in.
    #[error("the identity provider refused it")]
    Denied,
    /// The provider cannot be used, or vouches for nobody.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The provider knows them, and nobody here does.
    #[error("nobody here is known to the identity provider by this name or address")]
    NotKnown,
    /// Anything else.
    #[error(transparent)]
    App(#[from] AppError),
}

/// A flow as it travels.
#[derive(Serialize, Deserialize)]
struct Sealed {
    state: String,
    nonce: String,
    verifier: String,
    redirect_uri: String,
    began_at: i64,
}

/// Signing in through one provider.
#[derive(Clone)]
pub struct ProviderSignIn(Arc<Inner>);

struct Inner {
    identity: IdentityService,
    provider: Arc<dyn IdentityProvider>,
    sealer: Arc<dyn Sealer>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    options: ProviderOptions,
    spent: Mutex<HashMap<[u8; 32], Timestamp>>,
}

impl ProviderSignIn {
    /// Through this provider.
    #[must_use]
    pub fn new(
        identity: IdentityService,
        provider: Arc<dyn IdentityProvider>,
        sealer: Arc<dyn Sealer>,
        (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>),
        options: ProviderOptions,
    ) -> Self {
        let spent = Mutex::default();
        Self(Arc::new(Inner { identity, provider, sealer, clock, ids, options, spent }))
    }

    /// What people call the provider.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.options.name
    }

    /// What the tenant is called that people come to.
    #[must_use]
    pub fn tenant_name(&self) -> String {
        let slug = &self.0.options.tenant;
        self.0.identity.tenant(slug).map_or_else(|| slug.clone(), |tenant| tenant.name.clone())
    }

    /// Begins a sign-in that comes back to this address.
    ///
    /// # Errors
    /// `SignInError::Provider`, `SignInError::App`.
    pub async fn begin(&self, redirect_uri: String) -> Result<Begun, SignInError> {
        let Inner { provider, sealer, clock, ids, .. } = self.0.as_ref();
        let secret = || ids.secret().map_err(|error| AppError::Internal(Box::new(error)));
        let flow = Flow { state: secret()?, nonce: secret()?, verifier: secret()?, redirect_uri };
        let address = provider.address(&flow).await?;
        let Flow { state, nonce, verifier, redirect_uri } = flow;
        let began_at = clock.now().millis();
        let travels = Sealed { state, nonce, verifier, redirect_uri, began_at };
        let plain =
            serde_json::to_vec(&travels).map_err(|error| AppError::Internal(error.into()))?;
        let sealed = sealer.seal(&plain, PURPOSE);
        let sealed = sealed.map_err(|error| AppError::Internal(error.into()))?;
        Ok(Begun { address, sealed })
    }

    /// Ends a sign-in: asks the provider who it is, and signs the browser in.
    ///
    /// # Errors
    /// `SignInError`.
    pub async fn finish(&self, returned: &Returned<'_>) -> Result<SignedIn, SignInError> {
        let Inner { identity, provider, options, .. } = self.0.as_ref();
        let flow = self.opened(returned).ok_or(SignInError::NotBegun)?;
        if returned.issuer.is_some_and(|issuer| issuer != provider.issuer()) {
            return Err(SignInError::Denied);
        }
        let code = returned.code.ok_or(SignInError::Denied)?;
        let vouched = provider.redeem(code, &flow).await?;
        let arrival = Arrival {
            tenant: &options.tenant,
            issuer: provider.issuer(),
            vouched: &vouched,
            may_join: self.may_join(&vouched.email),
            device: returned.device,
            request_id: returned.request_id,
        };
        identity.admit(&arrival).await?.ok_or(SignInError::NotKnown)
    }

    /// Whether the domain of an address is one of those who may come without an invitation.
    fn may_join(&self, email: &str) -> bool {
        let domain = email.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
        domain.is_some_and(|domain| self.0.options.email_domains.contains(&domain))
    }

    /// The flow that a browser brings back; it is over with that.
    fn opened(&self, returned: &Returned<'_>) -> Option<Flow> {
        let Inner { sealer, clock, .. } = self.0.as_ref();
        let plain = sealer.open(returned.sealed, PURPOSE).ok()?;
        let Sealed { state, nonce, verifier, redirect_uri, began_at } =
            serde_json::from_str(&plain).ok()?;
        let (now, began) = (clock.now(), Timestamp::from_millis(began_at));
        let hash = sha256(state.as_bytes());
        // Compared by hash, so that no time tells how much of it was right.
        let is_ours = hash == sha256(returned.state.as_bytes());
        let is_late = began > now || now.since(began) >= FLOW_LIFE;
        let flow = Flow { state, nonce, verifier, redirect_uri };
        (is_ours && !is_late && self.spend(hash, now)).then_some(flow)
    }

    /// Whether this is the first time that the flow comes back.
    fn spend(&self, hash: [u8; 32], now: Timestamp) -> bool {
        let mut spent = self.0.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.contains_key(&hash) {
            return false;
        }
        if spent.len() >= MOST_SPENT {
            spent.retain(|_, at| now.since(*at) < FLOW_LIFE);
            let oldest = spent.iter().min_by_key(|(_, at)| **at).map(|(hash, _)| *hash);
            oldest.filter(|_| spent.len() >= MOST_SPENT).and_then(|hash| spent.remove(&hash));
        }
        spent.insert(hash, now);
        true
    }
}

//! Pages: limits, and cursors that nobody can read, guess or use elsewhere.
//!
//! Invariant: a cursor holds for one tenant and one query; anything else is refused as malformed.

use axum::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::params::Params;
use crate::domain::ids::TenantId;

/// First byte of a cursor; another layout gets another one.
const VERSION: u8 = 1;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items in order.
    pub items: Vec<T>,
    /// Send it as `cursor` to get the next page; null on the last one.
    pub next_cursor: Option<String>,
    /// Whether there is a next page. A page may be short and still have one.
    pub has_more: bool,
    /// All that match, when asked for with `count=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl<T> Page<T> {
    /// A list that always fits on one page.
    #[must_use]
    pub const fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None, has_more: false, total: None }
    }
}

/// The tenant and the query that a cursor belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Scope([u8; 16]);

impl Scope {
    /// The scope of a list: tenant, path and every parameter but those that move through it.
    #[must_use]
    pub fn of(tenant: TenantId, uri: &Uri) -> Self {
        let query = uri.query().unwrap_or("");
        let mut pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .filter(|(name, _)| !matches!(name.as_str(), "cursor" | "limit" | "count"))
            .collect();
        pairs.sort();
        let mut hash = Sha256::new();
        hash.update(tenant.as_bytes());
        hash.update(uri.path().as_bytes());
        for (name, value) in pairs {
            hash.update([0]);
            hash.update(name.as_bytes());
            hash.update([1]);
            hash.update(value.as_bytes());
        }
        let mut scope = [0; 16];
        scope.copy_from_slice(&hash.finalize()[..16]);
        Self(scope)
    }

    /// The cursor behind this item.
    #[must_use]
    pub fn cursor(&self, last: Uuid) -> String {
        let mut bytes = [0; 41];
        bytes[0] = VERSION;
        bytes[1..17].copy_from_slice(last.as_bytes());
        bytes[17..33].copy_from_slice(&self.0);
        let sum = Sha256::digest(&bytes[..33]);
        bytes[33..].copy_from_slice(&sum[..8]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The item that a cursor stands behind.
    fn open(&self, cursor: &str) -> Option<Uuid> {
        let bytes: [u8; 41] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
        let sum = Sha256::digest(&bytes[..33]);
        let whole = bytes[33..] == sum[..8];
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[1..17]);
        (whole && bytes[0] == VERSION && bytes[17..33] == self.0).then(|| Uuid::from_bytes(id))
    }

    /// The cursor behind an item that is known by a text.
    #[must_use]
    pub fn text_cursor(&self, last: &str) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.0);
        bytes.extend(last.as_bytes());
        let sum = Sha256::digest(&bytes);
        bytes.extend(&sum[..8]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn open_text(&self, cursor: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (told, sum) = bytes.split_at_checked(bytes.len().checked_sub(8)?)?;
        let is_whole = sum == &Sha256::digest(told)[..8];
        let text = told.strip_prefix(&[VERSION])?.strip_prefix(&self.0[..])?;
        is_whole.then(|| String::from_utf8(text.to_vec()).ok())?
    }

    /// Takes `cursor` from the parameters of a list of things that are known by texts.
    pub fn take_text(&self, params: &mut Params) -> Option<String> {
        let given = params.text("cursor")?;
        let text = self.open_text(&given);
        if text.is_none() {
            let message = "does not belong to this list; begin again without it";
            params.wrong("cursor", "invalid", message);
        }
        text
    }

    /// Takes `cursor` from the parameters.
    pub fn take(&self, params: &mut Params) -> Option<Uuid> {
        let text = params.text("cursor")?;
        let id = self.open(&text);
        if id.is_none() {
            let message = "does not belong to this list; begin again without it";
            params.wrong("cursor", "invalid", message);
        }
        id
    }
}

/// Takes `limit` from the parameters: 1–200, 50 when omitted.
pub fn limit(params: &mut Params) -> usize {
    let limit = params.integer("limit").unwrap_or(50);
    if !(1..=200).contains(&limit) {
        params.wrong("limit", "out_of_range", "must be between 1 and 200");
    }
    usize::try_from(limit).unwrap_or(200).clamp(1, 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_holds_for_its_own_list_alone() {
        let uri = |text: &str| -> Uri { text.parse().expect("valid") };
        let list = Scope::of(TenantId::BOOTSTRAP, &uri("/a?status=running&limit=2"));
        let id = Uuid::from_u128(7);
        let cursor = list.cursor(id);
        let again = Scope::of(TenantId::BOOTSTRAP, &uri("/a?cursor=x&limit=9&status=running"));
        assert_eq!(again.open(&cursor), Some(id));
        let other = TenantId::new(Uuid::from_u128(2));
        for foreign in [
            Scope::of(other, &uri("/a?status=running")),
            Scope::of(TenantId::BOOTSTRAP, &uri("/a?status=paused")),
            Scope::of(TenantId::BOOTSTRAP, &uri("/b?status=running")),
        ] {
            assert_eq!(foreign.open(&cursor), None);
        }
        for broken in ["", "x", "!!!!", &cursor[1..], &format!("{cursor}A")] {
            assert_eq!(list.open(broken), None, "{broken}");
        }
    }
}

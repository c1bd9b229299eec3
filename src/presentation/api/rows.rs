//! Sessions as JSON, kept as long as nothing about them can change: what dashboards and scripts ask
//! for again and again is spelled once.
//!
//! A spelling belongs to one version of a session and one role, and is kept only when the moment of
//! looking does not matter. Invariant: what is kept is bounded in bytes; a row that was not asked for
//! while as much again was kept goes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::answer::Viewer;
use super::dto::session::SessionDto;
use super::json;
use super::page::Page;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::Session;
use crate::domain::tenant::key::Role;
use crate::domain::version::Versioned;

/// Bytes of the younger half of what is kept; the older half is at most as large.
const KEPT_BYTES: usize = 6 * 1024 * 1024;
/// How a list spells that children were not read.
const NO_CHILDREN: &[u8] = b"\"child_ids\":null";

/// Which spelling of which session.
type Key = (TenantId, SessionId, u64, Role);

#[derive(Default)]
struct Halves {
    young: HashMap<Key, Bytes>,
    old: HashMap<Key, Bytes>,
    young_bytes: usize,
}

impl Halves {
    fn get(&mut self, key: Key) -> Option<Bytes> {
        if let Some(row) = self.young.get(&key) {
            return Some(row.clone());
        }
        let row = self.old.remove(&key)?;
        self.put(key, row.clone());
        Some(row)
    }

    fn put(&mut self, key: Key, row: Bytes) {
        if self.young_bytes + row.len() > KEPT_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += row.len();
        self.young.insert(key, row);
    }
}

/// The rows that are kept.
#[derive(Default)]
pub struct SessionRows(Mutex<Halves>);

impl SessionRows {
    /// A session as a list shows it.
    ///
    /// # Errors
    /// For values that JSON has no spelling for.
    pub fn row(&self, found: Versioned<Session>, viewer: Viewer) -> serde_json::Result<Bytes> {
        let session = &found.value;
        let key = (session.tenant_id, session.id, found.version.get(), viewer.role);
        let is_settled = session.run.attempt == 0 || session.status().is_terminal();
        if !is_settled {
            return Ok(json::bytes(&SessionDto::new(found, None, viewer))?.into());
        }
        if let Some(row) = self.halves().get(key) {
            return Ok(row);
        }
        let spelled = json::bytes(&SessionDto::new(found, None, viewer))?;
        let row = Bytes::copy_from_slice(&spelled); // without the room that was left
        self.halves().put(key, row.clone());
        Ok(row)
    }

    /// A session with its children.
    ///
    /// # Errors
    /// For values that JSON has no spelling for.
    pub fn detail(
        &self,
        found: Versioned<Session>,
        children: &[SessionId],
        viewer: Viewer,
    ) -> serde_json::Result<Vec<u8>> {
        let row = self.row(found, viewer)?;
        // Before this field there are only fixed names, words and texts, and a quote within a text is
        // spelled with a backslash: the first place is the field's.
        let place = row.windows(NO_CHILDREN.len()).position(|part| part == NO_CHILDREN);
        let Some(place) = place else { return Ok(row.into()) };
        let (before, after) = row.split_at(place + NO_CHILDREN.len() - b"null".len());
        let mut body = Vec::with_capacity(row.len() + 40 * children.len());
        body.extend_from_slice(before);
        serde_json::to_writer(&mut body, children)?;
        body.extend_from_slice(after.get(b"null".len()..).unwrap_or_default());
        Ok(body)
    }

    fn halves(&self) -> std::sync::MutexGuard<'_, Halves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A page whose rows are spelled already.
///
/// # Errors
/// For values that JSON has no spelling for.
pub fn page(rows: &[Bytes], rest: &Page<()>) -> serde_json::Result<Vec<u8>> {
    let Page { items: _, next_cursor, has_more, total } = rest;
    let room = rows.iter().map(|row| row.len() + 1).sum::<usize>() + 512;
    let mut body = Vec::with_capacity(room);
    body.extend_from_slice(b"{\"items\":[");
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(row);
    }
    body.extend_from_slice(b"],\"next_cursor\":");
    serde_json::to_writer(&mut body, next_cursor)?;
    body.extend_from_slice(b",\"has_more\":");
    serde_json::to_writer(&mut body, has_more)?;
    if let Some(total) = total {
        body.extend_from_slice(b",\"total\":");
        serde_json::to_writer(&mut body, total)?;
    }
    body.push(b'}');
    Ok(body)
}

/// JSON that is spelled already, as an answer.
#[must_use]
pub fn answer(body: Vec<u8>) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], body).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::domain::session::draft::SessionDraft;
    use crate::domain::session::{Cause, Lineage, SessionCode};
    use crate::domain::time::Timestamp;
    use crate::domain::version::Version;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + millis)
    }

    fn viewer(role: Role, now: i64) -> Viewer {
        Viewer { role, now: at(now) }
    }

    fn session() -> Versioned<Session> {
        let trap = "\"child_ids\":null";
        let draft = SessionDraft {
            initial_prompt: format!("x {trap}"),
            description: Some(trap.to_owned()),
            metadata: json!({ "child_ids": null }).as_object().cloned().expect("an object"),
            ..SessionDraft::default()
        };
        let (id, tenant) = (SessionId::new(Uuid::from_u128(7)), TenantId::BOOTSTRAP);
        let (code, spec) = (SessionCode::new(1), draft.accept().expect("a valid draft"));
        let (value, _) = Session::create(id, tenant, code, spec, Lineage::default(), "me", at(0));
        Versioned { version: Version::FIRST, value }
    }

    fn shown(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).expect("JSON")
    }

    #[test]
    fn a_kept_row_is_the_row_that_would_be_spelled_now() {
        let (rows, found) = (SessionRows::default(), session());
        for now in [1, 90_000] {
            let viewer = viewer(Role::Admin, now);
            let fresh = json::bytes(&SessionDto::new(found.clone(), None, viewer)).expect("JSON");
            assert_eq!(rows.row(found.clone(), viewer).expect("JSON"), fresh);
            let children = vec![SessionId::new(Uuid::from_u128(9))];
            let whole = SessionDto::new(found.clone(), Some(children.clone()), viewer);
            let whole = json::bytes(&whole).expect("JSON");
            assert_eq!(rows.detail(found.clone(), &children, viewer).expect("JSON"), whole);
        }
        let viewer_only = rows.row(found, viewer(Role::Viewer, 1)).expect("JSON");
        assert_eq!(shown(&viewer_only)["allowed_actions"], json!([]), "each role has its own");
    }

    #[test]
    fn a_change_gives_another_row() {
        let (rows, mut found) = (SessionRows::default(), session());
        let before = rows.row(found.clone(), viewer(Role::Admin, 1)).expect("JSON");
        found.value.cancel(Cause::by("me", at(5))).expect("it is pending");
        found.version = found.version.next();
        let after = rows.row(found, viewer(Role::Admin, 9)).expect("JSON");
        assert_eq!(shown(&before)["status"], "pending");
        assert_eq!(shown(&after)["status"], "cancelled");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let rows = SessionRows::default();
        let large = Bytes::from(vec![0; KEPT_BYTES / 3]);
        for number in 0..20 {
            let id = SessionId::new(Uuid::from_u128(number));
            let key = (TenantId::BOOTSTRAP, id, 1, Role::Admin);
            rows.halves().put(key, large.clone());
        }
        let kept = rows.halves();
        assert!(kept.young.len() + kept.old.len() <= 6, "two halves of three");
    }

    #[test]
    fn a_page_of_rows_is_a_page() {
        let row = Bytes::from_static(b"{\"a\":1}");
        let page_of = |total| Page {
            items: vec![json!({ "a": 1 }), json!({ "a": 1 })],
            next_cursor: Some("c".to_owned()),
            has_more: true,
            total,
        };
        for total in [None, Some(7)] {
            let rest = Page {
                items: Vec::new(),
                next_cursor: Some("c".to_owned()),
                has_more: true,
                total,
            };
            let body = page(&[row.clone(), row.clone()], &rest).expect("JSON");
            assert_eq!(body, json::bytes(&page_of(total)).expect("JSON"));
        }
        let whole = page(&[], &Page::whole(Vec::new())).expect("JSON");
        assert_eq!(whole, json::bytes(&Page::<Value>::whole(Vec::new())).expect("JSON"));
    }
}

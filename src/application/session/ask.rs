//! What agents ask people: items are raised, raised again, and withdrawn.

use std::time::Duration;

use serde_json::json;

use super::SessionService;
use super::change::{Change, item_id};
use super::report::Holder;
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::driver::Ask;
use crate::application::ports::reads::Snapshot;
use crate::application::ports::store::CommitError;
use crate::domain::attention::{AttentionItem, AttentionState};
use crate::domain::ids::{AttentionId, SessionId};
use crate::domain::version::Versioned;

/// Items that are read at once.
const PAGE: usize = 1000;

/// How the `agent_ref` of an ask begins that came by a call: the call waits for the answer, and the driver
/// knows nothing of it.
pub(in crate::application) const CALLED: &str = "call:";

/// What became of an ask that was made before.
enum Before {
    /// There was none.
    Never,
    /// It is open.
    Open,
    /// It is settled, and the agent has not got the answer.
    Settled(Box<AttentionItem>),
}

impl SessionService {
    /// The agent asks a person; the item that stands for the ask, new or known. One that is settled
    /// and whose answer the agent has not got is to be answered at once.
    ///
    /// # Errors
    /// `StaleResult`, `Contended`.
    pub async fn raise(
        &self,
        holder: Holder,
        ask: &Ask,
        timeout: Duration,
    ) -> Result<AttentionItem, AppError> {
        for _ in 0..super::MAX_COMMIT_ATTEMPTS {
            let is_known = match self.asked_before(holder, ask).await? {
                Before::Settled(owed) => return Ok(*owed),
                Before::Open => true,
                Before::Never => false,
            };
            if let Some(item) = self.stand_for(holder, ask, timeout, is_known).await? {
                return Ok(item);
            }
        }
        Err(AppError::Contended)
    }

    /// The open item that stands for an ask, made if need be; `None` when it was known, or may be, and
    /// is not open any more.
    async fn stand_for(
        &self,
        holder: Holder,
        ask: &Ask,
        timeout: Duration,
        is_known: bool,
    ) -> Result<Option<AttentionItem>, AppError> {
        let uuid = self.ids.uuid();
        let mut is_made = false;
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            let same = |item: &&mut AttentionItem| {
                item.state == AttentionState::Open && item.fingerprint == ask.fingerprint
            };
            if let Some(known) = change.items.iter_mut().find(same) {
                known.agent_ref.clone_from(&ask.agent_ref);
                return Ok(Some(known.clone()));
            }
            // One that was made before may have been settled since, although its commit seemed to
            // fail.
            if is_known || std::mem::replace(&mut is_made, true) {
                return Ok(None);
            }
            let item = AttentionItem {
                id: item_id(uuid),
                tenant_id: holder.tenant,
                session_id: holder.session,
                attempt: change.session.run.attempt,
                kind: ask.kind,
                title: ask.title.chars().take(200).collect(),
                payload: json!({
                    "tool": ask.tool, "patterns": ask.patterns, "request": ask.payload,
                }),
                fingerprint: ask.fingerprint.clone(),
                risk: ask.risk,
                state: AttentionState::Open,
                decision: None,
                answer: None,
                resolved_by: None,
                created_at: now,
                deadline: now.after(timeout),
                resolved_at: None,
                agent_ref: ask.agent_ref.clone(),
            };
            change.raise(item.clone(), now);
            Ok(Some(item))
        };
        Ok(self.report(holder, "raise", decide).await?.1)
    }

    /// What became of an ask that was made before; what is settled goes by the name that the agent
    /// gives the ask now.
    async fn asked_before(&self, holder: Holder, ask: &Ask) -> Result<Before, AppError> {
        let snapshot = self.readable(holder.tenant).await?;
        let owed = owed(&*snapshot, holder.session).await?;
        let open = Some(AttentionState::Open);
        let open = snapshot.attention_items(Some(holder.session), open, None, PAGE).await?;
        drop(snapshot);
        let same = |item: &Versioned<AttentionItem>| item.value.fingerprint == ask.fingerprint;
        if open.iter().any(same) {
            return Ok(Before::Open);
        }
        let Some(found) = owed.into_iter().rfind(same) else { return Ok(Before::Never) };
        let mut item = found.value;
        if item.agent_ref != ask.agent_ref {
            item.agent_ref.clone_from(&ask.agent_ref);
            let put = Put { expect: Expect::At(found.version), value: item.clone() };
            let set = ChangeSet::new(holder.tenant).write(Write::Attention(put));
            match self.store.commit(set).await {
                Ok(_) | Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Before::Settled(Box::new(item)))
    }

    /// The agent no longer waits for an ask that nobody settled.
    ///
    /// # Errors
    /// `StaleResult`.
    pub async fn withdraw(&self, holder: Holder, id: AttentionId) -> Result<(), AppError> {
        let decide = |change: &mut Change| {
            let now = self.clock.now();
            let Some(item) = change.items.iter_mut().find(|item| item.id == id) else {
                return Ok(());
            };
            item.expire("agent", now);
            item.agent_ref.clear();
            if item.kind.blocks() {
                change.session.unblock(now);
            }
            Ok(())
        };
        self.report(holder, "withdraw", decide).await.map(drop)
    }
}

/// Items of a session's current attempt that are settled and whose answer the agent has not got,
/// oldest first. What ended with an earlier attempt is nobody's answer any more.
///
/// # Errors
/// The store's.
pub(in crate::application) async fn owed(
    snapshot: &dyn Snapshot,
    session: SessionId,
) -> Result<Vec<Versioned<AttentionItem>>, AppError> {
    let Some(found) = snapshot.session(session).await? else { return Ok(Vec::new()) };
    let attempt = found.value.run.attempt;
    let is_owed = |item: &AttentionItem| {
        item.state != AttentionState::Open
            && !item.agent_ref.is_empty()
            && item.kind.blocks()
            && item.attempt == attempt
    };
    let (mut owed, mut after) = (Vec::new(), None);
    loop {
        let page = snapshot.attention_items(Some(session), None, after, PAGE).await?;
        after = page.last().map(|item| item.value.id);
        let is_last = page.len() < PAGE;
        owed.extend(page.into_iter().filter(|item| is_owed(&item.value)));
        if is_last {
            return Ok(owed);
        }
    }
}

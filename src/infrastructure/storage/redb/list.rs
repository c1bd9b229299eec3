//! Pages: the best index is walked in the order of creation, and each row is looked at again.
//!
//! Invariant: work per page is bounded; an index only proposes, `SessionFilter::matches` decides.

use std::ops::ControlFlow;

use super::keys::{self, Span};
use super::rows::{Direction, Rows, View, decode, flow};
use super::tables::Table;
use crate::application::ports::reads::{Logged, Order, SessionFilter, SessionPage, SessionQuery};
use crate::application::ports::store::StoreError;
use crate::domain::attention::{AttentionItem, AttentionState};
use crate::domain::event::StoredEvent;
use crate::domain::ids::{AttentionId, SessionId, TenantId};
use crate::domain::session::Session;
use crate::domain::session::status::SessionStatus;
use crate::domain::version::Versioned;
use crate::infrastructure::storage::shared::{EXAMINED_PER_COUNT, Pager};

/// Ids fetched from an index at once: as many as a page needs, within these bounds.
const FEWEST: usize = 16;
const BATCH: usize = 256;

/// One page of sessions.
pub(super) fn page(
    view: &View<'_>,
    tenant: TenantId,
    query: &SessionQuery,
) -> Result<SessionPage, StoreError> {
    let mut pager = Pager::new(query);
    candidates(view, tenant, query, query.after, &mut |id| {
        let key = keys::session(tenant, id);
        pager.offer(id, view.record(Table::Sessions, &key))
    })?;
    let total = if query.count { count(view, tenant, query)? } else { None };
    Ok(pager.finish(total))
}

/// How many match; `None` when that is too much to look at.
fn count(
    view: &View<'_>,
    tenant: TenantId,
    query: &SessionQuery,
) -> Result<Option<u64>, StoreError> {
    let (mut total, mut examined) = (0, 0);
    let only_status =
        SessionFilter { statuses: query.filter.statuses.clone(), ..SessionFilter::default() }
            == query.filter;
    let mut by_index = SessionQuery { limit: BATCH, ..query.clone() };
    if only_status && by_index.filter.statuses.is_empty() {
        by_index.filter.statuses = SessionStatus::ALL.to_vec();
    }
    candidates(view, tenant, &by_index, None, &mut |id| {
        examined += 1;
        let is_match = only_status || {
            let found = view.record(Table::Sessions, &keys::session(tenant, id));
            let found: Option<Versioned<Session>> = match found {
                Ok(found) => found,
                Err(StoreError::Quarantined) => None,
                Err(other) => return Err(other),
            };
            found.is_some_and(|found| query.filter.matches(&found.value))
        };
        total += u64::from(is_match);
        Ok(flow(examined < EXAMINED_PER_COUNT))
    })?;
    Ok((examined < EXAMINED_PER_COUNT).then_some(total))
}

/// One ordered range of an index.
struct Source {
    table: Table,
    span: Span,
    /// The key of the cursor's place in this range.
    place: Box<dyn Fn(SessionId) -> keys::Key>,
    fetched: std::collections::VecDeque<SessionId>,
    batch: usize,
    is_done: bool,
}

impl Source {
    fn new(table: Table, span: Span, place: impl Fn(SessionId) -> keys::Key + 'static) -> Self {
        let fetched = std::collections::VecDeque::new();
        Self { table, span, place: Box::new(place), fetched, batch: BATCH, is_done: false }
    }

    /// Leaves out what does not lie behind this session.
    fn go_behind(&mut self, id: SessionId, direction: Direction) {
        let key = (self.place)(id);
        self.span = match direction {
            Direction::Up => self.span.clone().above(key),
            Direction::Down => self.span.clone().below(key),
        };
    }

    /// The next id without taking it.
    fn peek(
        &mut self,
        view: &View<'_>,
        direction: Direction,
    ) -> Result<Option<SessionId>, StoreError> {
        if self.fetched.is_empty() && !self.is_done {
            let (fetched, batch) = (&mut self.fetched, self.batch);
            view.scan(self.table, &self.span, direction, &mut |key, _| {
                fetched.extend(keys::tail_id(key).map(SessionId::from_bytes));
                Ok(flow(fetched.len() < batch))
            })?;
            self.is_done = self.fetched.len() < batch;
            if let Some(last) = self.fetched.back().copied() {
                self.go_behind(last, direction);
            }
        }
        Ok(self.fetched.front().copied())
    }
}

/// The ranges that together propose every session that can match.
fn sources(tenant: TenantId, filter: &SessionFilter) -> Vec<Source> {
    if let Some(parent) = filter.parent_id {
        let span = keys::of_parent(tenant, parent);
        let place = move |id| keys::by_parent(tenant, parent, id);
        return vec![Source::new(Table::SessionsByParent, span, place)];
    }
    if let Some(tag) = filter.tags.first().cloned() {
        let span = keys::with_tag(tenant, &tag);
        let place = move |id| keys::by_tag(tenant, &tag, id);
        return vec![Source::new(Table::SessionsByTag, span, place)];
    }
    if filter.statuses.is_empty() {
        let place = move |id| keys::session(tenant, id);
        return vec![Source::new(Table::Sessions, keys::sessions(tenant), place)];
    }
    let mut statuses = filter.statuses.clone();
    statuses.sort_unstable();
    statuses.dedup();
    let by_status = statuses.into_iter().map(|status| {
        let place = move |id| keys::by_status(tenant, status, id);
        Source::new(Table::SessionsByStatus, keys::in_status(tenant, status), place)
    });
    by_status.collect()
}

/// Offers ids in the order of the list until told to stop.
fn candidates(
    view: &View<'_>,
    tenant: TenantId,
    query: &SessionQuery,
    after: Option<SessionId>,
    offer: &mut dyn FnMut(SessionId) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    let direction = match query.order {
        Order::OldestFirst => Direction::Up,
        Order::NewestFirst => Direction::Down,
    };
    let mut sources = sources(tenant, &query.filter);
    for source in &mut sources {
        // One more says whether there is a next page.
        source.batch = query.limit.saturating_add(1).clamp(FEWEST, BATCH);
    }
    if let Some(after) = after {
        for source in &mut sources {
            source.go_behind(after, direction);
        }
    }
    loop {
        let mut best: Option<(SessionId, usize)> = None;
        for (index, source) in sources.iter_mut().enumerate() {
            let Some(id) = source.peek(view, direction)? else { continue };
            let is_better = best.is_none_or(|(leader, _)| match direction {
                Direction::Up => id < leader,
                Direction::Down => id > leader,
            });
            if is_better {
                best = Some((id, index));
            }
        }
        let Some((id, index)) = best else { return Ok(()) };
        sources[index].fetched.pop_front();
        if offer(id)?.is_break() {
            return Ok(());
        }
    }
}

/// Attention items in order of creation.
pub(super) fn attention(
    view: &View<'_>,
    tenant: TenantId,
    (session, state, after): (Option<SessionId>, Option<AttentionState>, Option<AttentionId>),
    limit: usize,
) -> Result<Vec<Versioned<AttentionItem>>, StoreError> {
    let mut ids: Vec<AttentionId> = Vec::new();
    let collect = |ids: &mut Vec<AttentionId>, table: Table, span: &Span| {
        view.scan(table, span, Direction::Up, &mut |key, _| {
            let id = keys::tail_id(key).map(AttentionId::from_bytes);
            ids.extend(id.filter(|id| after.is_none_or(|after| *id > after)));
            Ok(ControlFlow::Continue(()))
        })
    };
    match (session, state) {
        (Some(session), _) => {
            collect(&mut ids, Table::AttentionBySession, &keys::attention_of(tenant, session))?;
        }
        (None, Some(AttentionState::Open)) => {
            collect(&mut ids, Table::AttentionDue, &keys::all_due(tenant))?;
            ids.sort_unstable();
        }
        (None, _) => return all_attention(view, tenant, state, after, limit),
    }
    let mut found = Vec::new();
    for id in ids {
        if found.len() >= limit {
            break;
        }
        let key = keys::attention(tenant, id);
        match view.record::<Versioned<AttentionItem>>(Table::Attention, &key) {
            Ok(Some(item)) if state.is_none_or(|state| state == item.value.state) => {
                found.push(item);
            }
            Ok(_) | Err(StoreError::Quarantined) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(found)
}

fn all_attention(
    view: &View<'_>,
    tenant: TenantId,
    state: Option<AttentionState>,
    after: Option<AttentionId>,
    limit: usize,
) -> Result<Vec<Versioned<AttentionItem>>, StoreError> {
    let span = keys::all_attention(tenant);
    let span = match after {
        Some(after) => span.above(keys::attention(tenant, after)),
        None => span,
    };
    let mut found: Vec<Versioned<AttentionItem>> = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    view.scan(Table::Attention, &span, Direction::Up, &mut |key, bytes| {
        match decode::<Versioned<AttentionItem>>(view.shared(), Table::Attention, key, bytes) {
            Ok(item) if state.is_none_or(|state| state == item.value.state) => found.push(item),
            Ok(_) | Err(StoreError::Quarantined) => {}
            Err(other) => return Err(other),
        }
        Ok(flow(found.len() < limit))
    })?;
    Ok(found)
}

/// Events in order of their numbers. A damaged one is left out and the next one comes in its place:
/// a short page is the last.
pub(super) fn events(
    view: &View<'_>,
    tenant: TenantId,
    after: u64,
    session: Option<SessionId>,
    limit: usize,
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    each_logged(view, tenant, (after, session), &mut |logged| {
        if let Logged::Event(event) = logged {
            found.push(event);
        }
        flow(found.len() < limit)
    })?;
    Ok(found)
}

/// Events in order of their numbers, with a mark in the place of each damaged one.
pub(super) fn log(
    view: &View<'_>,
    tenant: TenantId,
    after: u64,
    session: Option<SessionId>,
    limit: usize,
) -> Result<Vec<Logged>, StoreError> {
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    each_logged(view, tenant, (after, session), &mut |logged| {
        found.push(logged);
        flow(found.len() < limit)
    })?;
    Ok(found)
}

fn each_logged(
    view: &View<'_>,
    tenant: TenantId,
    (after, session): (u64, Option<SessionId>),
    each: &mut dyn FnMut(Logged) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut offer = |key: &[u8], read: Result<Option<StoredEvent>, StoreError>| {
        let logged = match read {
            Ok(Some(event)) => Some(Logged::Event(event)),
            Ok(None) | Err(StoreError::Quarantined) => {
                keys::tail_number(key).map(Logged::Unreadable)
            }
            Err(other) => return Err(other),
        };
        Ok(logged.map_or_else(|| flow(true), &mut *each))
    };
    let Some(session) = session else {
        let span = keys::numbers(tenant).above(keys::numbered(tenant, after));
        return view.scan(Table::Events, &span, Direction::Up, &mut |key, bytes| {
            offer(key, decode(view.shared(), Table::Events, key, bytes).map(Some))
        });
    };
    let place = keys::event_by_session(tenant, session, after);
    let span = keys::events_of(tenant, session).above(place);
    view.scan(Table::EventsBySession, &span, Direction::Up, &mut |key, _| {
        let Some(seq) = keys::tail_number(key) else { return Ok(flow(true)) };
        offer(key, view.record(Table::Events, &keys::numbered(tenant, seq)))
    })
}

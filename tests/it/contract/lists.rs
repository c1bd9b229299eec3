//! Lists against a naive model: filters, cursors, both orders, counting.

use orchestrator::application::ports::changes::{ChangeSet, Write};
use orchestrator::application::ports::reads::{Order, SessionFilter, SessionQuery, Snapshot};
use orchestrator::domain::ids::SessionId;
use orchestrator::domain::session::draft::SessionDraft;
use orchestrator::domain::session::spec::Priority;
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::session::{Lineage, Session};
use proptest::prelude::*;

use super::fixtures::{Kit, TENANT, at, by, fresh, lease, session_from, stored};
use super::for_both_stores;

for_both_stores!(a_page_is_bounded_and_says_where_to_go_on);

/// What one session of the model looks like.
#[derive(Debug, Clone)]
struct Shape {
    moves: u8,
    priority: u64,
    tags: u8,
    has_parent: bool,
    is_deleted: bool,
}

fn shape() -> impl Strategy<Value = Shape> {
    (0..4u8, 0..3u64, 0..4u8, any::<bool>(), prop::bool::weighted(0.1)).prop_map(
        |(moves, priority, tags, has_parent, is_deleted)| Shape {
            moves,
            priority,
            tags,
            has_parent,
            is_deleted,
        },
    )
}

/// Which filter to ask with.
#[derive(Debug, Clone)]
struct Asked {
    statuses: u8,
    priority: Option<u64>,
    tags: u8,
    of_parent: bool,
    text: bool,
    newest_first: bool,
    limit: usize,
}

fn asked() -> impl Strategy<Value = Asked> {
    let priority = proptest::option::of(0..3u64);
    (0..8u8, priority, 0..4u8, any::<bool>(), any::<bool>(), any::<bool>(), 1..8usize).prop_map(
        |(statuses, priority, tags, of_parent, text, newest_first, limit)| Asked {
            statuses,
            priority,
            tags,
            of_parent,
            text,
            newest_first,
            limit,
        },
    )
}

fn tags(bits: u8) -> Vec<String> {
    let named = [(1, "red"), (2, "blue")];
    named.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, tag)| (*tag).to_owned()).collect()
}

fn build(shape: &Shape, code: u64, parent: SessionId) -> Session {
    let draft = SessionDraft {
        title: Some(if code.is_multiple_of(2) { "Even work" } else { "Odd work" }.to_owned()),
        initial_prompt: "x".to_owned(),
        priority: Priority::from_level(shape.priority),
        tags: tags(shape.tags),
        ..SessionDraft::default()
    };
    let parent_id = shape.has_parent.then_some(parent);
    let lineage = Lineage { parent_id, ..Lineage::default() };
    let (mut session, _) = session_from(TENANT, code, draft, lineage);
    if shape.moves > 0 {
        session.start(by()).expect("it can be queued");
    }
    if shape.moves > 1 {
        session.dispatch(lease(code), None, by()).expect("it can run");
    }
    if shape.moves > 2 {
        session.pause(by()).expect("it can pause");
    }
    session.stamps.deleted_at = shape.is_deleted.then_some(at(9));
    session
}

fn filter(asked: &Asked, parent: SessionId) -> SessionFilter {
    let all = [SessionStatus::Pending, SessionStatus::Queued, SessionStatus::Running];
    let statuses = all.iter().enumerate().filter(|(bit, _)| asked.statuses & (1 << bit) != 0);
    SessionFilter {
        statuses: statuses.map(|(_, status)| *status).collect(),
        priority: asked.priority.and_then(Priority::from_level),
        tags: tags(asked.tags),
        parent_id: asked.of_parent.then_some(parent),
        text: asked.text.then(|| "even".to_owned()),
        ..SessionFilter::default()
    }
}

/// Every page of a list, one after the other.
async fn pages(snapshot: &dyn Snapshot, mut query: SessionQuery) -> (Vec<SessionId>, Option<u64>) {
    let (mut found, mut total) = (Vec::new(), None);
    loop {
        let page = snapshot.sessions(query.clone()).await.expect("read");
        assert!(page.items.len() <= query.limit && page.skipped == 0);
        found.extend(page.items.iter().map(|item| item.value.id));
        total = total.or(page.total);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return (found, total),
        }
    }
}

async fn compare(kit: Kit, shapes: Vec<Shape>, questions: Vec<Asked>) {
    let parent = stored(&*kit.store, TENANT, 1_000).await;
    let mut model = vec![parent.clone()];
    for (shape, code) in shapes.iter().zip(1..) {
        model.push(build(shape, code, parent.id));
    }
    let set = model[1..].iter().fold(ChangeSet::new(TENANT), |set, session| {
        set.write(Write::Session(fresh(session.clone())))
    });
    kit.store.commit(set).await.expect("stored");
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    for asked in questions {
        let filter = filter(&asked, parent.id);
        let mut expected: Vec<SessionId> = model
            .iter()
            .filter(|session| filter.matches(session))
            .map(|session| session.id)
            .collect();
        expected.sort_unstable();
        let order = if asked.newest_first { Order::NewestFirst } else { Order::OldestFirst };
        if asked.newest_first {
            expected.reverse();
        }
        let query = SessionQuery { filter, order, after: None, limit: asked.limit, count: true };
        let (found, total) = pages(&*snapshot, query).await;
        assert_eq!(found, expected, "{asked:?}");
        assert_eq!(total, u64::try_from(expected.len()).ok(), "{asked:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]
    #[test]
    fn lists_are_what_the_model_says(
        shapes in proptest::collection::vec(shape(), 0..24),
        questions in proptest::collection::vec(asked(), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            compare(Kit::memory(), shapes.clone(), questions.clone()).await;
            compare(Kit::redb(), shapes, questions).await;
        });
    }
}

async fn a_page_is_bounded_and_says_where_to_go_on(kit: Kit) {
    let shape = Shape { moves: 0, priority: 1, tags: 0, has_parent: false, is_deleted: false };
    let nobody = super::fixtures::session_id();
    let all: Vec<Session> = (1..=5_200).map(|code| build(&shape, code, nobody)).collect();
    for some in all.chunks(1_000) {
        let set = some.iter().fold(ChangeSet::new(TENANT), |set, session| {
            set.write(Write::Session(fresh(session.clone())))
        });
        kit.store.commit(set).await.expect("stored");
    }
    let snapshot = kit.store.snapshot(TENANT).await.expect("a snapshot");
    let last = all.last().expect("there are some");
    let filter = SessionFilter { text: Some(last.code.to_string()), ..SessionFilter::default() };
    let query = SessionQuery { filter, order: Order::OldestFirst, limit: 10, ..Default::default() };
    let page = snapshot.sessions(query.clone()).await.expect("read");
    assert!(page.items.is_empty(), "what matches lies beyond the bound");
    assert_eq!(page.next, Some(all[4_999].id));
    let page = snapshot.sessions(SessionQuery { after: page.next, ..query }).await.expect("read");
    assert_eq!(page.items.iter().map(|item| item.value.id).collect::<Vec<_>>(), [last.id]);
    assert_eq!(page.next, None);
}

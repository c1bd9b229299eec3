//! Parts of a server in this process.

use std::sync::Arc;

use orchestrator::application::agent::AgentService;
use orchestrator::application::attention::AttentionService;
use orchestrator::application::events::{Deltas, EventService};
use orchestrator::application::inside::{Door, InsideService};
use orchestrator::application::locks::LockDesk;
use orchestrator::application::locks::local::LocalLocks;
use orchestrator::application::locks::watch::watch;
use orchestrator::application::ports::clock::{Clock, Ids};
use orchestrator::application::ports::store::Store;
use orchestrator::application::session::SessionService;
use orchestrator::application::supervise::SupervisorOptions;
use orchestrator::application::task::TaskService;
use orchestrator::composition::templates::shipped_templates;
use orchestrator::domain::lock::Grant;
use orchestrator::infrastructure::keys::seal::AesSealer;
use orchestrator::infrastructure::storage::memory::MemoryStore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The way in for agents at work.
pub(super) fn inside(
    store: &Arc<dyn Store>,
    sessions: &SessionService,
    attention: &AttentionService,
) -> (Door, InsideService) {
    let sealer = Arc::new(AesSealer::new(&[7; 32]).expect("a key"));
    let door = Door::new(sealer, "http://127.0.0.1:9", None, vec!["/nowhere".into()]);
    let waits = SupervisorOptions::default().question_timeout;
    let (sessions, attention) = (sessions.clone(), attention.clone());
    (door.clone(), InsideService::new(Arc::clone(store), sessions, attention, door, waits))
}

/// Locks that are looked after until the server goes down.
pub(super) fn locks(
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn Ids>,
    sessions: &SessionService,
    (stop, tracker): (&CancellationToken, &TaskTracker),
) -> LockDesk {
    let tokens = sessions.tokens().clone();
    let tell = Arc::new(|_: &Grant| {});
    let held = LocalLocks::new(Arc::clone(store), Arc::clone(clock), tokens, tell);
    let held = Arc::new(held);
    let (running, until) = (Arc::clone(&held), stop.clone());
    tracker.spawn(async move { running.run(&until).await });
    tracker.spawn(watch(Arc::clone(store), Arc::clone(&held) as _, stop.clone()));
    LockDesk::new(held, sessions.clone(), Arc::clone(clock), Arc::clone(ids))
}

/// Tasks, with the shipped templates.
pub(super) fn tasks(
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn Ids>,
    sessions: &SessionService,
    agents: &AgentService,
) -> TaskService {
    let (store, clock, ids) = (Arc::clone(store), Arc::clone(clock), Arc::clone(ids));
    let known = (sessions.clone(), agents.clone());
    TaskService::new(store, clock, ids, known, shipped_templates())
}

/// Events that nobody's words are among.
pub(super) fn events(store: &Arc<dyn Store>, memory: &Arc<MemoryStore>) -> EventService {
    EventService::new(Arc::clone(store), Arc::clone(memory) as _, Deltas::default())
}

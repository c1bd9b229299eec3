//! The servers of all tenants: a run gets a place on one of its tenant's, and none is of two tenants.
//!
//! A host is a folder with a database of conversations, and the server that works on it. Each has a folder of its
//! own: two servers on one database see each other's conversations, but neither each other's events nor what
//! is busy, so that a run could be watched at the wrong one. The price is that a conversation goes on only at
//! the host that it began on, which its handle therefore names. The exception is a server that takes over from
//! another: for as long as that takes both work on the folder, each on runs that it alone was given.
//!
//! Invariant: what a tenant's agents say lies in folders of that tenant alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Options;
use super::host::{Host, Surroundings};
use super::layout::Layout;
use super::policy::{Placing, Room, Seen, place};
use crate::application::ports::clock::Clock;
use crate::application::ports::driver::DriverError;
use crate::application::ports::hosts::{HostNews, HostReport, NotRecycled};
use crate::domain::ids::TenantId;

/// What happened to hosts and waits to be told; what does not fit is not told.
const NEWS: usize = 64;
/// Largest number of a host.
const LARGEST: u32 = 9999;

/// Whose a host is, and its number there.
type Key = (Option<TenantId>, u32);

/// A place on a host; given back when it is dropped.
pub(super) struct Seat {
    pub(super) host: Arc<Host>,
    _on_host: OwnedSemaphorePermit,
    _in_all: OwnedSemaphorePermit,
}

/// All servers of the driver.
pub(super) struct Pool {
    pub(super) options: Arc<Options>,
    pub(super) clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    pub(super) cancel: CancellationToken,
    hosts: Mutex<BTreeMap<Key, Arc<Host>>>,
    /// Runs at once, wherever.
    places: Arc<Semaphore>,
    news: mpsc::Sender<HostNews>,
    told: Mutex<Option<mpsc::Receiver<HostNews>>>,
}

impl Pool {
    pub(super) fn new(
        options: Arc<Options>,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        let (news, told) = mpsc::channel(NEWS);
        let places = Arc::new(Semaphore::new(options.max_runs));
        Self {
            options,
            clock,
            tasks,
            cancel,
            hosts: Mutex::default(),
            places,
            news,
            told: Mutex::new(Some(told)),
        }
    }

    /// What happens to hosts, for whoever asks first.
    pub(super) fn take_news(&self) -> Option<mpsc::Receiver<HostNews>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A place for a run of this tenant that has a conversation behind this handle, or none yet.
    pub(super) fn seat(
        &self,
        tenant: TenantId,
        handle: Option<&Value>,
    ) -> Result<Seat, DriverError> {
        let most = self.options.max_runs;
        let all = || DriverError::full(format!("OpenCode works on {most} runs already"));
        let in_all = Arc::clone(&self.places).try_acquire_owned().map_err(|_| all())?;
        let owner = self.owner(tenant);
        let mut hosts = self.lock();
        let seen: Vec<Seen> = of(&hosts, owner).map(|host| host.seen()).collect();
        let wanted = handle.map(|handle| number_in(handle, owner));
        let placing = place(&seen, wanted, self.room());
        let (Placing::At(number) | Placing::Wake(number)) = placing else {
            return Err(self.full());
        };
        if matches!(placing, Placing::Wake(_)) {
            self.make_room(&hosts, owner);
        }
        let host = self.host(&mut hosts, (owner, number));
        let on_host = host.place().ok_or_else(|| self.full())?;
        Ok(Seat { host, _on_host: on_host, _in_all: in_all })
    }

    /// A host to be looked at, this tenant's if one of its own is awake; the version of servers when none runs, and
    /// one would.
    pub(super) fn to_be_probed(&self, tenant: TenantId) -> Result<Arc<Host>, String> {
        let mut hosts = self.lock();
        let owner = self.owner(tenant);
        let awake = of(&hosts, owner).chain(hosts.values()).find(|host| host.is_up());
        if let Some(host) = awake {
            return Ok(Arc::clone(host));
        }
        match hosts.values().find_map(|host| host.asleep()) {
            Some(version) => Err(version),
            None => Ok(self.host(&mut hosts, (owner, 0))),
        }
    }

    /// Every host that was used since we began, by name.
    pub(super) async fn reports(&self) -> Vec<HostReport> {
        let hosts: Vec<Arc<Host>> = self.lock().values().cloned().collect();
        let mut reports = Vec::with_capacity(hosts.len());
        for host in hosts {
            reports.push(host.report().await);
        }
        reports.sort_by(|one, other| one.id.cmp(&other.id));
        reports
    }

    /// Has the server of a host replaced.
    pub(super) fn recycle(&self, id: &str, reason: &str) -> Result<(), NotRecycled> {
        let host = self.lock().values().find(|host| host.id == id).cloned();
        host.ok_or(NotRecycled::Unknown)?.recycle(reason)
    }

    /// Returns once no server of ours is alive and none will be.
    pub(super) async fn finished(&self) {
        let hosts: Vec<Arc<Host>> = self.lock().values().cloned().collect();
        for host in hosts {
            host.finished().await;
        }
    }

    /// A server that somebody else runs is everybody's.
    fn owner(&self, tenant: TenantId) -> Option<TenantId> {
        // What concerns nobody in particular is done where the first tenant works: on most machines the only one.
        let tenant = if tenant == TenantId::SYSTEM { TenantId::BOOTSTRAP } else { tenant };
        self.options.attach.is_none().then_some(tenant)
    }

    fn room(&self) -> Room {
        match &self.options.attach {
            Some(_) => Room { hosts: 1, runs: self.options.max_runs },
            None => Room { hosts: self.options.max_hosts, runs: self.options.host_runs },
        }
    }

    fn full(&self) -> DriverError {
        let Room { hosts, runs } = self.room();
        DriverError::full(format!(
            "OpenCode has no free place: at most {hosts} servers of a tenant with {runs} runs each"
        ))
    }

    /// Servers that nobody uses make room for one that is needed.
    fn make_room(&self, hosts: &BTreeMap<Key, Arc<Host>>, owner: Option<TenantId>) {
        let awake: Vec<_> = hosts.iter().filter(|(_, host)| host.is_up()).collect();
        let too_many = (awake.len() + 1).saturating_sub(self.options.max_hosts);
        let others =
            awake.into_iter().filter(|((whose, _), host)| *whose != owner && host.is_idle());
        for (_, host) in others.take(too_many) {
            host.rest("another tenant needs a server");
        }
    }

    fn host(&self, hosts: &mut BTreeMap<Key, Arc<Host>>, key: Key) -> Arc<Host> {
        let (tenant, number) = key;
        let made = || {
            let id = name(tenant, number);
            let layout = Layout::of(&self.options, &id);
            let around = Surroundings {
                options: Arc::clone(&self.options),
                clock: Arc::clone(&self.clock),
                tasks: self.tasks.clone(),
                cancel: self.cancel.clone(),
                news: self.news.clone(),
            };
            Host::new(around, (id, tenant, number), layout)
        };
        Arc::clone(hosts.entry(key).or_insert_with(made))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Host>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of(
    hosts: &BTreeMap<Key, Arc<Host>>,
    owner: Option<TenantId>,
) -> impl Iterator<Item = &Arc<Host>> {
    hosts.range((owner, 0)..=(owner, u32::MAX)).map(|(_, host)| host)
}

/// What a host is called, and its folder.
fn name(tenant: Option<TenantId>, number: u32) -> String {
    match tenant {
        Some(tenant) => format!("opencode-{}-{number}", tenant.uuid().simple()),
        None => "opencode-attached".to_owned(),
    }
}

/// The number of the host that a handle names. One that names none of this tenant's is looked for at the first
/// one, where it is not found.
fn number_in(handle: &Value, owner: Option<TenantId>) -> u32 {
    let named = handle.get("host").and_then(Value::as_str).unwrap_or_default();
    let number = named.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
    number.filter(|number| *number <= LARGEST && name(owner, *number) == named).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_handle_leads_to_a_host_of_its_own_tenant_only() {
        let (mine, other) = (Some(TenantId::BOOTSTRAP), Some(TenantId::SYSTEM));
        let handle = |host: String| json!({ "session": "ses_1", "host": host });
        assert_eq!(number_in(&handle(name(mine, 3)), mine), 3);
        assert_eq!(number_in(&handle(name(other, 3)), mine), 0);
        assert_eq!(number_in(&handle(name(mine, 10_000)), mine), 0);
        assert_eq!(number_in(&handle("../../etc-7".to_owned()), mine), 0);
        assert_eq!(number_in(&json!({ "session": "ses_1" }), mine), 0);
        assert_eq!(number_in(&handle(name(None, 0)), None), 0);
        assert_ne!(name(mine, 0), name(other, 0));
    }
}

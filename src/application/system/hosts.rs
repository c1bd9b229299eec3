//! The agent servers that this machine keeps: how they are, having one replaced, and telling what happens to them.

use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::news::{self, News};
use crate::application::agent::AgentService;
use crate::application::error::AppError;
use crate::application::ports::changes::ChangeSet;
use crate::application::ports::clock::Clock;
use crate::application::ports::hosts::{HostNews, HostReport, HostState, NotRecycled};
use crate::application::ports::store::Store;
use crate::application::principal::RequestContext;
use crate::domain::audit::AuditEntry;
use crate::domain::event::{Subject, SubjectKind};

/// Why a host is recycled when nobody says.
const ASKED_FOR: &str = "an administrator asked for it";

/// The use cases of hosts: for system administrators.
#[derive(Clone)]
pub struct HostService {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    agents: AgentService,
}

impl HostService {
    /// Use cases over these.
    #[must_use]
    pub const fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, agents: AgentService) -> Self {
        Self { store, clock, agents }
    }

    /// Every host that was used since this process began, by name.
    pub async fn list(&self) -> Vec<HostReport> {
        let mut all = Vec::new();
        for driver in self.agents.drivers() {
            all.extend(driver.hosts().await);
        }
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    }

    /// Now, by which ages are told.
    #[must_use]
    pub fn now(&self) -> crate::domain::time::Timestamp {
        self.clock.now()
    }

    /// Has the server of a host replaced: another is started, every run is moved to it at a good moment, then the
    /// old one ends. Returns the host as it stood before; what follows is told by `list` and by events.
    ///
    /// # Errors
    /// `HostNotFound`, `HostBusy`; the store's.
    pub async fn recycle(
        &self,
        ctx: &RequestContext,
        id: &str,
        reason: Option<&str>,
    ) -> Result<HostReport, AppError> {
        let host = self.list().await.into_iter().find(|host| host.id == id);
        let host = host.ok_or(AppError::HostNotFound)?;
        if host.tenant.is_none() {
            return Err(refused(id, &NotRecycled::Foreign));
        }
        if host.state != HostState::Ready {
            return Err(refused(id, &NotRecycled::State(host.state)));
        }
        // On record before anything is done.
        let entry = AuditEntry {
            at: self.clock.now(),
            actor: ctx.actor(),
            action: "host.recycle".to_owned(),
            subject: Subject { kind: SubjectKind::System, id: Uuid::nil() },
            ok: true,
            reason: reason.map(str::to_owned),
            before: None,
            after: Some(json!({ "host": id })),
            request_id: Some(ctx.request_id.clone()),
        };
        self.store.commit(ChangeSet::new(ctx.tenant).audit(Some(entry))).await?;
        let asked = self
            .agents
            .drivers()
            .map(|driver| driver.recycle(id, reason.unwrap_or(ASKED_FOR)))
            .find(|asked| *asked != Err(NotRecycled::Unknown));
        match asked.unwrap_or(Err(NotRecycled::Unknown)) {
            Ok(()) => Ok(host),
            Err(why) => Err(refused(id, &why)),
        }
    }

    /// Tells what happens to hosts until the server stops. What cannot be stored is not told: how a host stands
    /// can be asked for at any time.
    pub async fn tell(self, stop: CancellationToken) {
        // One driver at the most keeps hosts.
        let Some(mut news) = self.agents.drivers().find_map(|driver| driver.host_news()) else {
            return;
        };
        loop {
            let said = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                said = news.recv() => said,
            };
            let Some(said) = said else { return };
            for news in news_of(&said) {
                if let Err(error) = news::tell(self.store.as_ref(), self.clock.now(), news).await {
                    tracing::warn!(%error, host = said.id, "What happened to a host could not be told");
                }
            }
        }
    }
}

fn news_of(said: &HostNews) -> Vec<News> {
    let HostNews { id, tenant, old, new, reason } = said;
    let component = format!("host:{id}");
    let details = json!({ "tenant_id": tenant, "reason": reason });
    let mut told = vec![news::health_changed(&component, old.as_str(), new.as_str(), &details)];
    if *new == HostState::Wedged {
        let message = "an agent server does not answer any more; its sessions are saved and go on at another one";
        let details = json!({ "component": component, "tenant_id": tenant, "reason": reason });
        told.push(news::alert("HOST_WEDGED", message, &details));
    }
    told
}

fn refused(id: &str, why: &NotRecycled) -> AppError {
    let why = match why {
        NotRecycled::Unknown => return AppError::HostNotFound,
        NotRecycled::Foreign => "somebody else runs it".to_owned(),
        NotRecycled::State(HostState::Draining) => "it is being replaced already".to_owned(),
        NotRecycled::State(HostState::Stopped) => "none of its servers runs".to_owned(),
        NotRecycled::State(state) => format!("it is {state}"),
    };
    AppError::HostBusy { id: id.to_owned(), why }
}

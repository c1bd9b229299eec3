//! What a client asks of its socket: joining rooms and leaving them, and how many there are.

use serde_json::{Value, json};

use super::super::frame::{Asked, Frame};
use super::super::rooms::{Named, Room};
use super::own::Own;
use super::{Connection, Joined, MAX_ROOMS, PAGE, Step};
use crate::application::context::By;
use crate::application::error::AppError;
use crate::domain::tenant::right::Lack;
use crate::presentation::api::problem::Problem;

impl Connection {
    pub(super) async fn answer(&mut self, asked: Asked) -> Step {
        match asked {
            Asked::Subscribe { rooms, after } => {
                for named in rooms {
                    match self.room(named).await {
                        Ok(room) => self.subscribe(room, after).await?,
                        Err(error) => self.refuse(error).await?,
                    }
                }
            }
            Asked::Unsubscribe(rooms) => {
                for named in rooms {
                    let room = match self.room(named).await {
                        Ok(room) => room,
                        Err(error) => {
                            self.refuse(error).await?;
                            continue;
                        }
                    };
                    let before = self.rooms.len();
                    self.rooms.retain(|joined| joined.room != room);
                    if self.rooms.len() < before {
                        self.channel.leave(room);
                    }
                    let payload = json!({ "room": room.to_string() });
                    self.tell("subscription.cancelled", &payload).await?;
                }
            }
            Asked::Ping => self.sign("pong").await?,
            Asked::Pong => {}
            Asked::Stats if self.own.is_some() => {
                return self.refuse(Lack::OwnRoom.into()).await;
            }
            Asked::Stats => self.tell("system.stats", &self.stats()).await?,
        }
        self.flush().await
    }

    /// The room that is meant. An agent's token opens its own room alone: it is told nothing of others,
    /// not even whether there are such.
    async fn room(&self, named: Named) -> Result<Room, AppError> {
        let is_own = |own: &Own| named == Named::Room(Room::Agent(own.agent));
        if self.own.as_ref().is_some_and(|own| !is_own(own)) {
            return Err(Lack::OwnRoom.into());
        }
        match named {
            Named::Room(room) => Ok(room),
            Named::Called(name) => {
                let found = self.app.agents.get(&self.ctx, &name).await?;
                Ok(Room::Agent(found.agent.value.id))
            }
            Named::Coded(code) => {
                let id = self.app.sessions.find(self.ctx.tenant, &code.to_string()).await?;
                Ok(Room::Session(id))
            }
        }
    }

    async fn refuse(&mut self, error: AppError) -> Step {
        if let AppError::Forbidden(lack) = &error
            && !std::mem::replace(&mut self.is_recorded, true)
        {
            self.app.audit.refused(&self.ctx, "subscribe", &lack.to_string()).await;
        }
        let problem = Problem::from(error);
        self.error(problem.code().as_str(), problem.detail()).await
    }

    async fn subscribe(&mut self, room: Room, after: Option<u64>) -> Step {
        if self.own.is_none()
            && let Err(lack) = self.ctx.principal.check(room.needs())
        {
            return self.refuse(lack.into()).await;
        }
        if let Err(error) = self.look_up(room).await {
            return self.refuse(error).await;
        }
        if self.rooms.len() >= MAX_ROOMS {
            return self.error("RATE_LIMITED", "a socket can be in 200 rooms").await;
        }
        let from = after.unwrap_or(self.position).min(self.position);
        if let Some(joined) = self.rooms.iter().find(|joined| joined.room == room)
            && joined.from <= from
        {
            return self.confirm(room).await;
        }
        self.replay(room, from).await
    }

    /// Whether the one thing that a room is about is there.
    async fn look_up(&self, room: Room) -> Result<(), AppError> {
        match room {
            Room::Session(id) => self.app.sessions.get(&self.ctx, id).await.map(drop),
            Room::Agent(id) => self.app.agents.get(&self.ctx, &id.to_string()).await.map(drop),
            Room::Context(id) => self.app.contexts.get(By::Caller(&self.ctx), id).await.map(drop),
            Room::Task(id) => self.app.tasks.get(&self.ctx, id).await.map(drop),
            Room::Sessions
            | Room::Agents
            | Room::Contexts
            | Room::Tasks
            | Room::Locks
            | Room::System
            | Room::Usage
            | Room::Tenant
            | Room::Events => Ok(()),
        }
    }

    /// Joins a room and sends its stored events up to `position` that no room has brought before.
    async fn replay(&mut self, room: Room, from: u64) -> Step {
        let had = self.rooms.iter().any(|joined| joined.room == room);
        self.confirm(room).await?;
        let (mut after, end) = (from, self.position);
        while after < end {
            let page = match self.page(after, room.session()).await? {
                Ok(page) => page,
                Err(oldest) => {
                    after = oldest;
                    continue;
                }
            };
            let read = page.len();
            for event in page.iter().filter(|event| event.seq <= end) {
                let frame = Frame::event(event);
                if self.may_see(&frame) && room.holds(&frame) && !self.wants(&frame) {
                    self.send(frame.text).await?;
                }
            }
            after = page.last().map_or(end, |event| event.seq);
            self.flush().await?;
            if read < PAGE {
                break;
            }
        }
        if had {
            self.rooms.retain(|joined| joined.room != room);
        } else {
            self.channel.enter(room);
        }
        self.rooms.push(Joined { room, from });
        Ok(())
    }

    pub(super) async fn join(&mut self, room: Room, from: u64) -> Step {
        self.channel.enter(room);
        self.rooms.push(Joined { room, from });
        self.confirm(room).await
    }

    async fn confirm(&mut self, room: Room) -> Step {
        let mut payload = json!({ "resource": room.resource(), "room": room.to_string() });
        if let Some(id) = room.thing() {
            payload[format!("{}_id", room.resource())] = json!(id);
        }
        if room == Room::System {
            payload["stats"] = self.stats();
        }
        self.tell("subscription.confirmed", &payload).await
    }

    fn stats(&self) -> Value {
        let rooms = self.channel.rooms();
        json!({
            "total_connections": self.app.seats.of(self.ctx.tenant), "total_rooms": rooms.len(),
            "rooms": rooms.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        })
    }
}

//! Health, readiness and figures.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::{Caller, Peer};
use super::dto::recovery::{ClassUsageDto, StorageUsageDto, SystemInfoDto};
use super::forwarded::{PassedOn, is_forwarded};
use super::json::Json;
use super::problem::Problem;
use super::state::AppState;
use crate::application::system::archive::ArchiveService;
use crate::application::system::{Component, Health};

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthDto {
    /// `healthy`, `degraded` or `unhealthy`.
    pub status: &'static str,
    /// Version of the server.
    pub version: &'static str,
    /// Seconds since start.
    pub uptime_seconds: u64,
    /// Its parts, each by a real probe.
    pub components: Vec<ComponentDto>,
}

/// A part of the server and how it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Component)]
pub struct ComponentDto {
    /// Its name.
    pub name: String,
    /// `healthy`, `degraded` or `unhealthy`.
    pub status: &'static str,
    /// One line for people; null for whoever showed no credential.
    pub detail: Option<String>,
    /// How long its newest probe took.
    pub latency_ms: Option<f64>,
}

/// Whether the server takes work.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Readiness)]
pub struct ReadyDto {
    /// `ready` or `not_ready`.
    pub status: &'static str,
    /// Why not, in a word for whoever showed no credential; null when ready.
    pub reason: Option<String>,
    /// Its parts, each by a real probe.
    pub components: Vec<ComponentDto>,
}

/// Whether whoever asks was recognised. What is open to everybody answers words alone: a detail can
/// be what a disk or an agent said.
pub struct Recognised(bool);

impl FromRequestParts<AppState> for Recognised {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Infallible> {
        let credentials = [header::AUTHORIZATION, header::COOKIE];
        let is_shown = credentials.iter().any(|name| parts.headers.contains_key(name));
        Ok(Self(
            (is_shown || app.options.dev) && Caller::from_request_parts(parts, app).await.is_ok(),
        ))
    }
}

impl Recognised {
    fn part(&self, component: Component) -> ComponentDto {
        let Component { name, status, detail, latency_ms } = component;
        ComponentDto { name, status, detail: detail.filter(|_| self.0), latency_ms }
    }

    fn reason(&self, reason: String) -> String {
        match reason.split_once(':') {
            Some((word, _)) if !self.0 => word.to_owned(),
            Some(_) | None => reason,
        }
    }
}

/// How the server is; 200 as long as it answers at all.
#[utoipa::path(get, path = "/health", tag = "system",
    responses((status = 200, description = "Status, version, uptime and every part", body = HealthDto)))]
pub async fn health(State(app): State<AppState>, asks: Recognised) -> Json<HealthDto> {
    let Health { status, uptime_seconds, components } = app.system.health().await;
    let components = components.into_iter().map(|part| asks.part(part)).collect();
    Json(HealthDto { status, version: env!("CARGO_PKG_VERSION"), uptime_seconds, components })
}

/// Whether the process answers.
#[utoipa::path(get, path = "/health/live", tag = "system",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")))]
pub async fn live() -> &'static str {
    "alive"
}

/// Whether the server takes work: the store is open and writable, recovery is done.
#[utoipa::path(get, path = "/health/ready", tag = "system",
    responses(
        (status = 200, description = "It does", body = ReadyDto),
        (status = 503, description = "Not yet, or not now", body = ReadyDto),
    ))]
pub async fn ready(State(app): State<AppState>, asks: Recognised) -> Response {
    let reason = app.system.not_ready().map(|reason| asks.reason(reason));
    let components = app.system.health().await.components;
    let (code, status) = match &reason {
        None => (StatusCode::OK, "ready"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    let components = components.into_iter().map(|part| asks.part(part)).collect();
    (code, Json(ReadyDto { status, reason, components })).into_response()
}

/// The same as `/health/ready`.
#[utoipa::path(get, path = "/ready", tag = "system",
    responses(
        (status = 200, description = "It does", body = ReadyDto),
        (status = 503, description = "Not yet, or not now", body = ReadyDto),
    ))]
pub async fn ready_short(state: State<AppState>, asks: Recognised) -> Response {
    ready(state, asks).await
}

/// What the server is: version, store, since when it serves, how much it executes.
#[utoipa::path(get, path = "/api/v1/system/info", tag = "system",
    responses((status = 200, description = "What it is", body = SystemInfoDto)))]
pub async fn info(
    State(app): State<AppState>,
    Caller(ctx): Caller,
) -> Result<Json<SystemInfoDto>, Problem> {
    let (started_at, queue) = (app.system.started_at(), app.system.queue());
    let store = if app.system.store().file_bytes.is_some() { "redb" } else { "memory" };
    Ok(Json(SystemInfoDto {
        version: env!("CARGO_PKG_VERSION"),
        store,
        platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        started_at,
        uptime_seconds: app.clock.now().since(started_at).as_secs(),
        restored_at: app.system.archives().and_then(ArchiveService::restored_at),
        sandbox: app.system.sandbox().to_owned(),
        executing_sessions: app.system.executing(&ctx).await?,
        max_running_sessions: queue.max_running(),
    }))
}

/// What the store takes, by class. System administrators only; it reads the whole store once.
#[utoipa::path(get, path = "/api/v1/storage/usage", tag = "system",
    responses((status = 200, description = "Bytes and records by class", body = StorageUsageDto)))]
pub async fn storage(
    State(app): State<AppState>,
    _: Caller,
) -> Result<Json<StorageUsageDto>, Problem> {
    let classes = app.system.usage().await?;
    let health = app.system.store();
    Ok(Json(StorageUsageDto {
        file_bytes: health.file_bytes,
        free_bytes: health.free_bytes,
        classes: classes.into_iter().map(ClassUsageDto::from).collect(),
    }))
}

/// A caller, unless the figures are open to this machine, and it is this machine that asks.
pub struct MayMeasure;

impl FromRequestParts<AppState> for MayMeasure {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let is_here = parts.extensions.get::<Peer>().is_none_or(|peer| peer.0.is_loopback());
        let is_passed_on = parts.extensions.get::<PassedOn>().is_some();
        let is_own = is_here && !is_passed_on && !is_forwarded(&parts.headers);
        if !(app.options.open_metrics && is_own) {
            Caller::from_request_parts(parts, app).await?;
        }
        Ok(Self)
    }
}

/// Figures for Prometheus. Open on loopback, else a key is needed.
#[utoipa::path(get, path = "/metrics", tag = "system",
    responses((status = 200, description = "Every figure", body = String, content_type = "text/plain")))]
pub async fn metrics(State(app): State<AppState>, _: MayMeasure) -> Result<Response, Problem> {
    app.metrics.collect(&app).await?;
    let text = app.metrics.text();
    let media_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, media_type)], text).into_response())
}

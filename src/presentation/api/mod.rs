//! The HTTP API: routes, and the way of a request through them.
//!
//! Invariant: a route and its place in the API document are one declaration; there is no other way
//! to add a route.

pub mod admissions;
pub mod agents;
pub mod answer;
pub mod archive;
pub mod attention;
pub mod audit;
pub mod browser;
pub mod caller;
pub mod codes;
mod connection;
pub mod context_past;
pub mod contexts;
pub mod control;
mod csv;
pub mod dashboard;
pub mod docs;
pub mod dto;
pub mod external;
pub mod extract;
pub mod fields;
pub mod files;
pub mod fleet;
pub mod forwarded;
pub mod guard;
pub mod hosts;
pub mod idempotency;
pub mod invites;
pub mod json;
pub mod keys;
mod leftover;
pub mod limits;
pub mod locks;
pub mod login;
pub mod metrics;
pub mod middleware;
pub mod openapi;
pub mod page;
pub mod params;
pub mod problem;
pub mod provider;
pub mod recovery;
pub mod request_id;
pub mod rights;
pub mod rows;
mod schemas;
pub mod server;
pub mod sessions;
pub mod sign_in;
pub mod state;
pub mod streams;
pub mod system;
pub mod task_life;
pub mod tasks;
pub mod templates;
pub mod tenants;
pub mod usage;
pub mod users;
pub mod verify;
pub mod wants;
pub mod webhooks;
mod wire;

use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::state::AppState;
use super::{mcp, ws};

pub use self::openapi::openapi_json;

/// The routes of agents.
fn of_agents() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(agents::register, agents::list))
        .routes(routes!(agents::register_too))
        .routes(routes!(fleet::statistics))
        .routes(routes!(fleet::by_capability))
        .routes(routes!(fleet::route))
        .routes(routes!(fleet::performance, fleet::report))
        .routes(routes!(fleet::reset_metrics))
        .routes(routes!(fleet::rebalance))
        .routes(routes!(fleet::health))
        .routes(routes!(agents::get, agents::patch, agents::delete))
        .routes(routes!(agents::deregister))
        .routes(routes!(agents::drain))
        .routes(routes!(agents::undrain))
        .routes(routes!(agents::maintenance))
        .routes(routes!(agents::probe))
        .routes(routes!(agents::approve))
        .routes(routes!(external::register))
        .routes(routes!(external::heartbeat))
        .routes(routes!(external::heartbeat_too))
        .routes(routes!(external::next))
        .routes(routes!(external::events))
        .routes(routes!(external::result))
        .routes(routes!(external::nack))
        .routes(routes!(external::rotate))
        .routes(routes!(external::rotate_too))
        .routes(routes!(external::deregister))
}

/// The routes of contexts.
fn of_contexts() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(contexts::create, contexts::list))
        .routes(routes!(contexts::merge))
        .routes(routes!(contexts::global))
        .routes(routes!(contexts::of_session))
        .routes(routes!(contexts::summary))
        .routes(routes!(contexts::of_agent))
        .routes(routes!(contexts::get, contexts::patch, contexts::delete))
        .routes(routes!(contexts::key, contexts::put_key, contexts::delete_key))
        .routes(routes!(contexts::promote))
        .routes(routes!(contexts::share))
        .routes(routes!(contexts::resolve))
        .routes(routes!(context_past::diff))
        .routes(routes!(context_past::history))
        .routes(routes!(context_past::version))
}

/// The routes of locks.
fn of_locks() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(locks::list))
        .routes(routes!(locks::acquire_many))
        .routes(routes!(locks::get, locks::force_release))
        .routes(routes!(locks::acquire))
        .routes(routes!(locks::renew))
        .routes(routes!(locks::release))
}

/// The routes that people come by: the control room, signing in, and what there is to read.
fn of_pages() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(dashboard::home))
        .routes(routes!(dashboard::part))
        .routes(routes!(sign_in::page))
        .routes(routes!(sign_in::part))
        .routes(routes!(provider::begin))
        .routes(routes!(provider::callback))
        .routes(routes!(docs::openapi))
        .routes(routes!(docs::page))
        .routes(routes!(docs::part))
        .routes(routes!(docs::problem))
}

/// The routes of tasks and of the templates that split them.
fn of_tasks() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(tasks::create, tasks::list))
        .routes(routes!(tasks::stats))
        .routes(routes!(tasks::get, tasks::patch, tasks::delete))
        .routes(routes!(tasks::subtasks))
        .routes(routes!(tasks::tree))
        .routes(routes!(tasks::graph))
        .routes(routes!(tasks::graph_too))
        .routes(routes!(tasks::dependencies, tasks::depend))
        .routes(routes!(tasks::free))
        .routes(routes!(task_life::status))
        .routes(routes!(task_life::assign))
        .routes(routes!(task_life::start))
        .routes(routes!(task_life::complete))
        .routes(routes!(task_life::fail))
        .routes(routes!(task_life::pause))
        .routes(routes!(task_life::cancel))
        .routes(routes!(task_life::skip))
        .routes(routes!(task_life::retry))
        .routes(routes!(task_life::decompose))
        .routes(routes!(task_life::execute))
        .routes(routes!(templates::create, templates::list))
        .routes(routes!(templates::get, templates::put, templates::delete))
}

/// The routes of sockets.
fn of_sockets() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(ws::sessions))
        .routes(routes!(ws::session))
        .routes(routes!(ws::agents))
        .routes(routes!(ws::agent))
        .routes(routes!(ws::task))
        .routes(routes!(ws::system))
        .routes(routes!(ws::events))
}

/// Every route with its place in the document.
pub(crate) fn documented() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(sessions::create, sessions::list))
        .routes(routes!(sessions::stats))
        .routes(routes!(sessions::get, sessions::patch, sessions::delete))
        .routes(routes!(sessions::attempts))
        .routes(routes!(sessions::tree))
        .routes(routes!(sessions::explain))
        .routes(routes!(control::start))
        .routes(routes!(control::pause))
        .routes(routes!(control::resume))
        .routes(routes!(control::stop))
        .routes(routes!(control::cancel))
        .routes(routes!(control::retry))
        .routes(routes!(control::complete))
        .routes(routes!(control::fail))
        .routes(routes!(control::rate))
        .routes(routes!(verify::verify))
        .routes(routes!(control::prompt))
        .routes(routes!(control::fork))
        .routes(routes!(files::checkpoints, control::create_checkpoint))
        .routes(routes!(files::checkpoint))
        .routes(routes!(control::restore))
        .routes(routes!(files::diff))
        .routes(routes!(files::diff_file))
        .routes(routes!(files::merge))
        .routes(routes!(files::artifacts))
        .routes(routes!(files::artifact))
        .routes(routes!(streams::session_events))
        .routes(routes!(streams::logs))
        .routes(routes!(streams::transcript))
        .routes(routes!(streams::events))
        .routes(routes!(attention::list))
        .routes(routes!(attention::resolve_many))
        .routes(routes!(attention::get))
        .routes(routes!(attention::resolve))
        .routes(routes!(tenants::create, tenants::list))
        .routes(routes!(tenants::get, tenants::patch, tenants::delete))
        .routes(routes!(tenants::quotas, tenants::set_quotas))
        .routes(routes!(usage::tenant_usage))
        .routes(routes!(usage::usage))
        .routes(routes!(usage::prices, usage::set_prices))
        .routes(routes!(usage::budgets, usage::set_budgets))
        .merge(of_agents())
        .merge(of_contexts())
        .merge(of_locks())
        .merge(of_tasks())
        .routes(routes!(admissions::list))
        .routes(routes!(admissions::hold))
        .routes(routes!(admissions::release))
        .routes(routes!(hosts::list))
        .routes(routes!(hosts::recycle))
        .routes(routes!(recovery::plan))
        .routes(routes!(recovery::apply))
        .routes(routes!(system::info))
        .routes(routes!(system::storage))
        .routes(routes!(archive::backup))
        .routes(routes!(archive::export))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::get, keys::delete))
        .routes(routes!(keys::rotate))
        .routes(routes!(keys::whoami))
        .routes(routes!(users::create, users::list))
        .routes(routes!(users::get, users::patch, users::delete))
        .routes(routes!(invites::create, invites::list))
        .routes(routes!(invites::get, invites::delete))
        .routes(routes!(invites::accept))
        .routes(routes!(login::login))
        .routes(routes!(login::look))
        .routes(routes!(login::logout))
        .routes(routes!(login::link))
        .routes(routes!(login::ticket))
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(webhooks::get, webhooks::patch, webhooks::delete))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::delivery))
        .routes(routes!(webhooks::redeliver))
        .merge(of_sockets())
        .routes(routes!(mcp::serve))
        .routes(routes!(system::health))
        .routes(routes!(system::live))
        .routes(routes!(system::ready))
        .routes(routes!(system::ready_short))
        .routes(routes!(system::metrics))
        .merge(of_pages())
}

/// The whole API over these parts; `extra` are routes of other rooms, behind the same door.
///
/// Spawns the tasks that sockets live from on the tracker of the state.
pub fn router(app: &AppState, extra: Router<AppState>) -> Router {
    app.tracker.spawn(ws::hub::run(app.clone()));
    app.tracker.spawn(ws::seats::watch(app.clone()));
    let (routes, _) = documented().split_for_parts();
    // What tools do for whoever shows a key, they do through the API itself.
    let within = mcp::Api(behind_the_door(app, routes.clone()));
    behind_the_door(app, routes.merge(extra).layer(Extension(within)))
}

/// These routes, with what every request passes on its way in and out.
fn behind_the_door(app: &AppState, routes: Router<AppState>) -> Router {
    let way_in = ServiceBuilder::new()
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(app.clone(), middleware::way))
        .layer(CatchPanicLayer::custom(middleware::panicked));
    routes
        .fallback(dashboard::elsewhere)
        .method_not_allowed_fallback(middleware::no_method)
        .layer(way_in)
        .with_state(app.clone())
}

//! The Model Context Protocol at `/mcp`: tools for agents at work, who show a session-scoped token, and for
//! whoever shows a key.
//!
//! Invariant: there are no sessions of the protocol: each request says by itself who sends it, so that nothing
//! is lost with a connection or a restart.

mod inside;
mod inside_input;
mod outside;
mod tools;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, Implementation,
    ListResourceTemplatesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ResourceContents,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::{RequestContext as CallContext, RoleServer};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Map, Value};

use super::api::caller::{Caller, bearer, may_fail, not_accepted, peer, within_rate};
use super::api::codes::ErrorCode;
use super::api::problem::Problem;
use super::api::request_id::RequestId;
use super::api::state::AppState;
use crate::application::error::AppError;
use crate::application::inside::{Insider, is_inside};
use crate::domain::ids::KeyId;

use self::outside::Outsider;

/// The API as it is called from within.
#[derive(Clone)]
pub struct Api(pub Router);

/// More of what is wrong with a message is not told.
const LONGEST_REFUSAL: usize = 4096;

/// What a tool answers.
type Answer = Result<Value, Refusal>;

/// Why a tool does not do it.
enum Refusal {
    /// Decided here.
    Problem(Problem),
    /// As the API told it.
    Told(Value),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<AppError> for Refusal {
    fn from(error: AppError) -> Self {
        Self::Problem(error.into())
    }
}

/// The longest time of a request to a route, when that is not the usual: tools wait for people and locks.
#[must_use]
pub fn longest(route: &str) -> Option<Duration> {
    (route == "/mcp").then(|| Duration::from_secs(inside_input::LONGEST_WAIT + 10))
}

/// Who sent a request.
#[derive(Clone)]
enum Who {
    Inside { who: Arc<Insider>, request_id: String },
    Outside(Arc<Outsider>),
}

/// Tools and resources for agents and programs, by the Model Context Protocol (JSON-RPC over HTTP, without
/// sessions of its own). A session-scoped token gets what an agent at work needs, a key what people do.
#[utoipa::path(post, path = "/mcp", tag = "mcp", request_body = Object,
    responses((status = 200, description = "The answer of JSON-RPC", body = Object),
        (status = 202, description = "A notification was taken")))]
pub async fn serve(
    State(app): State<AppState>,
    Extension(api): Extension<Api>,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let token = bearer(&parts.headers)?.filter(|token| is_inside(token));
    let request_id = parts.extensions.get::<RequestId>().map_or("", RequestId::as_str).to_owned();
    let who = if let Some(token) = token {
        let Some(who) = app.inside.recognise(&token).await? else {
            let peer = peer(&parts.extensions);
            // Counted first: nobody fills the audit by guessing.
            may_fail(&app, peer)?;
            app.audit.not_recognised(&peer.to_string(), "POST /mcp", &request_id).await;
            return Err(not_accepted("this token was for an attempt that has ended"));
        };
        // Each session has an allowance of its own.
        within_rate(&app, (who.tenant, KeyId::new(who.session.uuid())), &parts.extensions)?;
        Who::Inside { who: Arc::new(who), request_id }
    } else {
        Caller::from_request_parts(&mut parts, &app).await?;
        Who::Outside(Arc::new(Outsider::new(api.0, &parts)))
    };
    let desk = Desk { app: app.clone(), who };
    // There is one kind of answer; who names another gets it all the same.
    let accepted = HeaderValue::from_static("application/json, text/event-stream");
    parts.headers.insert(header::ACCEPT, accepted);
    let request = Request::from_parts(parts, body);
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_cancellation_token(app.shutdown.child_token())
        // Host and Origin were looked at before.
        .disable_allowed_hosts()
        .disable_allowed_origins();
    let factory = move || Ok(desk.clone());
    let sessions = Arc::new(NeverSessionManager::default());
    let answer = StreamableHttpService::new(factory, sessions, config).handle(request).await;
    if answer.status().is_success() {
        return Ok(answer.into_response());
    }
    let told = to_bytes(Body::new(answer.into_body()), LONGEST_REFUSAL).await.unwrap_or_default();
    let detail = format!("no message of the protocol: {}", String::from_utf8_lossy(&told));
    Err(Problem::new(ErrorCode::ProtocolError, detail))
}

/// Answers one request.
#[derive(Clone)]
struct Desk {
    app: AppState,
    who: Who,
}

impl Desk {
    async fn call(&self, name: &str, mut arguments: Map<String, Value>) -> Option<Answer> {
        self.app.options.redactor.clean_map(&mut arguments);
        match &self.who {
            Who::Inside { who, request_id } => {
                inside::call(&self.app, who, request_id, name, arguments).await
            }
            Who::Outside(caller) => outside::call(caller, name, arguments).await,
        }
    }
}

impl ServerHandler for Desk {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools();
        let (capabilities, words) = match &self.who {
            Who::Inside { .. } => (capabilities.build(), tools::INSIDE_WORDS),
            Who::Outside(_) => (capabilities.enable_resources().build(), tools::OUTSIDE_WORDS),
        };
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("orchestrator", env!("CARGO_PKG_VERSION")))
            .with_instructions(words)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: CallContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(match self.who {
            Who::Inside { .. } => tools::inside(),
            Who::Outside(_) => tools::outside(),
        }))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: CallContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let Some(answer) = self.call(&request.name, arguments).await else {
            let detail = format!("there is no tool {:?}; tools/list names them", request.name);
            return Err(ErrorData::invalid_params(detail, None));
        };
        Ok(match answer {
            Ok(value) => CallToolResult::structured(value).into(),
            Err(refusal) => CallToolResult::structured_error(told(&self.app, refusal)).into(),
        })
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: CallContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(match self.who {
            Who::Inside { .. } => Vec::new(),
            Who::Outside(_) => tools::resources(),
        }))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: CallContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let found = match &self.who {
            Who::Inside { .. } => None,
            Who::Outside(caller) => outside::read(caller, &request.uri).await,
        };
        let missing =
            || ErrorData::resource_not_found(format!("there is no {}", request.uri), None);
        match found.ok_or_else(missing)? {
            Ok(value) => {
                let text = ResourceContents::text(value.to_string(), request.uri);
                let contents = vec![text.with_mime_type("application/json")];
                Ok(ReadResourceResult::new(contents).into())
            }
            Err(refusal) => {
                let body = told(&self.app, refusal);
                let detail = body["detail"].as_str().unwrap_or_default().to_owned();
                Err(ErrorData::resource_not_found(detail, Some(body)))
            }
        }
    }
}

/// A refusal as it is told: a problem document, without secrets.
fn told(app: &AppState, refusal: Refusal) -> Value {
    match refusal {
        Refusal::Problem(problem) => {
            problem.without_secrets(&app.options.redactor.strict()).body(None)
        }
        Refusal::Told(document) => document,
    }
}

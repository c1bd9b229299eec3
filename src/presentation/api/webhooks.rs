//! `/webhooks`: addresses that are told of events; administrators only.

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::answer::etag;
use super::caller::Caller;
use super::codes::ErrorCode;
use super::dto::webhook::{
    CreateWebhook, CreateWebhookBody, DeliveryDto, PatchWebhook, PatchWebhookBody, WebhookDto,
};
use super::extract::{Path, Query};
use super::fields::Nothing;
use super::idempotency::Command;
use super::json::Json;
use super::page::{Page, Scope, limit};
use super::problem::Problem;
use super::state::AppState;
use crate::application::principal::Subject;
use crate::domain::ids::{DeliveryId, WebhookId};

/// Create a webhook; the answer shows its secret once.
#[utoipa::path(post, path = "/api/v1/webhooks", tag = "webhooks", request_body = CreateWebhookBody,
    responses((status = 201, description = "The webhook with its secret", body = WebhookDto)))]
pub async fn create(
    State(app): State<AppState>,
    command: Command<CreateWebhook>,
) -> Result<Response, Problem> {
    let made = app.webhooks.create(&command.ctx, &command.body.0).await?;
    Ok(command.answer_once(&Subject::Webhook(&made)))
}

/// List webhooks, oldest first.
#[utoipa::path(get, path = "/api/v1/webhooks", tag = "webhooks",
    responses((status = 200, description = "All webhooks", body = Page<WebhookDto>)))]
pub async fn list(
    State(app): State<AppState>,
    Caller(ctx): Caller,
) -> Result<Json<Page<WebhookDto>>, Problem> {
    let found = app.webhooks.list(&ctx).await?;
    Ok(Json(Page::whole(found.iter().map(WebhookDto::from).collect())))
}

/// Read a webhook.
#[utoipa::path(get, path = "/api/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = WebhookId, Path, description = "Id of the webhook")),
    responses((status = 200, description = "The webhook", body = WebhookDto)))]
pub async fn get(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = app.webhooks.get(&ctx, parse(&id)?).await?;
    let tag = etag(found.webhook.version);
    Ok(([(header::ETAG, tag)], Json(WebhookDto::from(&found))).into_response())
}

/// Change a webhook, or take up one that was switched off.
#[utoipa::path(patch, path = "/api/v1/webhooks/{id}", tag = "webhooks", request_body = PatchWebhookBody,
    params(("id" = WebhookId, Path, description = "Id of the webhook")),
    responses((status = 200, description = "The webhook as it now stands", body = WebhookDto)))]
pub async fn patch(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<PatchWebhook>,
) -> Result<Response, Problem> {
    let changed = app.webhooks.change(&command.ctx, parse(&id)?, &command.body.0).await?;
    Ok(command.answer(&Subject::Webhook(&changed)))
}

/// Delete a webhook with its deliveries.
#[utoipa::path(delete, path = "/api/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = WebhookId, Path, description = "Id of the webhook")),
    responses((status = 204, description = "It is gone")))]
pub async fn delete(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.webhooks.delete(&ctx, parse(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a new secret; messages are signed with the one before for another day, too.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/rotate", tag = "webhooks",
    params(("id" = WebhookId, Path, description = "Id of the webhook")),
    responses((status = 200, description = "The webhook with its new secret", body = WebhookDto)))]
pub async fn rotate(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let rotated = app.webhooks.rotate(&command.ctx, parse(&id)?).await?;
    Ok(command.answer_once(&Subject::Webhook(&rotated)))
}

/// The log of a webhook, newest first.
#[utoipa::path(get, path = "/api/v1/webhooks/{id}/deliveries", tag = "webhooks",
    params(
        ("id" = WebhookId, Path, description = "Id of the webhook"),
        ("state" = Option<String>, Query, description = "`pending`, `delivered` or `failed`", example = "failed"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "One page", body = Page<DeliveryDto>)))]
pub async fn deliveries(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    uri: Uri,
    Query(mut params): Query,
) -> Result<Json<Page<DeliveryDto>>, Problem> {
    let scope = Scope::of(ctx.tenant, &uri);
    let state = params.word("state");
    let before = scope.take(&mut params).map(DeliveryId::new);
    let limit = limit(&mut params);
    params.finish()?;
    let id = parse(&id)?;
    let mut found = app.webhooks.deliveries(&ctx, id, state, before, limit + 1).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| has_more).map(|delivery| delivery.value.id);
    Ok(Json(Page {
        items: found.iter().map(DeliveryDto::from).collect(),
        next_cursor: last.map(|id| scope.cursor(id.uuid())),
        has_more,
        total: None,
    }))
}

/// Read a delivery.
#[utoipa::path(get, path = "/api/v1/webhooks/{id}/deliveries/{delivery_id}", tag = "webhooks",
    params(
        ("id" = WebhookId, Path, description = "Id of the webhook"),
        ("delivery_id" = DeliveryId, Path, description = "Id of the delivery"),
    ),
    responses((status = 200, description = "The delivery", body = DeliveryDto)))]
pub async fn delivery(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<Json<DeliveryDto>, Problem> {
    let found = app.webhooks.delivery(&ctx, parse(&id)?, parse_delivery(&delivery)?).await?;
    Ok(Json(DeliveryDto::from(&found)))
}

/// Send a message that says nothing but that the webhook works.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/test", tag = "webhooks",
    params(("id" = WebhookId, Path, description = "Id of the webhook")),
    responses((status = 202, description = "The delivery, which is under way", body = DeliveryDto)))]
pub async fn test(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let made = app.webhooks.test(&command.ctx, parse(&id)?).await?;
    Ok(command.answer(&Subject::Delivery(&made)))
}

/// Send a message once more, under its old name.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/deliveries/{delivery_id}/redeliver", tag = "webhooks",
    params(
        ("id" = WebhookId, Path, description = "Id of the webhook"),
        ("delivery_id" = DeliveryId, Path, description = "Id of the delivery"),
    ),
    responses((status = 202, description = "The delivery, which is under way", body = DeliveryDto)))]
pub async fn redeliver(
    State(app): State<AppState>,
    Path((id, delivery)): Path<(String, String)>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let (id, delivery) = (parse(&id)?, parse_delivery(&delivery)?);
    let made = app.webhooks.redeliver(&command.ctx, id, delivery).await?;
    Ok(command.answer(&Subject::Delivery(&made)))
}

fn parse(id: &str) -> Result<WebhookId, Problem> {
    let missing = || Problem::new(ErrorCode::WebhookNotFound, "no such webhook");
    WebhookId::parse(id).ok_or_else(missing)
}

fn parse_delivery(id: &str) -> Result<DeliveryId, Problem> {
    let missing = || Problem::new(ErrorCode::DeliveryNotFound, "no such delivery");
    DeliveryId::parse(id).ok_or_else(missing)
}

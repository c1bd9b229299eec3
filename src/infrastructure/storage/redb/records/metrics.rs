//! What was measured of a session.

use serde::{Deserialize, Serialize};

use super::attempt::{SessionErrorV1, UsageV1};
use super::{
    Unreadable, Unstorable, json, millis, optional_json, optional_value, time, value, word,
};
use crate::domain::session::metrics::{Metrics, RateSource, Warning};
use crate::domain::time::Timestamp;

#[derive(Serialize, Deserialize)]
struct WarningV1 {
    warning_type: String,
    message: String,
    timestamp: i64,
    context: String,
}

impl WarningV1 {
    fn of(warning: &Warning) -> Result<Self, Unstorable> {
        let Warning { warning_type, message, timestamp, context } = warning;
        Ok(Self {
            warning_type: warning_type.clone(),
            message: message.clone(),
            timestamp: timestamp.millis(),
            context: json(context)?,
        })
    }

    fn domain(self) -> Result<Warning, Unreadable> {
        let Self { warning_type, message, timestamp, context } = self;
        let context = value(&context, "warning.context")?;
        let timestamp = Timestamp::from_millis(timestamp);
        Ok(Warning { warning_type, message, timestamp, context })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct MetricsV1 {
    queue_ms: Option<u64>,
    execution_ms: Option<u64>,
    usage: UsageV1,
    api_calls_count: u64,
    api_errors_count: u64,
    retry_count: u32,
    success_rate: Option<f64>,
    success_rate_source: Option<String>,
    confidence_score: Option<f64>,
    code_quality_score: Option<f64>,
    result: Option<String>,
    error: Option<SessionErrorV1>,
    previous_errors: Vec<SessionErrorV1>,
    warnings: Vec<WarningV1>,
    last_checkpoint_at: Option<i64>,
}

impl MetricsV1 {
    pub(super) fn of(metrics: &Metrics) -> Result<Self, Unstorable> {
        let Metrics {
            queue_ms,
            execution_ms,
            usage,
            api_calls_count,
            api_errors_count,
            retry_count,
            success_rate,
            success_rate_source,
            confidence_score,
            code_quality_score,
            result,
            error,
            previous_errors,
            warnings,
            last_checkpoint_at,
        } = metrics;
        Ok(Self {
            queue_ms: *queue_ms,
            execution_ms: *execution_ms,
            usage: UsageV1::of(usage),
            api_calls_count: *api_calls_count,
            api_errors_count: *api_errors_count,
            retry_count: *retry_count,
            success_rate: *success_rate,
            success_rate_source: success_rate_source.map(|source| source.as_str().to_owned()),
            confidence_score: *confidence_score,
            code_quality_score: *code_quality_score,
            result: optional_json(result.as_ref())?,
            error: error.as_ref().map(SessionErrorV1::of).transpose()?,
            previous_errors: previous_errors
                .iter()
                .map(SessionErrorV1::of)
                .collect::<Result<_, _>>()?,
            warnings: warnings.iter().map(WarningV1::of).collect::<Result<_, _>>()?,
            last_checkpoint_at: millis(*last_checkpoint_at),
        })
    }

    pub(super) fn domain(self) -> Result<Metrics, Unreadable> {
        let Self {
            queue_ms,
            execution_ms,
            usage,
            api_calls_count,
            api_errors_count,
            retry_count,
            success_rate,
            success_rate_source,
            confidence_score,
            code_quality_score,
            result,
            error,
            previous_errors,
            warnings,
            last_checkpoint_at,
        } = self;
        let source = success_rate_source
            .map(|slug| word(&slug, RateSource::parse, "success_rate_source"))
            .transpose()?;
        Ok(Metrics {
            queue_ms,
            execution_ms,
            usage: usage.domain(),
            api_calls_count,
            api_errors_count,
            retry_count,
            success_rate,
            success_rate_source: source,
            confidence_score,
            code_quality_score,
            result: optional_value(result.as_ref(), "result")?,
            error: error.map(SessionErrorV1::domain).transpose()?,
            previous_errors: previous_errors
                .into_iter()
                .map(SessionErrorV1::domain)
                .collect::<Result<_, _>>()?,
            warnings: warnings.into_iter().map(WarningV1::domain).collect::<Result<_, _>>()?,
            last_checkpoint_at: time(last_checkpoint_at),
        })
    }
}

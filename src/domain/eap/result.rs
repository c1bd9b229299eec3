//! What came of a piece of work, as an agent of others tells it.
//!
//! Invariant: a result holds no path that leads out of the folder it is stored in.

use serde_json::{Map, Value};

use super::fields::Fields;
use crate::closed_enum;
use crate::domain::field::FieldError;
use crate::domain::money::Usd;
use crate::domain::usage::{MOST_COST, MOST_TOKENS};

/// Files of one result.
const MOST_ARTIFACTS: usize = 1000;
/// Characters of a path.
const MOST_PATH: usize = 300;
/// Characters of one file as it is sent; the whole answer has a bound of its own.
const MOST_CONTENT: usize = 8 * 1024 * 1024;
/// Milliseconds that any work takes: ten years.
const MOST_TIME: u64 = 315_576_000_000;
/// Characters of an error message.
const MOST_MESSAGE: usize = 10_000;

closed_enum!(
    /// Whether the work is done.
    ResultStatus {
        Completed = "completed",
        Failed = "failed",
    }
);

closed_enum!(
    /// How the content of a file is spelled.
    Encoding {
        Utf8 = "utf-8",
        Base64 = "base64",
    }
);

/// A file that came of the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Relative, its parts joined by `/`.
    pub path: String,
    /// As it was sent.
    pub content: String,
    /// How the content is spelled.
    pub encoding: Encoding,
    /// What it is.
    pub mime_type: String,
}

/// What came of a piece of work.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of domain 9.3")]
pub struct TaskResult {
    pub task_id: String,
    pub fencing_token: Option<u64>,
    pub status: ResultStatus,
    pub artifacts: Vec<Artifact>,
    pub output_data: Option<Map<String, Value>>,
    pub error_message: Option<String>,
    pub execution_time_ms: u64,
    pub tokens_used: u64,
    pub cost: Usd,
    pub success_rate: Option<f64>,
    pub quality_score: Option<f64>,
    pub partial: bool,
    pub retryable: bool,
}

impl TaskResult {
    /// Reads a result. Figures may be flat or below `metrics`; the flat ones count.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(sent: &Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let mut fields = Fields::of(sent);
        let task_id = fields.required_text("task_id", 100).map(str::to_owned);
        if fields.value("status").is_none() {
            fields.wrong("status", "required", "must be completed or failed");
        }
        let status = fields.word("status", ResultStatus::parse, "completed, failed");
        let fencing_token = fields.whole("fencing_token");
        let artifacts = artifacts(&mut fields);
        let output_data = fields.map("output_data").cloned();
        if let Some(data) = &output_data {
            fields.errors.map(&fields.pointer("output_data"), data);
        }
        let error_message = fields.text("error_message", MOST_MESSAGE).map(str::to_owned);
        let nested = fields.map("metrics").cloned().unwrap_or_default();
        let mut nested = Fields::at(&nested, "/metrics".to_owned());
        let count = |fields: &mut Fields<'_>, nested: &mut Fields<'_>, name: &str, most: u64| {
            fields.count(name, most).or_else(|| nested.count(name, most)).unwrap_or(0)
        };
        let execution_time_ms = count(&mut fields, &mut nested, "execution_time_ms", MOST_TIME);
        let tokens_used = count(&mut fields, &mut nested, "tokens_used", MOST_TOKENS);
        let share = |fields: &mut Fields<'_>, nested: &mut Fields<'_>, name: &str| {
            fields.number(name, 0.0, 1.0).or_else(|| nested.number(name, 0.0, 1.0))
        };
        let dollars = |fields: &mut Fields<'_>| fields.number("cost_usd", 0.0, MOST_COST.dollars());
        let cost = dollars(&mut fields).or_else(|| dollars(&mut nested));
        let success_rate = share(&mut fields, &mut nested, "success_rate");
        let quality_score = share(&mut fields, &mut nested, "quality_score");
        let partial = fields.flag("partial").unwrap_or(false);
        let retryable = fields.flag("retryable").unwrap_or(true);
        fields.errors.absorb(nested.errors);
        let known = task_id.zip(status);
        fields.finish(known.map(|(task_id, status)| Self {
            task_id,
            fencing_token,
            status,
            artifacts,
            output_data,
            error_message,
            execution_time_ms,
            tokens_used,
            cost: cost.and_then(Usd::from_dollars).unwrap_or(Usd::ZERO),
            success_rate,
            quality_score,
            partial,
            retryable,
        }))
    }
}

fn artifacts(fields: &mut Fields<'_>) -> Vec<Artifact> {
    let mut artifacts: Vec<Artifact> = Vec::new();
    let sent = fields.list("artifacts", MOST_ARTIFACTS).unwrap_or_default();
    for (index, value) in sent.iter().enumerate() {
        let at = fields.pointer(&format!("artifacts/{index}"));
        let Some(map) = value.as_object() else {
            fields.errors.add(at, "wrong_type", "must be an object with path and content");
            continue;
        };
        let mut one = Fields::at(map, at);
        let path = one.required_text("path", MOST_PATH).map(str::to_owned);
        if let Some(path) = &path {
            if !is_relative(path) {
                let rule = "must be relative, without empty parts, . and .., and without control characters";
                one.wrong("path", "invalid", rule);
            } else if artifacts.iter().any(|known| collide(&known.path, path)) {
                one.wrong("path", "duplicate", "stands there twice, or is the folder of another");
            }
        }
        let content = one.required_text("content", MOST_CONTENT).map(str::to_owned);
        let encoding = one.word("encoding", Encoding::parse, "utf-8, base64");
        let mime_type = one.text("mime_type", 200).unwrap_or("text/plain").to_owned();
        fields.errors.absorb(one.errors);
        if let Some((path, content)) = path.zip(content) {
            let encoding = encoding.unwrap_or(Encoding::Utf8);
            artifacts.push(Artifact { path, content, encoding, mime_type });
        }
    }
    artifacts
}

/// Whether a path stays below the folder that it is resolved in, on every system.
#[must_use]
pub fn is_relative(path: &str) -> bool {
    let is_part = |part: &str| {
        !matches!(part, "" | "." | "..") && part.len() <= 255 && !part.ends_with([' ', '.'])
    };
    path.split('/').all(is_part)
        && !path.contains(['\\', ':'])
        && !path.chars().any(char::is_control)
}

/// Whether two paths cannot stand beside each other, also where case does not count.
fn collide(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    let holds = |folder: &str, path: &str| {
        path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    holds(&one, &other) || holds(&other, &one)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<TaskResult, Vec<String>> {
        let map = value.as_object().cloned().unwrap_or_default();
        TaskResult::read(&map)
            .map_err(|errors| errors.into_iter().map(|error| error.pointer).collect())
    }

    #[test]
    fn flat_figures_come_before_nested_ones_and_unknown_fields_are_ignored() {
        let result = read(&json!({
            "task_id": "t", "status": "completed", "tokens_used": 5, "surprise": [1],
            "metrics": { "tokens_used": 9, "execution_time_ms": 70, "cost_usd": 0.25 },
        }))
        .expect("valid");
        assert_eq!((result.tokens_used, result.execution_time_ms), (5, 70));
        assert_eq!(result.cost.micros(), 250_000);
        assert_eq!((result.partial, result.retryable, result.fencing_token), (false, true, None));
    }

    #[test]
    fn everything_wrong_is_told_with_its_place() {
        let told = read(&json!({
            "status": "done", "fencing_token": -1, "quality_score": 1.5,
            "metrics": { "execution_time_ms": "soon" },
            "artifacts": [
                { "path": "../x", "content": "" },
                { "path": "a/b", "content": "1" },
                { "path": "A", "content": "2" },
                { "path": "c", "encoding": "hex", "content": 7 },
                "d",
            ],
        }));
        let expected = [
            "/task_id",
            "/status",
            "/fencing_token",
            "/artifacts/0/path",
            "/artifacts/2/path",
            "/artifacts/3/content",
            "/artifacts/3/encoding",
            "/artifacts/4",
            "/quality_score",
            "/metrics/execution_time_ms",
        ];
        assert_eq!(told.expect_err("wrong"), expected);
    }

    #[test]
    fn paths_stay_where_they_are_stored() {
        for good in ["a", "a/b.txt", "a b/c", "ä/ö", "...x", ".hidden"] {
            assert!(is_relative(good), "{good}");
        }
        for bad in
            ["", "/a", "a//b", "..", "a/../b", "./a", "a/", "a\\b", "c:x", "a\0", "a\n", "a."]
        {
            assert!(!is_relative(bad), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_path_leads_out(path in "[a./\\\\: ]{0,12}") {
            if is_relative(&path) {
                let joined = std::path::Path::new("/store").join(&path);
                let plain = joined.components().all(|part| !matches!(part, std::path::Component::ParentDir));
                prop_assert!(plain && joined.starts_with("/store") && joined.as_os_str().len() > 7);
            }
        }

        #[test]
        fn whatever_is_sent_is_read_or_told(text in ".{0,40}", number in any::<f64>(), deep in any::<bool>()) {
            let value = if deep { json!({ "a": [text] }) } else { json!(number) };
            for field in ["task_id", "status", "fencing_token", "artifacts", "output_data", "metrics", "partial"] {
                let mut sent = Map::new();
                sent.insert("task_id".to_owned(), json!("t"));
                sent.insert("status".to_owned(), json!("failed"));
                sent.insert(field.to_owned(), value.clone());
                let told = TaskResult::read(&sent);
                prop_assert!(told.is_ok() || told.is_err_and(|errors| !errors.is_empty()));
            }
        }
    }
}

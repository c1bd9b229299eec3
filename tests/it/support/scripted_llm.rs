//! The model that follows a script, as a child of the test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// A scripted model server; ends with its value. Its scripts travel inside the prompts.
pub(crate) struct ScriptedLlm {
    child: Child,
    url: String,
    http: reqwest::Client,
}

impl ScriptedLlm {
    /// Starts one on a free port.
    pub(crate) fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/scripted-llm.py");
        let mut child = Command::new("python3")
            .arg(script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("listening ").expect("it listens").to_owned();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { child, url, http }
    }

    /// Its address, without `/v1`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it was asked so far.
    pub(crate) async fn requests(&self) -> Vec<Value> {
        let answer =
            self.http.get(format!("{}/_requests", self.url)).send().await.expect("answers");
        answer.json().await.expect("a list")
    }

    /// The newest request about a conversation, whole.
    pub(crate) async fn body_of(&self, session: &str) -> String {
        let address = format!("{}/_requests?full=1", self.url);
        let answer = self.http.get(address).send().await.expect("answers");
        let all: Vec<Value> = answer.json().await.expect("a list");
        let mine = all
            .iter()
            .rfind(|request| request["session"] == json!(session) && request["tools"] != json!(0));
        mine.expect("it was asked")["body"].to_string()
    }

    /// Waits until a prompt that holds these words was asked about `count` times; the conversation.
    pub(crate) async fn conversation(&self, words: &str, count: usize) -> String {
        let mine = async || {
            let all = self.requests().await;
            let says = |request: &&Value| {
                let said = request["user"].as_str().unwrap_or_default();
                said.contains(words) && request["tools"] != json!(0)
            };
            let mine: Vec<Value> = all.iter().filter(says).cloned().collect();
            mine
        };
        super::opencode::eventually("the model is asked", async || mine().await.len() >= count)
            .await;
        let mut sessions: Vec<Value> =
            mine().await.iter().map(|request| request["session"].clone()).collect();
        sessions.dedup();
        assert_eq!(sessions.len(), 1, "one conversation asks about “{words}”: {sessions:?}");
        sessions[0].as_str().expect("a text").to_owned()
    }

    /// Waits until somebody has asked `count` times about `session`.
    pub(crate) async fn asked(&self, session: &str, count: usize) {
        super::opencode::eventually("the model is asked", async || {
            let all = self.requests().await;
            all.iter().filter(|request| request["session"] == json!(session)).count() >= count
        })
        .await;
    }

    /// Answers prompts that hold these words with these turns, unless they carry a script.
    /// Forgets what was asked before.
    pub(crate) async fn rule(&self, words: &str, turns: &Value) {
        self.rules(&[(words, turns.clone())]).await;
    }

    /// Answers prompts that hold these words with these turns, for each of them.
    /// Forgets what was asked before.
    pub(crate) async fn rules(&self, rules: &[(&str, Value)]) {
        let rules: Vec<Value> = rules
            .iter()
            .map(|(words, turns)| json!({ "when": { "user": words }, "turns": turns }))
            .collect();
        let script = json!({ "rules": rules });
        let answer = self.http.post(format!("{}/_script", self.url)).json(&script).send().await;
        assert!(answer.expect("answers").status().is_success());
    }

    /// Opens a gate for good.
    pub(crate) async fn open(&self, gate: &str) {
        let answer = self.http.post(format!("{}/_gate/{gate}", self.url)).body("{}").send().await;
        assert!(answer.expect("answers").status().is_success());
    }
}

impl Drop for ScriptedLlm {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A prompt that carries its script.
pub(crate) fn scripted(words: &str, turns: &Value) -> String {
    format!("{words}\n```scripted-llm\n{}\n```", json!({ "turns": turns }))
}

//! Programs that say more than anybody wants to hear.

use std::time::Duration;

use orchestrator::application::ports::driver::{AgentEvent, TurnEnd};
use orchestrator::application::redacted::Words;
use orchestrator::domain::redact::Redactor;
use serde_json::json;

use super::{Bench, grown, logs};
use crate::support::opencode::Run;

const MEBIBYTE: usize = 1024 * 1024;

fn text(run: &Run) -> String {
    let items = run.transcript("text");
    assert_eq!(items.len(), 1);
    items[0].body["text"].as_str().expect("text").to_owned()
}

#[tokio::test]
async fn a_flood_of_lines_is_cut_and_its_end_is_told() {
    let bench = Bench::new();
    let script = "yes 'a line of some words' | head -c 20000000; echo; echo the end";
    let mut run = bench.run(script, "x").await;
    let (end, said, _) = run.turn().await;
    assert_eq!(end, TurnEnd::Done);
    assert!(said.ends_with("the end") && said.len() <= 16 * 1024, "{} bytes", said.len());
    let (grown, whole) = (grown(&run), text(&run));
    assert!(grown.len() <= MEBIBYTE && grown.len() > MEBIBYTE - 100);
    assert!(whole.starts_with(&grown) && whole.ends_with("the end\n"));
    assert!(whole.len() < MEBIBYTE + 64 * 1024 && whole.contains("bytes left out]"));
    let notices = logs(&run).into_iter().filter(|(level, _)| *level == "warn").count();
    assert_eq!(notices, 1);
}

#[tokio::test]
async fn a_line_without_an_end_is_cut_too() {
    let bench = Bench::new();
    let mut run = bench.run("head -c 10000000 /dev/zero | tr '\\0' x", "x").await;
    assert_eq!(run.turn().await.0, TurnEnd::Done);
    let whole = text(&run);
    assert!(whole.len() < MEBIBYTE + 64 * 1024 && whole.contains("bytes left out]"));
}

#[tokio::test]
async fn a_line_of_json_without_an_end_is_left_out() {
    let bench = Bench::new();
    let script = r#"printf '{"type":"result","text":"'
head -c 10000000 /dev/zero | tr '\0' x
printf '"}\n{"type":"text","text":"after"}\n'"#;
    let program = bench.script("agent", script);
    let config = json!({ "command": [program], "output": "jsonl" });
    let mut run = bench.start(bench.assignment(&config, "x")).await;
    assert_eq!(run.turn().await.1, "after");
    let strange: Vec<_> = logs(&run);
    assert!(strange.len() == 1 && strange[0].1.len() < 4_000, "{} lines", strange.len());
}

#[tokio::test]
async fn a_flood_of_complaints_fills_no_log() {
    let bench = Bench::new();
    let mut run = bench.run("yes 'it is wrong' | head -n 300000 >&2; echo done", "x").await;
    assert_eq!(run.turn().await.1, "done");
    let logs = logs(&run);
    assert_eq!(logs.len(), 2_001);
    assert!(logs[2_000].1.contains("left out"), "{:?}", logs[2_000]);
}

#[tokio::test]
async fn a_prompt_that_nobody_reads_holds_up_nothing() {
    let bench = Bench::new();
    let mut run = bench.run("echo done", &"x".repeat(400_000)).await;
    assert_eq!(run.turn().await.1, "done");
    let mut run = bench.run("wc -c", &"x".repeat(400_000)).await;
    assert_eq!(run.turn().await.1.trim(), "400000");
    let program = bench.script("agent", "true");
    let config = json!({ "command": [program, "{prompt}"] });
    let mut run = bench.start(bench.assignment(&config, &"x".repeat(400_000))).await;
    let failed = run.failure().await;
    assert!(failed.message.contains("standard input") && !failed.retryable, "{failed}");
}

#[tokio::test]
async fn who_does_not_listen_slows_the_program_and_loses_nothing() {
    let bench = Bench::new();
    let mut run = bench.run("seq 1 40000; echo x >> count", "x").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(bench.lines("count"), 0, "it wrote on although nobody listened");
    assert_eq!(run.turn().await.0, TurnEnd::Done);
    let expected: String = (1..=40_000).map(|number: u32| number.to_string() + "\n").collect();
    assert!(grown(&run) == expected, "something was lost");
    run.control.close().await;
}

#[tokio::test]
async fn a_secret_that_is_written_in_two_pieces_is_found() {
    let secret = "key-of-the-lab-0123456789";
    let bench = Bench::with(|options, _| {
        options.env = vec![("LAB_KEY".to_owned(), secret.to_owned())];
    });
    let script = "printf 'it is key-of-the-'; sleep 0.3; printf 'lab-0123456789, really\\n'; \
                  printf 'key-of' >&2; sleep 0.3; printf -- '-the-lab-0123456789\\n' >&2";
    let program = bench.script("agent", script);
    let config = json!({ "command": [program], "env": { "KEY": "$LAB_KEY" } });
    let mut run = bench.start(bench.assignment(&config, "x")).await;
    run.turn().await;
    let redactor = Redactor::default();
    redactor.learn([secret]);
    let mut words = Words::new(redactor);
    let told: Vec<AgentEvent> = run.told.drain(..).map(|event| words.clean(event)).collect();
    let shown = format!("{told:?}");
    assert!(shown.contains("[REDACTED") && shown.contains("really"), "{shown}");
    assert!(!shown.contains("0123456789"), "{shown}");
}

//! What is remembered between two processes, and what is never done twice.

use orchestrator::application::ports::driver::{AgentDriver, Assignment, Continuation, TurnEnd};
use orchestrator::domain::session::attempt::ErrorType;
use serde_json::{Value, json};

use super::{Bench, grown};
use crate::support::opencode::{Run, prompt, same_prompt};

/// An agent that says what it was started with and told, knows its conversation by a name, and hangs when it
/// is told to.
const CLAUDE: &str = r#"
text=$(cat)
echo "$*" >> arguments
echo x >> count
echo '{"type":"system","subtype":"init","session_id":"own-name-1","model":"claude-x"}'
case "$text" in hang) sleep 300;; esac
printf '%s' "$text" > told
echo '{"type":"result","is_error":false,"result":"done"}'
"#;

fn claude(bench: &Bench) -> Value {
    bench.script("claude", CLAUDE);
    json!({ "preset": "claude", "env": { "PATH": bench.path() } })
}

fn read(bench: &Bench, name: &str) -> String {
    std::fs::read_to_string(bench.work().join(name)).unwrap_or_default()
}

/// The same prompt again, in the same conversation.
fn again(bench: &Bench, config: &Value, run: &Run, first: &Assignment) -> Assignment {
    let prompt = same_prompt(first.prompt.id, first.prompt.text.clone());
    let continuation = Continuation::Same { handle: run.handle.clone() };
    Assignment { prompt, continuation, ..bench.assignment(config, "") }
}

async fn until_there(bench: &Bench, name: &str) {
    let path = bench.work().join(name);
    crate::support::opencode::eventually("it is there", async || path.exists()).await;
}

#[tokio::test]
async fn a_preset_goes_on_in_the_conversation_that_it_had() {
    let bench = Bench::new();
    let config = claude(&bench);
    let mut run = bench.start(bench.assignment(&config, "one")).await;
    run.turn().await;
    run.control.prompt(prompt("two".to_owned())).await.expect("taken");
    run.turn().await;
    run.control.close().await;
    let same = Continuation::Same { handle: run.handle.clone() };
    let bench = bench.again();
    let later = Assignment { continuation: same, ..bench.assignment(&config, "three") };
    bench.start(later).await.turn().await;
    bench.start(bench.assignment(&config, "four")).await.turn().await;
    let resumed: Vec<bool> = read(&bench, "arguments")
        .lines()
        .map(|words| words.ends_with("--resume own-name-1"))
        .collect();
    assert_eq!(resumed, [false, true, true, false]);
}

#[tokio::test]
async fn a_prompt_that_is_done_is_not_done_again() {
    let bench = Bench::new();
    let config = claude(&bench);
    let first = bench.assignment(&config, "one");
    let mut run = bench.start(first.clone()).await;
    run.turn().await;
    run.control.close().await;
    // The server may die before it noted the end of the turn, and tell it again.
    let bench = bench.again();
    let mut told = bench.start(again(&bench, &config, &run, &first)).await;
    let (end, text, _) = told.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "done"));
    assert_eq!(bench.lines("count"), 1, "it was done twice");
    told.control.prompt(prompt("two".to_owned())).await.expect("taken");
    assert_eq!(told.turn().await.1, "done");
    assert_eq!(bench.lines("count"), 2, "another one is done");
}

#[tokio::test]
async fn a_prompt_that_was_broken_off_is_continued() {
    let bench = Bench::new();
    let config = claude(&bench);
    let first = bench.assignment(&config, "hang");
    let run = bench.start(first.clone()).await;
    until_there(&bench, "count").await;
    // What the agent calls its conversation comes right after.
    let notes = bench.place("state").join("conversations");
    let is_noted = || {
        let files = std::fs::read_dir(&notes).into_iter().flatten().flatten();
        files
            .map(|file| std::fs::read_to_string(file.path()).unwrap_or_default())
            .any(|note| note.contains("own-name-1"))
    };
    crate::support::opencode::eventually("its name is noted", async || is_noted()).await;
    bench.driver.shutdown().await;
    assert_eq!(bench.processes(), [0; 0]);
    let bench = bench.again();
    let mut told = bench.start(again(&bench, &config, &run, &first)).await;
    let (end, text, _) = told.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "done"));
    assert!(read(&bench, "arguments").trim_end().ends_with("--resume own-name-1"));
    let heard = read(&bench, "told");
    assert!(heard.starts_with("You were interrupted") && heard.ends_with("\n\nhang"), "{heard}");
    assert_eq!(bench.lines("count"), 2);
}

#[tokio::test]
async fn a_plain_command_is_told_a_prompt_that_was_broken_off_as_it_was() {
    let bench = Bench::new();
    let script = "echo $ORCHESTRATOR_PROMPT_ID >> ids; cat > told; test -e before && exit 0
touch before; echo ready; sleep 300";
    let program = bench.script("agent", script);
    let config = json!({ "command": [program, "{session}"] });
    let first = bench.assignment(&config, "fix it");
    let mut run = bench.start(first.clone()).await;
    while !grown(&run).contains("ready") {
        run.next().await.expect("it runs");
    }
    bench.driver.shutdown().await;
    let bench = bench.again();
    let mut told = bench.start(again(&bench, &config, &run, &first)).await;
    assert_eq!(told.turn().await.0, TurnEnd::Done);
    assert_eq!(read(&bench, "told"), "fix it");
    let ids = read(&bench, "ids");
    let ids: Vec<&str> = ids.lines().collect();
    let id = first.prompt.id.to_string();
    assert_eq!(ids, [id.as_str(); 2], "the program can see that it is the same");
}

#[tokio::test]
async fn a_conversation_has_a_name_of_its_own_for_commands_that_want_one() {
    let bench = Bench::new();
    let program = bench.script("agent", "echo $1");
    let config = json!({ "command": [program, "{session}"] });
    let mut run = bench.start(bench.assignment(&config, "x")).await;
    let first = run.turn().await.1;
    run.control.prompt(prompt("y".to_owned())).await.expect("taken");
    assert_eq!(run.turn().await.1, first);
    assert_eq!(run.handle["conversation"], json!(first));
    let other = bench.start(bench.assignment(&config, "x")).await.turn().await.1;
    assert_ne!(other, first);
}

#[tokio::test]
async fn instructions_of_the_agent_are_told_once_to_who_remembers() {
    let bench = Bench::new();
    let mut config = claude(&bench);
    let template = "Always answer as if somebody were reading it aloud to a friend.";
    let told = async |config: &Value, text: &str| {
        let mut assignment = bench.assignment(config, text);
        let mut agent = (*assignment.agent).clone();
        template.clone_into(&mut agent.behavior.system_prompt_template);
        assignment.agent = agent.into();
        let mut run = bench.start(assignment).await;
        run.turn().await;
        let first = read(&bench, "told");
        run.control.prompt(prompt("more".to_owned())).await.expect("taken");
        run.turn().await;
        (first, read(&bench, "told"))
    };
    let (first, second) = told(&config, "one").await;
    assert_eq!((first, second), (format!("{template}\n\none"), "more".to_owned()));
    config = json!({ "command": [bench.script("agent", "cat > told")] });
    let (first, second) = told(&config, "one").await;
    assert_eq!(first, format!("{template}\n\none"));
    assert_eq!(second, format!("{template}\n\nmore"), "it remembers nothing");
}

#[tokio::test]
async fn what_goes_on_from_a_checkpoint_begins_anew_and_a_foreign_handle_is_lost() {
    let bench = Bench::new();
    let config = claude(&bench);
    let first = bench.assignment(&config, "one");
    let mut run = bench.start(first.clone()).await;
    run.turn().await;
    let handle = run.handle.clone();
    let cut = Continuation::CutAfter { handle, message_ref: None };
    let cut = Assignment { continuation: cut, ..again(&bench, &config, &run, &first) };
    let mut told = bench.start(cut).await;
    told.turn().await;
    assert_ne!(told.handle, run.handle);
    assert_eq!(bench.lines("count"), 2, "its workspace was put back: it is done again");
    assert!(!read(&bench, "arguments").contains("--resume"));
    let foreign = Continuation::Same { handle: json!({ "session": "ses_1" }) };
    let foreign = Assignment { continuation: foreign, ..bench.assignment(&config, "x") };
    let refused = bench.driver.start(foreign).await.err().expect("refused");
    assert_eq!(refused.error_type, ErrorType::AgentLost, "{refused}");
}

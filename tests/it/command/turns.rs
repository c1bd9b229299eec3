//! What a program is given, and what is told of it.

use orchestrator::application::ports::driver::{AgentDriver, AgentEvent, Answer, TurnEnd};
use orchestrator::domain::agent::AgentKind;
use orchestrator::domain::money::Usd;
use orchestrator::domain::session::attempt::ErrorType;
use orchestrator::domain::session::policy::PermissionDecision;
use orchestrator::infrastructure::sandbox::{self, Mode, Status};
use serde_json::json;

use super::{Bench, grown, logs};
use crate::support::opencode::{policy, prompt};
use crate::support::repo::Neighbours;

#[tokio::test]
async fn a_prompt_is_read_from_standard_input_which_ends_then() {
    let bench = Bench::new();
    let mut run = bench.run("cat; echo end; cat", "fix \"it\"\nnow $HOME").await;
    let (end, text, message_ref) = run.turn().await;
    assert_eq!((end, message_ref), (TurnEnd::Done, None));
    assert_eq!(text, "fix \"it\"\nnow $HOMEend");
    assert_eq!(grown(&run), "fix \"it\"\nnow $HOMEend\n");
    let told = run.transcript("text");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].body, json!({ "text": "fix \"it\"\nnow $HOMEend\n" }));
    assert_eq!(run.transcript("user")[0].body, json!({ "text": "fix \"it\"\nnow $HOME" }));
    run.control.close().await;
    assert!(run.next().await.is_none(), "events end with the run");
    assert_eq!(bench.processes(), [0; 0]);
}

#[tokio::test]
async fn a_prompt_in_the_arguments_is_one_of_them_as_it_is() {
    let bench = Bench::new();
    let program =
        bench.script("agent", "for word in \"$@\"; do printf '<%s>' \"$word\"; done; cat");
    let words = json!([program, "--say={prompt}", "{workdir}", "{model}", "{other}"]);
    let text = "-rf; $(touch planted) `touch planted` {workdir}\n*";
    let mut assignment = bench.assignment(&json!({ "command": words }), text);
    assignment.model = Some("lab/model".to_owned());
    let mut run = bench.start(assignment).await;
    let (_, said, _) = run.turn().await;
    let work = bench.work();
    assert_eq!(said, format!("<--say={text}><{}><lab/model><{{other}}>", work.display()));
    assert!(!work.join("planted").exists());
}

#[tokio::test]
async fn a_program_sees_what_is_named_and_nothing_else() {
    let bench = Bench::with(|options, _| {
        options.env = vec![("LAB_KEY".to_owned(), "key-of-the-lab".to_owned())];
    });
    let program = bench.script("agent", "env; echo \"in $PWD\"");
    let env = json!({ "MINE": "plain", "KEY": "$LAB_KEY" });
    let config = json!({ "command": [program], "env": env });
    let mut run = bench.start(bench.assignment(&config, "x")).await;
    let (_, said, _) = run.turn().await;
    let value = |name: &str| {
        let prefix = format!("{name}=");
        said.lines().find_map(|line| line.strip_prefix(&prefix))
    };
    assert_eq!((value("MINE"), value("KEY")), (Some("plain"), Some("key-of-the-lab")));
    assert_eq!(value("LAB_KEY"), None);
    assert!(value("ORCHESTRATOR_PROMPT_ID").is_some());
    let home = bench.place("state").join("homes").join(bench.agent.to_string());
    assert_eq!(value("HOME"), home.to_str());
    assert!(said.contains(&format!("in {}", bench.work().display())), "{said}");
    let known = ["PATH", "LANG", "TZ", "LC_ALL", "TMPDIR", "TERM", "NO_COLOR", "HOME", "PWD"];
    let own = ["MINE", "KEY", "ORCHESTRATOR_PROMPT_ID", "OLDPWD", "SHLVL", "_"];
    for name in said.lines().filter_map(|line| Some(line.split_once('=')?.0)) {
        let is_known = known.contains(&name) || own.contains(&name);
        assert!(is_known || name == bench.options.marker, "{name}");
    }
}

#[tokio::test]
async fn a_further_prompt_is_a_further_process() {
    let bench = Bench::new();
    let mut run = bench.run("printf 'heard '; cat; echo x >> count", "one").await;
    assert_eq!(run.turn().await.1, "heard one");
    let first = run.transcript("text")[0].id.clone();
    run.control.prompt(prompt("two".to_owned())).await.expect("taken");
    run.control.prompt(prompt("three".to_owned())).await.expect("taken");
    assert_eq!(run.turn().await.1, "heard two");
    assert_eq!(run.turn().await.1, "heard three");
    assert_eq!(bench.lines("count"), 3);
    assert!(run.transcript("text")[1..].iter().all(|item| item.id != first));
    let nothing = run.control.answer("x", "y", Answer::AllowOnce).await;
    assert!(nothing.is_ok(), "it asks nothing");
}

#[tokio::test]
async fn lines_of_json_are_told_as_what_they_say() {
    let bench = Bench::new();
    let script = r#"
echo '{"type":"text","text":"Looking."}'
echo '{"type":"tool","id":"1","tool":"bash","input":{"command":"ls"}}'
echo 'no json at all'
echo '{"type":"tool_result","id":"1","output":"a.rs"}'
echo '{"type":"usage","input":10,"output":5,"cost_usd":0.25,"model":"lab/m"}'
echo '{"type":"result","text":"Done."}'
printf '{"type":"result","text":"ha'"#;
    let program = bench.script("agent", script);
    let config = json!({ "command": [program], "output": "jsonl" });
    let mut run = bench.start(bench.assignment(&config, "x")).await;
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "Done."), "half a line says nothing");
    assert_eq!(run.transcript("text")[0].body, json!({ "text": "Looking." }));
    let tools = run.transcript("tool");
    assert_eq!(tools.len(), 1, "the same call, told again");
    assert_eq!(
        (&tools[0].body["status"], &tools[0].body["output"]),
        (&json!("completed"), &json!("a.rs"))
    );
    let used = run.told.iter().find_map(|event| {
        let AgentEvent::Usage { key: _, usage, model } = event else { return None };
        Some((usage.tokens_input, usage.tokens_output, usage.cost_usd, model.clone()))
    });
    let cost = Some(Usd::from_micros(250_000));
    assert_eq!(used, Some((10, 5, cost, Some("lab/m".to_owned()))));
    let strange = logs(&run).into_iter().filter(|(level, _)| *level == "debug").count();
    assert_eq!(strange, 2);
}

#[tokio::test]
async fn what_is_no_text_is_told_as_far_as_it_is() {
    let bench = Bench::new();
    let mut run = bench.run("printf 'a\\377\\376b\\303\\n\\303\\251 c'", "x").await;
    assert_eq!(run.turn().await.1, "a\u{fffd}\u{fffd}b\u{fffd}\né c");
}

#[tokio::test]
async fn how_a_preset_starts_its_program_depends_on_the_policy_and_the_model() {
    let bench = Bench::new();
    let script = r#"prompt=$(cat)
printf '{"type":"result","is_error":false,"result":"%s: %s %s"}\n' "$prompt" "$*" "$ANTHROPIC_API_KEY""#;
    bench.script("claude", script);
    let config = json!({ "preset": "claude", "env": { "PATH": bench.path() } });
    let said = async |decision, model: Option<&str>| {
        let mut assignment = bench.assignment(&config, "fix");
        assignment.policy = policy(decision, &[]);
        assignment.model = model.map(str::to_owned);
        let mut run = bench.start(assignment).await;
        let (end, text, _) = run.turn().await;
        assert_eq!(end, TurnEnd::Done);
        let warned = logs(&run).iter().any(|(_, line)| line.contains("permission policy"));
        run.control.close().await;
        (text, warned)
    };
    let usual = "fix: -p --output-format stream-json --verbose --permission-mode";
    let (text, warned) = said(PermissionDecision::Ask, None).await;
    assert_eq!((text, warned), (format!("{usual} acceptEdits"), true));
    let (text, warned) = said(PermissionDecision::Allow, Some("anthropic/claude-x")).await;
    assert_eq!((text, warned), (format!("{usual} bypassPermissions --model claude-x"), false));
}

#[tokio::test]
async fn the_sandbox_keeps_what_is_hidden_and_leaves_what_is_its_own() {
    let bench = Bench::with(|options, place| {
        options.sandbox.mode = Some(Mode::Data);
        options.sandbox.hidden = vec![place.join("state")];
    });
    let secret = bench.place("state").join("secret");
    std::fs::write(&secret, "hidden words").expect("written");
    let script = format!(
        "cat {} 2>&1; ls {} 2>&1; echo own > ~/own && echo work > work.txt && cat ~/own work.txt",
        secret.display(),
        bench.place("state").join("conversations").display(),
    );
    let mut run = bench.run(&script, "x").await;
    let (_, said, _) = run.turn().await;
    assert!(said.ends_with("own\nwork"), "{said}");
    match sandbox::status() {
        Status::Landlock(_) => assert!(!said.contains("hidden words"), "{said}"),
        // Where the kernel keeps nothing, the same script shows that it would read it.
        Status::None(_) => assert!(said.contains("hidden words"), "{said}"),
    }
}

#[tokio::test]
async fn a_program_reaches_the_worktree_of_its_session_and_no_other() {
    for mode in [Mode::Data, Mode::Strict] {
        let is_kept = matches!(sandbox::status(), Status::Landlock(_));
        if mode == Mode::Strict && !is_kept {
            return;
        }
        let bench = Bench::with(|options, place| {
            options.sandbox.mode = Some(mode);
            options.sandbox.hidden = vec![place.join("state"), place.join("worktrees")];
        });
        let neighbours = Neighbours::below(&bench.place(""));
        let program = bench.script("agent", &format!("exec 2>&1\n{}", neighbours.script()));
        let mut assignment = bench.assignment(&json!({ "command": [program] }), "x");
        assignment.workdir = neighbours.mine();
        let mut run = bench.start(assignment).await;
        let (_, said, _) = run.turn().await;
        neighbours.check(&said, is_kept);
    }
}

#[tokio::test]
async fn a_run_that_cannot_begin_says_why() {
    let bench = Bench::new();
    let program = bench.script("agent", "true");
    let mut gone = bench.assignment(&json!({ "command": [program] }), "x");
    gone.workdir = bench.place("nowhere");
    let refused = bench.driver.start(gone).await.err().expect("no folder");
    assert_eq!(refused.error_type, ErrorType::WorkspaceError, "{refused}");
    let config = json!({ "command": [program], "env": { "A": "$NOT_HANDED_OUT" } });
    let refused = bench.driver.start(bench.assignment(&config, "x")).await.err().expect("refused");
    assert!(!refused.retryable && refused.message.contains("NOT_HANDED_OUT"), "{refused}");
    let config = json!({ "command": [program, "{model}"] });
    let mut run = bench.start(bench.assignment(&config, "x")).await;
    let failed = run.failure().await;
    assert!(!failed.retryable && failed.message.contains("{model}"), "{failed}");
    assert_eq!(bench.driver.kind(), AgentKind::Command);
    let can = bench.driver.abilities();
    assert!(!can.resume && !can.inject && !can.asks && !can.fork && !can.outlives && can.usage);
}

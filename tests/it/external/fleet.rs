//! A fleet at work: the two agents that are shipped as examples, one that speaks the Agent Client Protocol
//! and the real `OpenCode`, all of them processes, and a hundred sessions that routing gives to them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::External;
use super::kit::{Agent, python_example, rust_example};
use crate::support::acp::opencode_config;
use crate::support::opencode::eventually;
use crate::support::repo::TestRepo;
use crate::support::scripted_llm::{ScriptedLlm, scripted};
use crate::support::server::{Server, Site, array, text};

const PULL: &str = "AGENT-PULL";
const PUSH: &str = "AGENT-PUSH";
const ACP: &str = "AGENT-ACP";
const OPENCODE: &str = "AGENT-OPENCODE";

/// What is needed, how many sessions need it, and who has it.
const KINDS: [(&[&str], usize, &[&str]); 6] = [
    (&["testing"], 46, &[PULL, PUSH]),
    (&["debugging", "testing"], 22, &[PULL, PUSH]),
    (&["monitoring"], 23, &[PUSH]),
    (&["documentation"], 3, &[ACP]),
    (&["code_generation"], 4, &[OPENCODE]),
    (&["refactoring"], 2, &[ACP, OPENCODE]),
];
/// Of the first kind: sessions whose agent waits for a word of the test in the middle.
const HELD: usize = 2;
/// The agent is killed when so many are done.
const MIDDLE: usize = 40;
/// Longest time of all of it, on a machine that is busy with other things.
const LONGEST: Duration = Duration::from_secs(160);

/// What the external agents run: it notes that it began and ended a job, each in one line.
const SCRIPT: &str = "\
in=$(cat); job=$(printf '%s' \"$in\" | grep -o 'job-[0-9]*' | head -n 1)
echo \"begin $job\" >> effects
case \"$in\" in *'in hand'*) while [ ! -e go ]; do sleep 0.1; done;; esac
echo \"end $job\" >> effects
echo \"did $job\"";

/// One of the hundred.
struct Job {
    id: String,
    name: String,
    able: &'static [&'static str],
}

struct Fleet {
    site: Site,
    server: Server,
    repo: TestRepo,
}

impl Fleet {
    async fn begin(&self, kind: usize, number: usize, words: &str) -> Job {
        let (required, _, able) = KINDS[kind];
        let name = format!("job-{number}");
        let mut body = json!({
            "initial_prompt": format!("Do {name}{words}."), "title": name,
            "required_capabilities": required, "start": true,
        });
        if able.contains(&ACP) || able.contains(&OPENCODE) {
            let write = json!({ "tool": "write", "args": {
                "filePath": format!("{name}.txt"), "content": format!("{name}\n") } });
            let turns = json!([{ "say": "So.", "call": write }, { "say": format!("did {name}") }]);
            body["initial_prompt"] = json!(scripted(&format!("Do {name}."), &turns));
            body["workspace"] = json!({ "kind": "git", "repo": self.repo.text() });
            body["permission_policy"] = json!({ "default": "allow" });
        }
        let id = text(&self.server.post("sessions", body).await["id"]).to_owned();
        Job { id, name, able }
    }

    /// What the server knows of an agent.
    async fn agent(&self, name: &str) -> Value {
        let all = self.server.get("agents?limit=200").await;
        let one = array(&all["items"]).iter().find(|agent| agent["name"] == name);
        one.cloned().unwrap_or_default()
    }

    async fn comes(&self, name: &str) {
        eventually(name, async || self.agent(name).await["state"] == "idle").await;
    }

    /// Lines that the agents wrote, with how often they stand there.
    fn effects(&self) -> BTreeMap<String, usize> {
        let effects = std::fs::read_to_string(self.site.root().join("effects"));
        let mut counted = BTreeMap::new();
        for line in effects.unwrap_or_default().lines() {
            *counted.entry(line.to_owned()).or_default() += 1;
        }
        counted
    }

    async fn completed(&self) -> usize {
        self.server.all("sessions?status=completed").await.len()
    }

    /// Leases of the one attempt of a session that began: who, and why. A machine that is busy with other
    /// things may not start a program in time; such an attempt began nothing.
    async fn leases(&self, id: &str) -> Vec<(String, String)> {
        let attempts = self.server.get(&format!("sessions/{id}/attempts")).await;
        let (last, before) = array(&attempts["items"]).split_last().expect("one");
        for attempt in before {
            let by = &attempt["leases"][0]["agent_name"];
            assert!([ACP, OPENCODE].contains(&text(by)), "{attempts:#}");
            assert_eq!(attempt["error"]["type"], "dispatch_failed", "{attempts:#}");
        }
        let leases = array(&last["leases"]).iter();
        let told = |lease: &Value| {
            (text(&lease["agent_name"]).to_owned(), text(&lease["reason"]).to_owned())
        };
        leases.map(told).collect()
    }

    /// A job was done once, by somebody able to; who that was.
    async fn was_done(&self, job: &Job, events: &[Value]) -> String {
        let Job { id, name, able } = job;
        let session = self.server.session(id).await;
        assert_eq!(session["status"], "completed", "{session:#}");
        let ends = events.iter().filter(|event| {
            event["type"] == "session.completed" && event["subject"]["id"] == json!(id)
        });
        assert_eq!(ends.count(), 1, "{name}");
        let leases = self.leases(id).await;
        let (last, moved) = (leases.last().expect("one").0.clone(), leases.len() > 1);
        for (at, (agent, reason)) in leases.iter().enumerate() {
            assert!(able.contains(&agent.as_str()), "{name} by {agent}");
            assert_eq!(reason == "start", at == 0, "{name}: {leases:?}");
            assert!(at + 1 == leases.len() || agent == PULL, "only the lost one's: {leases:?}");
        }
        if last == PULL || last == PUSH {
            let effects = self.effects();
            let done = effects.get(&format!("end {name}")).copied().unwrap_or(0);
            // What the lost agent had in hand may have been done to its end, but was not told.
            assert!(done == 1 || (moved && done == 2), "{name}: {done} times, {leases:?}");
        } else {
            let diff = self.server.get(&format!("sessions/{id}/diff")).await;
            let files: Vec<&str> =
                array(&diff["files"]).iter().map(|file| text(&file["path"])).collect();
            assert_eq!(files, [format!("{name}.txt")], "{diff:#}");
            let saved = format!("refs/orchestrator/{id}/latest:{name}.txt");
            assert_eq!(self.repo.git(&["show", &saved]), *name);
        }
        last
    }
}

fn site(llm: &ScriptedLlm) -> Site {
    Site::opencode(llm)
        .with("AGENTS__OPENCODE__CAPABILITIES", "[\"code_generation\", \"refactoring\"]")
        .with("AGENTS__OPENCODE__MAX_RUNS", "2")
        .with("AGENTS__OPENCODE__READY_TIMEOUT_SECONDS", "90")
        .with("AGENTS__HEARTBEAT_INTERVAL_SECONDS", "2")
        .with("AGENTS__HEARTBEAT_EXPIRY_SECONDS", "12")
}

/// It does one at a time: its processes share a home, in which two that start together hold each other up.
async fn register_acp(server: &Server, llm: &ScriptedLlm) {
    let mut config = opencode_config(llm);
    config["env"]["LAB_KEY"] = json!("not-a-secret");
    let body = json!({
        "name": ACP, "kind": "acp", "capabilities": ["documentation", "refactoring"],
        "config": config, "max_concurrent_capacity": 1,
    });
    server.post("agents", body).await;
}

/// The external agents with what they can do; the second one comes when it is asked to.
fn words<'a>(name: &'a str, capabilities: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let named = ["--name", name, "--at-once", "4"];
    let able = capabilities.iter().flat_map(|one| ["--capability", *one]);
    named.into_iter().chain(able).chain(more.iter().copied()).collect()
}

/// What the killed agent remembers of its work, brought when somebody else has it.
async fn brings_late(fleet: &Fleet, held: &[Job]) {
    let file = std::fs::read(fleet.site.root().join("pull.json")).expect("it remembers");
    let memory: Value = serde_json::from_slice(&file).expect("JSON");
    let (id, token) = (text(&memory["agent_id"]), text(&memory["auth_token"]));
    let api = fleet.server.api.clone();
    let late = External { api, id: id.to_owned(), token: token.to_owned(), answer: Value::Null };
    for job in held {
        let works = memory["held"].as_object().expect("its work");
        let work = works.values().find(|one| text(&one["work"]["task_id"]) == job.id);
        let work = &work.expect("it had it")["work"];
        let back = late.finish(work, json!({ "output_data": { "text": "too late" } })).await;
        assert_eq!((back.status, back.code()), (409, "STALE_RESULT"), "{back:?}");
        let attempts = fleet.server.get(&format!("sessions/{}/attempts", job.id)).await;
        assert_eq!(attempts["items"][0]["stale_reports"], 1, "kept as evidence: {attempts:#}");
    }
}

async fn begin_all(fleet: &Fleet, jobs: &mut Vec<Job>) {
    for (kind, (_, count, _)) in KINDS.iter().enumerate() {
        let begun = if kind == 0 { HELD } else { 0 };
        for _ in begun..*count {
            jobs.push(fleet.begin(kind, jobs.len(), "").await);
        }
    }
    assert_eq!(jobs.len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_sessions_are_each_done_once_by_a_fleet_that_loses_an_agent() {
    let llm = ScriptedLlm::start();
    let site = site(&llm);
    let server = site.serve().await;
    server.lift_quotas().await;
    register_acp(&server, &llm).await;
    let fleet = Fleet { site, server, repo: TestRepo::with(&[("calc.py", "1\n")]) };
    let at = (&fleet.site, &fleet.server);
    let began = Instant::now();
    let able = words(PULL, &["testing", "debugging"], &[]);
    let mut pull = Agent::named("pull", at, &rust_example(), &able, SCRIPT);
    fleet.comes(PULL).await;
    let mut jobs = Vec::new();
    for number in 0..HELD {
        jobs.push(fleet.begin(0, number, ", which is in hand").await);
    }
    let is_begun = |number: usize| fleet.effects().contains_key(&format!("begin job-{number}"));
    eventually("it has some in hand", async || (0..HELD).all(is_begun)).await;
    let more = ["--listen", "127.0.0.1:0", "--sync-seconds", "0.5"];
    let able = words(PUSH, &["testing", "debugging", "monitoring"], &more);
    let push = Agent::named("push", at, &python_example(), &able, SCRIPT);
    fleet.comes(PUSH).await;
    begin_all(&fleet, &mut jobs).await;
    eventually("some are done", async || fleet.completed().await >= MIDDLE).await;
    pull.child.kill().await.expect("it is ended");
    let killed = began.elapsed();
    for job in &jobs[..HELD] {
        eventually("it moves", async || fleet.leases(&job.id).await.len() == 2).await;
        assert_eq!(fleet.leases(&job.id).await[1], (PUSH.to_owned(), "fallback".to_owned()));
    }
    let moved = began.elapsed();
    brings_late(&fleet, &jobs[..HELD]).await;
    std::fs::write(fleet.site.root().join("go"), "").expect("written");
    while fleet.completed().await < jobs.len() {
        if began.elapsed() > LONGEST {
            let left = fleet.server.all("sessions?status=queued,running,degraded,failed").await;
            panic!("{} are left: {left:#?}\n{}", left.len(), push.said());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let took = began.elapsed();
    let events = fleet.server.all("events").await;
    let mut shares = BTreeMap::<String, usize>::new();
    for job in &jobs {
        *shares.entry(fleet.was_done(job, &events).await).or_default() += 1;
    }
    eprintln!("killed after {killed:?}, moved after {moved:?}, done after {took:?}: {shares:?}");
    let ids: BTreeSet<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!((ids.len(), fleet.server.all("sessions").await.len()), (100, 100));
    let least = [(PULL, 5), (PUSH, 23 + HELD), (ACP, 3), (OPENCODE, 4)];
    for (name, count) in least {
        assert!(shares.get(name).is_some_and(|share| *share >= count), "{name}: {shares:?}");
        let agent = fleet.agent(name).await;
        let path = format!("agents/{name}/performance");
        let figures = async || fleet.server.get(&path).await["performance"].clone();
        let all_are = async || figures().await["successful_tasks"] == shares[name];
        eventually("its work is counted", all_are).await;
        if [PULL, PUSH].contains(&name) {
            assert_eq!(figures().await["total_tasks"], shares[name], "what was lost is nobody's");
        }
        assert_eq!(agent["load"]["current_concurrent_tasks"], 0, "{agent:#}");
    }
    push.terminate();
    assert_eq!(push.ends().await, 0);
    let Fleet { site, server, .. } = fleet;
    server.stop().await;
    site.keeps_invariants().await;
}

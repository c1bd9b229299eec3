//! What an agent says of the call of a tool, and what the call would touch.
//!
//! Invariant: two calls that are not the same are never taken for the same: what cannot be said in
//! pieces is said whole.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::domain::canonical::{canonical, sha256_hex};

/// Tools that have a kind of their own in the protocol: none is called so by its title.
const KNOWN: [&str; 12] = [
    "bash",
    "shell",
    "edit",
    "read",
    "grep",
    "glob",
    "list",
    "webfetch",
    "websearch",
    "delete",
    "move",
    "external_directory",
];
/// Names under which agents tell the file that a call is about.
const FILES: [&str; 7] =
    ["path", "file_path", "filePath", "filepath", "absolute_path", "notebook_path", "abs_path"];
/// A larger input is named by its sum.
const MAX_WHOLE_BYTES: usize = 4096;
/// Files of a call that are looked at, and commands of a line.
const MAX_PIECES: usize = 1000;
/// What the pieces of a call may say together; a command line is in them twice.
const MAX_SAID_BYTES: usize = 256 * 1024;
/// Longest command line that is taken apart.
const MAX_COMMAND_BYTES: usize = 64 * 1024;

/// What is known of a call; each word about it adds to what was known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Call {
    pub(super) kind: String,
    pub(super) title: String,
    /// The first title, which often is the tool's name.
    first_title: String,
    pub(super) input: Value,
    pub(super) locations: Vec<String>,
    /// Changes of files, and other content.
    pub(super) content: Value,
    pub(super) output: Value,
    pub(super) status: String,
}

/// What a call would do, in the words of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    pub(super) tool: String,
    pub(super) patterns: Vec<String>,
    /// It touches more than can be looked through: no rule may allow it.
    pub(super) is_too_much: bool,
}

impl Call {
    /// Adds what this says of the call.
    pub(super) fn learn(&mut self, said: &Value) {
        let text = |name: &str| said.get(name).and_then(Value::as_str);
        for (field, name) in
            [(&mut self.kind, "kind"), (&mut self.title, "title"), (&mut self.status, "status")]
        {
            if let Some(text) = text(name) {
                *field = text.chars().take(1000).collect();
            }
        }
        if self.first_title.is_empty() {
            self.first_title.clone_from(&self.title);
        }
        for (field, name) in [
            (&mut self.input, "rawInput"),
            (&mut self.content, "content"),
            (&mut self.output, "rawOutput"),
        ] {
            let news = said.get(name).filter(|value| !is_empty(value));
            if let Some(value) = news {
                field.clone_from(value);
            }
        }
        if let Some(places) = said.get("locations").and_then(Value::as_array)
            && !places.is_empty()
        {
            let paths = places.iter().filter_map(|place| place.get("path")?.as_str());
            self.locations = paths.map(str::to_owned).collect();
        }
    }

    /// How much is known of it.
    pub(super) fn bytes(&self) -> usize {
        let places = self.locations.iter().map(String::len).sum::<usize>();
        places + [&self.input, &self.content, &self.output].map(bytes).iter().sum::<usize>()
    }

    /// The tool, by its kind; by its name where the kind says nothing.
    pub(super) fn tool(&self) -> String {
        let known = match self.kind.as_str() {
            "execute" => "bash",
            "edit" => "edit",
            "delete" => "delete",
            "move" => "move",
            "read" => "read",
            "search" => "grep",
            "fetch" => "webfetch",
            _ => {
                let name = self.first_title.as_str();
                let is_name = !name.is_empty()
                    && name.len() <= 64
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b));
                return if is_name && !KNOWN.contains(&name) { name } else { "other" }.to_owned();
            }
        };
        known.to_owned()
    }

    /// What it would do in this folder. What is too long to be shown to people is named by its sum.
    pub(super) fn wanted(&self, place: &Path) -> Wanted {
        let Wanted { tool, patterns, is_too_much } = self.in_pieces(place);
        if patterns.iter().map(String::len).sum::<usize>() <= MAX_SAID_BYTES {
            return Wanted { tool, patterns, is_too_much };
        }
        let sum = sha256_hex(canonical(&Value::from(patterns)).as_bytes());
        Wanted { tool, patterns: vec![format!("sha256:{sum}")], is_too_much: true }
    }

    fn in_pieces(&self, place: &Path) -> Wanted {
        let tool = self.tool();
        let patterns = if tool == "bash" { self.commands(place) } else { Vec::new() };
        if !patterns.is_empty() {
            let is_too_much = patterns.len() > MAX_PIECES;
            return Wanted { tool, patterns, is_too_much };
        }
        let paths = if tool == "bash" { BTreeSet::new() } else { self.paths() };
        let is_too_much = paths.len() > MAX_PIECES;
        let (mut outside, mut inside) = (Vec::new(), Vec::new());
        for path in paths.into_iter().take(MAX_PIECES) {
            match within(place, &path) {
                Some(path) => inside.push(path),
                None => outside.push(path),
            }
        }
        if !outside.is_empty() {
            let tool = "external_directory".to_owned();
            return Wanted { tool, patterns: outside, is_too_much };
        }
        let text = |names: [&str; 2]| {
            let found = names.iter().find_map(|name| self.input.get(*name)?.as_str());
            found.map(|text| vec![text.to_owned()]).unwrap_or_default()
        };
        let patterns = match tool.as_str() {
            "edit" | "read" | "delete" | "move" => inside,
            "webfetch" => text(["url", "query"]),
            "grep" => text(["pattern", "query"]),
            _ => Vec::new(),
        };
        let patterns = if patterns.is_empty() { vec![self.whole()] } else { patterns };
        Wanted { tool, patterns, is_too_much }
    }

    /// The commands of its line; none when it has no line that can be taken apart.
    fn commands(&self, place: &Path) -> Vec<String> {
        let Some(line) = self.command().filter(|line| line.len() <= MAX_COMMAND_BYTES) else {
            return Vec::new();
        };
        let folders = ["cwd", "workdir", "directory"];
        let folder = folders.iter().find_map(|name| self.input.get(*name)?.as_str());
        match folder.map(|folder| within(place, folder).unwrap_or_else(|| folder.to_owned())) {
            Some(folder) if folder != "." => pieces(&format!("cd {folder} && {line}")),
            Some(_) | None => pieces(&line),
        }
    }

    /// One line about it, for people.
    pub(super) fn headline(&self) -> String {
        self.command().unwrap_or_else(|| self.title.clone())
    }

    /// The command line that it would run.
    fn command(&self) -> Option<String> {
        match self.input.get("command").or_else(|| self.input.get("cmd"))? {
            Value::String(line) => Some(line.clone()),
            // A shell that is given a line, or a program with its arguments.
            Value::Array(words) => {
                let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
                match words?.as_slice() {
                    [shell, flag, line] if is_shell(shell) && ["-c", "-lc"].contains(flag) => {
                        Some((*line).to_owned())
                    }
                    words => {
                        Some(words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        }
    }

    /// Every file that it names.
    fn paths(&self) -> BTreeSet<String> {
        let named = FILES.iter().filter_map(|name| self.input.get(*name)?.as_str());
        let changed = self.content.as_array().into_iter().flatten();
        let changed = changed.filter_map(|part| part.get("path")?.as_str());
        let told = self.locations.iter().map(String::as_str);
        let all = told.chain(named).chain(changed).filter(|path| !path.is_empty());
        all.map(str::to_owned).collect()
    }

    /// All that it is told to do, as one piece.
    fn whole(&self) -> String {
        let said = if is_empty(&self.input) {
            Value::String(self.title.clone())
        } else {
            self.input.clone()
        };
        let text = canonical(&said);
        if text.len() <= MAX_WHOLE_BYTES {
            text
        } else {
            format!("sha256:{}", sha256_hex(text.as_bytes()))
        }
    }
}

/// What a value takes, about.
fn bytes(value: &Value) -> usize {
    const EACH: usize = 32;
    EACH + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(bytes).sum(),
        Value::Object(map) => map.iter().map(|(name, value)| name.len() + bytes(value)).sum(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A word of a command, so that it is told apart from two words.
fn quoted(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_./:=@%+,-".contains(&b);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    Value::String(word.to_owned()).to_string()
}

fn is_shell(program: &str) -> bool {
    ["sh", "bash", "zsh", "dash"].contains(&program.rsplit('/').next().unwrap_or_default())
}

/// A command line, and every command that it may run: a line that joins several begins with all of it,
/// so that no two lines have the same pieces.
fn pieces(line: &str) -> Vec<String> {
    let line = line.trim();
    let joins = |c: char| ";&|\n\r(){}`".contains(c);
    if !line.contains(joins) && !line.contains("$(") {
        return vec![line.to_owned()];
    }
    let parts = line.split(joins).map(str::trim).filter(|part| !part.is_empty() && *part != "$");
    let parts = parts.take(MAX_PIECES).map(str::to_owned);
    let mut pieces: Vec<String> = std::iter::once(line.to_owned()).chain(parts).collect();
    if pieces.len() == 1 {
        pieces.push(line.to_owned());
    }
    pieces
}

/// The path as it lies below a folder; `None` when it leaves it.
fn within(place: &Path, path: &str) -> Option<String> {
    let path = path.strip_prefix("file://").unwrap_or(path);
    if path.starts_with('~') {
        return None;
    }
    let mut whole = PathBuf::new();
    for part in place.join(path).components() {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            Component::CurDir => {}
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => whole.push(part),
        }
    }
    let below = whole.strip_prefix(place).ok()?.to_str()?;
    Some(if below.is_empty() { ".".to_owned() } else { below.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::session::policy::{
        Calls, PermissionDecision, PermissionPolicy, PermissionRule, can_be_learned,
    };
    use crate::infrastructure::drivers::permission::decide;

    fn wanted(said: &Value) -> (String, Vec<String>) {
        let mut call = Call::default();
        call.learn(said);
        let Wanted { tool, patterns, is_too_much: _ } = call.wanted(Path::new("/w/repo"));
        (tool, patterns)
    }

    fn run(line: &str) -> Vec<String> {
        wanted(&json!({ "kind": "execute", "rawInput": { "command": line } })).1
    }

    #[test]
    fn a_call_is_named_by_its_kind_and_not_by_its_title() {
        let tool = |kind: &str, title: &str| wanted(&json!({ "kind": kind, "title": title })).0;
        assert_eq!(tool("execute", "read"), "bash");
        assert_eq!(tool("other", "todowrite"), "todowrite");
        for pretended in ["read", "edit", "/etc", "two words", "", "external_directory"] {
            assert_eq!(tool("other", pretended), "other", "{pretended}");
        }
        assert_eq!((tool("delete", "x"), tool("fetch", "x")), ("delete".into(), "webfetch".into()));
    }

    #[test]
    fn what_is_too_long_is_a_sum_that_no_rule_allows() {
        let said = |letter: &str| {
            let mut call = Call::default();
            let url = letter.repeat(MAX_SAID_BYTES + 1);
            call.learn(&json!({ "kind": "fetch", "rawInput": { "url": url } }));
            call.wanted(Path::new("/w/repo"))
        };
        let (one, other) = (said("a"), said("b"));
        assert!(one.is_too_much && one != other);
        assert!(one.patterns.len() == 1 && one.patterns[0].starts_with("sha256:"));
        let short = wanted(&json!({ "kind": "fetch", "rawInput": { "url": "https://x" } }));
        assert_eq!(short.1, ["https://x"]);
    }

    #[test]
    fn the_first_title_stays_the_name() {
        let mut call = Call::default();
        call.learn(&json!({ "title": "todowrite", "kind": "other", "rawInput": {} }));
        call.learn(&json!({ "title": "1 todos", "rawInput": { "todos": [] } }));
        call.learn(&json!({ "status": "completed", "rawInput": null }));
        assert_eq!((call.tool().as_str(), call.title.as_str()), ("todowrite", "1 todos"));
        assert_eq!(call.input, json!({ "todos": [] }));
    }

    #[test]
    fn files_are_told_below_the_folder_and_nothing_beside_it_is() {
        let edit =
            |path: &str| wanted(&json!({ "kind": "edit", "rawInput": { "filePath": path } }));
        let inside = |path: &str| ("edit".to_owned(), vec![path.to_owned()]);
        assert_eq!(edit("/w/repo/a.py"), inside("a.py"));
        assert_eq!(edit("./b/../a.py"), inside("a.py"));
        for outside in
            ["/etc/passwd", "../x", "/w/repo/../x", "/w/repository/x", "~/x", "file:///x"]
        {
            assert_eq!(edit(outside).0, "external_directory", "{outside}");
        }
        let hidden = json!({ "kind": "other", "title": "/etc", "locations": [
            { "path": "/w/repo/a" }, { "path": "/etc/hostname" }] });
        assert_eq!(wanted(&hidden), ("external_directory".into(), vec!["/etc/hostname".into()]));
        let diff = json!({ "kind": "edit", "rawInput": { "filePath": "a" },
            "content": [{ "type": "diff", "path": "/etc/profile" }] });
        assert_eq!(wanted(&diff).0, "external_directory");
    }

    #[test]
    fn no_command_hides_behind_another() {
        use PermissionDecision::{Allow, Ask, Deny};
        let rule = |glob: &str, decision| PermissionRule {
            tool: "bash".to_owned(),
            calls: Calls::Like(glob.to_owned()),
            decision,
        };
        let rules = vec![rule("git *", Allow), rule("rm *", Deny)];
        let policy = PermissionPolicy { default: Ask, rules };
        let decided = |line: &str| decide(&policy, "bash", &run(line));
        assert_eq!((decided("git status"), decided("git a && git b")), (Allow, Allow));
        for line in [
            "git a; ls",
            "git a | sh",
            "git $(ls)",
            "git `ls`",
            "git a\nls",
            "git a &ls",
            "git <(ls)",
        ] {
            assert_eq!(decided(line), Ask, "{line}");
        }
        assert_eq!(decided("git a; rm x"), Deny);
        let anything = PermissionPolicy { default: Allow, ..policy.clone() };
        assert_eq!(decide(&anything, "bash", &run("ls; rm -rf x")), Deny);
    }

    #[test]
    fn lines_that_differ_have_other_pieces_and_joined_ones_are_never_learned() {
        let alike = ["ls", "(ls)", "`ls`", "$(ls)", "ls &", "ls | ls", "ls; ls", "{ls}", "(", "$("];
        for (at, one) in alike.iter().enumerate() {
            assert!(alike[at + 1..].iter().all(|other| run(one) != run(other)), "{one}");
            assert_eq!(can_be_learned("bash", &run(one)), *one == "ls", "{one}");
        }
        let words =
            json!({ "kind": "execute", "rawInput": { "command": ["bash", "-lc", "a; b"] } });
        assert_eq!(wanted(&words).1, ["a; b", "a", "b"]);
        let of = |words: Value| {
            wanted(&json!({ "kind": "execute", "rawInput": { "command": words } })).1
        };
        assert_eq!(of(json!(["rm", "a"])), ["rm a"]);
        assert_ne!(of(json!(["rm", "a b"])), of(json!(["rm", "a", "b"])));
        let elsewhere = |cwd: &str| {
            wanted(&json!({ "kind": "execute", "rawInput": { "command": "ls", "cwd": cwd } })).1
        };
        assert_eq!(elsewhere("/w/repo"), ["ls"]);
        assert_eq!(elsewhere("/etc"), ["cd /etc && ls", "cd /etc", "ls"]);
    }

    #[test]
    fn a_call_that_cannot_be_looked_through_says_so() {
        let mut call = Call::default();
        let places: Vec<Value> = (0..1001).map(|n| json!({ "path": format!("f{n}") })).collect();
        call.learn(&json!({ "kind": "edit", "locations": places }));
        assert!(call.wanted(Path::new("/w")).is_too_much);
        let line = json!({ "kind": "execute", "rawInput": { "command": "a;".repeat(2000) } });
        call.learn(&line);
        assert!(call.wanted(Path::new("/w")).is_too_much);
    }

    #[test]
    fn what_has_no_pieces_is_said_whole() {
        let other = |value: u32| wanted(&json!({ "kind": "other", "rawInput": { "x": value } })).1;
        assert_eq!(other(1), [r#"{"x":1}"#]);
        assert_ne!(other(1), other(2));
        let large = wanted(&json!({ "kind": "think", "rawInput": { "x": "y".repeat(10_000) } })).1;
        assert!(large[0].starts_with("sha256:") && large[0].len() == 71);
        assert_eq!(
            wanted(&json!({ "kind": "fetch", "rawInput": { "url": "http://a/" } })).1,
            ["http://a/"]
        );
    }
}

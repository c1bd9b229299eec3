//! What keeps a repository from running programs or reaching the network through git.
//!
//! Invariant: every setting that names a program is either overridden for each call by its fixed
//! name, or found by listing the repository's settings and overridden by its own name.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Settings that outrank those of the repository and of the user.
pub(super) const SETTINGS: [(&str, &str); 33] = [
    // Programs.
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.editor", "true"),
    ("core.askPass", "true"),
    ("core.sshCommand", "false"),
    ("core.gitProxy", "none"),
    ("core.pager", "cat"),
    ("core.alternateRefsCommand", "false"),
    ("credential.helper", ""),
    ("gpg.program", "false"),
    ("commit.gpgSign", "false"),
    ("diff.external", ""),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    // Network.
    ("protocol.allow", "never"),
    ("protocol.ext.allow", "never"),
    ("protocol.file.allow", "user"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    // Nothing that hides a change or changes what a file holds.
    ("core.autocrlf", "false"),
    ("core.safecrlf", "false"),
    ("core.fileMode", "true"),
    ("core.symlinks", "true"),
    ("core.checkStat", "default"),
    ("core.trustctime", "true"),
    ("core.untrackedCache", "false"),
    ("core.splitIndex", "false"),
    ("core.sparseCheckout", "false"),
    ("index.sparse", "false"),
    // Nothing written into the user's settings, nothing set aside behind their back.
    ("worktree.useRelativePaths", "false"),
    ("branch.autoSetupMerge", "false"),
    ("merge.autoStash", "false"),
    ("core.preloadIndex", "true"),
];

/// Variables that every call gets.
pub(super) const ENVIRONMENT: [(&str, &str); 11] = [
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_PROTOCOL_FROM_USER", "0"),
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_ADVICE", "0"),
    ("GIT_EDITOR", "true"),
    ("LC_ALL", "C"),
];

/// Overrides, as environment variables of git, for the settings with these names. The environment
/// and not `-c`, because a name may contain `=`.
pub(super) fn against<'a>(names: impl Iterator<Item = &'a [u8]>) -> Vec<(OsString, OsString)> {
    let mut overrides: Vec<(Vec<u8>, &str)> = Vec::new();
    for name in names {
        let Some((start, end)) = ends(name) else { continue };
        let Some(found) = disarmed(start, end) else { continue };
        let stem = &name[..name.len() - end.len()];
        for (last, value) in found {
            overrides.push(([stem, last.as_bytes()].concat(), value));
        }
    }
    overrides.sort_unstable();
    overrides.dedup();
    let mut variables = vec![("GIT_CONFIG_COUNT".into(), overrides.len().to_string().into())];
    for (index, (name, value)) in overrides.into_iter().enumerate() {
        let name = OsStr::from_bytes(&name).to_owned();
        variables.push((format!("GIT_CONFIG_KEY_{index}").into(), name));
        variables.push((format!("GIT_CONFIG_VALUE_{index}").into(), value.into()));
    }
    variables
}

/// The section and the last word of `section.anything.word`.
fn ends(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = name.iter().position(|byte| *byte == b'.')?;
    let last = name.iter().rposition(|byte| *byte == b'.')?;
    (first < last).then(|| (&name[..first], &name[last + 1..]))
}

/// What is set beside a setting that names a program so that the program does not run.
fn disarmed(section: &[u8], word: &[u8]) -> Option<&'static [(&'static str, &'static str)]> {
    match (section, word) {
        // A filter with empty commands passes content through as it is.
        (b"filter", b"clean" | b"smudge" | b"process" | b"required") => {
            Some(&[("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")])
        }
        // A merge driver that fails means a conflict, which is refused: nothing is guessed.
        (b"merge", b"driver") => Some(&[("driver", "false")]),
        (b"diff", b"command" | b"textconv") => Some(&[("command", ""), ("textconv", "")]),
        (b"hook", b"command" | b"event") => Some(&[("enabled", "false")]),
        (b"credential", b"helper") => Some(&[("helper", "")]),
        (b"remote", b"promisor") => Some(&[("promisor", "false")]),
        (b"protocol", b"allow") => Some(&[("allow", "never")]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_behind_any_name_are_switched_off() {
        let names: [&[u8]; 5] = [
            b"core.bare",
            b"filter.a.b=c.clean",
            b"filter.a.b=c.smudge",
            b"merge.\xff.driver",
            b"user.name",
        ];
        let variables = against(names.into_iter());
        let find = |name: &str| {
            variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_bytes())
        };
        assert_eq!(find("GIT_CONFIG_COUNT"), Some(&b"5"[..]));
        assert_eq!(find("GIT_CONFIG_KEY_0"), Some(&b"filter.a.b=c.clean"[..]));
        assert_eq!(find("GIT_CONFIG_KEY_4"), Some(&b"merge.\xff.driver"[..]));
        assert_eq!(find("GIT_CONFIG_VALUE_4"), Some(&b"false"[..]));
    }
}

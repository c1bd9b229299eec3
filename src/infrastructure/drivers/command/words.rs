//! The words of a command: what it was told to be started with, with the facts of a turn in them.
//!
//! Invariant: what stands in a prompt is never looked at: it is one argument, or part of one, as it is.

use crate::infrastructure::drivers::environment::MAX_ENTRY_BYTES;
use crate::infrastructure::drivers::presets::Piece;

/// Stands for words that say how much is allowed.
const PERMISSIONS: &str = "{permissions}";

/// What placeholders stand for.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts<'a> {
    pub(super) prompt: &'a str,
    pub(super) workdir: &'a str,
    /// `provider/model`
    pub(super) model: Option<&'a str>,
    pub(super) session: Option<&'a str>,
    /// What `{permissions}` stands for.
    pub(super) permissions: &'a [String],
}

impl<'a> Facts<'a> {
    /// What stands behind a name, or the name when nothing is known; `None` when it is none of ours.
    fn get<'n>(&self, name: &'n str) -> Option<Result<&'a str, &'n str>> {
        let named = |model: &'a str| model.split_once('/').map_or(model, |(_, name)| name);
        let found = match name {
            "prompt" => Some(self.prompt),
            "workdir" => Some(self.workdir),
            "model" => self.model,
            "model_name" => self.model.map(named),
            "session" => self.session,
            _ => return None,
        };
        Some(found.ok_or(name))
    }
}

/// The arguments that a command is started with, its program first.
///
/// # Errors
/// What cannot be an argument, in words for people.
pub(super) fn fill(command: &[Piece], facts: &Facts<'_>) -> Result<Vec<String>, String> {
    let mut words = Vec::with_capacity(command.len());
    for piece in command {
        match piece {
            Piece::Word(word) if word == PERMISSIONS => {
                words.extend_from_slice(facts.permissions);
            }
            Piece::Word(word) => words.push(replaced(word, facts).map_err(|name| {
                format!(
                    "the command names {{{name}}}, and neither the session nor its agent has one"
                )
            })?),
            Piece::Optional(all) => {
                let filled: Result<Vec<String>, _> =
                    all.iter().map(|word| replaced(word, facts)).collect();
                words.extend(filled.unwrap_or_default());
            }
        }
    }
    if let Some(word) = words.iter().find(|word| word.contains('\0')) {
        let shown: String = word.chars().take_while(|letter| *letter != '\0').take(40).collect();
        return Err(format!("an argument holds a NUL character, behind `{shown}`"));
    }
    if words.iter().any(|word| word.len() > MAX_ENTRY_BYTES) {
        return Err(
            "the prompt is larger than an argument may be; leave {prompt} out of the command, \
             and it is read from standard input"
                .to_owned(),
        );
    }
    Ok(words)
}

/// Whether the prompt is one of the arguments.
pub(super) fn takes_prompt(command: &[Piece]) -> bool {
    let has = |word: &String| word.contains("{prompt}");
    command.iter().any(|piece| match piece {
        Piece::Word(word) => has(word),
        Piece::Optional(words) => words.iter().any(has),
    })
}

/// A word with its facts; the first name that nothing is known for. Other braces stay as they are.
fn replaced<'w>(word: &'w str, facts: &Facts<'_>) -> Result<String, &'w str> {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let named = after
            .split_once('}')
            .and_then(|(name, behind)| facts.get(name).map(|found| (found, behind)));
        if let Some((found, behind)) = named {
            out.push_str(found?);
            rest = behind;
        } else {
            out.push('{');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Vec<Piece> {
        words.iter().map(|word| Piece::Word((*word).to_owned())).collect()
    }

    fn facts(prompt: &str) -> Facts<'_> {
        Facts { prompt, workdir: "/w d", ..Facts::default() }
    }

    #[test]
    fn a_prompt_is_one_argument_whatever_stands_in_it() {
        let prompt = "say \"hi\"; rm -rf $HOME {workdir} {model}\n'x'";
        let filled = fill(&command(&["p", "--say={prompt}", "{workdir}"]), &facts(prompt));
        assert_eq!(filled, Ok(vec!["p".to_owned(), format!("--say={prompt}"), "/w d".to_owned()]));
    }

    #[test]
    fn braces_of_others_stay() {
        let words = ["p", "{\"a\": {prompt}}", "{", "{}", "{{prompt}", "${HOME}", "{Prompt}"];
        let filled = fill(&command(&words), &facts("x")).expect("filled");
        assert_eq!(filled, ["p", "{\"a\": x}", "{", "{}", "{x", "${HOME}", "{Prompt}"]);
    }

    #[test]
    fn what_is_not_known_is_left_out_where_it_may_be_and_told_where_not() {
        let optional =
            |words: &[&str]| Piece::Optional(words.iter().map(ToString::to_string).collect());
        let mut pieces = command(&["p", "{permissions}"]);
        pieces.push(optional(&["--model", "{model_name}"]));
        pieces.push(optional(&["--resume", "{session}"]));
        assert_eq!(fill(&pieces, &facts("x")), Ok(vec!["p".to_owned()]));
        let permissions = ["--yolo".to_owned(), "{prompt}".to_owned()];
        let (model, session) = (Some("lab/big/one"), Some("s-1"));
        let known = Facts { model, session, permissions: &permissions, ..facts("x") };
        let filled = fill(&pieces, &known).expect("filled");
        assert_eq!(filled, ["p", "--yolo", "{prompt}", "--model", "big/one", "--resume", "s-1"]);
        let told = fill(&command(&["p", "{model}"]), &facts("x")).expect_err("no model");
        assert!(told.contains("{model}"), "{told}");
    }

    #[test]
    fn what_cannot_be_an_argument_is_refused() {
        let with = command(&["p", "{prompt}"]);
        let told = fill(&with, &facts("a\0secret")).expect_err("NUL");
        assert!(told.contains("NUL") && !told.contains("secret"), "{told}");
        let large = "x".repeat(MAX_ENTRY_BYTES + 1);
        assert!(fill(&with, &facts(&large)).expect_err("large").contains("standard input"));
        assert!(fill(&with, &facts(&large[1..])).is_ok());
        assert!(fill(&command(&["p"]), &facts(&large)).is_ok(), "it is not among the arguments");
        assert!(takes_prompt(&with) && !takes_prompt(&command(&["p", "prompt"])));
    }
}

//! `run`: one piece of work from the command line.

use std::path::PathBuf;

use clap::Args;

pub(super) const EXAMPLES: &str = "\
Examples:
  orchestrator run \"fix the failing test\"
  orchestrator run --dir ~/src/app --model anthropic/claude-sonnet-4-5 \"add a --json flag\"
  git diff | orchestrator run --yes -              the prompt comes from standard input

The work happens in a git worktree of its own, on its own branch, from the last commit; your
folder stays as it is until you merge. Reading and changing files there needs no asking; before
anything else, such as a command, the agent asks you.

Exit codes: 0 completed, 2 partially completed, 1 failed, 3 timeout, 130 stopped.";

/// Arguments of `run`.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag that can be typed")]
pub struct RunArgs {
    /// What to do; `-` reads it from standard input.
    pub prompt: String,
    /// Folder to work on.
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub dir: PathBuf,
    /// Agent, by name or id; the first suitable one by default.
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// Model as provider/model; the agent's default by default.
    #[arg(long, value_name = "P/M")]
    pub model: Option<String>,
    /// A session that must have completed before it begins; repeatable.
    #[arg(long, value_name = "SESSION")]
    pub after: Vec<String>,
    /// Title of the session; the first line of the prompt by default.
    #[arg(long)]
    pub title: Option<String>,
    /// Show the work until it ends (the default).
    #[arg(long, overrides_with = "no_follow")]
    pub follow: bool,
    /// Only start it; needs a running server.
    #[arg(long)]
    pub no_follow: bool,
    /// Go on although changes that are not committed will not be seen.
    #[arg(long)]
    pub allow_dirty: bool,
    /// Work in the folder itself, without git.
    #[arg(long)]
    pub no_git: bool,
    /// Allow whatever the agent asks for.
    #[arg(long, short)]
    pub yes: bool,
    /// Longest time of work, such as `45m` or `2h` (1 minute to 1 day).
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<u64>,
    /// Most that it may cost, in US dollars; then it pauses.
    #[arg(long, value_name = "DOLLARS", value_parser = amount)]
    pub budget: Option<f64>,
}

impl RunArgs {
    /// Whether to show the work.
    #[must_use]
    pub const fn follows(&self) -> bool {
        !self.no_follow
    }
}

/// An amount or share: a number that is not negative.
pub(super) fn amount(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| format!("`{text}` is no number such as 2 or 0.5"))
}

/// Seconds of `90`, `90s`, `45m`, `2h` or `1d`.
pub(super) fn duration(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a time such as 90s, 45m or 2h");
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        Some((at, 'd')) => (&text[..at], 86_400),
        _ => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::{amount, duration};

    #[test]
    fn amounts_are_numbers_and_nothing_that_json_cannot_say() {
        assert_eq!((amount("2"), amount("0.5"), amount("1e-3")), (Ok(2.0), Ok(0.5), Ok(0.001)));
        for text in ["nan", "inf", "-inf", "infinity", "-1", "1e999", "much", ""] {
            assert!(amount(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_read_with_and_without_a_unit() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("45m", 2700), ("2h", 7200), ("1d", 86400)]
        {
            assert_eq!(duration(text), Ok(seconds), "{text}");
        }
        for text in ["", "h", "1w", "-5m", "1.5h", "99999999999999999999d", "9999999999999999999d"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}

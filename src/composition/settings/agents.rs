//! `[agents]`: what holds for every agent and gate, and `[agents.acp]`.

use std::path::{Path, PathBuf};

use super::reader::{Reader, expand};
use crate::infrastructure::sandbox::Mode;

/// `[agents]`
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// What is kept from agents and gates.
    pub sandbox: Mode,
    /// What they may change beside what is theirs, under `strict`.
    pub writable: Vec<PathBuf>,
    /// Largest file that they may write; 0 sets no limit.
    pub max_file_mb: u32,
    /// `[agents.acp]`: variables of the server that such agents may get.
    pub acp_env: Vec<String>,
}

impl AgentOptions {
    pub(super) fn read(reader: &mut Reader<'_>, home: Option<&Path>) -> Self {
        let modes = Mode::ALL.iter().map(|mode| (mode.as_str(), *mode)).collect::<Vec<_>>();
        let given = reader.list("agents.sandbox_writable");
        let writable: Vec<PathBuf> = given.iter().map(|text| expand(text, home)).collect();
        if let Some(relative) = writable.iter().find(|path| !path.is_absolute()) {
            let message = format!("`{}` must be an absolute path", relative.display());
            reader.refuse("agents.sandbox_writable", message);
        }
        Self {
            sandbox: reader.word("agents.sandbox", &modes, Mode::Data),
            writable,
            max_file_mb: reader.number("agents.max_file_mb", 0..=16_777_216),
            acp_env: reader.list("agents.acp.env"),
        }
    }
}

//! Where a supervised server lives: its folders, its configuration and its environment.
//!
//! Invariant: the child sees nothing of our environment but what is named here, and keeps
//! everything below its own folder.
//! Invariant: our guards lie over the user's configuration, never under it.

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{Options, tidy};
use crate::application::ports::driver::DriverError;
use crate::infrastructure::drivers::environment::Variables;
use crate::infrastructure::drivers::marker::{Marker, is_secret};

/// The user of the server; its password is random.
pub(super) const USER: &str = "opencode";

/// Folders of one supervised server.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The folders of the host with this name.
    pub(super) fn of(options: &Options, host: &str) -> Self {
        Self { root: options.state_dir.join(host) }
    }

    /// Everything that belongs to the server.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that the server itself stands in.
    pub(super) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// Where the server keeps output that was too long to show; agents may read it.
    pub(super) fn tool_output(&self) -> PathBuf {
        self.root.join("data/opencode/tool-output")
    }

    /// Brings what the server leaves on the disk back to its size.
    pub(super) fn tidy(&self) {
        tidy::tidy(&self.root.join("data/opencode/log"), &self.tool_output());
    }

    fn plugin(&self) -> PathBuf {
        self.root.join("plugin/blank-secrets.js")
    }

    /// Makes the folders and the files that keep the server from installing packages.
    pub(super) fn prepare(&self, options: &Options) -> io::Result<()> {
        let folder =
            |path: PathBuf| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        for name in ["home", "data", "state", "cache", "plugin", "config/opencode/node_modules"] {
            folder(self.root.join(name))?;
        }
        // A sandbox grants what is there when it begins.
        options.workspaces.iter().cloned().try_for_each(folder)?;
        self.tidy();
        let seeded = json!({ "dependencies": { "@opencode-ai/plugin": "*" } });
        let lock = json!({ "lockfileVersion": 3, "packages": { "": seeded.clone() } });
        write_if_other(&self.root.join("config/opencode/package.json"), &seeded.to_string())?;
        write_if_other(&self.root.join("config/opencode/package-lock.json"), &lock.to_string())?;
        write_if_other(&self.plugin(), &plugin_source(options))
    }

    /// The environment of the child, complete.
    pub(super) fn environment(
        &self,
        options: &Options,
        password: &str,
        marker: &Marker,
    ) -> Result<Vec<(String, String)>, DriverError> {
        let mut all = Variables::usual();
        for (name, value) in &options.env {
            all.set(name, value);
        }
        for (name, folder) in [
            ("HOME", "home"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
        ] {
            all.set(name, self.root.join(folder).display().to_string());
        }
        for name in [
            "AUTOUPDATE",
            "MODELS_FETCH",
            "LSP_DOWNLOAD",
            "SHARE",
            "CLAUDE_CODE",
            "EMBEDDED_WEB_UI",
        ] {
            all.set(&format!("OPENCODE_DISABLE_{name}"), "1");
        }
        if !options.trust_repositories {
            all.set("OPENCODE_DISABLE_PROJECT_CONFIG", "1");
        }
        if let Some(auth) = &options.auth {
            all.set("OPENCODE_AUTH_CONTENT", auth);
        }
        all.set("OPENCODE_SERVER_USERNAME", USER);
        all.set("OPENCODE_SERVER_PASSWORD", password);
        all.set("OPENCODE_CONFIG_CONTENT", self.config(options).to_string());
        all.mark(marker);
        all.checked("OpenCode")
    }

    /// The user's configuration with our guards over it.
    fn config(&self, options: &Options) -> Value {
        let mut config = match &options.user_config {
            Some(Value::Object(map)) => map.clone(),
            _ => Map::new(),
        };
        config.insert("autoupdate".to_owned(), json!(false));
        config.insert("share".to_owned(), json!("disabled"));
        config.insert("snapshot".to_owned(), json!(false));
        let mut permission = match config.remove("permission") {
            Some(Value::Object(map)) => map,
            Some(Value::String(all)) => Map::from_iter([("*".to_owned(), json!(all))]),
            _ => Map::from_iter([("*".to_owned(), json!("ask"))]),
        };
        // Removed first: the last rule wins, and replacing a value would keep its old place.
        for name in ["external_directory", "doom_loop"] {
            permission.remove(name);
            permission.insert(name.to_owned(), json!("deny"));
        }
        config.insert("permission".to_owned(), Value::Object(permission));
        let mut plugins = match config.remove("plugin") {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        };
        if let Ok(url) = url::Url::from_file_path(self.plugin()) {
            plugins.push(json!(url.as_str()));
        }
        config.insert("plugin".to_owned(), Value::Array(plugins));
        Value::Object(config)
    }
}

/// A plugin that blanks what tools need not know.
fn plugin_source(options: &Options) -> String {
    let mut names = vec![
        "OPENCODE_SERVER_PASSWORD".to_owned(),
        "OPENCODE_SERVER_USERNAME".to_owned(),
        "OPENCODE_CONFIG_CONTENT".to_owned(),
        "OPENCODE_AUTH_CONTENT".to_owned(),
    ];
    names.extend(options.env.iter().map(|(name, _)| name).filter(|name| is_secret(name)).cloned());
    format!(
        "export const BlankSecrets = async () => ({{\n  \"shell.env\": async (_input, output) => {{\n    \
         for (const name of {}) output.env[name] = \"\"\n  }},\n}})\n",
        json!(names)
    )
}

fn write_if_other(path: &Path, text: &str) -> io::Result<()> {
    match std::fs::read_to_string(path) {
        Ok(present) if present == text => Ok(()),
        _ => {
            let mut options = std::fs::OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
            file.write_all(text.as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        let mut options = Options::new("/nonexistent/state");
        options.env =
            vec![("LAB_KEY".to_owned(), "k".to_owned()), ("LAB".to_owned(), "x".to_owned())];
        options
    }

    #[test]
    fn the_guards_lie_over_the_configuration_of_the_user() {
        let mut options = options();
        options.user_config = Some(json!({
            "autoupdate": true, "share": "auto", "snapshot": true, "model": "lab/scripted",
            "permission": { "doom_loop": "allow", "external_directory": "allow", "*": "allow" },
            "plugin": ["file:///theirs.js"],
        }));
        let config = Layout::of(&options, "host").config(&options);
        assert_eq!(config["autoupdate"], json!(false));
        assert_eq!(config["share"], json!("disabled"));
        assert_eq!(config["snapshot"], json!(false));
        assert_eq!(config["model"], json!("lab/scripted"));
        assert_eq!(config["permission"]["*"], json!("allow"));
        assert_eq!(config["permission"]["external_directory"], json!("deny"));
        assert_eq!(config["permission"]["doom_loop"], json!("deny"));
        assert_eq!(config["plugin"][0], json!("file:///theirs.js"));
        assert!(config["plugin"][1].as_str().is_some_and(|url| url.starts_with("file:///")));
    }

    #[test]
    fn the_environment_is_an_allow_list() {
        let options = options();
        let marker = Marker::fresh(&options.marker, &options.state_dir).expect("random bytes");
        let layout = Layout::of(&options, "host");
        let environment = layout.environment(&options, "pw", &marker).expect("small enough");
        let names: Vec<_> = environment.iter().map(|(name, _)| name.as_str()).collect();
        for name in names {
            assert!(
                name.starts_with("OPENCODE_")
                    || name.starts_with("XDG_")
                    || [
                        "PATH",
                        "LANG",
                        "TZ",
                        "TERM",
                        "HOME",
                        "LAB_KEY",
                        "LAB",
                        "ORCHESTRATOR_HOST"
                    ]
                    .contains(&name),
                "{name}"
            );
        }
        let any = Marker::any(&options.marker, &options.state_dir);
        assert!(marker.entry().starts_with(any.trim_end_matches('*')));
    }

    #[test]
    fn secrets_are_blanked_by_name() {
        let source = plugin_source(&options());
        assert!(source.contains("\"LAB_KEY\"") && !source.contains("\"LAB\""));
    }

    #[test]
    fn an_environment_that_is_too_large_is_refused_in_words() {
        let mut options = options();
        options.auth = Some("x".repeat(200_000));
        let marker = Marker::fresh(&options.marker, &options.state_dir).expect("random bytes");
        let refused = Layout::of(&options, "host").environment(&options, "pw", &marker);
        assert!(refused.is_err_and(|error| error.message.contains("OPENCODE_AUTH_CONTENT")));
    }
}

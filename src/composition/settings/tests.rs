//! Precedence, origins, and what people get to read when something is wrong.

use std::fs;

use super::layers::DEFAULTS;
use super::*;
use crate::domain::ids::TenantId;
use crate::infrastructure::drivers::environment::HandedTo;
use crate::presentation::api::server::ServerOptions as ListenerOptions;
use crate::presentation::api::state::{ApiOptions, WsOptions};

struct Place {
    dir: tempfile::TempDir,
    environment: Environment,
    flags: SettingFlags,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let home = dir.path().to_string_lossy().into_owned();
        let environment = Environment::from([("HOME".to_owned(), home)]);
        Self { dir, environment, flags: SettingFlags::default() }
    }

    fn file(mut self, text: &str) -> Self {
        let path = self.dir.path().join("given.toml");
        fs::write(&path, text).expect("written");
        self.flags.config = Some(path);
        self
    }

    fn var(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flag(mut self, flag: &'static str, key: &'static str, value: &str) -> Self {
        self.flags.values.push((flag, key, value.to_owned()));
        self
    }

    fn load(&self) -> Result<Settings, SettingsError> {
        Settings::load(&self.flags, &self.environment)
    }

    fn problems(&self) -> Vec<String> {
        let error = self.load().expect_err("must be refused");
        error.problems.iter().map(ToString::to_string).collect()
    }
}

#[test]
fn defaults_alone_are_valid_and_lie_under_home() {
    let place = Place::new();
    let settings = place.load().expect("valid");
    let dir = place.dir.path().join(".local/share/orchestrator");
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(settings.server.data_dir, dir);
    assert_eq!(settings.store.location, StoreLocation::Redb(dir.join("store.redb")));
    assert_eq!(settings.workspaces.root, dir.join("workspaces"));
    assert_eq!(settings.opencode.config_file, None);
    assert_eq!(Settings::locate(&place.flags, &place.environment), Some(dir));
}

#[test]
fn secrets_of_settings_and_surroundings_are_known() {
    let mut place = Place::new();
    for (name, value) in [
        ("ORCHESTRATOR_ADMIN_KEY", "an administrator's key of words alone"),
        ("ORCHESTRATOR_AGENTS__OPENCODE__ENV", r#"["LAB"]"#),
        ("ORCHESTRATOR_REDACT__PATTERNS", r#"["EMP-[0-9]+"]"#),
        ("ORCHESTRATOR_AGENTS__COMMAND__ENV", r#"["OFFICE", "OFFICE_MODEL"]"#),
        ("LAB", "handed to agents"),
        ("OFFICE", "handed to commands"),
        ("OFFICE_MODEL", "large-model-7"),
        ("LAB_TOKEN", "token of the lab"),
        ("LAB_KEY_FILE", "/home/me/keys"),
        ("TOKENS", "12345678"),
        ("OTHER", "plain words here"),
    ] {
        place.environment.insert(name.to_owned(), value.to_owned());
    }
    let settings = place.load().expect("valid");
    let text = "an administrator's key of words alone, handed to agents, handed to commands, token of the \
        lab, EMP-17, /home/me/keys, 12345678, plain words here, large-model-7";
    let clean = "[REDACTED:known], [REDACTED:known], [REDACTED:known], [REDACTED:known], [REDACTED:configured], \
        /home/me/keys, 12345678, plain words here, large-model-7";
    assert_eq!(settings.redactor.redact(text), clean);
    place.environment.insert("ORCHESTRATOR_REDACT__PATTERNS".to_owned(), r#"["("]"#.to_owned());
    let refused = place.load().expect_err("no pattern").to_string();
    assert!(refused.contains("redact.patterns"), "{refused}");
}

#[test]
fn every_key_of_the_default_file_is_read_and_explained() {
    let layers = Layers::defaults();
    let mut reader = Reader::new(&layers);
    let dir = Path::new("/data");
    ServerOptions::read(&mut reader, dir, None);
    StoreOptions::read(&mut reader, dir);
    LogOptions::read(&mut reader);
    SchedulerOptions::read(&mut reader);
    SupervisorOptions::read(&mut reader);
    WorkspaceOptions::read(&mut reader, dir, None);
    OpencodeOptions::read(&mut reader, None);
    CommandOptions::read(&mut reader);
    SimulatedOptions::read(&mut reader);
    AgentOptions::read(&mut reader, None);
    OidcSettings::read(&mut reader, None);
    WebhookSettings::read(&mut reader);
    RetentionSettings::read(&mut reader);
    super::secrets::read(&mut reader);
    let (problems, read) = reader.finish();
    assert_eq!(problems, []);
    assert_eq!(
        layers.order.iter().map(String::as_str).collect::<std::collections::BTreeSet<_>>(),
        read
    );
    let lines: Vec<&str> = DEFAULTS.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let is_key = line.starts_with(|first: char| first.is_ascii_lowercase());
        assert!(!is_key || lines[index - 1].starts_with('#'), "no comment above {line}");
    }
}

#[test]
fn flags_win_over_variables_over_file_over_defaults() {
    let file =
        "[server]\nlisten = \"127.0.0.1:1\"\n[store]\ncache_mb = 1\n[log]\nfilter = \"warn\"";
    let place = Place::new()
        .file(file)
        .var("ORCHESTRATOR_SERVER__LISTEN", "127.0.0.1:2")
        .var("ORCHESTRATOR_STORE__CACHE_MB", "2")
        .flag("--listen", "server.listen", "127.0.0.1:3");
    let settings = place.load().expect("valid");
    assert_eq!(settings.server.listen.port(), 3);
    assert_eq!(settings.store.cache_mb, 2);
    assert_eq!(settings.log.filter, "warn");
    assert_eq!(settings.store.queue_capacity, 4096);
}

#[test]
fn limits_of_admission_are_as_the_api_has_them_and_can_be_lifted() {
    let admission = Place::new().load().expect("valid").server.admission;
    let (api, ws) = (ApiOptions::default(), WsOptions::default());
    let connections = ListenerOptions::default();
    assert_eq!(admission.rate, api.rate);
    assert_eq!(admission.connections as usize, connections.connections);
    assert_eq!(admission.connections_per_peer as usize, connections.per_peer);
    assert_eq!(admission.sockets as usize, ws.total);
    assert_eq!(admission.sockets_per_tenant as usize, ws.per_tenant);
    assert_eq!(admission.sockets_per_key as usize, ws.per_principal);
    let times = Place::new().load().expect("valid").server.times;
    assert_eq!(times.header, connections.header_timeout);
    assert_eq!(times.idle, connections.idle_timeout);
    assert_eq!(times.write, connections.write_timeout);
    assert_eq!(times.request, api.request_timeout);
    let lifted = Place::new().var("ORCHESTRATOR_SERVER__REQUESTS_PER_SECOND", "0");
    assert_eq!(lifted.load().expect("valid").server.admission.rate, None);
    let refused = Place::new().var("ORCHESTRATOR_SERVER__MAX_SOCKETS", "0").problems();
    assert!(refused[0].contains("`server.max_sockets` must be between 1"), "{refused:?}");
}

#[test]
fn agents_are_judged_by_the_times_of_the_specification_unless_others_are_said() {
    let rules = Place::new().load().expect("valid").agents.rules;
    assert_eq!(rules, crate::domain::agent::status::AgentRules::default());
    let changed = Place::new()
        .file("[agents]\nheartbeat_interval_seconds = 5\nbreaker_open_seconds = 7\n")
        .var("ORCHESTRATOR_AGENTS__INACTIVE_HOURS", "2");
    let rules = changed.load().expect("valid").agents.rules;
    assert_eq!((rules.liveness.interval.as_secs(), rules.breaker.open_for.as_secs()), (5, 7));
    assert_eq!(rules.inactive_after.as_secs(), 7200);
    let wrong = Place::new()
        .file("[agents]\nheartbeat_expiry_seconds = 60\nbreaker_open_seconds = 0\n")
        .problems();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("more than two heartbeat intervals, 60"), "{wrong:?}");
}

#[test]
fn short_names_of_variables_win_over_long_ones_and_lists_are_read() {
    let place = Place::new()
        .var("ORCHESTRATOR_LISTEN", "[::1]:7")
        .var("ORCHESTRATOR_SERVER__LISTEN", "127.0.0.1:2")
        .var("ORCHESTRATOR_AGENTS__OPENCODE__ENV", "ONE_KEY, TWO_KEY")
        .var("ORCHESTRATOR_AGENTS__OPENCODE__COMMAND", "[\"open code\", \"a,b\"]");
    let settings = place.load().expect("valid");
    assert_eq!(settings.server.listen.to_string(), "[::1]:7");
    assert_eq!(settings.opencode.env, ["ONE_KEY", "TWO_KEY"]);
    assert_eq!(settings.opencode.command, ["open code", "a,b"]);
}

#[test]
fn all_problems_come_together_each_with_its_origin() {
    let place = Place::new()
        .file("[server]\nlissten = \"x\"\n[store]\ncache_mb = \"much\"\nqueue_capacity = 0\n")
        .var("ORCHESTRATOR_SHEDULER__TICK_SECONDS", "1")
        .var("ORCHESTRATOR_LISTN", "x")
        .var("ORCHESTRATOR_PORT", "tcp://10.0.0.1:80")
        .flag("--log-format", "log.format", "yaml");
    let file = place.dir.path().join("given.toml").display().to_string();
    let expected = [
        format!("{file}:2: unknown key `server.lissten`; the nearest known key is `server.listen`"),
        format!("{file}:4: `store.cache_mb` must be a whole number"),
        "ORCHESTRATOR_LISTN: unknown variable; did you mean `ORCHESTRATOR_LISTEN`?".to_owned(),
        "ORCHESTRATOR_SHEDULER__TICK_SECONDS: unknown key `sheduler.tick_seconds`; the nearest \
         known key is `scheduler.tick_seconds`"
            .to_owned(),
        format!("{file}:5: `store.queue_capacity` must be between 1 and 1048576, not 0"),
        "--log-format: `log.format` must be one of auto, text, json, not `yaml`".to_owned(),
    ];
    assert_eq!(place.problems(), expected);
}

#[test]
fn broken_syntax_tells_the_line() {
    let problems = Place::new().file("[server]\nlisten = \n").problems();
    assert!(problems[0].contains("given.toml:2"), "{problems:?}");
}

#[test]
fn a_named_file_that_is_not_there_is_a_problem_and_the_usual_one_is_optional() {
    let mut place = Place::new();
    place.flags.config = Some(place.dir.path().join("none.toml"));
    assert!(place.problems()[0].contains("cannot be read"));
    let place = Place::new();
    let dir = place.dir.path().join(".local/share/orchestrator");
    fs::create_dir_all(&dir).expect("made");
    fs::write(dir.join("orchestrator.toml"), "[scheduler]\ntick_seconds = 5\n").expect("written");
    assert_eq!(place.load().expect("valid").scheduler.tick.as_secs(), 5);
}

#[test]
fn beyond_loopback_nothing_is_in_the_clear_unless_it_is_said() {
    let open = || Place::new().var("ORCHESTRATOR_LISTEN", "0.0.0.0:8000");
    let problems = open().problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("not a loopback address"), "{problems:?}");
    assert!(problems[0].contains("--tls self-signed"), "{problems:?}");
    for (name, value) in
        [("TLS", "self-signed"), ("BEHIND_PROXY", "10.0.0.5"), ("ALLOW_PLAINTEXT", "true")]
    {
        let place = open().var(&format!("ORCHESTRATOR_SERVER__{name}"), value);
        assert!(!place.load().expect("covered").server.is_local(), "{name}");
        let problems = place.flag("--dev", "server.dev", "true").problems();
        assert!(problems.iter().any(|text| text.starts_with("--dev: ")), "{name}: {problems:?}");
    }
    let mapped = Place::new().var("ORCHESTRATOR_LISTEN", "[::ffff:127.0.0.1]:8000");
    assert!(mapped.load().expect("loopback").server.is_local());
    let dev = || Place::new().flag("--dev", "server.dev", "true");
    assert!(dev().load().is_ok());
    let proxied = dev().var("ORCHESTRATOR_SERVER__BEHIND_PROXY", "127.0.0.1").problems();
    assert!(proxied[0].starts_with("--dev: "), "{proxied:?}");
}

#[test]
fn proxies_are_addresses_or_networks_but_not_everybody() {
    let with = |text: &str| Place::new().var("ORCHESTRATOR_SERVER__BEHIND_PROXY", text);
    let settings = with("10.0.0.5, 192.168.0.0/16, ::1").load().expect("valid");
    let shown: Vec<String> = settings.server.behind_proxy.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.0.0.5/32", "192.168.0.0/16", "::1/128"]);
    assert!(with("0.0.0.0/0").problems()[0].contains("believe everybody"));
    assert!(with("nginx").problems()[0].contains("is no address or network"));
}

#[test]
fn a_certificate_needs_its_key_and_to_be_used() {
    let with = |values: &[(&str, &str)]| {
        values.iter().fold(Place::new(), |place, (name, value)| {
            place.var(&format!("ORCHESTRATOR_SERVER__{name}"), value)
        })
    };
    let files = [("TLS", "files"), ("TLS_CERT", "~/a.pem"), ("TLS_KEY", "/b.pem")];
    let place = with(&files);
    let (cert, key) = (place.dir.path().join("a.pem"), "/b.pem".into());
    assert_eq!(place.load().expect("valid").server.tls, TlsOptions::Files { cert, key });
    assert!(with(&files[..2]).problems()[0].contains("needs `server.tls_cert` and"));
    assert!(with(&files[1..]).problems()[0].contains("not used"));
    let both = with(&[("TLS", "self-signed"), ("TLS_CERT", "/a.pem")]);
    assert!(both.problems()[0].contains("not used"));
}

#[test]
fn an_administrators_key_is_long_and_never_shown() {
    let place = Place::new().var("ORCHESTRATOR_ADMIN_KEY", "short-and-secret");
    let problems = place.problems();
    assert!(problems[0].contains("32 to 200 bytes"), "{problems:?}");
    assert!(!problems[0].contains("short-and-secret"));
    let problems = Place::new().var("ORCHESTRATOR_ADMIN_KEY", &"x".repeat(201)).problems();
    assert!(problems[0].contains("32 to 200 bytes"), "{problems:?}");
    let secret = "a-key-that-is-quite-long-enough-to-be-one";
    let place = Place::new()
        .var("ORCHESTRATOR_ADMIN_KEY", secret)
        .var("ORCHESTRATOR_AGENTS__OPENCODE__ATTACH_PASSWORD", "hush");
    let settings = place.load().expect("valid");
    let debug = format!("{settings:?}");
    assert!(!debug.contains(secret) && !debug.contains("hush"));
    assert!(!settings.show().contains(secret) && !settings.show().contains("hush"));
    assert!(settings.show().contains("admin_key = \"***\"  # from ORCHESTRATOR_ADMIN_KEY"));
}

#[test]
fn what_is_shown_is_toml_that_can_be_read_again() {
    let place = Place::new().file("[log]\nfilter = \"debug\"\n").flag(
        "--listen",
        "server.listen",
        "127.0.0.1:9",
    );
    let settings = place.load().expect("valid");
    let shown = settings.show();
    assert!(shown.contains("listen = \"127.0.0.1:9\"  # from --listen"));
    assert!(shown.contains("given.toml:2"));
    assert!(shown.contains("cache_mb = 64  # from default"));
    let again = Place::new().file(shown).load().expect("valid");
    assert_eq!(again.server.listen, settings.server.listen);
}

#[test]
fn stores_of_other_builds_are_refused_with_the_reason() {
    let problems = Place::new().var("ORCHESTRATOR_STORE", "postgres://me:pw@host/db").problems();
    assert!(problems[0].contains("feature `postgres`") && !problems[0].contains("pw"));
    let settings = Place::new().var("ORCHESTRATOR_STORE", "memory:").load().expect("valid");
    assert_eq!(settings.store.location, StoreLocation::Memory);
    let place = Place::new().var("ORCHESTRATOR_COORDINATION", "redis://x");
    assert!(place.problems()[0].contains("feature `redis`"));
}

#[test]
fn an_identity_provider_is_named_whole_or_not_at_all() {
    assert!(Place::new().load().expect("valid").oidc.is_none());
    let good = "[server]\npublic_url = \"https://team.example:8443/\"\n[auth.oidc]\n\
                issuer = \"https://id.example/realms/a\"\nclient_id = \"c\"\n\
                client_secret = \"a-secret-of-the-client\"\nemail_domains = [\"Example.ORG\"]";
    let settings = Place::new().file(good).load().expect("valid");
    let oidc = settings.oidc.as_ref().expect("a provider");
    assert_eq!((&*oidc.name, &*oidc.tenant), ("single sign-on", "default"));
    assert_eq!(oidc.email_domains, ["example.org"]);
    assert_eq!(settings.server.public_origin().as_deref(), Some("https://team.example:8443"));
    for shown in [settings.show(), &*format!("{settings:?}")] {
        assert!(!shown.contains("a-secret"), "{shown}");
    }
    assert!(!settings.redactor.redact("it is a-secret-of-the-client").contains("a-secret"));
    let here = "[auth.oidc]\nissuer = \"http://127.0.0.1:9000\"\nclient_id = \"c\"";
    assert!(Place::new().file(here).load().is_ok(), "on this machine");
    for (wrong, why) in [
        ("issuer = \"http://id.example\"", "must begin with https://"),
        ("issuer = \"id.example\"", "is not an address"),
        ("issuer = \"https://a:b@id.example\"", "no password"),
        ("issuer = \"https://id.example/?a=b\"", "no part behind ?"),
        ("issuer = \"https://id.example\"\nclient_id = \"\"", "needs `auth.oidc.client_id`"),
        ("scopes = [\"email\"]", "must name `openid`"),
        ("scopes = [\"openid email\"]", "must name `openid`"),
        ("scopes = [\"openid\", \"a b\"]", "list each by itself"),
        ("client_secret = \"x\"\nclient_secret_file = \"/x\"", "not both"),
        ("name = \" \"", "`auth.oidc.name` must have"),
        ("tenant = \"No\"", "`auth.oidc.tenant` must be"),
        ("email_domains = [\"ann@example.org\"]", "no domain such as"),
        ("issuer = \"\"", "`auth.oidc.issuer` is not"),
    ] {
        let name = |line: &str| line.split(" = ").next().unwrap_or_default().to_owned();
        let given: Vec<String> = wrong.lines().map(name).collect();
        let usual = ["issuer = \"https://id.example\"", "client_id = \"c\""];
        let rest = usual.iter().filter(|line| !given.contains(&name(line)));
        let lines: Vec<&str> = rest.copied().chain(wrong.lines()).collect();
        let text = format!("[auth.oidc]\n{}", lines.join("\n"));
        let problems = Place::new().file(&text).problems();
        assert!(problems.iter().any(|problem| problem.contains(why)), "{wrong}: {problems:?}");
    }
    for wrong in ["team.example", "ftp://team.example", "https://team.example/x", "https://a@b.c"] {
        let text = format!("[server]\npublic_url = \"{wrong}\"");
        let problems = Place::new().file(&text).problems();
        assert!(problems[0].contains("`server.public_url` must be an address"), "{problems:?}");
    }
}

#[test]
fn variables_go_to_the_tenants_that_are_named() {
    let given = |list: &str| Place::new().var("ORCHESTRATOR_AGENTS__ENV_TENANTS", list);
    let read = |list: &str| given(list).load().expect("valid").agents.env_tenants;
    assert_eq!(Place::new().load().expect("valid").agents.env_tenants, HandedTo::default());
    assert_eq!(read("[]"), HandedTo::These([].into()));
    let id = "00000000-0000-0000-0000-000000000009";
    let named = TenantId::parse(id).expect("an id");
    let both = [TenantId::BOOTSTRAP, named].into();
    assert_eq!(read(&format!(r#"["default", "{id}"]"#)), HandedTo::These(both));
    assert_eq!(read(r#"["*", "default"]"#), HandedTo::Everybody);
    let problems = given(r#"["accounting"]"#).problems();
    assert!(
        problems[0].contains("`accounting`") && problems[0].contains("the id of a tenant"),
        "{problems:?}"
    );
}

//! Every setting as data: a file, an environment, and the result.

mod accounts;
mod app_tables;
mod campaign;
mod changes;
mod guards;
mod http;
mod in_app;
mod lawful;
mod layers;
mod modem;
mod planner;
mod retention;
mod settings;
mod smtp;
mod sources;
mod unknown;
mod webhooks;
mod webpush;
mod writer;

use std::path::Path;

use tempfile::TempDir;

use super::*;

/// A password that must not show up anywhere.
const PASSWORD: &str = "hunter2";

/// An environment with just what is required.
const REQUIRED: &[(&str, &str)] = &[
    ("DATABASE_URL", "postgres://app:hunter2@db.example/app"),
    ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000"),
    ("TWILIO_AUTH_TOKEN", "tok-hunter2"),
];

fn sources(dir: &Path, env: &[(&str, &str)]) -> Sources {
    Sources {
        env: env.iter().map(|(k, v)| (k.into(), v.into())).collect(),
        dir: dir.to_owned(),
        config: None,
    }
}

fn load(file: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let dir = TempDir::new().unwrap();
    if !file.is_empty() {
        std::fs::write(dir.path().join("punctual.toml"), file).unwrap();
    }
    Config::load(&sources(dir.path(), env))
}

/// Loads `file` and `env` on top of what is required, an entry of `env` replacing one of those.
/// `Ok` holds a line of the understood settings, `Err` a part of the only problem.
fn check(file: &str, env: &[(&str, &str)], expected: Result<&str, &str>) {
    let required = REQUIRED
        .iter()
        .filter(|(key, _)| !env.iter().any(|(k, _)| k.starts_with(key)));
    let all: Vec<_> = required.chain(env).copied().collect();
    match (load(file, &all), expected) {
        (Ok(config), Ok(line)) => {
            let shown = config.to_toml();
            assert!(shown.lines().any(|l| l == line), "no {line} in\n{shown}");
            assert!(!shown.contains(PASSWORD), "{shown}");
            let debug = format!("{config:?}");
            assert!(!debug.contains(PASSWORD), "{debug}");
        }
        (Err(error), Err(part)) => {
            let text = error.to_string();
            assert_eq!(error.0.len(), 1, "more than one problem:\n{text}");
            assert!(text.contains(part), "no {part} in\n{text}");
            for private in [PASSWORD, "5551234"] {
                assert!(!text.contains(private), "{private} in\n{text}");
                assert!(!format!("{error:?}").contains(private), "{error:?}");
            }
        }
        (Ok(config), Err(part)) => panic!("{part} expected, loaded\n{}", config.to_toml()),
        (Err(error), Ok(line)) => panic!("{line} expected, refused:\n{error}"),
    }
}

fn env(key: &str, value: &str, expected: Result<&str, &str>) {
    check("", &[(key, value)], expected);
}

fn file(text: &str, expected: Result<&str, &str>) {
    check(text, &[], expected);
}

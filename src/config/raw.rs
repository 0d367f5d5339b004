//! The layers: which keys there are, where each was set, and which are unknown.
//!
//! Both layers go through one table, so that a key, its file form and its refusals are the
//! same whether it is in the file or in the environment.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Problem};
use super::key::{
    self, FILE_VAR, Kind, NOT_SETTINGS, Setting, is_known, is_service_link, may_be_empty, similar,
};
use super::secret_file;
use crate::store::{AppTables, SourceTable};
use accounts::ACCOUNTS;

mod accounts;
mod jobs;
mod routes;
mod sources;

/// The settings file in the working directory.
const FILE: &str = "punctual.toml";

/// The sources of settings. An argument, so tests need not change their process.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The environment.
    pub env: BTreeMap<OsString, OsString>,
    /// The working directory: relative paths start here.
    pub dir: PathBuf,
    /// `--config`: the settings file; overrides `PUNCTUAL_CONFIG` and `punctual.toml`.
    pub config: Option<PathBuf>,
}

impl Sources {
    /// Those of this process.
    pub fn of_process(config: Option<PathBuf>) -> Self {
        Self {
            env: std::env::vars_os().collect(),
            dir: PathBuf::new(),
            config,
        }
    }
}

/// The values of one layer, by its names of the keys.
struct Layer {
    values: BTreeMap<String, String>,
    /// The names of the tables in [`ACCOUNTS`].
    accounts: Vec<String>,
    /// Added to a key in messages.
    place: String,
    /// The base of relative paths in this layer.
    dir: PathBuf,
}

impl Layer {
    fn name(&self, key: &str) -> String {
        format!("{key}{}", self.place)
    }
}

/// The value of one key.
struct Given {
    name: String,
    value: String,
}

/// The merged layers, and all problems so far.
pub(super) struct Raw {
    given: HashMap<&'static str, Given>,
    pub(super) problems: Vec<Problem>,
    /// The name in messages of the account whose table this is.
    table: Option<String>,
    /// The accounts next to the default one.
    accounts: BTreeMap<String, HashMap<&'static str, Given>>,
    /// The source tables.
    pub(super) sources: Vec<SourceTable>,
    /// The app's tables for sent messages.
    pub(super) app_tables: Option<AppTables>,
}

impl Raw {
    /// Reads the environment, the settings file and the files of secrets. An unreadable one is a
    /// problem.
    pub(super) fn read(sources: &Sources) -> Self {
        let mut raw = Self {
            given: HashMap::new(),
            problems: Vec::new(),
            table: None,
            accounts: BTreeMap::new(),
            sources: Vec::new(),
            app_tables: None,
        };
        let env = raw.env_layer(sources);
        let file = raw.file_layer(sources, &env);
        for setting in key::ALL {
            let given = raw
                .said_by(&env, setting.env, "_FILE")
                .or_else(|| raw.said_by(file.as_ref()?, setting.file, "_file"));
            if let Some(given) = given {
                raw.given.insert(setting.env, given);
            }
        }
        if let Some(file) = &file {
            raw.read_accounts(file);
        }
        raw
    }

    /// The variables that are not empty; unknown ones become problems.
    fn env_layer(&mut self, sources: &Sources) -> Layer {
        let mut values = BTreeMap::new();
        for (name, value) in &sources.env {
            let Some(name) = name.to_str() else { continue };
            let known = is_known(name, |s| s.env, "_FILE") || NOT_SETTINGS.contains(&name);
            if !known && !name.starts_with("PUNCTUAL_") {
                continue;
            }
            let Some(value) = value.to_str() else {
                self.unusable(name.to_owned(), None, "text in UTF-8");
                continue;
            };
            let is_unset = value.trim().is_empty() && !may_be_empty(name, |s| s.env);
            if is_unset || (!known && is_service_link(name, value)) {
                continue;
            }
            if !known {
                self.problems.push(Problem::Unknown {
                    key: name.to_owned(),
                    similar: similar(name, |s| s.env),
                });
                continue;
            }
            values.insert(name.to_owned(), value.to_owned());
        }
        Layer {
            values,
            accounts: Vec::new(),
            place: String::new(),
            dir: sources.dir.clone(),
        }
    }

    /// The settings file, if present. A file that was named must exist.
    fn file_layer(&mut self, sources: &Sources, env: &Layer) -> Option<Layer> {
        let named = sources
            .config
            .clone()
            .or_else(|| env.values.get(FILE_VAR).map(PathBuf::from));
        let path = sources
            .dir
            .join(named.as_deref().unwrap_or(Path::new(FILE)));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if named.is_none() && e.kind() == std::io::ErrorKind::NotFound => return None,
            Err(source) => {
                self.problems.push(Problem::ConfigFile { path, source });
                return None;
            }
        };
        let mut table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                let before = error.span().map_or("", |span| &text[..span.start]);
                self.problems.push(Problem::Syntax {
                    path,
                    line: before.matches('\n').count() + 1,
                    message: error.message().to_owned(),
                });
                return None;
            }
        };
        let mut layer = Layer {
            values: BTreeMap::new(),
            accounts: Vec::new(),
            place: format!(" in {}", path.display()),
            dir: path.parent().map_or_else(PathBuf::new, Path::to_owned),
        };
        self.read_sources(table.remove(sources::SOURCE), &layer);
        self.read_app_tables(table.remove(sources::APP), &layer);
        let jobs = table.remove(jobs::JOBS);
        self.read_routes(table.remove(key::ROUTES.file), &mut layer);
        let (accounts, rest) = table.into_iter().partition(|(name, _)| name == ACCOUNTS);
        self.walk(&rest, "", &mut layer);
        self.read_jobs(jobs, &mut layer);
        self.walk_accounts(&accounts, &path, &mut layer);
        Some(layer)
    }

    /// Takes a value of the file; an empty text is none, but where it is a value.
    fn take(&mut self, key: String, value: &toml::Value, layer: &mut Layer) {
        match value {
            toml::Value::String(text)
                if text.trim().is_empty() && !may_be_empty(&key, |s| s.file) => {}
            toml::Value::String(text) => {
                layer.values.insert(key, text.clone());
            }
            toml::Value::Boolean(yes) => {
                layer.values.insert(key, yes.to_string());
            }
            toml::Value::Integer(number) => {
                layer.values.insert(key, number.to_string());
            }
            _ => {
                let expected = "a string, an integer, true or false";
                self.unusable(layer.name(&key), None, expected);
            }
        }
    }

    fn walk(&mut self, table: &toml::Table, prefix: &str, layer: &mut Layer) {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            let inner = format!("{key}.");
            match value {
                toml::Value::Table(table)
                    if key::ALL.iter().any(|s| s.file.starts_with(&inner)) =>
                {
                    self.walk(table, &inner, layer);
                }
                _ if !is_known(&key, |s| s.file, "_file") => self.problems.push(Problem::Unknown {
                    similar: similar(&key, |s| s.file),
                    key: layer.name(&key),
                }),
                _ => self.take(key, value, layer),
            }
        }
    }

    fn said_by(&mut self, layer: &Layer, key: &str, suffix: &str) -> Option<Given> {
        let value = layer.values.get(key);
        let file_key = format!("{key}{suffix}");
        let path = layer.values.get(&file_key);
        match (value, path) {
            (None, None) => None,
            (Some(value), None) => Some(Given {
                name: layer.name(key),
                value: value.trim().to_owned(),
            }),
            (None, Some(path)) => {
                let (name, path) = (layer.name(&file_key), layer.dir.join(path.trim()));
                match secret_file::read(&path) {
                    Ok(value) => Some(Given { name, value }),
                    Err(source) => {
                        self.problems.push(Problem::SecretFile {
                            key: name.clone(),
                            path,
                            source,
                        });
                        // Reported once: it is not missing as well.
                        Some(Given {
                            name,
                            value: String::new(),
                        })
                    }
                }
            }
            (Some(value), Some(_)) => {
                self.problems.push(Problem::Twice {
                    key: layer.name(key),
                    file_key: layer.name(&file_key),
                });
                Some(Given {
                    name: layer.name(key),
                    value: value.clone(),
                })
            }
        }
    }

    /// The value of a setting, if it is set and valid; the error of `parse` describes valid values.
    pub(super) fn get<T>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let given = self.given.get(setting.env)?;
        if given.value.is_empty() && setting.kind != Kind::Emptiable {
            return None;
        }
        match parse(&given.value) {
            Ok(value) => Some(value),
            Err(expected) => {
                let may_be_shown = matches!(setting.kind, Kind::Plain | Kind::Emptiable);
                let shown = may_be_shown.then(|| given.value.clone());
                self.unusable(given.name.clone(), shown, expected);
                None
            }
        }
    }

    /// The value of a setting, or its default.
    ///
    /// # Panics
    /// If the default is invalid, which the first test to load settings would show.
    pub(super) fn or<T>(
        &mut self,
        setting: &Setting,
        default: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        self.get(setting, &parse)
            .unwrap_or_else(|| parse(default).expect("a default is valid"))
    }

    /// The value of a setting without a default.
    pub(super) fn require<T>(
        &mut self,
        setting: &Setting,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if !self.is_given(setting) {
            self.problems.push(Problem::Missing {
                key: self.name(setting),
                expected,
            });
        }
        self.get(setting, parse)
    }

    /// Whether it is set, valid or not.
    pub(super) fn is_given(&self, setting: &Setting) -> bool {
        self.given.contains_key(setting.env)
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn into_error(self) -> ConfigError {
        ConfigError(self.problems)
    }

    fn unusable(&mut self, key: String, value: Option<String>, expected: impl Into<String>) {
        self.problems.push(Problem::Unusable {
            key,
            value,
            expected: expected.into(),
        });
    }
}

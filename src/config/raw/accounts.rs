//! The tables of accounts, `[accounts.NAME]`: each has the settings of the default account without their table.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::{Kind, Layer, Problem, Raw, Setting, key};
use crate::message::LaneKey;

/// The table of accounts.
pub(super) const ACCOUNTS: &str = "accounts";

/// The most characters of an account's name, which is in paths and in labels of metrics.
const ACCOUNT_NAME_MAX: usize = 32;

fn is_account_name(name: &str) -> bool {
    let is_inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
    (1..=ACCOUNT_NAME_MAX).contains(&name.len())
        && name.bytes().all(is_inside)
        && ![LaneKey::DEFAULT_ACCOUNT, LaneKey::UNKNOWN_ACCOUNT].contains(&name)
}

impl Raw {
    pub(super) fn read_accounts(&mut self, file: &Layer) {
        for name in &file.accounts {
            let mut own = HashMap::new();
            for setting in key::OF_ACCOUNT {
                let key = format!("{ACCOUNTS}.{name}.{}", setting.of_account());
                if let Some(given) = self.said_by(file, &key, "_file") {
                    own.insert(setting.env, given);
                }
            }
            self.accounts.insert(name.clone(), own);
        }
    }

    /// The names of the accounts next to the default one.
    pub(in crate::config) fn accounts(&self) -> Vec<String> {
        self.accounts.keys().cloned().collect()
    }

    /// Reads the settings of one of them, as if they were those of the default account.
    pub(in crate::config) fn in_account<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut own = Self {
            given: self.accounts.remove(name).unwrap_or_default(),
            problems: std::mem::take(&mut self.problems),
            table: Some(format!("{ACCOUNTS}.{name}")),
            accounts: BTreeMap::new(),
            sources: Vec::new(),
            app_tables: None,
        };
        let read = read(&mut own);
        self.problems = own.problems;
        read
    }

    /// What messages call a setting.
    pub(in crate::config) fn name(&self, setting: &Setting) -> String {
        match &self.table {
            Some(table) => format!("{table}.{}", setting.of_account()),
            None => setting.env.to_owned(),
        }
    }

    /// Reads `[accounts.NAME]`.
    pub(super) fn walk_accounts(&mut self, accounts: &toml::Table, path: &Path, layer: &mut Layer) {
        let Some(toml::Value::Table(accounts)) = accounts.get(ACCOUNTS) else {
            if accounts.contains_key(ACCOUNTS) {
                let key = layer.name(ACCOUNTS);
                self.unusable(key, None, "a table for each account, [accounts.NAME]");
            }
            return;
        };
        for (name, settings) in accounts {
            let toml::Value::Table(settings) = settings else {
                let key = layer.name(&format!("{ACCOUNTS}.{name}"));
                self.unusable(key, None, "a table, [accounts.NAME]");
                continue;
            };
            if !is_account_name(name) {
                self.problems.push(Problem::AccountName {
                    name: name.clone(),
                    path: path.to_owned(),
                });
                continue;
            }
            layer.accounts.push(name.clone());
            for (key, value) in settings {
                let is_known = key::OF_ACCOUNT.iter().any(|setting| {
                    let own = setting.of_account();
                    key == own
                        || setting.kind == Kind::Secret && key.strip_suffix("_file") == Some(own)
                });
                let bare = key.as_str();
                let key = format!("{ACCOUNTS}.{name}.{key}");
                if is_known {
                    self.take(key, value, layer);
                } else {
                    let for_all = key::ALL.iter().find(|all| all.of_account() == bare);
                    let key = layer.name(&key);
                    self.problems.push(match for_all {
                        Some(setting) => Problem::NotOfAccount {
                            key,
                            for_all: setting.file,
                        },
                        None => Problem::Unknown { key, similar: None },
                    });
                }
            }
        }
    }
}

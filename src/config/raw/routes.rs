//! The table of routes, `[routes]`: a list of accounts for each channel, and country. As if they were one setting.

use super::{Layer, Raw, key};

impl Raw {
    /// Takes `[routes]`, whose values are lists of names, or names separated by commas.
    pub(super) fn read_routes(&mut self, routes: Option<toml::Value>, layer: &mut Layer) {
        const EXPECTED: &str =
            "a list of accounts for each channel, as in sms = [\"default\", \"eu\"]";
        let all = match routes {
            None => return,
            Some(toml::Value::String(text)) => text,
            Some(toml::Value::Table(routes)) => {
                let mut all = Vec::new();
                for (of, accounts) in routes {
                    if let Some(accounts) = names(&accounts) {
                        all.push(format!("{of} = {accounts}"));
                    } else {
                        let key = layer.name(&format!("{}.{of}", key::ROUTES.file));
                        self.unusable(key, None, EXPECTED);
                    }
                }
                all.join("; ")
            }
            Some(_) => {
                self.unusable(layer.name(key::ROUTES.file), None, EXPECTED);
                return;
            }
        };
        if !all.trim().is_empty() {
            layer.values.insert(key::ROUTES.file.to_owned(), all);
        }
    }
}

/// `None`: something else than names.
fn names(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(names) => Some(names.clone()),
        toml::Value::Array(names) => {
            let names: Option<Vec<&str>> = names.iter().map(toml::Value::as_str).collect();
            Some(names?.join(", "))
        }
        _ => None,
    }
}

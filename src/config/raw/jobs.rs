//! The tables of jobs, `[jobs.TYPE]`, each with the `url` of its type: as if they were the setting of all types.

use super::{Layer, Problem, Raw, key};

/// The table of jobs.
pub(super) const JOBS: &str = "jobs";

/// Its only key.
const URL: &str = "url";

/// What divides types and URLs where they are one setting.
const BETWEEN: [char; 2] = ['|', '='];

impl Raw {
    pub(super) fn read_jobs(&mut self, jobs: Option<toml::Value>, layer: &mut Layer) {
        const EXPECTED: &str = "a table for each type, [jobs.TYPE], with its url";
        let Some(jobs) = jobs else {
            return;
        };
        let toml::Value::Table(jobs) = jobs else {
            self.unusable(layer.name(JOBS), None, EXPECTED);
            return;
        };
        let mut all = Vec::new();
        for (kind, settings) in jobs {
            let place = format!("{JOBS}.{kind}");
            let toml::Value::Table(mut settings) = settings else {
                self.unusable(layer.name(&place), None, EXPECTED);
                continue;
            };
            match settings.remove(URL) {
                // They would be read as other types and URLs, where all are one setting.
                Some(toml::Value::String(_)) if kind.contains(BETWEEN) => {
                    self.unusable(layer.name(&place), None, "a type without | and =");
                }
                Some(toml::Value::String(url)) if url.contains('|') => self.unusable(
                    layer.name(&format!("{place}.{URL}")),
                    None,
                    "a URL without | (within a URL it is %7C)",
                ),
                Some(toml::Value::String(url)) => all.push(format!("{kind} = {url}")),
                _ => self.unusable(
                    layer.name(&format!("{place}.{URL}")),
                    None,
                    "a URL, as text",
                ),
            }
            for (unknown, _) in settings {
                self.problems.push(Problem::Unknown {
                    key: layer.name(&format!("{place}.{unknown}")),
                    similar: Some(format!("{place}.{URL}")),
                });
            }
        }
        if all.is_empty() {
            return;
        }
        let place = key::JOB_URLS.file;
        if layer.values.contains_key(place) {
            self.unusable(layer.name(place), None, "either this, or [jobs.TYPE]");
            return;
        }
        layer.values.insert(place.to_owned(), all.join(" | "));
    }
}

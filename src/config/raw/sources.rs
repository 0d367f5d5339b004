//! The app's tables: those that are followed, `[[source]]`, and those for sent messages, `[app]`.

use super::{Layer, Problem, Raw};
use crate::store::{AppTables, SourceTable};

/// The key of their list.
pub(super) const SOURCE: &str = "source";

/// The key of the tables for sent messages.
pub(super) const APP: &str = "app";

impl Raw {
    /// Reads the tables for sent messages; what is wrong with them is a problem.
    pub(super) fn read_app_tables(&mut self, value: Option<toml::Value>, layer: &Layer) {
        let Some(value) = value else { return };
        let read = value
            .try_into::<AppTables>()
            .map_err(|e| e.message().to_owned());
        match read.and_then(AppTables::checked) {
            Ok(app) => self.app_tables = Some(app),
            Err(why) => {
                let key = layer.name(&format!("[{APP}]"));
                self.problem(Problem::Source { key, why });
            }
        }
    }

    /// Reads each of them; what is wrong with one is a problem.
    pub(super) fn read_sources(&mut self, value: Option<toml::Value>, layer: &Layer) {
        let Some(value) = value else { return };
        let toml::Value::Array(all) = value else {
            let expected = "a list of tables, [[source]]";
            return self.unusable(layer.name(SOURCE), None, expected);
        };
        for (number, one) in (1..).zip(all) {
            let read = one
                .try_into::<SourceTable>()
                .map_err(|e| e.message().to_owned());
            match read.and_then(SourceTable::complete) {
                Ok(source) => self.sources.push(source),
                Err(why) => {
                    let key = layer.name(&format!("[[{SOURCE}]] number {number}"));
                    self.problem(Problem::Source { key, why });
                }
            }
        }
        if let Some(name) = SourceTable::twice(&self.sources) {
            let key = layer.name(&format!("[[{SOURCE}]] {name}"));
            let why = "the name is given twice".to_owned();
            self.problem(Problem::Source { key, why });
        }
    }
}

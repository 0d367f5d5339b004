//! The files in `deploy/` are ones that the programs they are for take, and name settings that
//! there are.

use std::path::{Path, PathBuf};
use std::process::Command;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(deploy(name)).unwrap()
}

/// Settings that a file has as `NAME=value` and `NAME: value`.
fn settings(text: &str) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    for line in text.lines() {
        let line = line.trim().trim_start_matches("Environment=");
        // Of a list of Render's.
        let line = line.trim_start_matches("- key: ");
        let line = line.trim_start_matches('#').trim_start();
        let (name, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
        let name = name.trim();
        // A sentence that begins with the name of one.
        if name.contains(' ') {
            continue;
        }
        if ["PUNCTUAL_", "TWILIO_", "DATABASE_URL"]
            .iter()
            .any(|start| name.starts_with(start))
        {
            settings.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    settings
}

#[test]
fn the_files_name_settings_that_there_are() {
    for (name, least) in [
        ("deploy/punctual.service", 3),
        ("deploy/punctual.env", 6),
        ("deploy/compose.yaml", 8),
        ("deploy/fly.toml", 4),
        ("deploy/kubernetes.yaml", 7),
        ("deploy/railway.toml", 6),
        ("deploy/render.yaml", 7),
    ] {
        let found = settings(&read(name));
        assert!(found.len() >= least, "{name}: {found:?}");
        for (key, _) in found {
            let env = [
                ("DATABASE_URL", "postgres://u:p@127.0.0.1:1/x"),
                (&key, "%"),
            ];
            let printed = super::punctual(&["run", "--print-config"], &env)
                .output()
                .unwrap();
            let printed = String::from_utf8_lossy(&printed.stderr).into_owned();
            assert!(!printed.contains("is not a setting"), "{name}: {printed}");
        }
    }
}

#[test]
fn the_settings_of_the_unit_and_its_environment_are_usable() {
    let env = read("deploy/punctual.env");
    let mut given: Vec<(String, String)> = settings(&env);
    given.push(("DATABASE_URL".into(), "postgres://u:p@127.0.0.1:1/x".into()));
    given.push((
        "TWILIO_AUTH_TOKEN".into(),
        "feedfacefeedfacefeedfacefeedface".into(),
    ));
    let given: Vec<(&str, &str)> = given
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    let printed = super::punctual(&["run", "--print-config"], &given)
        .output()
        .unwrap();
    assert!(
        printed.status.success(),
        "{}",
        String::from_utf8_lossy(&printed.stderr)
    );
}

#[test]
fn systemd_takes_the_unit_and_finds_it_closed() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("there is no systemd-analyze here: the unit was not tried");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("punctual.service");
    let text = read("deploy/punctual.service");
    let program = env!("CARGO_BIN_EXE_punctual");
    std::fs::write(&unit, text.replace("/usr/local/bin/punctual", program)).unwrap();
    let analyze = |args: &[&str]| {
        let ended = Command::new("systemd-analyze")
            .args(args)
            .arg(&unit)
            .output()
            .unwrap();
        let printed = [ended.stdout, ended.stderr].concat();
        (
            ended.status.success(),
            String::from_utf8_lossy(&printed).into_owned(),
        )
    };
    let (good, printed) = analyze(&["verify"]);
    assert!(good && printed.trim().is_empty(), "{printed}");
    // An exposure of at most 2.0 of 10.
    let (good, printed) = analyze(&["security", "--offline=yes", "--threshold=20", "--no-pager"]);
    assert!(good, "{printed}");
}

/// By Kubernetes' own schemas and others' readers of YAML and TOML, where `.ci/run` has installed them: ports, paths
/// and times of the files fit together.
#[test]
fn the_files_for_platforms_are_what_others_read() {
    let home = env!("CARGO_MANIFEST_DIR");
    let python = |argument: &[&str]| {
        let library = format!("{home}/target/kubernetes-validate");
        let mut python = Command::new("python3");
        python.args(argument).current_dir(home);
        python.env("PYTHONPATH", library).output()
    };
    let known = python(&["-c", "import kubernetes_validate, tomllib, yaml"]);
    if !known.is_ok_and(|known| known.status.success()) {
        eprintln!("SKIPPED: Python's kubernetes-validate is not here (.ci/run installs it)");
        return;
    }
    let said = python(&["tests/cli/deploy/platforms.py"]).unwrap();
    let printed = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{printed}");
}

/// Whatever the build needs is let into its context, and copied.
#[test]
fn the_image_is_built_from_what_the_build_needs() {
    let (ignore, docker) = (read(".dockerignore"), read("Dockerfile"));
    for needed in [
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "packaging/compile",
        "src",
        "data",
        "migrations",
        "triggers",
        "benches",
    ] {
        assert!(
            ignore.lines().any(|l| l == format!("!{needed}")),
            "{needed}"
        );
        let copied = docker
            .lines()
            .any(|l| l.starts_with("COPY ") && l.split_whitespace().any(|word| word == needed));
        assert!(copied, "{needed}");
    }
    // Files that the program takes in at compile time lie in what is copied.
    let health = ["punctual", "health", "--alive"];
    assert!(health.iter().all(|word| docker.contains(word)));
}

#[test]
fn every_alert_is_explained() {
    let page = read("docs/operations.md");
    let rules = read("deploy/prometheus/alerts.yml");
    let alerts: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in alerts {
        assert!(page.contains(&format!("| `{alert}` |")), "{alert}");
    }
}

//! The commands of `docs/guides/`, and of the pages on pauses, paces, parts and lists, run as a reader would, in the
//! order of each page, on a database of its own.
//!
//! - `sh` blocks run in one bash per page, and must succeed; `sh fails` must not.
//! - `sh daemon` starts a daemon; what follows waits until it is ready.
//! - `sql` blocks run in a session of the app; `sql eventually` again and again, until they print the output.
//! - `output` blocks are what the block before printed: these lines, in this order, others may be between them; `…`
//!   stands for anything.
//! - `untested: WHY` behind the language: it needs what a test cannot have.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tokio_postgres::SimpleQueryMessage;

use crate::harness::{TestDb, cluster};

/// So often is looked for what a daemon is to do.
const TRIES_MAX: u32 = 2_000;

/// The languages that nothing runs: they show a file or another program's code.
const SHOWN: [&str; 6] = ["toml", "text", "ini", "yaml", "js", "ts"];

/// A page of the guides, and the environment it is run in.
struct Page {
    name: &'static str,
    db: TestDb,
    home: tempfile::TempDir,
    /// Of the daemon.
    port: u16,
    daemons: Vec<Daemon>,
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Page {
    fn command(&self, script: &str) -> Command {
        let url = cluster().url(self.db.dsn().to_string().rsplit_once('/').unwrap().1);
        let program = Path::new(env!("CARGO_BIN_EXE_punctual"));
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(self.home.path())
            .env_clear()
            .env(
                "PATH",
                format!("{}:{path}", program.parent().unwrap().display()),
            )
            .env("HOME", self.home.path())
            .env("DATABASE_URL", url)
            .env("PUNCTUAL_PROVIDER", "console")
            .env("PUNCTUAL_HTTP_ADDR", format!("127.0.0.1:{}", self.port))
            .stdin(Stdio::null());
        command
    }

    /// What it printed, on both streams, and whether it succeeded.
    async fn run(&self, script: &str) -> (String, bool) {
        let mut command = self.command(&format!("{{ {script}\n}} 2>&1"));
        let run = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = run.await.unwrap();
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            output.status.success(),
        )
    }

    async fn start(&mut self, script: &str) {
        let log = self.home.path().join("daemon.log");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let mut command = self.command(&format!("exec {}", script.trim()));
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let mut daemon = Daemon(command.spawn().unwrap());
        let mut tries = 0;
        while !self.run("punctual health").await.1 {
            tries += 1;
            assert!(
                tries < TRIES_MAX,
                "{}: it is never ready\n{}",
                self.name,
                self.log()
            );
            if let Some(status) = daemon.0.try_wait().unwrap() {
                panic!("{}: the daemon ended: {status}\n{}", self.name, self.log());
            }
        }
        self.daemons.push(daemon);
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("daemon.log")).unwrap_or_default()
    }

    /// The rows, a line each; or the error.
    async fn query(&self, sql: &str) -> (String, bool) {
        match self.db.client().await.simple_query(sql).await {
            Ok(messages) => (messages.iter().filter_map(line).collect(), true),
            Err(error) => (
                error.as_db_error().map_or_else(
                    || error.to_string(),
                    |db| {
                        format!(
                            "{}: {}\n{}",
                            db.code().code(),
                            db.message(),
                            db.hint().unwrap_or("")
                        )
                    },
                ),
                false,
            ),
        }
    }

    /// Asks until the daemons have done it.
    async fn query_until(&mut self, sql: &str, wanted: &str) -> String {
        for _ in 0..TRIES_MAX {
            let (said, succeeded) = self.query(sql).await;
            assert!(succeeded, "{}: {sql}\nprinted:\n{said}", self.name);
            if missing(wanted, &said).is_none() {
                return said;
            }
            for daemon in &mut self.daemons {
                let ended = daemon.0.try_wait().unwrap();
                assert_eq!(ended, None, "{}: a daemon ended: {sql}\n{said}", self.name);
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!(
            "{}: it never prints what the page shows: {sql}\n{}",
            self.name,
            self.log()
        );
    }
}

fn line(message: &SimpleQueryMessage) -> Option<String> {
    let SimpleQueryMessage::Row(row) = message else {
        return None;
    };
    let cells: Vec<_> = (0..row.len()).map(|i| row.get(i).unwrap_or("")).collect();
    Some(cells.join(" | ") + "\n")
}

/// The fenced blocks: what is behind the fence, and the text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let body: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((info.to_owned(), body.join("\n")));
        }
    }
    blocks
}

/// The first line of `wanted` that is not in `said` behind the ones before it.
fn missing<'a>(wanted: &'a str, said: &str) -> Option<&'a str> {
    let mut lines = said.lines();
    wanted
        .lines()
        .filter(|line| !line.trim().is_empty() && line.trim() != "…")
        .find(|line| !lines.any(|of| fits(line.trim(), of)))
}

/// Whether the pieces around each `…` are in the line, in order.
fn fits(pattern: &str, mut line: &str) -> bool {
    pattern
        .split('…')
        .all(|piece| match line.split_once(piece.trim()) {
            Some((_, rest)) => {
                line = rest;
                true
            }
            None => false,
        })
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn guides() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides")
}

async fn follow(name: &'static str, db: TestDb) {
    let text = std::fs::read_to_string(guides().join(name)).unwrap();
    let mut page = Page {
        name,
        db,
        home: tempfile::tempdir().unwrap(),
        port: free_port(),
        daemons: Vec::new(),
    };
    let (mut said, mut ran) = (String::new(), 0);
    let blocks = blocks(&text);
    for (i, (info, body)) in blocks.iter().enumerate() {
        let (kind, more) = info.split_once(' ').unwrap_or((info, ""));
        let at = || format!("{name}, a block of `{info}`:\n{body}");
        if let Some(why) = more.strip_prefix("untested:") {
            assert!(!why.trim().is_empty(), "{}", at());
            continue;
        }
        match (kind, more) {
            ("sh", "" | "fails") => {
                let (output, succeeded) = page.run(body).await;
                assert_eq!(
                    succeeded,
                    more.is_empty(),
                    "{}\nprinted:\n{output}{}",
                    at(),
                    page.log()
                );
                (said, ran) = (output, ran + 1);
            }
            ("sh", "daemon") => page.start(body).await,
            ("sql", "" | "fails") => {
                let (output, succeeded) = page.query(body).await;
                assert_eq!(succeeded, more.is_empty(), "{}\nprinted:\n{output}", at());
                (said, ran) = (output, ran + 1);
            }
            ("sql", "eventually") => {
                let (_, wanted) = blocks
                    .get(i + 1)
                    .unwrap_or_else(|| panic!("no output: {}", at()));
                (said, ran) = (page.query_until(body, wanted).await, ran + 1);
            }
            ("output", "") => {
                assert_eq!(missing(body, &said), None, "{}\nprinted:\n{said}", at());
            }
            (shown, "") if SHOWN.contains(&shown) => {}
            _ => panic!("no such kind of block: {}", at()),
        }
    }
    assert!(ran > 0, "{name}: nothing was run");
}

macro_rules! followed {
    ($($test:ident: $page:literal, $db:ident;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            follow($page, TestDb::$db().await).await;
        })*

        const FOLLOWED: &[&str] = &[$($page),*];
    };
}

followed! {
    a_first_message: "first-message.md", empty;
    a_message_is_changed: "change-a-message.md", new;
    why_it_was_late: "why-late.md", new;
    messages_that_failed: "failed-messages.md", new;
    two_instances: "two-instances.md", new;
    upgrade_rollback_and_uninstall: "upgrade.md", new;
    from_another_scheduler: "coming-from.md", new;
    frequent_questions: "faq.md", new;
    pauses: "../pauses.md", new;
    paces: "../paces.md", new;
    messages_of_several_parts: "../parts.md", new;
    lists_searches_and_acts: "../operators.md", new;
}

/// Pages of other documents, of laws and of machines: they have nothing to run here.
const READ_ONLY: [&str; 3] = ["README.md", "install.md", "a2p-10dlc.md"];

#[test]
fn every_guide_is_followed_or_has_nothing_to_run() {
    for page in std::fs::read_dir(guides()).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        let is_followed = FOLLOWED.contains(&name.as_str());
        assert!(
            is_followed || READ_ONLY.contains(&name.as_str()),
            "{name} is in no list"
        );
        if !is_followed {
            let text = std::fs::read_to_string(guides().join(&name)).unwrap();
            for (info, body) in blocks(&text) {
                let kind = info.split(' ').next().unwrap_or_default();
                assert!(
                    info.contains("untested:") || SHOWN.contains(&kind),
                    "{name}: nothing runs this block of `{info}`:\n{body}"
                );
            }
        }
    }
}

//! A real SMTP server, Python's `aiosmtpd`, and Python's parser as the judge of what it gets. The library is in
//! `target/aiosmtpd` or wherever Python finds it.

use std::process::Stdio;
use std::time::Duration;

use rcgen::generate_simple_self_signed;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Never waited for, on however busy a machine.
const AMPLE: Duration = Duration::from_secs(60);

pub(crate) const USER: &str = "punctual";
pub(crate) const PASSWORD: &str = "a password: ✉";

pub(crate) struct SmtpServer {
    _python: Child,
    _stdin: ChildStdin,
    mails: Lines<BufReader<ChildStdout>>,
    pub(crate) port: String,
    pub(crate) certificate: std::path::PathBuf,
    _dir: tempfile::TempDir,
}

fn python() -> Command {
    let home = env!("CARGO_MANIFEST_DIR");
    let mut python = Command::new("python3");
    python
        .env("PYTHONPATH", format!("{home}/target/aiosmtpd"))
        .env("PYTHONIOENCODING", "utf-8")
        .env("PYTHONUTF8", "1");
    python
}

impl SmtpServer {
    /// `None`: there is no such library here.
    pub(crate) async fn start() -> Option<Self> {
        let known = python().args(["-c", "import aiosmtpd.controller"]).output();
        if !known.await.is_ok_and(|known| known.status.success()) {
            eprintln!("SKIPPED: Python's aiosmtpd is not here (.ci/run installs it)");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let script = format!("{}/tests/wire/mail.py", env!("CARGO_MANIFEST_DIR"));
        let mut python = python()
            .arg(script)
            .args([&certificate, &key])
            .args([USER, PASSWORD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = python.stdin.take().unwrap();
        let mut mails = BufReader::new(python.stdout.take().unwrap()).lines();
        let port = timeout(AMPLE, mails.next_line()).await;
        let port = port
            .expect("it starts within a minute")
            .unwrap()
            .expect("its port");
        Some(Self {
            _python: python,
            _stdin: stdin,
            mails,
            port,
            certificate,
            _dir: dir,
        })
    }

    /// The next one that has arrived.
    pub(crate) async fn mail(&mut self) -> Value {
        let line = timeout(AMPLE, self.mails.next_line()).await;
        let line = line
            .expect("a mail within a minute")
            .unwrap()
            .expect("a mail");
        serde_json::from_str(&line).unwrap()
    }
}

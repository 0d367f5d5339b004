//! The private Postgres: it comes, it serves, and nothing of it stays.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use punctual::demo::postgres::{Options, PrivatePostgres, Shutdown};

use crate::harness::{dsn, session};

fn quick() -> Options {
    Options {
        fsync: false,
        ..Options::default()
    }
}

/// The directory that is to be gone afterwards.
fn home(server: &PrivatePostgres) -> PathBuf {
    server
        .data_dir()
        .parent()
        .expect("the data lie in it")
        .to_owned()
}

#[tokio::test]
async fn it_serves_and_then_leaves_neither_process_nor_directory() {
    let server = PrivatePostgres::start(Options {
        settings: vec![("work_mem".into(), "7MB".into())],
        ..quick()
    })
    .unwrap();
    let client = session(&dsn(&server, "postgres")).await;
    let show = async |name: &str| -> String {
        let row = client.query_one(&format!("show {name}"), &[]).await;
        row.unwrap().get(0)
    };
    assert_eq!(show("work_mem").await, "7MB");
    assert_eq!(show("fsync").await, "off");
    assert_eq!(show("listen_addresses").await, "127.0.0.1");

    let (home, pid) = (home(&server), server.pid().unwrap());
    assert!(home.exists());
    server.stop().unwrap();
    assert!(!home.exists());
    assert!(!is_running(pid));
}

#[tokio::test]
async fn others_on_this_machine_have_no_password() {
    let server = PrivatePostgres::start(quick()).unwrap();
    let url = format!(
        "postgres://postgres:guess@127.0.0.1:{}/postgres",
        server.port()
    );
    let error = url
        .parse::<punctual::store::Dsn>()
        .unwrap()
        .connect()
        .await
        .err()
        .expect("refused")
        .to_string();
    assert!(error.contains("password authentication failed"), "{error}");
}

#[tokio::test]
async fn what_was_committed_survives_either_restart_on_the_same_port() {
    let mut server = PrivatePostgres::start(Options::default()).unwrap();
    let port = server.port();
    let client = session(&dsn(&server, "postgres")).await;
    client
        .batch_execute("create table t (n int)")
        .await
        .unwrap();
    for (n, how) in [(1, Shutdown::Fast), (2, Shutdown::Immediate)] {
        let client = session(&dsn(&server, "postgres")).await;
        client
            .execute("insert into t values ($1)", &[&n])
            .await
            .unwrap();
        server.restart(how).unwrap();
        assert!(client.query("select 1", &[]).await.is_err(), "{how:?}");
        let client = session(&dsn(&server, "postgres")).await;
        let row = client.query_one("select max(n) from t", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), n, "{how:?}");
    }
    assert_eq!(server.port(), port);
}

/// Says what [`victim`], in a process of its own, is for.
const VICTIM: &str = "PUNCTUAL_TEST_VICTIM";

fn victim_for(purpose: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "cluster::victim", "--nocapture"])
        .env(VICTIM, purpose);
    command
}

/// Not a test by itself: the other half of the next two.
#[test]
fn victim() {
    match std::env::var(VICTIM).as_deref() {
        Ok("killed") => {
            let server = PrivatePostgres::start(quick()).unwrap();
            println!("\nhome {}", home(&server).display());
            // Until killed; the pipe ends only if the other half is gone.
            let _ = std::io::stdin().read_line(&mut String::new());
        }
        Ok("refused") => {
            let error = PrivatePostgres::start(Options {
                settings: vec![("no_such_setting".into(), "1".into())],
                ..quick()
            })
            .unwrap_err()
            .to_string();
            assert!(error.contains("no_such_setting"), "{error}");
        }
        _ => {}
    }
}

#[test]
fn a_setting_that_postgres_refuses_is_the_error_and_leaves_nothing() {
    use std::os::unix::fs::PermissionsExt;
    // A temporary directory without the comings and goings of other tests.
    let own = std::env::temp_dir().join(format!("own-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir(&own).unwrap();
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o1777)).unwrap();
    let status = victim_for("refused").env("TMPDIR", &own).status().unwrap();
    assert!(status.success());
    // Fails if anything is left in it.
    std::fs::remove_dir(&own).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_owner_leaves_nothing() {
    let mut owner = victim_for("killed")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let home = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("home ").map(PathBuf::from))
        .expect("the victim says where it lives");
    let family = children(owner.id());
    assert_eq!(family.len(), 2, "the server and its guardian");

    owner.kill().unwrap();
    owner.wait().unwrap();
    for member in &family {
        assert!(member.ends(), "process {} goes on", member.pid);
    }
    assert!(!home.exists(), "{} was left behind", home.display());
}

/// A process that can be waited for although it is not our child.
#[cfg(target_os = "linux")]
struct Process {
    pid: u32,
    handle: rustix::fd::OwnedFd,
}

#[cfg(target_os = "linux")]
impl Process {
    /// Within the guardian's own limits.
    fn ends(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let limit = Timespec {
            tv_sec: 30,
            tv_nsec: 0,
        };
        let mut watched = [PollFd::new(&self.handle, PollFlags::IN)];
        poll(&mut watched, Some(&limit)).unwrap() == 1
    }
}

#[cfg(target_os = "linux")]
fn children(parent: u32) -> Vec<Process> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let of_parent = |pid: &u32| stat(*pid).is_some_and(|(_, ppid)| ppid == parent);
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(of_parent)
        .map(|pid| Process {
            pid,
            handle: pidfd_open(
                Pid::from_raw(pid.cast_signed()).unwrap(),
                PidfdFlags::empty(),
            )
            .unwrap(),
        })
        .collect()
}

/// State and parent of a process, from `/proc`.
fn stat(pid: u32) -> Option<(char, u32)> {
    let path = Path::new("/proc").join(pid.to_string()).join("stat");
    let text = std::fs::read_to_string(path).ok()?;
    let mut after_name = text.rsplit_once(')')?.1.split_whitespace();
    Some((
        after_name.next()?.chars().next()?,
        after_name.next()?.parse().ok()?,
    ))
}

fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z')
}

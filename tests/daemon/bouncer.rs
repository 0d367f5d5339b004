//! `PgBouncer` in transaction mode: LISTEN is taken there and nothing is ever delivered. A daemon
//! that started all the same would be deaf, and its session settings would be somebody else's.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::{set, until};
use crate::world::{World, called};

/// One before the cluster; it goes with its value.
struct Bouncer {
    child: Child,
    port: u16,
    _home: tempfile::TempDir,
}

fn binary() -> Option<PathBuf> {
    [
        "/usr/sbin/pgbouncer",
        "/usr/bin/pgbouncer",
        "/usr/local/bin/pgbouncer",
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|path| path.exists())
}

impl Bouncer {
    async fn start(binary: &Path, mode: &str, database_url: &str) -> Self {
        let url: url::Url = database_url.parse().unwrap();
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let home = tempfile::TempDir::new().unwrap();
        let ini = home.path().join("pgbouncer.ini");
        // `any`: whoever comes is the user of the line above.
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user={} password={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = {mode}\nignore_startup_parameters = extra_float_digits\n",
            url.port().unwrap(),
            url.username(),
            url.password().unwrap(),
        );
        std::fs::write(&ini, text).unwrap();
        // It does not run as root.
        let mut command = Command::new(binary);
        if rustix::process::getuid().is_root() {
            use std::os::unix::fs::PermissionsExt;
            let open = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(home.path(), open).unwrap();
            command.args(["-u", "nobody"]);
        }
        let child = command
            .arg(&ini)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("pgbouncer listens", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .ok()
        })
        .await;
        Self {
            child,
            port,
            _home: home,
        }
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        let _ = self.child.wait();
    }
}

/// The world's settings with the pooler in between; `None` where there is none.
async fn pooled(world: &World, mode: &str) -> Option<(Vec<(String, String)>, Bouncer)> {
    let Some(binary) = binary() else {
        // Past the capture of tests' output: what was not tested is to be seen.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no pgbouncer on this machine (Debian: apt-get install pgbouncer)"
        );
        return None;
    };
    let (_, direct) = world.env.iter().find(|(n, _)| n == "DATABASE_URL").unwrap();
    let bouncer = Bouncer::start(&binary, mode, direct).await;
    let port = crate::harness::cluster().port();
    let url = direct.replace(&format!(":{port}/"), &format!(":{}/", bouncer.port));
    let mut env = world.env.clone();
    set(&mut env, "DATABASE_URL", &url);
    Some((env, bouncer))
}

#[tokio::test]
async fn in_transaction_mode_it_does_not_start_and_says_what_to_use() {
    let world = World::new([]).await;
    let Some((env, _bouncer)) = pooled(&world, "transaction").await else {
        return;
    };
    let (code, _, stderr) = called(&["run"], &env).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("transaction mode"), "{stderr}");
    assert!(stderr.contains("port 5432"), "{stderr}");
    // Others get the pooler's sessions after us: ours must not have been set up as a daemon's.
    let url = &env.iter().find(|(n, _)| n == "DATABASE_URL").unwrap().1;
    let app = crate::harness::session(&punctual::store::Dsn::parse(url).unwrap()).await;
    let said = app
        .simple_query("select current_setting('punctual.writer', true) as writer")
        .await
        .unwrap();
    let writer = said.iter().find_map(|m| match m {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
        _ => None,
    });
    assert_ne!(writer.flatten().as_deref(), Some("on"));
}

#[tokio::test]
async fn in_session_mode_it_works() {
    let world = World::new([]).await;
    let Some((env, _bouncer)) = pooled(&world, "session").await else {
        return;
    };
    let mut daemon = crate::daemon::Daemon::start(&env);
    daemon.ready().await;
    let id = world.insert("through a pooler", 300).await;
    world.arrived_once(id).await;
    daemon.stop().await;
}

//! `PgBouncer` in transaction mode: LISTEN is taken there and nothing is ever delivered. A daemon
//! that started all the same would be deaf, and its session settings would be somebody else's.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::{set, until};
use crate::world::{World, called};

/// One before the cluster; it goes with its value.
pub(crate) struct Bouncer {
    child: Child,
    port: u16,
    binary: PathBuf,
    home: tempfile::TempDir,
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
    async fn start(binary: PathBuf, mode: &str, sessions: usize, database_url: &str) -> Self {
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
             auth_type = any\npool_mode = {mode}\ndefault_pool_size = {sessions}\nmax_client_conn = 100\n",
            url.port().unwrap(),
            url.username(),
            url.password().unwrap(),
        );
        std::fs::write(&ini, text).unwrap();
        let child = spawn(&binary, home.path());
        listens(port).await;
        Self {
            child,
            port,
            binary,
            home,
        }
    }

    /// Ends it without notice.
    pub(crate) fn kill(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::KILL).unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again at the same port.
    pub(crate) async fn again(&mut self) {
        self.child = spawn(&self.binary, self.home.path());
        listens(self.port).await;
    }
}

fn spawn(binary: &Path, home: &Path) -> Child {
    let mut command = Command::new(binary);
    // It does not run as root.
    if rustix::process::getuid().is_root() {
        use std::os::unix::fs::PermissionsExt;
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(home, open).unwrap();
        command.args(["-u", "nobody"]);
    }
    command
        .arg(home.join("pgbouncer.ini"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn listens(port: u16) {
    until("pgbouncer listens", async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .ok()
    })
    .await;
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        let _ = self.child.wait();
    }
}

/// The world's settings with the pooler in between; `None` where there is none.
pub(crate) async fn pooled(
    world: &World,
    mode: &str,
    sessions: usize,
) -> Option<(Vec<(String, String)>, Bouncer)> {
    let (_, direct) = world.env.iter().find(|(n, _)| n == "DATABASE_URL").unwrap();
    let (url, bouncer) = before(direct, mode, sessions).await?;
    let mut env = world.env.clone();
    set(&mut env, "DATABASE_URL", &url);
    Some((env, bouncer))
}

/// One before this database, and the URL that leads through it; `None` where there is none.
pub(crate) async fn before(direct: &str, mode: &str, sessions: usize) -> Option<(String, Bouncer)> {
    let Some(binary) = binary() else {
        // Past the capture of tests' output: what was not tested is to be seen.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no pgbouncer on this machine (Debian: apt-get install pgbouncer)"
        );
        return None;
    };
    let bouncer = Bouncer::start(binary, mode, sessions, direct).await;
    let mut url: url::Url = direct.parse().unwrap();
    url.set_port(Some(bouncer.port)).unwrap();
    Some((url.into(), bouncer))
}

#[tokio::test]
async fn in_transaction_mode_it_does_not_start_and_says_what_to_use() {
    let world = World::new([]).await;
    let Some((env, _bouncer)) = pooled(&world, "transaction", 20).await else {
        return;
    };
    let (code, _, stderr) = called(&["run"], &env).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("transaction mode"), "{stderr}");
    assert!(stderr.contains("port 5432"), "{stderr}");
    assert!(stderr.contains("PUNCTUAL_CHANGES=poll"), "{stderr}");
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
    let Some((env, _bouncer)) = pooled(&world, "session", 20).await else {
        return;
    };
    let mut daemon = crate::daemon::Daemon::start(&env);
    daemon.ready().await;
    let id = world.insert("through a pooler", 300).await;
    world.arrived_once(id).await;
    daemon.stop().await;
}

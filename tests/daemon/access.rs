//! Whom a real daemon accepts: by its address, by its socket, and behind a real nginx.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use punctual::http::{RuntimeDir, TokenKind};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::daemon::{Daemon, own_address, set, until};
use crate::world::{World, called};

/// A world whose daemons make their tokens themselves, in a state directory or in the one of the user.
async fn world(home: &Path, state: bool) -> World {
    let mut world = World::new([]).await;
    let (setting, dir) = if state {
        ("PUNCTUAL_STATE_DIR", home.join("state"))
    } else {
        ("XDG_RUNTIME_DIR", home.to_owned())
    };
    set(&mut world.env, setting, dir.to_str().unwrap());
    set(&mut world.env, "PUNCTUAL_DEBUG_TOKEN", "");
    set(&mut world.env, "PUNCTUAL_HTTP_ADDR", &own_address());
    world
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// `GET path` by the socket.
async fn by_socket(socket: &Path, path: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: punctual\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    Some(answer)
}

#[tokio::test]
async fn a_daemon_makes_its_tokens_and_its_socket_and_writes_them_to_no_log() {
    for state in [true, false] {
        let home = tempfile::tempdir().unwrap();
        let world = world(home.path(), state).await;
        let daemon = world.daemon().await;
        let dir = if state {
            RuntimeDir::State(home.path().join("state"))
        } else {
            RuntimeDir::of_user(
                Some(home.path()),
                Path::new("/"),
                daemon.addr().parse().unwrap(),
            )
        };
        let files = [TokenKind::Debug, TokenKind::Operator].map(|kind| dir.token_file(kind));
        let tokens = files.each_ref().map(|file| {
            assert_eq!(mode(file), 0o600, "{}", file.display());
            std::fs::read_to_string(file).unwrap().trim().to_owned()
        });
        assert_eq!(mode(&dir.socket()), 0o600);

        let (head, _) = daemon.ask("/debug/timers", "", None).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 401"), "{head}");
        for token in &tokens {
            let bearer = format!("authorization: Bearer {token}\r\n");
            let (head, _) = daemon.ask("/debug/timers", &bearer, None).await.unwrap();
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        }
        let answer = by_socket(&dir.socket(), "/debug/timers").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

        // The commands find it, and need nothing.
        for (args, says) in [
            (&["timers"][..], "ready · 0 armed"),
            (&["health"], "ready"),
            (&["token"], &*tokens[0]),
            (&["token", "--operator"], &*tokens[1]),
            (&["token", "--socket"], dir.socket().to_str().unwrap()),
        ] {
            let (code, stdout, stderr) = world.call(args).await;
            assert_eq!(code, Some(0), "{args:?}: {stderr}");
            assert!(stdout.contains(says), "{args:?}: {stdout}");
        }
        // An image may have no certificates; plain HTTP needs none.
        let none = home.path().join("no-certificates");
        std::fs::write(&none, "").unwrap();
        let at = format!("http://{}", daemon.addr());
        let mut bare = world.env.clone();
        set(&mut bare, "SSL_CERT_FILE", none.to_str().unwrap());
        let (code, _, stderr) = called(&["health", "--alive", "--url", &at], &bare).await;
        assert_eq!(code, Some(0), "{stderr}");

        let id = world.insert("far", 3_000_000).await.to_string();
        until("why shows its timer", async || {
            let (_, shown, _) = world.call(&["why", &id]).await;
            shown.contains("timer         armed").then_some(())
        })
        .await;

        let said = daemon.stop().await;
        assert!(!said.contains("/login?token"), "{said}");
        for token in &tokens {
            assert!(!said.contains(token), "{said}");
        }
        // The socket goes with its daemon, the tokens stay for the next.
        assert!(!dir.socket().exists());
        let daemon = world.daemon().await;
        let bearer = format!("authorization: Bearer {}\r\n", tokens[0]);
        let (head, _) = daemon.ask("/metrics", &bearer, None).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        daemon.stop().await;
    }
}

#[tokio::test]
async fn a_killed_daemons_socket_is_replaced_and_two_have_one_each() {
    let home = tempfile::tempdir().unwrap();
    let world = world(home.path(), false).await;
    let socket_of = |daemon: &Daemon| {
        let addr = daemon.addr().parse().unwrap();
        RuntimeDir::of_user(Some(home.path()), Path::new("/"), addr).socket()
    };
    let mut killed = world.daemon().await;
    let socket = socket_of(&killed);
    killed.signal(Signal::KILL);
    killed.ended().await;
    assert!(socket.exists() && by_socket(&socket, "/healthz").await.is_none());
    let one = world.daemon().await;
    let mut env = world.env.clone();
    set(&mut env, "PUNCTUAL_HTTP_ADDR", &own_address());
    let mut two = Daemon::start(&env);
    two.ready().await;
    assert_ne!(socket, socket_of(&two));
    for daemon in [&one, &two] {
        let answer = by_socket(&socket_of(daemon), "/readyz").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    one.stop().await;
    assert!(by_socket(&socket_of(&two), "/healthz").await.is_some());
    two.stop().await;
}

#[tokio::test]
async fn without_a_place_for_tokens_it_says_what_to_do_and_with_them_set_it_runs() {
    let home = tempfile::tempdir().unwrap();
    let world = world(home.path(), false).await;
    // A file where the directory would be.
    std::fs::write(home.path().join("punctual"), "").unwrap();
    let (code, _, stderr) = world.call(&["run"]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("PUNCTUAL_DEBUG_TOKEN is not set, and none can be stored"),
        "{stderr}"
    );
    let world = world.with(&[
        ("PUNCTUAL_DEBUG_TOKEN", "long-and-random-enough"),
        ("PUNCTUAL_OPERATOR_TOKEN", "as-long-and-as-random"),
    ]);
    let daemon = world.daemon().await;
    let said = daemon.stop().await;
    assert!(
        said.contains("the Unix socket could not be created"),
        "{said}"
    );
}

/// The nginx of this machine with nothing but `proxy_pass`, as people write it first.
struct Nginx {
    _child: tokio::process::Child,
    addr: String,
    _home: tempfile::TempDir,
}

impl Nginx {
    fn program() -> Option<PathBuf> {
        let places = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
        places.iter().map(PathBuf::from).find(|path| path.exists())
    }

    async fn before(program: &Path, daemon: &Daemon) -> Self {
        let home = tempfile::tempdir().unwrap();
        let addr = own_address();
        // One process: workers would outlive a master that is killed.
        let conf = format!(
            "daemon off; master_process off; pid pid; error_log stderr;\n\
             events {{}}\n\
             http {{\n\
               access_log off; client_body_temp_path body; proxy_temp_path proxy;\n\
               fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n\
               server {{ listen {addr}; location / {{ proxy_pass http://{}; }} }}\n\
             }}\n",
            daemon.addr()
        );
        let path = home.path().join("nginx.conf");
        std::fs::write(&path, conf).unwrap();
        // It looks into its directory as nobody, where root started it.
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let child = tokio::process::Command::new(program)
            .arg("-p")
            .arg(home.path())
            .arg("-c")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        until("nginx listens", async || {
            TcpStream::connect(&addr).await.ok()
        })
        .await;
        Self {
            _child: child,
            addr,
            _home: home,
        }
    }

    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.addr).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n{headers}\r\n{body}",
            self.addr,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[tokio::test]
async fn behind_nginx_nothing_is_shown_without_a_token_and_the_right_one_is_never_kept_out() {
    let Some(program) = Nginx::program() else {
        eprintln!("skipped: there is no nginx here");
        return;
    };
    let world = World::new([]).await;
    let mut daemon = world.daemon().await;
    let nginx = Nginx::before(&program, &daemon).await;
    for path in [
        "/",
        "/metrics",
        "/debug/timers",
        "/debug/events",
        "/openapi.json",
    ] {
        let answer = nginx.ask("GET", path, "", "").await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{path}: {answer}");
    }
    for path in ["/healthz", "/readyz"] {
        let answer = nginx.ask("GET", path, "", "").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    // Strangers, who to the daemon are all one peer.
    let strangers = (0..40).map(|n| {
        let nginx = &nginx;
        async move {
            if n % 2 == 0 {
                let body = format!("token=stranger-number-{n}");
                nginx.ask("POST", "/login", "", &body).await
            } else {
                let bearer = format!("authorization: Bearer stranger-number-{n}\r\n");
                nginx.ask("GET", "/debug/timers", &bearer, "").await
            }
        }
    });
    let refused = futures_util::future::join_all(strangers).await;
    let limited = refused.iter().filter(|a| a.starts_with("HTTP/1.1 429"));
    assert!(limited.count() >= 20, "{refused:?}");
    // The right one meanwhile, by header and by form, the way a browser does it over https.
    let bearer = format!("authorization: Bearer {}\r\n", crate::daemon::TOKEN);
    let answer = nginx.ask("GET", "/debug/timers", &bearer, "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let body = format!("token={}", crate::daemon::TOKEN);
    let browser = "sec-fetch-site: same-origin\r\norigin: https://page.example\r\n";
    let login = nginx.ask("POST", "/login", browser, &body).await;
    assert!(login.starts_with("HTTP/1.1 303"), "{login}");
    let cookie = login.lines().find_map(|l| l.strip_prefix("set-cookie: "));
    let cookie = format!("cookie: {}\r\n", cookie.unwrap().split(';').next().unwrap());
    let page = nginx.ask("GET", "/", &cookie, "").await;
    assert!(page.contains("<title>"), "{page}");

    daemon.says("wrong token").await;
    let (_, metrics) = daemon.get("/metrics").await.unwrap();
    assert!(
        metrics.contains("punctual_tokens_refused_total 40"),
        "{metrics}"
    );
    let said = daemon.stop().await;
    let lines = said.matches("wrong token").count();
    assert!(lines <= 10, "{lines} lines for 40 wrong tokens");
    assert!(said.contains("further wrong tokens"), "{said}");
    assert!(!said.contains("stranger-number"), "{said}");
}

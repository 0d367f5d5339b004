//! The rules that the compiler does not check: which module may import which, what the pure ones do not use, sizes
//! and words, and that it reads every file.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod app_schema;
mod orphans;
mod rules;
mod scripts;
mod sizes;
mod source;
mod statements;
mod words;

use std::path::Path;

use source::Source;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_sources_keep_the_rules() {
    let sources = Source::read_all(&root().join("src"));
    assert!(sources.len() > 10, "only {} files found", sources.len());
    let broken: Vec<String> = sources.iter().flat_map(rules::broken).collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// A rule about a module that no longer exists could never fail.
#[test]
fn the_rules_name_modules_that_exist() {
    for module in rules::named() {
        let src = root().join("src");
        let is_there = src.join(module).is_dir() || src.join(format!("{module}.rs")).is_file();
        assert!(is_there, "tests/house/rules.rs names {module}");
    }
}

#[test]
fn the_architecture_shows_every_module() {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let modules = Source::read_all(&root().join("src"))
        .into_iter()
        .filter_map(|source| source.module.into_iter().next());
    for module in modules {
        let shown = [format!("{module}/"), format!("{module}.rs")];
        assert!(
            shown.iter().any(|name| page.contains(name)),
            "ARCHITECTURE.md does not mention {module}"
        );
    }
}

#[test]
fn no_file_and_no_statement_is_too_long() {
    let broken = sizes::broken(root());
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    let long = format!("a\n    // {0}\n-- {0}\nf(\"{0}\");", "x".repeat(118));
    let found: Vec<usize> = sizes::long_comments(&long).collect();
    assert_eq!(found, [2, 3]);
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let mut broken = Vec::new();
    for (dir, ending, opening) in [
        ("src", "rs", "//! "),
        ("tests", "rs", "//! "),
        ("src", "sql", "-- "),
        ("triggers", "sql", "-- "),
    ] {
        let mut files = Vec::new();
        source::collect(&root().join(dir), ending, &mut files);
        files.retain(|path| !std::fs::read_to_string(path).unwrap().starts_with(opening));
        broken.extend(files.iter().map(|path| path.display().to_string()));
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_file_is_a_module() {
    let broken = orphans::broken(root());
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    let is_orphan = |file: &str| orphans::is_orphan(root(), &root().join(file));
    for named in [
        "src/proof/history/tests.rs",
        "src/policy/mod.rs",
        "tests/house/sizes.rs",
    ] {
        assert!(!is_orphan(named), "{named}");
    }
    for unnamed in [
        "src/proof/history/more.rs",
        "src/nowhere/mod.rs",
        "tests/house/none.rs",
    ] {
        assert!(is_orphan(unnamed), "{unnamed}");
    }
}

#[test]
fn sql_names_the_schema_of_the_app_in_the_two_ways_that_are_replaced() {
    let broken = app_schema::broken(root());
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    for replaced in [
        "select from public.messages",
        "'public.' || tab",
        "format('public.%I', tab)",
        "nspname = 'public' -- of schema public",
        "from publication, republic",
        "revoke execute on function f() from PUBLIC;",
    ] {
        assert!(!app_schema::names_it_otherwise(replaced), "{replaced}");
    }
    for stays in [
        "from public;",
        "schema public",
        "'public'::regnamespace",
        "app.public.x",
        "\"public\".x",
    ] {
        assert!(app_schema::names_it_otherwise(stays), "{stays}");
    }
}

#[test]
fn the_scripts_of_the_page_are_modules() {
    if !scripts::has_node() {
        println!("SKIPPED: Node.js is not installed");
        return;
    }
    let broken = scripts::broken(root());
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    assert_eq!(
        scripts::syntax_error("import { a } from './b.js'; a();"),
        None
    );
    let twice = "let paused = {}; function paused() {}";
    assert!(scripts::syntax_error(twice).is_some(), "{twice}");
}

#[test]
fn a_statement_ends_with_its_semicolon() {
    let check = |text: &str, expected: &[(usize, usize)]| {
        assert_eq!(sizes::statements(text), expected, "{text}");
    };
    check(
        "-- why\nselect 1\n  from t;\n\nselect 2;\n",
        &[(2, 2), (5, 1)],
    );
    check("select $1, $2\n  from t", &[(1, 2)]);
    check("select 1; -- one\nselect 2", &[(1, 1), (2, 1)]);
    check("do $$\nbegin;\nend;\n$$;\nselect 1;", &[(1, 4), (5, 1)]);
    check("as $f$\n a $$ b;\n$f$;\nx;", &[(1, 3), (4, 1)]);
}

#[test]
fn no_text_has_a_retired_word() {
    let broken = words::broken(root());
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// What a text at this path breaks, by a word of each complaint.
fn check(path: &str, text: &str, expected: &[&str]) {
    let source = Source::parse(Path::new(path), text);
    let broken = rules::broken(&source);
    assert_eq!(broken.len(), expected.len(), "{path}: {text}\n{broken:?}");
    for (complaint, word) in broken.iter().zip(expected) {
        assert!(
            complaint.contains(word),
            "{path}: {complaint:?}, not {word:?}"
        );
    }
}

#[test]
fn imports_go_one_way() {
    check("policy/mod.rs", "use crate::message::Claim;", &[]);
    check(
        "message/mod.rs",
        "use crate::policy::Verdict;",
        &["message may not use policy"],
    );
    check(
        "policy/mod.rs",
        "use crate::schedule::Wheel;",
        &["policy may not use schedule"],
    );
    check("reactor/mod.rs", "use crate::schedule::Wheel;", &[]);
    check(
        "reactor/mod.rs",
        "use crate::clock::Clock;",
        &["reactor may not use clock"],
    );
    check(
        "http/mod.rs",
        "use crate::{config::Config, message::Moment};",
        &["http may not use config"],
    );
    check(
        "http/mod.rs",
        "use crate::{message::{self, Moment}, daemon::{a, b}};",
        &["daemon"; 2],
    );
    check("daemon/mod.rs", "use crate::config::Config;", &[]);
    check(
        "config/mod.rs",
        "use crate::daemon::run;",
        &["config may not use daemon"],
    );
    check("listen/mod.rs", "use crate::store::connect;", &[]);
    check(
        "store/mod.rs",
        "use crate::listen::Change;",
        &["store may not use listen"],
    );
    // However it is written, wherever it stands.
    check(
        "message/ids.rs",
        "fn f() { crate::store::g() }",
        &["message may not use store"],
    );
    check(
        "message/ids.rs",
        "fn f() { select! { a => crate::store::g() } }",
        &["store"],
    );
    check("message/ids.rs", "use super::super::store::X;", &["store"]);
    check(
        "message/mod.rs",
        "mod a { use super::super::store::X; }",
        &["store"],
    );
    check("message/ids.rs", "use super::Claim;", &[]);
    check(
        "message/ids.rs",
        "//! [`crate::store`]\n// crate::store::x\nstruct A;",
        &[],
    );
    check(
        "clock.rs",
        "use crate::http::X;",
        &["clock may not use http"],
    );
    check("main.rs", "fn main() { punctual::cli::main() }", &[]);
    check("lib.rs", "pub use crate::daemon::run;", &[]);
    check("utils/mod.rs", "struct A;", &["utils has no place"]);
    check("http/mod.rs", "use crate::utils::a;", &["utils"]);
}

#[test]
fn the_pure_know_no_world() {
    for text in [
        "use tokio::sync::mpsc;",
        "fn f(c: &tokio_postgres::Client) {}",
        "use std::time::{Duration, Instant};",
        "use std::time::SystemTime;",
        "use axum::Json;",
        "fn f(t: Timer) { t.now(); }",
        "use std::fs;",
    ] {
        for module in ["message", "schedule", "policy", "reactor", "proof"] {
            check(&format!("{module}/x.rs"), text, &["pure"]);
        }
    }
    check("http/x.rs", "use tokio::time::Instant; use std::fs;", &[]);
    check("reactor/x.rs", "fn f(now: Now) -> Moment { now.db }", &[]);
    check("message/x.rs", "use std::time::Duration;", &[]);
}

#[test]
fn time_is_read_in_one_place() {
    check("daemon/x.rs", "fn f() { Instant::now(); }", &["clock"]);
    check(
        "daemon/x.rs",
        "fn f() { std::time::SystemTime::now() }",
        &["clock"],
    );
    check("daemon/x.rs", "fn f() { let read = Utc::now; }", &["clock"]);
    check("daemon/x.rs", "fn f(now: Now) { g(A { at: now }); }", &[]);
    check("clock/mod.rs", "fn f() { Instant::now() }", &[]);
    check("clock.rs", "fn f() { Instant::now() }", &[]);
    check("daemon/x.rs", "fn f(clock: &Clock) { clock.now() }", &[]);
}

#[test]
fn sql_stays_in_the_store() {
    for sql in [
        r#""select id from scheduled_messages""#,
        r#""SELECT clock_timestamp()""#,
        r#"" insert into t values (1)""#,
        r##"r#"update t set "a" = 1"#"##,
        r#""delete from t""#,
        r#""with a as (select 1) delete from b""#,
        r#""create unique index i on t (a)""#,
        r#""set local lock_timeout = '1s'""#,
        r#""begin""#,
        r#""notify punctual, 'x'""#,
    ] {
        let text = format!("fn f() {{ g({sql}); }}");
        check("daemon/x.rs", &text, &["SQL"]);
        check("demo/x.rs", &text, &["SQL"]);
        check("store/x.rs", &text, &[]);
    }
    let listen = r#"fn f() { g("listen punctual"); }"#;
    check("listen/x.rs", listen, &[]);
    check("daemon/x.rs", listen, &["SQL"]);
    let read = r#"fn f() { g("select 1 from t"); }"#;
    check("listen/x.rs", read, &["SQL"]);
    for prose in [
        "update the row by hand",
        "select a sender",
        "delete it",
        "cannot listen on",
        "create a project first",
        "set it to something long",
        "with a token as the header",
        "notify",
        "begin again",
    ] {
        check("daemon/x.rs", &format!("fn f() {{ g({prose:?}); }}"), &[]);
    }
    check(
        "daemon/x.rs",
        r#"#[error("select 1 from t")] struct A;"#,
        &[],
    );
}

#[test]
fn tasks_belong_to_the_daemon() {
    for text in [
        "fn f() { tokio::spawn(g()); }",
        "use tokio::{select, spawn};",
        "use tokio::task; fn f() { task::spawn(g()); }",
    ] {
        check("http/x.rs", text, &["daemon"]);
        check("daemon/x.rs", text, &[]);
    }
    check(
        "http/x.rs",
        "fn f() { set.spawn(g()); std::thread::spawn(h); }",
        &[],
    );
}

#[test]
fn a_providers_words_stay_with_it() {
    for text in [
        "use crate::provider::twilio::codes;",
        r#"fn f() { g("look it up in Twilio's log"); }"#,
        r#"fn f(s: &str) -> bool { s == "canceled" }"#,
        "fn f(code: i32) -> bool { code == 21610 }",
        r#"fn f() { g("error_code in (21610, 30004)"); }"#,
        r#"fn f() { g("a messaging service"); }"#,
        r#"fn f() { g("MG[0-9a-fA-F]{32}"); }"#,
    ] {
        check("receipt/x.rs", text, &["Twilio's word"]);
        check("provider/twilio/x.rs", text, &[]);
    }
    check(
        "proof/x.rs",
        "// Twilio says 21610\nfn f() { g(20_000); }",
        &[],
    );
    check(
        "store/x.rs",
        r#"fn f(r: &Row) { r.get("twilio_sid"); }"#,
        &[],
    );
    check(
        "policy/x.rs",
        r#"fn f() { g("set TWILIO_SMS_FROM_NUMBER"); }"#,
        &[],
    );
    assert!(rules::provider_words_of_sql("-- Twilio\nselect m.twilio_sid").is_empty());
    assert_eq!(rules::provider_words_of_sql("in ('canceled')").len(), 1);
    assert_eq!(
        rules::provider_words_of_sql("and m.code in (21610)").len(),
        1
    );
    assert!(rules::provider_words_of_sql("using errcode = '22023'").is_empty());
    let mut statements = Vec::new();
    for below in ["src", "triggers"] {
        source::collect(&root().join(below), "sql", &mut statements);
    }
    assert!(statements.len() > 50, "only {} found", statements.len());
    for path in statements {
        let text = std::fs::read_to_string(&path).unwrap();
        let words = rules::provider_words_of_sql(&text);
        assert!(words.is_empty(), "{}: {words:?}", path.display());
    }
}

#[test]
fn tests_may_do_what_they_need() {
    let wild =
        "use crate::store::X; fn f() { tokio::spawn(Instant::now()); g(\"delete from t\"); }";
    check(
        "message/x.rs",
        &format!("#[cfg(test)] mod tests {{ {wild} }}"),
        &[],
    );
    check(
        "message/x.rs",
        &format!("#[cfg(all(test, unix))] mod t {{ {wild} }}"),
        &[],
    );
    let outside = format!("#[cfg(test)] mod tests {{}} {wild}");
    check(
        "schedule/x.rs",
        &outside,
        &["store", "pure", "pure", "clock", "SQL", "daemon"],
    );
    let not = "#[cfg(not(test))] mod a { use crate::store::X; }";
    check("schedule/x.rs", not, &["store"]);
}

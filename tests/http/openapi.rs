//! The document at `/openapi.json` is made from the routes; it is valid, and says what they answer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use punctual::limits::HttpLimits;
use punctual::message::{Category, MessageId};
use punctual::reactor::events::{EventKind, Late, MessageEvent};
use punctual::reactor::report::Missing;
use serde_json::{Value, json};

use crate::server::{Reactor, Response, Server, at, id, impatient};

pub(crate) async fn document() -> Value {
    let answer = Server::ready().await.get("/openapi.json").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

/// Follows a `$ref`, if it is one.
fn resolve<'a>(document: &'a Value, at: &'a Value) -> &'a Value {
    match at.get("$ref").and_then(Value::as_str) {
        Some(path) => document.pointer(&path[1..]).expect(path),
        None => at,
    }
}

/// Checks a value against a schema of the document.
fn validate(document: &Value, schema: &Value, value: &Value) {
    let whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "components": document["components"],
        "allOf": [schema],
    });
    let validator = jsonschema::validator_for(&whole).unwrap();
    let wrong: Vec<String> = validator
        .iter_errors(value)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}\n{value:#}");
}

/// Checks that an answer is one of those that the document has for it.
pub(crate) fn check(document: &Value, path: &str, method: &str, answer: &Response) {
    let what = format!("{method} {path} → {}", answer.status);
    let operation = &document["paths"][path][method];
    let response = &operation["responses"][answer.status.to_string()];
    assert!(
        response.is_object(),
        "{what} is not in the document: {answer:?}"
    );
    let response = resolve(document, response);
    let kind = answer
        .head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "))
        .map(|kind| kind.split(';').next().unwrap_or(kind));
    match (kind, response.get("content")) {
        (None, None) => {}
        (Some(kind), Some(content)) => {
            let schema = &content[kind]["schema"];
            assert!(schema.is_object(), "{what} is {kind}: {answer:?}");
            if kind == "application/json" {
                let value = serde_json::from_str(&answer.body).unwrap();
                validate(document, schema, &value);
            }
        }
        (Some(kind), None) => assert!(answer.body.is_empty(), "{what} has a body of {kind}"),
        (None, Some(_)) => panic!("{what} has no content: {answer:?}"),
    }
    for (header, of) in response["headers"].as_object().into_iter().flatten() {
        if of["required"] == false {
            continue;
        }
        assert!(
            answer.head.contains(&format!("\r\n{header}: ")),
            "{what} has no {header}: {answer:?}"
        );
    }
}

struct Case {
    path: &'static str,
    method: &'static str,
    target: &'static str,
    headers: &'static [&'static str],
    body: &'static str,
    status: u16,
}

const BARE: &[&str] = &["Host: localhost"];
const RIGHT: &[&str] = &[
    "Host: localhost",
    "Authorization: Bearer s3cret-of-the-tests",
];
const WRONG: &[&str] = &["Host: localhost", "Authorization: Bearer wrong"];
const BROWSER: &[&str] = &["Host: localhost", "Accept: text/html"];
const FOREIGN: &[&str] = &["Host: localhost", "Origin: https://evil.example"];

const fn get(path: &'static str, headers: &'static [&'static str], status: u16) -> Case {
    Case {
        path,
        method: "get",
        target: path,
        headers,
        body: "",
        status,
    }
}

const fn at_target(target: &'static str, case: &Case) -> Case {
    Case { target, ..*case }
}

const fn post(
    path: &'static str,
    headers: &'static [&'static str],
    body: &'static str,
    status: u16,
) -> Case {
    Case {
        path,
        method: "post",
        target: path,
        headers,
        body,
        status,
    }
}

const CAMPAIGN: &str = "/campaigns/00000000-0000-0000-0000-000000000001";
const PAGE: &str = "/messages/00000000-0000-0000-0000-000000000001";
const MESSAGE: &str = "/debug/messages/00000000-0000-0000-0000-000000000001";

const OPERATOR: &[&str] = &[
    "Host: localhost",
    "Authorization: Bearer s3cret-of-the-operator",
];

/// Each with the token to look, with none, with parameters that cannot be used, and without a database.
const ACTS: &[(&str, &str, &str)] = &[
    ("/api/messages/cancel", "?user=x", "?status=pending"),
    (
        "/api/messages/reschedule",
        "?status=pending",
        "?status=pending&later=1m",
    ),
    (
        "/api/messages/retry",
        "?status=failed&at=x",
        "?status=failed",
    ),
    (
        "/api/messages/resolve",
        "?status=unconfirmed",
        "?status=unconfirmed&decision=cancel",
    ),
    ("/api/messages/{id}/cancel", "?at=x", ""),
    ("/api/messages/{id}/reschedule", "", "?earlier=1m"),
    ("/api/messages/{id}/retry", "?sid=x", ""),
    (
        "/api/messages/{id}/resolve",
        "?decision=lost",
        "?decision=resend",
    ),
    ("/api/pause", "?user=", ""),
    ("/api/resume", "?confirm=x", ""),
    ("/api/campaigns/{campaign}/approve", "?rows=0", "?rows=1-3"),
    ("/api/campaigns/{campaign}/reject", "?status=REJ", ""),
    ("/api/campaigns/{campaign}/cancel", "?confirm=x", ""),
];

/// One after the other: the wrong tokens are ten, and the next is one too many.
const CASES: &[Case] = &[
    get("/", RIGHT, 200),
    get("/", BROWSER, 303),
    get("/", BARE, 401),
    get("/", WRONG, 401),
    at_target(PAGE, &get("/messages/{id}", RIGHT, 200)),
    at_target(PAGE, &get("/messages/{id}", BROWSER, 303)),
    at_target(PAGE, &get("/messages/{id}", BARE, 401)),
    at_target("/messages/x", &get("/messages/{id}", RIGHT, 400)),
    get("/campaigns", RIGHT, 200),
    get("/campaigns", BROWSER, 303),
    get("/campaigns", BARE, 401),
    at_target(CAMPAIGN, &get("/campaigns/{id}", RIGHT, 200)),
    at_target(CAMPAIGN, &get("/campaigns/{id}", BROWSER, 303)),
    at_target(CAMPAIGN, &get("/campaigns/{id}", BARE, 401)),
    at_target("/campaigns/x", &get("/campaigns/{id}", RIGHT, 400)),
    get("/api/campaigns", RIGHT, 404),
    get("/api/campaigns", BARE, 401),
    get("/api/instances", RIGHT, 404),
    get("/api/instances", BARE, 401),
    get("/api/messages", RIGHT, 404),
    get("/api/messages", BARE, 401),
    at_target(
        "/api/messages?status=done",
        &get("/api/messages", RIGHT, 400),
    ),
    at_target("/api/messages?limit=0", &get("/api/messages", RIGHT, 400)),
    get("/api/pauses", RIGHT, 404),
    get("/api/pauses", BARE, 401),
    at_target("/api/pauses?x=1", &get("/api/pauses", RIGHT, 400)),
    get("/api/stats", RIGHT, 404),
    get("/api/stats", BARE, 401),
    at_target("/api/stats?by=week", &get("/api/stats", RIGHT, 400)),
    at_target("/api/messages/0123", &get("/api/messages/{id}", RIGHT, 404)),
    at_target("/api/messages/0123", &get("/api/messages/{id}", BARE, 401)),
    at_target("/api/messages/x", &get("/api/messages/{id}", RIGHT, 400)),
    get("/login", BARE, 200),
    at_target(
        "/login?token=s3cret-of-the-tests",
        &get("/login", BARE, 303),
    ),
    at_target("/login?token=wrong", &get("/login", BARE, 401)),
    post("/login", BARE, "token=wrong", 401),
    post("/login", BARE, "token=s3cret-of-the-tests", 303),
    post("/login", FOREIGN, "token=s3cret-of-the-tests", 403),
    post("/logout", FOREIGN, "", 403),
    post("/logout", BARE, "", 303),
    at_target("/assets/page.css", &get("/assets/{name}", BARE, 200)),
    at_target("/assets/page.js", &get("/assets/{name}", BARE, 200)),
    at_target("/assets/mark.svg", &get("/assets/{name}", BARE, 200)),
    at_target("/assets/none", &get("/assets/{name}", BARE, 404)),
    get("/healthz", BARE, 200),
    get("/readyz", BARE, 200),
    get("/metrics", RIGHT, 200),
    get("/metrics", BARE, 401),
    get("/metrics", WRONG, 401),
    get("/openapi.json", RIGHT, 200),
    get("/openapi.json", BARE, 401),
    get("/openapi.json", WRONG, 401),
    get("/debug/timers", RIGHT, 200),
    at_target("/debug/timers?limit=x", &get("/debug/timers", RIGHT, 400)),
    get("/debug/timers", BARE, 401),
    get("/debug/timers", WRONG, 401),
    at_target("/debug/events?x=1", &get("/debug/events", RIGHT, 400)),
    get("/debug/events", BARE, 401),
    get("/debug/events", WRONG, 401),
    at_target(MESSAGE, &get("/debug/messages/{id}", RIGHT, 404)),
    at_target(MESSAGE, &get("/debug/messages/{id}", BARE, 401)),
    at_target(MESSAGE, &get("/debug/messages/{id}", WRONG, 401)),
    at_target(
        "/debug/messages/x",
        &get("/debug/messages/{id}", RIGHT, 400),
    ),
    post("/login", BARE, "token=wrong", 401),
    post("/login", BARE, "token=again", 401),
    post("/login", BARE, "token=wrong", 429),
    at_target("/login?token=wrong", &get("/login", BARE, 429)),
    get("/", WRONG, 429),
    get("/metrics", WRONG, 429),
    get("/openapi.json", WRONG, 429),
    get("/debug/timers", WRONG, 429),
    get("/debug/events", WRONG, 429),
    at_target(MESSAGE, &get("/debug/messages/{id}", WRONG, 429)),
    // Nobody's wrong ones keep the right one out.
    get("/debug/timers", RIGHT, 200),
    post("/login", BARE, "token=s3cret-of-the-tests", 303),
];

async fn run(document: &Value, server: &Server, case: &Case) {
    let length = format!("Content-Length: {}", case.body.len());
    let mut headers = case.headers.to_vec();
    if case.method == "post" {
        headers.push("Content-Type: application/x-www-form-urlencoded");
        headers.push(&length);
    }
    let raw = format!(
        "{} {} HTTP/1.1\r\nConnection: close\r\n{}\r\n\r\n{}",
        case.method.to_uppercase(),
        case.target,
        headers.join("\r\n"),
        case.body
    );
    let answer = server.send_raw(&raw).await;
    let what = format!("{} {}", case.method, case.target);
    assert_eq!(answer.status, case.status, "{what}: {answer:?}");
    check(document, case.path, case.method, &answer);
}

#[tokio::test]
async fn every_answer_is_as_the_document_says() {
    let document = document().await;
    let server = Server::ready().await;
    for case in CASES {
        run(&document, &server, case).await;
    }
    for (path, bad, good) in ACTS {
        for (headers, query, status) in [
            (BARE, good, 401),
            (RIGHT, good, 403),
            (OPERATOR, bad, 400),
            (OPERATOR, good, 404),
        ] {
            let target = named(path) + query;
            let raw = format!(
                "POST {target} HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n{}\r\n\r\n",
                headers.join("\r\n")
            );
            let answer = server.send_raw(&raw).await;
            assert_eq!(answer.status, status, "{target}: {answer:?}");
            check(&document, path, "post", &answer);
        }
    }
    let missing = vec![Missing::Window];
    let unready = Server::start(Reactor::Answers(missing), HttpLimits::default()).await;
    run(&document, &unready, &get("/readyz", BARE, 503)).await;
    let hangs = Server::start(Reactor::Hangs, impatient()).await;
    for path in ["/", "/readyz", "/debug/timers"] {
        run(&document, &hangs, &get(path, RIGHT, 503)).await;
    }
}

#[tokio::test]
async fn events_are_as_the_document_says() {
    let document = document().await;
    let schema = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let kinds = &document["components"]["schemas"]["EventKind"]["enum"];
    let all: Vec<_> = EventKind::ALL.iter().map(|what| what.as_str()).collect();
    assert_eq!(*kinds, json!(all));
    for what in EventKind::ALL {
        let event = MessageEvent {
            due_at: Some(at(1)),
            was_due_at: Some(at(2)),
            late: Some(Late::default()),
            attempt: Some(1),
            status: Some("delivered"),
            category: Some(Category::ALL[0].as_str()),
            code: Some(30_007),
            ..MessageEvent::new(at(0), MessageId(id(1)), what)
        };
        for event in [event, MessageEvent::new(at(0), MessageId(id(1)), what)] {
            let value = serde_json::to_value(event).unwrap();
            validate(&document, &schema("Event"), &value);
        }
    }
    let server = Server::ready().await;
    let said = crate::events::burst_and_state(&server).await;
    let mut seen = BTreeSet::new();
    for message in said.split("\n\n") {
        let mut lines = message.lines().skip_while(|l| !l.starts_with("event: "));
        let (Some(event), Some(data)) = (lines.next(), lines.next()) else {
            continue;
        };
        let name = match &event[7..] {
            "state" => "State",
            "more" => "More",
            _ => "Event",
        };
        seen.insert(name);
        let value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        validate(&document, &schema(name), &value);
    }
    assert_eq!(seen, BTreeSet::from(["Event", "More", "State"]));
}

/// By the official schema of the format (its licence: Apache-2.0).
#[tokio::test]
async fn the_document_is_valid() {
    let official = include_str!("openapi-3.1.schema.json");
    let official = serde_json::from_str(official).unwrap();
    let validator = jsonschema::validator_for(&official).unwrap();
    let document = document().await;
    let wrong: Vec<String> = validator
        .iter_errors(&document)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    // Each `$ref` leads somewhere, and each operation has a name of its own.
    let mut names = BTreeSet::new();
    let mut values = vec![&document];
    while let Some(value) = values.pop() {
        resolve(&document, value);
        values.extend(value.as_object().into_iter().flat_map(|of| of.values()));
        values.extend(value.as_array().into_iter().flatten());
        if let Some(name) = value.get("operationId").and_then(Value::as_str) {
            assert!(names.insert(name), "{name}");
        }
    }
    assert!(names.len() > 28, "{names:?}");
}

/// A route is registered with its description, and in no other way; the callbacks' paths depend on the accounts.
#[tokio::test]
async fn the_document_has_every_route() {
    let document = document().await;
    let callbacks = [
        punctual::provider::twilio::callback::status_path(None),
        punctual::provider::twilio::callback::inbound_path(None),
    ];
    for path in callbacks {
        assert!(document["paths"][&path]["post"].is_object(), "{path}");
    }
    for path in sources("src/http") {
        // The latter is how all are registered.
        if path.ends_with("callbacks.rs") || path.ends_with("described.rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        assert!(
            !source.contains(".route("),
            "{} has a bare route",
            path.display()
        );
    }
}

/// The sources below this directory.
fn sources(below: &str) -> Vec<PathBuf> {
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(below)];
    let mut sources = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|of| of == "rs") {
                sources.push(path);
            }
        }
    }
    sources
}

/// Paths that take any query: pages, whose scripts read it, files and checks of programs that add their own, links that
/// mail programs and apps add theirs to, callbacks.
const ANY_QUERY: [&str; 12] = [
    "/",
    "/messages/{id}",
    "/campaigns",
    "/campaigns/{id}",
    "/assets/{name}",
    "/login",
    "/logout",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/l/{code}",
];

/// Every operation of the document: path, method and what is said of it.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let mut all = Vec::new();
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            all.push((path.as_str(), method.as_str(), operation));
        }
    }
    all
}

/// The query parameters of an operation, by their names.
fn parameters(operation: &Value) -> Vec<(&str, &Value)> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    let of_query = all.filter(|of| of["in"] == "query");
    of_query
        .map(|of| (of["name"].as_str().unwrap(), of))
        .collect()
}

/// A path with something in each place that it names.
fn named(path: &str) -> String {
    path.replace("{id}", "00000000-0000-0000-0000-000000000001")
        .replace("{campaign}", "spring")
        .replace("{position}", "1")
}

/// A request with this query, by the operator.
async fn asked(server: &Server, path: &str, method: &str, query: &str) -> Response {
    let path = named(path);
    let line = format!("{} {path}?{query}", method.to_uppercase());
    let token = "Authorization: Bearer s3cret-of-the-operator";
    let headers = ["Host: localhost", "Content-Length: 0", token];
    server.send_bare(&line, &headers).await
}

/// An unknown parameter is refused with those that are known: they are those of the document.
#[tokio::test]
async fn the_document_has_every_parameter() {
    let document = document().await;
    let server = Server::ready().await;
    let mut checked = 0;
    for (path, method, operation) in operations(&document) {
        if ANY_QUERY.contains(&path) || path.starts_with("/webhooks/") {
            continue;
        }
        let what = format!("{method} {path}");
        let answer = asked(&server, path, method, "unknown=1").await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        check(&document, path, method, &answer);
        let error = match serde_json::from_str::<Value>(&answer.body) {
            Ok(answer) => answer["error"].as_str().unwrap().to_owned(),
            Err(_) => answer.body.clone(),
        };
        assert!(error.contains("unknown parameter"), "{what}: {error}");
        let known = error
            .split_once("known are ")
            .map_or("", |(_, known)| known);
        let known: BTreeSet<&str> = known
            .split([',', ' ', '\n'])
            .filter(|name| !name.is_empty())
            .collect();
        let documented: BTreeSet<&str> = parameters(operation)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(documented, known, "{what}");
        checked += 1;
    }
    assert!(checked > 17, "{checked}");
}

/// A parameter that is one of a list takes all of these, and nothing else.
#[tokio::test]
async fn the_document_lists_what_a_parameter_may_be() {
    let document = document().await;
    let server = Server::ready().await;
    let mut checked = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        for (name, of) in parameters(operation) {
            let Some(choices) = of["schema"]["enum"].as_array() else {
                continue;
            };
            let filter = match path {
                "/api/messages/resolve" => "status=unconfirmed&",
                _ => "",
            };
            let choices = choices.iter().map(|one| one.as_str().unwrap());
            for (value, is_known) in choices.map(|one| (one, true)).chain([("other", false)]) {
                let answer = asked(&server, path, method, &format!("{filter}{name}={value}")).await;
                assert_eq!(
                    answer.status == 400,
                    !is_known,
                    "{path} {name}={value}: {answer:?}"
                );
            }
            checked.insert((path, name));
        }
    }
    let expected = [
        ("/api/messages/resolve", "decision"),
        ("/api/messages/{id}/resolve", "decision"),
        ("/api/stats", "by"),
    ];
    assert_eq!(checked, BTreeSet::from(expected));
}

/// What may be null is always there, and what may be left out is never null.
#[tokio::test]
async fn the_document_requires_what_may_be_null() {
    let document = document().await;
    let mut fields = 0;
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let parts = schema["allOf"].as_array().into_iter().flatten();
        for part in parts.chain([schema]) {
            let required: Vec<&str> = part["required"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|name| name.as_str().unwrap())
                .collect();
            for (field, of) in part["properties"].as_object().into_iter().flatten() {
                let may_be_null = of.to_string().contains(r#""null""#);
                assert!(
                    !may_be_null || required.contains(&field.as_str()),
                    "{name} {field}: {of}"
                );
                fields += usize::from(may_be_null);
            }
        }
    }
    assert!(fields > 70, "{fields}");
    // And in the sources, where a field is left out if there is none.
    let mut left_out = 0;
    for path in sources("src") {
        let source = std::fs::read_to_string(&path).unwrap();
        if !source.contains("ToSchema") {
            continue;
        }
        for (n, _) in source.match_indices(r#"skip_serializing_if = "Option::is_none""#) {
            let line = source[..n]
                .rfind('\n')
                .map_or("", |start| &source[start..n]);
            if line.contains("flatten") {
                continue;
            }
            let (until, _) = source[n..].split_once(": Option<").unwrap();
            assert!(
                until.contains("nullable = false"),
                "{}: {until}",
                path.display()
            );
            left_out += 1;
        }
    }
    assert!(left_out > 20, "{left_out}");
}

/// Answers that a route never gives are not in its description.
#[tokio::test]
async fn the_document_has_no_answer_that_does_not_exist() {
    let document = document().await;
    let responses = |path: &str, method: &str| document["paths"][path][method]["responses"].clone();
    assert!(responses("/api/pause", "post")["409"].is_null());
    assert!(responses("/api/resume", "post")["409"].is_object());
    for (path, method) in [
        ("/api/messages", "get"),
        ("/api/stats", "get"),
        ("/api/pauses", "get"),
        ("/api/instances", "get"),
        ("/api/pause", "post"),
        ("/api/messages/cancel", "post"),
    ] {
        let responses = responses(path, method);
        assert_eq!(
            responses["404"]["description"], "The daemon has no database.",
            "{path}"
        );
    }
    assert_eq!(
        document["paths"]["/openapi.json"]["get"]["operationId"],
        "openapi"
    );
}

//! Acts by HTTP on a real Postgres: who may, what they change and record, and that work ends also where its request
//! does not.

use std::time::Duration;

use punctual::limits::HttpLimits;
use punctual::message::{Capabilities, InstanceId, ProviderCapabilities};
use punctual::policy::Rules;
use punctual::store::Store;
use punctual::store::forecast::Assumed;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::openapi::{self, check};
use crate::rows::{World, one, run};
use crate::server::{OPERATOR_TOKEN, Reactor, Response, Server, TOKEN};

/// A database, and a store whose sessions wait for a lock as long as a test has it.
pub(crate) async fn patient_store() -> (World, Store) {
    let world = World::new().await;
    let pool = world.db.dsn().pool(2);
    {
        let clients = [pool.get().await.unwrap(), pool.get().await.unwrap()];
        for client in &clients {
            run(client, "set lock_timeout = 0").await;
        }
    }
    (world, Store::new(pool, InstanceId::fresh()))
}

/// What forecasts assume.
pub(crate) fn assumed() -> Assumed {
    Assumed {
        rules: Rules::default(),
        capabilities: ProviderCapabilities::texts(Capabilities::SENDS_ONLY),
        provider: Capabilities::SENDS_ONLY,
    }
}

/// A database, and a server beside it.
pub(crate) struct Acts {
    pub(crate) world: World,
    store: Store,
    pub(crate) server: Server,
    pub(crate) document: Value,
}

impl Acts {
    async fn new(limits: HttpLimits) -> Self {
        let (world, store) = patient_store().await;
        let own = store.clone();
        let server = Server::start_with(Reactor::Answers(vec![]), limits, |state| {
            state.with_stories(own, assumed())
        });
        Self {
            world,
            store,
            server: server.await,
            document: openapi::document().await,
        }
    }

    /// As long as it takes.
    pub(crate) async fn patient() -> Self {
        Self::new(HttpLimits {
            request: Duration::from_secs(300),
            work: Duration::from_secs(300),
            ..HttpLimits::default()
        })
        .await
    }

    pub(crate) async fn post(&self, target: &str, headers: &[&str]) -> Response {
        let line = format!("POST {target}");
        let headers = [headers, &["Host: page.example", "Content-Length: 0"]].concat();
        let answer = self.server.send_bare(&line, &headers).await;
        check(&self.document, &route(target), "post", &answer);
        answer
    }

    /// With the operator's token: the status and the body.
    pub(crate) async fn act(&self, target: &str) -> (u16, Value) {
        let token = format!("Authorization: Bearer {OPERATOR_TOKEN}");
        let answer = self.post(target, &[&token]).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }

    pub(crate) async fn refused(&self, target: &str, status: u16, why: &str) {
        let (code, body) = self.act(target).await;
        assert_eq!(code, status, "{target}: {body}");
        let error = body["error"].as_str().unwrap();
        assert!(error.contains(why), "{target}: {error}");
    }

    /// The cookie of a login with this token.
    pub(crate) async fn cookie(&self, token: &str) -> String {
        let target = format!("GET /login?token={token}");
        let answer = self
            .server
            .send_bare(&target, &["Host: page.example"])
            .await;
        let mut lines = answer.head.lines();
        let set = lines.find_map(|line| line.strip_prefix("set-cookie: "));
        format!("Cookie: {}", set.unwrap().split(';').next().unwrap())
    }
}

/// The path of the document that a target is of.
pub(crate) fn route(target: &str) -> String {
    let path = target.split('?').next().unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["", "api", "messages", _, verb] => format!("/api/messages/{{id}}/{verb}"),
        ["", "api", "campaigns", _] => "/api/campaigns/{campaign}".to_owned(),
        ["", "api", "campaigns", _, what] => format!("/api/campaigns/{{campaign}}/{what}"),
        ["", "api", "campaigns", _, "messages", _, verb] => {
            format!("/api/campaigns/{{campaign}}/messages/{{position}}/{verb}")
        }
        _ => path.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_operator_acts_and_with_a_cookie_only_the_page() {
    let acts = Acts::patient().await;
    let ids = acts.world.rows(3, "pending").await;
    let cancel = format!("/api/messages/{}/cancel", ids[0]);
    let (look, act) = (acts.cookie(TOKEN).await, acts.cookie(OPERATOR_TOKEN).await);
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    let (own, from) = ("Punctual-Act: 1", "Origin: https://page.example");
    for (headers, status) in [
        (vec![], 401),
        (vec![bearer("wrong")], 401),
        (vec![bearer(TOKEN)], 403),
        (
            vec![bearer(TOKEN), act.clone(), own.into(), from.into()],
            403,
        ),
        (vec![look, own.into(), from.into()], 403),
        // A form or a link of another site sends the cookie too, but not all of the others.
        (vec![act.clone()], 403),
        (vec![act.clone(), own.into()], 403),
        (vec![act.clone(), from.into()], 403),
        (
            vec![
                act.clone(),
                own.into(),
                "Origin: https://evil.example".into(),
            ],
            403,
        ),
        (vec![act.clone(), own.into(), "Origin: null".into()], 403),
        (
            vec![
                act.clone(),
                own.into(),
                from.into(),
                "Sec-Fetch-Site: cross-site".into(),
            ],
            403,
        ),
        (
            vec![
                act.clone(),
                own.into(),
                from.into(),
                "Sec-Fetch-Site: same-site".into(),
            ],
            403,
        ),
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        for target in [
            &*cancel,
            "/api/messages/cancel?status=pending&confirm=3",
            "/api/pause",
        ] {
            let answer = acts.post(target, &headers).await;
            assert_eq!(answer.status, status, "{target} {headers:?}: {answer:?}");
            assert!(
                answer.body.contains("token"),
                "it does not say what to do: {answer:?}"
            );
        }
    }
    assert_eq!(acts.world.tally().await, "pending 3");
    let paused = "select count(*) from punctual.pauses";
    assert_eq!(one::<i64>(&acts.world.unseen, paused).await, 0);

    let body = acts
        .server
        .send_bare(
            &format!("POST {cancel}"),
            &[
                "Host: a",
                &bearer(OPERATOR_TOKEN),
                "Content-Length: 1",
                "",
                "x",
            ],
        )
        .await;
    assert_eq!(body.status, 400, "a body would have no effect: {body:?}");

    // The page, a program, and this user without any token.
    let page = [&*act, own, "Sec-Fetch-Site: same-origin"];
    assert_eq!(acts.post(&cancel, &page).await.status, 200);
    let cancel = format!("/api/messages/{}/cancel", ids[1]);
    assert_eq!(
        acts.post(&cancel, &[&bearer(OPERATOR_TOKEN)]).await.status,
        200
    );
    let line = format!("POST /api/messages/{}/cancel", ids[2]);
    let by_socket = acts
        .server
        .send_by_socket(&line, &["Content-Length: 0"])
        .await;
    assert_eq!(by_socket.status, 200, "{by_socket:?}");
    assert_eq!(acts.world.tally().await, "cancelled 3");
    for (id, by) in [
        (ids[0], "cancelled by an operator, from 127.0.0.1"),
        (ids[1], "cancelled by an operator, from 127.0.0.1"),
        (ids[2], "cancelled by an operator, by the socket"),
    ] {
        assert_eq!(acts.world.get::<String>(id, "cancel_reason").await, by);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_act_on_one_message_does_what_the_command_does_and_records_who() {
    let acts = Acts::patient().await;
    let world = &acts.world;
    let recorded = async |id: Uuid| {
        let sql = format!(
            "select concat_ws(' ', max(actor), jsonb_agg(old order by id)::text, jsonb_agg(new order by id)::text)
               from punctual.history where message_id = '{id}'"
        );
        one::<String>(&world.unseen, &sql).await
    };
    let id = world.row("pending").await;
    let (code, body) = acts.act(&format!("/api/messages/{id}/cancel?by=Ada")).await;
    let done = json!({"id": id, "status": "cancelled", "changed": true, "by": "Ada"});
    assert_eq!((code, body), (200, done));
    let said = recorded(id).await;
    for part in [r#"Ada [{"status": "pending""#, r#"[{"status": "cancelled""#] {
        assert!(said.contains(part), "{said}");
    }
    let (code, body) = acts.act(&format!("/api/messages/{id}/cancel")).await;
    assert_eq!((code, &body["changed"]), (200, &json!(false)), "{body}");

    // By the beginning of its id, to a time.
    let id = world.row("pending").await;
    let name = &id.to_string()[..13];
    let at = "2099-01-01T10:00:00%2B01:00";
    let (code, body) = acts
        .act(&format!("/api/messages/{name}/reschedule?at={at}&by=Ada"))
        .await;
    assert_eq!((code, &body["status"]), (200, &json!("pending")), "{body}");
    let due = "to_char(scheduled_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI')";
    assert_eq!(world.get::<String>(id, due).await, "2099-01-01 09:00");
    assert!(recorded(id).await.contains("2099-01-01T09:00:00+00:00"));
    let (code, _) = acts
        .act(&format!("/api/messages/{id}/reschedule?earlier=1h 30m").replace(' ', "%20"))
        .await;
    assert_eq!(code, 200);
    assert_eq!(world.get::<String>(id, due).await, "2099-01-01 07:30");
    let past = format!("/api/messages/{id}/reschedule?at=2020-01-01T00:00:00Z");
    acts.refused(&past, 400, "past_ok=1").await;
    let (code, _) = acts.act(&format!("{past}&past_ok=1")).await;
    assert_eq!(
        (code, &*world.get::<String>(id, due).await),
        (200, "2020-01-01 00:00")
    );

    let failed = world.row("failed").await;
    let retry = format!("/api/messages/{failed}/retry?at=2020-01-01T00:00:00Z");
    assert_eq!(acts.act(&retry).await.0, 200);
    let now: bool = world
        .get(
            failed,
            "status = 'pending' and scheduled_at > now() - interval '1 min'",
        )
        .await;
    assert!(now, "a time that has passed means now");
    acts.refused(&retry, 409, "is pending").await;

    let uncertain = world.row("unconfirmed").await;
    acts.refused(
        &format!("/api/messages/{uncertain}/cancel"),
        409,
        "resolve it",
    )
    .await;
    let sent = format!("/api/messages/{uncertain}/resolve?decision=sent&by=Ada");
    assert_eq!(acts.act(&sent).await.0, 200);
    assert_eq!(world.status(uncertain).await, "sent");
    acts.refused(&sent, 409, "nothing to resolve").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_says_why() {
    let acts = Acts::patient().await;
    let world = &acts.world;
    let id = world.row("pending").await;
    world.row("pending").await;
    let nobody = Uuid::nil();
    for (target, status, why) in [
        (format!("{nobody}/cancel"), 404, "no message"),
        ("ffffffff/cancel".into(), 404, "no message"),
        ("x/cancel".into(), 400, "named by its id"),
        ("%2B13105550100/cancel".into(), 409, "several messages"),
        (
            format!("{id}/cancel?status=pending"),
            400,
            "unknown parameter",
        ),
        (
            format!("{id}/cancel?at=x"),
            400,
            "not a parameter of cancel",
        ),
        (format!("{id}/cancel?confirm=1"), 400, "leave it out"),
        (format!("{id}/reschedule"), 400, "one of at"),
        (format!("{id}/reschedule?at=soon"), 400, "must be a time"),
        (format!("{id}/reschedule?later=soon"), 400, "a duration"),
        (
            format!("{id}/resolve?decision=sent&sid=x"),
            400,
            "the id that the provider gave",
        ),
    ] {
        let target = format!("/api/messages/{target}");
        acts.refused(&target, status, why).await;
    }
    // The app's own trigger refuses a change: its words may quote the row.
    let refuses = "create function refuses() returns trigger language plpgsql as
                     'begin raise exception ''no % %'', new.to_number, new.body; end';
                   create trigger refuses before update on scheduled_messages for each row execute function refuses()";
    run(&world.unseen, refuses).await;
    let (code, body) = acts.act(&format!("/api/messages/{id}/cancel")).await;
    let text = body.to_string();
    assert!(
        code == 409 && text.contains("P0001") && !text.contains("+1310"),
        "{code} {body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_of_a_filter_are_cancelled_by_one_confirmed_act_with_history() {
    let acts = Acts::patient().await;
    let sql = "insert into scheduled_messages (to_number, body, scheduled_at, user_id)
               select '+13105550100', 'x', now() + interval '1 hour' + (i / 100) * interval '1 ms',
                      '00000000-0000-0000-0000-00000000000a'
                 from generate_series(1, 10000) i;
               insert into scheduled_messages (to_number, body, scheduled_at)
               select '+13105550100', 'other', now() + interval '1 hour' from generate_series(1, 10)";
    run(&acts.world.unseen, sql).await;
    let target = "/api/messages/cancel?user=00000000-0000-0000-0000-00000000000a&by=Ada";
    let (code, body) = acts.act(target).await;
    assert_eq!(
        (code, &body["messages"], &body["is_done"]),
        (200, &json!(10_000), &json!(false))
    );
    assert!(
        body["detail"].as_str().unwrap().contains("confirm=10000"),
        "{body}"
    );
    let (code, body) = acts.act(&format!("{target}&confirm=9999")).await;
    assert_eq!((code, &body["messages"]), (409, &json!(10_000)), "{body}");
    assert_eq!(acts.world.tally().await, "pending 10010");
    let (code, body) = acts.act(&format!("{target}&confirm=10000")).await;
    let done =
        json!({"is_done": true, "messages": 10_000, "changed": 10_000, "skipped": 0, "by": "Ada"});
    assert_eq!((code, body), (200, done));
    assert_eq!(acts.world.tally().await, "cancelled 10000, pending 10");
    let recorded = "select count(distinct message_id) from punctual.history
                     where actor = 'Ada' and old ->> 'status' = 'pending' and new ->> 'status' = 'cancelled'";
    assert_eq!(one::<i64>(&acts.world.unseen, recorded).await, 10_000);
    // None is left that it applies to.
    acts.refused(&format!("{target}&confirm=10000"), 409, "0 messages now")
        .await;
    // What would be all messages by a mistake, or cannot be meant.
    for (target, why) in [
        ("/api/messages/cancel", "name the messages"),
        ("/api/messages/cancel?user=&confirm=10", "name the messages"),
        (
            "/api/messages/cancel?status=sent",
            "applies to messages that are pending",
        ),
        (
            "/api/messages/cancel?status=pending&confirm=all",
            "a number",
        ),
        ("/api/messages/cancel?nobody=1", "unknown parameter"),
        (
            "/api/messages/resolve?status=unconfirmed&decision=sent&sid=SM0123456789abcdef0123456789abcdef",
            "of one message",
        ),
    ] {
        acts.refused(target, 400, why).await;
    }
    for (target, status) in [
        (
            "/api/messages/reschedule?status=pending&later=30m&confirm=10",
            "pending",
        ),
        ("/api/messages/retry?status=failed&confirm=0", "failed"),
        (
            "/api/messages/resolve?status=unconfirmed&decision=resend&confirm=0",
            "unconfirmed",
        ),
    ] {
        let (code, body) = acts.act(target).await;
        assert_eq!(
            (code, &body["is_done"]),
            (200, &json!(true)),
            "{status}: {body}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_and_each_scope_is_paused_and_resumed() {
    let acts = Acts::patient().await;
    let world = &acts.world;
    let (code, body) = acts
        .act("/api/pause?type=brief&why=wrong%20text&until=2099-01-01T00:00:00Z&by=Ada")
        .await;
    assert_eq!(code, 200, "{body}");
    for (name, value) in [
        ("scope", "message_type"),
        ("what", "brief"),
        ("why", "wrong text"),
        ("who", "Ada"),
        ("until", "2099-01-01T00:00:00.000000Z"),
    ] {
        assert_eq!(body[name], value, "{body}");
    }
    assert_eq!(body["replaced"], Value::Null, "{body}");
    // As `punctual pause` says it.
    let (code, body) = acts.act("/api/pause?type=brief&by=Bob").await;
    assert_eq!((code, &body["who"]), (200, &json!("Bob")), "{body}");
    for (name, value) in [
        ("scope", "message_type"),
        ("what", "brief"),
        ("why", "wrong text"),
        ("who", "Ada"),
        ("until", "2099-01-01T00:00:00.000000Z"),
    ] {
        assert_eq!(body["replaced"][name], value, "{body}");
    }
    for scope in [
        "",
        "?lane=SMS",
        "?sender=%2B15005550006",
        "?campaign=00000000-0000-0000-0000-00000000000C",
        "?user=00000000-0000-0000-0000-00000000000A",
    ] {
        let (code, body) = acts.act(&format!("/api/pause{scope}")).await;
        assert_eq!(
            (code, &body["until"]),
            (200, &json!("infinity")),
            "{scope}: {body}"
        );
        assert_eq!(body["who"], "an operator, from 127.0.0.1");
    }
    let listed = acts.server.get("/api/pauses").await;
    check(&acts.document, "/api/pauses", "get", &listed);
    let pauses: Value = serde_json::from_str(&listed.body).unwrap();
    assert_eq!(pauses.as_array().unwrap().len(), 6, "{pauses}");
    for (query, why) in [
        ("?lane=fax", "a lane is one of"),
        ("?user=7", "a UUID"),
        ("?type=", "type is empty"),
        ("?colour=red", "unknown parameter"),
        ("?type=a&lane=sms", "one scope"),
        ("?until=2020-01-01T00:00:00Z", "has passed"),
        ("?until=soon", "must be a time"),
    ] {
        acts.refused(&format!("/api/pause{query}"), 400, why).await;
    }
    for scope in [
        "?type=brief",
        "?lane=sms",
        "?sender=%2B15005550006",
        "?user=00000000-0000-0000-0000-00000000000a",
    ] {
        let (code, body) = acts.act(&format!("/api/resume{scope}")).await;
        assert_eq!(code, 200, "{scope}: {body}");
    }
    acts.refused("/api/resume?type=brief", 409, "not paused")
        .await;
    acts.act("/api/resume?campaign=00000000-0000-0000-0000-00000000000c")
        .await;
    // What has expired meanwhile would be cancelled, which nobody may mean.
    let expired = ", scheduled_at, send_before";
    let sql = format!(
        "insert into scheduled_messages (to_number, body, status {expired})
         select '+13105550100', 'x', 'pending', now() - interval '1 h', now() - interval '1 min' from generate_series(1, 3)"
    );
    run(&world.unseen, &sql).await;
    let (code, body) = acts.act("/api/resume?confirm=2").await;
    assert_eq!((code, &body["messages"]), (409, &json!(3)), "{body}");
    let (code, body) = acts.act("/api/resume?confirm=3").await;
    assert_eq!((code, &body["expired"]), (200, &json!(3)), "{body}");
    let in_force = "select count(*) from punctual.pauses where until > clock_timestamp()";
    assert_eq!(one::<i64>(&world.unseen, in_force).await, 0);
}

/// How often a request is repeated that a busy machine did not get done in time. Each try lasts as long as a response
/// may take, so this is minutes.
const TRIES: usize = 60;

/// Waits for what comes without another request, or fails with this.
async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let checks = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let came = tokio::time::timeout(Duration::from_secs(120), checks).await;
    assert!(came.is_ok(), "not in two minutes: {what}");
}

/// A request whose statement waits for a lock is cancelled. Its connection stays with it until the statement has ended:
/// another step of the store gets one that responds.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_read_returns_no_busy_connection() {
    let limits = HttpLimits {
        request: Duration::from_secs(2),
        ..HttpLimits::default()
    };
    let acts = Acts::new(limits).await;
    let id = acts.world.row("pending").await;
    // Its statements are prepared, so that only their execution waits.
    for target in ["/api/messages", "/api/stats"] {
        // On a busy machine it may take longer than a request may.
        let status = async || acts.server.get(target).await.status;
        let mut answered = status().await;
        for _ in 0..TRIES {
            if answered != 408 {
                break;
            }
            answered = status().await;
        }
        assert_eq!(answered, 200, "{target}");
    }
    for target in [
        "/api/messages".to_owned(),
        "/api/stats".to_owned(),
        format!("/api/messages/{id}"),
        format!("/debug/messages/{id}"),
        "/api/messages/0000".to_owned(),
    ] {
        let locker = acts.world.db.client().await;
        run(
            &locker,
            "begin; lock table scheduled_messages in access exclusive mode",
        )
        .await;
        // Again, if its statement was not begun in time.
        let mut tries = 0;
        loop {
            tries += 1;
            assert!(tries < TRIES, "{target}: its statement never begins");
            assert_eq!(acts.server.get(&target).await.status, 408, "{target}");
            let waiting = "select count(*) from pg_locks where not granted and relation = 'scheduled_messages'::regclass
                and database = (select oid from pg_database where datname = current_database())";
            if one::<i64>(&locker, waiting).await > 0 {
                break;
            }
        }
        let busy = acts.store.pool_report();
        assert_eq!(
            (busy.open - busy.idle, busy.max),
            (1, 2),
            "{target}: {busy:?}"
        );
        // With the fault one of them would wait for the lock too.
        for _ in 0..2 {
            let paused = tokio::time::timeout(Duration::from_secs(14), acts.store.pauses()).await;
            let (paused, _) = paused.expect("a connection that responds").unwrap();
            assert_eq!(paused, []);
        }
        run(&locker, "rollback").await;
        eventually("its connection is returned", async || {
            acts.store.pool_report().idle == acts.store.pool_report().open
        })
        .await;
    }
}

/// A read, also that of what an act would change, takes longer than its client waits: no act goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_takes_long_is_to_be_repeated() {
    let limits = HttpLimits {
        work: Duration::from_secs(2),
        ..HttpLimits::default()
    };
    let acts = Acts::new(limits).await;
    acts.world.row("pending").await;
    let locker = acts.world.db.client().await;
    run(
        &locker,
        "begin; lock table scheduled_messages in access exclusive mode",
    )
    .await;
    let listed = acts.server.get("/api/messages").await;
    check(&acts.document, "/api/messages", "get", &listed);
    let token = format!("Authorization: Bearer {OPERATOR_TOKEN}");
    let counted = "/api/messages/cancel?status=pending";
    let counted = acts.post(counted, &[&token]).await;
    for answer in [listed, counted] {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.body.contains("try again"), "{answer:?}");
        assert!(answer.head.contains("\r\nretry-after: "), "{answer:?}");
    }
    run(&locker, "rollback").await;
}

/// An act takes longer than its client waits: it is done nevertheless. One that has not begun by then is never done.
#[tokio::test(flavor = "multi_thread")]
async fn an_act_that_has_begun_ends_and_one_that_has_not_is_not_done() {
    let limits = HttpLimits {
        work: Duration::from_secs(2),
        ..HttpLimits::default()
    };
    let acts = Acts::new(limits).await;
    let world = &acts.world;
    let (first, second) = (world.row("pending").await, world.row("failed").await);
    let locker = world.db.client().await;
    run(
        &locker,
        "begin; lock table scheduled_messages in access exclusive mode",
    )
    .await;
    let cancel = "/api/messages/cancel?status=pending&confirm=1";
    let mut tries = 0;
    let (code, body) = loop {
        tries += 1;
        assert!(tries < TRIES, "the cancel never begins");
        let (code, body) = acts.act(cancel).await;
        // It was not begun in time.
        if code != 503 {
            break (code, body);
        }
    };
    assert_eq!((code, &body["is_done"]), (202, &json!(false)), "{body}");
    acts.refused(&format!("/api/messages/{second}/retry"), 503, "try again")
        .await;
    run(&locker, "rollback").await;
    eventually("it is cancelled", async || {
        world.status(first).await == "cancelled"
    })
    .await;
    // The next act begins after both.
    let next = format!("/api/messages/{first}/cancel");
    let mut tries = 0;
    let (code, body) = loop {
        tries += 1;
        assert!(tries < TRIES, "the next act is never done");
        let (code, body) = acts.act(&next).await;
        // On a busy machine it may take longer than an answer may.
        if ![202, 503].contains(&code) {
            break (code, body);
        }
    };
    assert_eq!((code, &body["changed"]), (200, &json!(false)), "{body}");
    assert_eq!(world.status(second).await, "failed");
}

/// The forecasts of a page are read when they are requested, and only of what is pending.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_says_what_will_happen_if_that_is_asked_for() {
    let acts = Acts::patient().await;
    let (pending, failed) = (
        acts.world.row("pending").await,
        acts.world.row("failed").await,
    );
    let list = async |query: &str| -> Value {
        let answer = acts.server.get(&format!("/api/messages{query}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        check(&acts.document, "/api/messages", "get", &answer);
        serde_json::from_str(&answer.body).unwrap()
    };
    let forecast = |page: &Value, id: Uuid| -> Value {
        let messages = page["messages"].as_array().unwrap();
        let mut messages = messages.iter();
        let message = messages.find(|message| message["id"] == id.to_string());
        message.unwrap()["forecast"].clone()
    };
    for query in ["", "?forecast=0"] {
        assert_eq!(
            forecast(&list(query).await, pending),
            Value::Null,
            "{query}"
        );
    }
    let page = list("?forecast=1").await;
    // As no daemon runs beside this server.
    assert_eq!(forecast(&page, pending)["reason"], "no_daemon", "{page}");
    assert_eq!(forecast(&page, failed), Value::Null, "{page}");
    let refused = acts.server.get("/api/messages?forecast=yes").await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.contains("forecast is 0 or 1"), "{refused:?}");
}

//! Campaigns by HTTP on a real Postgres: who sees the texts, who decides, and what is recorded of that.

use serde_json::{Value, json};

use crate::acts::{Acts, route};
use crate::openapi::check;
use crate::rows::{one, run};
use crate::server::{OPERATOR_TOKEN, Response, TOKEN};

/// A campaign of four messages that nobody has decided about, the second in two parts.
const SPRING: &str = "
with spring as (
  insert into punctual.campaigns (name, timezone, hours, open_from, open_until, gap_min, gap_max, skip_per_mille, skip_min,
                                  skip_max, seed)
  values ('spring', 'America/Los_Angeles', 'mon-sun 00:00-24:00', '{0}', '{604800000000}', '4 min', '7 min', 175, '10 min',
          '15 min', 7)
  returning id)
insert into punctual.campaign_messages (campaign_id, position, customer_name, phone_number, content)
select id, n, 'Ada ' || n, '+1310555010' || n, 'hello ' || n || case n when 2 then ' [BUBBLE] 😀 you' else '' end
  from spring, generate_series(1, 4) n";

/// `status` of each message, in their order.
async fn statuses(acts: &Acts) -> String {
    let sql = "select string_agg(status, ' ' order by position) from punctual.campaign_messages";
    one(&acts.world.unseen, sql).await
}

async fn spring() -> Acts {
    let acts = Acts::patient().await;
    run(&acts.world.user, SPRING).await;
    acts
}

impl Acts {
    async fn read(&self, target: &str, token: &str) -> Response {
        let token = format!("Authorization: Bearer {token}");
        let line = format!("GET {target}");
        let answer = self.server.send_bare(&line, &["Host: a", &token]).await;
        check(&self.document, &route(target), "get", &answer);
        answer
    }

    async fn shown(&self, target: &str) -> Value {
        let answer = self.read(target, OPERATOR_TOKEN).await;
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Changes a message by the operator's token, or with these headers instead.
    async fn edit(&self, position: i32, body: &str, headers: Option<&[&str]>) -> (u16, Value) {
        let target = format!("/api/campaigns/spring/messages/{position}/edit?by=Ada");
        let line = format!("POST {target}");
        let token = format!("Authorization: Bearer {OPERATOR_TOKEN}");
        let length = format!("Content-Length: {}", body.len());
        let own = [token.as_str()];
        let mut all = headers.unwrap_or(&own).to_vec();
        all.extend([
            "Host: page.example",
            "Content-Type: application/json",
            &length,
            "",
            body,
        ]);
        let answer = self.server.send_bare(&line, &all).await;
        check(&self.document, &route(&target), "post", &answer);
        (
            answer.status,
            serde_json::from_str(&answer.body).unwrap_or_default(),
        )
    }

    /// What one message is, in short.
    async fn seen(&self, position: usize) -> String {
        let all = self.shown("/api/campaigns/spring/messages").await;
        all["messages"][position - 1]["seen"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_numbers_are_shown_as_they_arrive_and_only_to_whoever_decides() {
    let acts = spring().await;
    for target in [
        "/api/campaigns",
        "/api/campaigns/spring",
        "/api/campaigns/spring/decisions",
    ] {
        let answer = acts.read(target, TOKEN).await;
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert!(
            !answer.body.contains("5550") && !answer.body.contains("hello"),
            "{answer:?}"
        );
    }
    let answer = acts.read("/api/campaigns/spring/messages", TOKEN).await;
    assert_eq!(answer.status, 403, "{answer:?}");

    let all = acts.shown("/api/campaigns").await;
    assert_eq!(all[0]["name"], "spring");
    assert_eq!(
        (&all[0]["suggested"], &all[0]["approved"]),
        (&json!(4), &json!(0))
    );
    let page = acts.shown("/api/campaigns/spring/messages?limit=2").await;
    let second = &page["messages"][1];
    assert_eq!(page["next"], 2);
    assert_eq!(second["phone_number"], "+13105550102");
    assert_eq!(second["parts"][0]["text"], "hello 2");
    assert_eq!(second["parts"][1]["text"], "\u{1F600} you");
    assert_eq!(second["parts"][1]["segments"]["encoding"], "UCS-2");
    assert_eq!(second["segments"], 2);
    let rest = acts
        .shown("/api/campaigns/spring/messages?limit=2&after=2")
        .await;
    assert_eq!(
        (rest["messages"].as_array().unwrap().len(), &rest["next"]),
        (2, &json!(null))
    );
    let found = acts
        .shown("/api/campaigns/spring/messages?q=ADA+3&status=SUG,APR")
        .await;
    assert_eq!(found["messages"][0]["position"], 3);
    let id = all[0]["id"].as_str().unwrap();
    assert_eq!(
        acts.shown(&format!("/api/campaigns/{id}")).await["messages"][0]["status"],
        "SUG"
    );
    for (target, status) in [
        ("/api/campaigns/summer", 404),
        ("/api/campaigns/summer/messages", 404),
        ("/api/campaigns/spring/messages?status=sug", 400),
        ("/api/campaigns/spring/messages?limit=0", 400),
        ("/api/campaigns?x=1", 400),
    ] {
        assert_eq!(
            acts.read(target, OPERATOR_TOKEN).await.status,
            status,
            "{target}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_decided_about_once_their_number_is_confirmed_and_as_they_were_seen() {
    let acts = spring().await;
    let approve = "/api/campaigns/spring/approve";
    let (status, said) = acts.act(approve).await;
    assert_eq!(
        (status, &said["messages"], &said["is_done"]),
        (200, &json!(4), &json!(false))
    );
    assert_eq!(statuses(&acts).await, "SUG SUG SUG SUG");
    acts.refused(
        &format!("{approve}?confirm=3"),
        409,
        "4 messages now, not 3",
    )
    .await;
    acts.refused(&format!("{approve}?rows=0"), 400, "rows are positions")
        .await;
    acts.refused(&format!("{approve}?status=APR"), 400, "SUG, REJ")
        .await;
    acts.refused(
        "/api/campaigns/summer/approve?confirm=0",
        404,
        "no such campaign",
    )
    .await;

    // One, as it was seen; of one that was changed meanwhile nothing is approved.
    let seen = acts.seen(1).await;
    run(
        &acts.world.user,
        "update punctual.campaign_messages set content = 'other' where position = 1",
    )
    .await;
    acts.refused(
        &format!("{approve}?rows=1@{seen}&confirm=1"),
        409,
        "0 messages now",
    )
    .await;
    let seen = acts.seen(1).await;
    let (status, said) = acts
        .act(&format!("{approve}?rows=1@{seen}&confirm=1&by=Ada"))
        .await;
    assert_eq!(
        (status, &said["changed"], &said["by"]),
        (200, &json!(1), &json!("Ada"))
    );
    // All that match, as they were at the preview.
    let (_, preview) = acts.act("/api/campaigns/spring/reject").await;
    let seen = preview["seen"].as_str().unwrap();
    let reject = format!("/api/campaigns/spring/reject?confirm=4&seen={seen}");
    run(
        &acts.world.user,
        "update punctual.campaign_messages set content = 'late' where position = 4",
    )
    .await;
    acts.refused(&reject, 409, "changed since you saw them")
        .await;
    assert_eq!(statuses(&acts).await, "APR SUG SUG SUG");
    // Some, and all that match.
    acts.act(&format!("{approve}?rows=2-3&confirm=2&by=Ben"))
        .await;
    acts.act("/api/campaigns/spring/reject?q=hello&status=APR&confirm=2&by=Cleo")
        .await;
    assert_eq!(statuses(&acts).await, "APR REJ REJ SUG");
    acts.act(&format!("{approve}?status=REJ&confirm=2&by=Dan"))
        .await;
    assert_eq!(statuses(&acts).await, "APR APR APR SUG");

    let entries = acts.shown("/api/campaigns/spring/decisions").await;
    let entries: Vec<String> = entries.as_array().unwrap().iter().map(line).collect();
    assert_eq!(
        entries,
        [
            "Dan REJ-APR 2 of 2-3",
            "Cleo APR-REJ 2 of 2-3",
            "Ben SUG-APR 2 of 2-3",
            " SUG-SUG 1 of 4-4",
            "Ada SUG-APR 1 of 1-1",
            " SUG-SUG 1 of 1-1",
        ]
    );
    let page = acts
        .shown("/api/campaigns/spring/messages?status=APR")
        .await;
    assert_eq!(page["messages"][0]["decided_by"], "Ada");
    assert!(page["messages"][0]["decided_at"].is_string());
}

fn line(entry: &Value) -> String {
    let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    format!(
        "{} {}-{} {} of {}-{}",
        text("who"),
        text("was"),
        text("status"),
        entry["messages"],
        entry["first"],
        entry["last"]
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_edited_is_to_be_approved_again() {
    let acts = spring().await;
    acts.act("/api/campaigns/spring/approve?confirm=4&by=Ada")
        .await;
    let seen = acts.seen(2).await;
    let body = |number: &str, content: &str, seen: &str| {
        json!({"customer_name": "Ada B", "phone_number": number, "content": content, "seen": seen})
            .to_string()
    };
    for (number, content, why) in [
        ("555", "hi", "phone_number: it must start with +"),
        ("+13105550102", " ", "content: it is empty"),
        ("+13105550102", "[BUBBLE]", "content: every part"),
    ] {
        let (status, said) = acts.edit(2, &body(number, content, &seen), None).await;
        assert_eq!(status, 400, "{said}");
        assert!(said["error"].as_str().unwrap().contains(why), "{said}");
    }
    for wrong in ["", "{}", "[1]"] {
        assert_eq!(acts.edit(2, wrong, None).await.0, 400, "{wrong}");
    }
    let (status, said) = acts
        .edit(2, &body("+13105550101", "hello 1", &seen), None)
        .await;
    assert_eq!(status, 409, "{said}");
    assert!(
        said["error"]
            .as_str()
            .unwrap()
            .contains("nobody gets the same text twice"),
        "{said}"
    );
    assert_eq!(statuses(&acts).await, "APR APR APR APR");

    let (status, said) = acts
        .edit(2, &body("+13105550102", "bye [BUBBLE] now", &seen), None)
        .await;
    assert_eq!(
        (status, &said["was_approved"], &said["by"]),
        (200, &json!(true), &json!("Ada"))
    );
    assert_eq!(said["message"]["status"], "SUG");
    assert_eq!(said["message"]["parts"][1]["text"], "now");
    assert_eq!(said["message"]["customer_name"], "Ada B");
    assert_eq!(statuses(&acts).await, "APR SUG APR APR");
    // One that changes nothing ends no approval.
    let first = acts.seen(1).await;
    let same = json!({"customer_name": "Ada 1", "phone_number": "+13105550101", "content": "hello 1", "seen": first});
    let (status, said) = acts.edit(1, &same.to_string(), None).await;
    assert_eq!((status, &said["was_approved"]), (200, &json!(false)));
    // What somebody else has changed meanwhile is not overwritten.
    let (status, said) = acts
        .edit(2, &body("+13105550102", "mine", &seen), None)
        .await;
    assert_eq!(status, 409, "{said}");
    assert!(
        said["error"]
            .as_str()
            .unwrap()
            .contains("changed since you saw it"),
        "{said}"
    );
    assert_eq!(
        acts.edit(9, &body("+13105550102", "x", &seen), None)
            .await
            .0,
        404
    );
    let entries = acts.shown("/api/campaigns/spring/decisions").await;
    assert_eq!(line(&entries[0]), "Ada APR-SUG 1 of 2-2");
    // A scheduled one is a row of scheduled_messages.
    run(
        &acts.world.user,
        "update punctual.campaign_messages set status = 'SCH', message_id = gen_random_uuid() where position = 3",
    )
    .await;
    let seen = acts.seen(3).await;
    let (status, said) = acts.edit(3, &body("+13105550103", "x", &seen), None).await;
    assert_eq!(status, 409, "{said}");
    assert!(
        said["error"].as_str().unwrap().contains("is scheduled"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_operator_decides_and_with_a_cookie_only_the_page() {
    let acts = spring().await;
    let (look, act) = (acts.cookie(TOKEN).await, acts.cookie(OPERATOR_TOKEN).await);
    let reader = format!("Authorization: Bearer {TOKEN}");
    let (own, from) = ("Punctual-Act: 1", "Origin: https://page.example");
    let seen = acts.seen(1).await;
    let body = json!({"phone_number": "+13105550101", "content": "evil", "seen": seen}).to_string();
    for (headers, status) in [
        (vec![], 401),
        (vec![&*reader], 403),
        (vec![&*look, own, from], 403),
        (vec![&*act], 403),
        (vec![&*act, own], 403),
        (vec![&*act, from], 403),
        (vec![&*act, own, "Origin: https://evil.example"], 403),
        (vec![&*act, own, from, "Sec-Fetch-Site: cross-site"], 403),
    ] {
        for verb in ["approve", "reject", "cancel"] {
            let target = format!("/api/campaigns/spring/{verb}?confirm=4");
            assert_eq!(
                acts.post(&target, &headers).await.status,
                status,
                "{verb} {headers:?}"
            );
        }
        assert_eq!(
            acts.edit(1, &body, Some(&headers)).await.0,
            status,
            "{headers:?}"
        );
    }
    assert_eq!(statuses(&acts).await, "SUG SUG SUG SUG");
    let texts = "select count(*) from punctual.campaign_messages where content = 'evil'";
    assert_eq!(one::<i64>(&acts.world.unseen, texts).await, 0);
    let page = [&*act, own, "Sec-Fetch-Site: same-origin"];
    let (status, said) = acts.edit(1, &body, Some(&page)).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(
        acts.post("/api/campaigns/spring/approve?confirm=4", &page)
            .await
            .status,
        200
    );
    assert_eq!(statuses(&acts).await, "APR APR APR APR");
    // Who, as far as it is known.
    let entries = acts.shown("/api/campaigns/spring/decisions").await;
    assert_eq!(entries[0]["who"], "an operator, from 127.0.0.1");
    // The pages, of whoever may look.
    for (path, status) in [("/campaigns", 200), ("/campaigns/0", 400)] {
        let line = format!("GET {path}");
        let answer = acts
            .server
            .send_bare(&line, &["Host: page.example", &look])
            .await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let id: uuid::Uuid = one(&acts.world.unseen, "select id from punctual.campaigns").await;
    for (cookie, has) in [(&look, false), (&act, true)] {
        let line = format!("GET /campaigns/{id}");
        let answer = acts
            .server
            .send_bare(&line, &["Host: page.example", cookie])
            .await;
        assert_eq!(answer.body.contains("id=\"texts\""), has, "{answer:?}");
    }
    let html = ["Host: page.example", "Accept: text/html"];
    for path in ["/campaigns", "/campaigns/0"] {
        let answer = acts.server.send_bare(&format!("GET {path}"), &html).await;
        assert_eq!(answer.status, 303, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_is_cancelled_with_what_is_left_of_it() {
    let acts = spring().await;
    acts.act("/api/campaigns/spring/approve?confirm=4").await;
    let schedule = "with kept as (
           update punctual.campaign_messages set status = 'SCH', message_id = gen_random_uuid() where position < 3 returning *)
         insert into scheduled_messages (id, to_number, from_number, body, scheduled_at, campaign_id)
         select message_id, phone_number, '+15005550006', content, now() + interval '1 hour', campaign_id from kept";
    run(&acts.world.user, schedule).await;
    let cancel = "/api/campaigns/spring/cancel";
    let (status, said) = acts.act(cancel).await;
    assert_eq!(
        (status, &said["messages"], &said["is_done"]),
        (200, &json!(2), &json!(false))
    );
    acts.refused(&format!("{cancel}?confirm=1"), 409, "2 messages now")
        .await;
    let (status, said) = acts.act(&format!("{cancel}?confirm=3&by=Ada")).await;
    assert_eq!((status, &said["changed"]), (200, &json!(2)));
    assert_eq!(acts.world.tally().await, "cancelled 2");
    assert_eq!(
        acts.shown("/api/campaigns/spring").await["state"],
        "cancelled"
    );
    for verb in ["cancel?confirm=0", "approve?confirm=0"] {
        acts.refused(
            &format!("/api/campaigns/spring/{verb}"),
            409,
            "the campaign is cancelled",
        )
        .await;
    }
    let page = acts
        .shown("/api/campaigns/spring/messages?status=cancelled")
        .await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 2);
}

//! Lists, searches and acts of operators: what a filter means, that pages lose and repeat nothing, and which rows an
//! act changes.

use punctual::message::filter::{PageStart, Search};
use punctual::message::{Filter, InstanceId, MessageId, Moment, Status};
use punctual::store::Store;
use punctual::store::operator::{
    Act, Acted, Actor, By, Done, NewTime, OperatorError, Paging, Stat,
};
use punctual::store::resolve::Decision;
use uuid::Uuid;

use crate::rows::{World, hearing, one, run};

fn store(world: &World) -> Store {
    Store::new(world.db.dsn().pool(2), InstanceId::fresh())
}

fn filter(pairs: &[(&str, &str)]) -> Filter {
    let mut filter = Filter::default();
    for (name, value) in pairs {
        filter.set(name, value).unwrap();
    }
    filter
}

fn ada() -> Actor {
    Actor::named(Some(" Ada\n"), "operator")
}

/// Every page of a list, and how many there were.
async fn pages(store: &Store, filter: &Filter, limit: usize) -> (Vec<Uuid>, usize) {
    let (mut ids, mut after, mut pages) = (Vec::new(), None::<PageStart>, 0);
    loop {
        let paging = Paging {
            limit,
            after,
            reveals: false,
        };
        let page = store.list(filter, paging).await.unwrap();
        assert!(page.messages.len() <= limit);
        ids.extend(page.messages.iter().map(|row| row.id.0));
        pages += 1;
        match page.next {
            Some(next) => after = Some(next.parse().unwrap()),
            None => return (ids, pages),
        }
    }
}

const DUE: &str = "greatest(scheduled_at, deferred_until, next_attempt_at)";

const USER: &str = "00000000-0000-0000-0000-00000000000a";

/// Messages in every status, many of them due at one instant, some deferred, two due never.
const MIXED: &str = "
    insert into scheduled_messages (to_number, body, status, scheduled_at, deferred_until, user_id, campaign_id)
    select '+1310555' || lpad(i::text, 4, '0'), 'text ' || i,
           (array['pending', 'sending', 'sent', 'delivered', 'failed', 'cancelled', 'unconfirmed'])[1 + i % 7],
           case when i % 100 = 0 then 'infinity' else timestamptz '2026-01-01 09:00Z' + (i % 40 / 3) * interval '1 hour' end,
           case when i % 11 = 0 then timestamptz '2026-01-01 20:00Z' end,
           case when i % 5 = 0 then '00000000-0000-0000-0000-00000000000a'::uuid end,
           case when i % 3 = 0 then '00000000-0000-0000-0000-00000000000c'::uuid end
      from generate_series(1, 280) i";

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_each_message_of_a_filter_once_and_in_order() {
    let world = World::new().await;
    run(&world.unseen, MIXED).await;
    let store = store(&world);
    for (pairs, expected) in [
        (vec![], "true"),
        (vec![("status", "pending")], "status = 'pending'"),
        (
            vec![("status", "sending,failed")],
            "status in ('sending', 'failed')",
        ),
        (vec![("user", USER)], "user_id is not null"),
        (
            vec![
                ("user", USER),
                ("status", "sent"),
                ("campaign", "00000000-0000-0000-0000-00000000000c"),
            ],
            "user_id is not null and campaign_id is not null and status = 'sent'",
        ),
        (
            vec![
                ("from", "2026-01-01T10:00:00Z"),
                ("to", "2026-01-01T13:00:00Z"),
            ],
            "DUE >= '2026-01-01 10:00Z' and DUE < '2026-01-01 13:00Z'",
        ),
        (
            vec![
                ("status", "pending"),
                ("to", "2026-01-01T12:00:00Z"),
                ("from", "2026-01-01T09:00:00Z"),
            ],
            "status = 'pending' and DUE < '2026-01-01 12:00Z'",
        ),
        (vec![("q", "+13105550014")], "to_number = '+13105550014'"),
        (vec![("template", USER)], "false"),
        (
            vec![("reason", "none"), ("status", "failed")],
            "status = 'failed'",
        ),
    ] {
        let order = if pairs.contains(&("status", "pending")) {
            "asc"
        } else {
            "desc"
        };
        let sql = format!(
            "select coalesce(array_agg(id order by DUE {order}, id {order}), '{{}}') from scheduled_messages where {expected}"
        );
        let expected: Vec<Uuid> = one(&world.unseen, &sql.replace("DUE", DUE)).await;
        for limit in [7, 1000] {
            let (ids, _) = pages(&store, &filter(&pairs), limit).await;
            assert_eq!(ids, expected, "{pairs:?}, pages of {limit}");
        }
    }
    // What is written meanwhile neither hides nor repeats what was there.
    let paging = |after| Paging {
        limit: 20,
        after,
        reveals: false,
    };
    let failed = filter(&[("status", "failed")]);
    let first = store.list(&failed, paging(None)).await.unwrap();
    run(&world.unseen, MIXED).await;
    let second = store
        .list(&failed, paging(Some(first.next.unwrap().parse().unwrap())))
        .await
        .unwrap();
    let before: Vec<_> = first.messages.iter().map(|row| row.id).collect();
    assert!(second.messages.iter().all(|row| !before.contains(&row.id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_a_bounded_number_of_rows_and_says_where_it_stopped() {
    let world = World::new().await;
    let sql = "insert into scheduled_messages (to_number, body, status, scheduled_at, user_id)
               select '+13105550100', 'x', 'failed', now() - i * interval '1 s',
                      case when i = 11000 then '00000000-0000-0000-0000-00000000000a'::uuid end
                 from generate_series(1, 12000) i";
    run(&world.unseen, sql).await;
    let (ids, pages) = pages(
        &store(&world),
        &filter(&[("user", USER), ("status", "failed")]),
        10,
    )
    .await;
    assert_eq!((ids.len(), pages), (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_found_by_a_part_of_its_id_by_its_sid_and_after_its_deletion() {
    let world = World::new().await;
    let sql = "insert into scheduled_messages (id, to_number, body, status, scheduled_at)
               values ('aaaa0000-0000-0000-0000-000000000001', '+13105550101', 'x', 'sent', now()),
                      ('aaaa0000-0000-0000-0000-000000000002', '+13105550101', 'x', 'failed', now() - interval '1 h'),
                      ('aaab0000-0000-0000-0000-000000000003', '+13105550102', 'x', 'pending', now());
               insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome, provider_sid)
               select gen_random_uuid(), id::uuid, 1, gen_random_uuid(), now(), 'accepted', sid
                 from (values ('aaaa0000-0000-0000-0000-000000000001', 'SM0001'),
                              ('bbbb0000-0000-0000-0000-000000000004', 'SM0000000000')) as a (id, sid)";
    run(&world.unseen, sql).await;
    let store = store(&world);
    for (text, ends) in [
        ("aaaa", vec![1, 2]),
        ("aaab", vec![3]),
        ("AAAB0000-0000-0000-0000-000000000003", vec![3]),
        ("bbbb", vec![4]),
        ("SM0000000000", vec![4]),
        ("+13105550101", vec![1, 2]),
        ("+13105550199", vec![]),
        ("cccc", vec![]),
    ] {
        let search: Search = text.parse().unwrap();
        let found = store.search(&search, 10).await.unwrap();
        let mut found: Vec<u128> = found.iter().map(|id| id.0.as_u128() & 0xff).collect();
        if !text.starts_with('+') {
            found.sort_unstable();
        }
        assert_eq!(found, ends, "{text}");
    }
    // The two of one recipient are further apart than one statement reads.
    let between = "insert into scheduled_messages (to_number, body, status, scheduled_at)
                   select '+13105550177', 'x', 'sent', now() - interval '30 min' from generate_series(1, 5100)";
    run(&world.unseen, between).await;
    let search: Search = "+13105550101".parse().unwrap();
    assert_eq!(store.search(&search, 10).await.unwrap().len(), 2);
    // And of a table with too many messages it is not read to the end.
    let too_many = "set session_replication_role = replica;
                    insert into scheduled_messages (to_number, body, status, scheduled_at)
                    select '+13105550177', 'x', 'sent', now() - interval '29 min' from generate_series(1, 100000);
                    set session_replication_role = default";
    run(&world.unseen, too_many).await;
    let broad = store.search(&search, 10).await;
    assert!(matches!(broad, Err(OperatorError::Broad)), "{broad:?}");
    let (listed, _) = pages(&store, &filter(&[("q", "aaaa"), ("status", "failed")]), 10).await;
    assert_eq!(
        listed,
        ["aaaa0000-0000-0000-0000-000000000002"
            .parse::<Uuid>()
            .unwrap()]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_hides_numbers_and_texts_unless_they_are_requested() {
    let world = World::new().await;
    let id = world.row("pending").await;
    let store = store(&world);
    for reveals in [false, true] {
        let [row] = store
            .listed(&[id], reveals)
            .await
            .unwrap()
            .try_into()
            .unwrap();
        let shown = serde_json::to_string(&row).unwrap();
        assert_eq!(shown.contains("+13105550100"), reveals, "{shown}");
        assert_eq!(shown.contains("hello"), reveals, "{shown}");
        assert_eq!(
            row.to,
            if reveals {
                "+13105550100"
            } else {
                "+13•••00"
            }
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_counted_by_time_status_and_reason() {
    let world = World::new().await;
    let sql = "insert into scheduled_messages (id, to_number, body, status, scheduled_at)
               select ('00000000-0000-0000-0000-' || lpad(i::text, 12, '0'))::uuid, '+13105550100', 'x',
                      case when i <= 2 then 'failed' when i = 3 then 'cancelled' else 'sent' end,
                      timestamptz '2026-01-01 22:30Z' + i * interval '20 min'
                 from generate_series(1, 4) i;
               insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome, category)
               select gen_random_uuid(), id, 1, gen_random_uuid(), now(), case status when 'sent' then 'accepted' else 'rejected' end,
                      case when status <> 'sent' then 'opted_out' end
                 from scheduled_messages where status <> 'cancelled';
               insert into punctual.settings (timezone) values ('Europe/Berlin')";
    run(&world.unseen, sql).await;
    let stat = |key: &str, status: &str, messages| Stat {
        key: key.to_owned(),
        status: status.to_owned(),
        messages,
    };
    let by_minute = vec![
        stat("2026-01-01T22:50:00Z", "failed", 1),
        stat("2026-01-01T23:10:00Z", "failed", 1),
        stat("2026-01-01T23:30:00Z", "cancelled", 1),
        stat("2026-01-01T23:50:00Z", "sent", 1),
    ];
    for (by, expected) in [
        (
            By::Status,
            vec![
                stat("cancelled", "cancelled", 1),
                stat("failed", "failed", 2),
                stat("sent", "sent", 1),
            ],
        ),
        (
            By::Reason,
            vec![
                stat("none", "cancelled", 1),
                stat("none", "sent", 1),
                stat("opted_out", "failed", 2),
            ],
        ),
        (By::TenSeconds, by_minute.clone()),
        (By::Minute, by_minute),
        (
            By::QuarterHour,
            vec![
                stat("2026-01-01T22:45:00Z", "failed", 1),
                stat("2026-01-01T23:00:00Z", "failed", 1),
                stat("2026-01-01T23:30:00Z", "cancelled", 1),
                stat("2026-01-01T23:45:00Z", "sent", 1),
            ],
        ),
        (
            By::Hour,
            vec![
                stat("2026-01-01T22:00:00Z", "failed", 1),
                stat("2026-01-01T23:00:00Z", "cancelled", 1),
                stat("2026-01-01T23:00:00Z", "failed", 1),
                stat("2026-01-01T23:00:00Z", "sent", 1),
            ],
        ),
        (
            By::Day,
            vec![
                stat("2026-01-01", "failed", 1),
                stat("2026-01-02", "cancelled", 1),
                stat("2026-01-02", "failed", 1),
                stat("2026-01-02", "sent", 1),
            ],
        ),
    ] {
        let stats = store(&world).stats(&Filter::default(), by).await.unwrap();
        assert!(!stats.is_partial);
        let mut counts = stats.counts;
        counts.sort_by(|a, b| (&a.key, &a.status).cmp(&(&b.key, &b.status)));
        assert_eq!(counts, expected, "{by:?}");
    }
    let never = "insert into scheduled_messages (to_number, body, scheduled_at) values ('+13105550100', 'x', 'infinity')";
    run(&world.unseen, never).await;
    let never = Filter {
        statuses: vec![Status::Pending],
        ..Filter::default()
    };
    for by in [By::Minute, By::Hour, By::Day] {
        let stats = store(&world).stats(&never, by).await.unwrap();
        let expected = vec![stat("infinity", "pending", 1)];
        assert_eq!(stats.counts, expected, "{by:?}");
    }
}

/// What no claim has cancelled has no attempt that says why: its reason is in the row's sentence. That it was deferred
/// once is none for a person's cancel.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_cancelled_without_a_claim_is_counted_by_its_reason() {
    let world = World::new().await;
    let sql = "insert into scheduled_messages (to_number, body, status, scheduled_at, cancel_reason)
               select '+13105550100', 'x', 'cancelled', timestamptz '2026-01-01 22:30Z', reason
                 from unnest(array['too late: send_before was 2026-01-01T22:00:00.000000Z',
                                   'too late: 10800 s after its time, more than the 3600 s allowed; 1 of 3 parts sent',
                                   'the recipient has opted out', 'recipient opted out (STOP)',
                                   'recipient opted out (reported by the provider)', 'Calendar event deleted',
                                   'cancelled by Ada', null]) reason;
               insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome, category)
               select gen_random_uuid(), id, 1, gen_random_uuid(), now(), 'deferred', 'quiet_hours'
                 from scheduled_messages where cancel_reason like 'too late%' or cancel_reason like 'cancelled by%'";
    run(&world.unseen, sql).await;
    let stats = store(&world).stats(&Filter::default(), By::Reason).await;
    let counts = stats.unwrap().counts;
    let counts: Vec<_> = counts.iter().map(|c| (&*c.key, c.messages)).collect();
    let known = [
        ("event_deleted", 1),
        ("none", 2),
        ("opted_out", 3),
        ("too_late", 2),
    ];
    assert_eq!(counts, known);
    let late = Filter {
        reason: Some("too_late".to_owned()),
        ..Filter::default()
    };
    let listed = store(&world).stats(&late, By::Status).await.unwrap();
    assert_eq!(listed.counts[0].messages, 2);
}

/// A filter of 10,000 rows, of which another transaction holds three, as a claim would.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_are_cancelled_by_one_confirmed_act_and_claimed_ones_are_skipped() {
    let world = World::new().await;
    let sql = "insert into scheduled_messages (to_number, body, scheduled_at, user_id)
               select '+13105550100', 'x', now() + interval '1 hour' + (i / 100) * interval '1 ms',
                      '00000000-0000-0000-0000-00000000000a'
                 from generate_series(1, 10000) i;
               insert into scheduled_messages (to_number, body, scheduled_at)
               select '+13105550100', 'other', now() + interval '1 hour' from generate_series(1, 500);
               create table acts (who text);
               create function seen() returns trigger language plpgsql as
                 'begin insert into acts select current_setting(''punctual.actor'', true); return null; end';
               create trigger seen after update on scheduled_messages execute function seen()";
    run(&world.unseen, sql).await;
    let store = store(&world);
    let mine = filter(&[("user", USER)]);
    let act = async |confirmed| {
        store
            .act_on_all(&mine, &Act::Cancel, &ada(), confirmed)
            .await
    };
    for wrong in [None, Some(9_999), Some(10_500)] {
        let Err(OperatorError::Count {
            messages,
            confirmed,
        }) = act(wrong).await
        else {
            panic!("{wrong:?} was not refused");
        };
        assert_eq!((messages, confirmed), (10_000, wrong));
    }
    let (listener, mut hears) = hearing(&world.db).await;
    run(&listener, "listen punctual").await;
    let other = world.db.client().await;
    let hold = "begin; select id from scheduled_messages where user_id is not null order by id limit 3 for update";
    run(&other, hold).await;
    let done = act(Some(10_000)).await.unwrap();
    assert_eq!(
        done,
        Done {
            changed: 9_997,
            skipped: 3
        }
    );
    run(&other, "rollback").await;
    let claimed = act(Some(3)).await;
    assert_eq!(
        claimed.unwrap(),
        Done {
            changed: 3,
            skipped: 0
        }
    );
    assert_eq!(world.tally().await, "cancelled 10000, pending 500");
    let reasons = "select string_agg(distinct cancel_reason, ',') from scheduled_messages where status = 'cancelled'";
    assert_eq!(
        one::<String>(&world.unseen, reasons).await,
        "cancelled by Ada"
    );
    let who: String = one(
        &world.unseen,
        "select string_agg(distinct who, ',') from acts",
    )
    .await;
    assert_eq!(who, "Ada");
    assert!(hears.recv().await.is_some(), "the daemon was not notified");
    // What is being sent is not among what the act would change.
    run(
        &world.unseen,
        "update scheduled_messages set status = 'sending' where user_id is not null",
    )
    .await;
    assert!(matches!(
        act(Some(10_000)).await,
        Err(OperatorError::Count {
            messages: 0,
            confirmed: Some(10_000)
        })
    ));
    let sent = filter(&[("status", "sent")]);
    let refused = store.act_on_all(&sent, &Act::Cancel, &ada(), Some(0)).await;
    assert!(matches!(
        refused,
        Err(OperatorError::Status {
            act: "cancel",
            status: Status::Pending
        })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_message_is_retried_unless_it_may_have_been_accepted() {
    let world = World::new().await;
    let store = store(&world);
    for (attempt, is_retried) in [
        ("", true),
        ("'rejected', null, null", true),
        ("'refused', null, null", true),
        ("'accepted', 'failed', null", true),
        ("'accepted', null, null", false),
        ("'accepted', 'sent', null", false),
        ("'unknown', null, null", false),
        ("'unknown', null, 'person: Ada'", false),
        ("null, null, null", false),
    ] {
        let columns = ", error_message, attempts, deferred_until";
        let values = ", 'why', 3, now() - interval '1 day'";
        let id = world.row_with("failed", columns, values).await;
        if !attempt.is_empty() {
            let sql = format!(
                "insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome, message_status, settled_by)
                 values (gen_random_uuid(), '{id}', 1, gen_random_uuid(), now(), {attempt})"
            );
            run(&world.unseen, &sql).await;
        }
        let acted = store
            .act(MessageId(id), &Act::Retry(None), &ada())
            .await
            .unwrap();
        let state = "concat_ws(' ', status, attempts, error_message, deferred_until is null,
                               scheduled_at > now() - interval '1 minute', requeued_at is not null)";
        let state: String = world.get(id, state).await;
        if is_retried {
            assert_eq!(
                (acted, &*state),
                (Acted::Done, "pending 0 t t t"),
                "{attempt}"
            );
        } else {
            let Acted::Refused(why) = acted else {
                panic!("{attempt}: {acted:?}");
            };
            assert!(why.contains("may have been accepted"), "{why}");
            assert!(state.starts_with("failed 3 why"), "{attempt}: {state}");
        }
    }
    // Of many, those that may have been are skipped.
    let all = Filter::default();
    let done = store
        .act_on_all(&all, &Act::Retry(None), &ada(), Some(5))
        .await
        .unwrap();
    assert_eq!(
        done,
        Done {
            changed: 0,
            skipped: 5
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_on_one_message_says_why_it_was_not_done() {
    let world = World::new().await;
    let store = store(&world);
    let at = Moment::from_micros(4_102_444_800_000_000);
    for (status, act, expected) in [
        ("pending", Act::Cancel, Ok("cancelled")),
        ("pending", Act::Reschedule(NewTime::At(at)), Ok("pending")),
        (
            "pending",
            Act::Retry(None),
            Err("is pending: it will be sent"),
        ),
        ("sending", Act::Cancel, Err("is being sent this moment")),
        ("sent", Act::Cancel, Err("was already sent")),
        ("failed", Act::Reschedule(NewTime::At(at)), Err("retry it")),
        ("failed", Act::Cancel, Err("nothing to cancel")),
        ("unconfirmed", Act::Cancel, Err("resolve it")),
        (
            "unconfirmed",
            Act::Resolve(Decision::Cancel),
            Ok("cancelled"),
        ),
        (
            "sent",
            Act::Resolve(Decision::Resend),
            Err("is sent, not unconfirmed"),
        ),
    ] {
        let id = world.row(status).await;
        let acted = store.act(MessageId(id), &act, &ada()).await.unwrap();
        match (expected, acted) {
            (Ok(status), Acted::Done) => assert_eq!(world.status(id).await, status, "{act:?}"),
            (Err(why), Acted::Refused(said)) => assert!(said.contains(why), "{said}"),
            (_, acted) => panic!("{status} {act:?}: {acted:?}"),
        }
    }
    let gone = MessageId(Uuid::from_u128(7));
    assert_eq!(
        store.act(gone, &Act::Cancel, &ada()).await.unwrap(),
        Acted::Missing
    );
    let id = world.row("cancelled").await;
    assert_eq!(
        store
            .act(MessageId(id), &Act::Cancel, &ada())
            .await
            .unwrap(),
        Acted::Already
    );
    // Each by as much.
    let (one_at, other) = (world.row("pending").await, world.row("pending").await);
    let before: f64 = world
        .get(one_at, "extract(epoch from scheduled_at)::float8")
        .await;
    let later = Act::Reschedule(NewTime::By {
        us: 3_600_000_000,
        past_ok: false,
    });
    let confirmed = 4;
    let done = store
        .act_on_all(&Filter::default(), &later, &ada(), Some(confirmed))
        .await;
    assert_eq!(done.unwrap().changed, confirmed);
    let after: f64 = world
        .get(one_at, "extract(epoch from scheduled_at)::float8")
        .await;
    assert!((after - before - 3600.0).abs() < 1e-3);
    assert_eq!(world.status(other).await, "pending");
    // None is moved into the past, unless that is accepted.
    let earlier = |past_ok| {
        Act::Reschedule(NewTime::By {
            us: -2 * 86_400_000_000,
            past_ok,
        })
    };
    let refused = store.act(MessageId(one_at), &earlier(false), &ada()).await;
    assert!(
        matches!(refused.unwrap(), Acted::Refused(why) if why.contains("past_ok")),
        "it was not refused"
    );
    let moved = store.act(MessageId(one_at), &earlier(true), &ada()).await;
    assert_eq!(moved.unwrap(), Acted::Done);
    // A row that the app's table refuses to change does not keep the others.
    let refusing = format!(
        "create function refuse() returns trigger language plpgsql as
           'begin if new.id = ''{other}'' then raise ''not this one''; end if; return new; end';
         create trigger refuse before update on scheduled_messages for each row execute function refuse()"
    );
    run(&world.user, &refusing).await;
    let done = store
        .act_on_all(&Filter::default(), &Act::Cancel, &ada(), Some(confirmed))
        .await;
    assert_eq!(
        done.unwrap(),
        Done {
            changed: 3,
            skipped: 1
        }
    );
}

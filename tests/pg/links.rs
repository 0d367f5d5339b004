//! Tracking links: their codes, the texts that get them, clicks, and who may make them.

use punctual::store::{Migrator, Preset};
use uuid::Uuid;

use crate::rows::{World, one, run, said};

/// A delivery, and its user.
const DELIVERY: &str = "33333333-3333-4333-8333-333333333333";
const USER: &str = "11111111-1111-4111-8111-111111111111";

/// The app's own table of deliveries, as its papers have it.
const DELIVERIES: &str = "
  create table users (id uuid primary key);
  insert into users values ('11111111-1111-4111-8111-111111111111');
  create table notification_deliveries (
    id uuid primary key default gen_random_uuid(), event_id uuid, subscription_id uuid, recipient_user_id uuid not null,
    channel text not null, channel_identifier text, status text not null default 'pending', payload jsonb not null default '{}',
    sent_at timestamptz, delivered_at timestamptz, opened_at timestamptz, clicked_at timestamptz, failed_at timestamptz,
    attempts int default 0, max_attempts int default 3, last_error text, external_id text, tracking_id text,
    created_at timestamptz default now(), updated_at timestamptz default now());
  insert into notification_deliveries (id, recipient_user_id, channel, status)
  values ('33333333-3333-4333-8333-333333333333', '11111111-1111-4111-8111-111111111111', 'sms', 'delivered')";

async fn world() -> World {
    let world = World::new().await;
    run(&world.user, DELIVERIES).await;
    let buildos = Migrator::embedded().with_preset(Preset::named("buildos"));
    buildos.run(world.db.dsn()).await.unwrap();
    world
}

/// The URL of links, as a daemon keeps it.
async fn with_url(world: &World) {
    let keep = "insert into punctual.settings (link_url) values ('https://go.example')
                on conflict (one) do update set link_url = excluded.link_url";
    run(&world.unseen, keep).await;
}

async fn link(world: &World, to: &str) -> String {
    let sql = format!("select create_tracking_link('{DELIVERY}', '{to}')");
    one(&world.user, &sql).await
}

/// What following a code answers: where it leads, or that it is over; nothing if it is unknown.
async fn followed(world: &World, code: &str, counts: bool) -> Option<(String, bool)> {
    let sql = "select destination, is_over from punctual.click_link($1, $2)";
    let row = world.user.query_opt(sql, &[&code, &counts]).await.unwrap();
    row.map(|row| (row.get(0), row.get(1)))
}

async fn counted(world: &World, code: &str) -> String {
    let sql = format!(
        "select concat_ws(' ', click_count, first_clicked_at is not null, first_clicked_at = last_clicked_at)
           from notification_tracking_links where short_code = '{code}'"
    );
    one(&world.unseen, &sql).await
}

#[tokio::test]
async fn codes_are_drawn_of_all_letters_alike_and_a_taken_one_is_drawn_again() {
    let world = world().await;
    let shapes = "select bool_and(c ~ '^[0-9A-Za-z]{6}$') and count(distinct c) = 400
                    from (select generate_short_code() as c from generate_series(1, 400)) c";
    assert!(one::<bool>(&world.user, shapes).await);
    // Sixteen thousand letters: of each some 258, and of none twice or half as many.
    let even = "select count(*) || ' ' || (min(n) > 130 and max(n) < 400)
                  from (select l, count(*) as n
                          from (select generate_short_code(32) as c from generate_series(1, 500)) drawn,
                               lateral regexp_split_to_table(drawn.c, '') as l
                         group by l) g";
    assert_eq!(one::<String>(&world.user, even).await, "62 true");
    for wrong in ["3", "33", "null"] {
        let sql = format!("select generate_short_code({wrong})");
        let error = world.user.batch_execute(&sql).await.unwrap_err();
        assert!(said(&error).contains("PT422"), "{}", said(&error));
    }
    // Of the codes that are drawn, the first two are taken.
    let taken = format!(
        "insert into notification_tracking_links (short_code, delivery_id, destination_url)
         values ('aaaaaaaa', '{DELIVERY}', 'https://a.example'), ('bbbbbbbb', '{DELIVERY}', 'https://a.example');
         create sequence drawn;
         create or replace function punctual.short_code(length int) returns text language sql volatile
         as $$ select repeat(substr('abc', nextval('public.drawn')::int, 1), length) $$"
    );
    run(&world.unseen, &taken).await;
    assert_eq!(link(&world, "https://a.example/1").await, "cccccccc");
}

#[tokio::test]
async fn a_link_leads_to_the_web_and_to_nothing_else() {
    let world = world().await;
    let refused = async |delivery: &str, to: &str| {
        let sql = format!("select create_tracking_link({delivery}, {to})");
        let error = world.user.batch_execute(&sql).await.unwrap_err();
        said(&error)
    };
    let delivery = format!("'{DELIVERY}'");
    for to in [
        "javascript:alert(1)",
        "ftp://a.example/",
        "//a.example/",
        "https://",
        "https:///a",
        "https://a.example/ b",
        "https://a.example@evil.example/",
        "https:\\\\evil.example",
        "https://a.example\\@evil.example",
    ] {
        let error = refused(&delivery, &format!("'{to}'")).await;
        assert!(
            error.contains("PT422") && !error.contains("evil"),
            "{to}: {error}"
        );
    }
    for (delivery, to) in [
        (&*delivery, "null"),
        (&*delivery, "''"),
        ("null", "'https://a.example'"),
    ] {
        assert!(
            refused(delivery, to)
                .await
                .contains("needs a delivery and a destination")
        );
    }
    let none = "'44444444-4444-4444-8444-444444444444'";
    assert!(refused(none, "'https://a.example'").await.contains("23503"));
    let code = link(&world, "HTTPS://app.example:8443/a?b=c#d").await;
    assert_eq!(code.len(), 8);
    let to = "HTTPS://app.example:8443/a?b=c#d".to_owned();
    assert_eq!(followed(&world, &code, false).await, Some((to, false)));
    // It goes with its delivery.
    run(
        &world.unseen,
        "reset session_replication_role; delete from notification_deliveries",
    )
    .await;
    assert_eq!(followed(&world, &code, true).await, None);
}

#[tokio::test]
async fn a_click_is_counted_and_moves_its_delivery_once() {
    let world = world().await;
    let code = link(&world, "https://app.example/").await;
    let delivery = "select concat_ws(' ', status, opened_at is not null, clicked_at is not null) from notification_deliveries";
    followed(&world, &code, false).await.unwrap();
    assert_eq!(counted(&world, &code).await, "0 f");
    assert_eq!(
        one::<String>(&world.unseen, delivery).await,
        "delivered f f"
    );
    followed(&world, &code, true).await.unwrap();
    assert_eq!(counted(&world, &code).await, "1 t t");
    assert_eq!(one::<String>(&world.unseen, delivery).await, "clicked t t");
    followed(&world, &code, true).await.unwrap();
    assert_eq!(counted(&world, &code).await, "2 t f");
    assert_eq!(followed(&world, "ABCD1234", true).await, None);

    // After 90 days, or as the row says.
    let made = "update notification_tracking_links set created_at = now() - interval '91 days'";
    run(&world.unseen, made).await;
    let is_over = async || followed(&world, &code, true).await.unwrap().1;
    assert!(is_over().await);
    assert_eq!(counted(&world, &code).await, "2 t f", "not counted");
    for (expires_at, expected) in [
        ("now() + interval '1 h'", false),
        ("now() - interval '1 s'", true),
        ("'some day'::text", true),
    ] {
        let set = format!(
            "update notification_tracking_links set metadata = jsonb_build_object('expires_at', {expires_at})"
        );
        run(&world.unseen, &set).await;
        assert_eq!(is_over().await, expected, "{expires_at}");
    }
    // One that another session has locked leads there all the same.
    run(
        &world.unseen,
        "update notification_tracking_links set metadata = null, created_at = now()",
    )
    .await;
    let holder = world.db.client().await;
    run(
        &holder,
        "begin; update notification_tracking_links set click_count = 7",
    )
    .await;
    run(&world.user, "set lock_timeout = '10ms'").await;
    assert!(!is_over().await);
    run(&holder, "rollback").await;
    assert!(!is_over().await);
    assert!(
        counted(&world, &code).await.starts_with("4 "),
        "that of the locked one is lost"
    );
}

/// What the app writes, and what is in the row then.
async fn written(
    world: &World,
    delivery: Option<&str>,
    metadata: &str,
    text: &str,
) -> (Uuid, String) {
    let delivery = delivery.map_or_else(|| "null".to_owned(), |id| format!("'{id}'"));
    let sql = format!(
        "insert into sms_messages (user_id, phone_number, message_content, status, scheduled_for, notification_delivery_id, metadata)
         values ('{USER}', '+13105550101', $1, 'scheduled', now(), {delivery}, '{metadata}') returning id, message_content"
    );
    let row = world.user.query_one(&sql, &[&text]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn texts_of_deliveries_get_short_links_and_no_others_do() {
    let world = world().await;
    let text = "Ready (https://app.example/b/1_(x)), see https://app.example/b/1_(x)! Or http://b.example/?q=1, or no link";
    let of = Some(DELIVERY);
    assert_eq!(
        written(&world, of, "{}", text).await.1,
        text,
        "no URL is set"
    );
    with_url(&world).await;
    assert_eq!(written(&world, None, "{}", text).await.1, text);
    let asked = r#"{"shorten_links": false}"#;
    assert_eq!(written(&world, of, asked, text).await.1, text);
    let code = "[0-9A-Za-z]{8}";
    let (id, short) = written(&world, of, "{}", text).await;
    let shape = format!(
        "^Ready \\(https://go.example/l/({code})\\), see https://go.example/l/({code})! Or https://go.example/l/({code}), or no link$"
    );
    let shape = regex_lite::Regex::new(&shape).unwrap();
    let found = shape.captures(&short).unwrap_or_else(|| panic!("{short}"));
    assert_eq!(&found[1], &found[2], "one destination has one link");
    let leads = async |code: &str| followed(&world, code, false).await.unwrap().0;
    assert_eq!(leads(&found[1]).await, "https://app.example/b/1_(x)");
    assert_eq!(leads(&found[3]).await, "http://b.example/?q=1");
    // What is sent is what the row says, at each attempt.
    let message = format!(
        "select m.body from punctual.source_rows r join scheduled_messages m on m.id = r.message_id where r.key = '{id}'"
    );
    assert_eq!(one::<String>(&world.unseen, &message).await, short);
    // An edit keeps what is short already.
    let edit = format!(
        "update sms_messages set message_content = message_content || ' https://c.example' where id = '{id}'
         returning message_content"
    );
    let edited: String = one(&world.user, &edit).await;
    let new = edited.strip_prefix(&*short).unwrap();
    assert!(new.starts_with(" https://go.example/l/"), "{new}");
    run(
        &world.user,
        "update sms_messages set status = 'scheduled', metadata = '{}'",
    )
    .await;
    assert_eq!(one::<String>(&world.unseen, &message).await, edited);
    // A delivery that is not there: the text stays, and the app's row is written.
    let none = Some("44444444-4444-4444-8444-444444444444");
    run(&world.unseen, "alter table sms_messages drop constraint if exists sms_messages_notification_delivery_id_fkey").await;
    assert_eq!(written(&world, none, "{}", text).await.1, text);
}

#[tokio::test]
async fn only_the_apps_server_makes_links() {
    let world = world().await;
    // As on Supabase, where everybody may call what is new; seen by this transaction alone.
    let everybody = "begin; create role anon; create role authenticated; create role service_role;
         grant execute on function create_tracking_link(uuid, text), generate_short_code(int)
         to PUBLIC, anon, authenticated; call punctual.offer_links()";
    run(&world.unseen, everybody).await;
    let may = "select string_agg(r.rolname || ' ' || p.proname, ', ' order by r.rolname, p.proname)
                 from pg_proc p, pg_roles r
                where p.proname in ('create_tracking_link', 'generate_short_code', 'short_code', 'make_link', 'shorten_links',
                                    'click_link')
                  and r.rolname in ('anon', 'authenticated', 'service_role')
                  and has_function_privilege(r.oid, p.oid, 'execute')";
    assert_eq!(
        one::<String>(&world.unseen, may).await,
        "service_role create_tracking_link, service_role generate_short_code"
    );
    run(&world.unseen, "rollback").await;

    // A function of the app's with that name stays as it is.
    let own = "drop function generate_short_code(int);
               create function generate_short_code(length int default 6) returns text language sql as 'select ''own''::text'";
    run(&world.unseen, own).await;
    run(&world.unseen, "call punctual.offer_links()").await;
    assert_eq!(
        one::<String>(&world.user, "select generate_short_code()").await,
        "own"
    );
    assert_eq!(link(&world, "https://a.example").await.len(), 8);
    // Without the table there is nothing to follow, and nothing is refused.
    run(&world.unseen, "drop table notification_tracking_links").await;
    assert_eq!(followed(&world, "abcd1234", true).await, None);
}

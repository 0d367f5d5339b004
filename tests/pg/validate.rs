//! What the database says of a row that cannot be sent, when it is written.

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use punctual::message::{Address, Channel, E164, Moment, Sender};
use punctual::policy::{Rules, Validate, Zones};
use punctual::provider::twilio::CAPABILITIES;
use punctual::store::Days;
use tokio_postgres::{AsyncMessage, Client};

use crate::ours::{rules, store};
use crate::rows::{World, count, hearing, one, run, said};

const FINE: (&str, &str, &str, &str) = ("'+12025550003'", "null", "'hello'", "null");

fn insert(row: (&str, &str, &str, &str)) -> String {
    format!(
        "insert into scheduled_messages (to_number, from_number, body, timezone, scheduled_at)
         values ({}, {}, {}, {}, now() + interval '1 day')",
        row.0, row.1, row.2, row.3
    )
}

/// With the settings and the zones as a daemon writes them when it starts.
async fn world(validate: Validate) -> World {
    let world = World::new().await;
    let store = store(&world);
    let now = Moment::from_micros(1_767_258_000_000_000);
    store
        .keep_days(&Days::around(now, &Zones::bundled()))
        .await
        .unwrap();
    let settings = Rules {
        validate,
        ..rules()
    };
    store.keep_settings(&settings).await.unwrap();
    world
}

/// What is said against it; empty: nothing. In a world that refuses.
async fn objection(client: &Client, sql: &str) -> String {
    match client.batch_execute(sql).await {
        Ok(()) => String::new(),
        Err(error) => {
            let refusal = said(&error);
            assert!(refusal.ends_with("(PT422)"), "{sql}: {refusal}");
            refusal
        }
    }
}

#[tokio::test]
async fn the_database_reads_a_row_as_the_daemon_does() {
    let world = world(Validate::Refuse).await;
    let plus = |n: usize| format!("+{}", "1".repeat(n));
    let numbers = [
        "+12025550003",
        " +12025550003\t",
        "+12025550003\n",
        "(202) 555-0003",
        "2025550003",
        "0012025550003",
        "",
        " ",
        "+02025550003",
        "+1 202 555 0003",
        "+1202555000a",
        "+",
        "1-800-FLOWERS",
        "++12025550003",
        "\u{a0}+12025550003\u{2003}",
        "\u{200b}+12025550003",
    ]
    .map(str::to_owned);
    for number in numbers.iter().cloned().chain((5..18).map(plus)) {
        let refusal = objection(
            &world.user,
            &insert((&format!("'{number}'"), FINE.1, FINE.2, FINE.3)),
        )
        .await;
        assert_eq!(
            refusal.is_empty(),
            number.parse::<E164>().is_ok(),
            "{number:?}: {refusal}"
        );
    }
    let service = format!("MG{}", "0a".repeat(16));
    let senders = [
        "",
        "+15005550006",
        "12345",
        "12",
        "123456789",
        "ACME",
        "ACME 24-7",
        "ACME!",
        "ABCDEFGHIJKL",
        "1234 56",
        "+1500555000x",
        &service,
        &service[..33],
        "A_B+C&D",
        "\u{3000}ACME\u{b}",
        "\u{200b}ACME",
        "whatsapp:+14155238886",
        " whatsapp:+14155238886\n",
        "whatsapp: +14155238886",
        "whatsapp:+1415",
        "whatsapp:14155238886",
        "whatsapp:ACME",
        "WhatsApp:+14155238886",
        "whatsapp:",
        "whatsapp",
    ];
    for sender in senders {
        let refusal = objection(
            &world.user,
            &insert((FINE.0, &format!("'{sender}'"), FINE.2, FINE.3)),
        )
        .await;
        let pools = CAPABILITIES.sender_pools;
        let is_one = sender.is_empty() || Sender::parse(sender, pools).is_ok();
        assert_eq!(refusal.is_empty(), is_one, "{sender:?}: {refusal}");
    }
}

#[tokio::test]
async fn the_database_reads_zones_and_bodies_as_the_daemon_does() {
    let world = world(Validate::Refuse).await;
    let zones = Zones::bundled();
    for zone in [
        "",
        "Europe/Berlin",
        "europe/berlin",
        " UTC ",
        "PST",
        "GMT+2",
        "Mars/Olympus",
        "America/Los_Angeles",
        "CEST",
        "EST5EDT",
        "+02:00",
        "Berlin",
        "\u{85}UTC\u{a0}",
        "\u{a0}",
    ] {
        let refusal = objection(
            &world.user,
            &insert((FINE.0, FINE.1, FINE.2, &format!("'{zone}'"))),
        )
        .await;
        let name = zone.trim();
        let is_one = name.is_empty() || zones.names().any(|known| known.eq_ignore_ascii_case(name));
        assert_eq!(refusal.is_empty(), is_one, "{zone:?}: {refusal}");
    }
    for (body, is_one) in [
        ("''", false),
        ("E' \\n'", false),
        ("E'\\u00A0\\u2003'", false),
        ("E'\\u200B'", false),
        ("E'\\u2060 \\uFEFF\\u3164'", false),
        ("E'\\u200Bx\\uFEFF'", true),
        ("E'[BUBBLE]\\u200B[BUBBLE]'", false),
        ("repeat('ä', 1600)", true),
        ("repeat('ä', 1601)", false),
        // Each of its parts may be as long.
        ("repeat('ä', 1600) || '[BUBBLE] b'", true),
        ("'b[BUBBLE]' || repeat('ä', 1601)", false),
        ("'[BUBBLE] a [BUBBLE]'", true),
        ("E'[BUBBLE]\\n [BUBBLE]'", false),
    ] {
        let refusal = objection(&world.user, &insert((FINE.0, FINE.1, body, FINE.3))).await;
        assert_eq!(refusal.is_empty(), is_one, "{body}: {refusal}");
    }
    // As the running daemon divides texts: not at all, and at something else.
    for (separator, body, is_one) in [
        ("", "repeat('x', 1600) || '[BUBBLE] b'", false),
        ("", "'[BUBBLE]'", true),
        ("--", "repeat('x', 1600) || '-- b'", true),
        ("--", "'-- --'", false),
    ] {
        let set = format!("update punctual.settings set part_separator = '{separator}'");
        run(&world.unseen, &set).await;
        let refusal = objection(&world.user, &insert((FINE.0, FINE.1, body, FINE.3))).await;
        assert_eq!(refusal.is_empty(), is_one, "{separator} {body}: {refusal}");
    }
    // The text of one with variables is its template's.
    let from_template =
        "insert into scheduled_messages (to_number, body, scheduled_at, template_vars)
                         values ('+12025550003', '', now(), '{}')";
    assert_eq!(objection(&world.user, from_template).await, "");
}

/// One character too long before an @.
const LOCAL: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

const USER_ID: &str = "0a1b2c3d-0000-4000-8000-0123456789AB";

#[tokio::test]
async fn it_reads_the_recipient_of_each_channel_as_the_daemon_does() {
    let world = world(Validate::Refuse).await;
    let long = format!("https://a.example/{}", "x".repeat(2031));
    let addresses = [
        "+12025550003",
        "ada@example.com",
        " ada@example.com ",
        "ada@localhost",
        "ada",
        "a$d.a+b@x-y.example.co",
        "ada@-x.example",
        "ada@x-.example",
        "ada@x..example",
        "@x.example",
        "a da@x.example",
        "ä@x.example",
        &format!("{}@x.example", &LOCAL[1..]),
        &format!("{LOCAL}@x.example"),
        "it''s@x.example",
        USER_ID,
        &USER_ID[1..],
        &USER_ID.replace('-', ""),
        &format!("{{{USER_ID}}}"),
        "https://a.example",
        "http://a.example:80/b?c=d#e",
        "https://a.example?x",
        "http://[::1]:80/",
        "https://[]/",
        "https://",
        "https:///a",
        "ftp://a.example",
        "HTTPS://a.example",
        "https://me@a.example",
        "https://a.example:x",
        "https://a.example:",
        "https://a.example:123456",
        "https://a.example/ä",
        "https://a.example/a b",
        &long,
        &long[1..],
        &long[..2048],
    ];
    for channel in Channel::UNDERSTOOD {
        for address in addresses {
            let sql = format!(
                "insert into scheduled_messages (channel, to_number, body, scheduled_at)
                 values ('{}', '{address}', 'hello', now() + interval '1 day')",
                channel.as_str()
            );
            let refusal = objection(&world.user, &sql).await;
            let is_one = Address::parse(channel, &address.replace("''", "'")).is_ok();
            assert_eq!(
                refusal.is_empty(),
                is_one,
                "{channel:?} {address:?}: {refusal}"
            );
        }
    }
    for (channel, to, from, subject, why) in [
        (
            "push",
            "https://a.example",
            "'ACME'",
            "null",
            "from_number must be null",
        ),
        (
            "email",
            "a@b.example",
            "'ACME'",
            "null",
            "from_number must be the e-mail address",
        ),
        ("email", "a@b.example", "' shop@b.example '", "'Grüße'", ""),
        ("email", "a@b.example", "''", "repeat('ä', 255)", ""),
        (
            "email",
            "a@b.example",
            "null",
            "repeat('ä', 256)",
            "the subject has more than 255 characters",
        ),
        (
            "email",
            "a@b.example",
            "null",
            "E'one\\ntwo'",
            "or a line break",
        ),
        ("in_app", USER_ID, "null", "E'\\u0085'", ""),
        ("in_app", USER_ID, "null", "E'a\\u0085b'", "or a line break"),
        // Other channels have none.
        ("sms", "+12025550003", "null", "E'one\\ntwo'", ""),
    ] {
        let sql = format!(
            "insert into scheduled_messages (channel, to_number, from_number, subject, body, scheduled_at)
             values ('{channel}', '{to}', {from}, {subject}, 'hello', now())"
        );
        let refusal = objection(&world.user, &sql).await;
        let is_it = refusal.is_empty() == why.is_empty() && refusal.contains(why);
        assert!(is_it, "{sql}: {refusal}");
    }
}

/// Whatever the letters: those of addresses, and those around them.
#[tokio::test]
async fn an_email_address_is_one_for_the_database_if_it_is_one_for_the_daemon() {
    let world = world(Validate::Refuse).await;
    let form = "[ab.@'+ -]{0,5}[a.-]{0,3}@[ab.-]{0,4}\\.?[a-c]{0,3}[ \n]?";
    let form = proptest::string::string_regex(form).unwrap();
    let mut runner = TestRunner::deterministic();
    let mut of_both = [0, 0];
    let drawn = (0..400).map(|_| form.new_tree(&mut runner).unwrap().current());
    let written = ["ada..b@x.example", ".ada@x.example", "ada.@x.example"].map(str::to_owned);
    // As long as one may be, and longer.
    let long = [62, 63].map(|n| format!("{}.a@x.example", "a".repeat(n)));
    let addresses: Vec<String> = drawn.chain(written).chain(long).collect();
    for address in addresses {
        let sql = format!(
            "insert into scheduled_messages (channel, to_number, body, scheduled_at)
             values ('email', '{}', 'hello', now() + interval '1 day')",
            address.replace('\'', "''")
        );
        let refusal = objection(&world.user, &sql).await;
        let is_one = Address::parse(Channel::Email, &address).is_ok();
        assert_eq!(refusal.is_empty(), is_one, "{address:?}: {refusal}");
        of_both[usize::from(is_one)] += 1;
    }
    assert!(of_both.iter().all(|n| *n >= 20), "{of_both:?}");
}

#[tokio::test]
async fn what_is_refused_is_not_written_and_what_is_not_touched_is_not_judged() {
    let world = world(Validate::Refuse).await;
    let bad = insert(("'202'", FINE.1, FINE.2, FINE.3));
    let refusal = objection(&world.user, &bad).await;
    assert!(
        refusal.contains("cannot be sent: to_number must be + and the country code"),
        "{refusal}"
    );
    let two = bad.replace("values", "select * from (values")
        + ", ('+12025550003', null, '', null, now())) v";
    let refusal = objection(
        &world.user,
        &two.replace("now() + interval '1 day')", "now())"),
    )
    .await;
    assert!(refusal.contains("(and 1 more)"), "{refusal}");
    let none = "select count(*) from scheduled_messages";
    assert_eq!(one::<i64>(&world.user, none).await, 0);

    // What is there already may be annotated, moved, cancelled and corrected, and not made worse.
    let id = world.row_with("pending", ", timezone", ", 'PST'").await;
    let set = |what: &str| format!("update scheduled_messages set {what} where id = '{id}'");
    for fine in [
        "metadata = '{}'",
        "scheduled_at = now()",
        "status = 'cancelled'",
    ] {
        assert_eq!(objection(&world.user, &set(fine)).await, "", "{fine}");
    }
    assert_ne!(objection(&world.user, &set("status = 'pending'")).await, "");
    assert_eq!(
        objection(&world.user, &set("status = 'pending', timezone = 'UTC'")).await,
        ""
    );
    assert_ne!(objection(&world.user, &set("body = ''")).await, "");
    let upsert = format!(
        "insert into scheduled_messages (id, to_number, body, scheduled_at) values ('{id}', '+12025550003', {{}}, now())
         on conflict (id) do update set body = excluded.body"
    );
    assert_ne!(
        objection(&world.user, &upsert.replace("{}", "''")).await,
        ""
    );
    assert_eq!(
        objection(&world.user, &upsert.replace("{}", "'x'")).await,
        ""
    );
    // The app's history is not to be sent.
    let of_the_past = bad
        .replace("timezone,", "timezone, status,")
        .replace("null, now()", "null, 'sent', now()");
    assert_eq!(objection(&world.user, &of_the_past).await, "");
    // The daemon's own writes are not judged.
    let daemon = world.daemon().await;
    run(&daemon, &set("body = ''")).await;
}

#[tokio::test]
async fn with_warn_it_is_accepted_with_one_warning() {
    let world = world(Validate::Warn).await;
    run(
        &world.unseen,
        "do $$ begin create role validate_app; exception when duplicate_object or unique_violation then null; end $$;
         grant usage on schema public to validate_app; grant select, insert on scheduled_messages to validate_app",
    )
    .await;
    let (client, mut hears) = hearing(&world.db).await;
    run(&client, "set role validate_app").await;
    let many = "insert into scheduled_messages (to_number, body, scheduled_at)
                select case when n % 2 = 0 then '+12025550003' else '202' end, 'hello', now() from generate_series(1, 10) n";
    run(&client, many).await;
    run(&client, &insert(FINE)).await;
    run(&client, "do $$ begin raise warning 'end'; end $$").await;
    let mut warnings = Vec::new();
    while let Some(message) = hears.recv().await {
        if let AsyncMessage::Notice(notice) = message {
            if notice.message() == "end" {
                break;
            }
            warnings.push(notice.message().to_owned());
        }
    }
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let said = &warnings[0];
    assert!(
        said.starts_with("5 of the messages cannot be sent as they are (the first: "),
        "{said}"
    );
    assert!(!said.contains("202"), "{said}");
    let there = "select count(*) from scheduled_messages where status = 'pending'";
    assert_eq!(one::<i64>(&world.user, there).await, 11);
}

#[tokio::test]
async fn a_check_that_cannot_be_made_lets_the_row_pass() {
    let bad = insert(("'202'", FINE.1, "''", "'PST'"));
    for broken in [
        "drop table punctual.settings",
        "alter table punctual.settings rename validate to other",
        "drop table punctual.days",
        "alter table scheduled_messages drop column timezone",
    ] {
        let world = world(Validate::Refuse).await;
        run(&world.unseen, broken).await;
        let bad = if broken.contains("drop column") {
            bad.replace("timezone, ", "").replace("'PST', ", "")
        } else {
            bad.clone()
        };
        assert_eq!(count(&world.user, &bad, &[]).await, 1, "{broken}");
    }
    // No daemon has run yet: no setting, and no zone is known.
    let world = World::new().await;
    assert_eq!(count(&world.user, &bad, &[]).await, 1);
}

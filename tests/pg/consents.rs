//! The log of consents: what is recorded, what an opt-out adds, what is refused, and what is left of who is forgotten.

use punctual::message::Moment;
use punctual::store::consents::{self, Consent, NewConsent};
use punctual::store::forget::forget;

use crate::rows::{World, one, run, said};

const NUMBER: &str = "+13105550142";

#[tokio::test]
async fn consents_and_opt_outs_are_one_log_that_outlives_the_number() {
    let world = World::new().await;
    let client = &world.user;
    let new = NewConsent {
        recipient: "whatsapp:+1 (310) 555‑0142",
        how: "web form",
        shown: Some("I agree to \"texts\""),
        is_given: true,
        scope: "marketing",
        at: None,
    };
    let first = consents::record(client, &new).await.unwrap();
    let reply = "insert into punctual.suppressions (our_number, their_number, reason)
                 values ('+15005550006', '+13105550142', 'recipient opted out (STOP)') on conflict do nothing";
    run(client, reply).await;
    run(client, reply).await;
    run(
        client,
        "delete from punctual.suppressions where their_number = '+13105550142'",
    )
    .await;
    run(client, reply).await;
    let of = async |whom: Option<&str>| consents::page(client, 0, 100, whom).await.unwrap();
    let said = |rows: &[Consent]| -> Vec<String> {
        let row = |c: &Consent| format!("{} {} {}", c.is_given, c.scope, c.how);
        rows.iter().map(row).collect()
    };
    let all = [
        "true marketing web form",
        "false all recipient opted out (STOP)",
        "true transactional lifted: recipient opted out (STOP)",
        "false all recipient opted out (STOP)",
    ];
    let rows = of(Some("1-310-555-0142")).await;
    assert_eq!(said(&rows), all);
    assert_eq!((rows[0].id, &*rows[0].recipient), (first, NUMBER));
    assert_eq!(rows[0].shown.as_deref(), new.shown);
    assert_eq!(rows[1].our_number.as_deref(), Some("+15005550006"));
    assert_eq!(of(None).await, rows);
    assert_eq!(
        consents::page(client, first, 2, None).await.unwrap(),
        rows[1..3]
    );
    assert!(of(Some("+13105550143")).await.is_empty());

    let in_1989 = Moment::from_micros(631_151_999_000_000);
    for (wrong, why) in [
        (
            NewConsent {
                how: "",
                ..new.clone()
            },
            "how must have",
        ),
        (
            NewConsent {
                scope: "fun",
                ..new.clone()
            },
            "scope must be",
        ),
        (
            NewConsent {
                at: Some(Moment::from_micros(9_000_000_000_000_000)),
                ..new.clone()
            },
            "at must not be in the future",
        ),
        (
            NewConsent {
                at: Some(in_1989),
                ..new.clone()
            },
            "at must not be before 1990",
        ),
    ] {
        let error = consents::record(client, &wrong).await.unwrap_err();
        let error = format!("{error:?}");
        assert!(error.contains(why) && error.contains("PT422"), "{error}");
    }

    let forever = "select punctual_api.record_consent('+13105550142', 'x', at => '-infinity')";
    let error = client.batch_execute(forever).await.unwrap_err();
    assert!(format!("{error:?}").contains("PT422"), "{error:?}");

    // Who is forgotten: what was agreed stays, and is found by the number that somebody names, and shown by none.
    let forgotten = forget(client, NUMBER, false).await.unwrap();
    assert_eq!(forgotten.opt_outs, 1);
    let rows = of(Some(NUMBER)).await;
    assert_eq!(said(&rows), all);
    let named = "select count(*) from punctual.consents c where c::text like '%3105550142%'";
    assert_eq!(one::<i64>(client, named).await, 0);
    assert!(rows.iter().all(|row| row.recipient.starts_with('#')));
}

/// A number without its country would be another person's.
#[tokio::test]
async fn what_is_nobodys_address_is_not_recorded() {
    let world = World::new().await;
    let record = async |recipient: &str| {
        let new = NewConsent {
            recipient,
            how: "web form",
            shown: None,
            is_given: true,
            scope: "marketing",
            at: None,
        };
        consents::record(&world.user, &new).await
    };
    for recipient in [
        " ",
        "(310) 555-0100",
        "3105550100",
        "0049 170 1234567",
        "+0310 5550100",
        "+44 (0)20 7183 8750",
        "+1-800-FLOWERS",
        "+49 170/1234567",
        "+12345",
        "+1234567890123456",
        "not an address",
        "@",
        "a@b@c",
        "ada @example.com",
        "https://",
        "1234-abcd",
    ] {
        let error = record(recipient).await.unwrap_err();
        let error = format!("{error:?}");
        let is_named = error.contains("recipient must be a phone number that begins with +");
        assert!(is_named && error.contains("PT422"), "{recipient}: {error}");
    }
    for (recipient, kept) in [
        ("+1 (310) 555-0100", "+13105550100"),
        ("whatsapp:+49.170-1234567\n", "+491701234567"),
        ("Ada@Example.com", "ada@example.com"),
        ("https://push.example/Abc", "https://push.example/abc"),
        (
            "0F8FAD5B-D9CB-469F-A165-70867728950E",
            "0f8fad5b-d9cb-469f-a165-70867728950e",
        ),
    ] {
        let id = record(recipient).await.unwrap();
        let row = format!("select recipient from punctual.consents where id = {id}");
        assert_eq!(one::<String>(&world.user, &row).await, kept);
    }
}

/// By its owner, who has all rights.
#[tokio::test]
async fn the_log_stays_as_it_is_and_has_every_change_of_an_opt_out() {
    let world = World::new().await;
    let client = &world.user;
    for (their, reason) in [("+13105550142", "one"), ("+13105550143", "two")] {
        let sql = format!(
            "insert into punctual.suppressions (their_number, reason) values ('{their}', '{reason}')"
        );
        run(client, &sql).await;
    }
    let logged = "select string_agg(concat_ws(' ', right(recipient, 1), is_given, scope, how), E'\n' order by id)
                    from punctual.consents";
    let both = "2 f all one\n3 f all two";
    for refused in [
        "update punctual.consents set shown = 'else'",
        "delete from punctual.consents",
        "truncate punctual.consents",
    ] {
        let error = client.batch_execute(refused).await.unwrap_err();
        let error = said(&error);
        assert!(
            error.contains("PT409") && error.contains("never changed"),
            "{error}"
        );
        assert_eq!(one::<String>(client, logged).await, both);
    }
    for changed in [
        "update punctual.suppressions set reason = reason",
        "update punctual.suppressions set reason = 'other' where reason = 'one'",
        "update punctual.suppressions set their_number = '+13105550149' where reason = 'two'",
        "truncate punctual.suppressions",
    ] {
        run(client, changed).await;
    }
    let all = format!(
        "{both}\n2 f all other\n3 t transactional lifted: two\n9 f all two\n2 t transactional lifted: other\n\
         9 t transactional lifted: two"
    );
    assert_eq!(one::<String>(client, logged).await, all);
    let left = "select count(*) from punctual.suppressions";
    assert_eq!(one::<i64>(client, left).await, 0);
}

#[tokio::test]
async fn the_apps_server_records_and_nobody_else_reads_or_changes_the_log() {
    let world = World::new().await;
    run(
        &world.unseen,
        "do $$ begin create role consent_app; exception when duplicate_object or unique_violation then null; end $$;
         grant usage on schema punctual_api, punctual to consent_app;
         grant execute on function punctual_api.record_consent(text, text, text, boolean, text, timestamptz, uuid) to consent_app",
    )
    .await;
    let app = world.db.client().await;
    run(&app, "set role consent_app; set punctual.actor = 'ada'").await;
    run(
        &app,
        "select punctual_api.record_consent('ada@example.com', 'paper', given => false)",
    )
    .await;
    for denied in [
        "select from punctual.consents",
        "update punctual.consents set how = 'x'",
        "delete from punctual.consents",
        // By the offered function alone, which not everybody may call who sees the schema.
        "select punctual.consent_for_app('ada@example.com', 'paper', null, true, 'all', null, null)",
    ] {
        let error = app.batch_execute(denied).await.unwrap_err();
        assert!(said(&error).contains("42501"), "{denied}");
    }
    let row = "select concat_ws(' ', recipient, is_given, scope, actor) from punctual.consents";
    assert_eq!(
        one::<String>(&world.user, row).await,
        "ada@example.com f marketing ada"
    );
}

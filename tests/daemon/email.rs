//! E-mail as the built daemon sends it: to a real SMTP server, by STARTTLS and with a login, and judged by Python's
//! parser. Where the server is not to be had the test is skipped.

use uuid::Uuid;

use crate::daemon::until;
use crate::smtp_server::{PASSWORD, SmtpServer, USER};
use crate::world::World;

async fn insert(world: &World, columns: &str, values: &str) -> Uuid {
    let sql = format!(
        "insert into scheduled_messages (channel, scheduled_at, {columns}) values ('email', clock_timestamp(), {values})
         returning id"
    );
    world.app.query_one(&sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn an_email_arrives_as_it_was_scheduled() {
    let Some(mut server) = SmtpServer::start().await else {
        return;
    };
    let url = format!("smtp://localhost:{}", server.port);
    let settings = [
        ("PUNCTUAL_SMTP", &*url),
        ("PUNCTUAL_SMTP_USER", USER),
        ("PUNCTUAL_SMTP_PASSWORD", PASSWORD),
        ("PUNCTUAL_SMTP_FROM", "Zoë's Shop <shop@example.com>"),
        (
            "PUNCTUAL_UNSUBSCRIBE_URL",
            "https://shop.example/unsubscribe?who={to}",
        ),
        ("SSL_CERT_FILE", server.certificate.to_str().unwrap()),
    ];
    let world = World::new([]).await.with(&settings);
    let daemon = world.daemon().await;

    // Its judge finds all of it again: lines of dots, long ones, and letters of any language.
    let text = format!(".\n..two\nGrüße 👋, {}\n\nend", "x".repeat(1_200));
    let id = insert(
        &world,
        "to_number, subject, body",
        &format!("'ada@example.com', 'Grüße: Ihr Paket 📦 kommt am Dienstag zwischen neun und zwölf Uhr', '{text}'"),
    )
    .await;
    let mail = server.mail().await;
    assert_eq!(mail["defects"], serde_json::json!([]));
    assert_eq!(mail["tls"], true);
    assert_eq!(mail["sender"], "shop@example.com");
    assert_eq!(mail["recipients"], serde_json::json!(["ada@example.com"]));
    assert_eq!(mail["from"], "Zoë's Shop <shop@example.com>");
    assert_eq!(mail["to"], "ada@example.com");
    assert_eq!(
        mail["subject"],
        "Grüße: Ihr Paket 📦 kommt am Dienstag zwischen neun und zwölf Uhr"
    );
    assert_eq!(mail["type"], "text/plain");
    let arrived = mail["text"].as_str().unwrap().replace("\r\n", "\n");
    assert_eq!(arrived.trim_end(), text);
    assert!(mail["longest"].as_u64().unwrap() <= 998, "{mail}");
    let unsubscribe = "<https://shop.example/unsubscribe?who=ada%40example.com>";
    assert_eq!(mail["unsubscribe"], unsubscribe);
    let row = world.becomes(id, "sent").await;
    let sid = row.sid.unwrap();
    assert_eq!(mail["id"], format!("<{sid}@example.com>"));

    // A sender of its own, and a subject with variables.
    let template = "insert into sms_templates (template_key, name, message_template)
                    values ('order', 'Order', 'Order {{n}} is on its way.') returning id";
    let template: Uuid = world.app.query_one(template, &[]).await.unwrap().get(0);
    let id = insert(
        &world,
        "to_number, from_number, subject, body, template_id, template_vars",
        &format!("'ada@example.com', 'orders@example.com', 'Order {{{{n}}}}', '', '{template}', '{{\"n\": 4711}}'"),
    )
    .await;
    let mail = server.mail().await;
    assert_eq!(mail["sender"], "orders@example.com");
    assert_eq!(mail["subject"], "Order 4711");
    assert_eq!(
        mail["text"].as_str().unwrap().trim_end(),
        "Order 4711 is on its way."
    );
    world.becomes(id, "sent").await;

    html_beside_the_text(&world, &mut server, template).await;

    // One that nobody has, and one that is accepted the second time.
    let nobody = insert(&world, "to_number, body", "'nobody@example.com', 'hello'").await;
    let row = world.becomes(nobody, "failed").await;
    let why = "5.1.1 [address] Recipient address rejected: User unknown (Code: 550)";
    assert_eq!(row.error.as_deref(), Some(why));
    assert_eq!(row.code, Some(550));
    let grey = insert(&world, "to_number, body", "'grey@example.com', 'hello'").await;
    assert_eq!(server.mail().await["to"], "grey@example.com");
    world.becomes(grey, "sent").await;
    // One that no server takes is known before it is sent.
    let odd = insert(&world, "to_number, body", "'a..b@example.com', 'hello'").await;
    let row = world.becomes(odd, "failed").await;
    let why = row.error.unwrap();
    assert!(why.contains("it is not an e-mail address"), "{why}");
    let (_, printed, _) = world.call(&["doctor", "--online", "--verbose"]).await;
    assert!(
        printed.contains("accepts the connection and the login"),
        "{printed}"
    );

    // Nobody is texted but by the text, and no conversation has an e-mail.
    let texts = "select count(*) from messages where body <> 'Order 8 is on its way.'";
    let texts = world.app.query_one(texts, &[]).await.unwrap();
    assert_eq!(texts.get::<_, i64>(0), 0);
    // What cannot be a subject fails, and a text needs no subject.
    let broken = insert(
        &world,
        "to_number, subject, body, template_vars, template_id",
        &format!("'ada@example.com', 'Order {{{{n}}}}', '', '{{\"n\": \"1\\nBcc: all@example.com\"}}', '{template}'"),
    )
    .await;
    let row = world.becomes(broken, "failed").await;
    let why = "the subject has a line break or a control character";
    assert_eq!(row.error.as_deref(), Some(why));
    daemon.stop().await;
    let world = world.with(&[("PUNCTUAL_SMTP_PASSWORD", "another one")]);
    refused_login(&world).await;
}

/// The app's table may have a column for it.
async fn html_beside_the_text(world: &World, server: &mut SmtpServer, template: Uuid) {
    let sql = "alter table sms_templates add column html_template text";
    world.app.batch_execute(sql).await.unwrap();
    let html =
        "<html><body><p title=\"{{who}}\">Grüße, <b>{{ who }}</b>: {{n}}</p>{{none}}</body></html>";
    let sql = "update sms_templates set html_template = $1 where id = $2";
    world.app.execute(sql, &[&html, &template]).await.unwrap();
    let id = insert(
        world,
        "to_number, body, template_id, template_vars, media_urls",
        &format!(
            r#"'ada@example.com', '', '{template}', '{{"n": 7, "who": "<Ada> & \"B''ob\""}}',
               array['https://a.example/?b&c']"#
        ),
    )
    .await;
    let mail = server.mail().await;
    assert_eq!(mail["defects"], serde_json::json!([]));
    assert_eq!(mail["type"], "multipart/alternative");
    assert_eq!(
        mail["alternatives"],
        serde_json::json!(["text/plain", "text/html"])
    );
    let text = mail["text"].as_str().unwrap().replace("\r\n", "\n");
    assert_eq!(
        text.trim_end(),
        "Order 7 is on its way.\n\nhttps://a.example/?b&c"
    );
    let shown = mail["html"].as_str().unwrap().replace("\r\n", "\n");
    let who = "&lt;Ada&gt; &amp; &quot;B&#39;ob&quot;";
    let link = "<p><a href=\"https://a.example/?b&amp;c\">https://a.example/?b&amp;c</a></p>\n";
    let expected =
        format!("<html><body><p title=\"{who}\">Grüße, <b>{who}</b>: 7</p>{link}</body></html>");
    assert_eq!(shown.trim_end(), expected);
    world.becomes(id, "sent").await;
    // A text has none.
    let sql =
        "insert into scheduled_messages (to_number, body, scheduled_at, template_id, template_vars)
               values ('+13105551234', '', clock_timestamp(), $1, '{\"n\": 8}') returning id";
    let texted: Uuid = world.app.query_one(sql, &[&template]).await.unwrap().get(0);
    world.becomes(texted, "sent").await;
    let broken = "update sms_templates set html_template = '<p>{{n</p>'";
    world.app.batch_execute(broken).await.unwrap();
    let columns = "to_number, body, template_id, template_vars";
    let values = format!("'ada@example.com', '', '{template}', '{{\"n\": 9}}'");
    let id = insert(world, columns, &values).await;
    let row = world.becomes(id, "failed").await;
    let why = row.error.unwrap();
    assert!(why.contains("html_template has a {{"), "{why}");
    let none = "update sms_templates set html_template = null";
    world.app.batch_execute(none).await.unwrap();
}

/// A password that is wrong holds all e-mails, and no texts.
async fn refused_login(world: &World) {
    let mut daemon = world.daemon().await;
    let held = insert(world, "to_number, body", "'ada@example.com', 'held'").await;
    daemon.says("the provider refuses the account").await;
    let texted = world.insert("a text", 0).await;
    world.arrived_once(texted).await;
    until("it waits", async || {
        let row = world.row(held).await.unwrap();
        (row.status == "pending" && row.code == Some(535)).then_some(())
    })
    .await;
    assert!(!daemon.stop().await.contains(PASSWORD));
}

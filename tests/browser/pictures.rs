//! The pictures of the page in the README and in `docs/`, with `BROWSER_README` as the folder for them.

use crate::Eyes;
use crate::daemon;
use crate::standin::Act;
use crate::world::World;

/// A part of a working day: what has ended, and what waits. One goes out a second while the pictures are taken.
const DAY: &str = "
    set session_replication_role = replica;
    insert into scheduled_messages (to_number, body, message_type, scheduled_at, status, error_message, cancel_reason,
                                    twilio_sid, sent_at)
    select '+1310555' || 1000 + n, 'ended', case when n % 5 = 0 then 'brief' else 'reminder' end,
           now() - n * interval '20 s', s,
           case s when 'unconfirmed' then 'no certain response' end,
           case s when 'cancelled' then 'the recipient has opted out' end,
           case when s in ('sent', 'delivered') then 'SM' || md5(n::text) end,
           case when s in ('sent', 'delivered') then now() - n * interval '20 s' end
      from (select n, case when n % 97 = 3 then 'cancelled' when n = 31 then 'unconfirmed'
                           when n % 2 = 0 then 'delivered' else 'sent' end as s
              from generate_series(1, 900) n) ended;
    set session_replication_role = origin;
    insert into scheduled_messages (to_number, body, message_type, scheduled_at)
    select '+1310555' || 2000 + n, 'hello', case when n % 4 = 0 then 'brief' else 'reminder' end,
           now() + case when n < 120 then n * interval '1.5 s' else (n - 111) * interval '20 s' end
      from generate_series(1, 700) n";

#[tokio::test]
#[ignore = "needs a browser: tests/browser/run"]
async fn pictures_of_the_page_for_the_docs() {
    let Some(folder) = std::env::var_os("BROWSER_README") else {
        return;
    };
    let folder = folder.to_str().unwrap();
    let token = ("PUNCTUAL_OPERATOR_TOKEN", daemon::OPERATOR_TOKEN);
    let refusals =
        std::iter::repeat_with(|| Act::refuse(400, 21211, "Invalid 'To' Phone Number")).take(4);
    let world = World::new(refusals).await.with(&[token]);
    world.db.client().await.batch_execute(DAY).await.unwrap();
    let (daemon, other) = (world.daemon().await, world.daemon().await);
    let link = format!("http://{}/login?token={}", daemon.addr(), token.1);
    let mut eyes = Eyes::open(&link).await;
    eyes.see(&["sees", "2 instances run"]).await;
    eyes.see(&["sees", "failed today: invalid number"]).await;
    // Some have gone out.
    let sent = daemon::until("some are sent", async || {
        let sql =
            "select min(id::text) from scheduled_messages where body = 'hello' and status = 'sent'
                   having count(*) >= 20";
        let row = world.app.query_opt(sql, &[]).await.unwrap();
        row.map(|row| row.get::<_, String>(0))
    })
    .await;
    for scheme in ["light", "dark"] {
        let path = format!("{folder}/page-{scheme}.png");
        eyes.see(&["picture", &path, "1280", "1240", scheme]).await;
    }
    let path = format!("{folder}/page-phone.png");
    eyes.see(&["picture", &path, "400", "900", "light"]).await;
    eyes.see(&["visit", &format!("/messages/{sent}")]).await;
    eyes.see(&["sees", "the provider accepted it"]).await;
    let path = format!("{folder}/page-story.png");
    eyes.see(&["picture", &path, "1000", "760", "light"]).await;
    other.stop().await;
    daemon.stop().await;
}

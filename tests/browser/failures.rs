//! How soon the page shows that messages fail.

use std::time::Duration;

use crate::world::World;
use crate::{Eyes, daemon, link};

/// Of a thousand messages with a variable too few all have failed: what the page then asks next shows that.
#[tokio::test]
#[ignore = "needs a browser: tests/browser/run"]
async fn a_thousand_failures_are_named_by_the_next_that_the_page_asks() {
    let world = World::new([]).await;
    let template = "insert into sms_templates (template_key, message_template, required_vars)
                    values ('greets', 'Hello {{name}}', '[\"name\"]')";
    world.app.batch_execute(template).await.unwrap();
    let daemon = world.daemon().await;
    let mut eyes = Eyes::open(&link(&daemon)).await;
    eyes.see(&["sees", "No upcoming messages."]).await;
    eyes.see(&["absent", "#need-list li"]).await;
    let fail =
        "insert into scheduled_messages (to_number, body, scheduled_at, template_vars, template_id)
                select '+13105551234', '', clock_timestamp(), '{}', t.id
                  from sms_templates t, generate_series(1, 1000)
                 where t.template_key = 'greets'";
    world.app.batch_execute(fail).await.unwrap();
    let failed =
        "select (extract(epoch from max(updated_at)) * 1000)::float8 from scheduled_messages
                  having count(*) = count(*) filter (where status = 'failed')";
    let last: f64 = daemon::until("all have failed", async || {
        let row = world.app.query_opt(failed, &[]).await.unwrap();
        row.map(|row| row.get(0))
    })
    .await;
    let before: u32 = eyes.see(&["whys"]).await.parse().unwrap();
    let report = eyes
        .see(&["needed", "1,000 messages failed today: template"])
        .await;
    let (asked, at) = report.split_once(' ').unwrap();
    let after = Duration::from_secs_f64((at.parse::<f64>().unwrap() - last).max(0.0) / 1000.0);
    println!("figure: shown {after:.1?} after the last of 1,000 had failed");
    // The one that is on its way may be of a moment before, and the browser may be slow to say what it sees.
    let asked = asked.parse::<u32>().unwrap() - before;
    assert!(asked <= 2, "it asked {asked} times until it showed them");
    eyes.see(&["clean"]).await;
    daemon.stop().await;
}

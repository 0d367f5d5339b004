//! What writing to these tables costs does not depend on how large they are.

use punctual::store::connect::prepare_session;

use super::{TABLES, described, map};
use crate::plans::{FIXED, PLANNED, ROWS, blocks, statements};
use crate::rows::{World, run};

/// Each statement that writes to them: how much of it, and the blocks that each of these may need.
const CASES: [(&str, &str, u64); 4] = [
    (
        "app/write_sent",
        "plans.ids('sent'), plans.same(null::uuid), plans.texts('text'), plans.numbers(), plans.numbers(), plans.texts('SM new'), plans.same(now())",
        60,
    ),
    ("app/write_statuses", "plans.sids('sent')", 45),
    ("ledger/look_up_known_mapped", "plans.texts('SM')", 15),
    (
        "app/write_reply",
        "'SM-new', '+13000000001', '+15005550006', 'hello', now()",
        4,
    ),
];

#[tokio::test]
async fn tables_of_another_shape_cost_by_key_too() {
    let world = World::new().await;
    run(&world.user, TABLES).await;
    map(&world, described()).await.unwrap();
    run(&world.unseen, include_str!("../plans/names.sql")).await;
    let daemon = world.db.client().await;
    prepare_session(&daemon).await.unwrap();
    let all = statements();
    let executing = |name: &str, asks: &str| format!("execute {}({asks})", name.replace('/', "_"));
    for (name, asks, _) in CASES {
        let (_, sql) = all.iter().find(|(found, _)| found == name).unwrap();
        run(
            &daemon,
            &format!("prepare {} as {sql}", name.replace('/', "_")),
        )
        .await;
        for _ in 0..PLANNED {
            blocks(&daemon, &executing(name, asks)).await;
        }
    }
    let grow = format!(
        "insert into people (tel) select '1 ' || 3000000000 + n from generate_series(1, {ROWS}) n;
         insert into threads (tel, tenant) select '(' || left(3000000000 + n || '', 3) || ') ' || right(3000000000 + n || '', 7), 1
           from generate_series(1, {ROWS}) n;
         insert into texts (thread, d, st, tenant, seen, sid)
         select n, 'o', 'x', 1, true, case when n <= 20 then plans.sid('sent', n) else n || '' end from generate_series(1, {ROWS}) n;
         insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome, provider_sid, message_status)
         select plans.token('sent', n), plans.id('sent', n), 1, plans.id('i', 1), now(), 'accepted', plans.sid('sent', n), 'sent'
           from generate_series(1, {ROWS}) n;"
    );
    run(&world.unseen, &grow).await;
    for (name, asks, each) in CASES {
        blocks(&daemon, &executing(name, asks)).await;
        let needed = blocks(&daemon, &executing(name, asks)).await;
        let most = FIXED + 20 * each;
        println!("{needed:5} of {most:5}  {name}");
        assert!(needed.unsigned_abs() <= most, "{name}: {needed} blocks");
    }
}

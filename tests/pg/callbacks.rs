//! Many callbacks at once: they come together in groups, and none holds up the others.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use punctual::message::{
    AttemptToken, Channel, Claim, Delivery, Failure, InstanceId, LaneKey, MessageId, Parties,
    ProviderSid, Retry, Scope,
};
use punctual::metrics::{Counter, Metrics};
use punctual::proof::{About, ProviderStatus, Report};
use punctual::provider::{BadCallback, Callback, CallbackRequest, Callbacks};
use punctual::reactor::Input;
use punctual::receipt::{CallbackHandler, CallbackRejected};
use punctual::store::receipts::Received;
use punctual::store::{Dsn, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::ours::{accepted, recorded, sid, store, won};
use crate::rows::{World, one, run};

/// A provider that posts a message's id, its token and how far it has come.
struct Post;

impl Callbacks for Post {
    fn paths(&self) -> Vec<String> {
        vec!["/post".to_owned()]
    }

    fn read(&self, request: &CallbackRequest<'_>) -> Result<Callback, BadCallback> {
        let unreadable = BadCallback::Malformed("a callback has three words");
        let text = std::str::from_utf8(request.body).map_err(|_| unreadable)?;
        let [message, token, word] = text.split(' ').collect::<Vec<_>>()[..] else {
            return Err(unreadable);
        };
        let (message, token): (Uuid, Uuid) = (message.parse().unwrap(), token.parse().unwrap());
        let delivery = match word {
            "sent" => Delivery::Sent,
            "delivered" => Delivery::Delivered,
            "failed" => Delivery::Failed(Failure::UNEXPLAINED),
            "limited" => Delivery::Undelivered(Failure {
                retry: Retry::After {
                    base: Duration::from_secs(60),
                    slows: Some(Scope::Sender),
                },
                ..Failure::UNEXPLAINED
            }),
            _ => return Err(unreadable),
        };
        let status = ProviderStatus {
            delivery,
            word: delivery.stage().as_str(),
            ..ProviderStatus::TAKEN
        };
        Ok(Callback::Report(Report {
            lane: LaneKey::default(),
            about: About::Attempt {
                message: MessageId(message),
                token: AttemptToken(token),
            },
            sid: ProviderSid(format!("SM{}", token.simple())),
            status,
            from: Some(FROM.into()),
            to: Some(TO.into()),
        }))
    }
}

/// The same for another account.
struct PostOfEu;

impl Callbacks for PostOfEu {
    fn paths(&self) -> Vec<String> {
        vec!["/post/eu".to_owned()]
    }

    fn read(&self, request: &CallbackRequest<'_>) -> Result<Callback, BadCallback> {
        let mut callback = Post.read(request)?;
        if let Callback::Report(report) = &mut callback {
            report.lane = LaneKey::default().with_account("eu");
        }
        Ok(callback)
    }
}

const FROM: &str = "+15005550006";
const TO: &str = "+13105550001";

fn handler(store: Store) -> CallbackHandler {
    CallbackHandler::new(vec![Arc::new(Post)], store, Arc::default(), Arc::default())
}

async fn post(
    handler: &CallbackHandler,
    claim: &Claim,
    word: &str,
) -> Result<(), CallbackRejected> {
    post_to(handler, "/post", claim, word).await
}

async fn post_to(
    handler: &CallbackHandler,
    path: &str,
    claim: &Claim,
    word: &str,
) -> Result<(), CallbackRejected> {
    let body = format!("{} {} {word}", claim.id, claim.token);
    let request = CallbackRequest {
        path_and_query: path,
        header: &|_| None,
        body: body.as_bytes(),
    };
    handler.take(&request).await
}

/// So many messages that the provider has taken.
async fn sent(world: &World, n: usize) -> Vec<Claim> {
    let insert = format!(
        "insert into scheduled_messages (to_number, from_number, body, scheduled_at)
         select '+1310555' || lpad(n::text, 4, '0'), '+15005550006', 'hello', now()
           from generate_series(1, {n}) n"
    );
    run(&world.user, &insert).await;
    let rows = world
        .user
        .query("select id from scheduled_messages order by id", &[])
        .await;
    let ids: Vec<Uuid> = rows.unwrap().iter().map(|row| row.get(0)).collect();
    let store = store(world);
    let mut claims = Vec::new();
    for ids in ids.chunks(250) {
        let claimed = won(&store, ids).await;
        let records: Vec<_> = claimed.iter().map(accepted).collect();
        assert_eq!(recorded(&store, &records).await, records.len());
        claims.extend(claimed);
    }
    claims
}

async fn delivered(world: &World) -> i64 {
    let both =
        "select count(*) from scheduled_messages m join messages a on a.twilio_sid = m.twilio_sid
                 where m.status = 'delivered' and a.status = 'delivered'";
    one(&world.unseen, both).await
}

/// What came in while others were recorded is recorded together: not by the clock, but by the
/// transactions that it took.
#[tokio::test]
async fn what_has_come_in_meanwhile_is_one_group() {
    let world = World::new().await;
    let claims = sent(&world, 200).await;
    let handler = handler(store(&world));
    let posts = claims.iter().flat_map(|claim| {
        ["sent", "delivered", "delivered"].map(|word| post(&handler, claim, word))
    });
    let answers = join_all(posts).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(delivered(&world).await, 200);
    let kept = "select string_agg(n || ' ' || status, ', ' order by status)
                  from (select status, count(*) as n from punctual.receipts group by 1) t";
    let kept: String = one(&world.unseen, kept).await;
    assert_eq!(kept, "200 delivered, 200 sent");
    // By what wrote them: other databases of this server have transactions at the same time.
    let groups = "select count(distinct xmin::text) from punctual.receipts";
    let groups: i64 = one(&world.unseen, groups).await;
    assert!(groups < 50, "{groups} groups for 600 callbacks");
}

#[tokio::test]
async fn one_that_the_table_refuses_holds_up_no_other() {
    let world = World::new().await;
    let claims = sent(&world, 50).await;
    let poisoned = claims[17].id;
    let refuse = format!(
        "create function refuse() returns trigger language plpgsql as
         $$ begin raise exception 'not this one'; end $$;
         create trigger refuse before update on scheduled_messages
         for each row when (new.id = '{poisoned}') execute function refuse()"
    );
    run(&world.user, &refuse).await;
    let handler = handler(store(&world));
    let posts = claims
        .iter()
        .map(|claim| post(&handler, claim, "delivered"));
    let answers = join_all(posts).await;
    let refused: Vec<usize> = (0..50).filter(|n| answers[*n].is_err()).collect();
    assert_eq!(refused, [17], "{answers:?}");
    assert_eq!(delivered(&world).await, 49);
    run(&world.user, "drop trigger refuse on scheduled_messages").await;
    post(&handler, &claims[17], "delivered").await.unwrap();
    assert_eq!(delivered(&world).await, 50);
}

#[tokio::test]
async fn what_somebody_holds_is_waited_for_alone() {
    let world = World::new().await;
    let claims = sent(&world, 30).await;
    let handler = handler(store(&world));
    let mut other = world.db.client().await;
    let holder = other.transaction().await.unwrap();
    let hold = "select from scheduled_messages where id = $1 for update";
    holder.query(hold, &[&claims[3].id.0]).await.unwrap();
    let others = claims.iter().filter(|claim| claim.id != claims[3].id);
    let others = join_all(others.map(|claim| post(&handler, claim, "delivered")));
    let waits = post(&handler, &claims[3], "delivered");
    let settled = async {
        assert!(others.await.iter().all(Result::is_ok));
        assert_eq!(delivered(&world).await, 29);
        holder.rollback().await.unwrap();
    };
    // Recorded, if the others took no longer than a lock is waited for; else asked for again.
    let (answer, ()) = tokio::join!(waits, settled);
    if answer.is_err() {
        post(&handler, &claims[3], "delivered").await.unwrap();
    }
    assert_eq!(delivered(&world).await, 30);
}

/// A request that goes away in the middle of its turn leaves nobody without an answer.
#[tokio::test]
async fn who_is_dropped_in_its_turn_leaves_the_others_to_go_on() {
    let world = World::new().await;
    let claims = sent(&world, 20).await;
    let handler = handler(store(&world));
    // The first gets the turn, and as many statements as it is polled for, which is not enough.
    let mut first = Box::pin(post(&handler, &claims[0], "delivered"));
    let others = join_all(
        claims[1..]
            .iter()
            .map(|claim| post(&handler, claim, "delivered")),
    );
    let mut others = Box::pin(others);
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut others).is_pending());
    drop(first);
    assert!(others.await.iter().all(Result::is_ok));
    assert!(delivered(&world).await >= 19);
}

/// Passes bytes on to `port` so much later, each way, in their order.
async fn slow_way(port: u16, each_way: Duration) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            tokio::spawn(later(client_read, server_write, each_way));
            tokio::spawn(later(server_read, client_write, each_way));
        }
    });
    own
}

async fn later(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    by: Duration,
) {
    let (tx, mut rx) = mpsc::unbounded_channel::<(tokio::time::Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((at, bytes)) = rx.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let at = tokio::time::Instant::now() + by;
        if tx.send((at, buffer[..n].to_vec())).is_err() {
            return;
        }
    }
}

/// `cargo test --release --test pg -- --ignored --nocapture how_many_callbacks_a_second`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn how_many_callbacks_a_second() {
    // As many as the server of callbacks has connections for.
    const AT_ONCE: usize = 256;
    for (each_way, messages) in [(Duration::ZERO, 5_000), (Duration::from_millis(15), 1_500)] {
        let world = World::new().await;
        let claims = sent(&world, messages).await;
        let server = crate::harness::cluster();
        let name: String = one(&world.unseen, "select current_database()::text").await;
        let way = slow_way(server.port(), each_way).await;
        let url = server.url(&name);
        let url = url.replace(&format!(":{}/", server.port()), &format!(":{way}/"));
        let dsn = if each_way.is_zero() {
            world.db.dsn().clone()
        } else {
            Dsn::parse(&url).unwrap()
        };
        let handler = handler(Store::new(dsn.pool(2), InstanceId::fresh()));
        // Statements are prepared, and connections open.
        post(&handler, &claims[0], "sent").await.unwrap();
        let all: VecDeque<(usize, &str)> = ["sent", "delivered"]
            .into_iter()
            .flat_map(|word| (0..messages).map(move |n| (n, word)))
            .collect();
        let (total, queue) = (all.len(), std::sync::Mutex::new(all));
        let began = Instant::now();
        let worker = async || {
            loop {
                let Some((n, stage)) = queue.lock().unwrap().pop_front() else {
                    return;
                };
                post(&handler, &claims[n], stage).await.unwrap();
            }
        };
        join_all((0..AT_ONCE).map(|_| worker())).await;
        let took = began.elapsed();
        let rate = f64::from(u32::try_from(total).unwrap()) / took.as_secs_f64();
        println!("{each_way:?} each way: {total} callbacks in {took:?}, {rate:.0} a second");
        assert_eq!(delivered(&world).await, i64::try_from(messages).unwrap());
        assert_eq!(sid(&claims[0]).len(), 34);
    }
}

/// The reactor slows the claims of the account that the callback is of, and no others.
#[tokio::test]
async fn a_limit_is_reported_for_the_account_of_its_callback() {
    let world = World::new().await;
    let claims = sent(&world, 2).await;
    went_through(&world, &claims[1], "'eu'").await;
    let (inputs, mut reported) = mpsc::channel(2);
    let callbacks: Vec<Arc<dyn Callbacks>> = vec![Arc::new(Post), Arc::new(PostOfEu)];
    let handler = CallbackHandler::new(callbacks, store(&world), Arc::default(), Arc::default())
        .with_inputs(inputs);
    for (claim, path, account) in [
        (&claims[0], "/post", "default"),
        (&claims[1], "/post/eu", "eu"),
    ] {
        post_to(&handler, path, claim, "limited").await.unwrap();
        let Ok(Input::Reported { parties, .. }) = reported.try_recv() else {
            panic!("nothing is reported of {account}")
        };
        let lane = LaneKey::of(Channel::Sms).with_account(account);
        assert_eq!(parties, Parties::of(&lane, Some(FROM), TO), "{account}");
    }
}

/// A report of a segment is repeated until all that follows from it is recorded.
#[tokio::test]
async fn a_segment_of_an_attempt_is_open_until_its_end_is_known() {
    let world = World::new().await;
    let store = store(&world);
    let id = world.row("sent").await;
    let attempt = format!(
        "insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome, provider_sid)
         values (gen_random_uuid(), '{id}', 1, gen_random_uuid(), now(), 'accepted', 'default:262:17-18:x')"
    );
    run(&world.unseen, &attempt).await;
    let owners = async |number: u8| store.segment_owners("default:262", number).await.unwrap();
    for _ in 0..2 {
        let found = owners(17).await;
        let [owner] = &found[..] else {
            panic!("{} are found", found.len());
        };
        let of = (owner.message, owner.token);
        let arrived = store.segment_arrived(of, &owner.sid, 17).await;
        assert_eq!(arrived.unwrap(), 1);
    }
    assert_eq!((owners(18).await.len(), owners(19).await.len()), (1, 0));
    assert!(store.segment_owners("eu:262", 18).await.unwrap().is_empty());
    let open = async |number: u8| {
        owners(number)
            .await
            .iter()
            .map(|own| own.is_open)
            .collect::<Vec<_>>()
    };
    // The other segment did not arrive.
    let ended = |status: &str| format!("update punctual.attempts set message_status = '{status}'");
    run(&world.unseen, &ended("undelivered")).await;
    assert_eq!((open(17).await, open(18).await), (vec![false], vec![true]));
    run(&world.unseen, &ended("delivered")).await;
    assert_eq!((open(17).await, open(18).await), (vec![false], vec![false]));
    // Of a row that is deleted the number is still taken.
    run(&world.unseen, "delete from scheduled_messages").await;
    let found = owners(17).await;
    let [gone] = &found[..] else {
        panic!("the attempt is not found");
    };
    assert!(gone.to.is_none());
}

/// That this attempt went through another account.
async fn went_through(world: &World, claim: &Claim, account: &str) {
    let sql = format!(
        "update punctual.attempts set account = {account} where token = '{}'",
        claim.token
    );
    run(&world.unseen, &sql).await;
}

/// By its ids and by its sid, whether the record of the request has come or not.
#[tokio::test]
async fn a_report_by_one_account_changes_nothing_of_another() {
    let world = World::new().await;
    let claims = sent(&world, 2).await;
    let pending = world.row("pending").await;
    let unrecorded = won(&store(&world), &[pending]).await.remove(0);
    let metrics = Arc::<Metrics>::default();
    let callbacks: Vec<Arc<dyn Callbacks>> = vec![Arc::new(Post), Arc::new(PostOfEu)];
    let handler = CallbackHandler::new(callbacks, store(&world), Arc::default(), metrics.clone());
    let standing = async || {
        let sql = "select string_agg(format('%s %s %s', m.status, a.outcome, a.receipt_status), ', ' order by m.id)
                     from punctual.attempts a join public.scheduled_messages m on m.id = a.message_id";
        one::<String>(&world.unseen, sql).await
    };
    let before = standing().await;
    for (n, claim) in [&claims[0], &claims[1], &unrecorded]
        .into_iter()
        .enumerate()
    {
        post_to(&handler, "/post/eu", claim, "failed")
            .await
            .unwrap();
        assert_eq!(standing().await, before);
        assert_eq!(metrics.counted(Counter::CallbacksRefused), n as u64 + 1);
    }
    let by_sid = Report {
        lane: LaneKey::default().with_account("eu"),
        about: About::Sid,
        sid: ProviderSid(sid(&claims[0])),
        status: ProviderStatus::TAKEN,
        from: None,
        to: None,
    };
    let lateness = Duration::from_secs(3600);
    let group = [
        by_sid.clone(),
        Report {
            lane: LaneKey::default(),
            ..by_sid
        },
    ];
    let received = store(&world).receive(&group, lateness).await.unwrap();
    let message = claims[0].id;
    assert_eq!(received[0], Received::OfAnother { message });
    assert!(
        matches!(received[1], Received::Known { .. }),
        "{received:?}"
    );
    // Each by its own account; one of a program that noted none, by any.
    went_through(&world, &claims[1], "null").await;
    for (path, claim) in [
        ("/post", &claims[0]),
        ("/post/eu", &claims[1]),
        ("/post", &unrecorded),
    ] {
        post_to(&handler, path, claim, "delivered").await.unwrap();
    }
    assert_eq!(delivered(&world).await, 3);
    assert_eq!(metrics.counted(Counter::CallbacksRefused), 3);
}

//! What the provider is asked later: one message by its sid, and the newest to a number.

use futures_util::future::join_all;
use punctual::message::{AttemptToken, Claim, LaneKey, MessageId, Moment, Outcome, ProviderSid};
use punctual::provider::console::Console;
use punctual::provider::twilio::Twilio as Client;
use punctual::provider::{Fetched, Listed, Provider, Query};
use uuid::Uuid;

use crate::setup::{ACCOUNT, AUTH_TOKEN, BODY, FROM, TO, VALID_FOR, claim, cleared, hasty, twilio};
use crate::standin::StandIn;
use crate::twilio::{Habits, Twilio};

async fn stand_in() -> (Twilio, Client) {
    let stand_in = Twilio::start(ACCOUNT, AUTH_TOKEN, Habits::default()).await;
    let client = twilio(&stand_in.url());
    (stand_in, client)
}

async fn send(client: &Client, n: u128) -> ProviderSid {
    let claim = Claim {
        id: MessageId(Uuid::from_u128(n)),
        token: AttemptToken(Uuid::from_u128(n)),
        body: format!("text {n}"),
        ..claim()
    };
    match client.send(&cleared(&claim), VALID_FOR).await {
        Outcome::Accepted { sid } => sid,
        other => panic!("{other:?}"),
    }
}

fn query(since: Moment) -> Query {
    Query {
        to: TO.into(),
        from: None,
        also_whatsapp: false,
        since,
    }
}

fn shown(listed: Listed) -> (Vec<String>, bool) {
    match listed {
        Listed::Shown { messages, whole } => {
            (messages.into_iter().map(|m| m.body).collect(), whole)
        }
        Listed::NotNow { reason, .. } => panic!("{reason}"),
    }
}

#[tokio::test]
async fn a_message_is_fetched_by_its_sid() {
    let (_stand_in, client) = stand_in().await;
    assert!(client.capabilities().look_up);
    let sid = send(&client, 1).await;
    let Fetched::Found(found) = client.fetch(&sid).await else {
        panic!("not found");
    };
    assert_eq!((&found.sid, found.body.as_str()), (&sid, "text 1"));
    assert_eq!((found.to.as_str(), found.from.as_deref()), (TO, Some(FROM)));
    assert!(found.by_api && found.created.is_some());
    for other in ["SM00000000000000000000000000000000", "../../x", ""] {
        let fetched = client.fetch(&ProviderSid(other.into())).await;
        assert_eq!(fetched, Fetched::Absent, "{other}");
    }
}

#[tokio::test]
async fn the_list_is_read_page_by_page_as_far_as_it_is_wanted() {
    let (stand_in, client) = stand_in().await;
    join_all((0..120).map(|n| send(&client, n))).await;
    let (bodies, whole) = shown(client.list(&query(Moment::MIN)).await);
    assert_eq!((bodies.len(), whole), (120, true));
    assert_eq!(stand_in.book().others().len(), 2);

    let (bodies, whole) = shown(client.list(&query(Moment::MAX)).await);
    assert_eq!((bodies.len(), whole), (0, true));
    assert_eq!(stand_in.book().others().len(), 3, "older is not asked for");

    let from = |from: &str| Query {
        from: Some(from.into()),
        ..query(Moment::MIN)
    };
    assert_eq!(shown(client.list(&from(FROM)).await).0.len(), 120);
    assert_eq!(shown(client.list(&from("+15005550009")).await).0.len(), 0);
    let nobody = Query {
        to: "+13105550000".into(),
        ..query(Moment::MIN)
    };
    assert_eq!(shown(client.list(&nobody).await), (vec![], true));

    join_all((120..310).map(|n| send(&client, n))).await;
    let (bodies, whole) = shown(client.list(&query(Moment::MIN)).await);
    assert_eq!(
        (bodies.len(), whole),
        (300, false),
        "bounded, and it says so"
    );
}

/// Twilio lists texts and messages on WhatsApp under two recipients, which are one here.
#[tokio::test]
async fn messages_on_whatsapp_have_a_list_of_their_own() {
    let (stand_in, client) = stand_in().await;
    send(&client, 1).await;
    let ours = "whatsapp:+14155238886";
    let claim = Claim {
        from_number: Some(ours.into()),
        body: "on WhatsApp".into(),
        ..claim()
    };
    let sent = client.send(&cleared(&claim), VALID_FOR).await;
    assert!(matches!(sent, Outcome::Accepted { .. }), "{sent:?}");
    let of = |from: Option<&str>, also_whatsapp| Query {
        from: from.map(str::to_owned),
        also_whatsapp,
        ..query(Moment::MIN)
    };
    for (query, bodies, requests) in [
        (of(None, false), vec!["text 1"], 1),
        (of(Some(FROM), false), vec!["text 1"], 1),
        (of(Some(ours), true), vec!["on WhatsApp"], 1),
        (of(None, true), vec!["text 1", "on WhatsApp"], 2),
    ] {
        let before = stand_in.book().others().len();
        assert_eq!(shown(client.list(&query).await).0, bodies, "{query:?}");
        assert_eq!(stand_in.book().others().len() - before, requests);
    }
    let Listed::Shown { messages, .. } = client.list(&of(Some(ours), true)).await else {
        panic!("no list")
    };
    assert_eq!(
        (&*messages[0].to, messages[0].from.as_deref()),
        (TO, Some(ours))
    );
}

#[tokio::test]
async fn what_is_not_an_answer_shows_nothing() {
    // It answers 401 to whatever is no new message.
    let mut stand_in = StandIn::start([]).await;
    let client = hasty(&stand_in.url());
    let sid = ProviderSid("SM00000000000000000000000000000001".into());
    for away in [false, true] {
        if away {
            stand_in.stop().await;
        }
        let fetched = client.fetch(&sid).await;
        let listed = client.list(&query(Moment::MIN)).await;
        let (Fetched::NotNow { reason, .. }, Listed::NotNow { reason: other, .. }) =
            (&fetched, &listed)
        else {
            panic!("{fetched:?} {listed:?}");
        };
        for said in [reason, other] {
            assert!(!said.contains(&TO[1..]) && !said.contains(BODY), "{said}");
        }
    }
}

#[tokio::test]
async fn the_console_keeps_nothing() {
    let console = Console::on(Vec::new());
    let console = console.get(&LaneKey::default()).unwrap();
    assert!(!console.capabilities().look_up);
    let listed = console.list(&query(Moment::MIN)).await;
    assert!(matches!(listed, Listed::NotNow { .. }), "{listed:?}");
}

//! E-mail over real sockets: which side of the end of the content a failure is on, and what a response means.

use std::time::Duration;

use punctual::message::{
    Category, Channel, Claim, Facts, LaneKey, Outcome, ProviderCapabilities, ProviderSid, Retry,
    Scope,
};
use punctual::policy::{Cleared, Rules, Verdict, judge};
use punctual::provider::Provider as _;
use punctual::provider::smtp::{self, Smtp, SmtpConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use crate::mail::Mail;
use crate::setup::{SHORT, VALID_FOR, claim};
use crate::twilio::{Fault, When};

const TO: &str = "ada@example.com";

/// Never waited for, on however busy a machine.
const AMPLE: Duration = Duration::from_secs(20);

fn cleared(body: &str, subject: Option<&str>, from: Option<&str>) -> Cleared {
    let claim = Claim {
        lane: LaneKey::of(Channel::Email),
        to_number: TO.into(),
        from_number: from.map(str::to_owned),
        body: body.into(),
        facts: Facts {
            subject: subject.map(str::to_owned),
            ..Facts::default()
        },
        ..claim()
    };
    let providers: ProviderCapabilities =
        [(Channel::Email, smtp::CAPABILITIES)].into_iter().collect();
    match judge(&claim, &Rules::default(), &providers, claim.due) {
        Verdict::Send(cleared) => cleared,
        other => panic!("{other:?}"),
    }
}

fn provider(url: &str, send_timeout: Duration) -> Smtp {
    Smtp::new(&SmtpConfig {
        server: url.parse().unwrap(),
        login: None,
        from: "Example <hello@example.com>".parse().unwrap(),
        unsubscribe_url: Some("https://app.example/u?to={to}&m={id}".parse().unwrap()),
        send_timeout,
    })
    .unwrap()
}

async fn send(smtp: &Smtp, body: &str) -> Outcome {
    let outcome = smtp.send(&cleared(body, None, None), VALID_FOR).await;
    let shown = format!("{outcome:?}");
    for private in [TO, "hello@example.com"] {
        assert!(!shown.contains(private), "{shown}");
    }
    outcome
}

fn accepted() -> Outcome {
    Outcome::Accepted {
        sid: ProviderSid("EM00000000000000000000000000000022".into()),
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted { .. } => "accepted",
        Outcome::Throttled { .. } => "throttled",
        Outcome::Refused { .. } => "refused",
        Outcome::Unsent { .. } => "unsent",
        Outcome::Unknown { .. } => "unknown",
    }
}

#[tokio::test]
async fn the_end_of_the_content_divides_unsent_from_uncertain() {
    // Before it, at whichever command the connection is lost or means nothing.
    for command in ["EHLO", "MAIL", "RCPT", "DATA"] {
        for is_lost in [true, false] {
            let mail = Mail::start().await;
            if is_lost {
                mail.desk().ends_after.push(command);
            } else {
                mail.desk().refusals.push((command, "how do you do"));
            }
            let outcome = send(&provider(&mail.url(), AMPLE), "hello").await;
            assert_eq!(word(&outcome), "unsent", "{command}: {outcome:?}");
            assert!(mail.desk().mails.is_empty());
        }
    }
    // After it.
    for when in [When::Before, When::After] {
        for fault in [
            Fault::Silence(when),
            Fault::Reset(when),
            Fault::Garbage(when),
            Fault::Cut,
        ] {
            let mail = Mail::start().await;
            mail.with_text("hello", [fault]);
            let timeout = match fault {
                Fault::Silence(_) => SHORT,
                _ => AMPLE,
            };
            let outcome = send(&provider(&mail.url(), timeout), "hello").await;
            assert_eq!(word(&outcome), "unknown", "{fault:?}: {outcome:?}");
        }
    }
    // Nobody is there.
    let mut mail = Mail::start().await;
    mail.hang_up().await;
    let outcome = send(&provider(&mail.url(), AMPLE), "hello").await;
    assert_eq!(word(&outcome), "unsent", "{outcome:?}");
}

/// More than the buffers of both sides hold: the dot waits for the reader, who is gone before it.
#[tokio::test]
async fn in_the_middle_of_a_long_content_nothing_was_sent() {
    for resets in [true, false] {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let url = format!("smtp+plain://{}", listener.local_addr().unwrap());
        let server = async {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut read = [0; 4096];
            for response in ["220 hi", "250 hi", "250 ok", "250 ok", "354 go on"] {
                if response != "220 hi" {
                    assert!(tcp.read(&mut read).await.unwrap() > 0);
                }
                tcp.write_all(format!("{response}\r\n").as_bytes())
                    .await
                    .unwrap();
            }
            assert!(tcp.read(&mut read).await.unwrap() > 0);
            if resets {
                tcp.set_zero_linger().unwrap();
                return None;
            }
            Some(tcp)
        };
        // Over 5 MB once it is encoded: no buffer on the way stores that.
        let body = "👋".repeat(1_000_000);
        let smtp = provider(&url, if resets { AMPLE } else { SHORT });
        let (outcome, _open) = tokio::join!(send(&smtp, &body), server);
        assert_eq!(word(&outcome), "unsent", "{outcome:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_for_now_or_for_good_by_its_code() {
    let refused = |code, category, retry, text: &str| Outcome::Refused {
        code: Some(code),
        category,
        text: text.into(),
        retry,
    };
    let throttled = |code, scope| Outcome::Throttled {
        retry_after: None,
        code: Some(code),
        scope,
        hold: None,
    };
    let minute = Duration::from_secs(60);
    for (command, response, expected) in [
        (
            "RCPT",
            "550 5.1.1 <ada@example.com>: no such user",
            refused(
                550,
                Category::InvalidNumber,
                Retry::No,
                "5.1.1 [address] no such user",
            ),
        ),
        (
            "MAIL",
            "553 5.7.1 not your address",
            refused(
                553,
                Category::SenderIssue,
                Retry::No,
                "5.7.1 not your address",
            ),
        ),
        (
            "RCPT",
            "452 4.2.2 over quota",
            refused(
                452,
                Category::Unreachable,
                Retry::after(minute),
                "4.2.2 over quota",
            ),
        ),
        (
            "RCPT",
            "450 4.7.1 greylisted",
            throttled(450, Scope::Recipient),
        ),
        (
            "RCPT",
            "451 4.7.1 203.0.113.199 is greylisted",
            throttled(451, Scope::Recipient),
        ),
        // In Latin-1.
        (
            "RCPT",
            "550 5.1.1 Empf\u{e4}nger unbekannt",
            refused(
                550,
                Category::InvalidNumber,
                Retry::No,
                "5.1.1 Empf?nger unbekannt",
            ),
        ),
        ("MAIL", "421 4.7.0 too many", throttled(421, Scope::Account)),
        (
            "MAIL",
            "530 5.7.0 log in",
            refused(
                530,
                Category::AccountIssue,
                Retry::HoldAccount { probe: minute },
                "5.7.0 log in",
            ),
        ),
        ("EHLO", "421 4.3.2 closing", throttled(421, Scope::Account)),
    ] {
        let mail = Mail::start().await;
        mail.desk().refusals.push((command, response));
        let outcome = send(&provider(&mail.url(), AMPLE), "hello").await;
        assert_eq!(outcome, expected, "{command} {response}");
    }
    let mail = Mail::start().await;
    mail.with_text("hello", [Fault::Refuse(0), Fault::Busy(None)]);
    let smtp = provider(&mail.url(), AMPLE);
    let content = refused(554, Category::Content, Retry::No, "5.6.0 not this");
    assert_eq!(send(&smtp, "hello").await, content);
    assert_eq!(send(&smtp, "hello").await, throttled(451, Scope::Recipient));
    assert_eq!(send(&smtp, "hello").await, accepted());
}

#[tokio::test]
async fn connections_are_opened_in_advance_kept_and_replaced() {
    let mail = Mail::start().await;
    let smtp = provider(&mail.url(), AMPLE);
    smtp.prewarm(2).await;
    assert_eq!(mail.desk().connections, 2);
    smtp.prewarm(2).await;
    for _ in 0..3 {
        assert_eq!(send(&smtp, "hello").await, accepted());
    }
    assert_eq!(mail.desk().connections, 2);
    // One that the server has closed, or closes at the next message, is no failure of that message.
    mail.desk()
        .refusals
        .push(("MAIL", "421 4.4.2 idle for too long"));
    assert_eq!(send(&smtp, "hello").await, accepted());
    mail.desk().ends_after.push("MAIL");
    assert_eq!(send(&smtp, "hello").await, accepted());
    assert_eq!(mail.text("hello").sids.len(), 5);
}

/// Those in use, those that are opened in advance, and those that wait: together no more than servers let one client
/// have.
#[tokio::test]
async fn no_more_connections_are_open_than_the_limit() {
    let mail = Mail::start().await;
    let held = Fault::Slow(Duration::from_millis(200));
    mail.with_text("hello", vec![held; smtp::CAPABILITIES.max_in_flight]);
    let smtp = provider(&mail.url(), AMPLE);
    let sends = (0..smtp::CAPABILITIES.max_in_flight).map(|_| send(&smtp, "hello"));
    let (outcomes, ..) = tokio::join!(
        futures_util::future::join_all(sends),
        smtp.prewarm(1_000),
        smtp.prewarm(10)
    );
    assert!(
        outcomes.iter().all(|outcome| *outcome == accepted()),
        "{outcomes:?}"
    );
    smtp.prewarm(1_000).await;
    let connections = mail.desk().connections;
    assert!(
        connections <= smtp::CAPABILITIES.max_in_flight,
        "{connections}"
    );
    // All of them are taken: one that the server has closed is replaced nonetheless.
    for _ in 0..3 {
        mail.desk().ends_after.push("MAIL");
        assert_eq!(send(&smtp, "again").await, accepted());
    }
}

#[tokio::test]
async fn a_refused_message_costs_no_connection() {
    let mail = Mail::start().await;
    let smtp = provider(&mail.url(), AMPLE);
    for command in ["MAIL", "RCPT", "DATA"] {
        mail.desk().refusals.push((command, "550 5.1.1 no"));
        assert_eq!(word(&send(&smtp, "hello").await), "refused", "{command}");
        assert_eq!(send(&smtp, "hello").await, accepted());
    }
    mail.with_text("spam", [Fault::Refuse(0)]);
    assert_eq!(word(&send(&smtp, "spam").await), "refused");
    for _ in 0..2 {
        assert_eq!(send(&smtp, "hello").await, accepted());
    }
    let resets = |mail: &Mail| {
        mail.desk()
            .commands
            .iter()
            .filter(|line| *line == "RSET")
            .count()
    };
    // After each refusal before the next message, and not after an acceptance.
    let connections = mail.desk().connections;
    assert_eq!((connections, resets(&mail)), (1, 4));
    // A server that cannot forget what it has refused.
    mail.desk().refusals.push(("RCPT", "550 5.1.1 no"));
    mail.desk().refusals.push(("RSET", "502 5.5.1 what?"));
    assert_eq!(word(&send(&smtp, "hello").await), "refused");
    assert_eq!(send(&smtp, "hello").await, accepted());
    let connections = mail.desk().connections;
    assert_eq!((connections, resets(&mail)), (2, 5));
}

/// Servers slow down a client whose messages they refuse.
#[tokio::test]
async fn a_connection_is_not_used_after_three_refusals_in_a_row() {
    let mail = Mail::start().await;
    let smtp = provider(&mail.url(), AMPLE);
    for n in 0..7 {
        mail.desk().refusals.push(("RCPT", "550 5.1.1 no"));
        assert_eq!(word(&send(&smtp, "hello").await), "refused");
        assert_eq!(mail.desk().connections, 1 + n / 3);
    }
}

/// What it says too much is not taken for the response to the next message.
#[tokio::test]
async fn a_server_that_responds_twice_gets_each_message_once() {
    let mail = Mail::start().await;
    mail.desk().acceptance = Some("250 2.0.0 Ok\r\n250 2.0.0 Ok again\r\n");
    let smtp = provider(&mail.url(), AMPLE);
    for n in 0..3 {
        let text = format!("text {n}");
        assert_eq!(send(&smtp, &text).await, accepted());
        assert_eq!(mail.text(&text).asked.len(), 1);
    }
    mail.desk().refusals.push(("RCPT", "550 5.1.1 no"));
    assert_eq!(word(&send(&smtp, "to nobody").await), "refused");
    assert!(mail.text("to nobody").asked.is_empty());
    assert_eq!(send(&smtp, "at last").await, accepted());
    assert_eq!(mail.text("at last").asked.len(), 1);
}

/// RFC 5321, 4.2: a text after the code may be missing, and then its space too.
#[tokio::test]
async fn a_code_without_a_text_is_a_response() {
    let mail = Mail::start().await;
    mail.desk().acceptance = Some("250\r\n");
    mail.desk()
        .refusals
        .extend([("MAIL", "250"), ("RCPT", "250")]);
    let smtp = provider(&mail.url(), AMPLE);
    assert_eq!(send(&smtp, "hello").await, accepted());
    mail.desk().refusals.push(("RCPT", "550"));
    let outcome = send(&smtp, "hello").await;
    let Outcome::Refused {
        code: Some(550),
        category,
        ..
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!(category, Category::InvalidNumber);
}

#[tokio::test]
async fn what_a_server_quotes_of_a_message_is_not_kept() {
    let mail = Mail::start().await;
    let smtp = provider(&mail.url(), AMPLE);
    let message = cleared(
        "Your code is 4711.\nhttps://a.example/x",
        Some("Ada's secret"),
        None,
    );
    mail.desk().refusals.push((
        "DATA",
        "554 5.7.1 Ada's secret: \"Your code is 4711.\" with https://a.example/x is refused",
    ));
    let outcome = smtp.send(&message, VALID_FOR).await;
    let Outcome::Refused { text, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(text, "5.7.1 [text]: \"[text]\" with [text] is refused");
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_without_starttls() {
    let mail = Mail::start().await;
    let url = mail.url().replace("smtp+plain", "smtp");
    let outcome = send(&provider(&url, AMPLE), "hello").await;
    let Outcome::Unsent { reason } = &outcome else {
        panic!("{outcome:?}");
    };
    assert!(reason.contains("does not offer STARTTLS"), "{reason}");
    // Nor if somebody says more before it is encrypted.
    mail.desk()
        .refusals
        .push(("EHLO", "250-hi\r\n250 STARTTLS"));
    mail.desk()
        .refusals
        .push(("STARTTLS", "220 go on\r\n250 from somebody else"));
    let outcome = send(&provider(&url, AMPLE), "hello").await;
    let Outcome::Unsent { reason } = &outcome else {
        panic!("{outcome:?}");
    };
    assert!(
        reason.contains("before the connection was encrypted"),
        "{reason}"
    );
    assert!(
        !mail
            .desk()
            .commands
            .iter()
            .any(|line| line.starts_with("MAIL"))
    );
}

#[tokio::test]
async fn the_message_id_is_the_attempts() {
    let mail = Mail::start().await;
    let smtp = provider(&mail.url(), AMPLE);
    let message = cleared(
        ".a dot\n..two\nend.",
        Some("Zoë: 1\u{a0}€"),
        Some("bot@shop.example"),
    );
    for _ in 0..2 {
        assert_eq!(smtp.send(&message, VALID_FOR).await, accepted());
    }
    let sent = mail.desk().mails.clone();
    for mail in &sent {
        let (head, text) = mail.split_once("\r\n\r\n").unwrap();
        let has = |line: &str| assert!(head.lines().any(|own| own == line), "{line}: {head}");
        has("Message-ID: <EM00000000000000000000000000000022@shop.example>");
        has("From: bot@shop.example");
        has("To: ada@example.com");
        has("Auto-Submitted: auto-generated");
        has(
            "List-Unsubscribe: <https://app.example/u?to=ada%40example.com&m=00000000-0000-0000-0000-000000000011>",
        );
        assert!(
            head.is_ascii() && head.contains("Subject: =?utf-8?"),
            "{head}"
        );
        assert_eq!(text, ".a dot\r\n..two\r\nend.\r\n");
    }
    let from = mail
        .desk()
        .commands
        .iter()
        .filter(|line| *line == "MAIL FROM:<bot@shop.example>")
        .count();
    assert_eq!(from, 2);
}

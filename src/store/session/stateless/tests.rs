//! What the server gets of what a client sends, and what the client gets of the response.

use bytes::{BufMut as _, BytesMut};

use super::translator::Translator;
use super::{COMMAND, DAEMON};

const SETTINGS: &str = "select 1";

/// A message of either side.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_u8(tag);
    out.put_u32(u32::try_from(body.len() + 4).unwrap());
    out.extend_from_slice(body);
    out.to_vec()
}

/// In short: the tag of each message, and the text of what is parsed or queried.
fn shown(mut bytes: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    while let [tag, a, b, c, d, rest @ ..] = bytes {
        let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap() - 4;
        let (body, after) = rest.split_at(length);
        let body = String::from_utf8_lossy(body).replace('\0', "|");
        all.push(match tag {
            b'P' | b'Q' => format!("{} {body}", char::from(*tag)),
            _ => char::from(*tag).to_string(),
        });
        bytes = after;
    }
    assert!(bytes.is_empty());
    all
}

struct Talk(Translator);

impl Talk {
    /// One that has been let in.
    fn begun() -> Self {
        let mut talk = Self(Translator::new(SETTINGS));
        let mut out = BytesMut::new();
        talk.0
            .for_server(&[0, 0, 0, 8, 0, 3, 0, 0], &mut out)
            .unwrap();
        assert_eq!(&out[..], [0, 0, 0, 8, 0, 3, 0, 0]);
        let hello = [message(b'R', &[0, 0, 0, 0]), message(b'Z', b"I")].concat();
        assert_eq!(talk.hears(&hello), ["R", "Z"]);
        talk
    }

    fn says(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut out = BytesMut::new();
        // As a network divides it.
        for byte in bytes {
            self.0.for_server(&[*byte], &mut out).unwrap();
        }
        shown(&out)
    }

    fn hears(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut out = BytesMut::new();
        for byte in bytes {
            self.0.for_client(&[*byte], &mut out).unwrap();
        }
        shown(&out)
    }

    /// Responses with these tags.
    fn answers(&mut self, tags: &str, status: u8) -> String {
        let body = |tag| {
            if tag == b'Z' {
                vec![status]
            } else {
                vec![0, 0]
            }
        };
        let bytes: Vec<u8> = tags.bytes().flat_map(|t| message(t, &body(t))).collect();
        self.hears(&bytes).concat()
    }
}

fn prepare(name: &str, sql: &str) -> Vec<u8> {
    [
        message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes()),
        message(b'D', format!("S{name}\0").as_bytes()),
        message(b'S', b""),
    ]
    .concat()
}

fn execute(name: &str) -> Vec<u8> {
    [
        message(b'B', format!("\0{name}\0\0\0\0\0\0\0").as_bytes()),
        message(b'E', b"\0\0\0\0\0"),
        message(b'S', b""),
    ]
    .concat()
}

fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

#[test]
fn a_prepared_statement_is_sent_with_each_use_after_the_settings() {
    let mut talk = Talk::begun();
    let settings = ["P |select 1|||", "B", "E"];
    let sent = talk.says(&prepare("s0", "select 2"));
    assert_eq!(
        sent,
        [&settings[..], &["P |select 2|||", "D", "S"]].concat()
    );
    assert_eq!(talk.answers("12DC1tTZ", b'I'), "1tTZ");
    for _ in 0..2 {
        let sent = talk.says(&execute("s0"));
        assert_eq!(
            sent,
            [&settings[..], &["P |select 2|||", "B", "E", "S"]].concat()
        );
        assert_eq!(talk.answers("12DC12DDCZ", b'I'), "2DDCZ");
    }
    let close = [message(b'C', b"Ss0\0"), message(b'S', b"")].concat();
    assert_eq!(talk.says(&close), ["C", "S"]);
    assert_eq!(talk.answers("3Z", b'I'), "3Z");
    // The server is to say that there is none.
    let sent = talk.says(&execute("s0"));
    assert_eq!(sent, [&settings[..], &["B", "E", "S"]].concat());
    assert_eq!(talk.answers("12DCEZ", b'I'), "EZ");
}

#[test]
fn a_transaction_makes_the_settings_once() {
    let mut talk = Talk::begun();
    talk.says(&prepare("s0", "select 2"));
    talk.answers("12DC1nZ", b'I');
    assert_eq!(talk.says(&query("BEGIN")), ["Q BEGIN\n;select 1|"]);
    // Sent before the response to BEGIN is there.
    assert_eq!(talk.says(&execute("s0")), ["P |select 2|||", "B", "E", "S"]);
    assert_eq!(talk.answers("CTDCZ", b'T'), "CZ");
    assert_eq!(talk.answers("12CZ", b'T'), "2CZ");
    assert_eq!(talk.says(&query("savepoint x")), ["Q savepoint x|"]);
    let back = talk.says(&query("rollback to savepoint x"));
    assert_eq!(back, ["Q rollback to savepoint x|"]);
    assert_eq!(talk.says(&query("COMMIT")), ["Q COMMIT|"]);
    assert_eq!(talk.says(&query("show x")), ["Q select 1\n;show x|"]);
    assert_eq!(talk.answers("CZCZCZ", b'T'), "CZCZCZ");
    assert_eq!(talk.answers("TDCTDCZ", b'I'), "TDCZ");
}

#[test]
fn an_error_skips_to_the_sync_and_notices_pass() {
    let mut talk = Talk::begun();
    talk.says(&prepare("s0", "select 2"));
    // Of the settings: the client gets it as the error of its statement.
    assert_eq!(talk.answers("NEZ", b'I'), "NEZ");
    talk.says(&prepare("s0", "select 2"));
    talk.answers("12DC1tTZ", b'I');
    talk.says(&execute("s0"));
    talk.says(&execute("s0"));
    assert_eq!(talk.answers("12NDC12EZ", b'I'), "N2EZ");
    assert_eq!(talk.answers("12SDC12CZ", b'I'), "S2CZ");
    // A failed transaction has its settings still.
    talk.says(&query("begin"));
    talk.answers("CTDCZ", b'T');
    talk.says(&execute("s0"));
    assert_eq!(talk.answers("12EZ", b'E'), "2EZ");
    assert_eq!(talk.says(&query("ROLLBACK")), ["Q ROLLBACK|"]);
    assert_eq!(talk.answers("CZ", b'I'), "CZ");
    let sent = talk.says(&execute("s0"));
    assert_eq!(sent[0], "P |select 1|||");
}

/// A client that tries it again gives it another name each time.
#[test]
fn a_statement_that_cannot_be_prepared_is_not_kept() {
    let mut talk = Talk::begun();
    talk.says(&prepare("good", "select 2"));
    talk.answers("12DC1tTZ", b'I');
    for n in 0..3 {
        talk.says(&prepare(&format!("bad{n}"), "select nothing"));
        assert_eq!(talk.answers("12DCEZ", b'I'), "EZ");
    }
    // Skipped, because another one failed before it.
    let both = [
        message(b'P', b"bad3\0select nothing\0\0\0"),
        prepare("skipped", "select 3"),
    ];
    talk.says(&both.concat());
    assert_eq!(talk.answers("12DCEZ", b'I'), "EZ");
    assert_eq!(talk.0.kept(), ["good"]);
    assert!(
        talk.says(&execute("good"))
            .contains(&"P |select 2|||".to_owned())
    );
}

#[test]
fn what_is_no_message_is_refused() {
    let mut talk = Talk::begun();
    let mut out = BytesMut::new();
    for bytes in [&b"P\0\0\0\x03"[..], b"B\0\0\0\x05x"] {
        assert!(talk.0.for_server(bytes, &mut out).is_err());
        talk = Talk::begun();
    }
    assert!(talk.0.for_client(b"Z\0\0\0\x01", &mut out).is_err());
}

/// What a session of its own sets, and a transaction in somebody else's does not: the pooler's connections, and how
/// transactions begin.
const NOT_SET: [&str; 5] = [
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_keepalives_count",
    "default_transaction_read_only",
    "default_transaction_isolation",
];

/// The settings of a session, in its own words and in those of a transaction.
fn settings(session: &str) -> impl Iterator<Item = (&str, String)> {
    let set = session.lines().filter_map(|line| {
        let (name, value) = line
            .strip_prefix("set ")?
            .trim_end_matches(';')
            .split_once(" = ")?;
        Some((name, value.trim_matches('\'')))
    });
    set.map(|(name, value)| (name, format!("set_config('{name}', '{value}', true)")))
}

#[test]
fn a_transaction_sets_what_a_session_sets() {
    let inherited = include_str!("../sql/inherited.sql");
    for (name, expected) in settings(inherited) {
        assert!(COMMAND.text().contains(&expected), "{name}");
        assert!(
            DAEMON.text().contains(&format!("set_config('{name}', ")),
            "{name}"
        );
    }
    let session = include_str!("../sql/session.sql");
    assert!(settings(session).count() > 15);
    for (name, expected) in settings(session) {
        let expected =
            expected.replace("program!()", &crate::store::with_expressions("program!()"));
        let is_set = DAEMON.text().contains(&expected);
        assert_ne!(is_set, NOT_SET.contains(&name), "{name}");
    }
}

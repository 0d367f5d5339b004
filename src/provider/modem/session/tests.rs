//! What a session waits for, and how long, by a modem that is the other end of a pipe.

use tokio::io::DuplexStream;

use super::*;

/// Never waited for, on however busy a machine.
const AMPLE: Duration = Duration::from_secs(60);

/// A session, and the modem's end of it.
fn session(answer_max: Duration) -> (Session, DuplexStream) {
    let (ours, modem) = tokio::io::duplex(1 << 16);
    let (read, write) = tokio::io::split(ours);
    let halves: Halves = (Box::new(read), Box::new(write));
    (Session::over(halves, answer_max), modem)
}

/// Reads up to the end of what is written.
async fn reads(modem: &mut DuplexStream, end: &str) {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        read.push(modem.read_u8().await.unwrap());
    }
}

async fn says(modem: &mut DuplexStream, text: &str) {
    modem.write_all(text.as_bytes()).await.unwrap();
}

/// The port of a modem that reports positions.
#[tokio::test]
async fn a_port_that_never_stops_to_speak_is_none_that_responds() {
    let (mut session, mut modem) = session(Duration::ZERO);
    let speaking = tokio::spawn(async move {
        while modem.write_all(b"$GPGGA,,,,,,0\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let responds = session.responds(Duration::from_millis(50));
    let responds = tokio::time::timeout(AMPLE, responds).await;
    let ended = responds.expect("it ends");
    assert!(matches!(ended, Err(Broken::Silent("AT"))), "{ended:?}");
    speaking.abort();
}

/// The answer comes at the last moment, and the end of the response after it.
#[tokio::test]
async fn a_number_in_time_is_an_answer_whenever_its_response_ends() {
    let (mut session, mut modem) = session(Duration::ZERO);
    let answering = tokio::spawn(async move {
        reads(&mut modem, "AT+CMGF=0\r").await;
        says(&mut modem, "\r\nOK\r\n").await;
        reads(&mut modem, "AT+CMGS=2\r").await;
        // The number is there once the last byte is written.
        says(&mut modem, "\r\n> \r\n+CMGS: 7\r\n").await;
        reads(&mut modem, "\u{1a}").await;
        says(&mut modem, "\r\nOK\r\n").await;
        modem
    });
    let submit = Submit {
        hex: "000100".into(),
        octets: 2,
    };
    let submitted = session.submit(&submit, || true).await;
    assert!(matches!(submitted, Submitted::Accepted(7)), "{submitted:?}");
    assert!(session.broken().is_none());
    answering.await.unwrap();
}

#[tokio::test]
async fn what_it_receives_meanwhile_is_bounded() {
    let (mut session, mut modem) = session(Duration::ZERO);
    let many = NEWS_MAX + 50;
    let answering = tokio::spawn(async move {
        reads(&mut modem, "AT\r").await;
        for n in 0..many {
            says(&mut modem, &format!("\r\n+CMTI: \"SM\",{n}\r\n")).await;
        }
        says(&mut modem, "\r\nOK\r\n").await;
        modem
    });
    let response = session.command("AT", "AT").await.unwrap();
    assert_eq!(response, Ok(Vec::new()));
    assert_eq!(session.news.len(), NEWS_MAX);
    answering.await.unwrap();
}

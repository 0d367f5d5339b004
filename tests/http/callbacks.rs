//! What is accepted as a callback. The database behind it is away throughout: what gets as far
//! as that is answered with 503.

use std::sync::Arc;
use std::time::Duration;

use punctual::http::{Endpoint, HttpState, Tokens, bind, serve, serve_public};
use punctual::limits::HttpLimits;
use punctual::message::InstanceId;
use punctual::provider::twilio::TwilioCallbacks;
use punctual::provider::twilio::callback::status_path;
use punctual::receipt::CallbackHandler;
use punctual::store::{Dsn, Store};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::server::{Reactor, Response, Server, TOKEN};

const PATH: &str = "/webhooks/twilio/status?message=00000000-0000-0000-0000-000000000001\
                    &token=00000000-0000-0000-0000-000000000002";
const BODY: &str = "MessageSid=SM0123456789abcdef0123456789abcdef&MessageStatus=delivered\
                    &To=%2B13105551234&Body=9+o%27clock+%26+10%25+off";
/// Made by another program, over `https://sms.example.com/x` and the above.
const SIGNED: &str = "ekqxpbgkqWdI7njeH/nxNzBxXKQ=";
/// The same over `https://sms.example.com:443/x`.
const SIGNED_WITH_PORT: &str = "idVBY/57cdM1UEaHyjVKF7MSmws=";
/// Over the body `MessageSid=SM1`.
const SIGNED_SHORT: &str = "0614qguHO7oJZQJBKyS4DMiV+rw=";

fn handler() -> CallbackHandler {
    let token = "feedfacefeedfacefeedfacefeedface".to_owned();
    let public = "https://sms.example.com/x".parse().unwrap();
    // Nobody listens on port 1.
    let away = Dsn::parse("postgres://nobody@127.0.0.1:1/none").unwrap();
    let store = Store::new(away.pool(1), InstanceId::fresh());
    let callbacks = Arc::new(TwilioCallbacks::new(&public, token.into()));
    CallbackHandler::new(vec![callbacks], store, Arc::default(), Arc::default())
}

/// Everything on one address, or callbacks on one of their own.
async fn start(own: bool) -> (std::net::SocketAddr, tokio_util::sync::DropGuard) {
    let listener = bind("127.0.0.1:0".parse().unwrap(), "a test")
        .await
        .unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    if own {
        let served = serve_public(
            listener,
            handler(),
            None,
            HttpLimits::default(),
            stop.clone(),
        );
        tokio::spawn(served);
    } else {
        let (questions, _) = tokio::sync::mpsc::channel(1);
        let tokens = Tokens::fresh();
        let state = HttpState::new(questions, Arc::default(), tokens.clone());
        let endpoint = Endpoint {
            tcp: listener,
            socket: None,
            tokens,
        };
        let state = state.with_callbacks(handler());
        tokio::spawn(serve(endpoint, state, stop.clone()));
    }
    (addr, stop.drop_guard())
}

async fn send(addr: std::net::SocketAddr, raw: &str) -> Response {
    use tokio::io::AsyncWriteExt as _;
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // An answer may come, and the connection end, before all is written.
    let _ = stream.write_all(raw.as_bytes()).await;
    Response::read(stream).await
}

fn post(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\n\
         Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

fn form(signature: &str) -> String {
    format!(
        "Content-Type: application/x-www-form-urlencoded\r\nX-Twilio-Signature: {signature}\r\n"
    )
}

#[tokio::test]
async fn only_what_is_signed_gets_in() {
    let document = crate::openapi::document().await;
    for own in [false, true] {
        let (addr, _guard) = start(own).await;
        let check = async |why: &str, path: &str, headers: &str, body: &str, expected: u16| {
            let answer = send(addr, &post(path, headers, body)).await;
            assert_eq!(answer.status, expected, "{why}, own address: {own}");
            // On another path there is nothing to promise.
            if expected != 404 {
                crate::openapi::check(&document, &status_path(None), "post", &answer);
            }
        };
        let json = form(SIGNED).replace("x-www-form-urlencoded", "json");
        let other_body = BODY.replace("delivered", "failed");
        let other_path = PATH.replace("02", "03");
        let asked = format!("{PATH}&x=1");
        check("signed", PATH, &form(SIGNED), BODY, 503).await;
        check("with a port", PATH, &form(SIGNED_WITH_PORT), BODY, 503).await;
        check("unsigned", PATH, "", BODY, 403).await;
        check(
            "forged",
            PATH,
            &form("AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            BODY,
            403,
        )
        .await;
        check("no base64", PATH, &form("é"), BODY, 403).await;
        check("another body", PATH, &form(SIGNED), &other_body, 403).await;
        check("another token", &other_path, &form(SIGNED), BODY, 403).await;
        check("a longer query", &asked, &form(SIGNED), BODY, 403).await;
        check("JSON without a hash", PATH, &json, BODY, 403).await;
        check(
            "no status",
            PATH,
            &form(SIGNED_SHORT),
            "MessageSid=SM1",
            400,
        )
        .await;
        check(
            "no route",
            "/webhooks/twilio/other",
            &form(SIGNED),
            BODY,
            404,
        )
        .await;
        let huge = "x".repeat(64 * 1024 + 1);
        check("too long", PATH, &form(SIGNED), &huge, 413).await;
        let chunked = format!(
            "POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
             {}\r\n{:x}\r\n{huge}\r\n0\r\n\r\n",
            form(SIGNED),
            huge.len()
        );
        assert_eq!(send(addr, &chunked).await.status, 413, "too long in chunks");
        let get = format!("GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert_eq!(send(addr, &get).await.status, 405);
    }
}

#[tokio::test]
async fn an_address_for_callbacks_has_nothing_else() {
    let (addr, _guard) = start(true).await;
    for path in ["/healthz", "/readyz", "/debug/timers"] {
        let get = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_eq!(send(addr, &get).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn without_a_public_url_there_is_no_such_route() {
    let server = Server::start(
        Reactor::Answers(vec![]),
        HttpLimits {
            request: Duration::from_secs(5),
            ..HttpLimits::default()
        },
    )
    .await;
    let answer = server.send_raw(&post(PATH, &form(SIGNED), BODY)).await;
    assert_eq!(answer.status, 404);
}

/// Streams, and clients that send nothing, half a head or half a body, also one to `/webhooks`, hold what
/// they can get; callbacks are answered all the same.
#[tokio::test]
async fn callbacks_have_places_whatever_streams_and_slow_clients_hold() {
    let patient = Duration::from_secs(3600);
    let limits = HttpLimits {
        connections: 48,
        reserved: 8,
        head: patient,
        request: patient,
        write: patient,
        ..HttpLimits::default()
    };
    let more = |state: HttpState| state.with_callbacks(handler());
    let server = Server::start_with(Reactor::Answers(vec![]), limits, more).await;
    let stream =
        format!("GET /debug/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    let half = |path: &str| {
        let form = form(SIGNED);
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n{form}\r\nMessage")
    };
    let held = [
        stream,
        String::new(),
        "GET /healthz HTTP/1.1\r\nHost".to_owned(),
        half("/login"),
        half(PATH),
    ];
    let mut open = Vec::new();
    for said in held.iter().cycle().take(40 * held.len()) {
        use tokio::io::AsyncWriteExt as _;
        let mut client = server.connect().await;
        // It may have given way already.
        let _ = client.write_all(said.as_bytes()).await;
        open.push(client);
        if open.len() % 20 == 0 {
            let signed = post(PATH, &form(SIGNED), BODY);
            let callback = server.send_raw(&signed);
            let answer = tokio::time::timeout(Duration::from_secs(20), callback).await;
            let answer = answer.expect("a callback is answered");
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(answer.body.contains("not be recorded"), "{answer:?}");
            assert_eq!(server.get("/healthz").await.status, 200);
        }
    }
}

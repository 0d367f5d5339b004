//! A stand-in for the endpoint of a language model: a real server that keeps what it was asked, and answers as its
//! script says: as it should, or in every way it should not.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What is done with one request.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// Answers with a text that follows from the data. The default when the script has run out.
    Right,
    /// Answers with this text.
    Text(String),
    /// The same in pieces, with this long between two of them.
    Slowly(String, Duration),
    /// Something else: status, content type, other headers, body.
    Other(u16, &'static str, Vec<(&'static str, &'static str)>, String),
    /// Nothing, ever.
    Silence,
    /// Begins an answer and does not go on.
    Stall,
    /// More bytes than anybody wants to read.
    Flood,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Asked {
    /// The data of the request.
    pub(crate) fn data(&self) -> Value {
        let user = self.body["messages"][1]["content"].as_str().unwrap();
        serde_json::from_str(user).unwrap()
    }
}

#[derive(Default)]
struct Script {
    next: VecDeque<Says>,
    /// After the script.
    then: Option<Says>,
    asked: Vec<Asked>,
}

type Shared = Arc<Mutex<Script>>;

pub(crate) struct Model {
    url: String,
    script: Shared,
    serving: JoinHandle<()>,
}

impl Drop for Model {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Model {
    pub(crate) async fn start(script: impl IntoIterator<Item = Says>) -> Self {
        let script: Shared = Arc::new(Mutex::new(Script {
            next: script.into_iter().collect(),
            ..Script::default()
        }));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/api/v1", listener.local_addr().unwrap());
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&script));
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            script,
            serving,
        }
    }

    /// One that always does the same.
    pub(crate) async fn always(says: Says) -> Self {
        let model = Self::start([]).await;
        model.lock().then = Some(says);
        model
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }
}

/// A text that follows from the data of a request.
pub(crate) fn right(data: &Value) -> String {
    let link = data["link"].as_str().map(|link| format!(" {link}"));
    let (title, begins_in) = (
        data["title"].as_str().unwrap(),
        data["begins_in"].as_str().unwrap(),
    );
    format!("Heads-up: {title} {begins_in}{}", link.unwrap_or_default())
}

/// The form of an answer.
pub(crate) fn whole(text: &str) -> String {
    json!({
        "id": "gen-1", "object": "chat.completion", "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 200, "completion_tokens": 50, "total_tokens": 250},
    })
    .to_string()
}

async fn answer(State(script): State<Shared>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let asked = Asked {
        headers,
        body: serde_json::from_slice(&body).unwrap(),
    };
    let says = {
        let mut script = script.lock().unwrap();
        script.asked.push(asked.clone());
        let then = script.then.clone().unwrap_or(Says::Right);
        script.next.pop_front().unwrap_or(then)
    };
    let json = |body| response(200, "application/json", body);
    match says {
        Says::Right => json(Body::from(whole(&right(&asked.data())))),
        Says::Text(text) => json(Body::from(whole(&text))),
        Says::Slowly(text, pause) => {
            let bytes = whole(&text).into_bytes();
            let pieces: Vec<Vec<u8>> = bytes.chunks(64).map(<[u8]>::to_vec).collect();
            json(Body::from_stream(stream::unfold(
                pieces.into_iter(),
                move |mut left| async move {
                    tokio::time::sleep(pause).await;
                    left.next().map(|piece| (Ok::<_, Infallible>(piece), left))
                },
            )))
        }
        Says::Other(status, kind, others, body) => {
            let mut response = response(status, kind, Body::from(body));
            for (name, value) in others {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Says::Silence => std::future::pending().await,
        Says::Stall => json(Body::from_stream(stream::unfold(
            false,
            |begun| async move {
                if begun {
                    std::future::pending::<()>().await;
                }
                Some((Ok::<_, Infallible>("{\"choices\": ["), true))
            },
        ))),
        Says::Flood => json(Body::from_stream(stream::repeat_with(|| {
            Ok::<_, Infallible>(vec![b' '; 64 * 1024])
        }))),
    }
}

fn response(status: u16, kind: &str, body: Body) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", kind)
        .body(body)
        .unwrap()
}

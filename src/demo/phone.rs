//! The pretend phone: answers as Twilio's Messages API does, on loopback, and notes when each
//! text arrived.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::message::Moment;

/// Twilio's own magic number for "this number is not valid".
pub const INVALID_NUMBER: &str = "+15005550001";

/// A text that arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When the request's head was parsed, by this machine's wall clock.
    pub at: Moment,
    /// The text.
    pub body: String,
}

/// See the module.
pub struct Phone {
    /// Where it answers.
    pub addr: SocketAddr,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

#[derive(Clone)]
struct Line {
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    ring: mpsc::UnboundedSender<Arrival>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    to: String,
    body: String,
}

impl Phone {
    /// A phone that is not connected yet, its server, and what rings.
    pub async fn plug_in(
        stop: CancellationToken,
    ) -> std::io::Result<(
        Self,
        impl Future<Output = std::io::Result<()>>,
        mpsc::UnboundedReceiver<Arrival>,
    )> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        // As many as the demo has messages: a bound by construction.
        let (ring, rings) = mpsc::unbounded_channel();
        let line = Line {
            arrivals: Arc::clone(&arrivals),
            ring,
        };
        let router = Router::new()
            .route(
                "/2010-04-01/Accounts/{account}/Messages.json",
                post(message),
            )
            .with_state(line);
        let server = async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await
        };
        Ok((Self { addr, arrivals }, server, rings))
    }

    /// Everything that has arrived.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn message(
    State(line): State<Line>,
    Path(account): Path<String>,
    Form(message): Form<Message>,
) -> (StatusCode, Json<Value>) {
    let at = Moment::from_micros(clock::reading().real_us);
    if message.to == INVALID_NUMBER {
        let refusal = json!({
            "code": 21211,
            "message": "Invalid 'To' Phone Number",
            "more_info": "https://www.twilio.com/docs/errors/21211",
            "status": 400,
        });
        return (StatusCode::BAD_REQUEST, Json(refusal));
    }
    let arrival = Arrival {
        at,
        body: message.body,
    };
    let mut arrivals = line.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    arrivals.push(arrival.clone());
    drop(arrivals);
    // Nobody at the phone any more: the demo is ending.
    let _ = line.ring.send(arrival);
    let sid = format!("SM{}", uuid::Uuid::new_v4().simple());
    let answer =
        json!({ "sid": sid, "status": "queued", "account_sid": account, "error_code": null });
    (StatusCode::CREATED, Json(answer))
}

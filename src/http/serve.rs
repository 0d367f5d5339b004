//! The sockets: accepts, bounds and drains connections.
//!
//! hyper is driven directly because axum's own `serve` sets neither a time-out for the head
//! of a request nor a bound on connections, and waits for ever on an open one at shutdown.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use http_body::Frame;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::endpoint::{Endpoint, Socket};
use super::patience::Patience;
use super::places::{Class, Places, Seat, Work};
use super::{HttpState, Limits, router, text, webhook_router};
use crate::receipt::Webhooks;

/// The longest head of a request, in bytes: a browser's cookies fit, floods do not (431).
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The most header lines of a request; beyond it 431.
const HEADERS_MAX: usize = 64;

/// The pause after a failed `accept`. It fails mostly for want of file descriptors, and asking
/// at once would spin until one is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// This user, by the socket in the file system.
    Own,
    /// Whoever reaches the address.
    Network(IpAddr),
}

/// Serves the routes on `endpoint` until `shutdown`, then lets open requests finish for as long
/// as [`Limits::drain`] allows and drops what is left. Returns when no connection is open.
pub async fn serve(endpoint: Endpoint, state: HttpState, shutdown: CancellationToken) {
    let limits = state.limits;
    let limiter = Arc::clone(&state.limiter);
    let router = router(state, shutdown.clone());
    let Endpoint { tcp, socket, .. } = endpoint;
    let by_address = serve_router(Listener::Tcp(tcp), router.clone(), limits, shutdown.clone());
    let by_socket = async {
        if let Some(socket) = socket {
            let Socket { listener, file } = socket;
            serve_router(Listener::Unix(listener), router, limits, shutdown.clone()).await;
            drop(file);
        }
    };
    let sums = async {
        let mut times = interval(limits.sum_up);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            times.tick().await;
            limiter.sum_up();
        }
    };
    tokio::select! {
        _ = async { tokio::join!(by_address, by_socket) } => {}
        () = sums => {}
    }
    limiter.sum_up();
}

/// Serves the provider's callbacks, and nothing else, in the same way.
pub async fn serve_webhooks(
    listener: TcpListener,
    webhooks: Webhooks,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let router = webhook_router(webhooks, limits);
    serve_router(Listener::Tcp(listener), router, limits, shutdown).await;
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Listener {
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are small and awaited: waiting to fill a packet only delays them.
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), Peer::Network(peer.ip())))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), Peer::Own))
            }
        }
    }
}

async fn serve_router(
    listener: Listener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    // Owned here: dropping this future ends every connection.
    let mut connections = JoinSet::new();
    let places = Places::new(limits.connections, limits.reserved);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (stream, peer) = accept(&listener, &places) => {
                let stream = Patience::new(stream, limits.write);
                let seat = places.take();
                let (router, shutdown) = (router.clone(), shutdown.clone());
                connections.spawn(connection(stream, peer, seat, router, limits, shutdown));
            }
        }
    }
    // Closed first: a client that comes now is refused and goes elsewhere, instead of waiting
    // in a queue that nobody reads.
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain, drained).await.is_err() {
        let open = connections.len();
        tracing::warn!(open, "http connections did not finish in time, dropped");
        connections.shutdown().await;
    }
}

/// The next connection, once there is room for one. Cancel safe.
async fn accept(listener: &Listener, places: &Places) -> (Box<dyn Stream>, Peer) {
    places.room().await;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "http accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: Patience<Box<dyn Stream>>,
    peer: Peer,
    seat: Seat,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| answer(request, peer, seat.clone(), router.clone()));
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = seat.lost() => {
            tracing::debug!("http connection gave way to another");
            return;
        }
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A client that went away or trickled: its own matter.
        tracing::debug!(%error, "http connection ended");
    }
}

/// Answers one request on the place of its connection, which is kept until the answer has been written.
async fn answer(
    mut request: hyper::Request<Incoming>,
    peer: Peer,
    seat: Seat,
    router: TowerToHyperService<Router>,
) -> Result<Response, Infallible> {
    let class = match request.uri().path() {
        "/healthz" | "/readyz" => Some(Class::Reserved),
        // Once it has come whole.
        path if path.starts_with("/webhooks/") => None,
        _ => Some(Class::Page),
    };
    let work = class.map(|class| seat.begin(class));
    let work = match work {
        Some(None) => return Ok(busy()),
        Some(work) => work,
        None => None,
    };
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(seat);
    let response = hyper::service::Service::call(&router, request).await?;
    Ok(response.map(|body| match work {
        Some(work) => Body::new(Worked { body, _work: work }),
        None => body,
    }))
}

/// A callback keeps its place from when its body has come: a client that holds one back has none.
pub(super) async fn whole(request: Request, next: axum::middleware::Next) -> Response {
    let seat = request.extensions().get::<Seat>().cloned();
    let (parts, body) = request.into_parts();
    let body = match Bytes::from_request(Request::new(body), &()).await {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let work = seat.and_then(|seat| seat.begin(Class::Reserved));
    let response = next.run(Request::from_parts(parts, body.into())).await;
    drop(work);
    response
}

fn busy() -> Response {
    let head = [(header::RETRY_AFTER, "2"), (header::CONNECTION, "close")];
    let sentence = "too many are asking at this moment: try again in a few seconds";
    (head, text(StatusCode::SERVICE_UNAVAILABLE, sentence)).into_response()
}

/// An answer's body with what it is worked on for.
struct Worked {
    body: Body,
    _work: Work,
}

impl http_body::Body for Worked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

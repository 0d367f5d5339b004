//! The sockets: accepts, bounds and drains connections.
//!
//! hyper is driven directly because axum's own `serve` sets neither a time-out for the head
//! of a request nor a bound on connections, and waits for ever on an open one at shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{HttpState, Limits, router, webhook_router};
use crate::receipt::Webhooks;

/// The longest head of a request, in bytes: a browser's cookies fit, floods do not (431).
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The most header lines of a request; beyond it 431.
const HEADERS_MAX: usize = 64;

/// The pause after a failed `accept`. It fails mostly for want of file descriptors, and asking
/// at once would spin until one is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} ({setting}){}", hint(.source))]
pub struct BindError {
    addr: SocketAddr,
    setting: &'static str,
    source: std::io::Error,
}

fn hint(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    match error.kind() {
        AddrInUse => "; another program, or another instance, has it: choose another port",
        AddrNotAvailable => "; this machine has no such address: 0.0.0.0 or [::] means all of them",
        PermissionDenied => "; ports below 1024 need a privilege: choose a higher one",
        _ => "",
    }
}

/// Listens on `addr`, which came from the setting named `setting`.
pub async fn bind(addr: SocketAddr, setting: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(addr).await.map_err(|source| BindError {
        addr,
        setting,
        source,
    })
}

/// Serves the routes on `listener` until `shutdown`, then lets open requests finish for as long
/// as [`Limits::drain`] allows and drops what is left. Returns when no connection is open.
pub async fn serve(listener: TcpListener, state: HttpState, shutdown: CancellationToken) {
    let limits = state.limits;
    let router = router(state, shutdown.clone());
    serve_router(listener, router, limits, shutdown).await;
}

/// Serves the provider's callbacks, and nothing else, in the same way.
pub async fn serve_webhooks(
    listener: TcpListener,
    webhooks: Webhooks,
    limits: Limits,
    shutdown: CancellationToken,
) {
    serve_router(listener, webhook_router(webhooks, limits), limits, shutdown).await;
}

async fn serve_router(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    // Owned here: dropping this future ends every connection.
    let mut connections = JoinSet::new();
    let room = Arc::new(Semaphore::new(limits.connections));
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (permit, stream) = accept(&listener, &room) => {
                let router = router.clone();
                let shutdown = shutdown.clone();
                connections.spawn(async move {
                    connection(stream, router, limits, shutdown).await;
                    drop(permit);
                });
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
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (Option<tokio::sync::OwnedSemaphorePermit>, TcpStream) {
    // The semaphore is never closed, so there always is a permit.
    let permit = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => return (permit, stream),
            Err(error) => {
                tracing::warn!(%error, "http accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    // Answers are small and awaited: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
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

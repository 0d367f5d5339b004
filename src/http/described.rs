//! Routes from the descriptions of their handlers (`#[utoipa::path]`): each is served at the path, and by the method,
//! that its description has.
//!
//! Only the tests put the descriptions together, to the document that the program has as a file (`openapi.rs`). What
//! makes them is a good part of a program that contains it.

#[cfg(not(test))]
use axum::handler::Handler;
#[cfg(not(test))]
use axum::routing::MethodRouter;
#[cfg(not(test))]
use utoipa::openapi::path::{Operation, Paths};
#[cfg(not(test))]
use utoipa_axum::PathItemExt as _;
#[cfg(not(test))]
use utoipa_axum::router::UtoipaMethodRouter;
#[cfg(test)]
pub(super) use utoipa_axum::routes;

/// As `utoipa_axum::routes`, without what describes them.
#[cfg(not(test))]
macro_rules! routes {
    ($first:ident $(:: $rest:ident)* $(, $($more:ident)::+)*) => {
        $crate::http::described::together([
            $crate::http::described::one!([] $first $($rest)*),
            $($crate::http::described::one!([] $($more)+)),*
        ])
    };
}

/// One of them, by the name of its handler.
#[cfg(not(test))]
macro_rules! one {
    ([$($module:ident)*] $handler:ident) => {
        utoipa_axum::paste! {
            $crate::http::described::route::<$($module::)*[<__path_ $handler>], _, _, _>(&$($module::)*$handler)
        }
    };
    ([$($module:ident)*] $next:ident $($rest:ident)+) => {
        $crate::http::described::one!([$($module)* $next] $($rest)+)
    };
}
#[cfg(not(test))]
pub(super) use {one, routes};

#[cfg(not(test))]
pub(super) fn route<Described, H, T, S>(handler: &H) -> (String, MethodRouter<S>)
where
    Described: utoipa::Path,
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    let methods = Described::methods();
    let served = methods.iter().fold(MethodRouter::new(), |served, method| {
        served.on(method.to_method_filter(), handler.clone())
    });
    (Described::path(), served)
}

/// Those of one path.
#[cfg(not(test))]
pub(super) fn together<S, const N: usize>(
    routes: [(String, MethodRouter<S>); N],
) -> UtoipaMethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let mut paths = Paths::new();
    let mut served = MethodRouter::new();
    for (path, methods) in routes {
        paths.add_path_operation(path, Vec::new(), Operation::new());
        served = served.merge(methods);
    }
    (Vec::new(), paths, served)
}

//! Routes, each with its path and methods, and in the tests with the descriptions of its handlers
//! (`#[cfg_attr(test, utoipa::path(…))]`), which have the same path and methods.
//!
//! Only the tests put the descriptions together, to the document that the program has as a file (`openapi.rs`). The
//! program is built without what makes them.

#[cfg(test)]
pub(super) use documented::{Described, Routes, agreeing, routes};
#[cfg(not(test))]
pub(super) use served::{Described, Routes, routes};

#[cfg(not(test))]
mod served {
    pub(in crate::http) use axum::Router as Routes;
    use axum::routing::MethodRouter;

    /// A path, and for each method its handler.
    macro_rules! routes {
        ($path:literal, $method:ident $handler:path $(, $other:ident $by:path)*) => {
            ($path, ::axum::routing::$method($handler)$(.$other($by))*)
        };
    }
    pub(in crate::http) use routes;

    /// What routes with descriptions have, for those without.
    pub(in crate::http) trait Described<S> {
        /// Serves one path more.
        fn routes(self, one: (&'static str, MethodRouter<S>)) -> Self;

        /// All of them, to be served.
        fn served(self) -> Self;
    }

    impl<S: Clone + Send + Sync + 'static> Described<S> for Routes<S> {
        fn routes(self, (path, methods): (&'static str, MethodRouter<S>)) -> Self {
            self.route(path, methods)
        }

        fn served(self) -> Self {
            self
        }
    }
}

#[cfg(test)]
mod documented {
    use axum::Router;
    use serde_json::Value;
    pub(in crate::http) use utoipa_axum::router::OpenApiRouter as Routes;
    use utoipa_axum::router::UtoipaMethodRouter;

    /// The same, with what the handlers say of themselves.
    macro_rules! routes {
        ($path:literal, $($method:ident $first:ident $(:: $rest:ident)*),+) => {
            $crate::http::described::agreeing(
                $path,
                &[$(stringify!($method)),+],
                ::utoipa_axum::routes!($($first $(:: $rest)*),+),
            )
        };
    }
    pub(in crate::http) use routes;

    /// Checks that they say the same path and the same methods.
    pub(in crate::http) fn agreeing<S>(
        path: &str,
        methods: &[&str],
        described: UtoipaMethodRouter<S>,
    ) -> UtoipaMethodRouter<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let paths = serde_json::to_value(&described.1).unwrap();
        let of_paths = paths.as_object().unwrap();
        assert_eq!(of_paths.keys().collect::<Vec<_>>(), [path], "{methods:?}");
        let said = of_paths.values().filter_map(Value::as_object).flatten();
        let mut said: Vec<_> = said.map(|(method, _)| method.as_str()).collect();
        let mut methods = methods.to_vec();
        said.sort_unstable();
        methods.sort_unstable();
        assert_eq!(said, methods, "{path}");
        described
    }

    /// For routes with descriptions.
    pub(in crate::http) trait Described<S> {
        /// All of them, without what describes them.
        fn served(self) -> Router<S>;
    }

    impl<S: Clone + Send + Sync + 'static> Described<S> for Routes<S> {
        fn served(self) -> Router<S> {
            self.split_for_parts().0
        }
    }
}

//! Which program this is.

/// Its version, as releases have it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from; `unknown` in a debug build, which `build.rs` explains.
pub const COMMIT: &str = env!("BUILD_COMMIT");

/// The day of the build, in UTC; `unknown` in a debug build.
pub const BUILT: &str = env!("BUILD_DAY");

/// All of it, as `punctual --version` prints it.
pub const WITH_COMMIT: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BUILD_WORDS"), ")");

//! What the database does about rows that cannot be sent.

/// What is done about a row of the app's that cannot be sent as it is written, and about a number that its country has
/// not assigned or that is a premium-rate one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validate {
    /// It is accepted with a warning, and fails at its time unless it is corrected. Such a number is tried.
    #[default]
    Warn,
    /// It is refused. Such a number is not sent to.
    Refuse,
}

impl Validate {
    /// As settings and the database have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Refuse => "refuse",
        }
    }
}

//! How drafts end.

/// How a draft ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftEnd {
    /// The message has the text.
    Written,
    /// The text was not fit to be sent.
    Refused,
    /// The endpoint refused, failed, or responded with something else.
    Failed,
    /// There was no whole response in time.
    TimedOut,
    /// The budget of the day was used up.
    OverBudget,
    /// The message was due too soon.
    Late,
    /// Another transaction had locked the message.
    Locked,
    /// The message or its event had changed, or it was cancelled.
    Changed,
    /// What is known of the event is not enough.
    Unusable,
}

impl DraftEnd {
    /// Each, in order.
    pub const ALL: [Self; 9] = [
        Self::Written,
        Self::Refused,
        Self::Failed,
        Self::TimedOut,
        Self::OverBudget,
        Self::Late,
        Self::Locked,
        Self::Changed,
        Self::Unusable,
    ];

    /// As the table and the metrics have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::OverBudget => "over_budget",
            Self::Late => "late",
            Self::Locked => "locked",
            Self::Changed => "changed",
            Self::Unusable => "unusable",
        }
    }

    /// From the table.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.as_str() == word)
    }

    /// Whether the message goes with its own text because the writer did not write another one. One that was changed or
    /// cancelled meanwhile is not counted.
    pub const fn is_fallback(self) -> bool {
        !matches!(self, Self::Written | Self::Changed)
    }
}

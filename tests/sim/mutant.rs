//! Bugs planted on purpose, in the world around the reactor, where each equals a bug in the
//! daemon: a simulation that finds none of them would find nothing.

/// One bug. The name says what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// The claim does not ask whether the row is still pending.
    TwoWinners,
    /// Negative outcomes are recorded whoever holds the row by now.
    NoFence,
    /// Users may change and delete what is being sent.
    OpenGuard,
    /// A claim brings the text as it was before the edits.
    OldText,
    /// A claim brings the user's time and forgets the backoff.
    NoBackoff,
    /// Nobody looks after claims of dead instances.
    NoReaper,
    /// Claims of living instances are reaped, within their lease.
    EagerReaper,
    /// What a clock wrote that ran ahead stays in the future.
    TimesAhead,
    /// Nobody looks for claims whose answer was lost.
    NoOrphanedClaims,
    /// Sweeps bring nothing.
    EmptySweeps,
    /// Reads bring nothing.
    EmptyReads,
    /// A request with an uncertain end is reported as unsent.
    BlindRetry,
    /// The lease is not looked at before the request.
    NoLease,
    /// The clock is ahead of the database's by a twentieth of a second.
    FastClock,
    /// The timer fires seconds after the time it was set to.
    LateTimer,
    /// The listener says that it hears before it does.
    HollowChannel,
    /// A claim does not bring what the policy asks for.
    NoFacts,
    /// A forecast does not have what the policy asks for.
    ForecastWithoutFacts,
    /// A forecast knows of no provider that refuses.
    ForecastWithoutBreaker,
    /// The claim takes what is in quarantine.
    NoQuarantine,
    /// A jump of the database's clock is followed.
    FollowedJump,
    /// A claim takes no notice of pauses.
    ClaimsPaused,
    /// The claim by ids takes what waits for its pace.
    IgnoresPaces,
    /// A claim from a pace does not move it on.
    NoGap,
    /// A pace that is changed starts over, whatever slots were taken.
    PaceAnew,
    /// A rate that is changed has room for a whole burst, whatever was sent.
    RateAnew,
    /// A claim from a pace takes the message that was due last.
    LastFirst,
    /// The slots of a pace that is changed stay as the gap before made them.
    OldGap,
    /// The lateness of a message with a pace counts from the slot that it takes, however long there was one before.
    ForgetsOutage,
    /// A claim charges nothing to the rate of its sender.
    NoCharge,
    /// What texts cost is counted, and no cap is kept.
    NoCap,
    /// A text that does not fit into what is left of a cap stops all others.
    PausesEarly,
    /// What may have been sent is returned.
    ReturnsUncertain,
    /// What was not sent stays counted.
    NeverReturns,
    /// What was given up is counted when its attempt is over.
    CountsEnded,
    /// A claim brings the first account of its route, whichever was asked for.
    FirstAccount,
    /// What is sent again because its provider permits it names no account.
    ForgetsAccount,
    /// Reads of the pauses bring nothing.
    EmptyPauses,
    /// After a part that was accepted comes the one after the next.
    SkipsPart,
    /// A part that was accepted is the next one still.
    RepeatsPart,
    /// Users may change what is between two parts.
    OpenParts,
    /// No statement returns the channel, so that all go by one lane.
    OneLane,
    /// A limit of one recipient is taken for one of its sender.
    WidensLimits,
}

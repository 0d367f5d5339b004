//! The number of this program, and since which one a program knows what it must not send without.

/// The number of this program's schema. Raised with each change to what a released version has in
/// `migrations/` or `triggers/`; a migration that older programs cannot work with records in
/// `punctual.migrations.oldest_program` the oldest one that can. Each session of a daemon says it
/// (`punctual.program`), and the database refuses the claims of one that is older than that.
pub const PROGRAM: i32 = 6;

/// The first program that knows the rates of senders. An older one claims nothing while a sender has a rate, because it
/// would send that sender's messages as fast as it can. Without rates it may claim.
pub const KNOWS_RATES: i32 = 4;

/// The first program that knows opt-outs that were forgotten (`punctual forget`). An older one claims nothing once
/// there may be one, because it would send to that recipient.
pub const KNOWS_FORGOTTEN: i32 = 4;

/// The first program that knows `media_urls`. An older one is refused each message that has some, because it would send
/// the text alone.
pub const KNOWS_MEDIA: i32 = 4;

/// The first program that knows the hours of campaigns. An older one claims nothing while one is scheduled, because it
/// would send what is late outside of its hours.
pub const KNOWS_CAMPAIGNS: i32 = 4;

/// The first program that knows lawful hours. An older one claims nothing while the daemon that started last has such
/// rules, because it would send at any hour.
pub const KNOWS_LAWFUL_HOURS: i32 = 5;

/// The first program that knows caps on costs. An older one claims nothing while the daemon that started last has one,
/// because it would send whatever that costs.
pub const KNOWS_CAPS: i32 = 5;

/// The first program that knows bounds on equal texts. An older one claims nothing while the daemon that started last
/// has one, or a text is paused, because it would send what is to wait.
pub const KNOWS_BURSTS: i32 = 6;

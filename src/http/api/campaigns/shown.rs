//! Campaigns and their messages in answers.

use serde::Serialize;
use uuid::Uuid;

use crate::message::parts::split;
use crate::message::segments::Segments;
use crate::message::{MessageId, Moment};
use crate::store::campaigns::{Campaign, Count, Shown, Tally};

/// A campaign.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Campaign))]
pub(super) struct Described {
    /// Its id, which its messages have as `campaign_id`.
    id: Uuid,
    /// Its name.
    name: String,
    /// `draft`, `scheduled`, `paused`, `done` or `cancelled`.
    state: String,
    /// When its messages may be sent.
    hours: String,
    /// The time zone of its hours.
    timezone: String,
    /// The shortest gap after a message.
    gap_min_s: f64,
    /// The longest.
    gap_max_s: f64,
    /// How many of 1,000 gaps are longer.
    skip_per_mille: u32,
    /// By how much at least.
    skip_min_s: f64,
    /// By how much at most.
    skip_max_s: f64,
    /// Whom its messages are from; null: the sender of messages that name none.
    from_number: Option<String>,
    /// What its plan is drawn from.
    seed: i64,
    /// When the first of its messages was planned to be due.
    first_at: Option<Moment>,
    /// Who made it.
    created_by: String,
    /// When.
    created_at: Moment,
}

/// A campaign in a list.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct CampaignListed {
    #[serde(flatten)]
    pub(super) campaign: Described,
    #[serde(flatten)]
    pub(super) tally: Tally,
}

/// A campaign, and how many of its messages are in which status.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct CampaignNow {
    #[serde(flatten)]
    pub(super) campaign: Described,
    /// By status.
    pub(super) messages: Vec<Count>,
}

/// A text that is sent.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = CampaignPart))]
struct Part {
    /// As it arrives.
    text: String,
    /// What it is to the network.
    segments: Segments,
}

/// A message of a campaign, as its recipient will see it.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = CampaignMessage))]
pub(super) struct Message {
    /// Its position in the campaign, from 1.
    position: i32,
    /// Whom it is for.
    customer_name: Option<String>,
    /// Their number.
    phone_number: String,
    /// The text, as it was written.
    content: String,
    /// `SUG`, `APR`, `REJ`, `SCH`, `sent`, `failed`, `cancelled`, `unconfirmed` or `deleted`.
    status: String,
    /// The texts that are sent, one after the other.
    parts: Vec<Part>,
    /// Segments in all, by which the network bills.
    segments: usize,
    /// What it is, in short, to decide about it as it was seen.
    seen: String,
    /// Who approved or rejected it.
    decided_by: Option<String>,
    /// When.
    decided_at: Option<Moment>,
    /// Its row of `scheduled_messages`, once it is scheduled.
    id: Option<MessageId>,
    /// When it is due.
    due_at: Option<Moment>,
    /// When it was sent.
    sent_at: Option<Moment>,
    /// Why it was not sent.
    reason: Option<String>,
}

/// Messages of a campaign, in their order.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct CampaignMessages {
    /// These.
    pub(super) messages: Vec<Message>,
    /// The `after` of the next page; null: there is none.
    pub(super) next: Option<i32>,
}

impl From<Campaign> for Described {
    fn from(campaign: Campaign) -> Self {
        let settings = campaign.settings;
        let pacing = settings.pacing;
        Self {
            id: campaign.id,
            name: settings.name,
            state: campaign.state,
            hours: settings.hours,
            timezone: settings.timezone,
            gap_min_s: pacing.gaps.0.as_secs_f64(),
            gap_max_s: pacing.gaps.1.as_secs_f64(),
            skip_per_mille: pacing.skips.per_mille,
            skip_min_s: pacing.skips.length.0.as_secs_f64(),
            skip_max_s: pacing.skips.length.1.as_secs_f64(),
            from_number: settings.from,
            seed: pacing.seed,
            first_at: campaign.first_at,
            created_by: campaign.created_by,
            created_at: campaign.created_at,
        }
    }
}

impl Message {
    pub(super) fn of(shown: Shown, separator: &str) -> Self {
        let parts = split(&shown.draft.content, Some(separator));
        let parts: Vec<Part> = parts.into_iter().map(Part::of).collect();
        let (decided_by, decided_at) = shown.decided.unzip();
        Self {
            position: shown.position,
            customer_name: shown.draft.customer_name,
            phone_number: shown.draft.phone_number,
            segments: parts.iter().map(|part| part.segments.count).sum(),
            parts,
            content: shown.draft.content,
            status: shown.status,
            seen: shown.seen,
            decided_by,
            decided_at,
            id: shown.message,
            due_at: shown.times.0,
            sent_at: shown.times.1,
            reason: shown.reason,
        }
    }
}

impl Part {
    fn of(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            segments: Segments::of(text),
        }
    }
}

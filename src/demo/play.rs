//! Plays the script against the running daemon, as the app would, and compares the results with what
//! the script expects.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::lines::{milliseconds, summary, time};
use super::phone::{Arrival, Phone};
use super::run::{DemoError, DemoReport};
use super::script::{DemoMessage, Expected, MESSAGES, UserChange};
use super::users;
use crate::clock;
use crate::message::{Channel, MessageId, Moment, Status};
use crate::store::user::{Draft, UserSession};

/// How long after a message was sent its row is read: recording takes a few milliseconds.
const SETTLE: Duration = Duration::from_millis(500);

/// Acts as the app and reads the phone.
pub(super) struct Player {
    pub(super) app: UserSession,
    pub(super) phone: Phone,
    /// The start of the demo, from which the times of the script count.
    pub(super) began: Moment,
}

/// One step of the demo, with the index of its message.
enum Step {
    Insert(usize),
    Change(usize, UserChange),
    /// Print the row of a message that was not to arrive.
    Print(usize),
}

impl Player {
    /// Takes all steps at their times, printing a line for each message, and checks the results.
    pub(super) async fn play(
        &self,
        mut arrivals: mpsc::UnboundedReceiver<Arrival>,
        say: &mut (impl FnMut(String) -> Result<(), DemoError> + Send),
    ) -> Result<DemoReport, DemoError> {
        let mut steps: Vec<(Duration, Step)> = Vec::new();
        for (n, message) in MESSAGES.iter().enumerate() {
            steps.push((message.inserted, Step::Insert(n)));
            if let Some((at, change)) = message.change {
                steps.push((at, Step::Change(n, change)));
            }
            if !matches!(message.expected(), Expected::Arrives(..)) {
                steps.push((message.ends_at() + SETTLE, Step::Print(n)));
            }
        }
        steps.sort_by_key(|(at, _)| *at);
        say(format!(
            "\n{:<24}{:<17}{:<17}{:>12}",
            "message", "planned (UTC)", "arrived", "late"
        ))?;

        users::set_preferences(&self.app, self.began).await?;
        let mut ids: HashMap<usize, MessageId> = HashMap::new();
        for (at, step) in steps {
            self.until(at, &mut arrivals, say).await?;
            match step {
                Step::Insert(n) => {
                    let message = &MESSAGES[n];
                    ids.insert(n, self.insert(message).await?);
                }
                Step::Change(n, change) => self.change(ids[&n], change).await?,
                Step::Print(n) => say(self.line_of_unsent(&MESSAGES[n], ids[&n]).await?)?,
            }
        }
        let last = MESSAGES
            .iter()
            .map(DemoMessage::ends_at)
            .max()
            .unwrap_or_default();
        self.until(last + SETTLE, &mut arrivals, say).await?;
        let report = self.check(&ids).await?;
        say(summary(&self.phone.arrivals(), &report))?;
        Ok(report)
    }

    /// Waits until this time of the script, printing what arrives meanwhile.
    async fn until(
        &self,
        at: Duration,
        arrivals: &mut mpsc::UnboundedReceiver<Arrival>,
        say: &mut (impl FnMut(String) -> Result<(), DemoError> + Send),
    ) -> Result<(), DemoError> {
        let now = Moment::from_micros(clock::reading().real_us);
        let mut pause = std::pin::pin!(sleep((self.began + at).since(now)));
        loop {
            tokio::select! {
                () = &mut pause => return Ok(()),
                Some(arrival) = arrivals.recv() => say(self.line_of(&arrival))?,
            }
        }
    }

    async fn insert(&self, message: &DemoMessage) -> Result<MessageId, DemoError> {
        let at = self.began + message.at;
        let user = users::id_of(message.owner);
        if !message.is_webhook() {
            let id = self.app.insert(user, message.to, message.body, at);
            return Ok(id.await?);
        }
        let draft = Draft {
            channel: Channel::Webhook.as_str(),
            to: &format!("http://{}{}", self.phone.addr, message.to),
            from: None,
            subject: None,
            body: message.body,
            at,
            user,
            timezone: None,
            send_before: None,
            priority: "normal",
            dedup_key: None,
            message_type: Some("report.due"),
            template: None,
            template_vars: None,
            media: &[],
        };
        let id = self.app.schedule(&draft).await?;
        id.ok_or(DemoError::Ended("the insert of a webhook"))
    }

    async fn change(&self, id: MessageId, change: UserChange) -> Result<(), DemoError> {
        match change {
            UserChange::Move(at) => self.app.reschedule(id, self.began + at).await?,
            UserChange::Edit(body) => self.app.edit(id, body).await?,
            UserChange::Cancel => self.app.cancel(id).await?,
            UserChange::Delete => self.app.delete(id).await?,
        };
        Ok(())
    }

    /// The line of a text that arrived.
    fn line_of(&self, arrival: &Arrival) -> String {
        let part = |message: &DemoMessage| message.texts().iter().position(|t| *t == arrival.body);
        let message = MESSAGES.iter().find(|message| part(message).is_some());
        let Some(message) = message else {
            return format!("{:<24}{:<17}{:<17}", "UNEXPECTED", "-", time(arrival.at));
        };
        // A later part is due when the one before it was accepted, and a moment has passed.
        if part(message) > Some(0) {
            let (title, after) = (message.title, "some 1.5 s later");
            return format!("{title:<24}{after:<17}{}", time(arrival.at));
        }
        let planned = self.began + message.ends_at();
        format!(
            "{:<24}{:<17}{:<17}{:>12}",
            message.title,
            time(planned),
            time(arrival.at),
            milliseconds(arrival.at.micros_from(planned))
        )
    }

    /// The line of a message that was not sent.
    async fn line_of_unsent(
        &self,
        message: &DemoMessage,
        id: MessageId,
    ) -> Result<String, DemoError> {
        let result = match self.app.fate(id).await? {
            None => "deleted, not sent".to_owned(),
            Some((status, None)) => format!("{}, not sent", status.as_str()),
            Some((status, Some(why))) => format!("{}, not sent: {why}", status.as_str()),
        };
        let planned = time(self.began + message.at);
        Ok(format!("{:<24}{planned:<17}{result}", message.title))
    }

    /// Compares the arrivals and the final rows with the script.
    async fn check(&self, ids: &HashMap<usize, MessageId>) -> Result<DemoReport, DemoError> {
        let arrivals = self.phone.arrivals();
        let mut faults = Vec::new();
        let mut expected_arrivals = 0;
        for (n, message) in MESSAGES.iter().enumerate() {
            let status = self.app.fate(ids[&n]).await?.map(|(status, _)| status);
            let expected = match message.expected() {
                Expected::Arrives(at, _) => {
                    let mut due = self.began + at;
                    for text in message.texts() {
                        expected_arrivals += 1;
                        let matching: Vec<_> = arrivals.iter().filter(|a| a.body == text).collect();
                        let title = message.title;
                        match matching.as_slice() {
                            [] => faults.push(format!("lost: {title}")),
                            [one] if one.at < due => faults.push(format!("early: {title}")),
                            // The next part arrives after this one.
                            [one] => due = one.at,
                            _ => faults.push(format!("sent {} times: {title}", matching.len())),
                        }
                    }
                    Some(Status::Sent)
                }
                Expected::Cancelled => Some(Status::Cancelled),
                Expected::Failed => Some(Status::Failed),
                Expected::Deleted => None,
            };
            if status != expected {
                let is = status.map_or("gone", Status::as_str);
                faults.push(format!("the row of {:?} is {is}", message.title));
            }
        }
        if arrivals.len() != expected_arrivals {
            faults.push(format!(
                "{} texts and webhooks arrived, {expected_arrivals} were expected",
                arrivals.len()
            ));
        }
        Ok(DemoReport { faults })
    }
}

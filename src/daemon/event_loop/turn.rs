//! What one turn of the loop takes in.

use tokio::task::JoinSet;

use super::{Event, Sources, task_ended};
use crate::clock::Clock;
use crate::dispatch::Input;

impl Sources {
    /// The events that are already there, so that a herd costs one pass and not a thousand: about `most`, of each
    /// source in its turn, because none of them may be empty for as long as a herd lasts. One question at most:
    /// its reply may list thousands of timers.
    pub(super) fn waiting(
        &mut self,
        tasks: &mut JoinSet<Option<Input>>,
        most: usize,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < most {
            let before = events.len();
            events.extend(tasks.try_join_next().map(task_ended));
            events.extend(self.inputs.try_recv().ok().map(Event::Input));
            events.extend(self.heard.try_recv().ok().map(Event::Heard));
            if events.len() == before {
                break;
            }
        }
        events.extend(self.questions.try_recv().ok().map(Event::Question));
        events
    }
}

/// Whether this reports that the clock is known, and it was lost again since: another such report will follow.
pub(super) fn is_outdated(event: &Event, clock: &Clock) -> bool {
    matches!(event, Event::Input(Input::ClockFound)) && !clock.is_trusted()
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, oneshot};

    use super::*;
    use crate::clock;
    use crate::http::Question;
    use crate::listen::{Heard, Notification};
    use crate::message::Moment;

    /// Every request that ends makes room for another one: there are always as many ended ones as a turn takes in.
    #[tokio::test]
    async fn a_turn_takes_something_in_from_every_source() {
        const MOST: usize = 8;
        let (inputs_tx, inputs) = mpsc::channel(100);
        let (heard_tx, heard) = mpsc::channel(100);
        let (questions_tx, questions) = mpsc::channel(100);
        let mut sources = Sources {
            heard,
            inputs,
            questions,
        };
        let mut tasks = JoinSet::new();
        let fill = |tasks: &mut JoinSet<_>| {
            while tasks.len() < 100 {
                tasks.spawn(async { Some(Input::Tick) });
            }
        };
        fill(&mut tasks);
        for _ in 0..100 {
            inputs_tx.try_send(Input::Rescan).unwrap();
        }
        heard_tx
            .try_send(Heard::Notification(Notification::Pauses))
            .unwrap();
        let (reply, _answer) = oneshot::channel();
        questions_tx.try_send(Question::Ready { reply }).unwrap();
        // They end without waiting for anything, once they have had their turn.
        tokio::task::yield_now().await;
        let events = sources.waiting(&mut tasks, MOST);
        assert!((MOST..MOST + 4).contains(&events.len()), "{events:?}");
        let count = |is: fn(&Event) -> bool| events.iter().filter(|event| is(event)).count();
        assert!(count(|event| matches!(event, Event::Input(Input::Tick))) >= 3);
        assert!(count(|event| matches!(event, Event::Input(Input::Rescan))) >= 3);
        assert_eq!(count(|event| matches!(event, Event::Heard(_))), 1);
        assert_eq!(count(|event| matches!(event, Event::Question(_))), 1);

        fill(&mut tasks);
        tokio::task::yield_now().await;
        let (reply, _answer) = oneshot::channel();
        questions_tx.try_send(Question::Ready { reply }).unwrap();
        let events = sources.waiting(&mut tasks, MOST);
        assert!(
            matches!(events.last(), Some(Event::Question(_))),
            "{events:?}"
        );
    }

    #[test]
    fn a_clock_that_was_lost_again_is_not_found() {
        let found = Event::Input(Input::ClockFound);
        let clock = Clock::new();
        let now = |clock: &Clock| clock.now().db.as_micros();
        let measure = |ahead_us: i64| {
            let before = clock::reading();
            clock.measured(before, Moment::from_micros(now(&clock) + ahead_us));
        };
        assert!(is_outdated(&found, &clock), "never measured");
        measure(0);
        assert!(!is_outdated(&found, &clock));
        // The database's clock jumps while that report waits to be taken in.
        measure(3_600_000_000);
        assert!(clock.found_lost());
        assert!(is_outdated(&found, &clock));
        assert!(!is_outdated(&Event::Input(Input::ClockLost), &clock));
        measure(0);
        assert!(!is_outdated(&found, &clock));
    }
}

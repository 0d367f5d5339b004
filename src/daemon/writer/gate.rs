//! Whether the model is asked: not while its endpoint has too many requests, or refuses the key. Pure.

use std::time::Duration;

use crate::limits::WriterLimits;
use crate::message::Uptime;

/// What a call shows of the endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It accepts requests.
    Answered,
    /// It wants a pause.
    Throttled(Duration),
    /// It refuses every request.
    NotAdmitted(String),
    /// It refused one, which may be about its text.
    Forbidden(String),
    /// Nothing.
    None,
}

pub(super) struct Gate {
    limits: WriterLimits,
    /// Nothing is asked before.
    opens: Option<Uptime>,
    /// It was closed because the endpoint refuses the key: one call shows whether it still does.
    is_refused: bool,
    /// Requests refused one after the other.
    refusals: u32,
}

impl Gate {
    pub(super) const fn new(limits: WriterLimits) -> Self {
        Self {
            limits,
            opens: None,
            is_refused: false,
            refusals: 0,
        }
    }

    /// How many calls there may be at once, of so many.
    pub(super) fn free(&self, most: usize, now: Uptime) -> usize {
        if self.opens.is_some_and(|opens| opens > now) {
            0
        } else if self.is_refused {
            1
        } else {
            most
        }
    }

    /// In what time it opens, if it is closed.
    pub(super) fn opens_in(&self, now: Uptime) -> Option<Duration> {
        let opens = self.opens.filter(|opens| *opens > now)?;
        Some(opens.since(now))
    }

    pub(super) fn note(&mut self, sign: &Sign, now: Uptime) {
        match sign {
            Sign::None => {}
            Sign::Answered => {
                if self.is_refused {
                    tracing::info!("the language model answers again; texts are written");
                }
                *self = Self::new(self.limits);
            }
            Sign::Throttled(pause) => self.close(*pause, now),
            Sign::NotAdmitted(why) => self.refused(why, now),
            Sign::Forbidden(why) => {
                self.refusals += 1;
                if self.refusals >= self.limits.refusals {
                    self.refused(why, now);
                }
            }
        }
    }

    fn refused(&mut self, why: &str, now: Uptime) {
        if !self.is_refused {
            tracing::error!(
                why,
                "no texts are written, messages keep their own: check PUNCTUAL_LLM_URL, PUNCTUAL_LLM_MODEL and \
                 PUNCTUAL_LLM_API_KEY; `punctual doctor --online` tries them"
            );
        }
        self.is_refused = true;
        self.close(self.limits.refused_pause, now);
    }

    fn close(&mut self, pause: Duration, now: Uptime) {
        let until = now + pause;
        self.opens = Some(self.opens.map_or(until, |opens| opens.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Uptime {
        Uptime::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn too_many_requests_close_it_for_as_long_as_the_endpoint_wants() {
        let mut gate = Gate::new(WriterLimits::default());
        assert_eq!((gate.free(8, at(0)), gate.opens_in(at(0))), (8, None));
        gate.note(&Sign::Throttled(7 * SECOND), at(0));
        gate.note(&Sign::Throttled(2 * SECOND), at(1));
        assert_eq!(
            (gate.free(8, at(6)), gate.opens_in(at(6))),
            (0, Some(SECOND))
        );
        assert_eq!(gate.free(8, at(7)), 8);
    }

    #[test]
    fn a_refused_key_is_tried_by_one_call_from_time_to_time() {
        let mut gate = Gate::new(WriterLimits::default());
        gate.note(&Sign::NotAdmitted("401".into()), at(0));
        assert_eq!(gate.free(8, at(299)), 0);
        assert_eq!(gate.free(8, at(300)), 1);
        gate.note(&Sign::NotAdmitted("401".into()), at(301));
        assert_eq!(gate.free(8, at(302)), 0);
        gate.note(&Sign::Answered, at(700));
        assert_eq!(gate.free(8, at(700)), 8);
    }

    #[test]
    fn one_refused_text_does_not_close_it_and_three_in_a_row_do() {
        let mut gate = Gate::new(WriterLimits::default());
        let forbidden = Sign::Forbidden("403".into());
        gate.note(&forbidden, at(0));
        gate.note(&forbidden, at(1));
        gate.note(&Sign::Answered, at(2));
        gate.note(&forbidden, at(3));
        gate.note(&forbidden, at(4));
        assert_eq!(gate.free(8, at(5)), 8);
        gate.note(&forbidden, at(6));
        assert_eq!(gate.free(8, at(7)), 0);
    }
}

//! Wakes a task at an instant of the uptime.

use std::io;

use crate::message::Uptime;

/// An absolute timer. On Linux a `timerfd` on `CLOCK_BOOTTIME`, which fires within tens of
/// microseconds; tokio's own timer rounds up to the next millisecond.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct WakeTimer {
    fd: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
    armed: Option<Uptime>,
}

#[cfg(target_os = "linux")]
impl WakeTimer {
    /// A timer that is not armed. Fails if the kernel has no descriptors left. Needs tokio's
    /// reactor.
    pub fn new() -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let fd = timerfd_create(
            TimerfdClockId::Boottime,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        // SAFETY: the descriptor is owned by the registration and stays open until it is
        // dropped; nothing here takes it out.
        #[allow(unsafe_code)]
        let fd = unsafe { tokio::io::unix::AsyncFd::register(fd)? };
        Ok(Self { fd, armed: None })
    }

    /// Arms it for `at`; in the past means at once. Arming it again replaces the previous instant.
    pub fn arm(&mut self, at: Option<Uptime>) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        if self.armed == at {
            return Ok(());
        }
        // All zeros would disarm it, so the past becomes the first nanosecond.
        let (sec, nsec) = match at {
            None => (0, 0),
            Some(at) if at.as_micros() <= 0 => (0, 1),
            Some(at) => (
                at.as_micros() / 1_000_000,
                at.as_micros() % 1_000_000 * 1_000,
            ),
        };
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec {
                tv_sec: sec,
                tv_nsec: nsec,
            },
        };
        timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::ABSTIME, &once)?;
        self.armed = at;
        Ok(())
    }

    /// Waits until the armed instant. For ever, if none is armed. Never returns early.
    pub async fn fired(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.fd.readable().await?;
            let read = ready.try_io(|fd| {
                let mut expirations = [0_u8; 8];
                rustix::io::read(fd.get_ref(), &mut expirations).map_err(io::Error::from)
            });
            match read {
                Ok(done) => {
                    done?;
                    self.armed = None;
                    return Ok(());
                }
                Err(_not_yet) => {}
            }
        }
    }
}

/// Other systems use tokio's timer, which fires a millisecond or two later.
#[cfg(not(target_os = "linux"))]
#[derive(Debug, Default)]
pub struct WakeTimer {
    armed: Option<Uptime>,
}

#[cfg(not(target_os = "linux"))]
impl WakeTimer {
    /// A timer that is not armed.
    pub fn new() -> io::Result<Self> {
        Ok(Self::default())
    }

    /// Arms it for `at`; in the past means at once.
    pub fn arm(&mut self, at: Option<Uptime>) -> io::Result<()> {
        self.armed = at;
        Ok(())
    }

    /// Waits until the armed instant. For ever, if none is armed. Never returns early.
    pub async fn fired(&mut self) -> io::Result<()> {
        loop {
            match self.armed {
                None => std::future::pending::<()>().await,
                Some(at) => {
                    let left = at.since(super::reading().up);
                    if left.is_zero() {
                        self.armed = None;
                        return Ok(());
                    }
                    tokio::time::sleep(left).await;
                }
            }
        }
    }
}

//! What the journal adds to a message: one line before its request, and one for its response, which the next write takes along.
//!
//!     cargo bench --bench journal

use punctual::journal::{Journal, StateDir};
use punctual::message::{AttemptToken, InstanceId, MessageId, Moment, Outcome, Part, ProviderSid};
use punctual::proof::recovery::Begun;
use uuid::Uuid;

fn main() {
    divan::main();
}

fn begun(token: AttemptToken) -> Begun {
    Begun {
        token,
        message: MessageId(Uuid::new_v4()),
        expires_us: 1_767_258_000_000_001,
        at_us: 1_767_258_000_000_001,
        part: Part::ONLY,
    }
}

fn with_journal(measure: impl FnOnce(&Journal)) {
    let at = tempfile::tempdir().expect("a directory");
    let dir = StateDir::open(at.path()).expect("a directory");
    let dir = dir.take_slot(None, "bench", "bench").expect("a free slot");
    let journal = Journal::begin(dir, InstanceId::fresh(), None, None).expect("a journal");
    measure(&journal);
}

/// Between the due instant and the first byte.
#[divan::bench(sample_count = 1_000, sample_size = 20)]
fn began(bencher: divan::Bencher) {
    with_journal(|journal| {
        bencher
            .with_inputs(|| begun(AttemptToken::fresh()))
            .bench_values(|begun| {
                journal.began(begun).expect("room on the disk");
                journal.recorded([begun.token]);
            });
    });
}

/// The whole way of a message.
#[divan::bench(sample_count = 1_000, sample_size = 20)]
fn began_answered_recorded(bencher: divan::Bencher) {
    let outcome = Outcome::Accepted {
        sid: ProviderSid("SM0123456789abcdef0123456789abcdef".into()),
    };
    with_journal(|journal| {
        bencher
            .with_inputs(|| begun(AttemptToken::fresh()))
            .bench_values(|begun| {
                journal.began(begun).expect("room on the disk");
                journal.answered(begun, &outcome, Moment::from_micros(1));
                journal.recorded([begun.token]);
            });
    });
}

//! A connection in use by a step that may be cancelled.

use deadpool_postgres::Object;

/// A connection that is closed unless it has responded: one that does not would hold up the next step as long.
pub(super) struct Held(Option<Object>);

impl Held {
    pub(super) const fn new(client: Object) -> Self {
        Self(Some(client))
    }

    pub(super) fn get(&self) -> &Object {
        self.0.as_ref().expect("it is held until it is released")
    }

    pub(super) fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}

//! Panics on purpose. The loops pass many points; a test makes them panic at one of these.

use std::{cell::Cell, panic::resume_unwind};

thread_local! {
    /// Points passed since the count was set.
    static PASSED: Cell<u64> = const { Cell::new(0) };
    /// The point that panics; 0 for none.
    static BAD: Cell<u64> = const { Cell::new(0) };
}

/// A point; panics if it is the one.
pub(super) fn point() {
    let passed = PASSED.get() + 1;
    PASSED.set(passed);
    if passed == BAD.get() {
        // Without a word on the terminal.
        resume_unwind(Box::new("a panic on purpose"));
    }
}

/// From now on the `nth` point that this thread passes panics; none if it is 0.
pub(super) fn arm(nth: u64) {
    PASSED.set(0);
    BAD.set(nth);
}

/// The points passed since then.
pub(super) fn passed() -> u64 {
    PASSED.get()
}

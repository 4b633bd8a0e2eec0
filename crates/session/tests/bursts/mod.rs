//! What clients send: its words, and bursts of them by chance.

pub(crate) mod chance;
pub(crate) mod say;

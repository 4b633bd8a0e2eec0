//! From an accepted socket to a client that has proved who it is.

mod params;
mod slots;

pub use params::{OptionsError, StartupParams};
pub use slots::{ClientSlot, Slots, SlotsFull};

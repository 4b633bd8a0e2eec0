//! How much a loop keeps for its clients, and how much it may.

use super::{link::READ_BUFFER, to_server::HOLD_MAX};

/// Clients that a loop can keep as much for as one can need, however little all may have together.
const CLIENTS_MIN: usize = 4;

/// The share of one loop in what all may keep together. If there is so little that a few ordinary clients, one of which
/// sends a long message and another reads slowly, would have to be refused, it is more.
pub(super) fn share(total: usize, loops: usize, client_buffer: usize) -> usize {
    // A buffer that grows has room for as much again.
    let one = HOLD_MAX
        .saturating_add(READ_BUFFER)
        .saturating_add(client_buffer)
        .saturating_add(READ_BUFFER)
        .saturating_mul(2);
    total.checked_div(loops).unwrap_or(total).max(one.saturating_mul(CLIENTS_MIN))
}

/// What a loop keeps for all its clients: bytes they sent that it could not pass on yet, and bytes they were sent that
/// they have not read.
#[derive(Debug)]
pub(super) struct Ledger {
    held: usize,
    share: usize,
    /// Clients and statements that were refused because it was too much.
    pub(super) refused: u64,
}

impl Ledger {
    /// Nothing is kept yet.
    pub(super) fn new(share: usize) -> Self {
        Self { held: 0, share, refused: 0 }
    }

    /// How much is kept.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// How much may be.
    pub(super) fn share(&self) -> usize {
        self.share
    }

    /// From now on so much may be.
    pub(super) fn set_share(&mut self, share: usize) {
        self.share = share;
    }

    /// Whether it is too much.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.held > self.share
    }

    /// A client's part in it has changed.
    pub(super) fn change(&mut self, was: usize, is: usize) {
        self.held = self.held.saturating_sub(was).saturating_add(is);
    }

    /// It will be counted from the beginning.
    pub(super) fn clear(&mut self) {
        self.held = 0;
    }
}

/// What the ledger knows of one client.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Entry {
    /// Its part in what is kept.
    pub(super) counted: usize,
    /// Since when bytes of the message are kept that it is sending, or that waits; 0 if none are.
    pub(super) sent_since: u64,
    /// Since when it has not read what was sent to it; 0 if it has read everything.
    pub(super) unread_since: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn the_total_is_shared_out_evenly() {
        assert_eq!(share(256 * MIB, 4, 64 << 10), 64 * MIB);
        assert_eq!(share(256 * MIB, 1, 64 << 10), 256 * MIB);
        assert!(4 * share(257 * MIB + 3, 4, 64 << 10) <= 257 * MIB + 3);
    }

    #[test]
    fn a_share_has_room_for_a_few_ordinary_clients() {
        let small = share(16 * MIB, 64, 64 << 10);
        assert!(small > 16 * MIB / 64 && small < 8 * MIB, "{small}");
        // Whoever lets each client use much has to let all of them together use more.
        assert!(share(16 * MIB, 4, 8 * MIB) >= 4 * 8 * MIB);
    }

    #[test]
    fn no_loop_and_huge_limits_are_no_panic() {
        assert_eq!(share(256 * MIB, 0, 0), 256 * MIB);
        assert_eq!(share(usize::MAX, 1, usize::MAX), usize::MAX);
    }

    #[test]
    fn the_sum_follows_each_part() {
        let mut ledger = Ledger::new(100);
        ledger.change(0, 60);
        ledger.change(0, 40);
        assert!(!ledger.is_over());
        ledger.change(40, 41);
        assert!(ledger.is_over());
        ledger.set_share(101);
        assert!(!ledger.is_over());
        ledger.change(60, 0);
        ledger.change(41, 0);
        assert_eq!(ledger.held(), 0);
    }
}

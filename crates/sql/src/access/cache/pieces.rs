//! The shape of the text at hand, in room that is there, and its hash.

use crate::access::shape::{self, Out};

/// Reads the shape of a text; says how long it is. None if it has none, or there is too little room.
#[inline]
pub(super) fn read(text: &[u8], room: &mut [u64]) -> Option<usize> {
    let pieces = shape::read(text, Pieces { room, len: 0 })?;
    (pieces.len <= pieces.room.len()).then_some(pieces.len)
}

struct Pieces<'a> {
    room: &'a mut [u64],
    len: usize,
}

impl Out for Pieces<'_> {
    #[inline]
    fn push(&mut self, piece: u64) {
        if let Some(place) = self.room.get_mut(self.len) {
            *place = piece;
        }
        self.len += 1;
    }
}

/// The hash of a shape under two seeds. Pairs of pieces do not wait for one another.
#[inline]
pub(super) fn hash(pieces: &[u64], seeds: (u64, u64)) -> u64 {
    let (pairs, rest) = pieces.as_chunks();
    let mut hash = seeds.0 ^ seeds.1.rotate_left(7);
    for [one, other] in pairs {
        hash = hash.rotate_left(9).wrapping_add(folded(one ^ seeds.0, other ^ seeds.1));
    }
    let last = rest.first().map_or(1, |last| last.wrapping_mul(2));
    folded(hash ^ seeds.1, last ^ seeds.0)
}

/// The product of two numbers, its upper half over its lower one.
#[inline]
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    let lower = u64::try_from(product & u128::from(u64::MAX)).unwrap_or_default();
    lower ^ u64::try_from(product >> 64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn shapes_are_spread_over_the_sets() {
        let seeds = (0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03);
        let mut shapes = BTreeSet::new();
        for (one, other) in (0..4096).map(|number| (number / 64, number % 64)) {
            shapes.extend([vec![one, other], vec![one, other, 7], vec![7, one, other]]);
            shapes.insert(vec![7, 9, one, other]);
        }
        let mut hashes = BTreeSet::new();
        let mut sets = [0_u32; 256];
        for shape in &shapes {
            let hash = hash(shape, seeds);
            assert!(hashes.insert(hash), "{shape:?}");
            sets[usize::try_from(hash % 256).unwrap()] += 1;
        }
        assert!(sets.iter().all(|count| (32..=96).contains(count)), "{sets:?}");
    }

    #[test]
    fn too_little_room_is_told() {
        let mut room = [0; 2];
        assert_eq!(read(b"a b", &mut room), Some(2));
        assert_eq!(read(b"a b c", &mut room), None);
        assert_eq!(read(b"'a", &mut room), None);
    }
}

//! Bytes that are kept from one read to the next.

use std::ops::Deref;

/// What of a burst could not be taken yet. Without memory when empty; otherwise the memory is at most about twice as
/// large as what is in it, so that a few bytes behind a long message do not keep the memory of that message.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    bytes: Vec<u8>,
    /// Where it begins; what stands before has been taken. Never more than half of all.
    start: usize,
}

impl Rest {
    /// Puts more behind it.
    pub(crate) fn extend(&mut self, more: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..std::mem::take(&mut self.start));
        }
        self.bytes.extend_from_slice(more);
    }

    /// Drops this many bytes at its beginning.
    pub(crate) fn take_front(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.bytes.len());
        let left = self.bytes.len().saturating_sub(self.start);
        if left <= self.start {
            // A copy, and not a shift within the same memory, so that the memory shrinks, too.
            self.bytes = self.to_vec();
            self.start = 0;
        }
    }

    /// Whether nothing is kept.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // When all has been taken, nothing stays before the beginning either.
        self.bytes.is_empty()
    }

    /// How much memory it takes.
    pub(crate) fn footprint(&self) -> usize {
        self.bytes.capacity()
    }
}

impl Deref for Rest {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

impl From<&[u8]> for Rest {
    fn from(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), start: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_gone_and_what_comes_stands_behind() {
        let mut rest = Rest::from(b"abcdef".as_slice());
        rest.take_front(2);
        assert_eq!(*rest, *b"cdef");
        rest.extend(b"gh");
        assert_eq!(*rest, *b"cdefgh");
        rest.take_front(5);
        assert_eq!(*rest, *b"h");
        rest.extend(b"ij");
        assert_eq!(*rest, *b"hij");
    }

    #[test]
    fn the_end_of_a_long_message_does_not_keep_its_memory() {
        let mut rest = Rest::from(vec![7; 300_000].as_slice());
        for len in [100_000, 100_000, 99_000, 999] {
            rest.take_front(len);
            assert!(rest.footprint() <= 2 * rest.len() + 100_000, "{}", rest.footprint());
        }
        assert_eq!((rest.len(), rest.footprint()), (1, 1));
        rest.take_front(1);
        assert_eq!((rest.is_empty(), rest.footprint()), (true, 0));
    }
}

//! Parse messages that clients of one loop send again and again.
//!
//! Most drivers parse their unnamed statement for each execution, and most clients of an application send the same few
//! texts. A client's own copy of its text is cold by the time it comes back; so copies that are the same are shared, and
//! to see that a message has come again it is compared with a copy that another client has used a moment ago.

use std::sync::Arc;

/// A loop remembers so many messages, one for each place.
const PLACES: usize = 64;

/// Longer ones are not shared: comparing them costs more than finding them.
const LENGTH_MAX: usize = 1 << 10;

/// The messages.
#[derive(Debug)]
pub struct RecentParses {
    places: Box<[Option<Arc<Vec<u8>>>]>,
}

impl Default for RecentParses {
    fn default() -> Self {
        Self { places: std::iter::repeat_with(|| None).take(PLACES).collect() }
    }
}

impl RecentParses {
    /// The copy of this message, if it has come again lately.
    #[inline]
    pub(crate) fn find(&self, message: &[u8]) -> Option<&Arc<Vec<u8>>> {
        let known = self.places.get(place(message))?.as_ref()?;
        (known[..] == *message).then_some(known)
    }

    /// This message has come again.
    pub(crate) fn note(&mut self, copy: &Arc<Vec<u8>>) {
        if copy.len() <= LENGTH_MAX
            && let Some(known) = self.places.get_mut(place(copy))
        {
            *known = Some(Arc::clone(copy));
        }
    }
}

/// Where a message is remembered: by its length and its last bytes, which are what texts differ in that begin alike.
#[inline]
fn place(message: &[u8]) -> usize {
    let Some(last) = message.last_chunk::<16>() else { return 0 };
    let half = |bytes: Option<&[u8; 8]>| bytes.copied().map_or(0, u64::from_ne_bytes);
    let mixed = half(last.first_chunk()) ^ half(last.last_chunk()).rotate_left(32);
    let mixed = mixed ^ u64::try_from(message.len()).unwrap_or(0);
    // The upper bits of the product depend on all of them (Knuth, The Art of Computer Programming, 6.4).
    usize::try_from(mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PLACES.ilog2())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(text: &str) -> Arc<Vec<u8>> {
        Arc::new(text.as_bytes().to_vec())
    }

    #[test]
    fn what_was_noted_is_found_and_nothing_else() {
        let mut recent = RecentParses::default();
        let noted = copy("\0SELECT 1\0\0\0");
        assert!(recent.find(&noted).is_none());
        recent.note(&noted);
        assert!(recent.find(b"\0SELECT 1\0\0\0").is_some_and(|found| Arc::ptr_eq(found, &noted)));
        assert!(recent.find(b"\0SELECT 2\0\0\0").is_none());
        assert!(recent.find(b"").is_none());
    }

    #[test]
    fn so_many_are_remembered_and_no_long_ones() {
        let mut recent = RecentParses::default();
        let all: Vec<_> =
            (0..10_000).map(|n| copy(&format!("\0SELECT {n} FROM t\0\0\0"))).collect();
        for copy in &all {
            recent.note(copy);
        }
        let found = all.iter().filter(|copy| recent.find(copy).is_some()).count();
        assert!((PLACES / 2..=PLACES).contains(&found), "{found}");
        let long = copy(&"x".repeat(LENGTH_MAX + 1));
        recent.note(&long);
        assert!(recent.find(&long).is_none());
    }
}

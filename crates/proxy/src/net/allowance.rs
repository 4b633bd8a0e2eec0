//! How much memory connections may take together while nobody knows yet who they are.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What any connection may take without being counted. Ordinary logins take less, so they are never refused.
const UNCOUNTED: usize = 4 * 1024;

/// The memory of all of them.
#[derive(Debug)]
pub struct Allowance {
    most: AtomicUsize,
    taken: AtomicUsize,
}

/// One connection's part in it; given back when dropped.
#[derive(Debug)]
pub struct Part {
    all: Arc<Allowance>,
    taken: usize,
}

impl Allowance {
    /// They may take so many bytes, beside what is not counted.
    pub fn new(most: usize) -> Self {
        Self { most: AtomicUsize::new(most), taken: AtomicUsize::new(0) }
    }

    /// From now on they may take so many. Who has more keeps it.
    pub fn set(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// The part of a connection that has nothing yet.
    pub fn part(self: &Arc<Self>) -> Part {
        Part { all: Arc::clone(self), taken: 0 }
    }
}

impl Part {
    /// The connection takes `bytes` now. If that is more than before, and all together take too much, it is
    /// [`OutOfMemory`](io::ErrorKind::OutOfMemory).
    pub fn set(&mut self, bytes: usize) -> io::Result<()> {
        let bytes = if bytes > UNCOUNTED { bytes } else { 0 };
        if bytes <= self.taken {
            self.all.taken.fetch_sub(self.taken - bytes, Ordering::Relaxed);
            self.taken = bytes;
            return Ok(());
        }
        let more = bytes - self.taken;
        self.taken = bytes;
        let all = self.all.taken.fetch_add(more, Ordering::Relaxed) + more;
        if all > self.all.most.load(Ordering::Relaxed) {
            let message = "too much is held of messages of clients that are not logged in";
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, message));
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.all.taken.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_would_take_too_much_is_refused_until_others_have_given_back() {
        let all = Arc::new(Allowance::new(50_000));
        let (mut first, mut second) = (all.part(), all.part());
        first.set(20_000).unwrap();
        first.set(30_000).unwrap();
        second.set(20_000).unwrap();
        assert_eq!(second.set(20_001).unwrap_err().kind(), io::ErrorKind::OutOfMemory);
        drop(second);
        first.set(50_000).unwrap();
        first.set(100).unwrap();
        all.part().set(50_000).unwrap();
        drop(first);
        assert_eq!(all.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn who_takes_little_is_never_refused() {
        let all = Arc::new(Allowance::new(10_000));
        let mut greedy = all.part();
        assert!(greedy.set(20_000).is_err());
        all.part().set(UNCOUNTED).unwrap();
        assert!(all.part().set(UNCOUNTED + 1).is_err());
        all.set(30_000);
        all.part().set(UNCOUNTED + 1).unwrap();
    }
}

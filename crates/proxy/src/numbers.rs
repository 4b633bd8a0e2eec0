//! Process numbers that are told to those whom no worker loop serves, each beside all others that are in use.

/// So many numbers there are; then the first comes again.
const COUNT: u32 = 0x00FF_FFFF;

/// Numbers from a first one on.
#[derive(Debug)]
pub(crate) struct Numbers {
    first: u32,
    /// The place of the next one.
    next: u32,
}

impl Numbers {
    /// From this number on. Those of clients name a worker loop in their upper bits: there must be none of these.
    pub(crate) const fn from(first: u32) -> Self {
        Self { first, next: 0 }
    }

    /// The next one that nobody has. There are far fewer who may have one than there are numbers.
    pub(crate) fn next(&mut self, is_taken: impl Fn(i32) -> bool) -> i32 {
        loop {
            let number = self.first.saturating_add(self.next);
            self.next = if self.next.saturating_add(1) < COUNT { self.next + 1 } else { 0 };
            let number = i32::try_from(number).unwrap_or(i32::MAX);
            if !is_taken(number) {
                return number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_taken_is_skipped_when_all_come_again() {
        let mut numbers = Numbers { first: 0x7F00_0001, next: COUNT - 2 };
        let free = |_| false;
        assert_eq!((numbers.next(free), numbers.next(free)), (i32::MAX - 1, i32::MAX));
        assert_eq!(numbers.next(|number| number < 0x7F00_0004), 0x7F00_0004);
    }
}

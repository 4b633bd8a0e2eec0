//! A short first-in, first-out line of small values.
//!
//! Every message of the extended protocol goes through such a line twice, so it is a vector with a mark where it
//! begins: one comparison to add, one to take, and what waits is one slice. It is empty at the end of every
//! transaction, and then begins anew at the front.

/// The line. `head <= items.len()`, and both are 0 when nothing waits.
#[derive(Debug)]
pub(crate) struct Line<T> {
    items: Vec<T>,
    head: usize,
}

/// So many places in front of the head are given back together, when at least as many wait behind it as before it.
const SLACK: usize = 256;

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { items: Vec::new(), head: 0 }
    }
}

impl<T: Copy> Line<T> {
    /// Whether nothing waits.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.items.len().wrapping_sub(self.head)
    }

    /// What waits, in order.
    #[inline]
    pub(crate) fn waiting(&self) -> &[T] {
        self.items.get(self.head..).unwrap_or_default()
    }

    /// The next one.
    #[inline]
    pub(crate) fn front(&self) -> Option<T> {
        self.items.get(self.head).copied()
    }

    /// The last one.
    #[inline]
    pub(crate) fn back(&self) -> Option<T> {
        self.items.last().copied()
    }

    /// Adds one at the end.
    #[inline]
    pub(crate) fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// Adds some at the end.
    #[inline]
    pub(crate) fn push_all(&mut self, items: &[T]) {
        self.items.extend_from_slice(items);
    }

    /// Adds one in front of all others.
    pub(crate) fn push_front(&mut self, item: T) {
        self.items.insert(self.head, item);
    }

    /// Takes the next one.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        let item = self.front()?;
        self.skip(1);
        Some(item)
    }

    /// Takes the last one.
    pub(crate) fn pop_back(&mut self) -> Option<T> {
        let item = self.back()?;
        self.items.truncate(self.items.len().saturating_sub(1));
        self.skip(0);
        Some(item)
    }

    /// Takes the next `count`, or all if there are fewer.
    #[inline]
    pub(crate) fn skip(&mut self, count: usize) {
        self.head = self.head.saturating_add(count);
        if self.head >= self.items.len() {
            self.items.clear();
            self.head = 0;
        } else if self.head >= SLACK {
            self.close_up();
        }
    }

    /// Takes out the one at this place; 0 is the next one.
    pub(crate) fn remove(&mut self, place: usize) -> Option<T> {
        let at = self.head.saturating_add(place);
        let item = self.items.get(at).copied()?;
        self.items.remove(at);
        self.skip(0);
        Some(item)
    }

    /// Moves what waits to the front when that is no more than what has been taken: each is moved once at most, on
    /// average.
    #[cold]
    fn close_up(&mut self) {
        if self.head >= self.len() {
            self.items.drain(..self.head);
            self.head = 0;
        }
    }

    /// Gives memory back beyond `kept` places, if nothing waits.
    #[inline]
    pub(crate) fn shrink(&mut self, kept: usize) {
        if self.items.capacity() > kept && self.is_empty() {
            self.items.shrink_to(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Act {
        Push(u8),
        PushAll(Vec<u8>),
        PushFront(u8),
        Pop,
        PopBack,
        Skip(usize),
        Remove(usize),
        Shrink,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => any::<u8>().prop_map(Act::Push),
            2 => proptest::collection::vec(any::<u8>(), 0..300).prop_map(Act::PushAll),
            1 => any::<u8>().prop_map(Act::PushFront),
            4 => Just(Act::Pop),
            1 => Just(Act::PopBack),
            2 => (0_usize..400).prop_map(Act::Skip),
            1 => (0_usize..4).prop_map(Act::Remove),
            1 => Just(Act::Shrink),
        ]
    }

    proptest! {
        #[test]
        fn it_does_what_a_deque_does(acts in proptest::collection::vec(act(), 0..60)) {
            let (mut line, mut deque) = (Line::default(), VecDeque::new());
            for act in acts {
                match act {
                    Act::Push(item) => {
                        line.push(item);
                        deque.push_back(item);
                    }
                    Act::PushAll(items) => {
                        line.push_all(&items);
                        deque.extend(items);
                    }
                    Act::PushFront(item) => {
                        line.push_front(item);
                        deque.push_front(item);
                    }
                    Act::Pop => prop_assert_eq!(line.pop(), deque.pop_front()),
                    Act::PopBack => prop_assert_eq!(line.pop_back(), deque.pop_back()),
                    Act::Skip(count) => {
                        line.skip(count);
                        deque.drain(..count.min(deque.len()));
                    }
                    Act::Remove(place) => prop_assert_eq!(line.remove(place), deque.remove(place)),
                    Act::Shrink => line.shrink(64),
                }
                prop_assert_eq!(line.waiting(), &*deque.make_contiguous());
                prop_assert_eq!((line.len(), line.is_empty()), (deque.len(), deque.is_empty()));
                prop_assert_eq!((line.front(), line.back()), (deque.front().copied(), deque.back().copied()));
            }
        }
    }

    #[test]
    fn what_was_taken_does_not_pile_up() {
        let mut line = Line::default();
        for round in 0..100_000_u32 {
            line.push(round);
            if round >= 100 {
                assert_eq!(line.pop(), Some(round - 100));
            }
        }
        assert!(line.items.capacity() < 2048, "{}", line.items.capacity());
    }
}

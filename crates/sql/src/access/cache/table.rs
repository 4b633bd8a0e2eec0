//! A hash table of fixed size in sets of four: a key that is not there takes the place of the one in its set that has
//! not been used for longest, so that no look-up is longer than another.

/// Places of a set.
const WAYS: usize = 4;

/// A key with its value.
#[derive(Debug)]
struct Slot<K: ?Sized, T> {
    hash: u64,
    /// Told apart from all others that are or were in the table.
    ticket: usize,
    used: bool,
    weight: usize,
    key: Box<K>,
    value: T,
}

#[derive(Debug)]
pub(super) struct Table<K: ?Sized, T> {
    slots: Box<[Option<Slot<K, T>>]>,
    /// Number of puts so far.
    puts: usize,
    len: usize,
    bytes: usize,
    /// Where the search for one to drop goes on.
    hand: usize,
}

impl<K: ?Sized + PartialEq, T> Table<K, T> {
    /// A table for so many keys, rounded up to a power of two.
    pub(super) fn new(keys: usize) -> Self {
        let places = keys.max(WAYS).next_power_of_two();
        Self { slots: (0..places).map(|_| None).collect(), puts: 0, len: 0, bytes: 0, hand: 0 }
    }

    /// The first place of the set of this hash.
    #[inline]
    fn set(&self, hash: u64) -> usize {
        // The low bits of the hash; the number of places is a power of two.
        let low = usize::try_from(hash & u64::from(u32::MAX)).unwrap_or_default();
        low & (self.slots.len() - 1) & !(WAYS - 1)
    }

    /// The place of a key.
    #[inline]
    pub(super) fn find(&self, hash: u64, key: &K) -> Option<usize> {
        self.find_by(hash, |known| *known == *key)
    }

    /// The place of a key of this hash that is wanted.
    #[inline]
    pub(super) fn find_by(&self, hash: u64, is_wanted: impl Fn(&K) -> bool) -> Option<usize> {
        let set = self.set(hash);
        let slots = self.slots.get(set..set + WAYS)?;
        let is_key = |slot: &Slot<K, T>| slot.hash == hash && is_wanted(&slot.key);
        slots.iter().position(|slot| slot.as_ref().is_some_and(is_key)).map(|way| set + way)
    }

    /// The place of what this ticket was given for, if it is still there.
    #[inline]
    pub(super) fn place(&self, ticket: usize) -> Option<usize> {
        let place = ticket & (self.slots.len() - 1);
        let slot = self.slots.get(place)?.as_ref();
        slot.is_some_and(|slot| slot.ticket == ticket).then_some(place)
    }

    /// The value at a place, which is used thereby.
    #[inline]
    pub(super) fn at(&mut self, place: usize) -> Option<&mut T> {
        let slot = self.slots.get_mut(place)?.as_mut()?;
        slot.used = true;
        Some(&mut slot.value)
    }

    /// What a key takes with a value that holds so many bytes.
    pub(super) fn weight(key: &K, value: usize) -> usize {
        size_of_val(key) + value + size_of::<Slot<K, T>>()
    }

    /// Puts a key there, in its own place if it is there already; gives the ticket for it.
    pub(super) fn put(&mut self, hash: u64, key: Box<K>, value: T, weight: usize) -> usize {
        let set = self.set(hash);
        let place = self.find(hash, &key).unwrap_or_else(|| set + self.victim(set));
        self.puts += 1;
        let ticket = self.puts * self.slots.len() + place;
        let weight = Self::weight(&key, weight);
        if let Some(slot) = self.slots.get_mut(place) {
            let before = slot.replace(Slot { hash, ticket, used: true, weight, key, value });
            self.len += usize::from(before.is_none());
            self.bytes = self.bytes + weight - before.map_or(0, |before| before.weight);
        }
        ticket
    }

    /// The place in a set that a new key takes: a free one, or one that has not been used since the last search.
    fn victim(&mut self, set: usize) -> usize {
        let puts = self.puts;
        let Some(slots) = self.slots.get_mut(set..set + WAYS) else { return 0 };
        if let Some(free) = slots.iter().position(Option::is_none) {
            return free;
        }
        let idle = |slot: &Option<Slot<K, T>>| slot.as_ref().is_some_and(|slot| !slot.used);
        let victim = slots.iter().position(idle);
        for slot in slots.iter_mut().flatten() {
            slot.used = false;
        }
        victim.unwrap_or(puts % WAYS)
    }

    /// Drops one that has not been used since the hand came by; says whether there was one to drop.
    pub(super) fn drop_one(&mut self) -> bool {
        for _ in 0..2 * self.slots.len() {
            let place = self.hand;
            self.hand = (place + 1) & (self.slots.len() - 1);
            let Some(slot) = self.slots.get_mut(place) else { return false };
            match slot {
                Some(slot) if slot.used => slot.used = false,
                Some(_) => {
                    self.len -= 1;
                    self.bytes -= slot.take().map_or(0, |slot| slot.weight);
                    return true;
                }
                None => {}
            }
        }
        false
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

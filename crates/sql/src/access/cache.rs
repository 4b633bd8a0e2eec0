//! What is known of texts that have been judged, for one thread.
//!
//! Three levels. A text that is the same byte for byte is found at once; then one that is the same but for its
//! constants. Any other is read for its shape, and found by that. Texts in which a constant decides what they do are
//! found by the first only. None of the three costs an allocation; what is not found is judged, and takes the place of
//! what has not been used for longest in its set.
//!
//! Hashes decide only where to look: texts and shapes are compared. They are keyed all the same, so that nobody can
//! choose texts that push one another out.

mod pieces;
mod table;
mod template;

use std::fmt;
use std::hash::Hasher as _;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

use self::table::Table;
use super::shape::{Secret, has_usual_rules};
use super::{Access, Class, access};
use crate::lexer::Rules;

/// Texts above so many bytes are judged each time, which is at once: they are not read.
const TEXT_KEPT: usize = super::TEXT_READ;

/// Shapes of more pieces, which are words, constants or marks, are not kept: such texts are found byte for byte only.
const SHAPE_KEPT: usize = 1024;

/// The key of what is found by its text only. No shape is this: an empty piece ends a word of eight bytes.
const UNSHARED: &[u64] = &[0];

/// So many values are kept along with one text, for different keys: paths of one generation, most of the time.
const VALUES_KEPT: usize = 4;

/// How much a cache may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Texts, and as many shapes.
    pub texts: usize,
    /// Bytes of texts, of shapes, and of what they name.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { texts: 2048, bytes: 4 * 1024 * 1024 }
    }
}

/// What a value is kept for, besides the text: what may change while the text does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Of what the value was made from: a later one makes all values of this text void.
    pub generation: u64,
    /// By which path the names of the text were looked up.
    pub path: u64,
}

/// How a text was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was there byte for byte.
    Text,
    /// Its shape was there.
    Shape,
    /// It was judged.
    Judged,
}

/// What is known of a text, and a place for what the caller makes of it.
#[derive(Debug)]
pub struct Entry<V> {
    access: Access,
    values: [Option<(Key, V)>; VALUES_KEPT],
    /// The value that the next one takes the place of.
    oldest: usize,
}

impl<V> Entry<V> {
    fn new(access: Access) -> Self {
        Self { access, values: [const { None }; VALUES_KEPT], oldest: 0 }
    }

    /// What the text is.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The value that was kept for this key.
    #[inline]
    pub fn value(&self, key: Key) -> Option<&V> {
        let mut values = self.values.iter().flatten();
        values.find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// Keeps a value. Those of other generations go first, then the one that has been there for longest.
    pub fn keep(&mut self, key: Key, value: V) {
        let void = |known: &Option<(Key, V)>| {
            known
                .as_ref()
                .is_none_or(|(known, _)| known.generation != key.generation || *known == key)
        };
        let place = self.values.iter().position(void).unwrap_or_else(|| {
            let oldest = self.oldest;
            self.oldest = (oldest + 1) % VALUES_KEPT;
            oldest
        });
        if let Some(kept) = self.values.get_mut(place) {
            *kept = Some((key, value));
        }
    }
}

/// What is known of texts. `V` is what its owner makes of a text and keeps along.
pub struct Cache<V> {
    seeds: SharedSeed,
    seed: u64,
    shape_seeds: (u64, u64),
    /// Which entry a text has.
    texts: Table<[u8], usize>,
    /// Which entry the texts have that fit a template.
    templates: Table<[u8], usize>,
    entries: Table<[u64], Entry<V>>,
    /// Room for the shape of the text at hand.
    shape: Box<[u64]>,
    /// What is not kept: the text that was judged last.
    single: Entry<V>,
    bytes: usize,
}

impl<V> Cache<V> {
    /// An empty cache.
    pub fn new(limits: Limits, secret: &Secret) -> Self {
        Self {
            seeds: SharedSeed::from_u64(secret.seeds().0),
            seed: secret.seeds().1,
            shape_seeds: secret.seeds(),
            texts: Table::new(limits.texts),
            templates: Table::new(limits.texts),
            entries: Table::new(limits.texts),
            shape: vec![0; SHAPE_KEPT].into(),
            single: Entry::new(access(b"", Rules::default())),
            bytes: limits.bytes,
        }
    }

    /// What is known of a text, which is judged if nothing is; and how it was found.
    #[inline]
    pub fn entry(&mut self, text: &[u8], rules: Rules) -> (&mut Entry<V>, Found) {
        if !has_usual_rules(text, rules) || text.len() > TEXT_KEPT {
            self.single = Entry::new(access(text, rules));
            return (&mut self.single, Found::Judged);
        }
        let hash = self.hash_of(text);
        let known = self.texts.find(hash, text).and_then(|place| self.texts.at(place)).copied();
        match known.and_then(|ticket| self.entries.place(ticket)) {
            Some(place) => {
                if let Some(entry) = self.entries.at(place) {
                    (entry, Found::Text)
                } else {
                    self.single = Entry::new(access(text, rules));
                    (&mut self.single, Found::Judged)
                }
            }
            None => self.by_shape(text, hash, rules),
        }
    }

    /// What is known of a text, if anything is: it is not judged.
    pub fn known(&mut self, text: &[u8], rules: Rules) -> Option<&mut Entry<V>> {
        if !has_usual_rules(text, rules) || text.len() > TEXT_KEPT {
            return None;
        }
        let hash = self.hash_of(text);
        let ticket = self.texts.find(hash, text).and_then(|place| self.texts.at(place)).copied();
        let place = ticket.and_then(|ticket| self.entries.place(ticket)).or_else(|| {
            let length = pieces::read(text, &mut self.shape)?;
            let shape = self.shape.get(..length)?;
            self.entries.find(pieces::hash(shape, self.shape_seeds), shape)
        })?;
        self.entries.at(place)
    }

    /// Takes over what [`access`] has said of a text elsewhere.
    pub fn learn(&mut self, text: &[u8], rules: Rules, judged: Access) {
        let kept = has_usual_rules(text, rules) && text.len() <= TEXT_KEPT;
        if !kept || self.known(text, rules).is_some() {
            return;
        }
        let length = pieces::read(text, &mut self.shape);
        let shape = length.and_then(|length| self.shape.get(..length));
        let shape_hash = shape.map(|shape| pieces::hash(shape, self.shape_seeds));
        let _kept = self.keep(text, self.hash_of(text), length.zip(shape_hash), judged);
    }

    /// What is held, in bytes.
    pub fn bytes(&self) -> usize {
        self.texts.bytes() + self.templates.bytes() + self.entries.bytes()
    }

    /// How many texts and how many entries are held.
    pub fn len(&self) -> (usize, usize) {
        (self.texts.len(), self.entries.len())
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }

    /// The place of the entry of the texts that are the same but for their constants.
    #[inline]
    fn by_template(&mut self, text: &[u8]) -> Option<usize> {
        let hash = self.hash_of(template::head(text));
        let place = self.templates.find_by(hash, |known| template::fits(known, text))?;
        let ticket = *self.templates.at(place)?;
        self.entries.place(ticket)
    }

    /// A function of its own, so that no register is needed for anything else.
    #[inline(never)]
    fn by_shape(&mut self, text: &[u8], hash: u64, rules: Rules) -> (&mut Entry<V>, Found) {
        let (place, found) = match self.by_template(text) {
            Some(place) => (Some(place), Found::Shape),
            None => self.by_pieces(text, hash, rules),
        };
        match place.and_then(|place| self.entries.at(place)) {
            Some(entry) => (entry, found),
            None => (&mut self.single, Found::Judged),
        }
    }

    /// A function of its own for the same reason.
    #[inline(never)]
    fn by_pieces(&mut self, text: &[u8], hash: u64, rules: Rules) -> (Option<usize>, Found) {
        let length = pieces::read(text, &mut self.shape);
        let shape = length.and_then(|length| self.shape.get(..length));
        let shape_hash = shape.map(|shape| pieces::hash(shape, self.shape_seeds));
        let known = shape.zip(shape_hash).and_then(|(shape, hash)| self.entries.find(hash, shape));
        let shape = length.zip(shape_hash);
        match known {
            Some(place) => (Some(place), Found::Shape),
            None => (self.keep(text, hash, shape, access(text, rules)), Found::Judged),
        }
    }

    /// Keeps what has come of judging a text: there, or as what is not kept.
    fn keep(
        &mut self,
        text: &[u8],
        hash: u64,
        shape: Option<(usize, u64)>,
        judged: Access,
    ) -> Option<usize> {
        // What is too long depends on the length of lists, which a shape does not have.
        let shared = !judged.depends_on_literal && judged.class != Class::TooLong;
        let shape = shape.filter(|_| shared);
        let shape = shape.and_then(|(length, hash)| Some((self.shape.get(..length)?, hash)));
        let (key, key_hash) = shape.unwrap_or((UNSHARED, hash));
        let weight = weight(&judged);
        let template = shape.and_then(|_| template::of(text));
        let texts = [Some(text), template.as_deref()].into_iter().flatten();
        let needed = texts.map(|text| Table::<[u8], usize>::weight(text, 0)).sum::<usize>()
            + Table::<[u64], Entry<V>>::weight(key, weight);
        if needed > self.bytes {
            self.single = Entry::new(judged);
            return None;
        }
        let key = key.into();
        while self.bytes() > self.bytes - needed && self.drop_one() {}
        let ticket = self.entries.put(key_hash, key, Entry::new(judged), weight);
        self.texts.put(hash, text.into(), ticket, 0);
        if let Some(template) = template {
            self.templates.put(self.hash_of(template::head(text)), template, ticket, 0);
        }
        self.entries.place(ticket)
    }

    /// Drops one text, one template and one entry that have not been used for a while.
    fn drop_one(&mut self) -> bool {
        let text = self.texts.drop_one();
        let template = self.templates.drop_one();
        self.entries.drop_one() || text || template
    }

    #[inline]
    fn hash_of(&self, text: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.seeds);
        hasher.write(text);
        hasher.finish()
    }
}

/// Shows nothing of the texts, which may hold secrets.
impl<V> fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The bytes that an answer holds, about.
fn weight(access: &Access) -> usize {
    let relations = access.relations.iter().map(|relation| {
        size_of_val(relation)
            + relation.name.as_bytes().len()
            + relation.schema.as_ref().map_or(0, |schema| schema.as_bytes().len())
    });
    let calls = access.calls.iter().map(|call| {
        size_of_val(call)
            + call.name.as_bytes().len()
            + call.schema.as_ref().map_or(0, |schema| schema.as_bytes().len())
            + call.literal.as_ref().map_or(0, |literal| literal.as_bytes().len())
    });
    relations.sum::<usize>() + calls.sum::<usize>()
}

#[cfg(test)]
mod tests;

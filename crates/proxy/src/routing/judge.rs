//! The judge of one client's texts at one moment, who keeps what he finds.

use trunkline_route::{Asked, Because, Plain, Snapshot, Trust};
use trunkline_session::ClientSession;
use trunkline_sql::access::{
    self, Access, Hint,
    cache::{Cache, Entry, Found, Key},
};

use super::{
    catalog::Known,
    explained::Explained,
    ground::{Ground, depends_on_path, is_doubt, judge, trust_in, with_cause},
    overrides::Overrides,
    study::Asker,
    whereabouts::{NO_PATH, Whereabouts},
};

/// What a key differs by where doubts about functions do not count.
const DOUBTS: u64 = 1 << 62;

/// What it differs by where the lists in the settings do not count either.
const LISTS: u64 = 1 << 63;

/// Longer texts are not judged here: it would hold up the other clients of the loop.
pub(super) const JUDGED_MAX: usize = access::QUICK;

/// No more bytes of texts that are not known are judged for one client at a time. What it sends behind them waits for its turn.
pub(super) const JUDGED_AT_ONCE: usize = JUDGED_MAX;

/// How long a text that a standby has refused belongs on the primary, in microseconds: its catalog may not show why it is no
/// read any more.
pub(super) const LEARNT_FOR: u64 = 600_000_000;

/// What is kept of a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    because: Because,
    /// Until when, in seconds, if it has been learnt; else for ever.
    until: u32,
}

impl Kept {
    const fn for_ever(because: Because) -> Self {
        Self { because, until: u32::MAX }
    }

    /// Learnt now; the clock has microseconds.
    fn learnt(now: u64) -> Self {
        Self { because: Because::Plain(Plain::Learnt), until: seconds(now + LEARNT_FOR) }
    }
}

fn seconds(clock: u64) -> u32 {
    u32::try_from(clock / 1_000_000).unwrap_or(u32::MAX)
}
/// What texts are judged by: for one client at one moment.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    pub(super) cache: &'a mut Cache<Kept>,
    pub(super) asker: &'a mut Asker,
    pub(super) overrides: &'a Overrides,
    pub(super) known: &'a Known,
    pub(super) path: &'a Whereabouts,
    /// The clock of the loop, in microseconds.
    pub(super) now: u64,
    /// How far a wish for a standby is taken at its word.
    pub(super) trust: Trust,
    /// So many bytes may still be judged.
    pub(super) budget: usize,
    /// How many texts have been learnt.
    pub(super) lessons: &'a mut u64,
}
impl Judge<'_> {
    /// The same for who is taken at his word so far.
    pub(crate) fn trusting(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// Where a text goes of a session that asks for this.
    pub(crate) fn decide(&mut self, asked: Asked, text: &[u8]) -> Because {
        let found = self.judge(text);
        asked.decide(found, || self.overrides.match_in(text))
    }

    /// Where a transaction goes that is begun by this text, and may begin on a standby because of what was `found`.
    pub(crate) fn decide_block(&mut self, asked: Asked, text: &[u8], found: Plain) -> Because {
        match access::hint(text) {
            Some(Hint::Primary) => Plain::Hint.into(),
            Some(Hint::Standby) => Plain::StandbyHint.into(),
            _ => asked.decide(found.into(), || self.overrides.match_in(text)),
        }
    }

    /// What keeps a text on the primary, whatever it is, of a session that is a standby's. One that is not known yet stays
    /// where the session is.
    pub(crate) fn recall(&mut self, text: &[u8]) -> Option<Because> {
        match access::hint(text) {
            Some(Hint::Primary) => return Some(Plain::Hint.into()),
            Some(Hint::Standby) => return None,
            Some(Hint::Unknown(_)) | None => {}
        }
        let overrides = self.overrides;
        if self.is_out_of_reach(text) {
            return None;
        }
        if overrides.match_in(text) {
            return Some(Plain::Pattern.into());
        }
        let is_listed = !overrides.lists().are_empty()
            && overrides.lists().keep(self.entry(text).ok()?.access());
        is_listed.then_some(Plain::List.into())
    }

    /// What is kept of a text; or that it takes long to judge, and is judged elsewhere, or later.
    #[inline]
    fn entry(&mut self, text: &[u8]) -> Result<&mut Entry<Kept>, Because> {
        if text.len() <= self.budget {
            let (entry, found) = self.cache.entry(text, self.path.rules());
            if found == Found::Judged {
                self.budget = self.budget.saturating_sub(text.len());
            }
            return Ok(entry);
        }
        let is_long = text.len() > JUDGED_MAX;
        match self.cache.known(text, self.path.rules()) {
            Some(entry) => Ok(entry),
            None if is_long => Err(self.asker.ask(text, self.path.rules())),
            None => Err(Plain::BeingJudged.into()),
        }
    }

    /// [`Because::READ`] if a text only reads, and may do so on a standby; else why it belongs on the primary.
    pub(crate) fn judge(&mut self, text: &[u8]) -> Because {
        if self.is_out_of_reach(text) {
            return Plain::OutOfReach.into();
        }
        let (known, lists, path) = (self.known, self.overrides.lists(), self.path);
        let (generation, trust, now) = (known.snapshot.generation(), self.trust, self.now);
        let entry = match self.entry(text) {
            Ok(entry) => entry,
            Err(because) => return because,
        };
        // Most texts are the same under any path, and are kept once then.
        let ground = Ground { known, lists, schemas: None };
        let anywhere = key(generation, NO_PATH, trust);
        let anywhere = kept(entry, anywhere, now, |access| judge(ground, access, trust));
        if path.key() == NO_PATH || !depends_on_path(anywhere) {
            return anywhere;
        }
        kept(entry, key(generation, path.key(), trust), now, |access| {
            let schemas = path.schemas();
            judge(Ground { schemas: schemas.as_deref(), ..ground }, access, trust)
        })
    }

    /// Says where a text goes by itself, of a session that asks for this, and why.
    pub(super) fn explain(&mut self, asked: Asked, text: &[u8]) -> Explained {
        let because = if asked.is_whole() {
            self.recall(text).unwrap_or(Because::Plain(Plain::StandbyListener))
        } else {
            self.decide(asked, text)
        };
        let access = if self.is_out_of_reach(text) {
            None
        } else {
            self.budget = JUDGED_AT_ONCE;
            // Of one that is not known nothing is told but that.
            self.entry(text).ok().map(|entry| entry.access().clone())
        };
        let schemas = self.path.schemas();
        let mut explained = Explained::of(because, access.as_ref(), schemas.as_deref());
        if let (Because::Cause(_), Some(access)) = (because, &access) {
            let (known, lists) = (self.known, self.overrides.lists());
            let ground = Ground { known, lists, schemas: schemas.as_deref() };
            let trust = trust_in(access, self.trust);
            with_cause(ground, access, |cause| {
                if trust != Trust::None && is_doubt(cause) {
                    return None;
                }
                explained.tell(cause);
                Some(())
            });
        }
        explained
    }

    fn is_out_of_reach(&self, text: &[u8]) -> bool {
        text.len() > access::TEXT_READ || !self.path.is_utf8() && !text.is_ascii()
    }

    /// Whether a standby would refuse what a session sends outside of a transaction, whatever it is.
    pub(crate) fn is_serializable(&self, session: &ClientSession) -> bool {
        self.path.serializes(session)
    }

    /// The version of how the client's texts are read.
    pub(crate) fn version(&self) -> u64 {
        self.path.version()
    }

    /// The catalog.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.known.snapshot
    }

    /// A standby has shown that a text is no read.
    pub(crate) fn learn(&mut self, text: &[u8]) {
        let (generation, now) = (self.known.snapshot.generation(), self.now);
        *self.lessons = self.lessons.wrapping_add(1);
        if let Ok(entry) = self.entry(text) {
            for trust in Trust::ALL {
                entry.keep(key(generation, NO_PATH, trust), Kept::learnt(now));
            }
        }
    }
}

/// What is kept of a text under a key; what is not is judged, and kept.
#[inline]
fn kept(
    entry: &mut Entry<Kept>,
    key: Key,
    now: u64,
    judge: impl FnOnce(&Access) -> Because,
) -> Because {
    if let Some(kept) = entry.value(key)
        && (kept.until == u32::MAX || seconds(now) < kept.until)
    {
        return kept.because;
    }
    let because = judge(entry.access());
    entry.keep(key, Kept::for_ever(because));
    because
}

/// Each trust is another question.
#[inline]
fn key(generation: u64, path: u64, trust: Trust) -> Key {
    let asked = match trust {
        Trust::None => 0,
        Trust::Doubts => DOUBTS,
        Trust::Lists => LISTS,
    };
    Key { generation, path: path ^ asked }
}

//! Asking the server what the session has there: when, and for what.
//!
//! A text may leave behind what it does not show: in a function, a `DO` block, a procedure, a trigger. And of some things
//! it shows only the attempt: a lock may not be had, a table may go with its transaction. So when such a statement is sent
//! it is noted, because it may leave something behind even if it fails, and as soon as the server is at rest it is asked.
//! The client has its answer by then; only its next message waits.

use bytes::BytesMut;

use crate::{
    change::{Change, Hidden, Look},
    client::{ClientSession, PoolMode},
    effect::Effects,
    facts::NameSet,
    from_server::Reply,
    hold::Why,
    path::Beginning,
    pin::{PinReason, Pins},
    planted::planted,
    readback::Question,
    server::ServerSession,
};

/// What becomes of state that no text shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HiddenState {
    /// The server is asked for it.
    #[default]
    ReadBack,
    /// There is none: the applications say so.
    Trust,
}

/// At most so many functions, and settings, are remembered by name until the server is asked.
const NAMES_MAX: usize = 64;

/// Why the server is to be asked.
#[derive(Debug, Default)]
pub(crate) struct Suspicion {
    /// Functions that were called and are not known to leave nothing behind.
    functions: NameSet,
    /// Settings that got a value that no text shows.
    settings: NameSet,
    /// There is more to it than these functions.
    more: bool,
    /// The server was asked and could not tell; it is asked again with the next statement of the kind.
    in_vain: bool,
}

impl Suspicion {
    /// Whether one of these functions was called.
    pub(crate) fn calls_one_of(&self, names: &NameSet) -> bool {
        !self.functions.is_disjoint(names)
    }
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBack {
    /// The function because of which the server was asked, if there is one to blame.
    pub function: Option<Box<[u8]>>,
    /// Whether there was something that no text had shown.
    pub found: bool,
    /// The server could not tell.
    pub failed: bool,
}

/// So much of a statement is shown.
const TEXT_MAX: usize = 120;

/// The functions of large objects, for which the function call protocol is used (`pg_proc.dat`: `lo_create` to
/// `lo_truncate64`).
const LARGE_OBJECTS: [u32; 14] =
    [715, 764, 952, 953, 954, 955, 956, 957, 958, 964, 1004, 3170, 3171, 3172];

/// Reasons that hold for as long as the server says so.
const ASKED: [PinReason; 3] =
    [PinReason::TemporaryObject, PinReason::AdvisoryLock, PinReason::HoldCursor];

impl ClientSession {
    /// The text of a statement with these effects, which is sent, or bound to be executed: it may be what the client keeps
    /// its server for.
    #[inline]
    pub(crate) fn note_text(&mut self, text: &[u8], effects: &Effects, server: &ServerSession) {
        if !effects.is_none() && effects.may_pin() {
            self.blame(text, server);
        }
    }

    /// The same of the unnamed statement.
    #[inline]
    pub(crate) fn note_text_of_unnamed(&mut self, effects: &Effects, server: &ServerSession) {
        if !effects.is_none() && effects.may_pin() {
            // It is taken from the session for as long as the session is told of it.
            let unnamed = std::mem::take(&mut self.unnamed);
            self.blame(unnamed.text(), server);
            self.unnamed = unnamed;
        }
    }

    #[cold]
    fn blame(&mut self, text: &[u8], server: &ServerSession) {
        // What has pinned it first stays.
        if self.pins.is_empty() || self.pins == Pins::UNREAD {
            self.blamed = Some(trunkline_sql::outline(text, server.rules, TEXT_MAX).into());
        }
    }

    /// The statement that it keeps its server for, without its constants, if it does for one.
    pub fn pinned_by(&self) -> Option<&str> {
        self.blamed.as_deref().filter(|_| !self.pins.is_empty())
    }

    /// A statement with these effects is sent.
    #[inline]
    pub(crate) fn note_looks(&mut self, effects: &Effects) {
        if let Effects::Many(changes) = effects {
            for (_, change) in changes.iter() {
                match change {
                    Change::Look(look) => self.note_look(look),
                    Change::CatalogChange => self.look_at_catalog(),
                    _ => {}
                }
            }
        }
    }

    #[cold]
    fn note_look(&mut self, look: &Look) {
        planted!(self, SkippedReadBack, return);
        let trusts = self.limits.hidden_state == HiddenState::Trust;
        match look {
            Look::Taken if !self.may_lose_a_pin() => return,
            Look::Hidden(_) if trusts => return,
            _ => {}
        }
        let suspicion = self.suspicion.get_or_insert_default();
        suspicion.in_vain = false;
        let room = |names: &NameSet, name: &[u8]| names.len() < NAMES_MAX || names.contains(name);
        match look {
            Look::Hidden(Hidden::Function(name)) if room(&suspicion.functions, name) => {
                suspicion.functions.insert(name.clone());
            }
            Look::Computed(name) if room(&suspicion.settings, name) => {
                suspicion.settings.insert(name.clone());
                suspicion.more = true;
            }
            Look::Computed(_) => self.pins.add(PinReason::ComputedSetting),
            _ => suspicion.more = true,
        }
        self.pins.add(PinReason::Unread);
    }

    /// The catalog changes: whether that changes which functions may leave something behind, the server tells.
    #[cold]
    fn look_at_catalog(&mut self) {
        if self.limits.hidden_state == HiddenState::ReadBack {
            self.suspicion.get_or_insert_default().in_vain = false;
            self.pins.add(PinReason::Unread);
        }
    }

    /// A function is called by the function call protocol, which names it by a number at the beginning of `body`.
    pub(crate) fn note_function_call(&mut self, body: &[u8]) {
        let number = body.first_chunk().copied().map(u32::from_be_bytes);
        let harmless = number.is_some_and(|number| LARGE_OBJECTS.contains(&number));
        if self.mode != PoolMode::Session && !harmless {
            self.note_look(&Look::Hidden(Hidden::Other));
        }
    }

    fn may_lose_a_pin(&self) -> bool {
        self.pins.has(PinReason::Unread) || ASKED.iter().any(|reason| self.pins.has(*reason))
    }

    /// Whether the server is to be asked now what the session has there, by [`Self::read_back`].
    #[inline]
    pub fn wants_read_back(&self, server: &ServerSession) -> bool {
        self.pins.has(PinReason::Unread)
            && server.at_rest()
            && !server.is_held_back()
            && !self.suspicion.as_ref().is_some_and(|suspicion| suspicion.in_vain)
    }

    /// Asks the server. The client's next message waits for the answer.
    pub fn read_back(&mut self, server: &mut ServerSession, to_server: &mut BytesMut) {
        let nothing = Suspicion::default();
        let suspicion = self.suspicion.as_deref().unwrap_or(&nothing);
        let facts = self.scope.facts().latest();
        let shared = self.scope.placeholders();
        let own = self.settings.current().iter().map(|entry| entry.name.as_ref());
        let own = own.filter(|name| trunkline_sql::settings::is_placeholder(name));
        let named = [&suspicion.settings, &shared, &facts.names];
        let named = named.into_iter().flat_map(|names| names.iter().map(AsRef::as_ref));
        server.look(
            &Question {
                mark: &facts.mark,
                names: own.chain(named).collect(),
                functions: suspicion.functions.iter().map(AsRef::as_ref).collect(),
                whole: suspicion.more || !suspicion.functions.is_disjoint(&facts.makers),
            },
            to_server,
        );
        server.hold(Why::Ahead);
    }

    /// The server has answered, or could not.
    pub(crate) fn end_read_back(&mut self, server: &mut ServerSession) -> Reply {
        let suspicion = self.suspicion.take().unwrap_or_default();
        let mut findings = server.findings.take().unwrap_or_default();
        if let Some(facts) = findings.facts.take().filter(|_| !findings.is_broken) {
            self.scope.facts().learn(facts);
        }
        let found = !findings.is_broken && findings.is_whole && self.adopt(server, &findings);
        self.pins.put(PinReason::Unread, findings.is_broken);
        let facts = self.scope.facts().latest();
        let keeper = suspicion.functions.intersection(&facts.keepers).next();
        if suspicion.calls_one_of(&facts.stayers) {
            self.pins.add(PinReason::ServerObject);
        } else if keeper.is_some() {
            self.pins.add(PinReason::HiddenState);
        }
        let blamed = keeper.or_else(|| suspicion.functions.first());
        server.read_back = Some(Box::new(ReadBack {
            function: blamed.cloned(),
            found,
            failed: findings.is_broken,
        }));
        if findings.is_broken {
            self.suspicion = Some(Box::new(Suspicion { in_vain: true, ..*suspicion }));
        }
        Reply::ReadBack
    }

    /// `DISCARD ALL`: what was left behind is gone, if that takes it away.
    pub(crate) fn discard_looks(&mut self) {
        let blamed = self.blamed.take();
        let rest = self.pins.indelible();
        self.forget_looks();
        self.pins = rest;
        self.blamed = blamed.filter(|_| !rest.is_empty());
    }

    /// What was left behind is gone.
    pub(crate) fn forget_looks(&mut self) {
        self.pins = Pins::default();
        self.suspicion = None;
        self.blamed = None;
    }
}

impl ServerSession {
    /// Asks it of the functions of its database, while no client holds it.
    pub fn survey(&mut self, scope: &crate::Scope, out: &mut BytesMut) {
        let facts = scope.facts().latest();
        self.look(&Question { mark: &facts.mark, ..Question::default() }, out);
    }

    /// It has told of them, or could not. Says whether sessions begin there as they do on no other server of the pool.
    pub fn end_survey(&mut self, scope: &crate::Scope) -> bool {
        let findings = self.findings.take().unwrap_or_default();
        if findings.is_broken {
            scope.facts().give_up();
        } else if let Some(facts) = findings.facts {
            scope.facts().learn(facts);
        }
        let path = findings.path.filter(|_| !findings.is_broken);
        let login = self.login.clone();
        self.begin_as(path.map(|[role, path]| Beginning { login, role, path }), scope)
    }

    /// It is not asked. Says whether it is the first one of the pool that is not.
    pub fn skip_survey(&mut self, scope: &crate::Scope) -> bool {
        self.begin_as(None, scope)
    }

    fn begin_as(&mut self, beginning: Option<Beginning>, scope: &crate::Scope) -> bool {
        let (kept, new) = scope.beginnings().learn(beginning);
        self.beginning = Some(kept);
        new
    }
}

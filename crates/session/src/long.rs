//! Messages that are too long to be held until they are complete: judged by their beginning, passed on as they come.

use std::ops::Range;

use trunkline_sql::Scanner;
use trunkline_wire::{
    SqlState,
    frame::HEADER,
    frontend::{self, BindHead, ParseHead},
};

use crate::{
    client::{ClientSession, PoolMode, Surroundings, Unnamed},
    effect::Effects,
    environment::Meaning,
    expect::{Bound, Owed},
    extended::Stranger,
    from_client::Ways,
    hidden::hides,
    hold::Forgetting,
    name, overfull,
    parse::send_decoy,
    pin::PinReason,
    server::{Intake, ServerSession},
};

/// What is done with a message of which only the beginning is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Long {
    /// More of it is needed first.
    Wait,
    /// So many of the bytes at hand were dealt with; the rest of the message goes on or is dropped as it comes.
    Stream {
        /// Bytes of the message dealt with, from its first.
        used: usize,
        /// Whether the rest goes to the server.
        forward: bool,
    },
    /// No message of this kind may be so long.
    Refuse(SqlState, &'static str),
}

/// The names at the beginning of a message that streams by must end within so many bytes. PostgreSQL has no limit,
/// but cuts no name of a statement or portal either; drivers' names have a few dozen bytes.
const NAMES_MAX: usize = 8 << 10;

/// The names of a message have not ended in what is there of its body.
fn wait_or_refuse(body: &[u8], why: &'static str) -> Long {
    if body.len() < NAMES_MAX {
        return Long::Wait;
    }
    Long::Refuse(SqlState::PROTOCOL_VIOLATION, why)
}

/// Follows a text that streams by.
#[derive(Debug)]
pub(crate) struct Follow {
    scanner: Scanner,
    what: Followed,
    /// Bytes of the message that belong to the text are fed until the first NUL.
    ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Followed {
    Query,
    Unnamed(u64),
    Named,
}

impl ClientSession {
    /// Whether an incomplete message with this tag is passed on as it comes, whatever its length.
    #[inline]
    pub fn streams(&self, server: &ServerSession, tag: u8) -> bool {
        tag == b'd' || (server.intake == Intake::Skipping && tag != b'S' && tag != b'X')
    }

    /// Takes the beginning of a message: `head` is what is there of it, found at `at` in the burst; `len` its whole
    /// length.
    pub fn on_client_long(
        &mut self,
        server: &mut ServerSession,
        (tag, len): (u8, usize),
        head: &[u8],
        at: usize,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) -> Long {
        let all = at..at.saturating_add(head.len());
        let stream = Long::Stream { used: head.len(), forward: true };
        if server.intake == Intake::Refusing {
            server.refuse(tag, ways.server);
        }
        if server.intake == Intake::Skipping && tag != b'S' && tag != b'X' {
            return Long::Stream { used: head.len(), forward: false };
        }
        if server.intake == Intake::CopyData && matches!(tag, b'Q' | b'F' | b'P' | b'B') {
            server.probe_copy(tag, ways.server);
            return Long::Wait;
        }
        match tag {
            b'd' => {
                if server.intake != Intake::CopyData && server.holds_copy_message(ways.server) {
                    return Long::Wait;
                }
                ways.server.forward(all);
                stream
            }
            b'f' => Long::Wait,
            b'Q' => {
                self.remember_unnamed(server);
                server.owed.push(Owed::Query(Effects::None, 0));
                server.intake = Intake::Messages;
                server.unnamed = 0;
                self.unnamed = Unnamed::None;
                server.forget_doubtful();
                self.follow(server, Followed::Query, head.get(HEADER..).unwrap_or_default());
                ways.server.forward(all);
                stream
            }
            b'F' => {
                self.note_function_call(head.get(HEADER..).unwrap_or_default());
                server.owed.push(Owed::Function);
                server.intake = Intake::Messages;
                ways.server.forward(all);
                stream
            }
            b'P' => self.on_long_parse(server, len, head, all, ways, around),
            b'B' => self.on_long_bind(server, len, head, all, ways, around),
            _ => Long::Refuse(SqlState::PROTOCOL_VIOLATION, "invalid message length"),
        }
    }

    fn on_long_parse(
        &mut self,
        server: &mut ServerSession,
        len: usize,
        head: &[u8],
        all: Range<usize>,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) -> Long {
        let body = head.get(HEADER..).unwrap_or_default();
        let Some(parse) = ParseHead::parse(body) else {
            return wait_or_refuse(body, "statement name is too long");
        };
        let follows = !parse.name.is_empty() || self.mode == PoolMode::Session;
        if follows && server.awaits_name_of_both(name::of_protocol(parse.name), ways.server) {
            return Long::Wait;
        }
        server.intake = Intake::Unsynced;
        let text = body.get(parse.len..).unwrap_or_default();
        if parse.name.is_empty() && self.mode != PoolMode::Session {
            self.remember_unnamed(server);
            let key = around.unnamed_key();
            server.owed.push(Owed::ParseUnnamed);
            ways.server.forward(all);
            server.unnamed = key;
            self.unnamed = Unnamed::OnServer { key, effects: Effects::None };
            server.await_unnamed();
            self.follow(server, Followed::Unnamed(key), text);
        } else {
            self.owe_parse_there(parse.name, server, ways);
            let stranger = Stranger::of(parse.name);
            if stranger.is_plain() || self.mode == PoolMode::Session {
                ways.server.forward(all);
            } else {
                let names = HEADER.saturating_add(parse.len);
                let rest = len.saturating_sub(names);
                frontend::parse_head(ways.server.insert(), &stranger.name(), rest);
                ways.server.forward(all.start.saturating_add(names)..all.end);
            }
            self.pins.add(PinReason::LongStatement);
            self.follow(server, Followed::Named, text);
        }
        Long::Stream { used: head.len(), forward: true }
    }

    /// It lives on this server only, under the client's own name. If that is taken by a statement of ours, the server
    /// is made to refuse it by a decoy.
    fn owe_parse_there(
        &mut self,
        name: &[u8],
        server: &mut ServerSession,
        ways: &mut Ways<'_, '_>,
    ) {
        let counts = name::of_protocol(name);
        if self.mode == PoolMode::Session {
            // For the name it has waited before.
            let _waits = self.owe_parse_that_takes(name, Effects::None, server);
        } else if self.there.contains(counts) {
            server.owed.push(Owed::ParseOther);
        } else if self.names.contains(counts) {
            send_decoy(name, server, ways);
            server.owed.push(Owed::ParseOther);
        } else {
            self.there.insert(counts.into());
            server.begin_naming(counts);
            server.owed.push(Owed::ParseThere(counts.into()));
        }
    }

    fn on_long_bind(
        &mut self,
        server: &mut ServerSession,
        len: usize,
        head: &[u8],
        all: Range<usize>,
        ways: &mut Ways<'_, '_>,
        around: &mut impl Surroundings,
    ) -> Long {
        let body = head.get(HEADER..).unwrap_or_default();
        let Some(bind) = BindHead::parse(body) else {
            return wait_or_refuse(body, "portal or statement name is too long");
        };
        let known = match self.mode {
            PoolMode::Session => None,
            _ => match self.statement(bind.statement, server, ways.server, around) {
                Meaning::Undecided => return Long::Wait,
                Meaning::Overfull => {
                    overfull::refuse_message(server, ways, around);
                    return Long::Stream { used: head.len(), forward: false };
                }
                Meaning::Stale(statement) => {
                    self.refuse_stale(statement, server, ways);
                    return Long::Stream { used: head.len(), forward: false };
                }
                Meaning::Ours(statement) => Some(statement),
                Meaning::NotOurs => None,
            },
        };
        server.intake = Intake::Unsynced;
        let meant = self.meant.take();
        let tail = name::tail(name::of_protocol(bind.statement));
        let bound = known.clone().map(|statement| Bound { statement, tail, meant });
        let effects = if let Some(statement) = known {
            self.give(&statement, server, ways.server);
            let names = HEADER.saturating_add(bind.len);
            frontend::bind_head(
                ways.server.insert(),
                bind.portal,
                &statement.name,
                len.saturating_sub(names),
            );
            ways.server.forward(all.start.saturating_add(names)..all.end);
            self.effects_by_now(statement.effects.clone(), || &statement.text, server)
        } else {
            let effects = if bind.statement.is_empty() && self.mode != PoolMode::Session {
                let effects = self.give_unnamed(server, ways.server);
                self.effects_by_now(effects, || self.unnamed.text(), server)
            } else {
                self.effects_there(bind.statement)
            };
            let stranger = Stranger::of(bind.statement);
            if stranger.is_plain() || self.mode == PoolMode::Session {
                ways.server.forward(all);
            } else {
                let names = HEADER.saturating_add(bind.len);
                let rest = len.saturating_sub(names);
                frontend::bind_head(ways.server.insert(), bind.portal, &stranger.name(), rest);
                ways.server.forward(all.start.saturating_add(names)..all.end);
            }
            effects
        };
        self.note_portal(bind.portal, effects);
        server.owed.push(Owed::Bind(bound));
        Long::Stream { used: head.len(), forward: true }
    }

    fn follow(&mut self, server: &ServerSession, what: Followed, text: &[u8]) {
        if self.mode == PoolMode::Session {
            return;
        }
        self.follow =
            Some(Box::new(Follow { scanner: Scanner::new(server.rules), what, ended: false }));
        self.on_client_more(text);
    }

    /// Sees more of a message that streams by.
    pub fn on_client_more(&mut self, piece: &[u8]) {
        let Some(follow) = &mut self.follow else { return };
        if follow.ended {
            return;
        }
        let end = piece.iter().position(|byte| *byte == 0);
        follow.scanner.feed(piece.get(..end.unwrap_or(piece.len())).unwrap_or_default());
        follow.ended = end.is_some();
    }

    /// The message that streamed by is complete.
    pub fn on_client_long_end(&mut self, server: &mut ServerSession) {
        let Some(follow) = self.follow.take() else { return };
        let effects = match Effects::of(&follow.scanner.finish()) {
            // The text has gone by.
            Effects::Many(changes) if hides(&changes) => self.uncovered(&changes, None),
            effects => effects,
        };
        match follow.what {
            Followed::Query => {
                // Nothing was sent after it, so it is the last entry; its reply cannot have come before its end.
                if matches!(server.owed.back(), Some(Owed::Query(..))) {
                    self.await_outcome(&effects, server, Forgetting::Asked);
                }
                self.note_looks(&effects);
                if let Effects::Many(changes) = &effects {
                    changes.iter().for_each(|(_, change)| self.note_catalog_change(change));
                }
                server.owed.amend_last_query(effects);
            }
            Followed::Unnamed(key) => match &mut self.unnamed {
                Unnamed::OnServer { key: held, effects: known } if *held == key => *known = effects,
                // An error before it has undone it meanwhile.
                _ => {}
            },
            Followed::Named => {
                if !effects.leaves_nothing() {
                    self.pins.add(PinReason::HiddenState);
                }
            }
        }
    }
}

//! Groups of messages: a simple query, or what stands before a Sync. What is in one decides together whether it may go to
//! a standby.

use trunkline_wire::{
    Frame,
    frontend::{Bind, Describe, Execute, Parse, Query, STATEMENT},
};

use crate::{
    block::{Begin, Block},
    client::{ClientSession, Unnamed},
    name,
};

/// A group of messages that is not at its end.
#[derive(Debug, Default)]
pub(crate) struct Group<'a> {
    /// Which transactions it may begin; none if one is open.
    begin: Option<Begin>,
    /// It has begun.
    open: bool,
    /// What it has parsed.
    parsed: Parsed<'a>,
    /// It begins a transaction.
    pub(crate) block: Option<Block<'a>>,
    /// So many texts are executed in it.
    texts: usize,
    /// It ends the transaction.
    pub(crate) ended: bool,
    /// What the unnamed portal is bound to, until it is executed.
    bound: Bound,
    /// Something may be left of it that only one server has.
    leaves: bool,
}

/// What a group has parsed. Mostly that is one statement, for which no memory is needed.
#[derive(Debug, Default)]
struct Parsed<'a> {
    first: Option<Meant<'a>>,
    more: Vec<Meant<'a>>,
}

/// What a name means since a Parse of the group.
#[derive(Debug, Clone, Copy)]
struct Meant<'a> {
    name: &'a [u8],
    text: &'a [u8],
    /// It only reads.
    reads: bool,
}

impl<'a> Parsed<'a> {
    fn push(&mut self, meant: Meant<'a>) {
        if self.first.is_none() {
            self.first = Some(meant);
        } else {
            self.more.push(meant);
        }
    }

    /// What the name means; none if the group has not parsed it.
    fn find(&self, name: &[u8]) -> Option<Meant<'a>> {
        let latest = self.more.iter().rev().chain(&self.first);
        latest.copied().find(|meant| meant.name == name)
    }
}

/// What the unnamed portal is bound to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Bound {
    #[default]
    Nothing,
    /// What begins or ends a transaction.
    Command,
    Read,
}

impl<'a> Group<'a> {
    /// While no transaction is open.
    pub(crate) fn before(begin: Begin) -> Self {
        Self { begin: Some(begin), ..Self::default() }
    }

    /// In a transaction that may cross.
    pub(crate) fn within() -> Self {
        Self::default()
    }

    /// Whether it may leave behind nothing that only one server has, in a transaction that goes on elsewhere.
    fn is_in_passing(&self) -> bool {
        match self.block {
            Some(block) => !block.reads_only,
            None => self.begin.is_none(),
        }
    }

    /// Something may be left. Whether it may be: a transaction that only reads stays where it is then.
    fn may_leave(&mut self) -> bool {
        self.leaves = true;
        !self.is_in_passing()
    }

    /// Whether it may execute a portal.
    fn executes(&mut self, body: &[u8]) -> bool {
        let bound = std::mem::take(&mut self.bound);
        if self.begin.is_some() && self.block.is_none() {
            return true;
        }
        // What is left of a portal's rows is on one server only.
        let in_passing = Execute::parse(body).is_ok_and(|execute| {
            execute.portal.is_empty() && (bound == Bound::Command || execute.max_rows <= 0)
        });
        in_passing || self.may_leave()
    }

    /// Whether it may end here.
    fn may_end(&mut self) -> bool {
        self.bound == Bound::Nothing || self.may_leave()
    }

    /// The transaction that it begins.
    pub(crate) fn begun(&self) -> Option<Block<'a>> {
        self.block.map(|block| Block { leaves: self.leaves, ..block })
    }
}

impl ClientSession {
    /// Takes a message; says whether it ends its group. None if it does not belong on a standby.
    pub(crate) fn judge<'a>(
        &'a self,
        frame: Frame<'a>,
        group: &mut Group<'a>,
        reads: &mut impl FnMut(&[u8]) -> bool,
    ) -> Option<bool> {
        let begun = std::mem::replace(&mut group.open, !matches!(frame.tag, b'Q' | b'S'));
        match frame.tag {
            b'Q' if !begun => {
                let text = Query::parse(frame.body).ok()?.text;
                let may = self.judge_text((text, reads(text)), group);
                group.bound = Bound::Nothing;
                may.then_some(true)
            }
            b'P' => {
                let parse = Parse::parse(frame.body).ok()?;
                let meant = Meant { name: parse.name, text: parse.text, reads: reads(parse.text) };
                group.parsed.push(meant);
                self.may_parse(&parse, meant.reads, group).then_some(false)
            }
            b'B' => {
                let bind = Bind::parse(frame.body).ok()?;
                let may = self.judge_named(bind.statement, group, reads);
                (may && (bind.portal.is_empty() || group.may_leave())).then_some(false)
            }
            b'D' => {
                let describe = Describe::parse(frame.body).ok()?;
                let may = if describe.kind == STATEMENT {
                    group.parsed.find(describe.name).is_some()
                        || self.text_of(describe.name, group).is_some()
                } else {
                    describe.name.is_empty() || group.may_leave()
                };
                may.then_some(false)
            }
            b'E' => group.executes(frame.body).then_some(false),
            b'C' => Some(false),
            b'S' => group.may_end().then_some(true),
            _ => None,
        }
    }

    fn may_parse(&self, parse: &Parse<'_>, reads: bool, group: &Group<'_>) -> bool {
        let text = parse.text;
        let begins = || group.begin.is_some_and(|begin| self.begins_block(text, begin).is_some());
        let ends = || (group.begin.is_none() || group.block.is_some()) && self.ends_block(text);
        // One that is not followed would live on one server only.
        let stays = group.is_in_passing()
            && !parse.name.is_empty()
            && !(self.has_room(parse) && name::is_text(parse.name, &self.seen));
        !stays && (reads || begins() || ends())
    }

    fn judge_named<'a>(
        &'a self,
        name: &[u8],
        group: &mut Group<'a>,
        reads: &mut impl FnMut(&[u8]) -> bool,
    ) -> bool {
        if let Some(Meant { text, reads, .. }) = group.parsed.find(name) {
            return self.judge_text((text, reads), group);
        }
        self.text_of(name, group).is_some_and(|text| self.judge_text((text, reads(text)), group))
    }

    /// The text that a name means by now.
    fn text_of(&self, name: &[u8], group: &Group<'_>) -> Option<&[u8]> {
        if name.is_empty() {
            return match &self.unnamed {
                Unnamed::Kept { .. } if group.parsed.find(b"").is_none() => {
                    Some(self.unnamed.text())
                }
                _ => None,
            };
        }
        let statement = self.names.get(name::of_protocol(name))?;
        Some(&*statement.text)
    }

    /// A text that is executed, or bound to be, and whether it only reads.
    fn judge_text<'a>(&self, (text, reads): (&'a [u8], bool), group: &mut Group<'a>) -> bool {
        group.texts = group.texts.saturating_add(1);
        if group.ended {
            return false;
        }
        if reads {
            group.bound = Bound::Read;
            if let Some(block) = &mut group.block {
                block.has_read = true;
            }
            return true;
        }
        group.bound = Bound::Command;
        if group.begin.is_none() || group.block.is_some() {
            group.ended = self.ends_block(text);
            return group.ended;
        }
        if group.texts == 1
            && let Some(begin) = group.begin
        {
            group.block = self.begins_block(text, begin);
        }
        group.block.is_some()
    }
}

//! Names before parentheses: which are calls, and of what.

use super::{Before, Last, Mark, Schema, Stream};
use crate::facts::Facts;
use crate::functions::{Call, lookup};
use crate::keyword::Keyword;
use crate::name::{NAME_LIMIT, Name};
use crate::scanner::FUNCTIONS_KEPT;

impl Stream {
    /// A dot behind the name `name`, which is then a schema or a relation.
    pub(super) fn dot(&mut self, name: &[u8]) {
        if self.last_is_name() {
            let catalog = name.eq_ignore_ascii_case(b"pg_catalog") || name == b"\"pg_catalog\"";
            self.schema = if catalog && self.schema == Schema::None {
                Schema::Catalog
            } else {
                Schema::Other
            };
        }
    }

    /// A parenthesis behind the name `name`.
    pub(super) fn call(&mut self, name: &[u8]) {
        match self.before {
            Before::Word(Mark::As | Mark::Into | Mark::IntoTarget | Mark::NameNext)
            | Before::Cast
            | Before::Nothing => return,
            Before::Word(Mark::From | Mark::To)
                if self.keyword == Keyword::Copy && self.depth == 0 =>
            {
                return;
            }
            Before::Close if !self.distinct => return,
            _ if self.with_list && self.depth == 0 => return,
            _ => {}
        }
        let name = match (self.last, name) {
            (Last::UnicodeQuoted, [_, _, quoted @ ..]) | (Last::Quoted, quoted) => {
                Name::from_quoted(quoted)
            }
            (_, word) if word.len() > NAME_LIMIT => Name::from_word(word),
            (_, word) => {
                let found = lookup(word, false);
                if self.note(found) {
                    self.unknown(Name::from_word(word));
                }
                return;
            }
        };
        let found = lookup(name.as_bytes(), true).filter(|call| *call != Call::Keyword);
        if self.note(found) {
            self.unknown(name);
        }
    }

    /// Notes what a call does; says whether the function is not known to be clean.
    fn note(&mut self, found: Option<Call>) -> bool {
        let qualified = self.schema == Schema::Other;
        let Some(call) = found else { return true };
        let fact = match call {
            Call::Keyword | Call::Clean => return qualified,
            Call::SetConfig => Facts::SET_CONFIG,
            Call::AdvisoryLock => Facts::ADVISORY_LOCK,
            Call::AdvisoryUnlock => Facts::ADVISORY_UNLOCK,
            Call::Dblink => Facts::DBLINK,
            Call::DblinkEnd => Facts::DBLINK_END,
            Call::Origin => Facts::ORIGIN,
            Call::OriginEnd => Facts::ORIGIN_END,
            Call::Slot => Facts::SLOT,
            Call::SlotEnd => Facts::SLOT_END,
            Call::Backup => Facts::BACKUP,
            Call::BackupEnd => Facts::BACKUP_END,
            Call::SequenceRead => Facts::SEQUENCE_READ,
            Call::SequenceWrite => Facts::SEQUENCE_WRITE,
            Call::Notify => Facts::NOTIFY,
        };
        self.facts.add(fact);
        qualified && !matches!(call, Call::Dblink | Call::DblinkEnd)
    }

    fn unknown(&mut self, name: Name) {
        if self.functions.len() < FUNCTIONS_KEPT && !self.functions.contains(&name) {
            self.functions.push(name);
        }
    }
}

//! What stands for a statement that SQL has prepared, or that is to be prepared anew, until the client uses it.
//!
//! It is made while an answer of a server is taken, where the statements of the process are not at hand.

use std::sync::Arc;

use crate::{
    client::{ClientSession, Surroundings},
    effect::Effects,
    name,
    room::StatementRoom,
    statement::{SCOPE_BYTES, Statement},
};

/// Stands before the settings of a draft: no environment begins so. So it is of no settings, and is looked at when it is
/// used.
const MARK: &[u8] = b"\0";

/// A draft in place of a statement that is used no more.
pub(crate) fn instead_of(old: &Statement) -> Arc<Statement> {
    let parts = (old.text.as_ref(), old.types.as_ref(), old.environment.as_ref());
    Statement::draft(parts, old.effects.clone(), old.is_shared(), old.place().room())
}

/// The same, to be prepared as the catalog is after so many changes.
pub(crate) fn renewed(old: &Statement, changes: u32) -> Arc<Statement> {
    let before = if old.is_draft() { old.environment_of_draft() } else { old.environment.clone() };
    let (pool, rest) = before.split_at_checked(size_of::<u32>()).unwrap_or_default();
    let settings = rest.get(size_of::<u32>()..).unwrap_or_default();
    let environment = [pool, &changes.to_be_bytes(), settings].concat();
    let parts = (old.text.as_ref(), old.types.as_ref(), environment.as_slice());
    Statement::draft(parts, old.effects.clone(), old.is_shared(), old.place().room())
}

impl Statement {
    /// One of these parts.
    pub(crate) fn draft(
        (text, types, environment): (&[u8], &[u8], &[u8]),
        effects: Effects,
        shared: bool,
        room: &Arc<StatementRoom>,
    ) -> Arc<Self> {
        let (scope, settings) = environment.split_at_checked(SCOPE_BYTES).unwrap_or_default();
        let environment = [scope, MARK, settings].concat();
        Arc::new(Self::nameless((text, types, &environment), effects, shared, room))
    }

    /// The draft, with the types of its parameters, as a server has told them that has accepted it.
    pub(crate) fn described(&self, types: &[u8]) -> Arc<Self> {
        let parts = (self.text.as_ref(), types, self.environment.as_ref());
        let (effects, room) = (self.effects.clone(), self.place().room());
        let described = Self::nameless(parts, effects, self.is_shared(), room);
        described.set_accepted(true);
        Arc::new(described)
    }

    /// Whether it is one.
    pub(crate) fn is_draft(&self) -> bool {
        self.id == 0
    }

    /// The environment of the statement that it stands for.
    fn environment_of_draft(&self) -> Box<[u8]> {
        let (scope, rest) = self.environment.split_at_checked(SCOPE_BYTES).unwrap_or_default();
        [scope, rest.strip_prefix(MARK).unwrap_or(rest)].concat().into()
    }
}

impl ClientSession {
    /// The statement that a draft stands for, which any server can be given; none if there is no room for it.
    #[cold]
    pub(crate) fn statement_of_draft(
        &mut self,
        name: &[u8],
        around: &mut impl Surroundings,
    ) -> Option<Arc<Statement>> {
        let (name, draft) = self.names.remove(name::of_protocol(name))?;
        let environment = draft.environment_of_draft();
        let parts = (draft.text.as_ref(), draft.types.as_ref(), environment.as_ref());
        let effects = draft.effects.clone();
        let statement = if draft.is_shared() {
            let hash = around.hash(&draft.text, &draft.types, &environment);
            around.with_store(|store| store.intern(hash, parts, || effects))
        } else {
            around.with_store(|store| store.unshared(parts, effects))
        };
        let fits = statement.place().fits(self.names.step_for(&name));
        if fits && draft.is_accepted() {
            statement.set_accepted(true);
        }
        self.names.insert(name, if fits { Arc::clone(&statement) } else { draft });
        fits.then_some(statement)
    }
}

#[cfg(test)]
mod tests {
    use trunkline_sql::Value;

    use super::*;
    use crate::setting::SettingSet;

    #[test]
    fn a_draft_is_of_no_settings_and_knows_those_of_its_statement() {
        let mut settings = SettingSet::default();
        settings.set(b"timezone", Value::Literal(b"UTC".as_slice().into()));
        for settings in [settings, SettingSet::default()] {
            let environment = [b"\0\0\0\x07\0\0\0\x01", settings.environment()].concat();
            let parts = (b"select 'a'".as_slice(), b"\0\0".as_slice(), environment.as_slice());
            let draft = Statement::draft(parts, Effects::None, true, &Arc::default());
            let renewed = renewed(&renewed(&draft, 2), 3);
            assert_eq!((renewed.changes(), draft.changes()), (3, 1));
            let later = [b"\0\0\0\x07\0\0\0\x03", settings.environment()].concat();
            assert_eq!(*renewed.environment_of_draft(), *later);
            let described = draft.described(b"\0\x01\0\0\0\x17");
            assert!(described.is_draft() && !described.is_of(&settings));
            assert_eq!(*described.environment_of_draft(), *environment);
        }
    }
}

//! What differs between two settings, and what that means for those who are connected.

use std::collections::BTreeMap;

use crate::group::{Group, Setting};
use crate::groups::{Visitor, visit};
use crate::literal::to_toml;
use crate::value::{Effect, Kind, Value};
use crate::{Node, ServerSecret, Settings};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The setting (`pool.size`, `node.pg1.host`), or the table that came or went (`node.pg2`, `users.alice`).
    pub path: String,
    /// What it was, as TOML; secrets are `"***"`.
    pub old: String,
    /// What it is.
    pub new: String,
    /// When it is felt.
    pub effect: Effect,
}

/// Every difference, in the order of the documentation. Nodes are told apart by name.
pub fn diff(old: &Settings, new: &Settings) -> Vec<Change> {
    let mut differ = Differ { old, new, changes: Vec::new() };
    visit(&mut differ);
    differ.files();
    differ.changes
}

/// A change from one settings to others.
#[derive(Clone, Copy, Debug)]
pub struct Reload<'a> {
    /// What holds until now.
    pub old: &'a Settings,
    /// What shall hold.
    pub new: &'a Settings,
}

/// What becomes of a pool's server connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolFate {
    /// They stay. Sizes and times may have changed.
    Keep,
    /// A new generation is needed: each is closed when it comes back, and none is lent again.
    Renew,
    /// The database or node is no longer there.
    Close,
}

impl Reload<'_> {
    /// Every difference.
    pub fn changes(&self) -> Vec<Change> {
        diff(self.old, self.new)
    }

    /// The new settings, but with the old value of everything that only a restart changes.
    pub fn running(&self) -> Settings {
        let mut keeper = Keeper { old: self.old, result: self.new.clone() };
        visit(&mut keeper);
        keeper.result
    }

    /// What becomes of the pool of this database, user and node.
    pub fn pool(&self, database: &str, user: &str, node: &str) -> PoolFate {
        let (Some(policy), Some(now)) = (self.new.pool_for(database, user), self.new.node(node))
        else {
            return PoolFate::Close;
        };
        let (Some(before), Some(then)) = (self.old.pool_for(database, user), self.old.node(node))
        else {
            return PoolFate::Renew;
        };
        let same = !self.moved(then, now)
            && before.is_same_place(&policy)
            && same_login(&before.server_secret, &policy.server_secret);
        if same { PoolFate::Keep } else { PoolFate::Renew }
    }

    /// Whether the control connections to this node are to be opened anew; also if the node is new or gone.
    pub fn control(&self, node: &str) -> bool {
        let (Some(then), Some(now)) = (self.old.node(node), self.new.node(node)) else {
            return true;
        };
        let (old, new) = (&self.old.cluster, &self.new.cluster);
        let login =
            (&old.user, &old.password, &old.database) != (&new.user, &new.password, &new.database);
        login || self.moved(then, now) || self.old.auth_database() != self.new.auth_database()
    }

    /// Whether the settings and the user file knew this user and do not any more. While there is an `auth_query` nobody
    /// is removed, because it may know him.
    pub fn is_removed(&self, user: &str) -> bool {
        self.old.user(user).is_some()
            && self.new.user(user).is_none()
            && self.new.auth.auth_query.is_empty()
    }

    /// Whether a node is reached in another way than before.
    fn moved(&self, then: &Node, now: &Node) -> bool {
        then.host != now.host || then.port != now.port || self.old.server_tls != self.new.server_tls
    }
}

/// Whether connections opened with the one secret may stand for those opened with the other. What is learnt from
/// clients is not in the settings, and watched elsewhere.
fn same_login(before: &ServerSecret, after: &ServerSecret) -> bool {
    use ServerSecret::{Learnt, Nothing};
    before == after || matches!((before, after), (Learnt | Nothing, Learnt | Nothing))
}

struct Differ<'a> {
    old: &'a Settings,
    new: &'a Settings,
    changes: Vec<Change>,
}

/// What stands for a table that is not there.
const ABSENT: &str = "absent";
/// What stands for a table that is there.
const PRESENT: &str = "present";
/// What stands for a setting that is not given.
const NOT_GIVEN: &str = "not given";

impl Differ<'_> {
    fn group<T: Group>(&mut self, path: &str, old: &T, new: &T) {
        for setting in T::SETTINGS {
            let (before, after) = ((setting.show)(old), (setting.show)(new));
            if before != after {
                self.setting(path, setting, &before, &after);
            }
        }
    }

    fn setting<T>(&mut self, path: &str, setting: &Setting<T>, before: &Value, after: &Value) {
        let (old, mut new) = (shown(&setting.kind, before), shown(&setting.kind, after));
        if old == new && setting.kind != Kind::Secret {
            new.push_str(" (its content has changed)");
        }
        let path = format!("{path}.{}", setting.name);
        self.changes.push(Change { path, old, new, effect: setting.effect });
    }

    /// A table that came or went.
    fn table(&mut self, path: String, came: bool) {
        let (old, new) = if came { (ABSENT, PRESENT) } else { (PRESENT, ABSENT) };
        self.changes.push(Change {
            path,
            old: old.to_owned(),
            new: new.to_owned(),
            effect: Effect::Live,
        });
    }

    /// Files whose content lies beside the settings that name them.
    fn files(&mut self) {
        let (old, new) = (self.old, self.new);
        if old.access.rules != new.access.rules {
            self.file("auth.hba_file", old.auth.hba_file.as_ref(), Effect::NewConnections);
        }
        if old.access.ident != new.access.ident {
            self.file("auth.ident_file", old.auth.ident_file.as_ref(), Effect::NewConnections);
        }
        if old.access.salt != new.access.salt {
            self.file("auth.salt_file", old.auth.salt_file.as_ref(), Effect::Restart);
        }
    }

    fn file(&mut self, path: &str, file: Option<&std::path::PathBuf>, effect: Effect) {
        if self.changes.iter().any(|change| change.path == path) {
            return;
        }
        let text = file.map(|file| file.display().to_string()).unwrap_or_default();
        let old = to_toml(&Kind::Path, &Value::Text(text));
        let new = format!("{old} (its content has changed)");
        self.changes.push(Change { path: path.to_owned(), old, new, effect });
    }
}

fn shown(kind: &Kind, value: &Value) -> String {
    if *value == Value::Unset { NOT_GIVEN.to_owned() } else { to_toml(kind, value) }
}

impl Visitor for Differ<'_> {
    fn single<T: Group>(&mut self, read: fn(&Settings) -> &T, _write: fn(&mut Settings) -> &mut T) {
        self.group(T::NAME, read(self.old), read(self.new));
    }

    fn repeated<T: Group + Clone + PartialEq>(
        &mut self,
        read: fn(&Settings) -> &Vec<T>,
        _write: fn(&mut Settings) -> &mut Vec<T>,
        name: fn(&T) -> &str,
    ) {
        let (old, new) = (read(self.old), read(self.new));
        for before in old {
            let path = format!("{}.{}", T::NAME, name(before));
            match new.iter().find(|after| name(after) == name(before)) {
                Some(after) => self.group(&path, before, after),
                None => self.table(path, false),
            }
        }
        for after in
            new.iter().filter(|after| !old.iter().any(|before| name(before) == name(after)))
        {
            self.table(format!("{}.{}", T::NAME, name(after)), true);
        }
    }

    fn named<T: Group>(
        &mut self,
        read: fn(&Settings) -> &BTreeMap<String, T>,
        _write: fn(&mut Settings) -> &mut BTreeMap<String, T>,
    ) {
        let (old, new) = (read(self.old), read(self.new));
        for (name, before) in old {
            let path = format!("{}.{name}", T::NAME);
            match new.get(name) {
                Some(after) => self.group(&path, before, after),
                None => self.table(path, false),
            }
        }
        for name in new.keys().filter(|name| !old.contains_key(*name)) {
            self.table(format!("{}.{name}", T::NAME), true);
        }
    }
}

/// Takes back what only a restart changes. Such settings are in single groups only, which a test holds.
struct Keeper<'a> {
    old: &'a Settings,
    result: Settings,
}

impl Visitor for Keeper<'_> {
    fn single<T: Group>(&mut self, read: fn(&Settings) -> &T, write: fn(&mut Settings) -> &mut T) {
        let group = write(&mut self.result);
        for setting in T::SETTINGS.iter().filter(|setting| setting.effect == Effect::Restart) {
            // A field takes back what it has shown; a test holds this for every setting.
            let kept = (setting.put)(group, (setting.show)(read(self.old)));
            debug_assert!(kept.is_ok(), "{} does not take back its own value", setting.name);
        }
    }

    fn repeated<T: Group + Clone + PartialEq>(
        &mut self,
        _read: fn(&Settings) -> &Vec<T>,
        _write: fn(&mut Settings) -> &mut Vec<T>,
        _name: fn(&T) -> &str,
    ) {
    }

    fn named<T: Group>(
        &mut self,
        _read: fn(&Settings) -> &BTreeMap<String, T>,
        _write: fn(&mut Settings) -> &mut BTreeMap<String, T>,
    ) {
    }
}

#[cfg(test)]
mod tests;

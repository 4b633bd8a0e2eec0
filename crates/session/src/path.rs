//! In which schemas a session looks for names: by what it has set, or by what its servers have told that new sessions have.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicU32, Ordering},
};

use trunkline_sql::{Value, path};

use crate::{
    adopt::{AUTHORIZATION, ROLE},
    client::ClientSession,
    setting::Folds,
};

/// A path that has more names is taken for unknown.
const NAMES_MAX: usize = 64;

/// What stands in a path for the role.
const USER: &str = "$user";

/// What the schemas of temporary objects begin with.
const TEMPORARY: &str = "pg_temp";

/// What a server has told: what a session of the pool begins with there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// The role that was logged in as.
    pub(crate) login: Box<[u8]>,
    /// The role that it acts for.
    pub(crate) role: Box<[u8]>,
    pub(crate) path: Box<[u8]>,
}

/// One that servers have, as long as there is one: none if such a server could not tell.
#[derive(Debug)]
pub(crate) struct Kept {
    beginning: Option<Beginning>,
    changes: Arc<AtomicU32>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.changes.fetch_add(1, Ordering::Release);
    }
}

/// How the sessions of a pool begin on the servers that it has by now. They need not be the same: a default may have been
/// changed since one of them was connected to, or be another one on a standby.
#[derive(Debug, Default)]
pub(crate) struct Beginnings {
    kept: Mutex<Vec<Weak<Kept>>>,
    changes: Arc<AtomicU32>,
}

impl Beginnings {
    /// A server has told; whether it is the first to tell this.
    pub(crate) fn learn(&self, beginning: Option<Beginning>) -> (Arc<Kept>, bool) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|it| it.strong_count() > 0);
        let mut all = kept.iter().filter_map(Weak::upgrade);
        if let Some(known) = all.find(|known| known.beginning == beginning) {
            return (known, false);
        }
        drop(all);
        let new = Arc::new(Kept { beginning, changes: Arc::clone(&self.changes) });
        kept.push(Arc::downgrade(&new));
        self.changes.fetch_add(1, Ordering::Release);
        (new, true)
    }

    /// How often they have changed.
    #[inline]
    pub(crate) fn changes(&self) -> u32 {
        self.changes.load(Ordering::Acquire)
    }

    fn all(&self) -> Vec<Arc<Kept>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().filter_map(Weak::upgrade).collect()
    }
}

impl ClientSession {
    /// What it has set that decides what names mean, as bytes that can be compared; empty if it has set nothing of that.
    #[inline]
    pub fn naming(&self) -> &[u8] {
        self.settings.current().environment_for(Folds::Names)
    }

    /// The schemas in which it may look for names, sorted; none if that is not known. `default` is the path that new sessions
    /// have by now, if it is known; `by_startup`: their startup packet says one.
    pub fn schemas(&self, default: Option<&str>, by_startup: bool) -> Option<Vec<Box<str>>> {
        if self.settings.is_unknown() {
            return None;
        }
        let beginnings = self.scope.beginnings().all();
        let beginnings: Option<Vec<&Beginning>> =
            beginnings.iter().map(|kept| kept.beginning.as_ref()).collect();
        let beginnings = beginnings.filter(|all| !all.is_empty());
        let mut names = Vec::new();
        if let Some(value) = self.settings.current().get(b"search_path") {
            names = self.list(value)?;
        } else {
            for beginning in beginnings.as_ref()? {
                names.extend(path::of_value(self.text(&beginning.path)?)?);
            }
            if !by_startup {
                names.extend(path::of_value(default?)?);
            }
        }
        if names.iter().any(|name| **name == *USER) {
            names.extend(self.roles(beginnings.as_deref())?);
        }
        names.sort_unstable();
        names.dedup();
        let temporary = names.iter().any(|name| name.starts_with(TEMPORARY));
        (!temporary && names.len() <= NAMES_MAX).then_some(names)
    }

    /// The roles that it may act for.
    fn roles(&self, beginnings: Option<&[&Beginning]>) -> Option<Vec<Box<str>>> {
        let set = self.settings.current();
        let beginning = |of: fn(&Beginning) -> &[u8]| {
            let texts = beginnings?.iter().map(|it| self.text(of(it)).map(Box::from));
            texts.collect::<Option<Vec<_>>>()
        };
        let session = || match set.get(AUTHORIZATION) {
            Some(value) => self.list(value),
            None => beginning(|it| &it.login),
        };
        match set.get(ROLE) {
            Some(value) => match &*self.list(value)? {
                [role] if **role == *"none" => session(),
                [role] => Some(vec![role.clone()]),
                _ => None,
            },
            None if set.get(AUTHORIZATION).is_some() => session(),
            None => beginning(|it| &it.role),
        }
    }

    /// The names of a list that the client, or a server, has given a setting.
    fn list(&self, value: &Value) -> Option<Vec<Box<str>>> {
        let text = self.text(value.as_bytes())?;
        match value {
            Value::Written(_) => path::of_set(text),
            Value::Literal(_) => path::of_value(text),
            Value::TimeZone(_) => None,
        }
    }

    /// A text in an encoding that is read here.
    fn text<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        let read = bytes.is_ascii() || self.encoding() == b"UTF8";
        std::str::from_utf8(bytes).ok().filter(|_| read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scope, SessionLimits, client::PoolMode, setting::tests::set};

    fn beginning(role: &str, path: &str) -> Beginning {
        let role: Box<[u8]> = role.as_bytes().into();
        Beginning { login: role.clone(), role, path: path.as_bytes().into() }
    }

    /// The schemas of a session that has these settings, in a pool whose servers have told this.
    fn schemas(
        settings: &[(&str, &str)],
        told: &[(&str, &str)],
        default: Option<&str>,
    ) -> Option<String> {
        let scope = Arc::new(Scope::default());
        let all = told.iter().map(|(role, path)| beginning(role, path));
        let _kept: Vec<_> = all.map(|one| scope.beginnings().learn(Some(one)).0).collect();
        let base = Arc::new(set(settings));
        let client =
            ClientSession::new(PoolMode::Transaction, base, scope, SessionLimits::default());
        client.schemas(default, false).map(|names| names.join(" "))
    }

    const PUBLIC: &str = "\"$user\", public";

    #[test]
    fn what_was_set_counts_before_what_a_session_begins_with() {
        let told = [("alice", PUBLIC)];
        let of = |settings: &[(&str, &str)]| schemas(settings, &told, Some(PUBLIC));
        assert_eq!(of(&[]).as_deref(), Some("$user alice public"));
        assert_eq!(of(&[("search_path", "b, 'A'")]).as_deref(), Some("A b"));
        assert_eq!(of(&[("role", "bob")]).as_deref(), Some("$user bob public"));
        assert_eq!(of(&[("role", "'Bob'")]).as_deref(), Some("$user Bob public"));
        assert_eq!(of(&[("role", "NONE")]).as_deref(), Some("$user alice public"));
        let both = [("session_authorization", "carol"), ("role", "none")];
        assert_eq!(of(&both).as_deref(), Some("$user carol public"));
        assert_eq!(of(&[("search_path", "pg_temp, public")]), None);
        assert_eq!(of(&[("search_path", "$$a$$")]), None);
    }

    #[test]
    fn whatever_a_server_of_the_pool_has_counts() {
        let told = [("alice", "a"), ("alice", "b")];
        assert_eq!(schemas(&[], &told, Some("c")).as_deref(), Some("a b c"));
        assert_eq!(schemas(&[], &told, None), None, "the default of now is not known");
        assert_eq!(schemas(&[], &[], Some("c")), None, "no server has told");
        assert_eq!(schemas(&[("search_path", "d")], &[], None).as_deref(), Some("d"));
        assert_eq!(schemas(&[("search_path", "\"$user\"")], &[], None), None);
    }

    #[test]
    fn what_no_server_has_any_more_counts_no_longer() {
        let all = Beginnings::default();
        let (one, new) = all.learn(Some(beginning("a", "x")));
        assert!(new);
        let (_same, new) = all.learn(Some(beginning("a", "x")));
        assert!(!new);
        let (untold, new) = all.learn(None);
        assert!(new);
        let before = all.changes();
        assert_eq!(all.all().len(), 2);
        drop(one);
        assert_eq!(all.all().len(), 2, "one has it still");
        drop(untold);
        assert_eq!((all.all().len(), all.changes()), (1, before + 1));
    }
}

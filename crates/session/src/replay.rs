//! The text that gives a server the settings of a client.

use trunkline_sql::{Parameter, Value, quote, settings};

use crate::{
    date_style,
    setting::{Setting, SettingSet, is_identity},
};

/// The statements that bring a server from one set to another.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// The text of one simple query; empty when the sets are equal.
    pub text: Vec<u8>,
    /// Whether one of its statements may fail, so that its reply must be awaited before the client's bytes go.
    pub uncertain: bool,
    /// The names it touches, for the hint of an error.
    pub names: Vec<Box<[u8]>>,
    /// Where its statements end in the text, behind their semicolons.
    ends: Vec<usize>,
    /// Until the end of the transaction only.
    local: bool,
}

impl Replay {
    /// Compares two sets. Order: back to defaults first, then session authorization, role, the rest. A reported setting
    /// that both have goes back to its default first if it would be told of in another order than the client's.
    pub fn between(server: &SettingSet, wanted: &SettingSet) -> Self {
        Self::default().compare(server, wanted)
    }

    /// As [`Self::between`], until the end of the transaction only.
    pub(crate) fn local(server: &SettingSet, wanted: &SettingSet) -> Self {
        Self { local: true, ..Self::default() }.compare(server, wanted)
    }

    /// Its statements, without semicolons.
    pub(crate) fn statements(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .filter_map(|(start, end)| self.text.get(start..end.saturating_sub(1)))
    }

    fn compare(self, server: &SettingSet, wanted: &SettingSet) -> Self {
        let mut replay = self;
        let moved = if replay.local { &[] } else { moved(server, wanted) };
        let again = |name: &[u8]| moved.iter().any(|entry| *entry.name == *name);
        for name in [b"role".as_slice(), b"session_authorization"] {
            if server.get(name).is_some() && wanted.get(name).is_none() {
                replay.reset(name);
            }
        }
        for entry in server.iter() {
            let value = wanted.get(&entry.name);
            // What the value leaves open is the default's, and not what is there.
            let half = *entry.name == *date_style::NAME && value != Some(&entry.value);
            let goes = value.is_none() || half || again(&entry.name);
            if !is_identity(&entry.name) && goes {
                replay.reset(&entry.name);
            }
        }
        let switched = server.get(b"session_authorization") != wanted.get(b"session_authorization");
        if switched && let Some(value) = wanted.get(b"session_authorization") {
            replay.set(b"session_authorization", value);
        }
        // A switch of the session's user takes the role back to none, so the role is set again after it.
        if let Some(value) = wanted.get(b"role")
            && (switched || server.get(b"role") != Some(value))
        {
            replay.set(b"role", value);
        }
        for entry in wanted.iter() {
            let comes = server.get(&entry.name) != Some(&entry.value) || again(&entry.name);
            if !is_identity(&entry.name) && comes {
                replay.set(&entry.name, &entry.value);
            }
        }
        replay
    }

    fn reset(&mut self, name: &[u8]) {
        let parameter = Parameter::named(name);
        if self.local {
            quote::write_default_local(&mut self.text, &parameter);
        } else {
            quote::write_reset(&mut self.text, &parameter);
        }
        self.touch(name);
    }

    fn set(&mut self, name: &[u8], value: &Value) {
        let parameter = Parameter::named(name);
        if self.local {
            quote::write_set_local(&mut self.text, &parameter, value);
        } else {
            quote::write_set(&mut self.text, &parameter, value);
        }
        self.touch(name);
    }

    fn touch(&mut self, name: &[u8]) {
        self.text.push(b';');
        self.ends.push(self.text.len());
        self.uncertain |= !settings::is_certain(name);
        self.names.push(name.into());
    }
}

/// The reported settings of `wanted` that must be made, or made once more, so that all are in its order. Those with which
/// it begins can stay if the server has them one behind the other, whatever it has between them.
fn moved<'a>(server: &SettingSet, wanted: &'a SettingSet) -> &'a [Setting] {
    let mut there = server.reported().iter();
    let found = |entry: &&Setting| there.any(|other| other.name == entry.name);
    let stay = wanted.reported().iter().take_while(found).count();
    wanted.reported().get(stay..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::tests::set;

    fn replayed(from: &SettingSet, to: &SettingSet) -> String {
        String::from_utf8(Replay::between(from, to).text).unwrap()
    }

    #[test]
    fn reported_settings_are_told_of_in_the_order_in_which_they_were_made() {
        let one = set(&[("timezone", "a"), ("datestyle", "b"), ("work_mem", "c")]);
        let other = set(&[("work_mem", "c"), ("datestyle", "b"), ("timezone", "a")]);
        assert_ne!(one, other);
        assert_eq!(one.environment(), other.environment());
        let (zone, style) = (r#"SET "timezone" TO a;"#, r#"SET "datestyle" TO b;"#);
        let memory = r#"SET "work_mem" TO c;"#;
        assert_eq!(replayed(&SettingSet::default(), &one), [zone, style, memory].concat());
        assert_eq!(replayed(&other, &one), [r#"RESET "datestyle";"#, style].concat());
        assert_eq!(replayed(&one, &one), "");
    }

    #[test]
    fn a_reported_setting_stays_where_it_is_in_its_place() {
        let there = set(&[("intervalstyle", "x"), ("timezone", "a"), ("application_name", "n")]);
        let wanted = set(&[("timezone", "b"), ("search_path", "s"), ("application_name", "n")]);
        let expected = [
            r#"RESET "intervalstyle";RESET "application_name";"#,
            r#"SET "timezone" TO b;SET "search_path" TO s;SET "application_name" TO n;"#,
        ];
        assert_eq!(replayed(&there, &wanted), expected.concat());
        let mut changed = there.clone();
        changed.set(b"intervalstyle", Value::Written(b"y".as_slice().into()));
        assert_eq!(replayed(&there, &changed), r#"SET "intervalstyle" TO y;"#);
        changed.remove(b"timezone");
        changed.set(b"timezone", Value::Written(b"a".as_slice().into()));
        let expected = r#"RESET "timezone";SET "intervalstyle" TO y;SET "timezone" TO a;"#;
        assert_eq!(replayed(&there, &changed), expected);
    }

    #[test]
    fn a_date_style_is_not_mixed_with_the_one_that_is_there() {
        let (one, other) = (set(&[("datestyle", "german")]), set(&[("datestyle", "sql")]));
        assert_eq!(replayed(&one, &other), r#"RESET "datestyle";SET "datestyle" TO sql;"#);
        assert_eq!(
            Replay::local(&one, &other).text,
            br#"SET LOCAL "datestyle" TO DEFAULT;SET LOCAL "datestyle" TO sql;"#
        );
        assert_eq!(replayed(&one, &one), "");
    }

    #[test]
    fn until_the_end_of_a_transaction_the_order_is_left_alone() {
        let (one, other) =
            (set(&[("timezone", "a")]), set(&[("datestyle", "b"), ("timezone", "a")]));
        assert_eq!(Replay::local(&one, &other).text, br#"SET LOCAL "datestyle" TO b;"#);
    }

    #[test]
    fn a_local_replay_has_its_statements_one_by_one() {
        let (from, to) =
            (set(&[("role", "a"), ("timezone", "'x;y'")]), set(&[("timezone", "'z'")]));
        let replay = Replay::local(&from, &to);
        let there: Vec<_> = replay.statements().map(String::from_utf8_lossy).collect();
        assert_eq!(there, ["SET LOCAL \"role\" TO DEFAULT", "SET LOCAL \"timezone\" TO 'z'"]);
        assert_eq!(Replay::local(&to, &to).statements().count(), 0);
    }
}

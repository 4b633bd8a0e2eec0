//! What a statement leaves behind with the values that a Bind message, or an `EXECUTE`, gives it.

use trunkline_sql::Value;

use crate::{
    change::{Change, Look},
    effect::Effects,
};

impl Effects {
    /// The same with the values of a Bind message; `rest` is what follows its names.
    #[must_use]
    #[inline]
    pub(crate) fn bound(self, rest: &[u8]) -> Self {
        match &self {
            Self::None | Self::Transaction(_) => self,
            Self::Many(changes) => Self::with_values(changes, rest).unwrap_or(self),
        }
    }

    /// The changes with the values of a Bind message; none if they need none.
    fn with_values(changes: &[(usize, Change)], rest: &[u8]) -> Option<Self> {
        if !changes.iter().any(|(_, change)| matches!(change, Change::SetBound { .. })) {
            return None;
        }
        let value = |number| bound_value(rest, number).map(|value| Value::Literal(value.into()));
        let known = changes.iter().map(|(place, change)| (*place, change.with_value(value)));
        Some(Self::Many(known.collect()))
    }
}

impl Change {
    /// The same with the value of the parameter that it sets something to; by its number, from 1, and none if it is not
    /// known, or NULL.
    pub(crate) fn with_value(&self, value_of: impl FnOnce(u16) -> Option<Value>) -> Self {
        let Self::SetBound { name, number, local } = self else { return self.clone() };
        match (value_of(*number), local) {
            (Some(value), false) => Self::Set(name.clone(), value),
            (Some(value), true) => Self::SetLocal(name.clone(), Some(value)),
            (None, false) => Self::Look(Look::Computed(name.clone())),
            (None, true) => Self::SetLocalUnknown,
        }
    }
}

/// The value of a parameter in what follows the names of a Bind message (manual, message formats, Bind): as text, and
/// as binary too, a text is its bytes. None for NULL, and if there is no such parameter.
fn bound_value(rest: &[u8], number: u16) -> Option<&[u8]> {
    let (formats, rest) = rest.split_first_chunk::<2>()?;
    let rest = rest.get(usize::from(u16::from_be_bytes(*formats)).checked_mul(2)?..)?;
    let (values, mut rest) = rest.split_first_chunk::<2>()?;
    for place in 1..=u16::from_be_bytes(*values) {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        let value = usize::try_from(length).ok().map(|length| behind.get(..length));
        if place == number {
            return value?;
        }
        rest = match value {
            Some(value) => behind.get(value?.len()..)?,
            None => behind,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows the names in a Bind with these values.
    fn rest(values: &[Option<&str>]) -> Vec<u8> {
        let mut rest = vec![0, 1, 0, 1, 0, u8::try_from(values.len()).unwrap()];
        for value in values {
            let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
            rest.extend_from_slice(&length.to_be_bytes());
            rest.extend_from_slice(value.unwrap_or_default().as_bytes());
        }
        rest
    }

    #[test]
    fn a_bound_value_is_found_behind_others_and_behind_null() {
        let rest = rest(&[Some("a"), None, Some("off"), Some("")]);
        assert_eq!(bound_value(&rest, 1), Some(b"a".as_slice()));
        assert_eq!(bound_value(&rest, 2), None);
        assert_eq!(bound_value(&rest, 3), Some(b"off".as_slice()));
        assert_eq!(bound_value(&rest, 4), Some(b"".as_slice()));
        assert_eq!(bound_value(&rest, 5), None);
        for end in 0..rest.len() {
            assert_eq!(bound_value(&rest[..end], 4), None, "cut at {end}");
        }
    }

    #[test]
    fn a_setting_from_a_parameter_is_known_once_it_is_bound() {
        let text = b"SELECT set_config('jit', $2::text, false)";
        let effects = Effects::of(&trunkline_sql::scan(text, trunkline_sql::Rules::default()));
        assert!(!effects.touches_environment(), "it changes nothing that is folded in");
        let only = |effects: Effects| match effects {
            Effects::Many(changes) => changes.iter().map(|(_, change)| change.clone()).collect(),
            _ => Vec::new(),
        };
        let jit = Change::Set(b"jit".as_slice().into(), Value::Literal(b"on".as_slice().into()));
        assert_eq!(only(effects.clone().bound(&rest(&[None, Some("on")]))), [jit]);
        let asked = [Change::Look(Look::Computed(b"jit".as_slice().into()))];
        assert_eq!(only(effects.clone().bound(&rest(&[Some("on"), None]))), asked);
        assert_eq!(only(effects.bound(b"")), asked);
    }

    #[test]
    fn what_a_transaction_sets_for_itself_is_followed_if_statements_are_parsed_under_it() {
        let of = |text: &str| {
            Effects::of(&trunkline_sql::scan(text.as_bytes(), trunkline_sql::Rules::default()))
        };
        assert!(of("SET LOCAL work_mem TO '1MB'").is_none());
        let placeholder = of("SELECT set_config('app.x', $1, true)");
        assert!(!placeholder.is_none() && !placeholder.touches_environment());
        for text in [
            "SET LOCAL search_path TO a",
            "SET LOCAL timezone TO DEFAULT",
            "SELECT set_config('role', $1, true)",
            "SELECT set_config($1, $2, true)",
        ] {
            assert!(of(text).touches_environment(), "{text}");
        }
    }
}

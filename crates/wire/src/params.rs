//! The settings a server reports by `ParameterStatus`.

use bytes::BytesMut;

use crate::backend::parameter_status;

/// Most settings kept. PostgreSQL 18 reports 15; extensions may mark more (`GUC_REPORT`), few do. What
/// comes after that many is not kept, so that a peer cannot grow the list without bound.
pub const MAX_REPORTED: usize = 64;

/// Most bytes kept of one name and value together. `search_path` is the longest in practice.
pub const MAX_REPORTED_BYTES: usize = 8192;

/// Why a reported setting was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReportedError {
    /// There are [`MAX_REPORTED`] already.
    #[error("too many reported settings")]
    TooMany,
    /// Name and value are longer than [`MAX_REPORTED_BYTES`].
    #[error("reported setting too long")]
    TooLong,
}

/// Name and value.
type Entry = (Box<[u8]>, Box<[u8]>);

/// Reported settings and their values, in the order in which the server first told them.
///
/// Names are compared byte by byte: a server always spells a setting the same way.
#[derive(Debug, Clone, Default)]
pub struct Reported {
    /// Each name once; at most [`MAX_REPORTED`].
    entries: Vec<Entry>,
}

/// Equal when the same names have the same values, in whatever order they were told.
impl PartialEq for Reported {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

impl Eq for Reported {}

impl Reported {
    /// No settings at all.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// The value of `name`.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.entries.iter().find(|(found, _)| **found == *name).map(|(_, value)| &**value)
    }

    /// Keeps `value` for `name`, and says whether it is news. Allocates only if so.
    ///
    /// # Errors
    /// When a limit would be passed; what was kept before stays.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<bool, ReportedError> {
        if name.len().saturating_add(value.len()) > MAX_REPORTED_BYTES {
            return Err(ReportedError::TooLong);
        }
        if let Some((_, kept)) = self.entries.iter_mut().find(|(found, _)| **found == *name) {
            let news = **kept != *value;
            if news {
                *kept = value.into();
            }
            return Ok(news);
        }
        if self.entries.len() >= MAX_REPORTED {
            return Err(ReportedError::TooMany);
        }
        self.entries.push((name.into(), value.into()));
        Ok(true)
    }

    /// Forgets `name`.
    pub fn remove(&mut self, name: &[u8]) {
        self.entries.retain(|(found, _)| **found != *name);
    }

    /// Names and values, in the order in which they were first told.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.entries.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What must be told to someone who knows `self` so that they know `wanted`: names whose value in
    /// `wanted` is another one or is new. Names missing in `wanted` cannot be told and are skipped.
    pub fn diff<'w>(
        &self,
        wanted: &'w Self,
    ) -> impl Iterator<Item = (&'w [u8], &'w [u8])> + use<'w, '_> {
        wanted.iter().filter(|(name, value)| self.get(name) != Some(*value))
    }

    /// Appends one `ParameterStatus` for each setting.
    pub fn write(&self, out: &mut BytesMut) {
        for (name, value) in self.iter() {
            parameter_status(out, name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(pairs: &[(&str, &str)]) -> Reported {
        let mut reported = Reported::new();
        for (name, value) in pairs {
            reported.set(name.as_bytes(), value.as_bytes()).unwrap();
        }
        reported
    }

    #[test]
    fn setting_the_same_value_again_is_no_news() {
        let mut settings = reported(&[("TimeZone", "UTC")]);
        assert_eq!(settings.set(b"TimeZone", b"UTC"), Ok(false));
        assert_eq!(settings.set(b"TimeZone", b"Asia/Tokyo"), Ok(true));
        assert_eq!(settings.get(b"TimeZone"), Some(&b"Asia/Tokyo"[..]));
        assert_eq!(settings.len(), 1);
    }

    #[test]
    fn order_of_arrival_does_not_matter_for_equality() {
        assert_eq!(reported(&[("a", "1"), ("b", "2")]), reported(&[("b", "2"), ("a", "1")]));
    }

    #[test]
    fn the_difference_holds_what_is_new_or_changed_and_nothing_else() {
        let known = reported(&[("a", "1"), ("b", "2"), ("only_here", "x"), ("z", "9")]);
        let wanted = reported(&[("a", "1"), ("b", "3"), ("c", "4"), ("z", "9")]);
        let told: Vec<_> = known.diff(&wanted).collect();
        assert_eq!(told, [(&b"b"[..], &b"3"[..]), (b"c", b"4")]);
        assert_eq!(wanted.diff(&wanted).count(), 0);
        assert_eq!(Reported::new().diff(&wanted).count(), 4);
    }

    #[test]
    fn limits_hold_and_leave_what_was_there() {
        let mut settings = Reported::new();
        for n in 0..MAX_REPORTED {
            assert_eq!(settings.set(format!("p{n}").as_bytes(), b"v"), Ok(true));
        }
        assert_eq!(settings.set(b"one more", b"v"), Err(ReportedError::TooMany));
        assert_eq!(settings.set(b"p0", b"changed"), Ok(true));
        assert_eq!(settings.set(b"p0", &[b'v'; MAX_REPORTED_BYTES]), Err(ReportedError::TooLong));
        assert_eq!(settings.get(b"p0"), Some(&b"changed"[..]));
        settings.remove(b"p0");
        assert_eq!(settings.get(b"p0"), None);
        assert_eq!(settings.len(), MAX_REPORTED - 1);
    }
}

//! `idle_session_timeout`: what a client has set is kept by whoever holds its connection while it is idle. That is a server
//! only as long as the client keeps one; a server that nobody uses would end itself.

use std::{sync::Arc, time::Duration};

use trunkline_sql::Value;

use crate::{client::ClientSession, server::ServerSession, setting::SettingSet};

/// The name of the setting.
pub const IDLE_SESSION_TIMEOUT: &str = "idle_session_timeout";

/// What brings a server back to its own value, which is none.
const LIFT: &[u8] = b"RESET idle_session_timeout";

/// What a set says of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum IdleLimit {
    /// Nothing.
    #[default]
    None,
    /// A value that cannot be told from its text, and is the server's to keep.
    Unknown,
    /// So many milliseconds; 0 for no limit.
    Of(u32),
}

impl IdleLimit {
    /// What this value means.
    pub(crate) fn of(value: Option<&Value>) -> Self {
        let Some(value) = value else { return Self::None };
        let text = match value {
            Value::Literal(text) => Some(&**text),
            Value::Written(text) => unquoted(text),
            Value::TimeZone(_) => None,
        };
        text.and_then(milliseconds).map_or(Self::Unknown, Self::Of)
    }

    /// Whether a server with this value might end itself while nobody uses it.
    #[inline]
    fn is_limit(self) -> bool {
        !matches!(self, Self::None | Self::Of(0))
    }
}

/// A constant without quotes inside, or what needs none.
pub(crate) fn unquoted(text: &[u8]) -> Option<&[u8]> {
    let inner = match text.strip_prefix(b"'") {
        Some(rest) => rest.strip_suffix(b"'")?,
        None => text,
    };
    (!inner.iter().any(|byte| matches!(byte, b'\'' | b'\\' | b'$'))).then_some(inner)
}

/// As PostgreSQL reads a time (`parse_int` in `guc.c`), but for hexadecimal and octal numbers: a number, which may have a
/// fraction, and a unit.
fn milliseconds(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at_checked(digits)?;
    let octal = number.len() > 1 && number.starts_with('0') && !number.contains('.');
    // How many milliseconds a unit has, and to what part of one a value that has a unit is rounded: the next smaller unit.
    let (factor, part) = match unit.trim_ascii_start() {
        "" => (1.0, None),
        "us" => (0.001, None),
        "ms" => (1.0, Some(0.001)),
        "s" => (1_000.0, Some(1.0)),
        "min" => (60_000.0, Some(1_000.0)),
        "h" => (3_600_000.0, Some(60_000.0)),
        "d" => (86_400_000.0, Some(3_600_000.0)),
        _ => return None,
    };
    let exact = number.parse::<f64>().ok().filter(|_| !octal)? * factor;
    let value = part.map_or(exact, |part| (exact / part).round_ties_even() * part);
    let value = value.round_ties_even();
    if value > f64::from(i32::MAX) {
        return None;
    }
    // Whole, and neither negative nor too large.
    format!("{value:.0}").parse().ok()
}

/// How long a session may be idle by such a text; none if it cannot be told.
pub fn idle_limit(text: &str) -> Option<Duration> {
    milliseconds(text.as_bytes()).map(|ms| Duration::from_millis(ms.into()))
}

impl ClientSession {
    /// Whether the client has limited how long it may be idle.
    #[inline]
    pub fn limits_idleness(&self) -> bool {
        self.settings.current().idle_limit().is_limit()
    }

    /// How long it may be idle between transactions; 0 for any time.
    pub fn idle_limit(&self) -> Duration {
        match self.settings.current().idle_limit() {
            IdleLimit::Of(ms) => Duration::from_millis(ms.into()),
            IdleLimit::None | IdleLimit::Unknown => Duration::ZERO,
        }
    }
}

impl ServerSession {
    /// Whether it would end itself after a while if nobody used it.
    #[inline]
    pub fn limits_idleness(&self) -> bool {
        self.applied.idle_limit().is_limit()
    }

    /// The text that keeps it from that; it counts as carried out, and if it fails the connection is of no use.
    pub fn lift_idle_limit(&mut self) -> &'static [u8] {
        SettingSet::remove(Arc::make_mut(&mut self.applied), IDLE_SESSION_TIMEOUT.as_bytes());
        LIFT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> IdleLimit {
        IdleLimit::of(Some(&Value::Written(text.as_bytes().into())))
    }

    #[test]
    fn a_value_is_read_as_postgresql_reads_it() {
        for (text, ms) in [
            ("'1s'", 1_000),
            ("1500", 1_500),
            ("'1.5 min '", 90_000),
            ("' 2h'", 7_200_000),
            ("'1500us'", 2),
            ("'2500us'", 2),
            ("2.5", 2),
            ("'2.5ms'", 2),
            ("'1.00001min'", 60_000),
            ("'0.0001h'", 0),
            ("0", 0),
            ("'24d'", 2_073_600_000),
        ] {
            assert_eq!(written(text), IdleLimit::Of(ms), "{text}");
        }
        let unknown = [
            "'25d'", "-1", "'1 S'", "010", "'010'", "0x10", "'0x3e8'", "'1e3'", "E'1s'", "$$1s$$",
            "'1''s'", "''", "s",
        ];
        for text in unknown {
            assert_eq!(written(text), IdleLimit::Unknown, "{text}");
        }
    }

    #[test]
    fn a_set_follows_its_value() {
        let mut set = SettingSet::default();
        assert_eq!(set.idle_limit(), IdleLimit::None);
        set.set(IDLE_SESSION_TIMEOUT.as_bytes(), Value::Literal(b"5s".as_slice().into()));
        assert_eq!(set.idle_limit(), IdleLimit::Of(5_000));
        set.remove(IDLE_SESSION_TIMEOUT.as_bytes());
        assert_eq!(set, SettingSet::default());
    }
}

//! Places in the write-ahead log.

use std::fmt;
use std::str::FromStr;

/// A place in the write-ahead log (PostgreSQL's `pg_lsn`): bytes since its beginning. Of two places the later one is
/// greater, as long as they are in the log of one timeline history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// How many bytes `earlier` lies behind; none if it does not.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A text that is no place in the write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnLsn;

impl FromStr for Lsn {
    type Err = NotAnLsn;

    /// Reads PostgreSQL's text form, `16/B374D848`.
    fn from_str(text: &str) -> Result<Self, NotAnLsn> {
        let half = |text: &str| {
            let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let number = u32::from_str_radix(text, 16);
            number.ok().filter(|_| is_hex).ok_or(NotAnLsn)
        };
        let (high, low) = text.split_once('/').ok_or(NotAnLsn)?;
        Ok(Self(u64::from(half(high)?) << 32 | u64::from(half(low)?)))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & u64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_read_and_written_as_postgresql_does() {
        for (text, number) in
            [("0/0", 0), ("16/B374D848", 0x16_B374_D848), ("FFFFFFFF/FFFFFFFF", u64::MAX)]
        {
            assert_eq!(text.parse(), Ok(Lsn(number)));
            assert_eq!(Lsn(number).to_string(), text);
        }
        // Later versions write zeros in front.
        assert_eq!("0/0000ABCD".parse(), Ok(Lsn(0xABCD)));
        for wrong in
            ["", "0", "/", "0/", "/0", "+1/0", "0/+1", "1/123456789", "x/0", "0/0/0", " 0/0"]
        {
            assert_eq!(wrong.parse::<Lsn>(), Err(NotAnLsn), "{wrong:?}");
        }
    }
}

//! Eight bytes of a text at once, the first one lowest.
//!
//! Answers about single bytes are numbers in which the high bit of a byte says yes, and nothing else is set.

/// This byte, eight times.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

const HIGH: u64 = each(0x80);
const LOW: u64 = each(0x7f);

/// Which bytes are this one. It is below 0x80.
#[inline]
pub(super) const fn equal(eight: u64, byte: u8) -> u64 {
    let differs = eight ^ each(byte);
    !(((differs & LOW) + LOW) | differs) & HIGH
}

/// Not 0 if one of the bytes is.
#[inline]
pub(super) const fn zeros(eight: u64) -> u64 {
    eight.wrapping_sub(each(1)) & !eight & HIGH
}

/// No byte is 0 of those from the first marked one on, and all others are; 0 if none is marked.
#[inline]
pub(super) const fn behind(marked: u64) -> u64 {
    (marked & marked.wrapping_neg()).wrapping_neg()
}

/// The bytes before the first one of those that are marked, and their number; all eight if none is.
#[inline]
pub(super) fn before(eight: u64, marked: u64) -> (u64, usize) {
    let bits = marked.trailing_zeros() & !7;
    let kept = 1_u64.checked_shl(bits).map_or(u64::MAX, |bit| bit - 1);
    (eight & kept, usize::try_from(bits / 8).unwrap_or_default())
}

/// The first bytes, fewer than eight.
#[inline]
pub(super) fn first(eight: u64, length: usize) -> u64 {
    eight & !u64::MAX.checked_shl(u32::try_from(8 * length).unwrap_or(64)).unwrap_or(0)
}

/// Eight bytes of a word with its letters in lower case: as they are if there are others than of ASCII among them, which
/// tells them apart from all that are not. See [`pack`](crate::atoms::pack).
#[inline]
pub(super) const fn folded(eight: u64) -> u64 {
    if eight & HIGH == 0 { eight | each(0x20) } else { eight }
}

/// As [`folded`], for fewer bytes.
#[inline]
pub(super) fn folded_tail(tail: u64, length: usize) -> u64 {
    if tail & HIGH == 0 { tail | first(each(0x20), length) } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_told_at_every_place_whatever_stands_beside_it() {
        for byte in 0..=u8::MAX {
            for beside in [0, b'a', b'_', b'~', 0x80, 0xff] {
                for place in 0..8 {
                    let mut eight = [beside; 8];
                    eight[place] = byte;
                    for wanted in [0, b'\'', b'"', 0x7f] {
                        let told = equal(u64::from_le_bytes(eight), wanted).to_le_bytes();
                        let expected = eight.map(|byte| if byte == wanted { 0x80 } else { 0 });
                        assert_eq!(told, expected, "{byte:#x} beside {beside:#x}, {wanted:#x}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_zero_counts_before_the_first_mark_only() {
        for (text, expected) in [
            (b"abc\" \0\0\0", false),
            (b"a\0c\" \0\0\0", true),
            (b"\x01\x80abcd\"\0", false),
            (b"\0\"abcdef", true),
            (b"abcdefg\0", true),
            (b"abcdefgh", false),
        ] {
            let eight = u64::from_le_bytes(*text);
            let quotes = equal(eight, b'"');
            let before = before(eight, quotes).0;
            assert_eq!(zeros(before | behind(quotes)) != 0, expected, "{text:?}");
        }
    }

    #[test]
    fn what_stands_before_is_kept() {
        let eight = u64::from_le_bytes(*b"abc def ");
        let spaces = equal(eight, b' ');
        assert_eq!(before(eight, spaces), (u64::from_le_bytes(*b"abc\0\0\0\0\0"), 3));
        assert_eq!(before(eight, 0), (eight, 8));
        assert_eq!(first(eight, 2), u64::from_le_bytes(*b"ab\0\0\0\0\0\0"));
        assert_eq!(first(eight, 0), 0);
        assert_eq!(first(eight, 8), eight);
        assert_eq!(folded(u64::from_le_bytes(*b"ABC_ef$1")).to_le_bytes(), *b"abc\x7fef$1");
        assert_eq!(
            folded_tail(u64::from_le_bytes(*b"AB\0\0\0\0\0\0"), 2).to_le_bytes(),
            *b"ab\0\0\0\0\0\0"
        );
    }
}

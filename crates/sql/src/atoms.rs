//! The classes of bytes that PostgreSQL's lexer knows (`scan.l`).

/// Bits of a class of bytes.
const SPACE: u8 = 1;
const WORD_START: u8 = 1 << 1;
const WORD: u8 = 1 << 2;

/// The classes that each byte belongs to.
static CLASSES: [u8; 256] = classes();

#[expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated by the compiler, which refuses what does not fit"
)]
const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = match byte as u8 {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => SPACE,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => WORD_START | WORD,
            b'0'..=b'9' | b'$' => WORD,
            _ => 0,
        };
        byte += 1;
    }
    classes
}

#[expect(clippy::indexing_slicing, reason = "the table has a place for every byte")]
#[inline]
fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// White space. The vertical tab is one only since PostgreSQL 16; before, it is a syntax error anyway.
#[inline]
pub(crate) fn is_space(byte: u8) -> bool {
    is(byte, SPACE)
}

/// What ends a `--` comment, and what lets a string go on in the next line.
#[inline]
pub(crate) fn ends_line(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// What an unquoted identifier may begin with: every byte with its high bit set counts as a letter.
#[inline]
pub(crate) fn starts_word(byte: u8) -> bool {
    is(byte, WORD_START)
}

/// What an unquoted identifier may go on with.
#[inline]
pub(crate) fn is_word(byte: u8) -> bool {
    is(byte, WORD)
}

/// The letters of a word of at most eight bytes, in lower case, as one number: two words are the same keyword exactly
/// if their numbers are equal. Longer words give 0, which no word of word bytes gives.
///
/// Setting bit 5 lowers letters, keeps digits and `$`, and maps `_` to a byte that no ASCII word holds.
#[inline]
pub(crate) const fn pack(word: &[u8]) -> u64 {
    if word.len() > 8 {
        return 0;
    }
    if let (Some(head), Some(tail)) = (word.first_chunk::<4>(), word.last_chunk::<4>()) {
        // The two overlap in words of less than eight bytes; what they share is the same in both.
        let head = wide(u32::from_be_bytes(*head) | 0x2020_2020);
        let tail = wide(u32::from_be_bytes(*tail) | 0x2020_2020);
        return head << (8 * (word.len() - 4)) | tail;
    }
    let mut packed = 0;
    let mut rest = word;
    while let [byte, more @ ..] = rest {
        packed = packed << 8 | wide(u32::from_be_bytes([0, 0, 0, *byte | 0x20]));
        rest = more;
    }
    packed
}

#[expect(
    clippy::as_conversions,
    reason = "`u64::from` cannot be called in a const function; u32 widens losslessly"
)]
const fn wide(word: u32) -> u64 {
    word as u64
}

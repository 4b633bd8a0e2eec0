//! What a fuzzer calls.

use crate::lexer::Rules;
use crate::scanner::Scanner;

/// Scans any bytes, whole and in pieces, under all rules. The first byte chooses where the text is cut.
///
/// # Panics
/// If the answer depends on where the text is cut.
pub fn scan(data: &[u8]) {
    let (cut, text) =
        data.split_first().map_or((1, data), |(first, rest)| (usize::from(*first).max(1), rest));
    for (standard_conforming_strings, ascii_in_characters) in
        [(true, false), (false, false), (true, true)]
    {
        let rules = Rules { standard_conforming_strings, ascii_in_characters };
        let whole = crate::scan(text, rules);
        for size in [cut, 1, 7] {
            let mut scanner = Scanner::new(rules);
            for piece in text.chunks(size) {
                scanner.feed(piece);
            }
            assert_eq!(scanner.finish(), whole, "cut every {size} bytes");
        }
    }
}

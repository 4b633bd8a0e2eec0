//! What a fuzzer calls.

use crate::access::cache::{Cache, Limits};
use crate::access::{Class, Secret, access as judge, shape};
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

/// Judges any bytes, under all rules, by themselves and through a cache that has seen them in other dress.
///
/// # Panics
/// If a text that does not read names anything, or if a cache says otherwise than a judgement does.
pub fn access(data: &[u8]) {
    let secret = Secret::new([1; 16]);
    let mut cache = Cache::<()>::new(Limits { texts: 8, bytes: 64 * 1024 }, &secret);
    for (standard_conforming_strings, ascii_in_characters) in
        [(true, false), (false, false), (true, true)]
    {
        let rules = Rules { standard_conforming_strings, ascii_in_characters };
        let judged = judge(data, rules);
        let names = judged.relations.len() + judged.calls.len();
        assert!(names == 0 || judged.class == Class::Read, "names of what is no read");
        // The same with all its constants longer, which is of the same shape if it has one.
        let longer: Vec<u8> = data
            .iter()
            .flat_map(|byte| std::iter::repeat_n(*byte, if *byte == b'1' { 2 } else { 1 }))
            .collect();
        let alike = shape(data, rules, &secret) == shape(&longer, rules, &secret);
        for text in [&longer, data, &longer, data] {
            let found = cache.entry(text, rules).0.access().clone();
            assert_eq!(found, judge(text, rules), "from the cache");
        }
        if alike && shape(data, rules, &secret).is_some() && !judged.depends_on_literal {
            assert_eq!(judge(&longer, rules), judged, "of one shape");
        }
    }
}

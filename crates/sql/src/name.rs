//! Names as PostgreSQL folds them: lower case unless quoted, cut to 63 bytes.

use std::fmt;

/// `NAMEDATALEN - 1`: PostgreSQL cuts longer identifiers, with a notice.
pub(crate) const NAME_LIMIT: usize = 63;

/// An identifier as PostgreSQL compares it, or the name of a setting. Not always UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// A name of these very bytes, neither folded nor cut.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The name of a setting: settings are found without regard to case.
    pub fn of_setting(bytes: &[u8]) -> Self {
        Self(bytes.to_ascii_lowercase().into())
    }

    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// An unquoted identifier: ASCII letters in lower case, cut.
    pub(crate) fn from_word(word: &[u8]) -> Self {
        Self(cut(word).to_ascii_lowercase().into())
    }

    /// A quoted identifier with its quotes: `""` inside stands for one quote; cut.
    pub(crate) fn from_quoted(quoted: &[u8]) -> Self {
        Self(cut(&unquote(quoted)).into())
    }

    /// A `U&"…"` identifier. Nothing if it holds an escape: what it names then depends on `UESCAPE` and on the
    /// server's encoding.
    pub(crate) fn from_unicode_quoted(quoted: &[u8]) -> Option<Self> {
        let quoted = quoted.get(2..)?;
        if quoted.contains(&b'\\') { None } else { Some(Self::from_quoted(quoted)) }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(&self.0), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

/// The first 63 bytes, fewer if that would cut a UTF-8 character in two (`pg_mbcliplen`).
pub(crate) fn cut(bytes: &[u8]) -> &[u8] {
    if bytes.len() <= NAME_LIMIT {
        return bytes;
    }
    let mut length = NAME_LIMIT;
    if std::str::from_utf8(bytes.get(..bytes.len().min(NAME_LIMIT + 4)).unwrap_or_default())
        .map_or_else(|error| error.valid_up_to() >= NAME_LIMIT - 3, |_| true)
    {
        while length > NAME_LIMIT - 3 && bytes.get(length).is_some_and(|byte| byte & 0xc0 == 0x80) {
            length -= 1;
        }
    }
    bytes.get(..length).unwrap_or(bytes)
}

/// The inside of `"…"`, doubled quotes made single. An end quote that is missing is not missed.
fn unquote(quoted: &[u8]) -> Vec<u8> {
    let inside = quoted.strip_prefix(b"\"").unwrap_or(quoted);
    let inside = inside.strip_suffix(b"\"").unwrap_or(inside);
    let mut name = Vec::with_capacity(inside.len());
    let mut bytes = inside.iter();
    while let Some(byte) = bytes.next() {
        name.push(*byte);
        if *byte == b'"' {
            bytes.next();
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_quoted_names_are_kept() {
        assert_eq!(Name::from_word(b"FooBar").as_bytes(), b"foobar");
        assert_eq!(Name::from_quoted(b"\"Foo\"\"Bar\"").as_bytes(), b"Foo\"Bar");
        assert_eq!(Name::from_unicode_quoted(b"U&\"Foo\""), Some(Name::new(b"Foo")));
        assert_eq!(Name::from_unicode_quoted(b"U&\"d\\0061t\""), None);
    }

    #[test]
    fn long_names_are_cut_before_the_character_that_crosses_the_limit() {
        assert_eq!(Name::from_word(&[b'A'; 80]).as_bytes(), [b'a'; 63]);
        let mut name = vec![b'a'; 62];
        name.extend_from_slice("é".as_bytes());
        assert_eq!(Name::from_word(&name).as_bytes(), [b'a'; 62]);
        let mut name = vec![b'a'; 61];
        name.extend_from_slice("éx".as_bytes());
        assert_eq!(Name::from_word(&name).as_bytes(), &name[..63]);
        let latin1 = [0xe9; 70];
        assert_eq!(Name::from_word(&latin1).as_bytes().len(), 63);
    }
}

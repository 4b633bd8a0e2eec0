//! The word a statement begins with.

use crate::atoms::pack;

macro_rules! keywords {
    ($($variant:ident $text:literal,)*) => {
        /// The word a statement begins with, parentheses left out.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Keyword {
            $(
                #[doc = concat!("`", $text, "`")]
                $variant,
            )*
            /// Any other word, or none.
            #[default]
            Other,
        }

        impl Keyword {
            /// Every keyword, and [`Keyword::Other`] at the end.
            pub const ALL: &[Self] = &[$(Self::$variant,)* Self::Other];

            /// The keyword in upper case; `OTHER` for any other word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other => "OTHER",
                }
            }

            /// The keyword that this word is.
            pub(crate) fn from_word(word: &[u8]) -> Self {
                match pack(word) {
                    0 => Self::from_long_word(word),
                    $(packed if packed == const { pack($text.as_bytes()) } => Self::$variant,)*
                    _ => Self::Other,
                }
            }

            fn from_long_word(word: &[u8]) -> Self {
                $(
                    if word.eq_ignore_ascii_case($text.as_bytes()) {
                        return Self::$variant;
                    }
                )*
                Self::Other
            }
        }
    };
}

keywords! {
    Select "SELECT",
    Insert "INSERT",
    Update "UPDATE",
    Delete "DELETE",
    Begin "BEGIN",
    Commit "COMMIT",
    With "WITH",
    Set "SET",
    Rollback "ROLLBACK",
    Show "SHOW",
    Start "START",
    End "END",
    Abort "ABORT",
    Savepoint "SAVEPOINT",
    Release "RELEASE",
    Values "VALUES",
    Table "TABLE",
    Merge "MERGE",
    Copy "COPY",
    Explain "EXPLAIN",
    Declare "DECLARE",
    Fetch "FETCH",
    Move "MOVE",
    Close "CLOSE",
    Prepare "PREPARE",
    Execute "EXECUTE",
    Deallocate "DEALLOCATE",
    Reset "RESET",
    Discard "DISCARD",
    Listen "LISTEN",
    Unlisten "UNLISTEN",
    Notify "NOTIFY",
    Load "LOAD",
    Do "DO",
    Call "CALL",
    Create "CREATE",
    Alter "ALTER",
    Drop "DROP",
    Truncate "TRUNCATE",
    Lock "LOCK",
    Grant "GRANT",
    Revoke "REVOKE",
    Comment "COMMENT",
    Security "SECURITY",
    Refresh "REFRESH",
    Reindex "REINDEX",
    Cluster "CLUSTER",
    Vacuum "VACUUM",
    Analyze "ANALYZE",
    Analyse "ANALYSE",
    Checkpoint "CHECKPOINT",
    Import "IMPORT",
    Reassign "REASSIGN",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_is_found_in_any_case_and_no_other_word_is() {
        for keyword in Keyword::ALL.iter().filter(|keyword| **keyword != Keyword::Other) {
            assert_eq!(Keyword::from_word(keyword.as_str().as_bytes()), *keyword);
            assert_eq!(Keyword::from_word(keyword.as_str().to_lowercase().as_bytes()), *keyword);
        }
        for word in ["", "selec", "selects", "savepoints", "deallocated", "set_"] {
            assert_eq!(Keyword::from_word(word.as_bytes()), Keyword::Other);
        }
    }
}

//! The classes of texts, and the words that people read for them.

macro_rules! classes {
    ($($(#[doc = $doc:literal])+ $variant:ident $word:literal,)*) => {
        /// What a text is to whoever chooses a server for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Class {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl Class {
            /// Every class.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word for it, in lower case.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

classes! {
    /// No statement: only comments and semicolons.
    Empty "empty",
    /// Nothing but queries, as far as the text shows.
    Read "read",
    /// `INSERT`, `UPDATE`, `DELETE`, `MERGE`, `TRUNCATE`, also explained or copied from.
    Write "write",
    /// A query with a statement that changes data in a `WITH`, at any depth.
    WritingCte "writing cte",
    /// `FOR UPDATE` and its kin, at any depth.
    RowLock "row lock",
    /// `SELECT … INTO`.
    SelectInto "select into",
    /// `CREATE`, `ALTER`, `DROP`, `GRANT` and whatever else changes the catalog.
    Ddl "ddl",
    /// `VACUUM`, `ANALYZE`, `REINDEX`, `CLUSTER`, `CHECKPOINT`.
    Maintenance "maintenance",
    /// `COPY … FROM`.
    CopyIn "copy in",
    /// `COPY … TO` a file or a program of the server.
    CopyToServer "copy to server",
    /// `CALL`.
    Call "call",
    /// `DO`.
    Do "do",
    /// `LOCK TABLE`.
    Lock "lock",
    /// `DECLARE`, `FETCH`, `MOVE`, `CLOSE`.
    Cursor "cursor",
    /// `LISTEN`, `UNLISTEN`, `NOTIFY`.
    Notify "notify",
    /// What is kept in the session: `SET`, `RESET`, `DISCARD`, `LOAD`, `PREPARE`, `EXECUTE`, `DEALLOCATE`.
    Session "session",
    /// `SHOW`.
    Show "show",
    /// What begins, ends and divides transactions, or says how they run.
    Transaction "transaction",
    /// `PREPARE TRANSACTION` and what ends such a transaction.
    TwoPhase "two-phase",
    /// It cannot be read, or two readers do not come to the same.
    NotUnderstood "not understood",
    /// A query above [`TEXT_READ`](super::TEXT_READ) or [`TOKENS_READ`](super::TOKENS_READ).
    TooLong "too long",
    /// It is not UTF-8, or its encoding hides ASCII bytes in characters.
    Encoding "encoding",
    /// `standard_conforming_strings` is off, and there is a backslash in it.
    Strings "strings",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_classes_have_the_same_word() {
        let words: BTreeSet<_> = Class::ALL.iter().map(|class| class.word()).collect();
        assert_eq!(words.len(), Class::ALL.len());
    }
}

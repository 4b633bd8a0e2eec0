//! What is asked of a database, and the rows of the answer.

/// A question that is cheap: one row, one text, which is another one as soon as anything in a [`CATALOG`] would be.
pub const MARK: &str = include_str!("mark.sql");

/// The question for all that routing needs to know, with the values of [`Limits::parameters`]. Each row is a [`Row`]. It
/// names everything with its schema, so that it means the same under any `search_path`. To be asked with `jit` off: to compile
/// it takes longer than to answer it.
pub const CATALOG: &str = concat!(
    "WITH RECURSIVE mark AS MATERIALIZED (",
    include_str!("mark.sql"),
    "), ",
    include_str!("catalog.sql")
);

/// Functions of a database.
pub const FUNCTIONS_MAX: u32 = 20_000;

/// Relations of a database.
pub const RELATIONS_MAX: u32 = 100_000;

/// Bytes that the database's own functions, views and policies take as it stores them, which is a fifth or so of what has to
/// be gone through: two seconds of the server's time.
pub const BYTES_MAX: u32 = 16 << 20;

/// Values of settings that are meant for roles and databases.
pub const DEFAULTS_MAX: u32 = 20_000;

/// How much of a database is read. Of one that has more, nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// See [`FUNCTIONS_MAX`].
    pub functions: u32,
    /// See [`RELATIONS_MAX`].
    pub relations: u32,
    /// See [`BYTES_MAX`].
    pub bytes: u32,
    /// See [`DEFAULTS_MAX`].
    pub defaults: u32,
}

impl Limits {
    /// The parameters of [`CATALOG`], in order; of type `int8`.
    pub fn parameters(self) -> [i64; 4] {
        [self.functions, self.relations, self.bytes, self.defaults].map(i64::from)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            functions: FUNCTIONS_MAX,
            relations: RELATIONS_MAX,
            bytes: BYTES_MAX,
            defaults: DEFAULTS_MAX,
        }
    }
}

/// A row of [`CATALOG`]: one object, or what one calls and reads. The columns are texts, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row<'a> {
    /// Of what kind it is.
    pub kind: &'a str,
    /// The number (OID) of the object.
    pub number: Option<&'a str>,
    /// Where it is; of the value of a setting, for which role it is meant.
    pub schema: Option<&'a str>,
    /// What it is called.
    pub name: Option<&'a str>,
    /// Columns of the catalog, separated by spaces; for whom the value of a setting is meant.
    pub traits: Option<&'a str>,
    /// The body of a function, the value of a setting, or what is called and read: `f` and the number of a function, `r` and the number of a
    /// relation, `s` and the bytes of a setting's name.
    pub detail: Option<&'a str>,
}

//! What is known of one database, in a form that is looked up without allocating.

use std::fmt;

use crate::{Builder, Cause, Reason, Step, defaults::Default};

/// Why nothing is known of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It has not been read yet.
    NotRead,
    /// It has more of these than the [`Limits`](crate::Limits) allow: `functions`, `relations`, `bytes` or `defaults`.
    TooMuch(Box<str>),
    /// The server's answer was not understood: this row.
    Malformed(Box<str>),
}

impl fmt::Display for Unknown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRead => formatter.write_str("the catalog has not been read yet"),
            Self::TooMuch(what) => write!(formatter, "the catalog has too many {what}"),
            Self::Malformed(row) => {
                write!(formatter, "the catalog's row was not understood: {row}")
            }
        }
    }
}

/// The number of a trouble.
pub(crate) type TroubleId = u32;

/// A name in the text of all names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// This name in its text.
    #[inline]
    pub(crate) fn of(self, text: &str) -> &str {
        let place = |end: u32| usize::try_from(end).unwrap_or(usize::MAX);
        text.get(place(self.start)..place(self.end)).unwrap_or_default()
    }
}

/// A function, or a relation, which takes no arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object {
    pub(crate) schema: Span,
    pub(crate) name: Span,
    pub(crate) least: u8,
    pub(crate) most: u8,
    pub(crate) trouble: Option<TroubleId>,
}

/// What is the matter with an object, and with the one that makes it so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    pub(crate) reason: Reason,
    pub(crate) schema: Option<Span>,
    pub(crate) name: Span,
    pub(crate) next: Option<TroubleId>,
}

/// What a statement may do without a call in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HiddenKind {
    /// An operator that calls the function.
    Operator,
    /// A cast that calls it.
    Cast,
    /// A domain whose check calls it.
    Domain,
    /// A function of a row, which may be called as `row.name`.
    Attribute,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct HiddenObject {
    pub(crate) kind: HiddenKind,
    pub(crate) schema: Option<Span>,
    pub(crate) name: Span,
    pub(crate) trouble: TroubleId,
}

/// Something that is not harmless, and that no text shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hidden<'a> {
    /// What it is.
    pub kind: HiddenKind,
    /// Where it is; nowhere if it is a cast.
    pub schema: Option<&'a str>,
    /// What it is called.
    pub name: &'a str,
    /// What it does.
    pub cause: Cause<'a>,
}

/// The functions and relations of one database, judged, and what its sessions begin with. It never changes.
pub struct Snapshot {
    pub(crate) generation: u64,
    pub(crate) unknown: Option<Unknown>,
    pub(crate) mark: Box<str>,
    /// All names, one behind the other.
    pub(crate) text: Box<str>,
    pub(crate) schemas: Box<[Span]>,
    /// By name.
    pub(crate) functions: Box<[Object]>,
    /// By name.
    pub(crate) relations: Box<[Object]>,
    pub(crate) troubles: Box<[Trouble]>,
    pub(crate) hidden: Box<[HiddenObject]>,
    /// By setting, role and scope.
    pub(crate) defaults: Box<[Default]>,
}

impl Snapshot {
    /// One of which nothing is known: all that its statements call or name belongs on the primary.
    pub fn unknown(generation: u64, why: Unknown) -> Self {
        Self { unknown: Some(why), ..Builder::new(generation).finish() }
    }

    /// Takes the rows of [`CATALOG`](crate::CATALOG).
    pub fn builder(generation: u64) -> Builder {
        Builder::new(generation)
    }

    /// The number that it was given, to tell it from others of the same database.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Why nothing is known, if that is so.
    pub fn why_unknown(&self) -> Option<&Unknown> {
        self.unknown.as_ref()
    }

    /// What the server answered to [`MARK`](crate::MARK) when this was read.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// The names of its schemas, but for temporary ones.
    pub fn schemas(&self) -> impl Iterator<Item = &str> {
        self.schemas.iter().map(|span| self.text(*span))
    }

    /// Whether it has a schema of this name.
    pub(crate) fn has_schema(&self, name: &str) -> bool {
        self.schemas.binary_search_by_key(&name, |span| self.text(*span)).is_ok()
    }

    /// How many functions of users and relations of all kinds it has.
    pub fn counts(&self) -> (usize, usize) {
        (self.functions.len(), self.relations.len())
    }

    /// What is not harmless, and that a statement may do without a call in its text. [`resolve`](crate::resolve) does not
    /// look at it: whether a database that has such things may be read on standbys is a matter of policy.
    pub fn hidden(&self) -> impl Iterator<Item = Hidden<'_>> {
        self.hidden.iter().filter_map(|hidden| {
            Some(Hidden {
                kind: hidden.kind,
                schema: hidden.schema.map(|schema| self.text(schema)),
                name: self.text(hidden.name),
                cause: self.cause(hidden.trouble)?,
            })
        })
    }

    /// The functions of this name.
    #[inline]
    pub(crate) fn functions_named(&self, name: &str) -> impl Iterator<Item = &Object> {
        self.named(&self.functions, name)
    }

    /// The relations of this name.
    #[inline]
    pub(crate) fn relations_named(&self, name: &str) -> impl Iterator<Item = &Object> {
        self.named(&self.relations, name)
    }

    #[inline]
    fn named<'a>(&'a self, objects: &'a [Object], name: &str) -> impl Iterator<Item = &'a Object> {
        let from = objects.partition_point(|object| self.text(object.name) < name);
        let rest = objects.get(from..).unwrap_or_default();
        rest.iter().take_while(move |object| self.text(object.name) == name)
    }

    /// A name of this snapshot.
    #[inline]
    pub(crate) fn text(&self, span: Span) -> &str {
        span.of(&self.text)
    }

    /// The trouble of this number, with what is behind it.
    pub(crate) fn cause(&self, trouble: TroubleId) -> Option<Cause<'_>> {
        let trouble = self.troubles.get(usize::try_from(trouble).ok()?)?;
        let step = Step {
            reason: trouble.reason,
            schema: trouble.schema.map(|schema| self.text(schema)),
            name: self.text(trouble.name),
        };
        Some(Cause { snapshot: self, step, next: trouble.next })
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Snapshot")
            .field("generation", &self.generation)
            .field("unknown", &self.unknown)
            .field("mark", &self.mark)
            .field("functions", &self.functions.len())
            .field("relations", &self.relations.len())
            .field("troubles", &self.troubles.len())
            .finish_non_exhaustive()
    }
}

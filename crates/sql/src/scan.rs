//! What a whole text does: the answer of a scan.

use crate::effect::{Effect, StatementEffect};
use crate::keyword::Keyword;
use crate::lexer::Rules;
use crate::plain;
use crate::scanner::Scanner;

/// So many statements of a text have their keyword kept; it is for logs and counters only.
pub(crate) const KEYWORDS_KEPT: usize = 16;

/// What a text does. Costs no allocation as long as there is at most one effect without a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    pub(crate) statements: usize,
    pub(crate) keywords: [Keyword; KEYWORDS_KEPT],
    pub(crate) effects: Effects,
}

/// The effects of a text: most have none, some have one, few have more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Effects {
    #[default]
    None,
    One(StatementEffect),
    Many(Vec<StatementEffect>),
}

impl Effects {
    pub(crate) fn push(&mut self, effect: StatementEffect) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(effect),
            Self::One(first) => Self::Many(vec![first, effect]),
            Self::Many(mut effects) => {
                effects.push(effect);
                Self::Many(effects)
            }
        };
    }

    pub(crate) fn as_slice(&self) -> &[StatementEffect] {
        match self {
            Self::None => &[],
            Self::One(effect) => std::slice::from_ref(effect),
            Self::Many(effects) => effects,
        }
    }
}

impl Scan {
    /// So many statements of a text have their keyword kept.
    pub const KEYWORDS_KEPT: usize = KEYWORDS_KEPT;

    /// That of one statement that begins with this word and does nothing.
    fn of(keyword: Keyword) -> Self {
        let mut scan = Self { statements: 1, ..Self::default() };
        if let Some(first) = scan.keywords.first_mut() {
            *first = keyword;
        }
        scan
    }

    /// Number of statements that are not empty.
    pub fn statements(&self) -> usize {
        self.statements
    }

    /// The word that the statement of this index begins with. [`Keyword::Other`] for what no keyword was kept of,
    /// that is after the first sixteen statements.
    pub fn keyword(&self, statement: usize) -> Keyword {
        self.keywords.get(statement).copied().unwrap_or_default()
    }

    /// What the statements do, in their order. Empty for most texts.
    pub fn effects(&self) -> &[StatementEffect] {
        self.effects.as_slice()
    }

    /// The effects, to be kept until the server's replies arrive.
    pub fn into_effects(self) -> Box<[StatementEffect]> {
        match self.effects {
            Effects::None => Box::default(),
            Effects::One(effect) => Box::new([effect]),
            Effects::Many(effects) => effects.into(),
        }
    }

    /// Whether any effect satisfies `wanted`.
    pub fn any(&self, wanted: impl Fn(&Effect) -> bool) -> bool {
        self.effects().iter().any(|found| wanted(&found.effect))
    }
}

/// The word that a whole text begins with, if it is plainly one `SELECT`, `INSERT`, `UPDATE`, `DELETE` or `WITH` without any
/// effect. Nothing says that it is not: then [`scan_other`] tells.
#[inline]
pub fn ordinary(text: &[u8], rules: Rules) -> Option<Keyword> {
    if rules.standard_conforming_strings { plain::ordinary(text) } else { None }
}

/// Scans a text that is whole.
pub fn scan(text: &[u8], rules: Rules) -> Scan {
    match ordinary(text, rules) {
        Some(keyword) => Scan::of(keyword),
        None => scan_other(text, rules),
    }
}

/// Scans a whole text that is not [`ordinary`].
pub fn scan_other(text: &[u8], rules: Rules) -> Scan {
    if let Some((keyword, effect)) = plain::bare_word(text) {
        let effects = Effects::One(StatementEffect { statement: 0, effect });
        return Scan { effects, ..Scan::of(keyword) };
    }
    Scanner::new(rules).finish_with(text)
}

/// Where each statement of a whole text ends, behind its last token and before its semicolon. Counted as in
/// [`Scan::statements`].
pub fn statement_ends(text: &[u8], rules: Rules) -> Vec<usize> {
    Scanner::new(rules).statement_ends(text)
}

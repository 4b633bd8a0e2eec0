//! Why a statement was not found harmless: what of it, where that is, and what is behind it.

use std::fmt;

use crate::{Reason, Snapshot, snapshot::TroubleId};

/// What is the matter with one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// What it is.
    pub reason: Reason,
    /// The schema of the object, as far as it is known.
    pub schema: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ", self.reason)?;
        if let Some(schema) = self.schema {
            write!(formatter, "{schema}.")?;
        }
        formatter.write_str(self.name)
    }
}

/// The first thing of a statement that is not harmless, and through it, step by step, what makes it so.
#[derive(Clone, Copy)]
pub struct Cause<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) step: Step<'a>,
    pub(crate) next: Option<TroubleId>,
}

impl<'a> Cause<'a> {
    /// What the statement itself calls or names.
    pub fn step(&self) -> Step<'a> {
        self.step
    }

    /// What that calls or names in its turn, if that is what makes it so.
    pub fn next(&self) -> Option<Self> {
        self.next.and_then(|next| self.snapshot.cause(next))
    }

    /// All steps, down to what is the matter by itself.
    pub fn steps(&self) -> impl Iterator<Item = Step<'a>> + use<'a> {
        std::iter::successors(Some(*self), Self::next).map(|cause| cause.step)
    }
}

/// The words of the reason; of a view also what the innermost one calls or names.
impl fmt::Display for Cause<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.step.reason)?;
        if self.step.reason == Reason::View
            && let Some(inner) = self.steps().find(|step| step.reason != Reason::View)
        {
            write!(formatter, " {}", inner.reason)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Cause<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.steps()).finish()
    }
}

impl PartialEq for Cause<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.steps().eq(other.steps())
    }
}

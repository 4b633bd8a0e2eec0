//! What the scripts of a run were made of.

use std::collections::BTreeMap;
use std::fmt;

use crate::recording::Batch;
use crate::rules;
use crate::schedule::Moves;

/// The fewest statements that a script in the middle has.
const MEDIAN_MIN: usize = 20;

/// Counts over all scripts.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Per rule: steps, statements, errors.
    rules: BTreeMap<&'static str, [usize; 3]>,
    /// Errors by SQLSTATE.
    states: BTreeMap<String, usize>,
    /// Statements of each script.
    lengths: Vec<usize>,
    /// Notifications.
    notified: usize,
    moves: Moves,
}

impl Coverage {
    /// Counts a batch.
    pub fn add(&mut self, batch: &Batch, moves: Moves) {
        for recording in &batch.recordings {
            let mut length = 0;
            for played in &recording.played {
                let (statements, errors) = (played.step.words.statements(), played.answer.errors);
                length += statements;
                let counts = self.rules.entry(played.step.rule).or_default();
                for (count, more) in counts.iter_mut().zip([1, statements, errors]) {
                    *count += more;
                }
                for state in played.answer.sqlstates() {
                    *self.states.entry(state).or_default() += 1;
                }
            }
            self.lengths.push(length);
            self.notified += recording.notified.len();
        }
        self.moves.told += moves.told;
        self.moves.moved += moves.moved;
        self.moves.kept += moves.kept;
    }

    /// What is not as it must be.
    pub fn complaints(&self) -> Vec<String> {
        let unused = rules::all().filter(|rule| !self.rules.contains_key(rule.name));
        let mut all: Vec<_> = unused.map(|rule| format!("never used: {}", rule.name)).collect();
        let good = rules::all().filter(|rule| !rule.fails && self.always_fails(rule.name));
        all.extend(good.map(|rule| format!("never without an error: {}", rule.name)));
        if self.median() < MEDIAN_MIN {
            all.push(format!("the script in the middle has {} statements", self.median()));
        }
        let (statements, errors) = self.totals();
        if errors * 3 < statements {
            all.push(format!("{errors} of {statements} statements fail, less than a third"));
        }
        let Moves { told, moved, kept } = self.moves;
        if moved * 2 < told || told == 0 {
            all.push(format!("{moved} of {told} transactions got another server, less than half"));
        }
        if kept == 0 {
            all.push("nobody was kept on a server".to_owned());
        }
        if self.notified == 0 {
            all.push("nobody was notified".to_owned());
        }
        all
    }

    fn always_fails(&self, rule: &str) -> bool {
        self.rules.get(rule).is_some_and(|[_, statements, errors]| errors >= statements)
    }

    fn median(&self) -> usize {
        let mut lengths = self.lengths.clone();
        lengths.sort_unstable();
        lengths.get(lengths.len() / 2).copied().unwrap_or_default()
    }

    fn totals(&self) -> (usize, usize) {
        let sum = |kind: usize| self.rules.values().filter_map(|counts| counts.get(kind)).sum();
        (sum(1), sum(2))
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<32}{:>8}{:>12}{:>8}", "rule", "steps", "statements", "errors")?;
        for (name, [steps, statements, errors]) in &self.rules {
            writeln!(f, "  {name:<32}{steps:>8}{statements:>12}{errors:>8}")?;
        }
        let states: Vec<_> = self.states.iter().map(|(state, n)| format!("{state} {n}")).collect();
        writeln!(f, "  errors: {}", states.join(", "))?;
        let (statements, errors) = self.totals();
        let (scripts, median) = (self.lengths.len(), self.median());
        let Moves { told, moved, kept } = self.moves;
        writeln!(
            f,
            "  {scripts} scripts with {statements} statements, {median} in the middle one; {errors} errors"
        )?;
        let notified = self.notified;
        writeln!(f, "  {notified} notifications; {kept} times somebody was found pinned")?;
        writeln!(
            f,
            "  {moved} of {told} transactions that told their server had another one than the one before"
        )
    }
}

//! A script while it is written: each step is chosen when the answer of PostgreSQL to the one before is known, so that
//! a rule may depend on where the session stands.

use std::collections::VecDeque;

use crate::rules::{self, Keeps, Rule, When};
use crate::script::{Step, Words};
use crate::seed::Dice;
use crate::transcript::Answer;

/// Statements of a script, at least; what is open is mostly ended behind them.
const STATEMENTS_MIN: usize = 16;

/// A script has up to so many statements more.
const STATEMENTS_SPAN: usize = 20;

/// How many times in a hundred a step is one that makes use of what was done, if there is one.
const DUE: usize = 50;

/// In a failed transaction: how many times in a hundred the next step ends it.
const ENDS_FAILED: usize = 20;

/// How many times in a hundred a script ends within its transaction.
const VANISHES: usize = 10;

/// What the session has done with its sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sequence {
    /// Nothing.
    #[default]
    Untouched,
    /// `nextval` without a `currval` in the same transaction: README.md does not promise a later one.
    Untold,
    /// Its value was read, which keeps its server.
    Told,
}

/// A script that is being written.
#[derive(Debug)]
pub struct Draft {
    /// What is chosen by chance.
    pub dice: Dice,
    /// The client's place among those of its batch: its tables, locks and channels have this number.
    pub slot: usize,
    /// How the session stands: `I`, `T` or `E`.
    pub status: char,
    /// Whether the script may leave behind what keeps its server.
    pub may_pin: bool,
    /// Whether it makes temporary tables. If not, it prepares statements with constants that depend on settings. Known
    /// limit: the first temporary table of a session has all its statements analysed anew, under the settings of that
    /// moment.
    pub makes_tables: bool,
    /// What has been done with the sequence.
    pub sequence: Sequence,
    /// Statements so far.
    written: usize,
    /// Statements that there will be.
    wanted: usize,
    /// What follows soon, because it makes use of what was done.
    due: VecDeque<Step>,
}

impl Draft {
    /// The beginning of a script.
    pub fn new(mut dice: Dice, slot: usize) -> Self {
        let wanted = STATEMENTS_MIN + dice.below(STATEMENTS_SPAN);
        let may_pin = dice.percent(PINS);
        let makes_tables = dice.percent(MAKES_TABLES);
        Self {
            dice,
            slot,
            status: 'I',
            may_pin,
            makes_tables,
            sequence: Sequence::Untouched,
            written: 0,
            wanted,
            due: VecDeque::new(),
        }
    }

    /// The next step; none at the end.
    pub fn next(&mut self) -> Option<Step> {
        let step = if self.written < self.wanted {
            let due = if self.dice.percent(DUE) { self.due.pop_front() } else { None };
            due.unwrap_or_else(|| self.choose())
        } else if self.status == 'I' || self.dice.percent(VANISHES) {
            return None;
        } else {
            self.write(rules::END)
        };
        self.written += step.words.statements();
        Some(step)
    }

    /// PostgreSQL has answered the last step.
    pub fn answered(&mut self, step: &Step, answer: &Answer) {
        self.status = answer.status;
        rules::sequences::learn(self, step, answer);
    }

    /// Somewhere behind the step that is being written this one comes.
    pub fn then(&mut self, rule: &Rule, words: Words) {
        self.due.push_back(Step { rule: rule.name, words, may_pin: rule.keeps != Keeps::Never });
    }

    fn choose(&mut self) -> Step {
        if self.status == 'E' && self.dice.percent(ENDS_FAILED) {
            return self.write(rules::END);
        }
        let fits = |rule: &&Rule| self.fits(rule);
        let all: Vec<&'static Rule> = rules::all().filter(fits).collect();
        let mut place = self.dice.below(all.iter().map(|rule| rule.weight).sum());
        for rule in all {
            if place < rule.weight {
                return self.write(rule);
            }
            place -= rule.weight;
        }
        self.write(rules::END)
    }

    fn fits(&self, rule: &Rule) -> bool {
        let now = match rule.when {
            When::Always => true,
            When::Idle => self.status == 'I',
            When::InBlock => self.status != 'I',
            When::Open => self.status == 'T',
            When::NotFailed => self.status != 'E',
        };
        let tables = self.makes_tables || !rules::temporary::makes(rule);
        now && tables && (self.may_pin || rule.keeps != Keeps::Mostly)
    }

    fn write(&mut self, rule: &'static Rule) -> Step {
        let words = (rule.write)(self);
        Step { rule: rule.name, words, may_pin: rule.keeps != Keeps::Never }
    }
}

/// How many scripts in a hundred may make temporary tables.
const MAKES_TABLES: usize = 35;

/// How many scripts in a hundred may leave behind what keeps their servers.
const PINS: usize = 20;

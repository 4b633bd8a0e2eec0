//! Judging texts that are too long to be judged at a loop, where other clients would wait for it.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::mpsc::{self, Receiver, Sender};
use trunkline_route::{Because, Plain};
use trunkline_sql::{
    Rules,
    access::{self, Access},
};

use crate::engine::{Message, Shared};

/// So many texts wait to be judged; what comes beyond that is not judged, and may come again.
const WAITING_MAX: usize = 64;

/// A text, and who wants to know what it is.
#[derive(Debug)]
struct Question {
    /// The loop.
    by: usize,
    number: u64,
    text: Box<[u8]>,
    rules: Rules,
}

/// What was found out of a text.
#[derive(Debug)]
pub(crate) struct Studied {
    number: u64,
    pub(super) text: Box<[u8]>,
    pub(super) rules: Rules,
    pub(super) access: Access,
}

#[cfg(test)]
impl Studied {
    /// This was found out of a text.
    pub(super) fn new(number: u64, text: &[u8], rules: Rules, access: Access) -> Self {
        Self { number, text: text.into(), rules, access }
    }
}

/// Where all loops ask.
#[derive(Debug)]
pub(crate) struct Study {
    asked: Sender<Question>,
    /// Until somebody answers.
    unanswered: Mutex<Option<Receiver<Question>>>,
}

impl Default for Study {
    fn default() -> Self {
        let (asked, unanswered) = mpsc::channel(WAITING_MAX);
        Self { asked, unanswered: Mutex::new(Some(unanswered)) }
    }
}

impl Study {
    /// Answers the loops, one after the other: what they wait for goes to the primary meanwhile.
    pub(crate) async fn run(shared: Arc<Shared>) {
        let study = Arc::clone(shared.study());
        let questions = study.unanswered.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut questions) = questions else { return };
        while let Some(Question { by, number, text, rules }) = questions.recv().await {
            let judged = tokio::task::spawn_blocking(move || {
                let access = access::access(&text, rules);
                Box::new(Studied { number, text, rules, access })
            });
            // Whoever it was that could not be answered asks again when its settings change.
            if let Ok(studied) = judged.await {
                shared.send(by, Message::Studied(studied));
            }
        }
    }
}

/// What a loop has asked.
#[derive(Debug)]
pub(super) struct Asker {
    study: Arc<Study>,
    /// The loop.
    by: usize,
    /// Texts that it has asked about, by numbers that are theirs for this asker.
    waiting: BTreeSet<u64>,
    chance: RandomState,
}

impl Asker {
    pub(super) fn new(study: Arc<Study>, by: usize) -> Self {
        Self { study, by, waiting: BTreeSet::new(), chance: RandomState::new() }
    }

    /// Asks what a text is, unless that is asked already. Meanwhile it belongs on the primary, for the reason that is given.
    #[cold]
    pub(super) fn ask(&mut self, text: &[u8], rules: Rules) -> Because {
        let number = self.chance.hash_one(text);
        if self.waiting.contains(&number) {
            return Plain::BeingJudged.into();
        }
        let question = Question { by: self.by, number, text: text.into(), rules };
        if self.study.asked.try_send(question).is_err() {
            return Plain::NotJudged.into();
        }
        self.waiting.insert(number);
        Plain::BeingJudged.into()
    }

    /// It was answered.
    pub(super) fn hear(&mut self, studied: &Studied) {
        self.waiting.remove(&studied.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_asked_about_once_and_not_without_limit() {
        let study = Arc::<Study>::default();
        let mut asker = Asker::new(Arc::clone(&study), 3);
        let rules = Rules::default();
        for number in 0..WAITING_MAX {
            for _ in 0..2 {
                let because = asker.ask(format!("SELECT {number}").as_bytes(), rules);
                assert_eq!(because, Plain::BeingJudged.into());
            }
        }
        assert_eq!(asker.ask(b"SELECT 'more'", rules), Plain::NotJudged.into());
        let questions = study.unanswered.lock().unwrap().take();
        let Question { by, number, text, rules } = questions.unwrap().try_recv().unwrap();
        assert_eq!((by, &*text), (3, b"SELECT 0".as_slice()));
        let access = access::access(&text, rules);
        assert_eq!(asker.waiting.len(), WAITING_MAX);
        asker.hear(&Studied { number, text, rules, access });
        assert_eq!(asker.waiting.len(), WAITING_MAX - 1);
    }
}

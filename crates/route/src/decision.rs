//! Where a statement goes: what it is by itself, and who has a say in it.
//!
//! The more particular counts. A hint in the text comes before what the session has set, that before the lists in the
//! settings, those before the rules for clients, and last comes the listener by which the client has come. A wish for a
//! standby never moves what writes: it is taken at its word only where the catalog leaves a doubt about a function.

use crate::{Because, Plain, Reason};

/// Where somebody wants statements to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Where they may.
    #[default]
    Any,
    /// To the primary.
    Primary,
    /// To a standby.
    Standby,
}

impl Wish {
    /// The words of the setting `trunkline.route`, in the order of the variants.
    pub const WORDS: [&str; 3] = ["any", "primary", "standby"];

    /// What a word of that setting means, in any case.
    pub fn from_word(word: &[u8]) -> Option<Self> {
        let all = [Self::Any, Self::Primary, Self::Standby];
        let found = Self::WORDS.iter().zip(all);
        found.into_iter().find(|(own, _)| word.eq_ignore_ascii_case(own.as_bytes())).map(|it| it.1)
    }
}

/// Who has said where the statements of a session go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// Nobody.
    #[default]
    Nobody,
    /// The listener by which it has come.
    Listener,
    /// A rule in the settings.
    Rule,
    /// The session itself.
    Setting,
}

/// Where the statements of a session are to go, and by whose word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Where to.
    pub wish: Wish,
    /// By whose word.
    pub by: By,
}

/// How far a wish for a standby is taken at its word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// There is none.
    #[default]
    None,
    /// A doubt about a function does not count.
    Doubts,
    /// Nor does what the lists in the settings say.
    Lists,
}

impl Trust {
    /// Every one, in order.
    pub const ALL: [Self; 3] = [Self::None, Self::Doubts, Self::Lists];
}

impl Asked {
    /// What counts of what the session has set, of the rule that holds for it, and of its listener.
    pub fn of(setting: Option<Wish>, rule: Option<Wish>, listener: Wish) -> Self {
        let listener = (listener != Wish::Any).then_some(listener);
        let all = [(setting, By::Setting), (rule, By::Rule), (listener, By::Listener)];
        let first = all.into_iter().find_map(|(wish, by)| Some(Self { wish: wish?, by }));
        first.unwrap_or_default()
    }

    /// How far it is taken at its word.
    pub fn trust(self) -> Trust {
        match (self.wish, self.by) {
            (Wish::Standby, By::Setting) => Trust::Lists,
            (Wish::Standby, _) => Trust::Doubts,
            (Wish::Any | Wish::Primary, _) => Trust::None,
        }
    }

    /// Whether the session is one of a standby's as a whole, whatever it does.
    pub fn is_whole(self) -> bool {
        self.wish == Wish::Standby && self.by == By::Listener
    }

    /// What becomes of a text of which this was `found` under its [`trust`](Self::trust). `listed` says whether a list of
    /// texts keeps it on the primary.
    pub fn decide(self, found: Because, listed: impl FnOnce() -> bool) -> Because {
        if !found.is_to_standby() || found == Because::Plain(Plain::StandbyHint) {
            return found;
        }
        match self {
            Self { wish: Wish::Primary, by: By::Setting } => Plain::Setting.into(),
            Self { wish: Wish::Standby, by: By::Setting } => found,
            _ if listed() => Plain::Pattern.into(),
            Self { wish: Wish::Primary, by: By::Rule } => Plain::Rule.into(),
            Self { wish: Wish::Primary, .. } => Plain::Listener.into(),
            _ => found,
        }
    }
}

impl Reason {
    /// Whether it is only not known that a function does no harm.
    pub const fn is_doubt(self) -> bool {
        matches!(self, Self::UnprovenFunction | Self::UnknownFunction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDBY: Option<Wish> = Some(Wish::Standby);
    const PRIMARY: Option<Wish> = Some(Wish::Primary);
    const ANY: Option<Wish> = Some(Wish::Any);

    #[test]
    fn the_more_particular_counts() {
        let asked = |wish, by| Asked { wish, by };
        for (setting, rule, listener, expected) in [
            (None, None, Wish::Any, asked(Wish::Any, By::Nobody)),
            (None, None, Wish::Standby, asked(Wish::Standby, By::Listener)),
            (None, None, Wish::Primary, asked(Wish::Primary, By::Listener)),
            (None, PRIMARY, Wish::Standby, asked(Wish::Primary, By::Rule)),
            (None, STANDBY, Wish::Primary, asked(Wish::Standby, By::Rule)),
            (None, ANY, Wish::Primary, asked(Wish::Any, By::Rule)),
            (STANDBY, PRIMARY, Wish::Primary, asked(Wish::Standby, By::Setting)),
            (PRIMARY, STANDBY, Wish::Standby, asked(Wish::Primary, By::Setting)),
            (ANY, PRIMARY, Wish::Standby, asked(Wish::Any, By::Setting)),
        ] {
            assert_eq!(Asked::of(setting, rule, listener), expected);
        }
    }

    /// What becomes of a text, by what it was found to be, and by whether a pattern matches.
    fn decided(asked: Asked, found: Plain, listed: bool) -> Plain {
        match asked.decide(found.into(), || listed) {
            Because::Plain(plain) => plain,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_read_goes_by_hint_then_setting_then_list_then_rule_then_listener() {
        use Plain::{Hint, Listener, Pattern, Read, Rule, Setting, StandbyHint};
        for (setting, rule, listener, found, listed, expected) in [
            (None, None, Wish::Any, Read, false, Read),
            (None, None, Wish::Any, Read, true, Pattern),
            (None, None, Wish::Primary, Read, false, Listener),
            (None, None, Wish::Primary, Read, true, Pattern),
            (None, None, Wish::Standby, Read, true, Pattern),
            (None, PRIMARY, Wish::Standby, Read, false, Rule),
            (None, PRIMARY, Wish::Standby, Read, true, Pattern),
            (None, STANDBY, Wish::Primary, Read, false, Read),
            (None, STANDBY, Wish::Primary, Read, true, Pattern),
            (PRIMARY, STANDBY, Wish::Standby, Read, false, Setting),
            (PRIMARY, STANDBY, Wish::Standby, Read, true, Setting),
            (STANDBY, PRIMARY, Wish::Primary, Read, true, Read),
            (ANY, PRIMARY, Wish::Primary, Read, false, Read),
            (ANY, PRIMARY, Wish::Primary, Read, true, Pattern),
            (PRIMARY, PRIMARY, Wish::Primary, StandbyHint, true, StandbyHint),
            (STANDBY, STANDBY, Wish::Standby, Hint, false, Hint),
        ] {
            let asked = Asked::of(setting, rule, listener);
            assert_eq!(decided(asked, found, listed), expected, "{asked:?} {found:?} {listed}");
        }
    }

    #[test]
    fn no_wish_moves_what_belongs_on_the_primary() {
        for wish in [None, ANY, PRIMARY, STANDBY] {
            for found in Because::all().filter(|it| !it.is_to_standby()) {
                let asked = Asked::of(wish, wish, Wish::Standby);
                assert_eq!(asked.decide(found, || false), found);
            }
        }
    }

    #[test]
    fn words_are_read_in_any_case_and_no_others() {
        for (word, wish) in [
            ("any", ANY),
            ("PRIMARY", PRIMARY),
            ("Standby", STANDBY),
            ("", None),
            ("replica", None),
        ] {
            assert_eq!(Wish::from_word(word.as_bytes()), wish, "{word}");
        }
    }

    #[test]
    fn only_a_session_by_a_listener_of_standbys_is_one_as_a_whole() {
        assert!(Asked::of(None, None, Wish::Standby).is_whole());
        for asked in [
            Asked::of(STANDBY, None, Wish::Standby),
            Asked::of(None, STANDBY, Wish::Any),
            Asked::of(None, None, Wish::Primary),
            Asked::default(),
        ] {
            assert!(!asked.is_whole(), "{asked:?}");
        }
    }
}

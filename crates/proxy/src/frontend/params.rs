//! What a client asks to be set at login: the parameters of its startup packet, with `options` taken apart
//! the way PostgreSQL does (`pg_split_opts` in `src/backend/utils/init/postinit.c`,
//! `process_postgres_switches` in `src/backend/tcop/postgres.c`).

use std::mem;

use trunkline_session::{IDLE_SESSION_TIMEOUT, Preference, ROUTE, idle_limit, wrong_route};
use trunkline_wire::startup::MAX_NAME;

/// The settings a client starts with, in the order they are to be applied.
///
/// `application_name` and the usual `client_encoding` stand apart because they differ between clients that
/// can share a server; everything else decides which servers fit (two clients fit the same ones if their
/// [`others`](Self::others) are equal).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartupParams {
    /// `application_name`, when given, as PostgreSQL before version 16 keeps it.
    pub application_name: Option<Box<str>>,
    /// `application_name` as it was before it was cut; PostgreSQL gives notice of that.
    pub long_name: Option<Box<str>>,
    /// `application_name` as it came, but for what was cut off, if not all of it is printable ASCII: versions of
    /// PostgreSQL differ in what they make of it.
    pub odd_name: Option<Box<[u8]>>,
    /// `client_encoding`, when it is UTF8, whatever the server's own encoding is. Whether there is any
    /// other one, what it is called, and whether it can be converted, is for a server to say.
    pub client_encoding: Option<Box<str>>,
    /// `idle_session_timeout`, if it can be told what it means. A client's is kept here; a server that is to be shared has
    /// none, since it would end itself while nobody uses it.
    pub idle_session_timeout: Option<Box<str>>,
    /// `trunkline.route`: says nothing to servers, and so does not keep clients from sharing them.
    pub route: Option<Box<str>>,
    /// Every other setting: name as the client spelled it, and value. A name occurs once (settings are
    /// known by name without regard to case); in the order of the first mention.
    pub others: Vec<(Box<str>, Box<str>)>,
}

/// The name of the parameter that stands apart.
pub(super) const APPLICATION_NAME: &str = "application_name";

/// The version of PostgreSQL from which on it escapes what is not ASCII in an application name.
const ESCAPES_SINCE: u32 = 16;

/// The encoding of nearly all clients, as PostgreSQL calls it.
const UTF8: &str = "UTF8";

/// Something in `options` that cannot be followed. The texts are PostgreSQL's, the code is 42601.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// `-c name` or `--name` without a value.
    #[error("{0} requires a value")]
    NoValue(String),
    /// Any other command-line switch, or a word that is none.
    #[error("invalid command-line argument for server process: {0}")]
    Unknown(String),
    /// A value of `trunkline.route` that means nothing. The code is 22023.
    #[error("{}", wrong_route(.0).0)]
    Route(String),
}

impl StartupParams {
    /// Sorts the parameters of a startup packet (without `user`, `database` and `replication`).
    ///
    /// What `options` says comes first, so that a parameter of its own name overrides it, as in PostgreSQL.
    pub fn new<'a>(
        params: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Result<Self, OptionsError> {
        let mut sorted = Self::default();
        // Of several `options` PostgreSQL follows the last.
        if let Some((_, options)) = params.clone().filter(|(name, _)| *name == "options").last() {
            sorted.follow_options(options)?;
        }
        for (name, value) in params.filter(|(name, _)| *name != "options") {
            sorted.set(name, value);
        }
        match &sorted.route {
            Some(route) if Preference::from_word(route.as_bytes()).is_none() => {
                Err(OptionsError::Route(route.to_string()))
            }
            _ => Ok(sorted),
        }
    }

    /// The parameters as they came, for a server that nobody else uses.
    pub(super) fn verbatim(params: &[(&str, &str)]) -> Self {
        let others = params.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Self { others: others.collect(), ..Self::default() }
    }

    /// Whether the client asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.application_name.is_none()
            && self.client_encoding.is_none()
            && self.idle_session_timeout.is_none()
            && self.route.is_none()
            && self.others.is_empty()
    }

    /// Every setting with its value: the two that stand apart first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let apart = [
            ("application_name", self.application_name.as_deref()),
            ("client_encoding", self.client_encoding.as_deref()),
            (IDLE_SESSION_TIMEOUT, self.idle_session_timeout.as_deref()),
            (ROUTE, self.route.as_deref()),
        ];
        let apart = apart.into_iter().filter_map(|(name, value)| Some((name, value?)));
        apart.chain(self.others.iter().map(|(name, value)| (&**name, &**value)))
    }

    fn set(&mut self, name: &str, value: &str) {
        if name.eq_ignore_ascii_case(APPLICATION_NAME) {
            self.set_application_name(value.as_bytes());
            return;
        }
        if name.eq_ignore_ascii_case("client_encoding") {
            let usual = is_utf8(value);
            self.client_encoding = usual.then(|| UTF8.into());
            if usual {
                self.others.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                return;
            }
        }
        if name.eq_ignore_ascii_case(ROUTE) {
            self.route = Some(value.into());
            return;
        }
        if name.eq_ignore_ascii_case(IDLE_SESSION_TIMEOUT) {
            // What cannot be told is for the server to refuse, or to keep.
            let told = idle_limit(value).is_some();
            self.idle_session_timeout = told.then(|| value.into());
            if told {
                self.others.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                return;
            }
        }
        if let Some((_, known)) =
            self.others.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            *known = value.into();
        } else {
            self.others.push((name.into(), value.into()));
        }
    }

    /// Sets `application_name`, which need not be text in any encoding.
    pub fn set_application_name(&mut self, name: &[u8]) {
        let kept = name.get(..cut_at(name)).unwrap_or(name);
        self.long_name = (kept.len() < name.len()).then(|| clean_ascii(name).into());
        self.application_name = Some(clean_ascii(kept).into());
        self.odd_name = (!kept.iter().copied().all(is_printable)).then(|| kept.into());
    }

    /// What `application_name` is at a server of this version (`server_version`), if that is something else than
    /// [`application_name`](Self::application_name).
    pub fn odd_name_at(&self, version: &[u8]) -> Option<String> {
        let name = self.odd_name.as_ref()?;
        let digits = version.iter().take_while(|byte| byte.is_ascii_digit());
        let major = digits.fold(0_u32, |major, digit| {
            major.saturating_mul(10).saturating_add(u32::from(digit.saturating_sub(b'0')))
        });
        (major >= ESCAPES_SINCE).then(|| escape_ascii(name))
    }

    fn follow_options(&mut self, options: &str) -> Result<(), OptionsError> {
        let mut words = split(options).into_iter();
        while let Some(word) = words.next() {
            let (switch, setting) = if let Some(setting) = word.strip_prefix("--") {
                ("--", setting.to_owned())
            } else if word == "-c" {
                let setting = words.next().ok_or_else(|| OptionsError::Unknown(word.clone()))?;
                ("-c ", setting)
            } else if let Some(setting) = word.strip_prefix("-c") {
                ("-c ", setting.to_owned())
            } else {
                return Err(OptionsError::Unknown(word));
            };
            let Some((name, value)) = setting.split_once('=') else {
                return Err(OptionsError::NoValue(format!("{switch}{setting}")));
            };
            // ParseLongOption(): a switch may be written with dashes where the setting has underscores.
            self.set(&name.replace('-', "_"), value);
        }
        Ok(())
    }
}

/// Takes `options` apart at white space; a backslash makes the next character an ordinary one.
fn split(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut inside = false;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        // C's isspace().
        if matches!(character, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r') {
            if mem::take(&mut inside) {
                words.push(mem::take(&mut word));
            }
            continue;
        }
        inside = true;
        match character {
            '\\' => word.extend(characters.next()),
            _ => word.push(character),
        }
    }
    if inside {
        words.push(word);
    }
    words
}

/// Whether PostgreSQL takes this name of an encoding for UTF-8: it looks at letters and digits only
/// (`clean_encoding_name`).
fn is_utf8(name: &str) -> bool {
    let clean: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    ["utf8", "unicode"].iter().any(|known| clean.eq_ignore_ascii_case(known))
}

/// Where PostgreSQL cuts a name that is too long: not within a character, the lengths of which it takes from their
/// first bytes (`pg_mbcliplen`, `pg_utf_mblen`).
fn cut_at(name: &[u8]) -> usize {
    let mut end = 0_usize;
    while let Some(first) = name.get(end) {
        let len = match first {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF7 => 4,
            _ => 1,
        };
        let next = end.saturating_add(len);
        if next > MAX_NAME {
            return end;
        }
        end = next;
    }
    name.len()
}

fn is_printable(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte)
}

/// Replaces what is not printable ASCII by `?`, as PostgreSQL does with application names before version 16
/// (`pg_clean_ascii`): the name is shown to clients of every encoding.
fn clean_ascii(name: &[u8]) -> String {
    let clean = |byte: &u8| if is_printable(*byte) { char::from(*byte) } else { '?' };
    name.iter().map(clean).collect()
}

/// The same since version 16: as `\x` and two digits.
fn escape_ascii(name: &[u8]) -> String {
    let mut out = String::new();
    for byte in name {
        if is_printable(*byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str("\\x");
            out.extend(
                [byte >> 4, byte & 15]
                    .map(|half| char::from_digit(half.into(), 16))
                    .iter()
                    .flatten(),
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Result<StartupParams, OptionsError> {
        StartupParams::new(pairs.iter().copied())
    }

    fn others(params: &StartupParams) -> Vec<(&str, &str)> {
        params.others.iter().map(|(name, value)| (&**name, &**value)).collect()
    }

    #[test]
    fn where_statements_are_to_go_stands_apart_and_must_mean_something() {
        let found =
            params(&[("options", "-c trunkline.route=any"), ("Trunkline.Route", "Primary")]);
        let found = found.unwrap();
        assert_eq!((found.route.as_deref(), others(&found).len()), (Some("Primary"), 0));
        let wrong = params(&[("options", "-c trunkline.route=replica")]).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "invalid value for parameter \"trunkline.route\": \"replica\""
        );
    }

    #[test]
    fn application_name_and_encoding_stand_apart() {
        let found = params(&[
            ("application_name", "psql"),
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO"),
        ]);
        let found = found.unwrap();
        assert_eq!(found.application_name.as_deref(), Some("psql"));
        assert_eq!(found.client_encoding.as_deref(), Some("UTF8"));
        assert_eq!(others(&found), [("DateStyle", "ISO")]);
        assert_eq!(found.iter().count(), 3);
    }

    #[test]
    fn options_are_taken_apart_in_every_spelling() {
        let found = params(&[(
            "options",
            r" -c search_path=a,b  -cwork_mem=1MB --lock-timeout=5s -c app.note=two\ words\\ ",
        )]);
        assert_eq!(
            others(&found.unwrap()),
            [
                ("search_path", "a,b"),
                ("work_mem", "1MB"),
                ("lock_timeout", "5s"),
                ("app.note", r"two words\"),
            ]
        );
    }

    #[test]
    fn a_parameter_overrides_options_and_the_last_mention_counts() {
        let found = params(&[
            ("TimeZone", "UTC"),
            ("options", "-c timezone=Asia/Tokyo -c application_name=x"),
            ("timezone", "Europe/Berlin"),
        ]);
        let found = found.unwrap();
        assert_eq!(others(&found), [("timezone", "Europe/Berlin")]);
        assert_eq!(found.application_name.as_deref(), Some("x"));
    }

    #[test]
    fn what_cannot_be_followed_is_refused_in_postgresqls_words() {
        let refused = |options| params(&[("options", options)]).unwrap_err().to_string();
        assert_eq!(refused("-c work_mem"), "-c work_mem requires a value");
        assert_eq!(refused("--work_mem"), "--work_mem requires a value");
        assert_eq!(refused("-c"), "invalid command-line argument for server process: -c");
        assert_eq!(refused("-d 3"), "invalid command-line argument for server process: -d");
        assert_eq!(refused("word"), "invalid command-line argument for server process: word");
    }

    #[test]
    fn an_application_name_is_cut_down_to_printable_ascii() {
        let found = params(&[("application_name", "caf\u{e9}\n")]).unwrap();
        assert_eq!(found.application_name.as_deref(), Some("caf???"));
    }

    #[test]
    fn an_application_name_need_not_be_text_and_is_kept_as_each_version_does() {
        let mut found = StartupParams::default();
        found.set_application_name(b"caf\xE9 \xC3\xA9");
        assert_eq!(found.application_name.as_deref(), Some("caf? ??"));
        assert_eq!(found.odd_name_at(b"15.4 (Debian 15.4-1)"), None);
        assert_eq!(found.odd_name_at(b"16.0").as_deref(), Some(r"caf\xe9 \xc3\xa9"));
        assert_eq!(found.odd_name_at(b"18devel").as_deref(), Some(r"caf\xe9 \xc3\xa9"));
        found.set_application_name(b"plain");
        assert_eq!((found.odd_name_at(b"18.0"), found.long_name.as_deref()), (None, None));
        // Not within a character.
        let long = ["x".repeat(62).as_bytes(), "\u{e9}".as_bytes()].concat();
        found.set_application_name(&long);
        assert_eq!(found.application_name, Some("x".repeat(62).into()));
        assert_eq!(found.odd_name, None);
        // The first byte of a character, and nothing behind it.
        found.set_application_name(&[0xC3]);
        assert_eq!(found.application_name.as_deref(), Some("?"));
    }

    #[test]
    fn a_long_application_name_is_cut_and_known_to_be() {
        let (long, kept) = ("x".repeat(64), "x".repeat(63));
        let found = params(&[("application_name", &long)]).unwrap();
        assert_eq!(found.application_name.as_deref(), Some(kept.as_str()));
        assert_eq!(found.long_name.as_deref(), Some(long.as_str()));
        let found = params(&[("application_name", &long), ("application_name", &kept)]).unwrap();
        assert_eq!(found.long_name, None);
    }

    #[test]
    fn a_limit_of_idleness_stands_apart_if_it_can_be_told() {
        let found = params(&[("options", "-c idle_session_timeout=5s"), ("work_mem", "1MB")]);
        let found = found.unwrap();
        assert_eq!(found.idle_session_timeout.as_deref(), Some("5s"));
        assert_eq!(others(&found), [("work_mem", "1MB")]);
        let found = params(&[("idle_session_timeout", "5s"), ("Idle_Session_Timeout", "no")]);
        let found = found.unwrap();
        assert_eq!(found.idle_session_timeout, None);
        assert_eq!(others(&found), [("Idle_Session_Timeout", "no")]);
    }

    #[test]
    fn an_encoding_other_than_utf8_decides_which_servers_fit() {
        for usual in ["utf8", "UTF-8", "'utf-8'", "unicode"] {
            let found = params(&[("client_encoding", "LATIN1"), ("client_encoding", usual)]);
            let found = found.unwrap();
            assert_eq!((found.client_encoding.as_deref(), others(&found)), (Some("UTF8"), vec![]));
        }
        for other in ["LATIN1", "", "utf16", "nothing"] {
            let found = params(&[("client_encoding", "UTF8"), ("Client_Encoding", other)]).unwrap();
            assert_eq!(found.client_encoding, None);
            assert_eq!(others(&found), [("Client_Encoding", other)]);
        }
    }

    #[test]
    fn empty_options_mean_nothing() {
        assert!(params(&[("options", " \t ")]).unwrap().is_empty());
        assert!(params(&[]).unwrap().is_empty());
    }
}

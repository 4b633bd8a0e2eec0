//! A conversation as steps.

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};

use super::message::{parameters, put_all, version};
use super::words::Words;
use crate::peer::say::PROTOCOL_3_0;

/// The names that stand for `{database}` and `{user}`.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The database of this run.
    pub database: &'a str,
    /// Who logs in.
    pub user: &'a str,
}

/// A conversation that can be played.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Its file without directory and ending: `copy/fail`.
    pub name: String,
    /// Whether it says `quiet`.
    pub quiet: bool,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One line of a conversation.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its number in the file, from 1.
    pub line: usize,
    /// As it is written, for messages to people.
    pub text: String,
    /// What is done.
    pub action: Action,
}

/// What a step does. The letter names the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Sends these bytes in one write.
    Say(char, Bytes),
    /// Reads.
    Hear(char, Hear),
    /// Something else with a connection.
    Do(char, Deed),
    /// Waits until this query, asked of the server itself, answers `t`.
    Wait(String),
}

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hear {
    /// Up to the `count`-th message with this tag.
    Until {
        /// The tag.
        tag: u8,
        /// How many of them.
        count: usize,
    },
    /// So many messages that are not asynchronous.
    Messages(usize),
    /// So many bytes.
    Bytes(usize),
    /// Until so many messages with this tag have come since the login.
    Await {
        /// The tag.
        tag: u8,
        /// How many of them.
        count: usize,
    },
    /// Messages until the server closes.
    Closed,
    /// Bytes until the server closes.
    Rest,
}

/// What is done with a connection besides saying and hearing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Connects without a login.
    Dial,
    /// Connects and logs in.
    Login {
        /// The protocol asked for, major version in the upper half.
        version: u32,
        /// Startup parameters; `user` and `database` are added where they are missing.
        parameters: Vec<(String, String)>,
        /// Another password than the usual one.
        password: Option<String>,
    },
    /// Cancels what the connection runs, with its key or with a wrong one.
    Cancel {
        /// Whether the key is the right one.
        rightly: bool,
    },
    /// Sends no more, but goes on reading.
    Finish,
    /// Hangs up with FIN.
    Close,
    /// Hangs up with RST.
    Reset,
}

impl Conversation {
    /// Reads the text of a conversation.
    ///
    /// # Errors
    /// The line and what is wrong with it.
    pub fn read(name: &str, text: &str, names: Names<'_>) -> Result<Self> {
        let text = text.replace("{database}", names.database).replace("{user}", names.user);
        let mut lines: Vec<(usize, String)> = Vec::new();
        let mut quiet = false;
        for (number, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            if line == "quiet" {
                quiet = true;
            } else if line.starts_with(' ') {
                let (_, last) = lines.last_mut().context("the first line cannot go on")?;
                ensure!(trimmed.starts_with('/'), "line {}: it goes on without a /", number + 1);
                last.push(' ');
                last.push_str(trimmed);
            } else {
                lines.push((number + 1, line.to_owned()));
            }
        }
        let steps = lines.into_iter().map(|(line, text)| {
            let action = action(&text).with_context(|| format!("{name}, line {line}: {text}"))?;
            Ok(Step { line, text, action })
        });
        let steps = steps.collect::<Result<Vec<_>>>()?;
        ensure!(!steps.is_empty(), "{name} says nothing");
        Ok(Self { name: name.to_owned(), quiet, steps })
    }
}

impl Conversation {
    /// Whether a noisy client beside it may show something: not if it asks for quiet, nor if it
    /// says one thing only, so that there is nothing between its steps.
    pub fn bears_noise(&self) -> bool {
        let said = self.steps.iter().filter(|step| matches!(step.action, Action::Say(..)));
        !self.quiet && said.count() > 1
    }
}

fn action(line: &str) -> Result<Action> {
    if let Some(rest) = line.strip_prefix("wait ") {
        let mut words = Words::of(rest)?;
        let sql = words.string()?;
        words.end()?;
        return Ok(Action::Wait(sql));
    }
    let mut letters = line.chars();
    let who = letters.next().filter(char::is_ascii_uppercase).context("whose step is it?")?;
    let kind = letters.next();
    let mut words = Words::of(letters.as_str())?;
    let action = match kind {
        Some('>') => {
            let mut bytes = BytesMut::new();
            put_all(&mut words, &mut bytes)?;
            Action::Say(who, bytes.freeze())
        }
        Some('<') => Action::Hear(who, hear(&mut words)?),
        Some('!') => Action::Do(who, deed(&mut words)?),
        other => bail!("a step has >, < or ! and not {other:?}"),
    };
    words.end()?;
    Ok(action)
}

fn hear(words: &mut Words) -> Result<Hear> {
    Ok(match words.name()?.as_str() {
        "until" => Hear::Until { tag: tag(words)?, count: words.optional_number().unwrap_or(1) },
        "await" => Hear::Await { tag: tag(words)?, count: words.optional_number().unwrap_or(1) },
        "read" => Hear::Messages(words.number()?),
        "bytes" => Hear::Bytes(words.number()?),
        "closed" => Hear::Closed,
        "rest" => Hear::Rest,
        other => bail!("nobody can hear {other}"),
    })
}

fn tag(words: &mut Words) -> Result<u8> {
    let name = words.name()?;
    match name.as_bytes() {
        [tag] => Ok(*tag),
        _ => bail!("{name} is not one tag"),
    }
}

fn deed(words: &mut Words) -> Result<Deed> {
    Ok(match words.name()?.as_str() {
        "dial" => Deed::Dial,
        "login" => login(words)?,
        "cancel" => Deed::Cancel { rightly: !words.take_name("wrongly") },
        "finish" => Deed::Finish,
        "close" => Deed::Close,
        "reset" => Deed::Reset,
        other => bail!("nobody can {other}"),
    })
}

fn login(words: &mut Words) -> Result<Deed> {
    let asked = if words.take_name("protocol") { version(&words.name()?)? } else { PROTOCOL_3_0 };
    let (password, parameters): (Vec<_>, _) =
        parameters(words)?.into_iter().partition(|(name, _)| name == "password");
    let password = password.into_iter().next().map(|(_, password)| password);
    Ok(Deed::Login { version: asked, parameters, password })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::say;

    fn read(text: &str) -> Result<Conversation> {
        Conversation::read("test", text, Names { database: "d1", user: "u1" })
    }

    #[test]
    fn a_line_that_goes_on_is_one_write() {
        let text = "# What it shows.\n\nC> Sync\n / Flush\nC< until Z 2\n";
        let conversation = read(text).unwrap();
        let [said, heard] = conversation.steps.as_slice() else { panic!("{conversation:?}") };
        let burst = [say::sync(), say::flush()].concat();
        assert_eq!(said.action, Action::Say('C', burst.into()));
        assert_eq!((said.line, heard.line), (3, 5));
        assert_eq!(heard.action, Action::Hear('C', Hear::Until { tag: b'Z', count: 2 }));
    }

    #[test]
    fn names_are_filled_in_and_a_password_is_no_parameter() {
        let text = "B! login protocol 3.2 database=\"{database}\" password=\"x\"";
        let action = &read(text).unwrap().steps[0].action;
        let Action::Do('B', Deed::Login { version, parameters, password }) = action else {
            panic!("{action:?}")
        };
        assert_eq!(*version, say::PROTOCOL_3_2);
        assert_eq!(parameters, &[("database".to_owned(), "d1".to_owned())]);
        assert_eq!(password.as_deref(), Some("x"));
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        let error = read("C> Sync\nC> Qwery \"x\"\n").unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "test, line 2: C> Qwery \"x\": in Qwery: there is no such message"
        );
    }
}

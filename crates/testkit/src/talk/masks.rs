//! What may differ between two transcripts: the one file of masks.
//!
//! ```text
//! mask key
//!   hides K.pid, K.key
//!   because Trunkline gives every client a cancel key of its own.
//!   in *
//! ```
//!
//! `in` lists the conversations that may use the mask: names (`copy/fail`), beginnings
//! (`startup/*`) or `*` for all. A reason may go on over further lines.

use std::collections::BTreeSet;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

/// A part of a message, or the place of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// `K.pid`: the process number of `BackendKeyData`.
    KeyPid,
    /// `K.key`: its key; the length counts.
    KeySecret,
    /// `A.pid`: who sent a notification.
    NotificationPid,
    /// `R.data`: what follows the code of an `Authentication` message.
    AuthenticationData,
    /// `E.source`: file, line and routine of an error or notice, whether they are there or not.
    ReportSource,
    /// `E.numbers D`: each number in this field of an error or notice.
    ReportNumbers(u8),
    /// `bytes`: what was heard outside of messages; the length counts.
    Bytes,
    /// `v.newest`: the version in a `NegotiateProtocolVersion`.
    NegotiatedVersion,
    /// `T.oid`: table and type OIDs that are not built in, of columns and parameters.
    Oids,
    /// `column NAME`: the values of columns with this name, which may be NULL only on both sides.
    Column(String),
    /// `database`: the name of the database, wherever it stands.
    Database,
    /// `message v`: messages with this tag as a whole, and whether there are any.
    Message(u8),
    /// `place A`: when messages with this tag come, but not their order.
    Place(u8),
}

/// One mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Its name.
    pub name: String,
    /// What it hides.
    pub parts: Vec<Part>,
    /// Why that may differ.
    pub reason: String,
    /// The conversations that may use it.
    pub conversations: Vec<String>,
}

/// All masks, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masks {
    /// The masks.
    pub list: Vec<Mask>,
}

impl Masks {
    /// Reads the text of the file.
    ///
    /// # Errors
    /// The line and what is wrong with it; a mask without parts, reason or conversations; two masks
    /// of one name.
    pub fn read(text: &str) -> Result<Self> {
        let mut list: Vec<Mask> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let outcome = match trimmed.strip_prefix("mask ") {
                Some(name) if !line.starts_with(' ') => {
                    list.push(Mask::named(name.trim()));
                    Ok(())
                }
                _ => list
                    .last_mut()
                    .context("the first line must name a mask")
                    .and_then(|mask| mask.add(trimmed)),
            };
            outcome.with_context(|| format!("masks, line {}: {line}", number + 1))?;
        }
        let mut names = BTreeSet::new();
        for mask in &list {
            let name = &mask.name;
            ensure!(names.insert(name), "there are two masks {name}");
            ensure!(!mask.parts.is_empty(), "mask {name} hides nothing");
            ensure!(!mask.reason.is_empty(), "mask {name} has no reason");
            ensure!(!mask.conversations.is_empty(), "mask {name} is for no conversation");
        }
        Ok(Self { list })
    }

    /// The masks that this conversation may use, with their places in the list.
    pub fn of<'a>(&'a self, conversation: &'a str) -> impl Iterator<Item = (usize, &'a Mask)> {
        self.list.iter().enumerate().filter(move |(_, mask)| mask.is_for(conversation))
    }

    /// The entries of the lists that name no conversation of `names`.
    pub fn dangling<'a>(&'a self, names: &'a BTreeSet<String>) -> impl Iterator<Item = &'a str> {
        let entries = self.list.iter().flat_map(|mask| &mask.conversations);
        entries.map(String::as_str).filter(|entry| !names.iter().any(|name| matches(entry, name)))
    }
}

impl Mask {
    fn named(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, parts: Vec::new(), reason: String::new(), conversations: Vec::new() }
    }

    fn add(&mut self, line: &str) -> Result<()> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "hides" => {
                for part in rest.split(',') {
                    self.parts.push(part.trim().parse()?);
                }
            }
            "because" => rest.clone_into(&mut self.reason),
            "in" => self.conversations.extend(rest.split_whitespace().map(str::to_owned)),
            // A reason, or a list, that goes on.
            _ if !self.conversations.is_empty() => {
                self.conversations.extend(line.split_whitespace().map(str::to_owned));
            }
            _ if !self.reason.is_empty() => {
                self.reason.push(' ');
                self.reason.push_str(line);
            }
            _ => bail!("a line begins with hides, because or in"),
        }
        Ok(())
    }

    fn is_for(&self, conversation: &str) -> bool {
        self.conversations.iter().any(|entry| matches(entry, conversation))
    }
}

fn matches(entry: &str, name: &str) -> bool {
    entry.strip_suffix('*').map_or(entry == name, |start| name.starts_with(start))
}

impl FromStr for Part {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "K.pid" => Self::KeyPid,
            "K.key" => Self::KeySecret,
            "A.pid" => Self::NotificationPid,
            "R.data" => Self::AuthenticationData,
            "E.source" => Self::ReportSource,
            "E.numbers D" => Self::ReportNumbers(b'D'),
            "E.numbers M" => Self::ReportNumbers(b'M'),
            "bytes" => Self::Bytes,
            "v.newest" => Self::NegotiatedVersion,
            "message v" => Self::Message(b'v'),
            "T.oid" => Self::Oids,
            "database" => Self::Database,
            "place A" => Self::Place(b'A'),
            "place S" => Self::Place(b'S'),
            _ => match text.strip_prefix("column ") {
                Some(name) => Self::Column(name.to_owned()),
                None => bail!("{text} is no part of a message"),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_for_the_conversations_of_its_list_alone() {
        let text = "# All.\nmask key\n  hides K.pid, K.key\n  because they are\n    ours\n  in a/* b/c\n    d\n";
        let masks = Masks::read(text).unwrap();
        let mask = &masks.list[0];
        assert_eq!(mask.parts, [Part::KeyPid, Part::KeySecret]);
        assert_eq!(mask.reason, "they are ours");
        let used = |name: &str| masks.of(name).count();
        assert_eq!([used("a/x"), used("b/c"), used("b/cd"), used("d")], [1, 1, 0, 1]);
        let names = BTreeSet::from(["a/x".to_owned(), "d".to_owned()]);
        assert_eq!(masks.dangling(&names).collect::<Vec<_>>(), ["b/c"]);
    }

    #[test]
    fn a_mask_without_reason_is_refused() {
        let error = Masks::read("mask key\n  hides K.pid\n  in *\n").unwrap_err();
        assert_eq!(error.to_string(), "mask key has no reason");
    }
}

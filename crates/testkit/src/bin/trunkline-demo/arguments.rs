//! What the command line says.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// PgBouncer's port, and Trunkline's own.
const PORT: u16 = 6432;

/// The text for `--help`.
pub(crate) const USAGE: &str = "\
Trunkline before a PostgreSQL primary with two streaming standbys, on this machine.

Usage: scripts/demo [OPTIONS]

  --tour          no waiting for Ctrl-C: run psql and pgbench through Trunkline,
                  check what the servers say, and end with 0 if all held
  --port PORT     the port of 127.0.0.1 that Trunkline listens on
                  [6432; any that is free with --tour]
  --pg-bin DIR    the directory of PostgreSQL's programs (or TRUNKLINE_PG_BIN);
                  without it, the newest installation found
  --help          this text";

/// The arguments, checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) tour: bool,
    /// `None`: any that is free. Nobody but the tour itself connects to it then.
    pub(crate) port: Option<u16>,
    pub(crate) programs: Option<PathBuf>,
}

impl Arguments {
    /// Reads the arguments; `None` if only help is wanted.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut arguments = Self { tour: false, port: None, programs: None };
        while let Some(word) = words.next() {
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let mut value = || inline.clone().or_else(|| words.next());
            match name {
                "--tour" if inline.is_none() => arguments.tour = true,
                "--port" => {
                    arguments.port = Some(port(&value().context("--port needs a number")?)?);
                }
                "--pg-bin" => {
                    arguments.programs =
                        Some(value().context("--pg-bin needs a directory")?.into());
                }
                "--help" | "-h" => return Ok(None),
                _ => bail!("{word} is not an option"),
            }
        }
        if !arguments.tour {
            arguments.port.get_or_insert(PORT);
        }
        Ok(Some(arguments))
    }
}

fn port(text: &str) -> Result<u16> {
    match text.parse() {
        Ok(0) | Err(_) => bail!("{text} is not a port: 1 to 65535"),
        Ok(port) => Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<Arguments>> {
        Arguments::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_take_their_value_as_next_word_or_behind_an_equals_sign() {
        let wanted = Arguments { tour: true, port: Some(7000), programs: Some("/pg".into()) };
        assert_eq!(read("--tour --port 7000 --pg-bin=/pg").unwrap().unwrap(), wanted);
        let wanted = Arguments { tour: false, port: Some(PORT), programs: None };
        assert_eq!(read("").unwrap().unwrap(), wanted);
        assert_eq!(read("--tour").unwrap().unwrap().port, None);
        assert_eq!(read("--port 7000 --help").unwrap(), None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in ["--port", "--port 0", "--port x", "--tours", "--tour=yes", "--pg-bin", "a"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}

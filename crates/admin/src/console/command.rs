//! What an operator can say: from words to commands.
//!
//! Verbs and names are PgBouncer's where it has them (its documentation, "Admin console").

use trunkline_wire::SqlState;

use super::{
    refusal::Refusal,
    tables::View,
    words::{Word, WordKind, statements},
};

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// A table about the pooler.
    Show(View),
    /// A parameter of this session, such as `server_version`; by its place in [`PARAMETERS`].
    ShowParameter(&'static str),
    /// How the console is used.
    Help,
    /// No servers for the clients of a database, or of all, and wait until none is held or open.
    Pause(Option<String>),
    /// Ends a pause.
    Resume(Option<String>),
    /// Closes server connections as soon as they are free.
    Reconnect(Option<String>),
    /// Reads the settings again.
    Reload,
    /// Stops the program.
    Shutdown(ShutdownMode),
    /// A parameter of this session that drivers set after connecting; the name is as in [`SETTABLE`].
    Set(&'static str, String),
    /// Opens a transaction block, which changes nothing: drivers send it before their first statement.
    Begin,
    /// Ends a transaction block.
    Commit,
    /// Ends a transaction block; nothing is undone.
    Rollback,
    /// Gives up a prepared statement, or all: drivers do it by themselves.
    Deallocate(Option<String>),
    /// Brings the session back to its beginning: drivers do it when they take it back into a pool of their own.
    DiscardAll,
}

/// How the program is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownMode {
    /// At once: open transactions are rolled back.
    Immediate,
    /// When no client holds a server.
    WaitForServers,
    /// When all clients have left.
    WaitForClients,
}

/// Parameters of a session, as the server reports them at its start; `SHOW` tells each.
pub(crate) const PARAMETERS: [&str; 10] = [
    "server_version",
    "server_encoding",
    "client_encoding",
    "application_name",
    "is_superuser",
    "session_authorization",
    "DateStyle",
    "TimeZone",
    "integer_datetimes",
    "standard_conforming_strings",
];

/// Parameters that drivers set without being asked to. The first one is kept, the others take one value only or mean
/// nothing to the console.
const SETTABLE: [&str; 3] = ["application_name", "client_encoding", "extra_float_digits"];

/// The verbs with what follows them, for `HELP` and for those who mistype.
pub(crate) const VERBS: [&str; 7] = [
    "SHOW <what>",
    "PAUSE [<database>]",
    "RESUME [<database>]",
    "RECONNECT [<database>]",
    "RELOAD",
    "SHUTDOWN [WAIT_FOR_SERVERS | WAIT_FOR_CLIENTS]",
    "HELP",
];

/// Longest name of a database that is looked at: PostgreSQL's own names end at 63 bytes, ours may be longer.
const MAX_NAME: usize = 255;

impl Command {
    /// Reads all commands of a text.
    ///
    /// # Errors
    /// The first mistake; then none of the commands must be carried out.
    pub(crate) fn parse_all(text: &str) -> Result<Vec<Self>, Refusal> {
        statements(text)?.iter().map(|words| Self::parse(words)).collect()
    }

    /// The command tag of its `CommandComplete`.
    pub(crate) const fn tag(&self) -> &'static str {
        match self {
            Self::Show(_) | Self::ShowParameter(_) | Self::Help => "SHOW",
            Self::Pause(_) => "PAUSE",
            Self::Resume(_) => "RESUME",
            Self::Reconnect(_) => "RECONNECT",
            Self::Reload => "RELOAD",
            Self::Shutdown(_) => "SHUTDOWN",
            Self::Set(..) => "SET",
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
            Self::Deallocate(None) => "DEALLOCATE ALL",
            Self::Deallocate(Some(_)) => "DEALLOCATE",
            Self::DiscardAll => "DISCARD ALL",
        }
    }

    /// Whether it only looks.
    pub(crate) const fn only_looks(&self) -> bool {
        !matches!(
            self,
            Self::Pause(_)
                | Self::Resume(_)
                | Self::Reconnect(_)
                | Self::Reload
                | Self::Shutdown(_)
        )
    }

    /// The database it names.
    pub(crate) fn database(&self) -> Option<&str> {
        match self {
            Self::Pause(database) | Self::Resume(database) | Self::Reconnect(database) => {
                database.as_deref()
            }
            _ => None,
        }
    }

    fn parse(words: &[Word]) -> Result<Self, Refusal> {
        let Some((verb, rest)) = words.split_first() else { return Err(unknown_verb("", 1)) };
        let is = |name| verb.is(name);
        if is("SHOW") {
            show(verb, rest)
        } else if is("HELP") {
            nothing_more(rest, Self::Help)
        } else if is("PAUSE") {
            database(rest).map(Self::Pause)
        } else if is("RESUME") {
            database(rest).map(Self::Resume)
        } else if is("RECONNECT") {
            database(rest).map(Self::Reconnect)
        } else if is("RELOAD") {
            nothing_more(rest, Self::Reload)
        } else if is("SHUTDOWN") {
            shutdown(rest)
        } else if is("SET") {
            set(verb, rest)
        } else if is("BEGIN") || is("START") && rest.first().is_some_and(|w| w.is("TRANSACTION")) {
            // Whatever a driver adds (isolation, READ ONLY) makes no difference.
            Ok(Self::Begin)
        } else if is("COMMIT") || is("END") {
            Ok(Self::Commit)
        } else if is("ROLLBACK") || is("ABORT") {
            Ok(Self::Rollback)
        } else if is("DEALLOCATE") {
            deallocate(verb, rest)
        } else if is("DISCARD") && rest.first().is_some_and(|word| word.is("ALL")) {
            nothing_more(rest.get(1..).unwrap_or_default(), Self::DiscardAll)
        } else {
            Err(unknown_verb(&verb.text, verb.position))
        }
    }
}

fn show(verb: &Word, rest: &[Word]) -> Result<Command, Refusal> {
    let Some((what, rest)) = rest.split_first() else {
        return Err(Refusal::syntax("SHOW what?").at(verb.position).with_hint(shows_hint()));
    };
    if what.is("HELP") {
        return nothing_more(rest, Command::Help);
    }
    if let Some(view) = View::ALL.into_iter().find(|view| what.is(view.name())) {
        return nothing_more(rest, Command::Show(view));
    }
    if let Some(name) = PARAMETERS.into_iter().find(|name| what.text.eq_ignore_ascii_case(name)) {
        return nothing_more(rest, Command::ShowParameter(name));
    }
    let message = format!("unknown SHOW \"{}\"", shortened(&what.text));
    Err(Refusal::syntax(message).at(what.position).with_hint(shows_hint()))
}

/// The optional name of a database, bare or quoted. As in PgBouncer, case is kept either way.
fn database(rest: &[Word]) -> Result<Option<String>, Refusal> {
    let Some((name, rest)) = rest.split_first() else { return Ok(None) };
    if name.kind == WordKind::Sign || name.text.is_empty() {
        return Err(Refusal::syntax("expected the name of a database").at(name.position));
    }
    if name.text.len() > MAX_NAME {
        let message = format!("a name of a database has at most {MAX_NAME} bytes");
        return Err(Refusal::syntax(message).at(name.position));
    }
    nothing_more(rest, Some(name.text.clone()))
}

fn shutdown(rest: &[Word]) -> Result<Command, Refusal> {
    let Some((how, rest)) = rest.split_first() else {
        return Ok(Command::Shutdown(ShutdownMode::Immediate));
    };
    let mode = if how.is("WAIT_FOR_SERVERS") {
        ShutdownMode::WaitForServers
    } else if how.is("WAIT_FOR_CLIENTS") {
        ShutdownMode::WaitForClients
    } else {
        let message = format!("unknown way of SHUTDOWN \"{}\"", shortened(&how.text));
        return Err(Refusal::syntax(message)
            .at(how.position)
            .with_hint("Write SHUTDOWN, SHUTDOWN WAIT_FOR_SERVERS or SHUTDOWN WAIT_FOR_CLIENTS."));
    };
    nothing_more(rest, Command::Shutdown(mode))
}

/// `SET [SESSION | LOCAL] name { = | TO } value`.
fn set(verb: &Word, rest: &[Word]) -> Result<Command, Refusal> {
    let rest = match rest {
        [scope, rest @ ..] if scope.is("SESSION") || scope.is("LOCAL") => rest,
        _ => rest,
    };
    let [name, between, value] = rest else {
        return Err(Refusal::syntax("expected SET <parameter> = <value>").at(verb.position));
    };
    if !between.is_sign('=') && !between.is("TO") || value.kind == WordKind::Sign {
        return Err(Refusal::syntax("expected SET <parameter> = <value>").at(between.position));
    }
    let known = SETTABLE.into_iter().find(|known| name.text.eq_ignore_ascii_case(known));
    let Some(known) = known else {
        let message = format!("\"{}\" cannot be set from the console", shortened(&name.text));
        return Err(Refusal::new(SqlState::FEATURE_NOT_SUPPORTED, message)
            .at(name.position)
            .with_hint("Change the settings file and say RELOAD."));
    };
    if known == "client_encoding" && !is_utf8(&value.text) {
        return Err(Refusal::new(SqlState::FEATURE_NOT_SUPPORTED, "the console speaks UTF8 only")
            .at(value.position));
    }
    Ok(Command::Set(known, value.text.clone()))
}

/// `DEALLOCATE [PREPARE] { name | ALL }`.
fn deallocate(verb: &Word, rest: &[Word]) -> Result<Command, Refusal> {
    let rest = match rest {
        [prepare, rest @ ..] if prepare.is("PREPARE") => rest,
        _ => rest,
    };
    match rest {
        [all] if all.is("ALL") => Ok(Command::Deallocate(None)),
        [name] if name.kind != WordKind::Sign => Ok(Command::Deallocate(Some(name.text.clone()))),
        _ => Err(Refusal::syntax("expected DEALLOCATE <statement>").at(verb.position)),
    }
}

/// Whether a name of an encoding means UTF-8 (PostgreSQL compares letters and digits only; `UNICODE` is an alias).
fn is_utf8(encoding: &str) -> bool {
    let bare = encoding.chars().filter(char::is_ascii_alphanumeric);
    let bare = bare.collect::<String>().to_ascii_lowercase();
    bare == "utf8" || bare == "unicode"
}

fn nothing_more<T>(rest: &[Word], found: T) -> Result<T, Refusal> {
    match rest.first() {
        None => Ok(found),
        Some(word) => {
            let message = format!("nothing is expected at \"{}\"", shortened(&word.text));
            Err(Refusal::syntax(message).at(word.position))
        }
    }
}

fn unknown_verb(text: &str, position: u32) -> Refusal {
    Refusal::syntax(format!("unknown command \"{}\"", shortened(text)))
        .at(position)
        .with_hint(format!("The commands are: {}.", VERBS.join(", ")))
}

fn shows_hint() -> String {
    let names: Vec<&str> = View::ALL.into_iter().map(View::name).collect();
    format!("SHOW knows: {}, HELP.", names.join(", "))
}

/// Longest piece of a mistyped text that an error repeats, in characters.
const MAX_ECHO: usize = 64;

fn shortened(text: &str) -> String {
    text.chars().take(MAX_ECHO).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Command, Refusal> {
        let mut found = Command::parse_all(text)?;
        assert_eq!(found.len(), 1, "{text}");
        Ok(found.remove(0))
    }

    #[test]
    fn every_table_is_shown_by_its_name_in_any_case() {
        for view in View::ALL {
            let name = view.name();
            assert_eq!(one(&format!("SHOW {name}")), Ok(Command::Show(view)));
            assert_eq!(one(&format!("show {};", name.to_lowercase())), Ok(Command::Show(view)));
        }
        assert_eq!(one("show Server_Version"), Ok(Command::ShowParameter("server_version")));
        assert_eq!(one("SHOW HELP"), Ok(Command::Help));
    }

    #[test]
    fn commands_take_a_database_bare_or_quoted_and_keep_its_case() {
        assert_eq!(one("PAUSE"), Ok(Command::Pause(None)));
        assert_eq!(one("pause Shop-1"), Ok(Command::Pause(Some("Shop-1".into()))));
        assert_eq!(one("RESUME \"a b\""), Ok(Command::Resume(Some("a b".into()))));
        assert_eq!(one("RECONNECT 'x'"), Ok(Command::Reconnect(Some("x".into()))));
        for wrong in ["PAUSE a b", "PAUSE =", "PAUSE \"\"", &format!("PAUSE {}", "x".repeat(256))] {
            assert_eq!(one(wrong).unwrap_err().code, SqlState::SYNTAX_ERROR, "{wrong}");
        }
    }

    #[test]
    fn shutdown_knows_three_ways() {
        assert_eq!(one("SHUTDOWN"), Ok(Command::Shutdown(ShutdownMode::Immediate)));
        let wait = one("shutdown wait_for_servers");
        assert_eq!(wait, Ok(Command::Shutdown(ShutdownMode::WaitForServers)));
        let wait = one("SHUTDOWN WAIT_FOR_CLIENTS");
        assert_eq!(wait, Ok(Command::Shutdown(ShutdownMode::WaitForClients)));
        assert!(one("SHUTDOWN NOW").unwrap_err().hint.unwrap().contains("WAIT_FOR_CLIENTS"));
    }

    #[test]
    fn an_unknown_command_hears_what_there_is() {
        let refusal = one("  KILL shop").unwrap_err();
        assert_eq!(refusal.code, SqlState::SYNTAX_ERROR);
        assert_eq!(refusal.message, "unknown command \"KILL\"");
        assert_eq!(refusal.position, Some(3));
        for verb in ["SHOW", "PAUSE", "RESUME", "RECONNECT", "RELOAD", "SHUTDOWN", "HELP"] {
            assert!(refusal.hint.as_ref().unwrap().contains(verb), "{verb}");
        }
        let refusal = one("SHOW FDS").unwrap_err();
        assert_eq!((&*refusal.message, refusal.position), ("unknown SHOW \"FDS\"", Some(6)));
        for view in View::ALL {
            assert!(refusal.hint.as_ref().unwrap().contains(view.name()));
        }
        assert!(one("SHOW").unwrap_err().hint.unwrap().contains("POOLS"));
    }

    #[test]
    fn what_drivers_set_by_themselves_is_taken_and_nothing_else() {
        let named = Command::Set("application_name", "my app".into());
        assert_eq!(one("SET application_name = 'my app'"), Ok(named.clone()));
        assert_eq!(one("set session APPLICATION_NAME to \"my app\""), Ok(named));
        assert!(one("SET client_encoding TO 'utf-8'").is_ok());
        assert!(one("SET client_encoding = 'UNICODE'").is_ok());
        for refused in ["SET client_encoding = 'LATIN1'", "SET pool_size = 5"] {
            assert_eq!(one(refused).unwrap_err().code, SqlState::FEATURE_NOT_SUPPORTED);
        }
        for wrong in ["SET", "SET x", "SET x 5", "SET application_name = ;", "SET a = b c"] {
            assert_eq!(one(wrong).unwrap_err().code, SqlState::SYNTAX_ERROR, "{wrong}");
        }
    }

    #[test]
    fn a_transaction_block_may_be_opened_and_ended_in_every_spelling() {
        for text in ["BEGIN", "begin isolation level serializable", "START TRANSACTION READ ONLY"] {
            assert_eq!(one(text), Ok(Command::Begin), "{text}");
        }
        assert_eq!(one("END"), Ok(Command::Commit));
        assert_eq!(one("ABORT"), Ok(Command::Rollback));
        assert!(one("START").is_err());
    }

    #[test]
    fn what_drivers_prepared_they_may_give_up() {
        assert_eq!(one("DEALLOCATE ALL"), Ok(Command::Deallocate(None)));
        assert_eq!(one("deallocate prepare all"), Ok(Command::Deallocate(None)));
        assert_eq!(one("DEALLOCATE \"_pg3_0\""), Ok(Command::Deallocate(Some("_pg3_0".into()))));
        assert_eq!(one("DISCARD ALL"), Ok(Command::DiscardAll));
        for wrong in ["DEALLOCATE", "DEALLOCATE a b", "DISCARD", "DISCARD TEMP", "DISCARD ALL x"] {
            assert_eq!(one(wrong).unwrap_err().code, SqlState::SYNTAX_ERROR, "{wrong}");
        }
    }

    #[test]
    fn a_mistake_in_a_later_statement_stops_the_first() {
        assert!(Command::parse_all("PAUSE; RESUM").is_err());
        assert_eq!(Command::parse_all("PAUSE; RESUME").unwrap().len(), 2);
        assert_eq!(Command::parse_all("  ").unwrap(), []);
    }

    #[test]
    fn only_show_and_what_drivers_need_may_be_said_by_those_who_only_look() {
        for text in ["SHOW POOLS", "HELP", "BEGIN", "COMMIT", "SET application_name = x"] {
            assert!(one(text).unwrap().only_looks(), "{text}");
        }
        for text in ["PAUSE", "RESUME", "RECONNECT", "RELOAD", "SHUTDOWN"] {
            assert!(!one(text).unwrap().only_looks(), "{text}");
        }
    }
}

//! One operator's conversation: what each message leads to.

use std::sync::Arc;

use trunkline_proxy::{handover::ConsoleLogin, seats::Seat};
use trunkline_wire::{
    SqlState,
    backend::{self, Report},
    frontend::{self, Bind, Close, Describe, Execute, Parse, Query, tag},
};

use super::{
    block::Block,
    command::{Command, PARAMETERS},
    extended::{Extended, Progress, columns, text},
    line::{End, Line},
    perform::{Console, Operator, Outcome},
    refusal::Refusal,
    table::{Formats, Row, Value, write_columns, write_row},
};
use crate::{pooler::Pooler, serve::Ends};

/// Serves a login until the client leaves or the program ends.
pub(crate) async fn serve_login<P: Pooler>(
    console: Arc<Console<P>>,
    login: ConsoleLogin,
    seat: Seat,
    ends: Ends,
) {
    let operator = Operator { user: login.user, rights: login.rights, peer: login.peer };
    let application_name = String::from(login.startup.application_name.unwrap_or_default());
    let mut session = Session {
        line: Line::new(login.stream, ends),
        parameters: parameters(&operator.user, &application_name),
        application_name,
        console,
        operator,
        seat,
        extended: Extended::default(),
        block: Block::None,
        skipping: false,
    };
    let end = session.run().await;
    session.line.part(end).await;
    // The place among the clients is given back when nothing of the session is left.
    drop(session);
    drop(login.slot);
}

/// What becomes of a command that its operator waits for no longer.
fn cancelled_by_client(command: &Command) -> Refusal {
    let refusal = Refusal::new(SqlState::QUERY_CANCELED, "canceling statement due to user request");
    match command {
        Command::Pause(_) => refusal
            .with_detail("The pause goes on; only the wait for its end is over.")
            .with_hint("RESUME ends it."),
        _ => refusal.with_detail("What was begun goes on."),
    }
}

/// The values of [`PARAMETERS`] at the start of a session.
fn parameters(user: &str, application_name: &str) -> Vec<(&'static str, String)> {
    let value = |name| match name {
        // The form of PgBouncer's own, so that clients see a pooler and not a PostgreSQL of that version.
        "server_version" => concat!(env!("CARGO_PKG_VERSION"), "/trunkline"),
        "server_encoding" | "client_encoding" => "UTF8",
        "application_name" => application_name,
        "session_authorization" => user,
        "DateStyle" => "ISO, MDY",
        "TimeZone" => "UTC",
        "integer_datetimes" | "standard_conforming_strings" => "on",
        // is_superuser
        _ => "off",
    };
    PARAMETERS.into_iter().map(|name| (name, value(name).to_owned())).collect()
}

struct Session<P> {
    line: Line,
    console: Arc<Console<P>>,
    operator: Operator,
    /// By which a cancel request finds this session.
    seat: Seat,
    /// What `SHOW` says of this session.
    parameters: Vec<(&'static str, String)>,
    /// As it was at the login.
    application_name: String,
    extended: Extended,
    block: Block,
    /// After an error in the extended protocol: messages are ignored until the next Sync.
    skipping: bool,
}

/// Within a session that goes on: done, or why not.
type Done<T> = Result<T, Refusal>;

impl<P: Pooler> Session<P> {
    async fn run(&mut self) -> End {
        self.greet();
        loop {
            let (tag, body) = match self.line.next_message().await {
                Ok(message) => message,
                Err(end) => return end,
            };
            if tag == tag::TERMINATE {
                return End::Gone;
            }
            if let Err(end) = self.on_message(tag, &body).await {
                return end;
            }
        }
    }

    /// What follows `AuthenticationOk`.
    fn greet(&mut self) {
        for (name, value) in &self.parameters {
            backend::parameter_status(&mut self.line.out, name.as_bytes(), value.as_bytes());
        }
        backend::backend_key_data(&mut self.line.out, self.seat.pid(), self.seat.key());
        self.ready();
    }

    async fn on_message(&mut self, tag: u8, body: &[u8]) -> Result<(), End> {
        if self.skipping && tag != tag::SYNC {
            return Ok(());
        }
        let done = match tag {
            tag::QUERY => return self.simple(body).await,
            tag::SYNC => {
                self.skipping = false;
                self.ready();
                return Ok(());
            }
            tag::FUNCTION_CALL => {
                let message = "the console has no functions";
                self.fail(&Refusal::new(SqlState::FEATURE_NOT_SUPPORTED, message));
                self.ready();
                return Ok(());
            }
            tag::PARSE => self.on_parse(body),
            tag::BIND => self.on_bind(body),
            tag::DESCRIBE => self.on_describe(body),
            tag::EXECUTE => self.on_execute(body).await?,
            tag::CLOSE => self.on_close(body),
            // Flush: everything is sent before the next read anyway. What is left of a COPY that has failed is ignored,
            // as in PostgreSQL.
            _ => Ok(()),
        };
        if let Err(refusal) = done {
            self.fail(&refusal);
            self.skipping = true;
        }
        Ok(())
    }

    /// All statements of a message, up to the first that fails.
    async fn simple(&mut self, body: &[u8]) -> Result<(), End> {
        self.extended.forget_unnamed();
        let query = Query::parse(body).map_err(Refusal::from);
        let commands = query.and_then(|query| Command::parse_all(text(query.text)?));
        match commands {
            Err(refusal) => self.fail(&refusal),
            Ok(commands) if commands.is_empty() => {
                backend::empty_query_response(&mut self.line.out);
            }
            Ok(commands) => {
                for command in &commands {
                    if let Err(refusal) = self.simple_command(command).await? {
                        self.fail(&refusal);
                        break;
                    }
                }
            }
        }
        self.ready();
        Ok(())
    }

    async fn simple_command(&mut self, command: &Command) -> Result<Done<()>, End> {
        let (tag, outcome) = match self.carry_out(command).await? {
            Ok(done) => done,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let (Some(columns), Some(rows)) = (columns(command), &outcome.rows) {
            write_columns(&mut self.line.out, &columns, &Formats::TEXT);
            for row in rows {
                write_row(&mut self.line.out, row, &Formats::TEXT);
                self.line.flush_if_large().await?;
            }
        }
        self.complete(tag, &outcome).await?;
        Ok(Ok(()))
    }

    fn on_parse(&mut self, body: &[u8]) -> Done<()> {
        self.extended.parse(&Parse::parse(body)?)?;
        backend::parse_complete(&mut self.line.out);
        Ok(())
    }

    fn on_bind(&mut self, body: &[u8]) -> Done<()> {
        self.extended.bind(&Bind::parse(body)?)?;
        backend::bind_complete(&mut self.line.out);
        Ok(())
    }

    fn on_describe(&mut self, body: &[u8]) -> Done<()> {
        let target = Describe::parse(body)?;
        let (statement, formats) = if target.kind == frontend::STATEMENT {
            let statement = self.extended.statement(target.name)?;
            backend::parameter_description(&mut self.line.out, []);
            (statement, &Formats::TEXT)
        } else {
            let portal = self.extended.portal(target.name)?;
            (&portal.statement, &portal.formats)
        };
        match statement.as_ref().and_then(columns) {
            Some(columns) => write_columns(&mut self.line.out, &columns, formats),
            None => backend::no_data(&mut self.line.out),
        }
        Ok(())
    }

    fn on_close(&mut self, body: &[u8]) -> Done<()> {
        let target = Close::parse(body)?;
        if target.kind == frontend::STATEMENT {
            self.extended.close_statement(target.name);
        } else {
            self.extended.close_portal(target.name);
        }
        backend::close_complete(&mut self.line.out);
        Ok(())
    }

    /// Runs a portal, or goes on with one that was suspended.
    async fn on_execute(&mut self, body: &[u8]) -> Result<Done<()>, End> {
        let message = match Execute::parse(body) {
            Ok(message) => message,
            Err(malformed) => return Ok(Err(malformed.into())),
        };
        let portal = match self.extended.portal(message.portal) {
            Ok(portal) => portal,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let progress = std::mem::replace(&mut portal.progress, Progress::Done);
        let Some(command) = portal.statement.clone() else {
            backend::empty_query_response(&mut self.line.out);
            return Ok(Ok(()));
        };
        let (tag, mut outcome) = match progress {
            Progress::Suspended(rows) => {
                (command.tag(), Outcome { rows: Some(rows.collect()), ..Outcome::default() })
            }
            Progress::New => match self.carry_out(&command).await? {
                Ok(done) => done,
                Err(refusal) => return Ok(Err(refusal)),
            },
            Progress::Done => {
                let name = String::from_utf8_lossy(message.portal);
                let code = SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
                return Ok(Err(Refusal::new(code, format!("portal \"{name}\" cannot be run"))));
            }
        };
        let rows = outcome.rows.take().unwrap_or_default().into_iter();
        self.send_rows(&message, rows, tag, &outcome).await?;
        Ok(Ok(()))
    }

    /// Sends rows of a portal up to the limit, and its end or that there is more.
    async fn send_rows(
        &mut self,
        message: &Execute<'_>,
        mut rows: std::vec::IntoIter<Row>,
        tag: &str,
        outcome: &Outcome,
    ) -> Result<(), End> {
        // 0 and less mean all.
        let limit = usize::try_from(message.max_rows).ok().filter(|limit| *limit > 0);
        // A command that ends the transaction has ended its portal too; it has no rows then.
        let portal = self.extended.portal(message.portal);
        let formats = portal.map_or(Formats::TEXT, |portal| portal.formats.clone());
        for row in rows.by_ref().take(limit.unwrap_or(usize::MAX)) {
            write_row(&mut self.line.out, &row, &formats);
            self.line.flush_if_large().await?;
        }
        if rows.len() == 0 {
            return self.complete(tag, outcome).await;
        }
        if let Ok(portal) = self.extended.portal(message.portal) {
            portal.progress = Progress::Suspended(rows);
        }
        backend::portal_suspended(&mut self.line.out);
        Ok(())
    }

    /// Runs a command and says under which tag it has ended.
    async fn carry_out(&mut self, command: &Command) -> Result<Done<(&'static str, Outcome)>, End> {
        let tag = match self.block.admit(command) {
            Ok(tag) => tag,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut outcome = match self.ask(command).await? {
            Ok(outcome) => outcome,
            Err(refusal) => return Ok(Err(refusal)),
        };
        outcome.notices.extend(self.block.follow(command));
        match command {
            Command::Commit | Command::Rollback => self.extended.end_transaction(),
            Command::Set(name, value) => self.set(name, value),
            Command::Deallocate(None) => self.extended.deallocate_all(),
            Command::Deallocate(Some(name)) => {
                // As in PostgreSQL: to give up what is not there is an error here, and none in the protocol's Close.
                if let Err(refusal) = self.extended.statement(name.as_bytes()) {
                    return Ok(Err(refusal));
                }
                self.extended.close_statement(name.as_bytes());
            }
            Command::DiscardAll => {
                self.extended = Extended::default();
                let name = self.application_name.clone();
                self.set("application_name", &name);
            }
            Command::ShowParameter(name) => {
                let found = self.parameters.iter().find(|(known, _)| known == name);
                let value = found.map(|(_, value)| value.as_str());
                outcome.rows = Some(vec![vec![Value::optional(value)]]);
            }
            _ => {}
        }
        Ok(Ok((tag, outcome)))
    }

    /// Asks the console. While a command waits for something, the client is watched: when it leaves or cancels, nobody
    /// waits.
    async fn ask(&mut self, command: &Command) -> Result<Done<Outcome>, End> {
        let asked = self.console.perform(command, &self.operator);
        if !matches!(command, Command::Pause(_) | Command::Reload) {
            return Ok(asked.await);
        }
        self.line.flush().await?;
        let cancelled = self.seat.cancelled();
        tokio::select! {
            outcome = asked => Ok(outcome),
            () = cancelled => Ok(Err(cancelled_by_client(command))),
            end = self.line.watch() => Err(end),
        }
    }

    fn set(&mut self, name: &str, value: &str) {
        // The encoding is UTF8 whatever name it was given, and floats are not shown: only one parameter changes.
        if let Some((known, kept)) = self.parameters.iter_mut().find(|(known, _)| *known == name)
            && *known == "application_name"
        {
            value.clone_into(kept);
            let out = &mut self.line.out;
            backend::parameter_status(out, name.as_bytes(), value.as_bytes());
        }
    }

    /// The end of a command that went well.
    async fn complete(&mut self, tag: &str, outcome: &Outcome) -> Result<(), End> {
        for notice in &outcome.notices {
            let report = Report::new(notice.severity, notice.code, &notice.message);
            let report = Report { detail: notice.detail.as_deref(), ..report };
            backend::notice_response(&mut self.line.out, &report);
        }
        backend::command_complete(&mut self.line.out, tag.as_bytes());
        if let (Some(mode), Some(hook)) = (outcome.shutdown, &self.console.shutdown) {
            let hook = Arc::clone(hook);
            // The answer first: the program may be gone soon.
            self.line.flush().await?;
            hook(mode);
        }
        Ok(())
    }

    /// The error, and what it does to the transaction block.
    fn fail(&mut self, refusal: &Refusal) {
        refusal.write(&mut self.line.out);
        self.block.fail();
    }

    fn ready(&mut self) {
        if self.block == Block::None {
            self.extended.end_transaction();
        }
        backend::ready_for_query(&mut self.line.out, self.block.status());
    }
}

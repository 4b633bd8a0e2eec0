//! One operator's conversation: messages in, messages out.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    time::timeout,
};
use trunkline_proxy::handover::{ConsoleLogin, ConsoleStream};
use trunkline_wire::{
    SqlState,
    backend::{self, Report, status},
    frame::{self, HEADER},
    frontend::{self, Bind, Close, Describe, Execute, Parse, Query, tag},
};

use super::{
    command::{Command, PARAMETERS},
    extended::{Extended, Portal, Progress, columns, text},
    perform::{Console, Notice, Operator, Outcome},
    refusal::Refusal,
    table::{Formats, Value, write_columns, write_row},
};
use crate::{pooler::Pooler, serve::stopped};

/// Longest message an operator may send. Commands are short; this leaves room for a comment.
pub(super) const MAX_MESSAGE: usize = 64 << 10;

/// An answer is sent in pieces of about this size, so that a table of many clients is not held twice.
const FLUSH_AT: usize = 64 << 10;

/// How long a client may take to read a piece of an answer; then the session ends.
const WRITE_DEADLINE: Duration = Duration::from_secs(60);

/// How long a client may take to read the last words of a session.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(2);

/// The first process id that is told to an operator. Those of clients name a worker loop in their upper bits and there
/// is no such loop, so a cancel request with this number reaches nobody.
const FIRST_PID: u32 = 0x7F00_0001;

/// Numbers the sessions, so that each has a process id of its own for as long as there are 16 million of them.
static SESSIONS: AtomicU32 = AtomicU32::new(0);

/// Serves a login until the client leaves or `stop` says so.
pub(crate) async fn serve_login<P: Pooler>(
    console: Arc<Console<P>>,
    login: ConsoleLogin,
    stop: watch::Receiver<bool>,
) {
    let operator = Operator { user: login.user, rights: login.rights, peer: login.peer };
    let mut session = Session {
        stream: login.stream,
        input: BytesMut::new(),
        out: BytesMut::new(),
        stop,
        parameters: parameters(&operator.user, login.startup.application_name.as_deref()),
        console,
        operator,
        extended: Extended::default(),
        block: Block::None,
        skipping: false,
    };
    let end = session.run().await;
    session.part(end).await;
    // The place among the clients is given back when nothing of the session is left.
    drop(session);
    drop(login.slot);
}

/// The values of [`PARAMETERS`] at the start of a session.
fn parameters(user: &str, application_name: Option<&str>) -> Vec<(&'static str, String)> {
    let value = |name| match name {
        // The form of PgBouncer's own, so that clients see a pooler and not a PostgreSQL of that version.
        "server_version" => concat!(env!("CARGO_PKG_VERSION"), "/trunkline"),
        "server_encoding" | "client_encoding" => "UTF8",
        "application_name" => application_name.unwrap_or_default(),
        "session_authorization" => user,
        "DateStyle" => "ISO, MDY",
        "TimeZone" => "UTC",
        "integer_datetimes" | "standard_conforming_strings" => "on",
        // is_superuser
        _ => "off",
    };
    PARAMETERS.into_iter().map(|name| (name, value(name).to_owned())).collect()
}

/// Why a session ends.
#[derive(Debug)]
enum End {
    /// The client has left or is not reachable any more.
    Gone,
    /// The program stops.
    Stopped,
    /// The client cannot be understood any more.
    Fatal(Refusal),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Whether a transaction block is open. It changes nothing but what drivers see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    None,
    Open,
    Failed,
}

struct Session<P> {
    stream: Box<dyn ConsoleStream>,
    /// Read and not yet looked at; at most one message of the greatest length.
    input: BytesMut,
    /// To be written.
    out: BytesMut,
    stop: watch::Receiver<bool>,
    console: Arc<Console<P>>,
    operator: Operator,
    /// What `SHOW` says of this session.
    parameters: Vec<(&'static str, String)>,
    extended: Extended,
    block: Block,
    /// After an error in the extended protocol: messages are ignored until the next Sync.
    skipping: bool,
}

impl<P: Pooler> Session<P> {
    async fn run(&mut self) -> End {
        self.greet();
        loop {
            let (tag, body) = match self.next_message().await {
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
            backend::parameter_status(&mut self.out, name.as_bytes(), value.as_bytes());
        }
        let number = SESSIONS.fetch_add(1, Ordering::Relaxed) & 0x00FF_FFFF;
        let pid = i32::try_from(FIRST_PID.saturating_add(number)).unwrap_or(i32::MAX);
        backend::backend_key_data(&mut self.out, pid, &rand::random::<[u8; 4]>());
        self.ready();
    }

    /// Last words, where there is somebody to hear them.
    async fn part(&mut self, end: End) {
        let refusal = match end {
            End::Gone => return,
            End::Stopped => Refusal::new(
                SqlState::ADMIN_SHUTDOWN,
                "terminating connection due to administrator command",
            ),
            End::Fatal(refusal) => refusal,
        };
        refusal.fatal().write(&mut self.out);
        let words = async {
            self.stream.write_all(&self.out).await?;
            self.stream.shutdown().await
        };
        // Somebody who does not listen hears nothing.
        drop(timeout(FAREWELL_DEADLINE, words).await);
    }

    async fn on_message(&mut self, tag: u8, body: &[u8]) -> Result<(), End> {
        if self.skipping && tag != tag::SYNC {
            return Ok(());
        }
        match tag {
            tag::QUERY => return self.simple(body).await,
            tag::SYNC => {
                self.skipping = false;
                self.ready();
                return Ok(());
            }
            // Everything is sent before the next read anyway.
            tag::FLUSH => return Ok(()),
            // As in PostgreSQL: the rest of a COPY that has failed.
            tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL => return Ok(()),
            tag::FUNCTION_CALL => {
                let message = "the console has no functions";
                self.fail(&Refusal::new(SqlState::FEATURE_NOT_SUPPORTED, message));
                self.ready();
                return Ok(());
            }
            _ => {}
        }
        let done = match tag {
            tag::PARSE => self.on_parse(body),
            tag::BIND => self.on_bind(body),
            tag::DESCRIBE => self.on_describe(body),
            tag::CLOSE => self.on_close(body),
            // The only one left: others have been refused by their tag.
            _ => self.on_execute(body).await?,
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
            Ok(commands) if commands.is_empty() => backend::empty_query_response(&mut self.out),
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

    async fn simple_command(&mut self, command: &Command) -> Result<Result<(), Refusal>, End> {
        let (tag, outcome) = match self.carry_out(command).await? {
            Ok(done) => done,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let (Some(columns), Some(rows)) = (columns(command), &outcome.rows) {
            write_columns(&mut self.out, &columns, &Formats::TEXT);
            for row in rows {
                write_row(&mut self.out, row, &Formats::TEXT);
                self.flush_if_large().await?;
            }
        }
        self.complete(tag, &outcome).await?;
        Ok(Ok(()))
    }

    fn on_parse(&mut self, body: &[u8]) -> Result<(), Refusal> {
        self.extended.parse(&Parse::parse(body)?)?;
        backend::parse_complete(&mut self.out);
        Ok(())
    }

    fn on_bind(&mut self, body: &[u8]) -> Result<(), Refusal> {
        self.extended.bind(&Bind::parse(body)?)?;
        backend::bind_complete(&mut self.out);
        Ok(())
    }

    fn on_describe(&mut self, body: &[u8]) -> Result<(), Refusal> {
        let target = Describe::parse(body)?;
        let (statement, formats) = if target.kind == frontend::STATEMENT {
            let statement = self.extended.statement(target.name)?;
            backend::parameter_description(&mut self.out, []);
            (statement, &Formats::TEXT)
        } else {
            let portal = self.extended.portal(target.name)?;
            (&portal.statement, &portal.formats)
        };
        match statement.as_ref().and_then(columns) {
            Some(columns) => write_columns(&mut self.out, &columns, formats),
            None => backend::no_data(&mut self.out),
        }
        Ok(())
    }

    fn on_close(&mut self, body: &[u8]) -> Result<(), Refusal> {
        let target = Close::parse(body)?;
        if target.kind == frontend::STATEMENT {
            self.extended.close_statement(target.name);
        } else {
            self.extended.close_portal(target.name);
        }
        backend::close_complete(&mut self.out);
        Ok(())
    }

    /// Runs a portal, or goes on with one that was suspended.
    async fn on_execute(&mut self, body: &[u8]) -> Result<Result<(), Refusal>, End> {
        let (name, limit, statement, progress) = match self.start_execute(body) {
            Ok(started) => started,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(command) = statement else {
            backend::empty_query_response(&mut self.out);
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
                let message =
                    format!("portal \"{}\" cannot be run", String::from_utf8_lossy(&name));
                let code = SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
                return Ok(Err(Refusal::new(code, message)));
            }
        };
        let rows = outcome.rows.take().unwrap_or_default().into_iter();
        self.send_rows(&name, limit, rows, tag, &outcome).await?;
        Ok(Ok(()))
    }

    /// Takes what an Execute names: portal, greatest number of rows, what to run, how far it has come.
    fn start_execute(
        &mut self,
        body: &[u8],
    ) -> Result<(Box<[u8]>, usize, Option<Command>, Progress), Refusal> {
        let message = Execute::parse(body)?;
        // 0 and less mean all.
        let limit = usize::try_from(message.max_rows).ok().filter(|limit| *limit > 0);
        let portal = self.extended.portal(message.portal)?;
        let progress = std::mem::replace(&mut portal.progress, Progress::Done);
        Ok((message.portal.into(), limit.unwrap_or(usize::MAX), portal.statement.clone(), progress))
    }

    /// Sends rows of a portal up to the limit, and its end or that there is more.
    async fn send_rows(
        &mut self,
        name: &[u8],
        limit: usize,
        mut rows: std::vec::IntoIter<super::table::Row>,
        tag: &str,
        outcome: &Outcome,
    ) -> Result<(), End> {
        let formats = match self.extended.portal(name) {
            Ok(Portal { formats, .. }) => formats.clone(),
            // The portal has ended with the transaction that its command ended; it has no rows then.
            Err(_) => Formats::TEXT,
        };
        for row in rows.by_ref().take(limit) {
            write_row(&mut self.out, &row, &formats);
            self.flush_if_large().await?;
        }
        if rows.len() == 0 {
            return self.complete(tag, outcome).await;
        }
        if let Ok(portal) = self.extended.portal(name) {
            portal.progress = Progress::Suspended(rows);
        }
        backend::portal_suspended(&mut self.out);
        Ok(())
    }

    /// Runs a command and says under which tag it has ended.
    async fn carry_out(
        &mut self,
        command: &Command,
    ) -> Result<Result<(&'static str, Outcome), Refusal>, End> {
        let ends_block = matches!(command, Command::Commit | Command::Rollback);
        if self.block == Block::Failed && !ends_block {
            let message = "current transaction is aborted, \
                commands ignored until end of transaction block";
            return Ok(Err(Refusal::new(SqlState::IN_FAILED_SQL_TRANSACTION, message)));
        }
        let tag = if self.block == Block::Failed { "ROLLBACK" } else { command.tag() };
        let mut outcome = match self.ask(command).await? {
            Ok(outcome) => outcome,
            Err(refusal) => return Ok(Err(refusal)),
        };
        match command {
            Command::Begin | Command::Commit | Command::Rollback => {
                outcome.notices.extend(self.change_block(command));
            }
            Command::Set(name, value) => self.set(name, value),
            Command::ShowParameter(name) => {
                let found = self.parameters.iter().find(|(known, _)| known == name);
                let value = found.map(|(_, value)| value.as_str());
                outcome.rows = Some(vec![vec![Value::optional(value)]]);
            }
            _ => {}
        }
        Ok(Ok((tag, outcome)))
    }

    /// Asks the console. While a command waits for something, the client is watched: when it leaves, nobody waits.
    async fn ask(&mut self, command: &Command) -> Result<Result<Outcome, Refusal>, End> {
        let console = Arc::clone(&self.console);
        let operator = self.operator.clone();
        let asked = console.perform(command, &operator);
        if !matches!(command, Command::Pause(_) | Command::Reload) {
            return Ok(asked.await);
        }
        self.flush().await?;
        tokio::select! {
            outcome = asked => Ok(outcome),
            end = self.watch_client() => Err(end),
        }
    }

    /// Reads ahead until the client has gone or the program stops.
    async fn watch_client(&mut self) -> End {
        loop {
            let full = self.input.len() >= MAX_MESSAGE;
            tokio::select! {
                read = self.stream.read_buf(&mut self.input), if !full => match read {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return End::Gone,
                },
                () = stopped(&mut self.stop) => return End::Stopped,
            }
        }
    }

    /// Opens or ends the transaction block; says what is odd about it in PostgreSQL's words.
    fn change_block(&mut self, command: &Command) -> Option<Notice> {
        let (before, begins) = (self.block, *command == Command::Begin);
        self.block = if begins { Block::Open } else { Block::None };
        if !begins {
            self.extended.end_transaction();
        }
        match before {
            Block::None if !begins => Some(Notice::warning(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "there is no transaction in progress",
            )),
            Block::Open if begins => Some(Notice::warning(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "there is already a transaction in progress",
            )),
            _ => None,
        }
    }

    fn set(&mut self, name: &str, value: &str) {
        // The encoding is UTF8 whatever name it was given, and floats are not shown: only one parameter changes.
        if let Some((known, kept)) = self.parameters.iter_mut().find(|(known, _)| *known == name)
            && *known == "application_name"
        {
            value.clone_into(kept);
            backend::parameter_status(&mut self.out, name.as_bytes(), value.as_bytes());
        }
    }

    /// The end of a command that went well.
    async fn complete(&mut self, tag: &str, outcome: &Outcome) -> Result<(), End> {
        for notice in &outcome.notices {
            let report = Report::new(notice.severity, notice.code, &notice.message);
            let report = Report { detail: notice.detail.as_deref(), ..report };
            backend::notice_response(&mut self.out, &report);
        }
        backend::command_complete(&mut self.out, tag.as_bytes());
        if let (Some(mode), Some(hook)) = (outcome.shutdown, &self.console.shutdown) {
            let hook = Arc::clone(hook);
            // The answer first: the program may be gone soon.
            self.flush().await?;
            hook(mode);
        }
        Ok(())
    }

    /// The error, and what it does to the transaction block.
    fn fail(&mut self, refusal: &Refusal) {
        refusal.write(&mut self.out);
        if self.block == Block::Open {
            self.block = Block::Failed;
        }
    }

    fn ready(&mut self) {
        let status = match self.block {
            Block::None => status::IDLE,
            Block::Open => status::IN_TRANSACTION,
            Block::Failed => status::FAILED,
        };
        if self.block == Block::None {
            self.extended.end_transaction();
        }
        backend::ready_for_query(&mut self.out, status);
    }

    /// The next message; what was answered so far is sent before waiting for it.
    async fn next_message(&mut self) -> Result<(u8, Bytes), End> {
        loop {
            if let Some(message) = self.buffered_message()? {
                self.flush_if_large().await?;
                return Ok(message);
            }
            self.flush().await?;
            tokio::select! {
                read = self.stream.read_buf(&mut self.input) => if read? == 0 {
                    return Err(End::Gone);
                },
                () = stopped(&mut self.stop) => return Err(End::Stopped),
            }
        }
    }

    /// Takes a whole message from what has been read; refuses one that need not be read to its end.
    fn buffered_message(&mut self) -> Result<Option<(u8, Bytes)>, End> {
        let header = match frame::peek(&self.input) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(None),
            Err(error) => {
                let refusal = Refusal::new(error.sqlstate(), error.to_string());
                return Err(End::Fatal(refusal));
            }
        };
        if !frontend::is_known(header.tag) || header.tag == tag::PASSWORD {
            let message = format!("invalid frontend message type {}", header.tag);
            return Err(End::Fatal(Refusal::protocol(message)));
        }
        if header.len > MAX_MESSAGE {
            let message = format!("a message to the console has at most {MAX_MESSAGE} bytes");
            return Err(End::Fatal(Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)));
        }
        if self.input.len() < header.len {
            return Ok(None);
        }
        let mut message = self.input.split_to(header.len).freeze();
        message.advance(HEADER);
        Ok(Some((header.tag, message)))
    }

    async fn flush_if_large(&mut self) -> Result<(), End> {
        if self.out.len() >= FLUSH_AT { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), End> {
        if self.out.is_empty() {
            return Ok(());
        }
        let written = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        timeout(WRITE_DEADLINE, written).await.map_err(|_| End::Gone)??;
        self.out.clear();
        Ok(())
    }
}

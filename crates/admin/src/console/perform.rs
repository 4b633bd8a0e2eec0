//! Carrying a command out.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use trunkline_proxy::{engine::report::LoopReport, handover::ConsoleRights, net::Peer};
use trunkline_wire::{SqlState, backend::Severity};

use super::{
    command::{Command, ShutdownMode, VERBS},
    refusal::Refusal,
    table::Row,
    tables::View,
};
use crate::{
    averages::Marks,
    pooler::Pooler,
    pools,
    serve::ShutdownHook,
    snapshot::{self, Snapshot, Unanswered},
};

/// How long `PAUSE` waits for the server connections to be given back and closed. Operators' scripts have deadlines of
/// their own; a minute is longer than a transaction should be.
pub(super) const PAUSE_DEADLINE: Duration = Duration::from_secs(60);

/// How often a waiting `PAUSE` looks: seldom enough to be no load, often enough to be no delay to a person.
const PAUSE_INTERVAL: Duration = Duration::from_millis(50);

/// How many times as long as the worker loops took to answer they are left alone, so that a `PAUSE` with very many
/// clients costs them a tenth of their time at most.
const PAUSE_REST: u32 = 10;

/// Clients that are named when `PAUSE` gives up; the others are counted.
const MAX_NAMED: usize = 10;

/// How long `RELOAD` may take: it reads files.
pub(super) const RELOAD_DEADLINE: Duration = Duration::from_secs(30);

/// Changes that `RELOAD` names; the others are counted.
const MAX_CHANGES: usize = 100;

/// What every session of the console works with.
pub(crate) struct Console<P> {
    pub(crate) pooler: P,
    /// Counters of some time ago.
    pub(crate) marks: watch::Receiver<Arc<Marks>>,
    /// The beginning of the clock of the marks.
    pub(crate) origin: Instant,
    /// Stops the program.
    pub(crate) shutdown: Option<ShutdownHook>,
}

impl<P> fmt::Debug for Console<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("shutdown", &self.shutdown.is_some())
            .finish_non_exhaustive()
    }
}

/// Who gives commands.
#[derive(Debug, Clone)]
pub(super) struct Operator {
    pub(super) user: Arc<str>,
    pub(super) rights: ConsoleRights,
    pub(super) peer: Peer,
}

/// Something to tell beside the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) severity: Severity,
    pub(super) code: SqlState,
    pub(super) message: String,
    pub(super) detail: Option<String>,
}

impl Notice {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Notice,
            code: SqlState::SUCCESSFUL_COMPLETION,
            message: message.into(),
            detail: None,
        }
    }

    pub(super) fn warning(code: SqlState, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, code, ..Self::new(message) }
    }
}

/// What a command has led to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Rows, if the command answers with rows.
    pub(super) rows: Option<Vec<Row>>,
    /// What is told before the end.
    pub(super) notices: Vec<Notice>,
    /// The program is to be stopped once the answer has been sent.
    pub(super) shutdown: Option<ShutdownMode>,
}

impl From<Unanswered> for Refusal {
    fn from(unanswered: Unanswered) -> Self {
        Self::new(SqlState::INTERNAL_ERROR, unanswered.to_string())
    }
}

impl<P: Pooler> Console<P> {
    /// Carries out a command that concerns the pooler; commands of the session itself lead to nothing here.
    pub(super) async fn perform(
        &self,
        command: &Command,
        operator: &Operator,
    ) -> Result<Outcome, Refusal> {
        if !command.only_looks() {
            permit(command, operator)?;
        }
        match command {
            Command::Show(view) => self.show(*view).await,
            Command::Help => Ok(Outcome { notices: vec![help()], ..Outcome::default() }),
            Command::Pause(database) => self.pause(database.as_deref()).await,
            Command::Resume(database) => self.resume(database.as_deref()),
            Command::Reconnect(database) => {
                self.known(database.as_deref())?;
                self.pooler.reconnect(database.as_deref());
                Ok(Outcome::default())
            }
            Command::Reload => self.reload().await,
            Command::Shutdown(mode) => self.shutdown(*mode),
            Command::ShowParameter(_)
            | Command::Set(..)
            | Command::Begin
            | Command::Commit
            | Command::Rollback
            | Command::Deallocate(_)
            | Command::DiscardAll => Ok(Outcome::default()),
        }
    }

    /// Everything about the pooler now.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, Unanswered> {
        let marks = Arc::clone(&self.marks.borrow());
        let now_us = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        Snapshot::take(&self.pooler, marks, now_us).await
    }

    async fn show(&self, view: View) -> Result<Outcome, Refusal> {
        let snapshot = self.snapshot().await?;
        Ok(Outcome { rows: Some(view.rows(&snapshot)), ..Outcome::default() })
    }

    /// An error if no client can have this database. The wildcard of the settings lets every name in.
    fn known(&self, database: Option<&str>) -> Result<(), Refusal> {
        let Some(name) = database else { return Ok(()) };
        let settings = self.pooler.settings();
        if settings.is_console(name) {
            let message = format!("database \"{name}\" is the console");
            return Err(Refusal::new(SqlState::INVALID_CATALOG_NAME, message));
        }
        if settings.databases.find(name).is_none() {
            let message = format!("no such database: {name}");
            return Err(Refusal::new(SqlState::INVALID_CATALOG_NAME, message)
                .with_hint("SHOW DATABASES lists them."));
        }
        Ok(())
    }

    /// As in PgBouncer, the server connections are closed too, so that PostgreSQL can be stopped meanwhile.
    async fn pause(&self, database: Option<&str>) -> Result<Outcome, Refusal> {
        self.known(database)?;
        self.pooler.pause(database);
        self.pooler.reconnect(database);
        let deadline = Instant::now() + PAUSE_DEADLINE;
        loop {
            let asked = Instant::now();
            let loops = snapshot::report(&self.pooler).await?;
            let took = asked.elapsed();
            let open = servers_left(&loops, database);
            if open == 0 {
                return Ok(Outcome::default());
            }
            if Instant::now() >= deadline {
                return Err(still_held(&loops, database, open));
            }
            sleep(PAUSE_INTERVAL.max(took.saturating_mul(PAUSE_REST))).await;
        }
    }

    fn resume(&self, database: Option<&str>) -> Result<Outcome, Refusal> {
        self.known(database)?;
        let was_paused = database.is_none_or(|name| self.pooler.is_paused(name));
        self.pooler.resume(database);
        let notice = (!was_paused).then(|| Notice::new("the database was not paused"));
        Ok(Outcome { notices: notice.into_iter().collect(), ..Outcome::default() })
    }

    async fn reload(&self) -> Result<Outcome, Refusal> {
        let failed = |why: String| {
            Refusal::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "nothing was reloaded")
                .with_detail(why)
        };
        let late = || format!("reading the settings took longer than {RELOAD_DEADLINE:?}");
        let changes = timeout(RELOAD_DEADLINE, self.pooler.reload())
            .await
            .map_err(|_| failed(late()))?
            .map_err(failed)?;
        let more = changes.len().saturating_sub(MAX_CHANGES);
        let mut notices: Vec<Notice> =
            changes.into_iter().take(MAX_CHANGES).map(Notice::new).collect();
        if more > 0 {
            notices.push(Notice::new(format!("and {more} more changes")));
        }
        Ok(Outcome { notices, ..Outcome::default() })
    }

    fn shutdown(&self, mode: ShutdownMode) -> Result<Outcome, Refusal> {
        if self.shutdown.is_none() {
            let message = "the program cannot be stopped from the console";
            return Err(Refusal::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        Ok(Outcome { shutdown: Some(mode), ..Outcome::default() })
    }
}

/// Logs a command that changes something, or refuses it.
fn permit(command: &Command, operator: &Operator) -> Result<(), Refusal> {
    let (verb, user) = (command.tag(), &operator.user);
    if operator.rights == ConsoleRights::Admin {
        let (client, database) = (operator.peer, command.database());
        tracing::info!(user = &**user, %client, database, "console: {verb}");
        return Ok(());
    }
    let message = format!("user \"{user}\" may only look at the console, not say {verb}");
    Err(Refusal::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
        .with_hint("Every command is for the users in console.admin_users."))
}

/// Server connections of a database, or of all, that are open or being opened.
fn servers_left(loops: &[LoopReport], database: Option<&str>) -> usize {
    let pools = pools::merge(loops);
    let wanted =
        pools.iter().filter(|((name, _), _)| database.is_none_or(|wanted| **name == *wanted));
    wanted.map(|(_, pool)| pool.servers()).sum()
}

/// Says who still holds a server connection.
fn still_held(loops: &[LoopReport], database: Option<&str>, open: usize) -> Refusal {
    let holders: Vec<String> = loops
        .iter()
        .flat_map(|report| &report.clients)
        .filter(|client| client.server_pid.is_some())
        .filter(|client| database.is_none_or(|wanted| *client.database == *wanted))
        .map(|client| {
            let (user, database, peer) = (&client.user, &client.database, client.peer);
            let silent = Duration::from_micros(client.silent_us).as_secs();
            format!("pid {}: {user}@{database} from {peer}, silent for {silent} s", client.pid)
        })
        .collect();
    let named: Vec<&str> = holders.iter().take(MAX_NAMED).map(String::as_str).collect();
    let more = match holders.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let message = format!(
        "paused, but {open} server connections are still open after {} s",
        PAUSE_DEADLINE.as_secs()
    );
    let detail = match named.as_slice() {
        [] => "No client holds one.".to_owned(),
        named => format!("Clients that hold one: {}{more}.", named.join("; ")),
    };
    Refusal::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).with_detail(detail).with_hint(
        "The pause goes on: no further server is given out. RESUME ends it; PAUSE again waits further.",
    )
}

fn help() -> Notice {
    let views: Vec<&str> = View::ALL.into_iter().map(View::name).collect();
    let mut lines = vec![format!("SHOW {}|HELP", views.join("|"))];
    lines.extend(VERBS.into_iter().skip(1).map(str::to_owned));
    // As PgBouncer does, so that psql shows each on a line of its own.
    let detail = format!("\n\t{}", lines.join("\n\t"));
    Notice { detail: Some(detail), ..Notice::new("Console usage") }
}

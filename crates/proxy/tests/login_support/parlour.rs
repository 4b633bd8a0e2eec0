//! A front without a data path: whoever logs in is welcomed and gets the same answer to every query, its
//! user and database.

use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use tokio::process::Command;
use tokio::sync::mpsc;
use trunkline_proxy::backend::KeyRing;
use trunkline_proxy::frontend::{Frontend, Listeners, PasswordSource, Serving};
use trunkline_proxy::handover::{
    CancelTicket, ConsoleLogin, ConsoleRights, Handoff, LoggedIn, Replication, ReplicationLogin,
    StartupParams,
};
use trunkline_proxy::net::{AsyncSocket, Channel};
use trunkline_settings::{Listen, Settings, SocketDir, User, UserPassword, hba};
use trunkline_wire::backend::{
    Column, backend_key_data, command_complete, data_row, parameter_status, ready_for_query,
    row_description,
};

/// The longest message the parlour listens to.
const LONGEST: usize = 1 << 20;

/// How often another port is drawn when somebody else took one.
const PORT_DRAWS_MAX: usize = 5;

/// Cancel requests that came in: pid and key.
pub type Cancels = Arc<Mutex<Vec<(i32, Vec<u8>)>>>;

/// What was handed over.
#[derive(Debug)]
pub struct Visit {
    pub user: String,
    pub database: String,
    pub method: &'static str,
    pub encrypted: bool,
    pub startup: StartupParams,
    pub replication: Option<Replication>,
}

pub struct Parlour {
    pub frontend: Frontend,
    pub ring: Arc<KeyRing>,
    pub port: u16,
    pub directory: tempfile::TempDir,
    pub visits: mpsc::UnboundedReceiver<Visit>,
    pub cancels: Cancels,
    pub consoles: Arc<Mutex<Vec<ConsoleRights>>>,
    _serving: Serving,
}

struct Host {
    visits: mpsc::UnboundedSender<Visit>,
    cancels: Cancels,
    consoles: Arc<Mutex<Vec<ConsoleRights>>>,
}

impl Handoff for Host {
    fn logged_in(&self, client: LoggedIn) {
        let visit = Visit {
            user: client.user.to_string(),
            database: client.database.to_string(),
            method: client.method,
            encrypted: client.tls.is_some(),
            startup: client.startup.clone(),
            replication: None,
        };
        let answer = format!("{}@{}", client.user, client.database);
        self.visits.send(visit).ok();
        tokio::spawn(async move {
            let socket = AsyncSocket::new(client.socket).unwrap();
            let channel = Channel::resume(socket, client.tls, client.early);
            converse(channel, &answer).await.ok();
            drop(client.slot);
        });
    }

    /// Closed when it has been seen.
    fn replication(&self, login: ReplicationLogin) {
        let visit = Visit {
            user: login.user.to_string(),
            database: login.database.as_deref().unwrap_or_default().to_owned(),
            method: "",
            encrypted: login.channel.tls().is_some(),
            startup: login.startup,
            replication: Some(login.kind),
        };
        self.visits.send(visit).ok();
    }

    fn cancel(&self, pid: i32, key: &[u8], _: CancelTicket) {
        self.cancels.lock().unwrap().push((pid, key.to_vec()));
    }

    fn console(&self, login: ConsoleLogin) {
        use tokio::io::AsyncWriteExt;
        self.consoles.lock().unwrap().push(login.rights);
        tokio::spawn(async move {
            let mut login = login;
            login.stream.write_all(&welcome()).await.unwrap();
            login.stream.flush().await.unwrap();
            // Keeps the connection until the client leaves.
            let mut ignored = [0; 1024];
            while tokio::io::AsyncReadExt::read(&mut login.stream, &mut ignored)
                .await
                .is_ok_and(|n| n > 0)
            {}
        });
    }
}

fn welcome() -> BytesMut {
    let mut out = BytesMut::new();
    parameter_status(&mut out, b"client_encoding", b"UTF8");
    parameter_status(&mut out, b"server_version", b"15.0");
    parameter_status(&mut out, b"standard_conforming_strings", b"on");
    backend_key_data(&mut out, 42, &[1, 2, 3, 4]);
    ready_for_query(&mut out, b'I');
    out
}

async fn converse(mut channel: Channel, answer: &str) -> std::io::Result<()> {
    channel.send(&welcome()).await?;
    loop {
        let message = channel.message(LONGEST).await?;
        match message.tag {
            b'Q' => {
                let mut out = BytesMut::new();
                row_description(&mut out, &[Column::text(b"who")]);
                data_row(&mut out, [Some(answer.as_bytes())]);
                command_complete(&mut out, b"SELECT 1");
                ready_for_query(&mut out, b'I');
                channel.send(&out).await?;
            }
            _ => return channel.close().await,
        }
    }
}

impl Parlour {
    pub fn open(settings: Settings) -> Self {
        Self::with_source(settings, None)
    }

    /// Listens on a free TCP port and on a Unix socket.
    pub fn with_source(mut settings: Settings, source: Option<Arc<dyn PasswordSource>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        settings.listen.unix_socket_dir = Some(SocketDir::Path(directory.path().to_owned()));
        let (listeners, port) = listeners(&mut settings.listen);
        let (sender, visits) = mpsc::unbounded_channel();
        let cancels = Arc::new(Mutex::new(Vec::new()));
        let consoles = Arc::new(Mutex::new(Vec::new()));
        let host =
            Host { visits: sender, cancels: Arc::clone(&cancels), consoles: Arc::clone(&consoles) };
        let ring = Arc::new(KeyRing::new());
        let frontend =
            Frontend::new(&Arc::new(settings), Arc::new(host), Arc::clone(&ring), source).unwrap();
        let serving = frontend.serve(listeners);
        Self { frontend, ring, port, directory, visits, cancels, consoles, _serving: serving }
    }

    /// Runs psql over TCP with this connection string added.
    pub async fn psql(&self, password: &str, conninfo: &str) -> Output {
        let conninfo = format!("host=127.0.0.1 port={} dbname=shop {conninfo}", self.port);
        psql(password, &conninfo).await
    }

    /// Runs psql over the Unix socket.
    pub async fn psql_local(&self, password: &str, conninfo: &str) -> Output {
        let directory = self.directory.path().display();
        psql(password, &format!("host={directory} port={} dbname=shop {conninfo}", self.port)).await
    }
}

/// Binds to a free TCP port. Somebody else may take one between draw and bind.
fn listeners(listen: &mut Listen) -> (Listeners, u16) {
    for _ in 0..PORT_DRAWS_MAX {
        let port = trunkline_testkit::ports::free_port().unwrap();
        listen.addresses = vec![([127, 0, 0, 1], port).into()];
        if let Ok(listeners) = Listeners::bind(listen) {
            return (listeners, port);
        }
    }
    panic!("{PORT_DRAWS_MAX} ports were taken");
}

async fn psql(password: &str, conninfo: &str) -> Output {
    Command::new("psql")
        .args(["-XAtw", "-c", "SELECT who", "-d", conninfo])
        .env("PGPASSWORD", password)
        .env("PGCONNECT_TIMEOUT", "20")
        .env_remove("PGSSLMODE")
        .output()
        .await
        .unwrap()
}

/// What psql printed, when it succeeded.
pub fn answer(output: &Output) -> String {
    assert!(output.status.success(), "psql failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What psql complained about, when it failed.
pub fn complaint(output: &Output) -> String {
    assert!(
        !output.status.success(),
        "psql succeeded: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// Settings with these users and passwords.
pub fn settings(users: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::default();
    for (name, password) in users {
        let password = Some(UserPassword::parse(password).unwrap());
        settings.users.0.insert((*name).to_owned(), User { password, ..User::default() });
    }
    settings
}

/// Puts rules in the place of the default method.
pub fn with_rules(mut settings: Settings, rules: &str) -> Settings {
    let files = trunkline_settings::MemoryFiles::default();
    let parsed = hba::parse(Path::new("pg_hba.conf"), rules, &files);
    settings.access.rules = Some(parsed.unwrap_or_else(|_| panic!("bad rules: {rules}")));
    settings
}

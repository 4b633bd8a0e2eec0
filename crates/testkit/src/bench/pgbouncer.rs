//! PgBouncer as a process of its own, in transaction mode, to compare with.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::cluster::Node;
use crate::guard::Guard;
use crate::peer::{RawClient, say};
use crate::ports::free_port;
use crate::process::{Account, Usage};
use crate::wait::{PATIENCE, wait_for};

/// Where packages put the program, beside the search path.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"];

/// What is wanted of PgBouncer; everything else is its default.
#[derive(Debug, Clone)]
pub struct PgBouncerOptions<'a> {
    /// The program; found in the usual places if not given.
    pub program: Option<&'a Path>,
    /// Its users with their passwords, for clients and servers alike (scram-sha-256).
    pub users: &'a [(&'a str, &'a str)],
    /// `default_pool_size`.
    pub pool_size: usize,
    /// `max_client_conn`.
    pub clients_max: usize,
}

/// A running PgBouncer; ended and removed when dropped.
#[derive(Debug)]
pub struct PgBouncer {
    address: SocketAddr,
    version: String,
    process: Child,
    // Last, so that nothing is in use any more when it kills and removes.
    _guard: Guard,
}

impl PgBouncer {
    /// Starts it before `node`, with all databases, and waits until it takes connections. It
    /// refuses to run as root, so root runs it as the user that PostgreSQL runs as here.
    pub async fn start(node: &Node, options: &PgBouncerOptions<'_>) -> Result<Self> {
        let program = match options.program {
            Some(program) => program.to_owned(),
            None => find()?,
        };
        let version = version(&program)?;
        let account = Account::for_server()?;
        let guard = Guard::new("pgbouncer", account)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let config = guard.root().join("pgbouncer.ini");
        fs::write(&config, text(address, node.address(), options))?;
        let mut users = String::new();
        for (name, password) in options.users {
            writeln!(users, "\"{name}\" \"{password}\"")?;
        }
        let list = guard.root().join("userlist.txt");
        fs::write(&list, users)?;
        let log_path = guard.root().join("pgbouncer.log");
        let log = File::create(&log_path)?;
        for path in [&config, &list, &log_path] {
            account.give(path)?;
        }
        let mut command = Command::new(&program);
        command.arg("-q").arg(&config).current_dir(guard.root()).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        account.run_as(&mut command);
        let process = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let mut bouncer = Self { address, version, process, _guard: guard };
        bouncer.ready().await.with_context(|| fs::read_to_string(&log_path).unwrap_or_default())?;
        Ok(bouncer)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `pgbouncer --version` says, first line.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it has used so far.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid())
    }

    async fn ready(&mut self) -> Result<()> {
        let address = self.address;
        let process = &mut self.process;
        wait_for("PgBouncer takes connections", PATIENCE, async || {
            if let Some(status) = process.try_wait()? {
                return Ok(Err(status));
            }
            let mut client = RawClient::tcp(address).await?;
            client.send(&say::ssl_request()).await?;
            client.read_bytes(1).await?;
            Ok(Ok(()))
        })
        .await?
        .or_else(|status| bail!("PgBouncer has ended: {status}"))
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // It may have gone already; there is nothing to do about that here.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The program in the search path or where packages put it.
pub fn find() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(PLACES.map(PathBuf::from))
        .map(|directory| directory.join("pgbouncer"))
        .find(|program| program.is_file())
        .context("no pgbouncer was found (on Debian: apt-get install pgbouncer)")
}

fn version(program: &Path) -> Result<String> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(output.status.success(), "{} --version fails", program.display());
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.lines().next().unwrap_or_default().to_owned())
}

fn text(address: SocketAddr, server: SocketAddr, options: &PgBouncerOptions<'_>) -> String {
    let PgBouncerOptions { pool_size, clients_max, .. } = options;
    format!(
        "[databases]\n* = host={} port={}\n\
         [pgbouncer]\nlisten_addr = {}\nlisten_port = {}\nunix_socket_dir =\n\
         auth_type = scram-sha-256\nauth_file = userlist.txt\n\
         pool_mode = transaction\ndefault_pool_size = {pool_size}\n\
         max_client_conn = {clients_max}\nignore_startup_parameters = extra_float_digits\n\
         log_connections = 0\nlog_disconnections = 0\n",
        server.ip(),
        server.port(),
        address.ip(),
        address.port(),
    )
}

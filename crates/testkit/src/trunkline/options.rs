//! What is wanted of the program, and its configuration as text.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use toml::{Table, Value};

use super::Trunkline;
use crate::cluster::{Cluster, Node, SUPERUSER, SUPERUSER_PASSWORD};

/// Names the program to test, and is believed before everything but
/// [`TrunklineOptions::binary`].
pub const BINARY_VARIABLE: &str = "TRUNKLINE_BIN";

/// Set by cargo for the tests of the package that has the program.
const CARGO_VARIABLE: &str = "CARGO_BIN_EXE_trunkline";

/// Wishes for a Trunkline. The defaults are those of the program, but for the addresses.
#[derive(Debug, Clone, Default)]
pub struct TrunklineOptions {
    pub(super) port: Option<u16>,
    pub(super) files: Vec<(String, String)>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) url: Option<String>,
    binary: Option<PathBuf>,
    settings: Table,
    /// The first text that is no TOML; told at the start.
    mistake: Option<String>,
}

impl TrunklineOptions {
    /// The program to run: `env!("CARGO_BIN_EXE_trunkline")` in tests of the root package.
    /// Without it: `TRUNKLINE_BIN`, else the one that cargo names or has put beside this test.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// Listens on this port instead of a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Settings as TOML, put over those given before: tables are merged, everything else is
    /// replaced, lists of tables (`[[node]]`) too.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        match text.parse::<Table>() {
            Ok(table) => merge(&mut self.settings, table),
            Err(error) => {
                self.mistake
                    .get_or_insert_with(|| format!("{error} in the configuration:\n{text}"));
            }
        }
        self
    }

    /// One setting, by section and name: `("pool", "size", 5)`.
    #[must_use]
    pub fn set(mut self, section: &str, name: &str, value: impl Into<Value>) -> Self {
        let table = Table::from_iter([(name.to_owned(), value.into())]);
        merge(&mut self.settings, Table::from_iter([(section.to_owned(), Value::Table(table))]));
        self
    }

    /// The nodes of this cluster, over TCP, and control connections as its superuser.
    #[must_use]
    pub fn cluster(mut self, cluster: &Cluster) -> Self {
        for node in cluster.nodes() {
            self = self.node(node.name(), node.address());
        }
        self.control(SUPERUSER, SUPERUSER_PASSWORD)
    }

    /// One node of a cluster, at its own address.
    #[must_use]
    pub fn postgres(self, node: &Node) -> Self {
        self.node(node.name(), node.address()).control(SUPERUSER, SUPERUSER_PASSWORD)
    }

    /// A node at any address: a link before a server, or a scripted peer.
    #[must_use]
    pub fn node(mut self, name: &str, address: SocketAddr) -> Self {
        let node = Table::from_iter([
            ("name".to_owned(), Value::from(name)),
            ("host".to_owned(), Value::from(address.ip().to_string())),
            ("port".to_owned(), Value::from(i64::from(address.port()))),
        ]);
        let nodes = self.settings.entry("node").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(nodes) = nodes {
            nodes.push(Value::Table(node));
        }
        self
    }

    /// User and password of the control connections.
    #[must_use]
    pub fn control(self, user: &str, password: &str) -> Self {
        self.set("cluster", "user", user).set("cluster", "password", password)
    }

    /// A user and its password, for clients and servers alike.
    #[must_use]
    pub fn user(self, name: &str, password: &str) -> Self {
        let user = Table::from_iter([("password".to_owned(), Value::from(password))]);
        self.set("users", name, Value::Table(user))
    }

    /// A file beside the configuration, such as `pg_hba.conf`.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Starts it with this connection URL and no settings file. Only the addresses to listen on are given beside it;
    /// everything else that is not in [`Self::environment`] has its default.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the program, see [`Trunkline::start`].
    pub async fn start(self) -> Result<Trunkline> {
        Trunkline::start(self).await
    }

    /// Whether another port may be tried when one is taken.
    pub(super) fn draws_port(&self) -> bool {
        self.port.is_none()
    }

    /// The configuration with these addresses, unless the test has set its own.
    pub(super) fn text(
        &self,
        address: SocketAddr,
        http: SocketAddr,
        directory: &Path,
    ) -> Result<String> {
        ensure!(self.mistake.is_none(), "{}", self.mistake.as_deref().unwrap_or_default());
        let defaults = format!(
            "[listen]\naddresses = [\"{address}\"]\nunix_socket_dir = \"{}\"\n\
             [http]\naddress = \"{http}\"\n",
            directory.display()
        );
        let mut table: Table = defaults.parse().context("the defaults of the kit")?;
        merge(&mut table, self.settings.clone());
        toml::to_string(&table).context("writing the configuration")
    }

    /// The path of the program.
    pub(super) fn find_binary(&self) -> Result<PathBuf> {
        let named = self.binary.clone().or_else(|| {
            [BINARY_VARIABLE, CARGO_VARIABLE].iter().find_map(std::env::var_os).map(PathBuf::from)
        });
        let path = match named {
            Some(path) => path,
            None => beside_us()?,
        };
        ensure!(path.is_file(), "{} does not exist: cargo build --bin trunkline", path.display());
        // It is started in a directory of its own.
        std::path::absolute(&path).with_context(|| format!("{} has no place", path.display()))
    }
}

/// Where cargo puts the program: beside this one, or one directory up from a test.
fn beside_us() -> Result<PathBuf> {
    let ours = std::env::current_exe().context("the path of this program is unknown")?;
    let here = ours.parent().unwrap_or_else(|| Path::new("."));
    let directory = if here.ends_with("deps") { here.parent().unwrap_or(here) } else { here };
    Ok(directory.join("trunkline"))
}

/// Puts `over` over `table`, going down where both have a table.
fn merge(table: &mut Table, over: Table) {
    for (name, value) in over {
        match (table.get_mut(&name), value) {
            (Some(Value::Table(below)), Value::Table(value)) => merge(below, value),
            (_, value) => {
                table.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(options: &TrunklineOptions) -> Result<String> {
        let address = "127.0.0.1:1".parse().unwrap();
        options.text(address, "127.0.0.1:2".parse().unwrap(), Path::new("/dir"))
    }

    #[test]
    fn settings_are_merged_and_the_last_one_wins() {
        let options = Trunkline::builder()
            .node("pg1", "127.0.0.1:5432".parse().unwrap())
            .node("pg2", "127.0.0.1:5433".parse().unwrap())
            .user("alice", "a\"b")
            .user("bob", "b")
            .config("[pool]\nsize = 5\nmin_idle = 1")
            .set("pool", "size", 6)
            .config("[http]\naddress = ''");
        let table: Table = text(&options).unwrap().parse().unwrap();
        assert_eq!(table["node"].as_array().unwrap().len(), 2);
        assert_eq!(table["users"]["alice"]["password"].as_str(), Some("a\"b"));
        assert_eq!(table["users"]["bob"]["password"].as_str(), Some("b"));
        assert_eq!(table["pool"]["size"].as_integer(), Some(6));
        assert_eq!(table["pool"]["min_idle"].as_integer(), Some(1));
        assert_eq!(table["http"]["address"].as_str(), Some(""));
        assert_eq!(table["listen"]["addresses"][0].as_str(), Some("127.0.0.1:1"));
    }

    #[test]
    fn a_text_that_is_no_toml_is_told_at_the_start() {
        let options = Trunkline::builder().config("[pool\nsize = 5");
        assert!(text(&options).unwrap_err().to_string().contains("[pool\nsize = 5"));
    }

    #[test]
    fn a_program_that_is_not_there_is_told_by_name() {
        let options = Trunkline::builder().binary("/nonexistent/trunkline");
        assert!(options.find_binary().unwrap_err().to_string().contains("/nonexistent/trunkline"));
    }
}

//! Connection URLs in the form that libpq takes (PostgreSQL documentation, "Connection URIs").

mod admit;
mod login;
mod passfile;

pub(crate) use self::admit::admit;
pub(crate) use self::login::Surroundings;

use crate::diagnostic::{Diagnostic, Place, Report, nearest_of};
use crate::tree::{Item, Origin, Table, Tree};
use crate::{Host, ServerTlsMode};

/// The longest URL in bytes.
const MAX_URL: usize = 64 << 10;

/// The name of the database where the URL names none.
const DATABASE: &str = "postgres";

/// The port where the URL names none.
const PORT: &str = "5432";

/// Makes of a URL what a settings file would say; user and password that it lacks come from where libpq takes them. No
/// message repeats the password or anything undecoded.
pub(crate) fn parse_url(url: &str, around: &Surroundings<'_>, report: &mut Report) -> Table {
    match Url::parse(url, report) {
        Ok(mut url) => {
            url.complete(around, report);
            url.into_table(report)
        }
        Err(message) => {
            let help =
                "write postgres://USER:PASSWORD@HOST[:PORT][,HOST...]/[DATABASE][?sslmode=...]";
            report.add(Diagnostic::error(Place::Url, message).help(help));
            Table::new()
        }
    }
}

/// The parts of a URL, decoded.
#[derive(Default)]
struct Url {
    user: Option<String>,
    password: Option<String>,
    passfile: Option<String>,
    hosts: Vec<String>,
    ports: Vec<String>,
    database: Option<String>,
    tls_mode: Option<String>,
    ca: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    negotiation: Option<String>,
    connect_timeout: Option<String>,
}

/// Parameters that mean something here.
const KNOWN: &[&str] = &[
    "host",
    "port",
    "user",
    "password",
    "passfile",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslnegotiation",
    "connect_timeout",
];

/// Parameters of libpq that are left out without harm, with the reason.
const IGNORED: &[(&str, &str)] = &[
    ("application_name", "server connections carry the name that the client gives"),
    ("fallback_application_name", "server connections carry the name that the client gives"),
    ("target_session_attrs", "which node is the primary is found out while running"),
    ("load_balance_hosts", "which node is used is decided while running"),
    ("gssencmode", "GSSAPI is not used"),
    ("client_encoding", "server connections have the encoding that the client asks for"),
    ("keepalives", "use [tcp] in a settings file"),
    ("keepalives_idle", "use [tcp] in a settings file"),
    ("keepalives_interval", "use [tcp] in a settings file"),
    ("keepalives_count", "use [tcp] in a settings file"),
    ("tcp_user_timeout", "use [tcp] in a settings file"),
];

impl Url {
    fn parse(url: &str, report: &mut Report) -> Result<Self, String> {
        if url.len() > MAX_URL {
            return Err(format!("the URL is longer than {} KiB", MAX_URL >> 10));
        }
        let rest =
            ["postgresql://", "postgres://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let rest = rest.ok_or("the URL does not begin with postgres:// or postgresql://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let mut parsed = Self::default();
        let hosts = match authority.rsplit_once('@') {
            None => authority,
            Some((login, hosts)) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                parsed.user = given(decode(user, "user")?);
                parsed.password = given(decode(password, "password")?);
                hosts
            }
        };
        for host in hosts.split(',').filter(|_| !hosts.is_empty()) {
            let (host, port) = split_port(host)?;
            parsed.hosts.push(decode(host, "host")?);
            parsed.ports.push(decode(port, "port")?);
        }
        parsed.database = given(decode(database, "database")?);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or("a parameter behind `?` has no `=`")?;
            parsed.parameter(&decode(name, "parameter")?, decode(value, "parameter")?, report);
        }
        Ok(parsed)
    }

    fn parameter(&mut self, name: &str, value: String, report: &mut Report) {
        let field = match name {
            "host" => return self.hosts = list(&value),
            "port" => return self.ports = list(&value),
            "user" => &mut self.user,
            "password" => &mut self.password,
            "passfile" => &mut self.passfile,
            "dbname" => &mut self.database,
            "sslmode" => &mut self.tls_mode,
            "sslrootcert" => &mut self.ca,
            "sslcert" => &mut self.certificate,
            "sslkey" => &mut self.key,
            "sslnegotiation" => &mut self.negotiation,
            "connect_timeout" => &mut self.connect_timeout,
            _ => return unknown(name, report),
        };
        *field = given(value);
    }

    fn into_table(mut self, report: &mut Report) -> Table {
        let mut missing = |what: &str, form: &str| {
            let diagnostic = Diagnostic::error(Place::Url, format!("the URL has no {what}"));
            report.add(diagnostic.help(format!("write {form}")));
        };
        if self.user.is_none() {
            missing("user", "postgres://USER@HOST/, or set PGUSER");
        }
        if self.hosts.is_empty() {
            missing("host", "postgres://USER@HOST/");
        }
        let user = self.user.take().unwrap_or_default();
        let database = self.database.take().unwrap_or_else(|| DATABASE.to_owned());
        let mut cluster = table([("user", text(&user)), ("database", text(&database))]);
        let mut known = Table::new();
        if let Some(password) = self.password.take() {
            cluster.insert("password".to_owned(), item(text(&password)));
            known.insert("password".to_owned(), item(text(&password)));
        }
        let operators = Tree::Array(vec![item(text(&user))]);
        let nodes = self.nodes(report);
        let pool = self.pool(report);
        let server_tls = self.server_tls(report);
        table([
            ("node", Tree::Array(nodes)),
            ("cluster", Tree::Table(cluster)),
            ("users", Tree::Table(Table::from([(user, item(Tree::Table(known)))]))),
            ("console", Tree::Table(table([("admin_users", operators)]))),
            ("server_tls", Tree::Table(server_tls)),
            ("pool", Tree::Table(pool)),
        ])
    }

    /// The hosts with their ports, as far as there are as many.
    fn servers(&self) -> impl Iterator<Item = (&str, &str)> {
        let port = |index: usize| match self.ports.as_slice() {
            [port] => Some(port.as_str()),
            ports => ports.get(index).map(String::as_str),
        };
        let given = move |index| port(index).filter(|port| !port.is_empty()).unwrap_or(PORT);
        self.hosts.iter().enumerate().map(move |(index, host)| (host.as_str(), given(index)))
    }

    /// One node for each host; one port serves all hosts, else there must be as many.
    fn nodes(&self, report: &mut Report) -> Vec<Item> {
        let ports: Vec<&str> = match self.ports.as_slice() {
            [] => vec![""; self.hosts.len()],
            [port] => vec![port; self.hosts.len()],
            ports if ports.len() == self.hosts.len() => ports.iter().map(String::as_str).collect(),
            ports => {
                let message =
                    format!("the URL has {} hosts but {} ports", self.hosts.len(), ports.len());
                report.error(Place::Url, message);
                return Vec::new();
            }
        };
        let mut nodes = Vec::new();
        for (host, port) in self.hosts.iter().zip(ports) {
            if let Err(message) = Host::parse(host) {
                report.error(Place::Url, message);
            }
            let mut node = table([("host", text(host))]);
            if !port.is_empty() {
                let digits = port.parse::<u16>().ok();
                node.insert("port".to_owned(), item(Tree::Integer(digits.map(i64::from))));
            }
            nodes.push(item(Tree::Table(node)));
        }
        nodes
    }

    fn pool(&self, report: &mut Report) -> Table {
        let Some(seconds) = &self.connect_timeout else { return Table::new() };
        match seconds.parse::<u32>() {
            // libpq waits for ever at 0, and takes 1 as 2.
            Ok(seconds) if seconds > 0 => {
                table([("connect_timeout", text(&format!("{}s", seconds.max(2))))])
            }
            _ => {
                report.error(Place::Url, "connect_timeout must be a number of seconds from 1");
                Table::new()
            }
        }
    }

    /// TLS as libpq would do it, including its two rules about `sslrootcert`.
    fn server_tls(&self, report: &mut Report) -> Table {
        let mut tls = Table::new();
        let mut put = |key: &str, value: Option<&str>| {
            if let Some(value) = value {
                tls.insert(key.to_owned(), item(text(value)));
            }
        };
        let mode = match (self.ca.as_deref(), self.tls_mode.as_deref()) {
            (Some("system"), None | Some("verify-full")) => Some("verify-full"),
            (Some("system"), Some(_)) => {
                report.error(Place::Url, "sslrootcert=system needs sslmode=verify-full");
                None
            }
            (Some(_), Some("require")) => Some("verify-ca"),
            (_, mode) => mode,
        };
        if let Some(mode) = mode.filter(|mode| ServerTlsMode::from_word(mode).is_none()) {
            let diagnostic = Diagnostic::error(Place::Url, "sslmode is not one that is known");
            report.add(diagnostic.help(nearest_of(mode, ServerTlsMode::WORDS)));
            return tls;
        }
        put("mode", mode);
        put("ca", self.ca.as_deref());
        put("certificate", self.certificate.as_deref());
        put("key", self.key.as_deref());
        put("negotiation", self.negotiation.as_deref());
        tls
    }
}

/// A parameter that means nothing here: left out with a warning if that does no harm, else refused.
fn unknown(name: &str, report: &mut Report) {
    let shown: String = name.chars().take(64).filter(|c| !c.is_control()).collect();
    if let Some((_, reason)) = IGNORED.iter().find(|(ignored, _)| *ignored == name) {
        report.add(Diagnostic::warning(Place::Url, format!("`{shown}` is ignored: {reason}")));
        return;
    }
    report.add(
        Diagnostic::error(Place::Url, format!("the parameter `{shown}` is not supported"))
            .help(nearest_of(name, KNOWN)),
    );
}

fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(ToOwned::to_owned).collect()
}

/// Splits host and port; an IPv6 address is in brackets.
fn split_port(host: &str) -> Result<(&str, &str), String> {
    let Some(rest) = host.strip_prefix('[') else {
        return Ok(host.rsplit_once(':').unwrap_or((host, "")));
    };
    let (address, rest) =
        rest.split_once(']').ok_or("the bracket of an IPv6 address is not closed")?;
    match rest.strip_prefix(':') {
        Some(port) => Ok((address, port)),
        None if rest.is_empty() => Ok((address, "")),
        None => Err("something other than a port follows an IPv6 address".into()),
    }
}

/// Resolves percent codes. The message does not repeat the text, which may be a password.
fn decode(text: &str, what: &str) -> Result<String, String> {
    let wrong = || {
        format!("the {what} in the URL has a `%` that is not followed by two hexadecimal digits")
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (high, low) =
            (digit(rest.next()).ok_or_else(wrong)?, digit(rest.next()).ok_or_else(wrong)?);
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
    }
    let decoded =
        String::from_utf8(bytes).map_err(|_| format!("the {what} in the URL is not UTF-8"))?;
    if decoded.contains('\0') {
        Err(format!("the {what} in the URL contains a NUL character"))
    } else {
        Ok(decoded)
    }
}

fn text(text: &str) -> Tree {
    Tree::Text(text.to_owned())
}

fn item(tree: Tree) -> Item {
    Item { key: Origin::Url, value: Origin::Url, tree }
}

fn table<const N: usize>(entries: [(&str, Tree); N]) -> Table {
    entries.into_iter().map(|(key, tree)| (key.to_owned(), item(tree))).collect()
}

#[cfg(test)]
mod tests;

//! From lines to rules; every line that is wrong is reported, with what to write instead.

use std::net::IpAddr;
use std::path::Path;

use crate::AuthMethod;
use crate::diagnostic::{Diagnostic, Diagnostics, Report, nearest_of};
use crate::files::Files;
use crate::hba::{
    AddressMatch, CertificateDemand, ClientName, DatabaseMatch, Method, Rule, RuleTransport, Rules,
    UserMatch,
};
use crate::pattern::Pattern;
use crate::tokens::{self, Entry, Token};

/// Reads the text of an HBA file; files that it includes are read through `files`, relative to it.
pub fn parse(path: &Path, text: &str, files: &dyn Files) -> Result<Rules, Diagnostics> {
    let mut report = Report::default();
    let rules = parse_into(path, text, files, &mut report);
    if report.failed() { Err(report.into_diagnostics()) } else { Ok(rules) }
}

/// As [`parse`], with the mistakes added to a report.
pub(crate) fn parse_into(path: &Path, text: &str, files: &dyn Files, report: &mut Report) -> Rules {
    let mut rules = Vec::new();
    for entry in tokens::read(path, text, files, report) {
        match rule(&entry) {
            Ok(rule) => rules.push(rule),
            Err(mistakes) => mistakes.into_iter().for_each(|mistake| report.add(mistake)),
        }
    }
    Rules { rules }
}

/// The mistakes of one line.
type Mistakes = Vec<Diagnostic>;

fn mistake(entry: &Entry, token: Option<&Token>, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(entry.place(token), message)
}

/// One line: type, databases, users, address unless local, method, options.
fn rule(entry: &Entry) -> Result<Rule, Mistakes> {
    let (kind, rest) = entry.fields.split_first().ok_or_else(Vec::new)?;
    let transport =
        single(entry, kind, "connection type").and_then(|token| transport(entry, token));
    let transport = transport.map_err(|error| vec![error])?;
    let ends = |what: &str| {
        vec![mistake(entry, None, format!("the line ends before the {what}")).help(form(transport))]
    };
    let (database_tokens, rest) = rest.split_first().ok_or_else(|| ends("database"))?;
    let (user_tokens, mut rest) = rest.split_first().ok_or_else(|| ends("user"))?;
    let mut mistakes = Mistakes::new();
    let databases = collect(database_tokens, |token| database(entry, token), &mut mistakes);
    let users = collect(user_tokens, |token| user(entry, token), &mut mistakes);
    let mut from = AddressMatch::All;
    if transport != RuleTransport::Local {
        let first = rest.first().ok_or_else(|| ends("address"))?;
        match address(entry, first, rest.get(1)) {
            Ok((address, used)) => (from, rest) = (address, rest.get(used..).unwrap_or_default()),
            Err(error) => {
                // Where the method is, is not certain any more.
                mistakes.push(error);
                return Err(mistakes);
            }
        }
    }
    let (method_tokens, options) = rest.split_first().ok_or_else(|| ends("method"))?;
    match method(entry, transport, method_tokens, options) {
        Ok(method) if mistakes.is_empty() => Ok(Rule {
            file: entry.file.clone(),
            line: entry.line,
            transport,
            databases,
            users,
            address: from,
            method,
        }),
        Ok(_) => Err(mistakes),
        Err(mut more) => {
            mistakes.append(&mut more);
            Err(mistakes)
        }
    }
}

/// How a line of this type looks.
fn form(transport: RuleTransport) -> String {
    let address = if transport == RuleTransport::Local { "" } else { " ADDRESS" };
    format!("write {transport} DATABASE USER{address} METHOD [OPTIONS]")
}

/// The one token of a field that is no list.
fn single<'a>(entry: &Entry, field: &'a [Token], what: &str) -> Result<&'a Token, Diagnostic> {
    match field {
        [token] => Ok(token),
        [_, second, ..] => Err(mistake(entry, Some(second), format!("more than one {what}"))),
        [] => Err(mistake(entry, None, format!("the {what} is missing"))),
    }
}

/// Maps every token of a list; the mistakes are collected.
fn collect<T>(
    tokens: &[Token],
    read: impl Fn(&Token) -> Result<T, Diagnostic>,
    mistakes: &mut Mistakes,
) -> Vec<T> {
    tokens
        .iter()
        .filter_map(|token| read(token).map_err(|error| mistakes.push(error)).ok())
        .collect()
}

fn transport(entry: &Entry, token: &Token) -> Result<RuleTransport, Diagnostic> {
    RuleTransport::from_word(&token.text).ok_or_else(|| {
        let message = format!("`{}` is not a connection type", token.text);
        mistake(entry, Some(token), message).help(nearest_of(&token.text, RuleTransport::WORDS))
    })
}

fn database(entry: &Entry, token: &Token) -> Result<DatabaseMatch, Diagnostic> {
    if let Some(regex) = token.text.strip_prefix('/') {
        return pattern(entry, token, regex).map(DatabaseMatch::Regex);
    }
    if token.is("samerole") || token.is("samegroup") {
        let message = format!(
            "`{}` is not supported: memberships of roles are known to the servers only",
            token.text
        );
        return Err(
            mistake(entry, Some(token), message).help("list the databases and users by name")
        );
    }
    Ok(match token {
        token if token.is("all") => DatabaseMatch::All,
        token if token.is("sameuser") => DatabaseMatch::SameUser,
        token if token.is("replication") => DatabaseMatch::Replication,
        token => DatabaseMatch::Name(token.text.clone()),
    })
}

/// A user: `all`, a name, or a regular expression. Also the last field of an ident map.
pub(crate) fn user(entry: &Entry, token: &Token) -> Result<UserMatch, Diagnostic> {
    if let Some(regex) = token.text.strip_prefix('/') {
        return pattern(entry, token, regex).map(UserMatch::Regex);
    }
    if token.text.starts_with('+') && !token.quoted {
        let message = format!(
            "`{}` is not supported: memberships of roles are known to the servers only",
            token.text
        );
        let help = "list the users by name, in a file with `@file`, or by `/regex`; quote a name that begins with `+`";
        return Err(mistake(entry, Some(token), message).help(help));
    }
    Ok(if token.is("all") { UserMatch::All } else { UserMatch::Name(token.text.clone()) })
}

/// A regular expression, the slash removed.
pub(crate) fn pattern(entry: &Entry, token: &Token, text: &str) -> Result<Pattern, Diagnostic> {
    Pattern::new(text).map_err(|error| {
        mistake(entry, Some(token), format!("the regular expression is not valid: {error}"))
    })
}

/// The address, and how many fields it took: two if there is a mask of its own.
fn address(
    entry: &Entry,
    first: &[Token],
    second: Option<&Vec<Token>>,
) -> Result<(AddressMatch, usize), Diagnostic> {
    let token = match first {
        [token] => token,
        [_, second, ..] => {
            let error = mistake(entry, Some(second), "more than one address");
            return Err(error.help("write one line for each address"));
        }
        [] => return Err(mistake(entry, None, "the address is missing")),
    };
    for (word, found) in [
        ("all", AddressMatch::All),
        ("samehost", AddressMatch::SameHost),
        ("samenet", AddressMatch::SameNet),
    ] {
        if token.is(word) {
            return Ok((found, 1));
        }
    }
    if let Some(network) = AddressMatch::cidr(&token.text) {
        return Ok((network, 1));
    }
    let Ok(network) = token.text.parse::<IpAddr>() else {
        return Err(not_an_address(entry, token));
    };
    let mask = second.and_then(|field| field.first());
    match mask.map(|mask| (mask, mask.text.parse::<IpAddr>())) {
        Some((_, Ok(mask))) if mask.is_ipv4() == network.is_ipv4() => {
            Ok((AddressMatch::Network(network, mask), 2))
        }
        Some((token, Ok(_))) => {
            Err(mistake(entry, Some(token), "address and mask are of different families"))
        }
        _ => {
            let bits = if network.is_ipv4() { 32 } else { 128 };
            let error = mistake(entry, Some(token), format!("the address `{network}` has no mask"));
            Err(error.help(format!("write `{network}/{bits}` for this one address")))
        }
    }
}

fn not_an_address(entry: &Entry, token: &Token) -> Diagnostic {
    let text = &token.text;
    if let Some((address, _)) =
        text.split_once('/').filter(|(address, _)| address.parse::<IpAddr>().is_ok())
    {
        let help = format!("write the number of leading bits, such as `{address}/24`");
        return mistake(entry, Some(token), format!("`{text}` has no valid mask")).help(help);
    }
    let error = mistake(entry, Some(token), format!("`{text}` is not an address"));
    if AuthMethod::from_word(text).is_some() {
        return error
            .help("the address is missing in front of the method; write `all` for every address");
    }
    error.help("host names are not looked up here: write an IP address with mask such as `10.0.0.0/8`, `all`, `samehost` or `samenet`")
}

/// Methods of PostgreSQL that are not spoken here, with what to use.
const UNSUPPORTED: &[(&str, &str)] = &[
    (
        "peer",
        "use `scram-sha-256`, or `trust` if the permissions of the socket's directory are enough",
    ),
    ("ident", "use `scram-sha-256` or `cert`"),
    ("gss", "use `scram-sha-256` or `cert`"),
    ("sspi", "use `scram-sha-256` or `cert`"),
    ("pam", "use `scram-sha-256` with auth_query"),
    ("bsd", "use `scram-sha-256` with auth_query"),
    ("ldap", "use `scram-sha-256` with auth_query"),
    ("radius", "use `scram-sha-256` with auth_query"),
    ("oauth", "use `scram-sha-256` or `cert`"),
    ("crypt", "use `scram-sha-256`"),
    ("krb5", "use `scram-sha-256` or `cert`"),
];

fn method(
    entry: &Entry,
    transport: RuleTransport,
    tokens: &[Token],
    options: &[Vec<Token>],
) -> Result<Method, Mistakes> {
    let token = single(entry, tokens, "method").map_err(|error| vec![error])?;
    let auth =
        AuthMethod::from_word(&token.text).ok_or_else(|| vec![unknown_method(entry, token)])?;
    if auth == AuthMethod::Cert && transport != RuleTransport::HostSsl {
        let error = mistake(entry, Some(token), "`cert` needs a TLS connection");
        return Err(vec![error.help("write `hostssl` at the beginning of the line")]);
    }
    let mut method = Method::plain(auth);
    let mut mistakes = Mistakes::new();
    for token in options.iter().flatten() {
        if let Err(error) = option(entry, transport, token, &mut method) {
            mistakes.push(error);
        }
    }
    if mistakes.is_empty() { Ok(method) } else { Err(mistakes) }
}

fn unknown_method(entry: &Entry, token: &Token) -> Diagnostic {
    if let Some((name, instead)) = UNSUPPORTED.iter().find(|(name, _)| *name == token.text) {
        return mistake(entry, Some(token), format!("the method `{name}` is not supported"))
            .help(*instead);
    }
    mistake(entry, Some(token), format!("`{}` is not a method", token.text))
        .help(nearest_of(&token.text, AuthMethod::WORDS))
}

/// One `name=value` behind the method.
fn option(
    entry: &Entry,
    transport: RuleTransport,
    token: &Token,
    method: &mut Method,
) -> Result<(), Diagnostic> {
    let error = |message: String| mistake(entry, Some(token), message);
    let Some((name, value)) = token.text.split_once('=') else {
        return Err(error(format!("`{}` is not an option: expected NAME=VALUE", token.text)));
    };
    let tls_only = matches!(name, "clientcert" | "clientname");
    if tls_only && transport != RuleTransport::HostSsl {
        return Err(error(format!("`{name}` needs a TLS connection"))
            .help("write `hostssl` at the beginning of the line"));
    }
    match (name, value) {
        ("clientcert", "verify-full") => method.certificate = CertificateDemand::Full,
        ("clientcert", "verify-ca") if method.auth == AuthMethod::Cert => {
            return Err(error("`cert` always checks the name in the certificate".into())
                .help("write clientcert=verify-full, or leave it out"));
        }
        ("clientcert", "verify-ca") => method.certificate = CertificateDemand::Authority,
        ("clientcert", _) => {
            return Err(error(format!("`{value}` is not a choice for clientcert"))
                .help("expected `verify-ca` or `verify-full`"));
        }
        ("clientname", "CN") => method.client_name = ClientName::CommonName,
        ("clientname", "DN") => method.client_name = ClientName::DistinguishedName,
        ("clientname", _) => {
            return Err(error(format!("`{value}` is not a choice for clientname"))
                .help("expected `CN` or `DN`"));
        }
        ("map", "") => return Err(error("the name of the map is empty".into())),
        ("map", _) if method.auth != AuthMethod::Cert => {
            return Err(error("`map` is for the method `cert` only".into()));
        }
        ("map", _) => method.map = Some(value.to_owned()),
        _ => {
            return Err(error(format!("`{name}` is not an option of `{}`", method.auth))
                .help("expected `clientcert`, `clientname` or `map`"));
        }
    }
    Ok(())
}

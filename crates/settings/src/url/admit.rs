//! How clients are let in when there is only a URL.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use crate::decode::Places;
use crate::diagnostic::{Diagnostic, Place, Report};
use crate::hba::{AddressMatch, DatabaseMatch, Method, Rule, RuleTransport, Rules, UserMatch};
use crate::{AuthMethod, Secret, ServerSecret, Settings, UserPassword};

/// What an operator may have said about logins, in variables of the environment.
const SAID: [&str; 4] = ["auth.method", "auth.hba_file", "auth.auth_query", "auth.user_file"];

/// Lets the URL's user in with the password of the control connections; without a password from this machine only,
/// and only if that lets in nobody whom the server would not.
pub(crate) fn admit(settings: &mut Settings, places: &Places, report: &mut Report) {
    if report.failed() || SAID.iter().any(|path| places.given(path)) {
        return;
    }
    let user = settings.cluster.user.clone();
    let Some(known) = settings.users.0.get_mut(&user) else { return };
    if known.password.is_some() {
        return;
    }
    let passwords = [&known.server_password, &settings.cluster.password];
    if let Some(password) = passwords.into_iter().flatten().find(|secret| !is_empty(secret)) {
        known.password = Some(UserPassword::Plain(password.clone()));
        return;
    }
    known.server_password = Some(Secret::default());
    if let Some(why) = leads_further(settings, &user) {
        let message = format!("no password is known for `{user}`, and {why}");
        report.add(Diagnostic::error(Place::Url, message).help(
            "give a password in the URL, PGPASSWORD or a password file, or say in a settings file how clients log in",
        ));
        return;
    }
    let message = format!(
        "no password is known for `{user}`: every process on this machine is let in as `{user}` without one, and \
         nobody else"
    );
    let help = "to ask clients for a password, give it in the URL, PGPASSWORD or a password file";
    report.add(Diagnostic::warning(Place::Url, message).help(help));
    settings.access.rules = Some(this_machine_only(&user));
    // Looking does no harm; ending the pooler is for who has shown a password.
    let console = &mut settings.console;
    if !places.given_beside_url("console.admin_users") {
        console.stats_users.append(&mut console.admin_users);
    }
}

fn is_empty(secret: &Secret) -> bool {
    secret.expose().is_empty()
}

/// Why a server may let us in, but would not everybody on this machine.
fn leads_further(settings: &Settings, user: &str) -> Option<&'static str> {
    let mut logins = settings.databases.0.values().map(|table| settings.server_login(table, user));
    let has_password = |secret| match secret {
        ServerSecret::Plain(password) | ServerSecret::Md5(password) => !is_empty(&password),
        ServerSecret::Learnt | ServerSecret::Nothing => false,
    };
    if settings.server_tls.certificate.is_some() {
        Some("our certificate may be what the server lets us in for")
    } else if settings.nodes.iter().any(|node| node.host.socket().is_some()) {
        Some("over a Unix socket the server may let us in for the system's user that we run as")
    } else if logins.any(|(_, secret)| has_password(secret)) {
        Some("another password would be given to the server for whoever comes")
    } else {
        None
    }
}

/// Rules that trust this user over Unix sockets and from the addresses of this machine.
fn this_machine_only(user: &str) -> Rules {
    let loopback =
        |address: IpAddr, mask: IpAddr| (RuleTransport::Host, AddressMatch::Network(address, mask));
    let ways = [
        (RuleTransport::Local, AddressMatch::All),
        loopback(Ipv4Addr::LOCALHOST.into(), Ipv4Addr::new(255, 0, 0, 0).into()),
        loopback(Ipv6Addr::LOCALHOST.into(), Ipv6Addr::from_bits(u128::MAX).into()),
    ];
    let rules = ways.into_iter().zip(1..).map(|((transport, address), line)| Rule {
        file: PathBuf::from("connection URL"),
        line,
        transport,
        databases: vec![DatabaseMatch::All],
        users: vec![UserMatch::Name(user.to_owned())],
        address,
        method: Method::plain(AuthMethod::Trust),
    });
    Rules { rules: rules.collect() }
}

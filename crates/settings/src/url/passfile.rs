//! libpq's password file: `host:port:database:user:password` (PostgreSQL documentation, "The Password File").

/// What a password is looked up for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server<'a> {
    /// A name, an address, or the directory of a socket.
    pub(super) host: &'a str,
    pub(super) port: &'a str,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// The directories of sockets that `localhost` stands for: those that distributions build libpq with.
const USUAL_SOCKETS: [&str; 3] = ["/tmp", "/var/run/postgresql", "/run/postgresql"];

/// The password in the first line that matches.
pub(super) fn password_for(text: &str, server: &Server<'_>) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| password_in(line, server))
}

fn password_in(line: &str, server: &Server<'_>) -> Option<String> {
    let usual = USUAL_SOCKETS.contains(&server.host);
    let rest = field(line, server.host).or_else(|| field(line, "localhost").filter(|_| usual))?;
    let rest = [server.port, server.database, server.user].into_iter().try_fold(rest, field)?;
    let password = unescaped(rest);
    (!password.is_empty()).then_some(password)
}

/// What follows the first field of a line, if that is `*` or this text.
fn field<'a>(line: &'a str, text: &str) -> Option<&'a str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let mut chars = line.chars();
    let mut expected = text.chars();
    loop {
        let found = match chars.next()? {
            ':' => return expected.next().is_none().then_some(chars.as_str()),
            '\\' => chars.next()?,
            plain => plain,
        };
        if expected.next() != Some(found) {
            return None;
        }
    }
}

/// A password without the backslashes that protect what follows them.
fn unescaped(text: &str) -> String {
    let mut chars = text.chars();
    let next = || match chars.next()? {
        '\\' => chars.next(),
        plain => Some(plain),
    };
    std::iter::from_fn(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, host: &str, port: &str) -> Option<String> {
        password_for(text, &Server { host, port, database: "shop", user: "al:ice" })
    }

    #[test]
    fn the_first_line_that_matches_has_the_password() {
        let text = "# db1:5432:shop:al\\:ice:comment\n\
                    db1:5433:shop:al\\:ice:other port\n\
                    db1:5432:news:al\\:ice:other database\n\
                    db1:5432:shop:bob:other user\n\
                    db1:5432:shop:al\\:ice:p\\:w\\\\d\n\
                    db1:*:*:*:later\n\
                    *:*:*:*:any\n";
        assert_eq!(found(text, "db1", "5432").as_deref(), Some("p:w\\d"));
        assert_eq!(found(text, "db1", "5433").as_deref(), Some("other port"));
        assert_eq!(found(text, "db1", "1").as_deref(), Some("later"));
        assert_eq!(found(text, "db", "5432").as_deref(), Some("any"));
        assert_eq!(found(text, "db11", "5432").as_deref(), Some("any"));
    }

    #[test]
    fn addresses_and_sockets_are_hosts() {
        let text = "\\:\\:1:5432:*:*:six\nlocalhost:5432:*:*:socket\n/srv/pg:5432:*:*:own\n";
        assert_eq!(found(text, "::1", "5432").as_deref(), Some("six"));
        assert_eq!(found(text, "/var/run/postgresql", "5432").as_deref(), Some("socket"));
        assert_eq!(found(text, "/srv/pg", "5432").as_deref(), Some("own"));
        assert_eq!(found(text, "/srv", "5432"), None);
    }

    #[test]
    fn a_line_that_ends_early_has_none() {
        for text in ["", "db1", "db1:5432:shop:al\\:ice", "db1:5432:shop:al\\:ice:", "db1\\"] {
            assert_eq!(found(text, "db1", "5432"), None, "{text}");
        }
    }
}

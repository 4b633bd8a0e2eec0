//! Asking the cluster for a user's password.
//!
//! The query is the operator's; a good one leaves out whoever may not log in:
//! `SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE
//! rolname = $1 AND rolcanlogin`, best inside a `SECURITY DEFINER` function that only the control role may
//! call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use trunkline_cluster::NodeId;
use trunkline_settings::Secret;

use super::connection::{ControlError, Row};
use super::pool::ControlPool;
use crate::frontend::{LookupError, LookupFuture, PasswordSource};

/// Stands for "no node is preferred".
const NOBODY: u32 = u32::MAX;

/// Finds passwords by `auth.auth_query`: on the primary if one is known, else on whichever node answers.
#[derive(Debug)]
pub struct AuthQuery {
    plan: ArcSwap<Plan>,
    /// The number of the node to ask first.
    first: AtomicU32,
}

#[derive(Debug)]
struct Plan {
    query: String,
    nodes: Vec<(NodeId, ControlPool)>,
    limit: Duration,
}

impl AuthQuery {
    /// Asks these nodes this query; `limit` is for the statement itself.
    pub fn new(query: String, nodes: Vec<(NodeId, ControlPool)>, limit: Duration) -> Self {
        let plan = ArcSwap::from_pointee(Plan { query, nodes, limit });
        Self { plan, first: AtomicU32::new(NOBODY) }
    }

    /// Takes new settings; questions under way are answered by the old ones.
    pub fn reload(&self, query: String, nodes: Vec<(NodeId, ControlPool)>, limit: Duration) {
        self.plan.store(Arc::new(Plan { query, nodes, limit }));
    }

    /// Asks this node first from now on: the primary, which knows a new password before a standby does.
    pub fn prefer(&self, node: Option<NodeId>) {
        self.first.store(node.map_or(NOBODY, |node| u32::from(node.0)), Ordering::Relaxed);
    }

    async fn ask(&self, user: &str) -> Result<Option<Secret>, LookupError> {
        let plan = self.plan.load_full();
        let first = self.first.load(Ordering::Relaxed);
        let is_first = |node: &&(NodeId, ControlPool)| u32::from(node.0.0) == first;
        let others = plan.nodes.iter().filter(|node| !is_first(node));
        let mut failure = LookupError("there is no node to ask".to_owned());
        for (_, pool) in plan.nodes.iter().filter(is_first).chain(others) {
            match ask_one(pool, &plan, user).await {
                Ok(rows) => return read(&rows, user),
                Err(Failed::Here(error)) => failure = error,
                Err(Failed::Everywhere(error)) => return Err(error),
            }
        }
        Err(failure)
    }
}

impl PasswordSource for AuthQuery {
    fn look_up<'a>(&'a self, user: &'a str) -> LookupFuture<'a> {
        Box::pin(self.ask(user))
    }
}

enum Failed {
    /// Another node may answer.
    Here(LookupError),
    /// The query itself is at fault.
    Everywhere(LookupError),
}

async fn ask_one(pool: &ControlPool, plan: &Plan, user: &str) -> Result<Vec<Row>, Failed> {
    let here = |error: &dyn ToString| Failed::Here(LookupError(error.to_string()));
    let mut connection = pool.get().await.map_err(|error| here(&error))?;
    match connection.query_with(&plan.query, &[user], plan.limit).await {
        Ok(rows) => Ok(rows),
        // Recovery conflicts, shutdowns and the like are the node's; a mistake in the query is everyone's.
        Err(ControlError::Server(report))
            if matches!(&report.code.class(), b"42" | b"22" | b"3F") =>
        {
            Err(Failed::Everywhere(LookupError(format!("auth.auth_query: {report}"))))
        }
        Err(error) => Err(here(&error)),
    }
}

/// The password in the answer: one row of name and password. No row, or one of nothing, means no such user.
fn read(rows: &[Row], user: &str) -> Result<Option<Secret>, LookupError> {
    let wrong = |what: &str| Err(LookupError(format!("auth.auth_query: {what}")));
    let row = match rows {
        [] => return Ok(None),
        [row] => row,
        _ => return wrong("more than one row"),
    };
    let [name, password, ..] = row.as_slice() else { return wrong("fewer than two columns") };
    if name.is_none() && password.is_none() {
        // What a function with OUT parameters answers when it has found nothing.
        return Ok(None);
    }
    // Another user's password would let that user in under this name.
    if name.as_deref() != Some(user.as_bytes()) {
        return wrong("the row is about another user than was asked for");
    }
    match password {
        None => Ok(None),
        Some(password) => match std::str::from_utf8(password) {
            Ok("") => Ok(None),
            Ok(text) => Ok(Some(Secret::new(text))),
            Err(_) => wrong("the password is not UTF-8"),
        },
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn row(values: &[Option<&'static str>]) -> Row {
        values.iter().map(|value| value.map(|text| Bytes::from_static(text.as_bytes()))).collect()
    }

    #[test]
    fn an_answer_is_one_row_about_the_user_or_none() {
        let good = [row(&[Some("alice"), Some("secret")])];
        assert_eq!(read(&good, "alice"), Ok(Some(Secret::new("secret"))));
        assert_eq!(read(&[], "alice"), Ok(None));
        assert_eq!(read(&[row(&[None, None])], "alice"), Ok(None));
        assert_eq!(read(&[row(&[Some("alice"), None])], "alice"), Ok(None));
        assert_eq!(read(&[row(&[Some("alice"), Some("")])], "alice"), Ok(None));
        for bad in [
            vec![row(&[Some("bob"), Some("secret")])],
            vec![row(&[None, Some("secret")])],
            vec![row(&[Some("alice")])],
            vec![row(&[Some("alice"), Some("a")]), row(&[Some("alice"), Some("b")])],
        ] {
            assert!(read(&bad, "alice").is_err(), "{bad:?}");
        }
    }
}

//! What clients say, and what becomes of it.

use bytes::BytesMut;
use trunkline_wire::frontend;

use crate::model::sql::Sql;

#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// A client sends a burst, cut somewhere; it may wait until it has got all answers before.
    Send { client: usize, burst: Vec<Say>, waits: bool, cut: usize },
    /// A server takes messages.
    Serve { server: usize, most: usize },
    /// Messages of a server arrive.
    Deliver { server: usize, most: usize },
    /// A client goes.
    Leave { client: usize },
}

/// One message of a client.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    Query { all: Vec<Sql>, padding: usize },
    Parse { name: usize, sql: Sql, padding: usize },
    Bind { portal: usize, name: usize, padding: usize },
    Describe { kind: u8, name: usize },
    Execute { portal: usize, most: i32 },
    Close { kind: u8, name: usize },
    Sync,
    Flush,
    CopyData { good: bool },
    CopyDone,
    CopyFail,
    Function,
}

/// The last one is only given to texts that are too long to be kept, whose names are not followed.
pub(crate) const STATEMENTS: [&str; 5] = ["", "s", "t", "__trunkline_1", UNFOLLOWED];
pub(crate) const UNFOLLOWED: &str = "__trunkline_2";
pub(crate) const PORTALS: [&str; 3] = ["", "p", "q"];

impl Say {
    pub(crate) fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Query { all, padding } => {
                let text = all.iter().map(Sql::text).collect::<Vec<_>>().join("; ");
                frontend::query(out, padded(&text, *padding).as_bytes());
            }
            Self::Parse { name, sql, padding } => {
                let text = padded(&sql.text(), *padding);
                if STATEMENTS[*name] == UNFOLLOWED {
                    // Whether it is followed depends on how it arrives; that it is taken is not noticed then.
                    frontend::close(out, frontend::STATEMENT, UNFOLLOWED.as_bytes());
                }
                frontend::parse(out, STATEMENTS[*name].as_bytes(), text.as_bytes(), b"\0\0");
            }
            Self::Bind { portal, name, padding } => {
                let rest = [&b"\0\0\0\0\0\0"[..], &vec![0; *padding]].concat();
                let (portal, name) = (PORTALS[*portal], STATEMENTS[*name]);
                frontend::bind(out, portal.as_bytes(), name.as_bytes(), &rest);
            }
            Self::Describe { kind, name } => {
                frontend::describe(out, *kind, target(*kind, *name).as_bytes());
            }
            Self::Execute { portal, most } => {
                frontend::execute(out, PORTALS[*portal].as_bytes(), *most);
            }
            Self::Close { kind, name } => {
                frontend::close(out, *kind, target(*kind, *name).as_bytes());
            }
            Self::Sync => frontend::sync(out),
            Self::Flush => frontend::flush(out),
            Self::CopyData { good } => {
                frontend::copy_data(out, if *good { b"1\n" } else { b"bad\n" });
            }
            Self::CopyDone => frontend::copy_done(out),
            Self::CopyFail => frontend::copy_fail(out, b"enough"),
            Self::Function => frontend::function_call(out, 1, b"\0\0\0\0\0\0"),
        }
    }
}

pub(crate) fn target(kind: u8, name: usize) -> &'static str {
    if kind == frontend::STATEMENT { STATEMENTS[name] } else { PORTALS[name % PORTALS.len()] }
}

pub(crate) fn padded(text: &str, padding: usize) -> String {
    if padding == 0 { text.to_owned() } else { format!("{text} /*{}*/", "-".repeat(padding)) }
}

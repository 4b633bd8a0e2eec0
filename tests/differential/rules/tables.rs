//! Tables of the database, of which each client has its own.

use super::{Rule, When, rule};
use crate::draft::Draft;
use crate::script::Words;

pub const RULES: &[Rule] = &[
    rule("insert", 20, When::Always, |draft| {
        let (table, id) = (table(draft), id(draft));
        Words::query(format!("INSERT INTO {table} VALUES ({id}, 'written {id}')"))
    }),
    rule("insert by messages", 10, When::Always, |draft| {
        let (table, id) = (table(draft), id(draft).to_string());
        let sql = format!("INSERT INTO {table} VALUES ($1, $2) RETURNING id, note");
        Words::extended(sql, &[Some(&id), Some("sent")])
    }),
    rule("select", 10, When::Always, |draft| {
        let table = table(draft);
        Words::query(format!("SELECT pg_backend_pid() AS server, * FROM {table} ORDER BY id"))
    }),
    rule("select by messages", 8, When::Always, |draft| {
        let (table, id) = (table(draft), id(draft).to_string());
        let sql = format!("SELECT pg_backend_pid() AS server, count(*) FROM {table} WHERE id > $1");
        Words::extended(sql, &[Some(&id)])
    }),
    rule("update", 6, When::Always, |draft| {
        let (table, id) = (table(draft), id(draft));
        Words::query(format!("UPDATE {table} SET note = note || '!' WHERE id <= {id}"))
    }),
    rule("delete", 5, When::Always, |draft| {
        let (table, id) = (table(draft), id(draft));
        Words::query(format!("DELETE FROM {table} WHERE id = {id} RETURNING note"))
    }),
    rule("copy in", 4, When::NotFailed, |draft| {
        let (table, id) = (table(draft), id(draft));
        let data = draft.dice.pick(&["copied", "copied", "copied\tand more"]);
        Words::copy_in(format!("COPY {table} FROM STDIN"), &format!("{id}\t{data}\n"))
    }),
    rule("copy out", 3, When::Always, |draft| {
        let table = table(draft);
        Words::query(format!("COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT"))
    }),
];

/// The client's table.
pub fn table(draft: &Draft) -> String {
    format!("public.own_{:02}", draft.slot)
}

/// One of few, so that it is there already now and then.
fn id(draft: &mut Draft) -> usize {
    draft.dice.below(6)
}

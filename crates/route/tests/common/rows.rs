//! Rows of a catalog, made up.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use trunkline_route::{Builder, Row, Snapshot};

/// A row of one's own texts.
#[derive(Clone, Debug, Default)]
pub struct Made {
    pub kind: &'static str,
    pub number: Option<u32>,
    pub schema: Option<String>,
    pub name: Option<String>,
    pub traits: Option<String>,
    pub detail: Option<String>,
}

/// The row without which there is no catalog.
pub fn mark() -> Made {
    Made { kind: "mark", detail: Some("1".to_owned()), ..Made::default() }
}

/// A schema.
pub fn schema(name: &str) -> Made {
    Made { kind: "schema", schema: Some(name.to_owned()), ..Made::default() }
}

/// A function: its traits are those of the question.
pub fn function(number: u32, schema: &str, name: &str, traits: &str, body: &str) -> Made {
    Made {
        kind: "function",
        number: Some(number),
        schema: Some(schema.to_owned()),
        name: Some(name.to_owned()),
        traits: Some(traits.to_owned()),
        detail: Some(body.to_owned()),
    }
}

/// A relation.
pub fn relation(number: u32, schema: &str, name: &str, traits: &str) -> Made {
    Made {
        kind: "relation",
        number: Some(number),
        schema: Some(schema.to_owned()),
        name: Some(name.to_owned()),
        traits: Some(traits.to_owned()),
        detail: None,
    }
}

/// What an object calls and reads.
pub fn uses(kind: &'static str, number: u32, list: &str) -> Made {
    Made { kind, number: Some(number), detail: Some(list.to_owned()), ..Made::default() }
}

/// The snapshot of such rows.
pub fn snapshot(rows: &[Made]) -> Snapshot {
    let mut builder = Builder::new(1);
    for row in rows {
        let number = row.number.map(|number| number.to_string());
        builder.row(&Row {
            kind: row.kind,
            number: number.as_deref(),
            schema: row.schema.as_deref(),
            name: row.name.as_deref(),
            traits: row.traits.as_deref(),
            detail: row.detail.as_deref(),
        });
    }
    builder.finish()
}

/// A database of so many tables and as many views, and a tenth of that of functions, in two schemas.
pub fn large(tables: u32) -> Snapshot {
    let mut rows = vec![mark()];
    for number in 0..tables {
        let schema = if number % 2 == 0 { "public" } else { "app" };
        let oid = 20_000 + number * 3;
        rows.push(relation(oid, schema, &format!("table_{number}"), "r p f"));
        rows.push(relation(oid + 1, schema, &format!("view_{number}"), "v p f"));
        rows.push(uses("relation uses", oid + 1, &format!("f1299 r{oid}")));
        if number % 10 == 0 {
            let name = format!("function_{number}");
            rows.push(function(oid + 2, schema, &name, "s f 1 0 f f sql", "SELECT now()"));
        }
    }
    rows.push(relation(19_000, "public", "pgbench_accounts", "r p f"));
    rows.push(function(19_001, "app", "slow", "v f 0 0 f f sql", ""));
    snapshot(&rows)
}

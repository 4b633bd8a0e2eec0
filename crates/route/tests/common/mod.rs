//! A database, read as the shell reads it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use tokio_postgres::Client;
use trunkline_route::{Builder, CATALOG, Limits, MARK, Row, Snapshot};
use trunkline_testkit::Result;

/// The rows of the catalog, column by column.
pub type Rows = Vec<[Option<String>; 6]>;

/// What the server answers.
pub async fn rows(client: &Client, limits: Limits) -> Result<Rows> {
    rows_of(client, CATALOG, limits).await
}

/// What it answers to a question like this one.
pub async fn rows_of(client: &Client, question: &str, limits: Limits) -> Result<Rows> {
    let [functions, relations, bytes, defaults] = limits.parameters();
    let rows = client.query(question, &[&functions, &relations, &bytes, &defaults]).await?;
    Ok(rows.iter().map(|row| std::array::from_fn(|column| row.get(column))).collect())
}

/// The snapshot of these rows.
pub fn snapshot(rows: &Rows) -> Snapshot {
    let mut builder = Builder::new(1);
    for [kind, number, schema, name, traits, detail] in rows {
        builder.row(&Row {
            kind: kind.as_deref().unwrap_or_default(),
            number: number.as_deref(),
            schema: schema.as_deref(),
            name: name.as_deref(),
            traits: traits.as_deref(),
            detail: detail.as_deref(),
        });
    }
    builder.finish()
}

/// The snapshot of a database.
pub async fn read(client: &Client) -> Result<Snapshot> {
    Ok(snapshot(&rows(client, Limits::default()).await?))
}

/// Its mark.
pub async fn mark(client: &Client) -> Result<String> {
    Ok(client.query_one(MARK, &[]).await?.get(0))
}

//! What the program finds of a case, in the words of its files: what the text shows, and what the catalog says of that.

use trunkline_route::{
    Builder, CATALOG, Call, Limits, Named, Path, Row, Snapshot, Verdict, resolve,
};
use trunkline_sql::access::{self, Access, Class, Hint};
use trunkline_sql::{Name, Rules};
use trunkline_testkit::{Error, Result};

use super::corpus::Case;

/// Reads the catalog of a database.
pub(crate) async fn snapshot(client: &tokio_postgres::Client) -> Result<Snapshot> {
    let [functions, relations, bytes, defaults] = Limits::default().parameters();
    let mut builder = Builder::new(1);
    for row in client.query(CATALOG, &[&functions, &relations, &bytes, &defaults]).await? {
        builder.row(&Row {
            kind: row.get::<_, Option<&str>>(0).unwrap_or_default(),
            number: row.get(1),
            schema: row.get(2),
            name: row.get(3),
            traits: row.get(4),
            detail: row.get(5),
        });
    }
    Ok(builder.finish())
}

/// The lines that a case would have to have.
pub(crate) fn seen(case: &Case, snapshot: &Snapshot) -> Result<Vec<String>> {
    match case.schemas() {
        Some(schemas) => seen_by(case, snapshot, Path::Known(&schemas)),
        None => seen_by(case, snapshot, Path::Unknown),
    }
}

/// The same for a session whose path is this.
pub(crate) fn seen_by(case: &Case, snapshot: &Snapshot, path: Path<'_>) -> Result<Vec<String>> {
    let access = access::access(case.sql.as_bytes(), Rules::default());
    let trouble = cause(&access, snapshot, path)?;
    let route = match (access.class, trouble) {
        (Class::Empty, _) => "any: empty".to_owned(),
        (Class::Read, Some(words)) => format!("primary: {words}"),
        (Class::Read, None) if access.hint == Some(Hint::Primary) => "primary: hint".to_owned(),
        (Class::Read, None) => "standby: read".to_owned(),
        (class, _) => format!("primary: {}", class.word()),
    };
    let mut lines = vec![format!("=> {route}")];
    if access.class == Class::Read {
        let relations = access
            .relations
            .iter()
            .map(|it| dotted([it.database.as_ref(), it.schema.as_ref(), Some(&it.name)]));
        let calls = access.calls.iter().map(|it| {
            let name = dotted([it.database.as_ref(), it.schema.as_ref(), Some(&it.name)]);
            format!("{name}/{}", it.arguments)
        });
        lines.push(list("relations:", relations));
        lines.push(list("calls:", calls));
    }
    Ok(lines)
}

/// Why a text that only reads belongs on the primary although nobody knows in which schemas its names are looked for.
pub(crate) fn anywhere(case: &Case, snapshot: &Snapshot) -> Result<Option<String>> {
    let access = access::access(case.sql.as_bytes(), Rules::default());
    cause(&access, snapshot, Path::Unknown)
}

/// Why what a text calls, and then what it names, keeps it on the primary.
fn cause(access: &Access, snapshot: &Snapshot, path: Path<'_>) -> Result<Option<String>> {
    let in_strings: Vec<_> = access.calls.iter().filter_map(access::Call::relation).collect();
    let mut calls = Vec::new();
    for it in &access.calls {
        let function = named(it.database.as_ref(), it.schema.as_ref(), &it.name)?;
        let literal = it.literal.as_ref().map(text).transpose()?;
        calls.push(Call { function, arguments: it.arguments, literal });
    }
    let mut relations = Vec::new();
    for it in access.relations.iter().chain(&in_strings) {
        relations.push(named(it.database.as_ref(), it.schema.as_ref(), &it.name)?);
    }
    Ok(match resolve(snapshot, path, calls, relations) {
        Verdict::Harmless => None,
        Verdict::Primary(cause) => Some(cause.to_string()),
    })
}

/// A name as the catalog has it; one that names a database is in a schema that is not there.
fn named<'a>(
    database: Option<&Name>,
    schema: Option<&'a Name>,
    name: &'a Name,
) -> Result<Named<'a>> {
    let schema = if database.is_some() { Some("") } else { schema.map(text).transpose()? };
    Ok(Named { schema, name: text(name)? })
}

fn text(name: &Name) -> Result<&str> {
    std::str::from_utf8(name.as_bytes()).map_err(Error::from)
}

/// Each once: those that differ in a constant only stand in the files as one.
fn list(head: &str, items: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = Vec::new();
    for item in items {
        if !all.contains(&item) {
            all.push(item);
        }
    }
    format!("{head} {}", all.join(", ")).trim_end().to_owned()
}

/// A name as the files write it.
fn dotted(parts: [Option<&Name>; 3]) -> String {
    let parts: Vec<String> = parts.into_iter().flatten().map(written).collect();
    parts.join(".")
}

fn written(name: &Name) -> String {
    let name = name.to_string();
    let is_plain = |letter: char| {
        letter.is_lowercase() || letter.is_ascii_digit() || letter == '_' || letter == '$'
    };
    let begins = name.chars().next().is_some_and(|it| !it.is_ascii_digit() && it != '$');
    if begins && name.chars().all(is_plain) {
        name
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

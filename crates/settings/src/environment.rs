//! Overrides from the environment: `TRUNKLINE__POOL__SIZE=20`, a double underscore for each step down.

use crate::diagnostic::{Diagnostic, Place, Report};
use crate::tree::{Item, Origin, Table, Tree};

/// What the name of an override begins with.
pub(crate) const PREFIX: &str = "TRUNKLINE__";

/// The most nodes that can be given; it bounds what a large index in a variable's name can do.
pub(crate) const MAX_NODES: usize = 128;

/// Puts the overrides among what the file says, in the order of their names.
pub(crate) fn overlay(
    table: &mut Table,
    environment: impl IntoIterator<Item = (String, String)>,
    report: &mut Report,
) {
    let mut overrides: Vec<(String, String)> =
        environment.into_iter().filter(|(name, _)| has_prefix(name)).collect();
    overrides.sort();
    for (name, text) in overrides {
        if let Err(message) = put(table, &name, text) {
            report.add(Diagnostic::error(Place::Variable(name), message));
        }
    }
}

fn has_prefix(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(PREFIX))
}

/// Puts one override in its place.
fn put(table: &mut Table, name: &str, text: String) -> Result<(), String> {
    let origin = Origin::Variable(name.to_owned());
    let path = name.get(PREFIX.len()..).unwrap_or_default();
    let (section, rest) = path
        .split_once("__")
        .ok_or("a setting is missing: write TRUNKLINE__<SECTION>__<SETTING>")?;
    let section = section.to_ascii_lowercase();
    let target = match section.as_str() {
        "node" => {
            let (index, key) = rest.split_once("__").ok_or(NODE_FORM)?;
            (node(table, index, &origin)?, key)
        }
        "databases" | "users" => {
            let form =
                || format!("write TRUNKLINE__{}__<NAME>__<SETTING>", section.to_ascii_uppercase());
            let (name, key) = rest.rsplit_once("__").ok_or_else(form)?;
            let named = subtable(table, section, &origin)?;
            let name = existing(named, name);
            (subtable(named, name, &origin)?, key)
        }
        _ => (subtable(table, section, &origin)?, rest),
    };
    let (inner, key) = target;
    if key.is_empty() {
        return Err("the name of the setting is empty".into());
    }
    inner.insert(
        key.to_ascii_lowercase(),
        Item { key: origin.clone(), value: origin, tree: Tree::Bare(text) },
    );
    Ok(())
}

/// How a variable for a node must look.
const NODE_FORM: &str = "write TRUNKLINE__NODE__<INDEX>__<SETTING>, the first node being 0";

/// The key of a table of names that a variable means: without regard to case if that is one that exists; else in
/// lower case if the variable has it in upper case throughout, else as it stands.
fn existing(table: &Table, name: &str) -> String {
    if table.contains_key(name) {
        return name.to_owned();
    }
    let mut alike = table.keys().filter(|key| key.eq_ignore_ascii_case(name));
    match (alike.next(), alike.next()) {
        (Some(key), None) => key.clone(),
        _ if name.chars().any(char::is_lowercase) => name.to_owned(),
        _ => name.to_ascii_lowercase(),
    }
}

/// The table of this key, made if it is missing.
fn subtable<'a>(
    table: &'a mut Table,
    key: String,
    origin: &Origin,
) -> Result<&'a mut Table, String> {
    let message = format!("the settings file has no table at `{key}`");
    let item = table.entry(key).or_insert_with(|| empty(origin));
    match &mut item.tree {
        Tree::Table(inner) => Ok(inner),
        _ => Err(message),
    }
}

/// The node of this index, made if the index is the next one free or not far beyond.
fn node<'a>(table: &'a mut Table, index: &str, origin: &Origin) -> Result<&'a mut Table, String> {
    let index: usize = index.parse().map_err(|_| NODE_FORM)?;
    if index >= MAX_NODES {
        return Err(format!("there can be at most {MAX_NODES} nodes"));
    }
    let list = table
        .entry("node".to_owned())
        .or_insert_with(|| Item { tree: Tree::Array(Vec::new()), ..empty(origin) });
    let Tree::Array(nodes) = &mut list.tree else {
        return Err("`node` is no array of tables in the settings file".into());
    };
    while nodes.len() <= index {
        nodes.push(empty(origin));
    }
    match nodes.get_mut(index).map(|node| &mut node.tree) {
        Some(Tree::Table(inner)) => Ok(inner),
        _ => Err(format!("node {index} is no table in the settings file")),
    }
}

fn empty(origin: &Origin) -> Item {
    Item { key: origin.clone(), value: origin.clone(), tree: Tree::Table(Table::new()) }
}

//! Overrides from the environment: `TRUNKLINE__POOL__SIZE=20`, a double underscore for each step down.

use std::collections::BTreeMap;

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
    let mut nodes = NodeIndexes::of(table);
    for (name, text) in overrides {
        if let Err(message) = put(table, &mut nodes, &name, text) {
            report.add(Diagnostic::error(Place::Variable(name), message));
        }
    }
    if let Some((missing, name)) = nodes.gap() {
        let message =
            format!("there is no node {missing}: the nodes are counted from 0, without gaps");
        let help = format!("give TRUNKLINE__NODE__{missing}__HOST, or a lower number here");
        report.add(Diagnostic::error(Place::Variable(name), message).help(help));
        if let Some(Tree::Array(nodes)) = table.get_mut("node").map(|item| &mut item.tree) {
            // Those made to fill the gap would be mistakes of their own.
            nodes.truncate(missing);
        }
    }
}

/// Which nodes the file and the variables speak of.
struct NodeIndexes {
    /// How many there are in the file.
    in_file: usize,
    /// Those of variables, each with the first variable for it.
    named: BTreeMap<usize, String>,
}

impl NodeIndexes {
    fn of(table: &Table) -> Self {
        let in_file = match table.get("node").map(|item| &item.tree) {
            Some(Tree::Array(nodes)) => nodes.len(),
            _ => 0,
        };
        Self { in_file, named: BTreeMap::new() }
    }

    /// The first node that nobody speaks of although there is one of a higher index, and the variable for that.
    fn gap(self) -> Option<(usize, String)> {
        let beyond = self.named.into_iter().filter(|(index, _)| *index >= self.in_file);
        let mut gaps = beyond.zip(self.in_file..).filter(|((index, _), due)| index != due);
        gaps.next().map(|((_, name), due)| (due, name))
    }
}

fn has_prefix(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(PREFIX))
}

/// Puts one override in its place.
fn put(table: &mut Table, nodes: &mut NodeIndexes, name: &str, text: String) -> Result<(), String> {
    let origin = Origin::Variable(name.to_owned());
    let path = name.get(PREFIX.len()..).unwrap_or_default();
    let (section, rest) = path
        .split_once("__")
        .ok_or("a setting is missing: write TRUNKLINE__<SECTION>__<SETTING>")?;
    let section = section.to_ascii_lowercase();
    let target = match section.as_str() {
        "node" => {
            let (index, key) = rest.split_once("__").ok_or(NODE_FORM)?;
            let index = node_index(index)?;
            nodes.named.entry(index).or_insert_with(|| name.to_owned());
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

/// The number of a node, as a variable's name has it.
fn node_index(digits: &str) -> Result<usize, String> {
    let index: usize = digits.parse().map_err(|_| NODE_FORM)?;
    if index >= MAX_NODES {
        return Err(format!("there can be at most {MAX_NODES} nodes"));
    }
    Ok(index)
}

/// The node of this index, made with all before it if there is none.
fn node<'a>(table: &'a mut Table, index: usize, origin: &Origin) -> Result<&'a mut Table, String> {
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

//! A list of names is taken apart as PostgreSQL does.

mod common;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use trunkline_sql::path::{of_set, of_value};
use trunkline_testkit::{Cluster, Result};

/// Schemas, so that a path with their names is one that PostgreSQL shows.
const NAMES: [&str; 7] = ["a", "B", "b", "a b", "x,y", "q\"q", "it's"];

/// So many lists are tried.
const LISTS: usize = 1500;

fn piece() -> impl Strategy<Value = String> {
    let quoted = |quote: &'static str| {
        prop::sample::select(&NAMES[..]).prop_map(move |name| {
            format!("{quote}{}{quote}", name.replace(quote, &quote.repeat(2)))
        })
    };
    let bare =
        prop::sample::select(&["a", "A", "b", "B", "$user", "1", "", "a$", "E'a'", "\""][..]);
    prop_oneof![3 => quoted("\""), 3 => quoted("'"), 4 => bare.prop_map(str::to_owned)]
}

fn list() -> impl Strategy<Value = String> {
    let comma = prop::sample::select(&[",", ", ", " ,", "\t,\n", " ", ",,"][..]);
    (prop::collection::vec((piece(), comma), 0..4), piece()).prop_map(|(parts, last)| {
        let parts: String = parts.into_iter().map(|(piece, comma)| piece + comma).collect();
        parts + &last
    })
}

/// What the names come to of which there are schemas, each once.
fn shown(names: &[Box<str>]) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    for name in names.iter().filter(|name| NAMES.contains(&&***name)) {
        if !shown.iter().any(|known| **known == **name) {
            shown.push(name.to_string());
        }
    }
    shown
}

#[tokio::test]
async fn a_list_of_names_is_what_postgresql_takes_it_for() -> Result<()> {
    let cluster = Cluster::builder().start().await?;
    let client = cluster.primary().connect("postgres").await?;
    for name in NAMES {
        let quoted = name.replace('"', "\"\"");
        client.batch_execute(&format!("CREATE SCHEMA \"{quoted}\"")).await?;
    }
    let (mut runner, mut understood) = (TestRunner::deterministic(), 0);
    for _ in 0..LISTS {
        let text = list().new_tree(&mut runner).map_err(trunkline_testkit::Error::msg)?.current();
        let value = client.query("SELECT set_config('search_path', $1, false)", &[&text]).await;
        let real: Option<Vec<String>> = match value {
            Ok(_) => {
                Some(client.query_one("SELECT current_schemas(false)::text[]", &[]).await?.get(0))
            }
            Err(_) => None,
        };
        if let Some(names) = of_value(&text) {
            understood += 1;
            assert_eq!(Some(shown(&names)), real, "as a value: {text}");
        }
        let real: Option<Vec<String>> =
            match client.batch_execute(&format!("SET search_path TO {text}")).await {
                Ok(()) => Some(
                    client.query_one("SELECT current_schemas(false)::text[]", &[]).await?.get(0),
                ),
                Err(_) => None,
            };
        // What is no statement is never followed.
        if let (Some(names), Some(real)) = (of_set(&text), real) {
            understood += 1;
            assert_eq!(shown(&names), real, "as a statement: {text}");
        }
    }
    assert!(understood > LISTS / 4, "{understood} were understood");
    Ok(())
}

//! `trunkline explain` says where statements would go, before anything is routed.

mod common;

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use common::{DATABASE, PASSWORD, create_role};
use trunkline_testkit::cluster::SUPERUSER_PASSWORD;
use trunkline_testkit::{Cluster, Result};

/// Runs the program; gives it `input`.
fn run(arguments: &[&str], input: &str) -> Result<Output> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_trunkline"))
        .args(arguments)
        .env_remove("TRUNKLINE_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // One that does not read it ends before.
    child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()).ok());
    Ok(child.wait_with_output()?)
}

/// What it said, of a run that succeeds.
fn said(arguments: &[&str], input: &str) -> Result<String> {
    let output = run(arguments, input)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*errors), (Some(0), ""), "{arguments:?}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The exit code and the error, of a run that fails.
fn failed(arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output = run(arguments, "")?;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments:?}");
    Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[tokio::test]
async fn it_says_where_a_statement_would_go_by_the_catalog_of_the_primary() -> Result<()> {
    let cluster = Cluster::builder().standbys(1).start().await?;
    create_role(cluster.primary(), "shop").await?;
    let sql = "CREATE TABLE public.orders (id int); CREATE SEQUENCE public.ticket; \
               CREATE VIEW public.numbered AS SELECT nextval('public.ticket') AS n, id FROM public.orders";
    cluster.primary().execute(DATABASE, sql).await?;
    let directory = tempfile::tempdir()?;
    let config = directory.path().join("trunkline.toml");
    let node = |name: &str, port: u16| {
        format!("[[node]]\nname = \"{name}\"\nhost = \"127.0.0.1\"\nport = {port}\n")
    };
    // The standby first: it is found out who the primary is.
    let settings = format!(
        "{}{}[cluster]\npassword = \"{SUPERUSER_PASSWORD}\"\n[users.shop]\npassword = \"{PASSWORD}\"\n\
         [databases.store]\ndbname = \"{DATABASE}\"\n[databases.none]\n",
        node("two", cluster.standby(0)?.port()),
        node("one", cluster.primary().port()),
    );
    fs::write(&config, settings)?;
    let config = config.display().to_string();
    let with = |more: &[&'static str]| [&["explain", "--config", &config], more].concat();

    let read = said(&with(&["SELECT count(*) FROM orders"]), "")?;
    let expected = "route       standby\nreason      read\nclass       read\nhint\n\
                    relations   orders\ncalls       count/0\npath        not known: every schema counts\n";
    assert_eq!(read, expected);
    let view = said(&with(&["--database", "store", "SELECT n FROM numbered"]), "")?;
    assert!(
        view.starts_with(
            "route       primary\nreason      view sequence function\nbecause of  view "
        ),
        "{view}"
    );

    let statements = "SELECT 1\nSELECT * FROM orders WHERE id = 7\n\n-- nothing\nDELETE FROM orders\n\tSELECT n FROM numbered\n";
    let all = said(&with(&["-"]), statements)?;
    let expected = "\
standby  read                      SELECT 1
standby  read                      SELECT * FROM orders WHERE id = 7
primary  write                     DELETE FROM orders
primary  view sequence function    SELECT n FROM numbered

4 statements, of which 2 would go to a standby (50.0 %)
       2  standby  read
       1  primary  view sequence function
       1  primary  write
";
    assert_eq!(all, expected);
    let log = directory.path().join("statements.sql");
    fs::write(&log, statements)?;
    let log = log.display().to_string();
    let counted = said(&["explain", "-c", &config, "--summary", "--file", &log], "")?;
    assert_eq!(counted, expected.split("\n\n").nth(1).unwrap_or_default());

    let (code, why) = failed(&with(&[" ; "]))?;
    assert_eq!((code, &*why), (Some(1), "there is no statement in it\n"));
    let (code, why) = failed(&with(&["--database", "none", "SELECT 1"]))?;
    assert_eq!(code, Some(1), "{why}");
    assert!(why.contains("one: ") && why.contains("\"none\" does not exist"), "{why}");
    let (code, why) = failed(&with(&["--file", "/nowhere"]))?;
    assert_eq!((code, &*why), (Some(1), "/nowhere: No such file or directory (os error 2)\n"));
    let (code, why) = failed(&with(&[]))?;
    assert!(code == Some(2) && why.contains("<SQL|->"), "{code:?} {why}");
    let (code, why) = failed(&["explain", "--config", "/nowhere", "SELECT 1"])?;
    assert!(code == Some(78) && why.contains("/nowhere"), "{code:?} {why}");

    // Without a primary.
    cluster.primary().kill().await?;
    let (code, why) = failed(&with(&["SELECT 1"]))?;
    assert!(
        code == Some(1) && why.starts_with("no primary answers:\ntwo: it is a standby\none: "),
        "{why}"
    );
    Ok(())
}

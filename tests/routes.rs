//! The golden corpus of routing: every text of `tests/routes` is judged as its case says, by the catalog of a real
//! database; and what may go to a standby does there what it does on the primary, and leaves no trace on either.

#[path = "routes_support/corpus.rs"]
mod corpus;
#[path = "routes_support/judge.rs"]
mod judge;
#[path = "routes_support/truth.rs"]
mod truth;

use std::collections::BTreeSet;
use std::fs;

use corpus::{Case, cases, directory};
use tokio::sync::OnceCell;
use trunkline_route::Reason;
use trunkline_sql::access::Class;
use trunkline_testkit::cluster::Cluster;
use trunkline_testkit::{Error, Result};
use truth::{Pair, VARYING};

/// Fewer cases are not the corpus.
const CASES: usize = 1_400;

/// Fewer of them for a standby would prove little.
const FOR_STANDBYS: usize = 500;

/// Words of classes that no case of a file can have.
const ELSEWHERE: [Class; 4] = [Class::Read, Class::TooLong, Class::Encoding, Class::Strings];

/// Where the texts find what they name.
const DATABASE: &str = "routes";

/// Texts that write, lock, set, fail, or say something else on a standby.
const MORE_THAN_READS: [&str; 10] = [
    "INSERT INTO jobs VALUES (1, 'new')",
    "SELECT nextval('order_numbers')",
    "SELECT pg_current_xact_id() IS NULL",
    "SELECT pg_logical_emit_message(false, 'routes', 'told') IS NULL",
    "SELECT id FROM orders FOR SHARE",
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT length(set_config('work_mem', '1MB', true))",
    "SELECT pg_is_in_recovery()",
    "SELECT value FROM cache",
    "SELECT 1 / 0",
];

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

/// A primary with what the texts name, and a standby. They go with the process.
async fn shared() -> Result<&'static Cluster> {
    CLUSTER.get_or_try_init(cluster).await
}

async fn cluster() -> Result<Cluster> {
    // Nothing is to write beside the test.
    let options = Cluster::builder().standbys(1).setting("autovacuum", "off");
    let options = options.setting("checkpoint_timeout", "1h").database(DATABASE, "postgres");
    let cluster = options.start().await?;
    let schema = fs::read_to_string(directory().join("schema.sql"))?;
    cluster.primary().execute(DATABASE, &schema).await?;
    // So that no read has rows to tidy up.
    cluster.primary().execute(DATABASE, "VACUUM (FREEZE, ANALYZE)").await?;
    cluster.primary().execute(DATABASE, "CHECKPOINT").await?;
    cluster.caught_up().await?;
    Ok(cluster)
}

/// The cases whose texts the server can know.
async fn known_cases() -> Result<Vec<Case>> {
    let version = shared().await?.binaries().major();
    let cases = cases()?.into_iter().filter(|case| case.versions.contains(&version));
    Ok(cases.collect())
}

/// Fails with all that was found.
fn none(faults: &[String]) -> Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::msg(format!("{} faults\n\n{}", faults.len(), faults.join("\n\n"))))
}

#[test]
fn every_reason_has_a_case() -> Result<()> {
    let cases = cases()?;
    assert!(cases.len() >= CASES, "{} cases", cases.len());
    let routes: BTreeSet<&str> = cases.iter().map(Case::route).collect();
    let classes = Class::ALL.iter().filter(|class| !ELSEWHERE.contains(class));
    let words = classes.map(|class| class.word()).chain(Reason::ALL.iter().map(|it| it.words()));
    let missing: Vec<&str> = words
        .chain(["hint"])
        .filter(|word| !routes.contains(&*format!("primary: {word}")))
        .filter(|word| *word != Class::Empty.word() || !routes.contains("any: empty"))
        // By itself it says nothing: of every view it is said what is behind it.
        .filter(|word| *word != Reason::View.words())
        .collect();
    assert!(missing.is_empty(), "no case has {missing:?}");
    assert!(routes.iter().any(|route| route.starts_with("primary: view ")));
    let texts: BTreeSet<_> = cases.iter().map(|case| (&case.path, &case.sql)).collect();
    assert_eq!(texts.len(), cases.len(), "a text stands there twice");
    Ok(())
}

#[tokio::test]
async fn every_case_goes_where_it_says() -> Result<()> {
    let client = shared().await?.primary().connect(DATABASE).await?;
    let snapshot = judge::snapshot(&client).await?;
    assert_eq!(snapshot.why_unknown(), None);
    let mut faults = Vec::new();
    for case in known_cases().await? {
        let seen = judge::seen(&case, &snapshot)?;
        if seen != case.expected {
            let (expected, seen) = (case.expected.join("\n  "), seen.join("\n  "));
            faults.push(format!(
                "{}\n{}\nexpected\n  {expected}\nseen\n  {seen}",
                case.place(),
                case.sql
            ));
        }
    }
    none(&faults)
}

#[tokio::test]
async fn who_knows_no_path_is_no_braver() -> Result<()> {
    let client = shared().await?.primary().connect(DATABASE).await?;
    let snapshot = judge::snapshot(&client).await?;
    let mut faults = Vec::new();
    for case in known_cases().await?.iter().filter(|case| case.expected.len() > 1) {
        // What the path hides is refused wherever it goes.
        let route = case.route();
        let hidden = route == "standby: read" || route == "primary: hint" || case.refused;
        if !hidden && judge::anywhere(case, &snapshot)?.is_none() {
            faults.push(format!("{}\n{}\n{route}", case.place(), case.sql));
        }
    }
    none(&faults)
}

#[tokio::test]
async fn what_may_go_to_a_standby_does_there_what_it_does_on_the_primary() -> Result<()> {
    let cluster = shared().await?;
    let mut pair = Pair::connect(cluster, DATABASE).await?;
    let cases = known_cases().await?;
    let reads = || cases.iter().filter(|it| it.route() == "standby: read" && !it.known_limit);
    let mut faults = Vec::new();
    for case in reads() {
        if let Some(fault) = pair.compare(case).await? {
            faults.push(format!("{}\n{}\n{fault}", case.place(), case.sql));
        }
    }
    none(&faults)?;
    assert!(reads().count() >= FOR_STANDBYS, "{} cases", reads().count());
    for (words, _) in VARYING {
        assert!(reads().any(|it| it.sql.to_lowercase().contains(words)), "nothing has {words}");
    }
    // Whatever is otherwise is found.
    for sql in MORE_THAN_READS {
        assert!(pair.compare(&Case::of(sql)).await?.is_some(), "{sql}");
    }
    Ok(())
}

//! The golden corpus of routing: every text of `tests/routes` is judged as its case says, by the catalog of a real
//! database; and what may go to a standby does there what it does on the primary, and leaves no trace on either.

mod common;
#[path = "routes_support/corpus.rs"]
mod corpus;
#[path = "routes_support/judge.rs"]
mod judge;
#[path = "routes_support/truth.rs"]
mod truth;

use std::collections::BTreeSet;
use std::fs;

use common::{PASSWORD, Scene, ensure};
use corpus::{Case, cases, directory};
use tokio::sync::OnceCell;
use trunkline_route::{Path, Reason};
use trunkline_sql::access::Class;
use trunkline_testkit::cluster::{Cluster, SUPERUSER, SUPERUSER_PASSWORD};
use trunkline_testkit::peer::{Frame, RawClient, say};
use trunkline_testkit::wait::{PATIENCE, wait_for};
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

/// Routing as an operator switches it on.
const ON: &str = "[routing]\nmode = \"on\"\n[cluster]\nprobe_interval = \"100ms\"";

/// So many cases are told otherwise than by their path. The running program knows which schemas may be in it, and not in
/// which order; and what is harmless wherever it is found, it does not look for there.
const BY_PATH: usize = 3;

/// So many begin a transaction that only reads by its own words. By its text each is the primary's.
const BLOCKS: usize = 2;

/// What the running program says of these.
const BLOCK: &str = "standby: read-only transaction";

/// What it says of a path that it does not know.
const NO_PATH: &str = "not known: every schema counts";

/// What a line of the answer to `EXPLAIN ROUTE` says.
fn told(frames: &[Frame], what: &str) -> Result<String> {
    for frame in frames.iter().filter(|frame| frame.tag == b'D') {
        if let [Some(name), Some(value)] = &frame.row()?[..]
            && name == what
        {
            return Ok(value.clone());
        }
    }
    Err(Error::msg(format!("no {what} in {frames:?}")))
}

/// So many ask for a standby, and are taken at their word: with doubts about functions, or without.
const HINTED: usize = 2;

/// What it says of these.
const HINT: &str = "standby: hint";

/// What the running program says of a text that is longer than it judges at once.
const LATER: &str = "primary: being judged";

/// Where the running program says that a text goes, and the schemas by which it says so.
async fn asked(client: &mut RawClient, message: &[u8]) -> Result<(String, String)> {
    wait_for("the text is judged", PATIENCE, async || {
        let said = asked_once(client, message).await?;
        ensure(said.0 != LATER, LATER)?;
        Ok(said)
    })
    .await
}

async fn asked_once(client: &mut RawClient, message: &[u8]) -> Result<(String, String)> {
    let frames = client.exchange(message, 1).await?;
    match frames.iter().find(|frame| frame.tag == b'E') {
        Some(error) if error.sqlstate() == "42601" => Ok(("any: empty".into(), NO_PATH.into())),
        Some(error) => Err(Error::msg(format!("{error:?}"))),
        None => Ok((told(&frames, "by itself")?, told(&frames, "path")?)),
    }
}

#[tokio::test]
async fn every_case_goes_there_as_the_running_program_tells_a_client() -> Result<()> {
    let cluster = shared().await?;
    let snapshot = judge::snapshot(&cluster.primary().connect(DATABASE).await?).await?;
    let scene = Scene::before(cluster, "asking", ON).await?;
    let mut client = scene.trunkline.raw("asking", PASSWORD, DATABASE).await?;
    wait_for("the catalog is known", PATIENCE, async || {
        let (route, _) = asked(&mut client, &say::query("EXPLAIN ROUTE SELECT 1")).await?;
        ensure(route == "standby: read", route)
    })
    .await?;
    let (mut faults, mut path) = (Vec::new(), String::new());
    let (mut by_path, mut blocks, mut hinted) = (0, 0, 0);
    // Of a path that nobody knows there is none that could be set.
    for case in known_cases().await?.iter().filter(|case| case.path != "*") {
        if case.path != path {
            let set = format!("SELECT set_config('search_path', '{}', false)", case.path);
            client.rows(&set).await?;
            path.clone_from(&case.path);
        }
        let question = format!("EXPLAIN ROUTE\n{}", case.sql);
        let (said, within) = asked(&mut client, &say::query(&question)).await?;
        let again = asked(&mut client, &say::extended(&question, &[])).await?;
        let schemas: Vec<&str> = within.split(", ").collect();
        let by = if within == NO_PATH { Path::Unknown } else { Path::Possible(&schemas) };
        let route = |lines: Vec<String>| {
            lines.first().map_or_else(String::new, |line| line.trim_start_matches("=> ").to_owned())
        };
        let mut expected = route(judge::seen_by(case, &snapshot, Path::Unknown)?);
        if case.expected.len() > 1 && expected.starts_with("primary") {
            expected = route(judge::seen_by(case, &snapshot, by)?);
        }
        if said == BLOCK && expected == "primary: transaction" {
            blocks += 1;
        } else if said == HINT
            && ["standby: read", "primary: unproven function"].contains(&&*expected)
        {
            hinted += 1;
        } else if said != expected || again.0 != said {
            let place = case.place();
            faults.push(format!(
                "{place}\n{}\nexpected {expected}\nsaid {said}, {again:?}",
                case.sql
            ));
        } else if said != case.route() {
            // A standby cannot do what the primary refuses.
            let safe = said.starts_with("primary") || case.refused;
            assert!(safe, "{} is not on the safe side: {said}", case.place());
            by_path += 1;
        }
    }
    none(&faults)?;
    assert_eq!((by_path, blocks, hinted), (BY_PATH, BLOCKS, HINTED));
    Ok(())
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

/// What the running program says of a text that a standby has refused.
const LEARNT: &str = "refused by a standby before";

/// So many cases do what no text shows.
const UNSEEN: usize = 5;

/// Waits until `EXPLAIN ROUTE` says so of a case: what the client has written may have to be replayed first.
async fn explained(client: &mut RawClient, case: &Case, what: &str, expected: &str) -> Result<()> {
    let question = say::query(&format!("EXPLAIN ROUTE\n{}", case.sql));
    wait_for(&case.place(), PATIENCE, async || {
        let said = told(&client.exchange(&question, 1).await?, what)?;
        ensure(said == expected, said)
    })
    .await
}

/// What would end the standby's being one.
const PROMOTES: &str = "pg_promote";

/// Which cases stand under which heading of `tests/routes/kept.md`.
fn kept() -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(directory().join("kept.md"))?;
    let (mut kept, mut route) = (BTreeSet::new(), "");
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            route = heading;
        } else if let Some(case) = line.strip_prefix("    ") {
            kept.insert(format!("{route}: {case}"));
        }
    }
    Ok(kept)
}

/// How a case stands there.
fn as_kept(case: &Case) -> String {
    /// No more of a text is shown.
    const SHOWN: usize = 80;
    let words: Vec<&str> = case.sql.split_whitespace().collect();
    let text: String = words.join(" ").chars().take(SHOWN).collect();
    format!("{}: {}: {}", case.route(), case.file, text.trim_end())
}

#[tokio::test]
async fn what_a_standby_carries_out_and_stays_on_the_primary_is_listed_with_the_reason()
-> Result<()> {
    // Some of it acts on the whole server.
    let cluster = cluster().await?;
    let standby = cluster.standby(0)?;
    let of_primary = |it: &&Case| it.route().starts_with("primary: ") && !it.sql.contains(PROMOTES);
    let (mut asked, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for case in known_cases().await?.iter().filter(of_primary) {
        asked.insert(as_kept(case));
        if truth::is_carried_out(standby, DATABASE, case).await? {
            seen.insert(as_kept(case));
        }
    }
    let mut kept = kept()?;
    let all: BTreeSet<String> = cases()?.iter().map(as_kept).collect();
    let strange: Vec<_> = kept.difference(&all).cloned().collect();
    assert!(strange.is_empty(), "in the list, and no case:\n{}", strange.join("\n"));
    kept.retain(|it| asked.contains(it));
    let missing: Vec<_> = seen.difference(&kept).cloned().collect();
    assert!(missing.is_empty(), "carried out, and not in the list:\n{}", missing.join("\n"));
    let refused: Vec<_> = kept.difference(&seen).cloned().collect();
    assert!(refused.is_empty(), "in the list, and not carried out:\n{}", refused.join("\n"));
    Ok(())
}

#[tokio::test]
async fn what_no_text_shows_is_refused_by_a_standby_and_carried_out_all_the_same() -> Result<()> {
    let cluster = cluster().await?;
    let scene = Scene::before(&cluster, "unseen", ON).await?;
    cluster.primary().execute(DATABASE, "ALTER ROLE unseen SUPERUSER").await?;
    let mut client = scene.trunkline.raw("unseen", PASSWORD, DATABASE).await?;
    wait_for("the catalog is known", PATIENCE, async || {
        let (route, _) = asked(&mut client, &say::query("EXPLAIN ROUTE SELECT 1")).await?;
        ensure(route == "standby: read", route)
    })
    .await?;
    let cases = known_cases().await?;
    let mut standby = RawClient::tcp(cluster.standby(0)?.address()).await?;
    standby.login(SUPERUSER, SUPERUSER_PASSWORD, DATABASE).await?;
    let mut found = 0;
    for case in cases.iter().filter(|case| case.known_limit) {
        let path = format!("SELECT set_config('search_path', '{}', false)", case.path);
        standby.rows(&path).await?;
        let refused = standby.query(&case.sql).await?;
        let refused = refused.iter().find(|it| it.tag == b'E').map(Frame::sqlstate);
        assert_eq!(refused.as_deref(), Some("25006"), "{}", case.place());
        client.rows(&path).await?;
        explained(&mut client, case, "route", "standby").await?;
        client.rows(&case.sql).await?;
        explained(&mut client, case, "reason", LEARNT).await?;
        found += 1;
    }
    assert_eq!(found, UNSEEN);
    Ok(())
}

//! Transactions that read at a standby until they write, however their messages come: many at once, in groups, in parts.

mod common;
mod transactions;

use common::nodes::{is_primary, mark, on_a_standby, where_is};
use common::run;
use transactions::{
    at_a_standby, at_the_primary, begun_at_a_standby, execution, scene, shared, status, synced,
};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{Frame, say, tags};

#[tokio::test]
async fn a_transaction_may_begin_in_one_group_with_its_first_statement() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "together").await?;
    let mut client = scene.raw().await?;
    at_a_standby(&mut client, cluster).await?;
    run(&mut client, "COMMIT").await?;
    let begun = mark();
    let read = format!("SELECT i, '{begun} ' FROM t");
    let group = [execution("BEGIN", 1), synced(&read)].concat();
    let frames = client.exchange(&group, 1).await?;
    assert_eq!((tags(&frames).as_str(), status(&frames)), ("12C12DCZ", 'T'));
    assert!(!is_primary(where_is(&begun, cluster)?, cluster));
    // A read by a name, then a write.
    let named = [say::parse("s", "SELECT count(*) FROM t", &[]), say::describe_statement("s")];
    let frames = client.exchange(&[&named.concat()[..], &say::sync()].concat(), 1).await?;
    assert_eq!(tags(&frames), "1tTZ");
    let use_it = [say::bind("", "s", &[]), say::execute("", 0), say::sync()].concat();
    assert_eq!(tags(&client.exchange(&use_it, 1).await?), "2DCZ");
    assert!(!at_the_primary(&mut client, cluster).await?);
    let frames = client.exchange(&synced("INSERT INTO t VALUES (2)"), 1).await?;
    assert_eq!((tags(&frames).as_str(), status(&frames)), ("12CZ", 'T'));
    let frames = client.exchange(&use_it, 1).await?;
    assert_eq!(frames[1].row()?, [Some("2".to_owned())]);
    let frames = client.exchange(&synced("COMMIT"), 1).await?;
    assert_eq!((tags(&frames).as_str(), status(&frames)), ("12CZ", 'I'));
    // One that writes at once has not been at a standby.
    on_a_standby(&mut client, cluster).await?;
    let written = mark();
    let write = format!("INSERT INTO t VALUES (3) /* {written} */");
    let group = [execution("BEGIN", 1), synced(&write)].concat();
    assert_eq!(tags(&client.exchange(&group, 1).await?), "12C12CZ");
    assert!(is_primary(where_is(&written, cluster)?, cluster));
    run(&mut client, "ROLLBACK").await?;
    // All of a transaction at once.
    on_a_standby(&mut client, cluster).await?;
    let whole = mark();
    let read = format!("SELECT '{whole} ' FROM t");
    let group = [execution("BEGIN", 0), execution(&read, 0), synced("COMMIT")].concat();
    let frames = client.exchange(&group, 1).await?;
    assert_eq!((tags(&frames).as_str(), status(&frames)), ("12C12DDC12CZ", 'I'));
    assert!(!is_primary(where_is(&whole, cluster)?, cluster));
    Ok(())
}

#[tokio::test]
async fn a_server_that_lacks_a_statement_is_given_it_amid_a_group() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "amid").await?;
    let mut client = scene.raw().await?;
    on_a_standby(&mut client, cluster).await?;
    let named = [say::parse("b", "BEGIN", &[]), say::parse("s", "SELECT i FROM t", &[])].concat();
    let told = [&named[..], &say::describe_statement("s"), &say::sync()].concat();
    assert_eq!(tags(&client.exchange(&told, 1).await?), "11tTZ");
    let begin = [say::bind("", "b", &[]), say::execute("", 1)].concat();
    let read = [say::bind("", "s", &[]), say::execute("", 0), say::sync()].concat();
    let mut holders = Vec::new();
    for _ in 0..4 {
        // Each on a server that nobody holds, and that has to be asked what the statement looks like there.
        on_a_standby(&mut client, cluster).await?;
        let frames = client.exchange(&[&begin[..], &read].concat(), 1).await?;
        assert_eq!((tags(&frames).as_str(), status(&frames)), ("2C2DCZ", 'T'));
        run(&mut client, "COMMIT").await?;
        let mut holder = scene.raw().await?;
        at_a_standby(&mut holder, cluster).await?;
        holders.push(holder);
    }
    Ok(())
}

#[tokio::test]
async fn transactions_one_behind_the_other_are_each_where_they_belong() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "burst").await?;
    let mut client = scene.raw().await?;
    for round in 1..=3 {
        on_a_standby(&mut client, cluster).await?;
        let read = mark();
        let words = [
            "BEGIN",
            &format!("SELECT '{read} '"),
            "COMMIT",
            "BEGIN",
            "SELECT count(*) FROM t",
            "INSERT INTO t VALUES (2)",
            "SELECT count(*) FROM t",
            "COMMIT",
            "SELECT count(*) FROM t",
            "BEGIN",
            "INSERT INTO t VALUES (3)",
            "SELECT 1 / (i - i) FROM t",
            "SELECT 1",
            "COMMIT",
            "SELECT count(*) FROM t",
        ];
        let frames = client.exchange(&words.map(say::query).concat(), words.len()).await?;
        let expected = "CZTDCZCZCZTDCZCZTDCZCZTDCZCZCZTEZEZCZTDCZ";
        assert_eq!(tags(&frames), expected, "{frames:?}");
        let statuses: String = frames.iter().filter_map(Frame::status).collect();
        assert_eq!(statuses, "TTITTTTIITTEEII");
        assert!(!is_primary(where_is(&read, cluster)?, cluster));
        let rows = frames.iter().filter(|frame| frame.tag == b'D').skip(1);
        let counts: Vec<_> = rows.map(|row| row.row().map(|row| row[0].clone())).collect();
        let (before, after) = (Some(round.to_string()), Some((round + 1).to_string()));
        let counts: Vec<_> = counts.into_iter().collect::<Result<_>>()?;
        assert_eq!(counts, [before, after.clone(), after.clone(), after]);
    }
    // The same in the extended protocol.
    let groups = ["BEGIN", "SELECT 1", "INSERT INTO t VALUES (5)", "ROLLBACK", "SELECT 2"];
    on_a_standby(&mut client, cluster).await?;
    let frames = client.exchange(&groups.map(synced).concat(), groups.len()).await?;
    assert_eq!(tags(&frames), "12CZ12DCZ12CZ12CZ12DCZ");
    Ok(())
}

#[tokio::test]
async fn messages_may_come_in_parts() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "parts").await?;
    for begin in ["BEGIN", "BEGIN READ ONLY"] {
        let mut client = scene.raw().await?;
        begun_at_a_standby(&mut client, cluster, begin).await?;
        for whole in [say::query("SELECT 1").to_vec(), synced("SELECT 1")] {
            for cut in [1, 4, 5, 9, whole.len() - 5, whole.len() - 1] {
                client.send(&whole[..cut]).await?;
                // So that what is sent is read before there is more of it.
                scene.trunkline.get("/livez").await?;
                let frames = client.exchange(&whole[cut..], 1).await?;
                assert_eq!(status(&frames), 'T', "{begin}, cut at {cut}");
            }
        }
        assert!(!at_the_primary(&mut client, cluster).await?);
        // Behind others.
        let burst = [say::query("SELECT 1").to_vec(), synced("SELECT 2")].concat();
        client.send(&burst[..burst.len() - 3]).await?;
        client.read_until(b'Z').await?;
        client.exchange(&burst[burst.len() - 3..], 1).await?;
        // Longer than what is judged.
        let long = format!("SELECT length('{}')", "x".repeat(300_000));
        let frames = client.query(&long).await?;
        assert_eq!(tags(&frames), "TDCZ");
        assert_eq!(at_the_primary(&mut client, cluster).await?, begin == "BEGIN");
        run(&mut client, "COMMIT").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_portal_that_is_left_open_is_where_it_was_bound() -> Result<()> {
    let cluster = shared().await?;
    let scene = scene(cluster, "portal").await?;
    let mut client = scene.raw().await?;
    let rows = "SELECT generate_series(1, 3)";
    at_a_standby(&mut client, cluster).await?;
    let first = [&execution(rows, 1)[..], &say::sync()].concat();
    assert_eq!(tags(&client.exchange(&first, 1).await?), "12DsZ");
    let rest = [say::execute("", 0), say::sync()].concat();
    assert_eq!(tags(&client.exchange(&rest, 1).await?), "DDCZ");
    assert!(at_the_primary(&mut client, cluster).await?);
    run(&mut client, "COMMIT").await?;
    // Named; bound, and executed later.
    at_a_standby(&mut client, cluster).await?;
    let named = [say::parse("", rows, &[]), say::bind("p", "", &[]), say::execute("p", 2)];
    let frames = client.exchange(&[&named.concat()[..], &say::sync()].concat(), 1).await?;
    assert_eq!(tags(&frames), "12DDsZ");
    run(&mut client, "INSERT INTO t VALUES (2)").await?;
    let rest = [say::execute("p", 0), say::sync()].concat();
    assert_eq!(tags(&client.exchange(&rest, 1).await?), "DCZ");
    run(&mut client, "COMMIT").await?;
    at_a_standby(&mut client, cluster).await?;
    let bound = [say::parse("", rows, &[]), say::bind("", "", &[]), say::describe_portal("")];
    let frames = client.exchange(&[&bound.concat()[..], &say::sync()].concat(), 1).await?;
    assert_eq!(tags(&frames), "12TZ");
    let rest = [say::execute("", 0), say::sync()].concat();
    assert_eq!(tags(&client.exchange(&rest, 1).await?), "DDDCZ");
    run(&mut client, "COMMIT").await?;
    // Without a Sync.
    at_a_standby(&mut client, cluster).await?;
    let flushed = [&execution(rows, 0)[..], &say::flush()].concat();
    client.send(&flushed).await?;
    assert_eq!(tags(&client.read_until(b'C').await?), "12DDDC");
    let frames = client.exchange(&say::sync(), 1).await?;
    assert_eq!(status(&frames), 'T');
    run(&mut client, "COMMIT").await?;
    Ok(())
}

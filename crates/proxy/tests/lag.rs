//! How far the standbys of a real cluster are behind by what probes see, and which of them may be read from.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod login_support;

use std::sync::Arc;
use std::time::Duration;

use login_support::targets;
use trunkline_cluster::{
    Event, LagPolicy, NodeId, Observation, Policy, Readers, Role, State, Unfit, Verdict, View,
};
use trunkline_proxy::control::{Overseer, Probing, oversee, probe};
use trunkline_testkit::wait::PATIENCE;
use trunkline_testkit::{Cluster, Error, Result};

const PRIMARY: NodeId = NodeId(0);
const FIRST: NodeId = NodeId(1);
const SECOND: NodeId = NodeId(2);

/// Between two probes of a node.
const PROBES: Duration = Duration::from_millis(100);

/// Watches every node of the cluster.
fn watch(cluster: &Cluster, lag: LagPolicy) -> (Overseer, Probing) {
    let policy = Policy { down_failures: 3, down_after: Duration::from_millis(300), lag };
    let targets = targets(cluster);
    let overseer = oversee(State::new(policy, targets.iter().map(|target| target.node)));
    let probing = probe(targets, PROBES, PATIENCE, &overseer.events);
    (overseer, probing)
}

/// Waits until this is what speaks against reading from the standbys.
async fn unfit(overseer: &mut Overseer, wanted: [Option<Unfit>; 2]) {
    let objection = |readers: &Readers, node| readers.node(node).map(|reader| reader.unfit);
    let is_so = |readers: &Readers| {
        [FIRST, SECOND].map(|node| objection(readers, node)) == wanted.map(Some)
    };
    let came = tokio::time::timeout(PATIENCE, overseer.readers.wait_for(is_so)).await.is_ok();
    assert!(came, "wanted {wanted:?}, last seen {:?}", overseer.readers.borrow());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_stops_to_replay_is_read_from_no_more_until_it_has_caught_up() -> Result<()>
{
    let cluster = Cluster::builder().standbys(2).start().await?;
    let (bytes, time) = (64 << 10, Duration::from_secs(2));
    for (max_bytes, max_time, reason) in
        [(bytes, Duration::ZERO, Unfit::LagsByBytes), (0, time, Unfit::LagsByTime)]
    {
        let limits = LagPolicy { max_bytes, max_time, ..LagPolicy::default() };
        let (mut overseer, probing) = watch(&cluster, limits);
        unfit(&mut overseer, [None, None]).await;
        let view = overseer.view.borrow().clone();
        assert_eq!(view.as_ref().map(|view| &view.verdict), Some(&Verdict::Primary(PRIMARY)));
        cluster.standby(0)?.pause_replay().await?;
        overseer.view.mark_unchanged();
        let write = "DROP TABLE IF EXISTS much; \
                     CREATE TABLE much AS SELECT generate_series(1, 10000) AS i";
        cluster.primary().execute("postgres", write).await?;
        unfit(&mut overseer, [Some(reason), None]).await;
        cluster.standby(0)?.resume_replay().await?;
        unfit(&mut overseer, [None, None]).await;
        // What is seen of the log is no news of the cluster.
        assert!(!overseer.view.has_changed().unwrap());
        drop(probing);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_no_primary_is_known_standbys_are_read_from_for_so_long() -> Result<()> {
    let cluster = Cluster::builder().standbys(2).start().await?;
    let stale_reads_max = Duration::from_secs(3600);
    let (mut overseer, _probing) =
        watch(&cluster, LagPolicy { stale_reads_max, ..LagPolicy::default() });
    unfit(&mut overseer, [None, None]).await;
    cluster.primary().kill().await?;
    let gone = |view: &Option<Arc<View>>| {
        view.as_ref().is_some_and(|view| view.verdict == Verdict::NoPrimary)
    };
    tokio::time::timeout(PATIENCE, overseer.view.wait_for(gone)).await.unwrap().unwrap();
    unfit(&mut overseer, [None, None]).await;
    let lag = LagPolicy { stale_reads_max: Duration::ZERO, ..LagPolicy::default() };
    let policy = Policy { lag, ..Policy::default() };
    overseer.events.send(Event::Policy(policy)).await.unwrap();
    unfit(&mut overseer, [Some(Unfit::Stale); 2]).await;
    cluster.primary().start().await?;
    unfit(&mut overseer, [None, None]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_tell_how_far_the_log_is_of_nodes_in_either_role() -> Result<()> {
    let cluster = Cluster::builder().standbys(1).start().await?;
    cluster.caught_up().await?;
    let (events, mut seen) = tokio::sync::mpsc::channel(16);
    let _probing = probe(targets(&cluster), PROBES, PATIENCE, &events);
    let mut roles = Vec::new();
    while roles.len() < 2 {
        let event = tokio::time::timeout(PATIENCE, seen.recv()).await?.unwrap();
        let Event::Observed { observation: Observation { role, .. }, position, .. } = event else {
            return Err(Error::msg(format!("{event:?}")));
        };
        assert!(position.reached.is_some() && position.ahead.is_some(), "{position:?}");
        // What is flushed has been written. What is replayed may have been received before the standby started.
        assert!(role == Role::Standby || position.reached <= position.ahead, "{position:?}");
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    Ok(())
}

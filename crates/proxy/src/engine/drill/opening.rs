//! How often servers are tried that cannot be reached, and what the outcome means for those who wait.

use std::time::Duration;

use trunkline_settings::Settings;

use super::{Drill, pass};
use crate::{
    cluster::{NodeId, Traffic},
    engine::message::Message,
};

/// As many as one loop opens at a time.
const MANY: usize = 16;

/// So many clients that are logged in, have no server, and ask for one. The attempts wait for the test.
fn crowd(settings: Settings) -> Drill {
    let mut drill = Drill::new(1, settings);
    drill.shared.registry.apply(&drill.settings, &[], |_| false);
    for _ in 0..MANY {
        drill.log_in(0);
    }
    drill.settle();
    // The first server has told what clients are told at their login.
    drill.shared.registry.families().iter().for_each(|family| family.renew_all());
    drill.shared.send_all(|| Message::Recheck);
    drill.settle();
    drill.servers.clear();
    drill.settle();
    drill.open_by_hand();
    for client in 0..MANY {
        assert!(drill.told(client).ends_with('Z'), "client {client} was not let in");
        drill.ask(client, "SELECT 1");
    }
    drill.settle();
    assert_eq!(drill.attempts(), [0; MANY]);
    drill
}

/// Traffic goes to this node.
fn traffic(node: u16) -> Message {
    Message::Traffic(Traffic { primary: Some(NodeId(node)), ..Traffic::default() })
}

async fn pass_and_settle(drill: &mut Drill, millis: u64) {
    pass(Duration::from_millis(millis)).await;
    drill.settle();
}

#[tokio::test(start_paused = true)]
async fn one_refusal_of_many_attempts_is_one_failure() {
    let mut drill = crowd(Settings::default());
    for wait in [100, 200, 400] {
        drill.refuse(MANY);
        assert!(drill.attempts().is_empty());
        pass_and_settle(&mut drill, wait - 1).await;
        assert!(drill.attempts().is_empty(), "tried again before {wait} ms");
        // The pools are looked after every 20 ms.
        pass_and_settle(&mut drill, 21).await;
        assert_eq!(drill.attempts(), [0; MANY], "not tried again after {wait} ms");
    }
    drill.accept(MANY);
    for server in 0..MANY {
        assert_eq!(drill.asked(server), ["SELECT 1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_beside_a_success_is_tried_again_at_once() {
    let mut drill = crowd(Settings::default());
    drill.refuse(1);
    drill.accept(1);
    assert_eq!(drill.attempts().len(), MANY - 1);
    drill.refuse(MANY - 2);
    assert_eq!(drill.attempts().len(), MANY - 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_answers_again_is_tried_at_once() {
    let mut settings = Settings::default();
    settings.pool.wait_timeout = Duration::ZERO;
    let mut drill = crowd(settings);
    for _ in 0..10 {
        drill.refuse(drill.attempts().len());
        pass_and_settle(&mut drill, 5_000).await;
    }
    drill.refuse(MANY);
    // Not because of another node.
    drill.shared.send_all(|| Message::Recovered(NodeId(1)));
    drill.settle();
    assert!(drill.attempts().is_empty());
    drill.shared.send_all(|| Message::Recovered(NodeId(0)));
    drill.settle();
    assert_eq!(drill.attempts(), [0; MANY]);
    // If that fails, it is a first failure.
    drill.refuse(MANY);
    pass_and_settle(&mut drill, 121).await;
    assert_eq!(drill.attempts(), [0; MANY]);
}

#[tokio::test(start_paused = true)]
async fn attempts_at_a_dead_node_do_not_delay_its_successor() {
    let mut settings = Settings::default();
    // All places are taken by the attempts.
    settings.pool.max_connections = MANY;
    let mut drill = crowd(settings);
    drill.shared.send_all(|| traffic(1));
    drill.settle();
    assert_eq!(drill.attempts(), [1; MANY]);
    drill.accept(1);
    assert_eq!(drill.asked(0), ["SELECT 1"]);
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_attempts_that_were_given_up_changes_nothing() {
    let mut drill = crowd(Settings::default());
    // Two have ended when the primary changes, and the loop has not heard of it yet.
    let late = drill.two_outcomes();
    drill.shared.send_all(|| traffic(1));
    late();
    drill.settle();
    assert_eq!(drill.attempts(), [1; MANY]);
    assert_eq!(drill.reports()[0].servers.len(), 0);
    drill.accept(MANY);
    assert!((0..MANY).all(|client| drill.told(client).is_empty()));
    let nodes = drill.reports()[0].servers.iter().map(|server| server.node.0).collect::<Vec<_>>();
    assert_eq!(nodes, [1; MANY]);
}

#[tokio::test(start_paused = true)]
async fn what_failed_at_another_node_is_no_reason_to_wait() {
    let mut drill = crowd(Settings::default());
    drill.refuse(MANY);
    drill.shared.send_all(|| traffic(1));
    drill.settle();
    assert_eq!(drill.attempts(), [1; MANY]);
    assert_eq!(drill.reports()[0].pools[0].last_error, None);
}

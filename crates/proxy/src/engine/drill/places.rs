//! A place under a cap goes to who waits for it, at whichever loop, as soon as it is free: no time passes here.

use std::sync::Arc;

use super::story::{NODE, Story, settings};
use crate::engine::message::Message;

/// Two loops before a node with one place, which a client of loop 0 holds in a transaction.
fn held() -> (Story, usize) {
    let mut story = Story::begin(settings(), 1);
    let holder = story.log_in("shop", 0);
    story.play();
    story.ask(holder, "BEGIN");
    story.play();
    assert_eq!(story.server_of(holder), Some(0));
    (story, holder)
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_comes_back_makes_room_for_one_who_has_none_at_another_loop() {
    let (mut story, holder) = held();
    let other = story.log_in("wiki", 1);
    story.play();
    assert!(story.guests[other].waits);
    story.ask(holder, "COMMIT");
    story.play();
    assert!(!story.guests[other].waits, "the place was not given on");
    // And back again.
    story.ask(other, "BEGIN");
    story.ask(holder, "SELECT 1");
    story.play();
    assert!(story.guests[holder].waits);
    story.ask(other, "COMMIT");
    story.play();
    assert!(!story.guests[holder].waits, "the place was not given back");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_makes_room_for_one_who_has_none_at_another_loop() {
    let (mut story, holder) = held();
    story.ask(holder, "COMMIT");
    story.play();
    let other = story.log_in("wiki", 1);
    story.play();
    assert!(!story.guests[other].waits, "the idle connection was kept");
}

#[tokio::test(start_paused = true)]
async fn nobody_makes_room_for_one_who_has_got_a_place_meanwhile() {
    let (mut story, holder) = held();
    story.ask(holder, "COMMIT");
    story.play();
    let registry = Arc::clone(&story.drill.shared.registry);
    let [cap, ..] = story.drill.shared.caps_of(&registry.families()[0], NODE);
    // Asked for long ago, and read only now.
    story.send_all(|| Message::Evict(Arc::clone(&cap)));
    story.play();
    assert_eq!((cap.used(), cap.leaving()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_lost_is_taken_by_who_waits_at_another_loop() {
    let (mut story, holder) = held();
    let others = [story.log_in("wiki", 1), story.log_in("blog", 1)];
    story.play();
    // The server breaks, and its client goes with it.
    story.close(0);
    story.play();
    assert!(story.guests[holder].closed);
    assert!(others.iter().all(|other| !story.guests[*other].waits), "a place is left free");
}

#[tokio::test(start_paused = true)]
async fn whom_a_claim_has_kept_away_is_told_when_it_is_met() {
    let mut story = Story::begin(settings(), 2);
    let shop: Vec<usize> = (0..3).map(|_| story.log_in("shop", 0)).collect();
    story.play();
    for client in &shop[..2] {
        story.ask(*client, "BEGIN");
        story.play();
    }
    // The first to wait claims the next place; then both become free.
    let first = story.log_in("wiki", 1);
    story.play();
    story.ask(shop[2], "SELECT 1");
    story.play();
    for server in 0..2 {
        story.close(server);
    }
    story.play();
    let waits = [first, shop[2]].map(|client| story.guests[client].waits);
    assert_eq!(waits, [false, false]);
}

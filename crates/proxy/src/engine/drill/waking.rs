//! Clients whose message waits for something else than a server are woken.

use std::time::Duration;

use trunkline_settings::Settings;

use super::{Drill, pass};
use crate::{
    engine::{listening::Listening, message::Message},
    listening::{Member, Seat},
};

/// A client in a crowd waits for the listener, and its server for the answer to the replay of its settings.
#[tokio::test(start_paused = true)]
async fn who_waits_for_the_listener_goes_on_although_a_replay_is_answered_later() {
    let mut settings = Settings::default();
    settings.pool.size = 1;
    let slack = settings.pool.fairness_slack;
    let mut drill = Drill::new(1, settings);
    let [alice, bob, carol] = [(); 3].map(|()| drill.log_in(0));
    drill.settle();
    drill.ask(alice, "SET work_mem TO '1MB'");
    drill.settle();
    drill.answer(0, "SET", b'I');
    drill.settle();
    // Her server goes to another, and somebody waits for it.
    drill.ask(bob, "BEGIN");
    drill.settle();
    drill.answer(0, "RESET", b'I');
    drill.answer(0, "BEGIN", b'T');
    let seat = Seat { at: 0, slot: alice, id: 7 };
    let listening = Listening::new(Member::unanswered(seat));
    drill.loops[0].clients.get_mut(alice).expect("she is there").listening =
        Some(Box::new(listening));
    drill.ask(alice, "LISTEN c");
    drill.settle();
    drill.ask(carol, "SELECT 1");
    drill.ask(bob, "COMMIT");
    drill.settle();
    drill.asked(0);
    drill.answer(0, "COMMIT", b'I');
    drill.settle();
    assert_eq!(drill.asked(0), ["SET \"work_mem\" TO '1MB';"]);
    // The listener answers late, and the server later still.
    pass(slack + Duration::from_millis(1)).await;
    drill.shared.send(0, Message::Listening { seat, number: 1, granted: true });
    drill.settle();
    drill.answer(0, "SET", b'I');
    drill.settle();
    assert_eq!(drill.asked(0), ["LISTEN c"]);
}

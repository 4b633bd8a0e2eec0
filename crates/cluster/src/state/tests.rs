use super::*;

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);
const C: NodeId = NodeId(2);

fn answered(node: NodeId, in_recovery: bool, timeline: u32) -> Event {
    let answer = Answer { in_recovery, system_identifier: 7, timeline };
    Event::Probed { node, outcome: Outcome::Answered(answer) }
}

fn failed(node: NodeId) -> Event {
    Event::Probed { node, outcome: Outcome::Failed("refused".to_owned()) }
}

fn play(events: &[Event]) -> State {
    let mut state = State::default();
    state.step(Event::Nodes(vec![A, B, C]), Policy::default());
    for event in events {
        state.step(event.clone(), Policy::default());
    }
    state
}

#[test]
fn nothing_is_decided_before_every_node_was_asked() {
    let mut state = play(&[answered(A, false, 1), answered(B, true, 1)]);
    assert_eq!(state.view().primary, Err(NoPrimary::NotAskedYet));
    let view = state.step(failed(C), Policy::default()).expect("the view changes");
    assert_eq!(view.primary, Ok(A));
    assert_eq!(view.nodes[&C].role, Role::Unknown);
    assert_eq!(view.nodes[&C].failure, "refused");
}

#[test]
fn the_newest_timeline_wins_and_an_older_one_is_never_chosen_again() {
    let mut state = play(&[answered(A, false, 1), answered(B, false, 2), answered(C, true, 2)]);
    assert_eq!(state.view().primary, Ok(B));
    assert_eq!(state.view().nodes[&A].role, Role::Claimant);
    for _ in 0..2 {
        state.step(failed(B), Policy::default());
    }
    assert_eq!(state.view().primary, Err(NoPrimary::OnlyOldTimelines { newest: 2 }));
}

#[test]
fn two_claimants_on_one_timeline_refuse_writes() {
    let state = play(&[answered(A, false, 3), answered(B, false, 3), answered(C, true, 3)]);
    assert_eq!(state.view().primary, Err(NoPrimary::Ambiguous(vec![A, B])));
}

#[test]
fn one_failed_probe_changes_nothing_and_two_do() {
    let mut state = play(&[answered(A, false, 1), answered(B, true, 1), answered(C, true, 1)]);
    state.step(failed(A), Policy::default());
    assert_eq!(state.view().primary, Ok(A));
    state.step(answered(A, false, 1), Policy::default());
    state.step(failed(A), Policy::default());
    assert_eq!(state.view().primary, Ok(A), "failures count only in a row");
    state.step(failed(A), Policy::default());
    assert_eq!(state.view().primary, Err(NoPrimary::AllInRecovery));
}

#[test]
fn a_node_of_another_cluster_is_a_stranger() {
    let stranger = Answer { in_recovery: false, system_identifier: 8, timeline: 9 };
    let state = play(&[
        answered(A, false, 1),
        answered(B, true, 1),
        Event::Probed { node: C, outcome: Outcome::Answered(stranger) },
    ]);
    assert_eq!(state.view().primary, Ok(A));
    assert_eq!(state.view().nodes[&C].role, Role::Stranger);
}

#[test]
fn a_primary_that_says_it_is_in_recovery_is_none_at_once() {
    let state = play(&[
        answered(A, false, 1),
        answered(B, true, 1),
        answered(C, true, 1),
        answered(A, true, 1),
    ]);
    assert_eq!(state.view().primary, Err(NoPrimary::AllInRecovery));
}

#[test]
fn removed_nodes_are_forgotten_and_late_probes_of_them_ignored() {
    let mut state = play(&[answered(A, false, 1), answered(B, false, 1), answered(C, true, 1)]);
    let view = state.step(Event::Nodes(vec![A, C]), Policy::default()).expect("the view changes");
    assert_eq!(view.primary, Ok(A));
    assert!(state.step(answered(B, false, 5), Policy::default()).is_none());
    assert_eq!(state.view().primary, Ok(A));
}

#[test]
fn no_view_is_published_twice() {
    let mut state = play(&[answered(A, false, 1), answered(B, true, 1), answered(C, true, 1)]);
    assert!(state.step(answered(A, false, 1), Policy::default()).is_none());
}

/// Every story of five probes over two nodes: whatever is chosen is out of recovery by its last answer, on the
/// newest timeline any node has shown, and the only such node.
#[test]
fn all_short_stories_choose_at_most_one_node_out_of_recovery_on_the_newest_timeline() {
    let mut choices = Vec::new();
    for node in [A, B] {
        choices.push(failed(node));
        for (in_recovery, timeline) in [(false, 1), (false, 2), (true, 1), (true, 2)] {
            choices.push(answered(node, in_recovery, timeline));
        }
    }
    let mut stories = 0_u32;
    let mut story = [0_usize; 5];
    loop {
        let mut state = State::default();
        state.step(Event::Nodes(vec![A, B]), Policy::default());
        let mut last: BTreeMap<NodeId, Answer> = BTreeMap::new();
        let mut newest = 0;
        for place in story {
            let event = choices[place].clone();
            if let Event::Probed { node, outcome: Outcome::Answered(answer) } = &event {
                last.insert(*node, *answer);
                newest = newest.max(answer.timeline);
            }
            state.step(event, Policy::default());
            if let Ok(primary) = state.view().primary {
                let answer = last[&primary];
                assert!(!answer.in_recovery && answer.timeline == newest, "{story:?}");
            }
        }
        stories += 1;
        let Some(place) = story.iter().rposition(|digit| *digit + 1 < choices.len()) else { break };
        story[place] += 1;
        story[place + 1..].fill(0);
    }
    assert_eq!(stories, 100_000);
}

use std::time::Duration;

use super::*;
use crate::{LagPolicy, Role, Traffic};

const OURS: u64 = 7;
const THEIRS: u64 = 8;

fn at(millis: u64) -> Moment {
    Moment::after(Duration::from_millis(millis))
}

fn policy() -> Policy {
    Policy { down_failures: 2, down_after: Duration::from_millis(100), lag: LagPolicy::default() }
}

fn ids(count: u16) -> Vec<NodeId> {
    (0..count).map(NodeId).collect()
}

fn primary(timeline: u32) -> Observation {
    Observation { role: Role::Primary, system: OURS, timeline: Some(timeline) }
}

fn standby(timeline: u32) -> Observation {
    Observation { role: Role::Standby, system: OURS, timeline: Some(timeline) }
}

/// A cluster, and the clock that goes on by 100 ms with each event.
struct Story {
    state: State,
    now: u64,
    last: View,
    /// The nodes that the last event brought back.
    recovered: Vec<NodeId>,
}

impl Story {
    fn of(count: u16) -> Self {
        let (state, actions) =
            State::new(policy(), ids(count)).step(at(0), Event::Policy(policy()));
        let [Action::Publish(last), Action::Readers(_)] = &actions[..] else {
            panic!("nothing published: {actions:?}")
        };
        Self { state, now: 0, last: last.clone(), recovered: Vec::new() }
    }

    fn step(&mut self, event: Event) -> &mut Self {
        self.now += 100;
        let (state, actions) = self.state.clone().step(at(self.now), event);
        self.state = state;
        self.recovered.clear();
        for action in actions {
            match action {
                Action::Publish(view) => {
                    assert_ne!(view, self.last, "published without a change");
                    self.last = view;
                }
                Action::Recovered(node) => self.recovered.push(node),
                Action::Readers(_) => {}
            }
        }
        self
    }

    fn see(&mut self, node: u16, observation: Observation) -> &mut Self {
        self.step(Event::Observed {
            node: NodeId(node),
            observation,
            position: Position::default(),
        })
    }

    fn fail(&mut self, node: u16) -> &mut Self {
        self.step(Event::Failed { node: NodeId(node), failure: Failure::Silent })
    }

    fn standing(&self, node: u16) -> Standing {
        self.last.node(NodeId(node)).unwrap().standing
    }
}

#[test]
fn the_one_node_out_of_recovery_is_the_primary() {
    let mut story = Story::of(2);
    assert_eq!(story.last.verdict, Verdict::NoPrimary);
    story.see(1, standby(1)).see(0, primary(1));
    assert_eq!(story.last.verdict, Verdict::Primary(NodeId(0)));
    assert_eq!(story.last.system, Some(OURS));
    assert_eq!(story.standing(1), Standing::Standby);
}

#[test]
fn a_single_failed_probe_changes_nothing_and_several_do() {
    let mut story = Story::of(2);
    story.see(0, primary(1)).see(1, standby(1)).fail(0);
    assert_eq!(story.last.primary(), Some(NodeId(0)));
    story.see(0, primary(1)).fail(0);
    assert_eq!(story.last.primary(), Some(NodeId(0)), "failures that are not in a row add up");
    story.fail(0);
    assert_eq!(story.last.verdict, Verdict::NoPrimary);
    assert_eq!(story.standing(0), Standing::Down);
    story.see(0, primary(1));
    assert_eq!(story.last.primary(), Some(NodeId(0)));
}

#[test]
fn two_claimants_on_one_timeline_mean_nobody() {
    let mut story = Story::of(2);
    story.see(0, primary(1)).see(1, primary(1));
    assert_eq!(story.last.verdict, Verdict::Ambiguous(ids(2)));
    story.see(0, standby(1));
    assert_eq!(story.last.primary(), Some(NodeId(1)));
}

#[test]
fn an_older_timeline_is_never_chosen_even_when_it_is_alone() {
    let mut story = Story::of(2);
    story.see(0, primary(1)).see(1, primary(2));
    assert_eq!(story.last.primary(), Some(NodeId(1)));
    assert_eq!(story.standing(0), Standing::OldTimeline { its: 1, newest: 2 });
    story.fail(1).fail(1);
    assert_eq!(story.last.verdict, Verdict::NoPrimary);
}

#[test]
fn a_standby_on_a_newer_timeline_is_proof_enough_against_the_old_primary() {
    let mut story = Story::of(3);
    story.see(0, primary(1)).see(2, standby(2));
    assert_eq!(story.last.verdict, Verdict::NoPrimary);
    story.see(1, primary(2));
    assert_eq!(story.last.primary(), Some(NodeId(1)));
}

#[test]
fn a_stranger_is_never_used_once_the_cluster_is_known() {
    let stranger = Observation { system: THEIRS, ..primary(9) };
    let mut story = Story::of(2);
    story.see(1, standby(1)).see(0, primary(1)).see(1, stranger);
    assert_eq!(story.last.primary(), Some(NodeId(0)), "a stranger's timeline counted");
    assert_eq!(story.standing(1), Standing::OtherSystem);
    story.fail(0).fail(0);
    assert_eq!(story.last.verdict, Verdict::NoPrimary);

    let mut story = Story::of(2);
    story.see(0, Observation { system: THEIRS, ..standby(9) }).see(1, primary(1));
    assert_eq!(story.last.verdict, Verdict::SystemsDiffer(ids(2)));
    story.step(Event::Nodes([NodeId(1)].into()));
    assert_eq!(story.last.primary(), Some(NodeId(1)));
}

#[test]
fn a_node_that_leaves_the_settings_is_forgotten_and_a_new_one_is_unseen() {
    let mut story = Story::of(2);
    story.see(0, primary(1)).see(1, standby(1));
    story.step(Event::Nodes([NodeId(1), NodeId(2)].into()));
    assert_eq!(story.last.verdict, Verdict::NoPrimary);
    assert_eq!(story.standing(1), Standing::Standby);
    assert_eq!(story.standing(2), Standing::Unseen);
    story.see(0, primary(1));
    assert_eq!(story.last.primary(), None, "a node that is not ours was believed");
}

#[test]
fn the_same_words_again_publish_nothing() {
    let mut story = Story::of(1);
    story.see(0, primary(1));
    let (_, actions) = story.state.clone().step(
        at(9_000),
        Event::Observed { node: NodeId(0), observation: primary(1), position: Position::default() },
    );
    assert_eq!(actions, []);
}

/// Every event that can happen to two nodes in a small world.
fn alphabet() -> Vec<Event> {
    let mut events = Vec::new();
    for node in ids(2) {
        for observation in [
            primary(1),
            primary(2),
            standby(1),
            standby(2),
            Observation { system: THEIRS, ..primary(3) },
        ] {
            events.push(Event::Observed { node, observation, position: Position::default() });
        }
        events.push(Event::Failed { node, failure: Failure::Unreachable });
    }
    events
}

#[test]
fn in_every_short_story_the_chosen_node_deserves_it() {
    let events = alphabet();
    let mut stories = 0_u32;
    let mut open = vec![(Story::of(2).state, Vec::<Event>::new())];
    while let Some((state, told)) = open.pop() {
        for event in &events {
            let mut told = told.clone();
            told.push(event.clone());
            let now = u64::try_from(told.len()).unwrap() * 100;
            let (next, actions) = state.clone().step(at(now), event.clone());
            for action in &actions {
                if let Action::Publish(view) = action {
                    check(view, &told);
                }
            }
            stories += 1;
            if told.len() < 5 {
                open.push((next, told));
            }
        }
    }
    assert!(stories > 200_000, "only {stories} stories");
}

/// What must hold after every story.
fn check(view: &View, told: &[Event]) {
    let newest_shown = |system| {
        told.iter()
            .filter_map(|event| match event {
                Event::Observed { observation, .. } if observation.system == system => {
                    observation.timeline
                }
                _ => None,
            })
            .max()
    };
    let claims = view.nodes.iter().filter(|node| node.standing == Standing::Claimant).count();
    let asked = |id: NodeId| {
        told.iter().any(|event| {
            matches!(event, Event::Observed { node, .. } | Event::Failed { node, .. } if *node == id)
        })
    };
    let Some(primary) = view.primary() else {
        let excused = match &view.verdict {
            Verdict::SystemsDiffer(_) => true,
            Verdict::Incomplete(nodes) => !nodes.iter().any(|node| asked(*node)),
            _ => false,
        };
        assert!(claims != 1 || excused, "nobody was chosen: {told:?}");
        return;
    };
    assert!(ids(2).into_iter().all(asked), "chosen before all were asked: {told:?}");
    assert_eq!(claims, 1, "one of several was chosen: {told:?}");
    let last = view.node(primary).unwrap().last.unwrap();
    assert_eq!(last.role, Role::Primary, "a standby was chosen: {told:?}");
    assert_eq!(Some(last.system), view.system, "a stranger was chosen: {told:?}");
    // While nothing is known of the cluster, a lone stranger may be taken for its primary; then its own
    // timelines count.
    assert_eq!(last.timeline, newest_shown(last.system), "an old timeline was chosen: {told:?}");
    let fails = told
        .iter()
        .rev()
        .take_while(|event| !matches!(event, Event::Observed { node, .. } if *node == primary));
    let fails = fails
        .filter(|event| matches!(event, Event::Failed { node, .. } if *node == primary))
        .count();
    assert!(fails < 2, "a node that is down was chosen: {told:?}");
}

#[test]
fn nobody_is_accepted_before_every_node_was_asked_once() {
    let mut story = Story::of(3);
    story.see(0, primary(1));
    assert_eq!(story.last.verdict, Verdict::Incomplete(vec![NodeId(1), NodeId(2)]));
    assert_eq!(story.last.system, None);
    // One that does not answer has been asked.
    story.fail(2);
    assert_eq!(story.last.verdict, Verdict::Incomplete(vec![NodeId(1)]));
    story.see(1, primary(2));
    assert_eq!(story.last.primary(), Some(NodeId(1)));
}

#[test]
fn the_primary_stays_while_a_new_node_has_not_been_asked() {
    let mut story = Story::of(1);
    story.see(0, primary(1));
    story.step(Event::Nodes(ids(2).into_iter().collect()));
    assert_eq!(story.last.primary(), Some(NodeId(0)));
}

#[test]
fn a_node_that_answers_after_a_failure_has_recovered_once() {
    let mut story = Story::of(1);
    assert_eq!(story.see(0, primary(1)).recovered, []);
    assert_eq!(story.fail(0).recovered, []);
    assert_eq!(story.see(0, primary(1)).recovered, ids(1));
    assert_eq!(story.see(0, primary(1)).recovered, []);
    // Also after it has counted as down.
    assert_eq!(story.fail(0).fail(0).see(0, primary(1)).recovered, ids(1));
}

#[test]
fn what_was_begun_goes_on_only_where_the_primary_may_be() {
    let mut story = Story::of(2);
    let goes_on = |story: &Story| {
        let traffic = story.last.traffic();
        [0, 1].map(|number| traffic.may_go_on(NodeId(number)))
    };
    story.see(0, primary(1)).see(1, standby(1));
    assert_eq!(goes_on(&story), [true, false]);
    // It is silent, and nobody has taken its place.
    story.fail(0).fail(0);
    assert_eq!((story.last.primary(), goes_on(&story)), (None, [true, false]));
    // Others have left its timeline, although there is no new primary yet.
    story.see(1, standby(2));
    assert_eq!((story.last.primary(), goes_on(&story)), (None, [false, false]));
    story.see(1, primary(2));
    assert_eq!(goes_on(&story), [false, true]);
    story.see(0, primary(1));
    assert_eq!(goes_on(&story), [false, true]);
}

#[test]
fn what_was_begun_ends_on_a_node_that_is_a_standby_now_or_another_cluster() {
    for other in [standby(1), Observation { system: THEIRS, ..primary(1) }] {
        let mut story = Story::of(1);
        story.see(0, primary(1)).see(0, other);
        let standbys = if other.role == Role::Standby { ids(1) } else { Vec::new() };
        assert_eq!(story.last.traffic(), Traffic { standbys, ..Traffic::default() });
        // Not even when it is silent after that.
        story.fail(0).fail(0);
        assert_eq!(story.last.traffic(), Traffic::default());
    }
}

#[test]
fn of_two_that_claim_the_same_timeline_each_may_be_the_primary() {
    let mut story = Story::of(2);
    story.see(0, primary(1)).see(1, primary(1));
    assert_eq!(story.last.traffic(), Traffic { doubtful: ids(2), ..Traffic::default() });
}

#[test]
fn the_standbys_are_those_of_the_cluster_that_answer() {
    let mut story = Story::of(4);
    story.see(1, standby(1)).see(2, Observation { system: THEIRS, ..standby(1) });
    assert_eq!(story.last.traffic().standbys, [], "it is not known yet which cluster is ours");
    story.see(3, standby(1)).see(0, primary(1));
    // Of another cluster one has been seen: an operator has to say which is meant.
    assert_eq!(story.last.traffic().standbys, []);
    story.see(2, standby(1));
    assert_eq!(story.last.traffic().standbys, [NodeId(1), NodeId(2), NodeId(3)]);
    story.see(2, Observation { system: THEIRS, ..standby(1) }).fail(1).fail(1).see(3, primary(2));
    assert_eq!(story.last.traffic(), Traffic { primary: Some(NodeId(3)), ..Traffic::default() });
}

//! The clients of a batch on few servers: a seed decides who says the next step, each time that a client was told
//! `ReadyForQuery`.
//!
//! Mostly one step is under way at a time, so that a run can be repeated; sometimes there are more than servers, so that
//! some wait for the server of another. A client that is in a transaction, or whose state keeps its server, holds one of
//! them; one is always left for the others, so that no step ever waits for a client that would have to be asked for its
//! next.

use trunkline_testkit::Result;
use trunkline_testkit::peer::RawClient;

use crate::comparison::{Difference, compare};
use crate::player::{Place, Player};
use crate::recording::{Batch, Recording};
use crate::seed::Dice;
use crate::stage::{PASSWORD, SERVERS, USER};
use crate::transcript::Answer;

/// Clients that may hold a server at once.
const HOLDERS_MAX: usize = SERVERS - 1;

/// After about so many steps another number of clients may hold servers, because a pool that has several free ones
/// gives the same one again and again.
const TIDE_STEPS: usize = 25;

/// How many times in a hundred several clients say a step at once.
const CROWDED: usize = 20;

/// So many more than one, at most.
const CROWD_MAX: usize = 8;

/// Dice are for the order of the clients.
const ORDER: u64 = 3;

/// The column of `SHOW PINS` with the process number that the client was told.
const PID_COLUMN: usize = 2;

/// Transactions that have told which server they had, and clients that were kept on theirs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moves {
    /// After another one of the same client that has.
    pub told: usize,
    /// Those of them that had another server than that.
    pub moved: usize,
    /// How many times a client was found to be kept on its server.
    pub kept: usize,
}

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The scripts that were answered otherwise than by PostgreSQL.
    pub differences: Vec<Difference>,
    /// Which servers there were.
    pub moves: Moves,
}

#[derive(Debug)]
struct Seat<'a> {
    recording: &'a Recording,
    player: Player,
    next: usize,
    in_transaction: bool,
    /// Something was left behind on its server, or may have been.
    pinned: bool,
    /// The server that it has told last.
    server: Option<String>,
    /// It has told it in the transaction that is open.
    told: bool,
}

/// The clients of a batch.
#[derive(Debug)]
pub struct Crowd<'a> {
    seats: Vec<Seat<'a>>,
    console: RawClient,
    dice: Dice,
    /// So many may hold a server at present.
    holders_max: usize,
    outcome: Outcome,
    /// One has not been answered.
    stuck: bool,
}

impl<'a> Crowd<'a> {
    /// All clients of a batch log in.
    pub async fn enter(place: &Place, batch: &'a Batch, seed: u64) -> Result<Self> {
        let console = RawClient::logged_in(place.address, USER, PASSWORD, "trunkline").await?;
        let mut outcome = Outcome::default();
        wear_in(place).await?;
        let mut seats = Vec::new();
        for recording in &batch.recordings {
            let player = Player::enter(place, recording.startup).await?;
            if player.parameters != recording.parameters {
                outcome.differences.push(Difference::at_login(recording, &player.parameters));
            }
            seats.push(Seat::new(recording, player));
        }
        let dice = Dice::new(seed, ORDER, batch.number);
        Ok(Self { seats, console, dice, holders_max: HOLDERS_MAX, outcome, stuck: false })
    }

    /// Plays until all scripts have ended, or one is not answered at all, since others may wait for its server; or, if
    /// that is enough, until one has another answer.
    pub async fn play(mut self, until_first: bool) -> Result<Outcome> {
        let enough = |crowd: &Self| until_first && !crowd.outcome.differences.is_empty();
        while !self.seats.is_empty() && !self.stuck && !enough(&self) {
            let round = self.round();
            self.step(round).await?;
        }
        Ok(self.outcome)
    }

    /// The client that says its next step: any, or one that holds a server if that one has to wait for one.
    fn choose(&mut self) -> usize {
        if self.dice.below(TIDE_STEPS) == 0 {
            self.holders_max = self.dice.below(HOLDERS_MAX + 1);
        }
        let holders = self.holders();
        if holders.is_empty() {
            self.holders_max = self.holders_max.max(1);
        }
        let room = holders.len() < self.holders_max;
        let any = self.dice.below(self.seats.len());
        let waits = |seat: &Seat<'_>| !seat.holds() && !room && seat.will_hold();
        if !self.seats.get(any).is_some_and(waits) {
            return any;
        }
        holders.get(self.dice.below(holders.len())).copied().expect("somebody who is waited for")
    }

    fn holders(&self) -> Vec<usize> {
        let all = self.seats.iter().enumerate();
        all.filter(|(_, seat)| seat.holds()).map(|(place, _)| place).collect()
    }

    /// Those that say their next step now: mostly one, sometimes several, of which all but the first will not hold a
    /// server behind it.
    fn round(&mut self) -> Vec<usize> {
        let mut round = vec![self.choose()];
        if self.dice.percent(CROWDED) {
            for _ in 0..=self.dice.below(CROWD_MAX) {
                let any = self.dice.below(self.seats.len());
                let may =
                    self.seats.get(any).is_some_and(|seat| !seat.holds() && !seat.will_hold());
                if may && !round.contains(&any) {
                    round.push(any);
                }
            }
        }
        round
    }

    /// Plays the next steps of these clients, and lets those go that are done.
    async fn step(&mut self, mut round: Vec<usize>) -> Result<()> {
        for place in &round {
            let seat = self.seats.get_mut(*place).expect("a client");
            if let Some(played) = seat.recording.played.get(seat.next) {
                seat.player.say(&played.step).await?;
            }
        }
        let mut done = Vec::new();
        for place in round.drain(..) {
            if self.hear(place).await? {
                done.push(place);
            }
        }
        // From behind, so that the places of the others stay what they are.
        done.sort_unstable_by(|one, other| other.cmp(one));
        for place in done {
            self.seats.swap_remove(place);
        }
        Ok(())
    }

    /// Hears the answer to a client's step; true if it was the last, or has got another one.
    async fn hear(&mut self, place: usize) -> Result<bool> {
        let seat = self.seats.get_mut(place).expect("a client");
        let Some(played) = seat.recording.played.get(seat.next) else { return Ok(true) };
        let found = seat.player.hear(&played.step, played.notified).await;
        let difference = compare(seat.recording, seat.next, &found, seat.player.notified());
        if let Some(difference) = difference {
            self.outcome.differences.push(difference);
            self.stuck |= found.is_err();
            return Ok(true);
        }
        let Ok(answer) = found else { return Ok(true) };
        if let Some(moved) = seat.answered(answer) {
            self.outcome.moves.told += 1;
            self.outcome.moves.moved += usize::from(moved);
        }
        if played.step.may_pin {
            seat.pinned = true;
        } else if seat.pinned {
            // Asked only after a step that leaves nothing behind: what is found out behind a statement is known then.
            let pid = seat.player.pid.to_string();
            let rows = self.console.rows("SHOW PINS").await?;
            seat.pinned = rows.iter().any(|row| row.get(PID_COLUMN) == Some(&Some(pid.clone())));
            self.outcome.moves.kept += usize::from(seat.pinned && !seat.in_transaction);
        }
        if seat.next < seat.recording.played.len() {
            return Ok(false);
        }
        self.outcome.differences.extend(seat.leave().await?);
        Ok(true)
    }
}

impl<'a> Seat<'a> {
    fn new(recording: &'a Recording, player: Player) -> Self {
        let (in_transaction, pinned, server, told) = (false, false, None, false);
        Self { recording, player, next: 0, in_transaction, pinned, server, told }
    }

    /// Its step is answered. Says whether it had another server than before, if the answer tells that, and that for the
    /// first time in its transaction.
    fn answered(&mut self, answer: Answer) -> Option<bool> {
        self.told &= self.in_transaction;
        self.next += 1;
        self.in_transaction = answer.status != 'I';
        let server = answer.server?;
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        let last = self.server.replace(server.clone())?;
        Some(last != server)
    }

    /// Its script is done. Whatever the server or the listener has sent it by now stands before the answer to one more
    /// question: no notification more than PostgreSQL's.
    async fn leave(&mut self) -> Result<Option<Difference>> {
        self.player.ask("SELECT 1").await?;
        Ok(Difference::at_the_end(self.recording, self.player.notified()))
    }

    fn holds(&self) -> bool {
        self.in_transaction || self.pinned
    }

    /// Whether its next step may leave it with a server.
    fn will_hold(&self) -> bool {
        let next = self.recording.played.get(self.next);
        next.is_some_and(|played| played.step.may_pin || played.answer.status != 'I')
    }
}

/// What a server does once in its life, or in that of its pool, is done before the scripts.
///
/// Known limits: the first `currval` of a pool discards what others have left on its server, the client's own `nextval`
/// included; from then on servers are discarded before they go to another client. The first temporary table on a server
/// has all statements there analysed anew.
async fn wear_in(place: &Place) -> Result<()> {
    let mut clients = Vec::new();
    for _ in 0..SERVERS {
        let mut client =
            RawClient::logged_in(place.address, USER, PASSWORD, &place.database).await?;
        client.query("BEGIN; CREATE TEMP TABLE first () ON COMMIT DROP").await?;
        clients.push(client);
    }
    for mut client in clients {
        client.query("COMMIT").await?;
        client.query("SELECT lastval()").await?;
    }
    Ok(())
}

//! What the query on the cluster has said about users: asked once for all who wait, kept for a while, and asked
//! again when a proof has failed against it, or when it is some time old and somebody logs in: a SCRAM exchange is bound
//! to the salt it began with, so that a first login with a new password succeeds only if the change is known by then.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::{Instant, sleep_until, timeout_at};
use trunkline_settings::{Secret, Settings};
use trunkline_wire::auth::StoredPassword;

use crate::backend::KeyRing;

/// Users remembered from the query, found or not. A flood of made-up names pushes out others, which costs
/// those a query each.
pub(super) const MAX_REMEMBERED: usize = 10_000;

/// How long an answer may still be used when no server can be asked: a failover should not keep out users
/// who could log in a moment ago.
const STALE_MAX: Duration = Duration::from_secs(600);

/// The least time between two questions about one user that failed proofs cause: whoever guesses passwords must
/// not be able to keep the cluster busy.
const DOUBT_MIN: Duration = Duration::from_secs(1);

/// A login waits so long, at most, for an answer that is to replace one that would still do: servers that are slow, or
/// that do not answer at all, must not keep anybody out.
const REFRESH_WAIT: Duration = Duration::from_millis(500);

/// No server could be asked, or its answer makes no sense. Text for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LookupError(pub String);

/// The answer of a [`PasswordSource`], when it comes.
pub type LookupFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Secret>, LookupError>> + Send + 'a>>;

/// Where passwords of users are found that the settings do not know.
pub trait PasswordSource: Send + Sync + fmt::Debug + 'static {
    /// The stored password of a user (plain, `md5…` or a SCRAM verifier); `None` if there is no such user or
    /// it may not log in. Bounded in time.
    fn look_up<'a>(&'a self, user: &'a str) -> LookupFuture<'a>;
}

/// What the cluster says about a user.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// `None` for a user that does not exist, may not log in, or has no password.
    pub(super) stored: Option<Arc<StoredPassword>>,
    /// When the question was asked: changes before this moment are in the answer.
    pub(super) asked: Instant,
}

/// The answers.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    source: Arc<dyn PasswordSource>,
    ring: Arc<KeyRing>,
    /// At most [`MAX_REMEMBERED`].
    users: Arc<Mutex<BTreeMap<Arc<str>, Arc<Remembered>>>>,
}

/// What is remembered of one user.
#[derive(Default)]
struct Remembered {
    /// Held while the query runs, so that everyone else waits for its answer.
    asking: AsyncMutex<()>,
    /// A question that logins wait for, with an answer at hand, is answered.
    refreshed: Notify,
    past: Mutex<Past>,
}

#[derive(Default)]
struct Past {
    answer: Option<Answer>,
    /// The last question, and why it was not answered.
    tried: Option<(Instant, Option<LookupError>)>,
    /// When the last question was begun that is to replace an answer in time.
    refreshing: Option<Instant>,
    /// No failed proof causes a question before this moment.
    next_doubt: Option<Instant>,
}

impl Answers {
    pub(super) fn new(source: Arc<dyn PasswordSource>, ring: Arc<KeyRing>) -> Self {
        Self { source, ring, users: Arc::default() }
    }

    /// The answer for a login: one that is remembered, unless it is too old or a server has shown it to be wrong.
    pub(super) async fn get(
        &self,
        settings: &Settings,
        user: &Arc<str>,
    ) -> Result<Answer, LookupError> {
        let keep = settings.auth.auth_query_cache;
        let keep_unknown = settings.auth.auth_query_negative_cache;
        let refused = self.ring.refused(user);
        let fresh = |answer: &Answer| {
            let limit = if answer.stored.is_some() { keep } else { keep_unknown };
            answer.asked.elapsed() < limit && refused.is_none_or(|at| answer.asked > at)
        };
        let remembered = self.remembered(user);
        if let Some(answer) = remembered.answer().filter(&fresh) {
            let refresh = settings.auth.auth_query_refresh;
            if answer.asked.elapsed() < refresh {
                return Ok(answer);
            }
            return Ok(self.refreshed(user, &remembered, refresh).await.unwrap_or(answer));
        }
        let began = Instant::now();
        let _turn = remembered.asking.lock().await;
        if let Some(answer) = remembered.answer().filter(&fresh) {
            return Ok(answer);
        }
        match remembered.outcome_since(began) {
            Some(outcome) => outcome,
            None => self.ask(user, &remembered).await,
        }
    }

    /// A newer answer than the one at hand, if it comes soon. One question in the time of `refresh` serves all. It is the
    /// same for a user that was found as for one that was not.
    async fn refreshed(
        &self,
        user: &Arc<str>,
        remembered: &Arc<Remembered>,
        refresh: Duration,
    ) -> Option<Answer> {
        let mut answered = pin!(remembered.refreshed.notified());
        answered.as_mut().enable();
        let began = match remembered.begin_refresh(refresh) {
            Ok(began) => {
                // It goes on if nobody waits for it any more.
                let (answers, user, remembered) =
                    (self.clone(), Arc::clone(user), Arc::clone(remembered));
                tokio::spawn(async move { answers.refresh(&user, &remembered, began).await });
                began
            }
            Err(under_way) => under_way,
        };
        if remembered.outcome_since(began).is_none() {
            let _in_time = timeout_at(began + REFRESH_WAIT, answered).await;
        }
        remembered.outcome_since(began)?.ok()
    }

    async fn refresh(&self, user: &Arc<str>, remembered: &Remembered, began: Instant) {
        let _turn = remembered.asking.lock().await;
        if remembered.outcome_since(began).is_none() {
            // What fails is logged, and noted for those who wait.
            let _outcome = self.ask(user, remembered).await;
        }
        remembered.refreshed.notify_waiters();
    }

    /// The answer to a question that is asked after a proof has failed, as the password may have been changed a
    /// moment ago. Many failures in a row share one question, for which they wait. `None` if no server can be asked.
    pub(super) async fn again(&self, user: &Arc<str>) -> Option<Answer> {
        let remembered = self.remembered(user);
        let failed = Instant::now();
        loop {
            let turn = remembered.asking.lock().await;
            if let Some(outcome) = remembered.outcome_since(failed) {
                return outcome.ok();
            }
            match remembered.may_doubt() {
                Ok(()) => return self.ask(user, &remembered).await.ok(),
                Err(from) => {
                    drop(turn);
                    sleep_until(from).await;
                }
            }
        }
    }

    /// Asks the cluster; the caller holds [`Remembered::asking`].
    async fn ask(&self, user: &Arc<str>, remembered: &Remembered) -> Result<Answer, LookupError> {
        let asked = Instant::now();
        match self.source.look_up(user).await {
            Ok(secret) => {
                let parse = |secret: Secret| StoredPassword::parse(secret.expose().as_bytes());
                let answer = Answer { stored: secret.map(parse).map(Arc::new), asked };
                self.conclude(user, answer.stored.as_deref());
                let mut past = lock(&remembered.past);
                past.tried = Some((asked, None));
                past.answer = Some(answer.clone());
                Ok(answer)
            }
            Err(error) => {
                lock(&remembered.past).tried = Some((asked, Some(error.clone())));
                let answer = remembered.rather_stale(&error)?;
                tracing::warn!(%user, %error, "no server can be asked for the password; using the last answer");
                Ok(answer)
            }
        }
    }

    /// A key learnt for another verifier is worth nothing any more.
    fn conclude(&self, user: &str, stored: Option<&StoredPassword>) {
        match stored {
            Some(StoredPassword::Scram(verifier)) => self.ring.verifier_is(user, verifier),
            Some(_) => {}
            None => self.ring.forget(user),
        }
    }

    fn remembered(&self, user: &Arc<str>) -> Arc<Remembered> {
        let mut all = lock(&self.users);
        if !all.contains_key(user) && all.len() >= MAX_REMEMBERED {
            // Names in turn rather than the oldest: finding that one would mean looking at all of them for
            // every name of a flood.
            all.pop_first();
        }
        Arc::clone(all.entry(Arc::clone(user)).or_default())
    }
}

impl Remembered {
    fn answer(&self) -> Option<Answer> {
        lock(&self.past).answer.clone()
    }

    /// What came of a question that was asked since, if one was.
    fn outcome_since(&self, since: Instant) -> Option<Result<Answer, LookupError>> {
        let past = lock(&self.past);
        let (tried, failure) = past.tried.clone()?;
        if tried < since {
            return None;
        }
        drop(past);
        match failure {
            Some(error) => Some(self.rather_stale(&error)),
            None => self.answer().map(Ok),
        }
    }

    /// The last answer in the place of one that cannot be had.
    fn rather_stale(&self, error: &LookupError) -> Result<Answer, LookupError> {
        self.answer()
            .filter(|answer| answer.asked.elapsed() < STALE_MAX)
            .ok_or_else(|| error.clone())
    }

    /// Begins to replace the answer, unless that was begun a short time ago; then says when.
    fn begin_refresh(&self, refresh: Duration) -> Result<Instant, Instant> {
        let (mut past, now) = (lock(&self.past), Instant::now());
        match past.refreshing {
            Some(at) if now.duration_since(at) < refresh => Err(at),
            _ => {
                past.refreshing = Some(now);
                Ok(now)
            }
        }
    }

    /// Whether a failed proof may cause a question now, which is then the last one for a while; if not, when.
    fn may_doubt(&self) -> Result<(), Instant> {
        let (mut past, now) = (lock(&self.past), Instant::now());
        match past.next_doubt {
            Some(from) if from > now => Err(from),
            _ => {
                past.next_doubt = Some(now + DOUBT_MIN);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remembered(..)")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one insertion or a few assignments, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

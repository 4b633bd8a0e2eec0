//! Finding what a user's password is checked against: the settings (with the user file), then a query on
//! the cluster. Answers of the query are kept for a while, and one question is asked for all who wait.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OnceCell, Semaphore};
use tokio::time::Instant;
use trunkline_settings::{Secret, Settings};
use trunkline_wire::auth::{DEFAULT_ITERATIONS, IterationsError, StoredPassword, Verifier};
use zeroize::Zeroizing;

use crate::backend::KeyRing;

/// Users remembered from the query, found or not. A flood of made-up names pushes out others, which costs
/// those a query each.
const MAX_REMEMBERED: usize = 10_000;

/// How long an answer may still be used when no server can be asked: a failover should not keep out users
/// who could log in a moment ago.
const STALE_MAX: Duration = Duration::from_secs(600);

/// The least time between two questions about one user that failed logins cause.
const REFRESH_MIN: Duration = Duration::from_secs(1);

/// Derivations at the same time. Each keeps a core busy for milliseconds; more at once would only take the
/// cores from those who are logged in.
const MAX_DERIVING: usize = 2;

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

/// The look-up, and what it remembers.
#[derive(Debug)]
pub(super) struct Users {
    source: Option<Arc<dyn PasswordSource>>,
    ring: Arc<KeyRing>,
    /// At most [`MAX_REMEMBERED`].
    remembered: Mutex<BTreeMap<Arc<str>, Arc<Remembered>>>,
    /// Verifiers made from plain passwords, one per user.
    derived: Mutex<BTreeMap<Arc<str>, Derived>>,
    /// Salts of made-up verifiers come from it.
    mock_secret: Zeroizing<[u8; 32]>,
    /// The iteration count last seen in a real verifier, for made-up ones.
    usual_iterations: AtomicU32,
    deriving: Semaphore,
}

/// What the query has said about one user.
#[derive(Default)]
struct Remembered {
    /// Held while the query runs, so that everyone else waits for its answer.
    answer: AsyncMutex<Option<Answer>>,
}

struct Answer {
    stored: Option<Arc<StoredPassword>>,
    at: Instant,
}

struct Derived {
    password: Arc<StoredPassword>,
    verifier: Arc<OnceCell<Verifier>>,
}

/// What is known of a user.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) stored: Arc<StoredPassword>,
    /// It came from the cluster, so the servers know the same.
    pub(super) from_cluster: bool,
}

impl Users {
    pub(super) fn new(source: Option<Arc<dyn PasswordSource>>, ring: Arc<KeyRing>) -> Self {
        Self {
            source,
            ring,
            remembered: Mutex::default(),
            derived: Mutex::default(),
            mock_secret: Zeroizing::new(rand::random()),
            usual_iterations: AtomicU32::new(DEFAULT_ITERATIONS),
            deriving: Semaphore::new(MAX_DERIVING),
        }
    }

    /// What is known of the user; `None` when it does not exist or has no password.
    pub(super) async fn find(
        &self,
        settings: &Settings,
        user: &Arc<str>,
    ) -> Result<Option<Found>, LookupError> {
        if let Some(known) = settings.user(user)
            && let Some(password) = &known.password
        {
            let stored = Arc::new(StoredPassword::parse(password.secret().expose().as_bytes()));
            return Ok(Some(Found { stored, from_cluster: false }));
        }
        let (Some(source), false) = (&self.source, settings.auth.auth_query.is_empty()) else {
            return Ok(None);
        };
        let keep = settings.auth.auth_query_cache;
        let keep_unknown = settings.auth.auth_query_negative_cache;
        let fresh = |answer: &Answer| {
            answer.at.elapsed() < if answer.stored.is_some() { keep } else { keep_unknown }
        };
        self.ask(source, user, fresh).await
    }

    /// Asks the cluster again after a proof has failed: the password may have been changed a moment ago.
    /// `None` when there is nothing new.
    pub(super) async fn refresh(
        &self,
        settings: &Settings,
        user: &Arc<str>,
        failed: &Found,
    ) -> Option<Found> {
        let source = self.source.as_ref().filter(|_| failed.from_cluster)?;
        if settings.auth.auth_query.is_empty() {
            return None;
        }
        let found =
            self.ask(source, user, |answer| answer.at.elapsed() < REFRESH_MIN).await.ok()??;
        (found.stored != failed.stored).then_some(found)
    }

    async fn ask(
        &self,
        source: &Arc<dyn PasswordSource>,
        user: &Arc<str>,
        fresh: impl Fn(&Answer) -> bool,
    ) -> Result<Option<Found>, LookupError> {
        let remembered = self.remembered(user);
        let mut answer = remembered.answer.lock().await;
        if !answer.as_ref().is_some_and(&fresh) {
            match source.look_up(user).await {
                Ok(secret) => {
                    let parse = |secret: Secret| StoredPassword::parse(secret.expose().as_bytes());
                    let stored = secret.map(parse).map(Arc::new);
                    self.note(user, stored.as_deref());
                    *answer = Some(Answer { stored, at: Instant::now() });
                }
                Err(error) => match &*answer {
                    Some(old) if old.at.elapsed() < STALE_MAX => {
                        tracing::warn!(%user, %error, "no server can be asked for the password; using the last answer");
                    }
                    _ => return Err(error),
                },
            }
        }
        let stored = answer.as_ref().and_then(|answer| answer.stored.clone());
        Ok(stored.map(|stored| Found { stored, from_cluster: true }))
    }

    /// Draws conclusions from an answer: a key learnt for another verifier is worth nothing any more.
    fn note(&self, user: &str, stored: Option<&StoredPassword>) {
        match stored {
            Some(StoredPassword::Scram(verifier)) => {
                self.ring.verifier_is(user, verifier);
                self.usual_iterations.store(verifier.iterations(), Ordering::Relaxed);
            }
            Some(_) => {}
            None => self.ring.forget(user),
        }
    }

    fn remembered(&self, user: &Arc<str>) -> Arc<Remembered> {
        let mut all = lock(&self.remembered);
        if !all.contains_key(user) && all.len() >= MAX_REMEMBERED {
            // Names in turn rather than the oldest: finding that one would mean looking at all of them for
            // every name of a flood.
            all.pop_first();
        }
        Arc::clone(all.entry(Arc::clone(user)).or_default())
    }

    /// A verifier that no proof fits, for a user that does not exist or has no password SCRAM can check. It
    /// looks like a real one, the same each time.
    pub(super) fn mock(&self, user: &str) -> Verifier {
        let iterations = self.usual_iterations.load(Ordering::Relaxed);
        Verifier::mock(&*self.mock_secret, user.as_bytes(), iterations)
    }

    /// The verifier of a stored password, for SCRAM. `None` when there can be none (md5). Of a plain
    /// password it is made once, on a thread where that may take long.
    pub(super) async fn verifier(
        &self,
        user: &Arc<str>,
        stored: &Arc<StoredPassword>,
    ) -> Result<Option<Verifier>, IterationsError> {
        let password = match &**stored {
            StoredPassword::Scram(verifier) => return Ok(Some(verifier.clone())),
            StoredPassword::Md5(_) => return Ok(None),
            StoredPassword::Plain(password) => password.clone(),
        };
        let cell = self.derived_cell(user, stored);
        let made = cell.get_or_try_init(|| {
            // The salt a made-up verifier of this name has, so that creating a user changes nothing that
            // can be seen from outside.
            let mock = self.mock(user);
            self.on_a_thread(move || Verifier::derive(&password, mock.salt(), mock.iterations()))
        });
        made.await.cloned().map(Some)
    }

    fn derived_cell(
        &self,
        user: &Arc<str>,
        stored: &Arc<StoredPassword>,
    ) -> Arc<OnceCell<Verifier>> {
        let mut derived = lock(&self.derived);
        if let Some(known) = derived.get(user).filter(|known| known.password == *stored) {
            return Arc::clone(&known.verifier);
        }
        if derived.len() >= MAX_REMEMBERED && !derived.contains_key(user) {
            derived.pop_first();
        }
        let verifier = Arc::new(OnceCell::new());
        let entry = Derived { password: Arc::clone(stored), verifier: Arc::clone(&verifier) };
        derived.insert(Arc::clone(user), entry);
        verifier
    }

    /// Whether a password sent in clear is right. An unknown user costs as much as a known one.
    pub(super) async fn check_clear(
        &self,
        user: &Arc<str>,
        stored: Option<&Arc<StoredPassword>>,
        password: Zeroizing<Vec<u8>>,
    ) -> Result<bool, IterationsError> {
        let known = stored.map(Arc::clone);
        let against = known.unwrap_or_else(|| Arc::new(StoredPassword::Scram(self.mock(user))));
        let user = Arc::clone(user);
        self.on_a_thread(move || against.verify_clear(&password, user.as_bytes())).await
    }

    /// Runs what takes milliseconds where it holds up nobody.
    async fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, IterationsError> + Send + 'static,
    ) -> Result<T, IterationsError> {
        // Neither can fail: the semaphore is never closed, and the work does not panic.
        let _turn = self.deriving.acquire().await;
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(IterationsError(0)))
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remembered(..)")
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Derived(..)")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

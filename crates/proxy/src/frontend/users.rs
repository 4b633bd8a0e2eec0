//! Finding what a user's password is checked against, and checking it: the settings (with the user file), then a
//! query on the cluster. Who does not exist takes as long as who does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;
use trunkline_settings::Settings;
use trunkline_wire::auth::{
    DEFAULT_ITERATIONS, IterationsError, MAX_ITERATIONS, StoredPassword, Verifier,
};
use zeroize::Zeroizing;

use super::answers::{Answer, Answers, LookupError, MAX_REMEMBERED, PasswordSource};
use crate::backend::KeyRing;

/// Derivations at the same time. Each keeps a core busy for milliseconds; more at once would only take the
/// cores from those who are logged in.
const MAX_DERIVING: usize = 2;

/// The look-up, and what it remembers.
#[derive(Debug)]
pub(super) struct Users {
    answers: Option<Answers>,
    /// Verifiers made from plain passwords, one per user.
    derived: Mutex<BTreeMap<Arc<str>, Derived>>,
    /// Salts of made-up verifiers come from it.
    mock_secret: Zeroizing<Vec<u8>>,
    /// The iteration count last seen in a real verifier, for made-up ones.
    usual_iterations: AtomicU32,
    deriving: Semaphore,
}

struct Derived {
    password: Arc<StoredPassword>,
    verifier: Arc<OnceCell<Verifier>>,
}

/// What is known of a user.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// `None` for a user that does not exist or has no password.
    pub(super) stored: Option<Arc<StoredPassword>>,
    /// Whether the cluster has said so some time before this login.
    remembered: bool,
}

impl Users {
    pub(super) fn new(
        source: Option<Arc<dyn PasswordSource>>,
        ring: Arc<KeyRing>,
        mock_secret: Zeroizing<Vec<u8>>,
    ) -> Self {
        Self {
            answers: source.map(|source| Answers::new(source, ring)),
            derived: Mutex::default(),
            mock_secret,
            usual_iterations: AtomicU32::new(DEFAULT_ITERATIONS),
            deriving: Semaphore::new(MAX_DERIVING),
        }
    }

    /// What is known of the user.
    pub(super) async fn find(
        &self,
        settings: &Settings,
        user: &Arc<str>,
    ) -> Result<Known, LookupError> {
        if let Some(known) = settings.user(user)
            && let Some(password) = &known.password
        {
            let stored = Arc::new(StoredPassword::parse(password.secret().expose().as_bytes()));
            self.note_iterations(&stored);
            return Ok(Known { stored: Some(stored), remembered: false });
        }
        let Some(answers) = self.answers(settings) else {
            return Ok(Known { stored: None, remembered: false });
        };
        let began = Instant::now();
        let answer = answers.get(settings, user).await?;
        Ok(self.known(answer, began))
    }

    /// Asks the cluster again after a proof has failed against what it said some time ago. `None` when there is
    /// nothing new. For a user it did not know as for one it did.
    pub(super) async fn refresh(
        &self,
        settings: &Settings,
        user: &Arc<str>,
        failed: &Known,
    ) -> Option<Known> {
        let answers = self.answers(settings).filter(|_| failed.remembered)?;
        let answer = answers.again(user).await?;
        let known = self.known(answer, Instant::now());
        (known.stored != failed.stored).then_some(known)
    }

    fn answers(&self, settings: &Settings) -> Option<&Answers> {
        self.answers.as_ref().filter(|_| !settings.auth.auth_query.is_empty())
    }

    fn known(&self, answer: Answer, began: Instant) -> Known {
        if let Some(stored) = &answer.stored {
            self.note_iterations(stored);
        }
        Known { stored: answer.stored, remembered: answer.asked < began }
    }

    fn note_iterations(&self, stored: &StoredPassword) {
        if let StoredPassword::Scram(verifier) = stored {
            let iterations = verifier.iterations().min(MAX_ITERATIONS);
            self.usual_iterations.store(iterations, Ordering::Relaxed);
        }
    }

    /// A verifier that no proof fits, for a user that does not exist or has no password SCRAM can check. It
    /// looks like a real one, the same each time.
    pub(super) fn mock(&self, user: &str) -> Verifier {
        let iterations = self.usual_iterations.load(Ordering::Relaxed);
        Verifier::mock(&self.mock_secret, user.as_bytes(), iterations)
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

    /// Whether a password sent in clear is right. It costs the same whatever is stored for the user, and if
    /// nothing is.
    pub(super) async fn check_clear(
        &self,
        user: &Arc<str>,
        stored: Option<&Arc<StoredPassword>>,
        password: Zeroizing<Vec<u8>>,
    ) -> Result<bool, IterationsError> {
        let (stored, mock) = (stored.map(Arc::clone), self.mock(user));
        let user = Arc::clone(user);
        self.on_a_thread(move || {
            is_right(stored.as_deref(), &mock, &password, &user, Verifier::verify_password)
        })
        .await
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

/// Compares a password with what is stored. `derive` is the work that takes long, and is done exactly once: where a
/// comparison needs none, for what the made-up verifier of the name would have needed.
fn is_right(
    stored: Option<&StoredPassword>,
    mock: &Verifier,
    password: &[u8],
    user: &str,
    derive: impl FnOnce(&Verifier, &[u8]) -> Result<bool, IterationsError>,
) -> Result<bool, IterationsError> {
    match stored {
        Some(StoredPassword::Scram(verifier)) => derive(verifier, password),
        Some(stored) => {
            derive(mock, password)?;
            stored.verify_clear(password, user.as_bytes())
        }
        None => derive(mock, password),
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

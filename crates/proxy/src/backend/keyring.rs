//! The secrets of server logins that no file holds: what clients' own logins have taught us, and keys that
//! take long to derive. In memory only, wiped when dropped.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;
use tokio::time::Instant;
use trunkline_settings::Secret;
use trunkline_wire::auth::{
    ClientKey, ClientKeys, IterationsError, Md5Hash, SaltedPassword, Verifier,
};

/// Users remembered. A learnt secret is gone when its user has not been used for longest; the next login
/// brings it back.
const MAX_LEARNT: usize = 100_000;

/// Derived keys remembered. There is one for each password in the settings and each salt it meets, which is
/// one per cluster.
const MAX_DERIVED: usize = 1024;

/// What a client's login has left for logging in to servers as the same user.
#[derive(Clone, PartialEq, Eq)]
pub enum Learnt {
    /// The SCRAM keys, and the verifier they belong to.
    Keys(Arc<(ClientKeys, Verifier)>),
    /// The hash the client's md5 answer was checked against.
    Md5(Md5Hash),
    /// The password, which the client sent in clear.
    Password(Secret),
}

impl fmt::Debug for Learnt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keys(_) => "Keys(..)",
            Self::Md5(_) => "Md5(..)",
            Self::Password(_) => "Password(..)",
        })
    }
}

/// The store; one for the process.
#[derive(Default)]
pub struct KeyRing {
    learnt: Mutex<LearntUsers>,
    derived: Mutex<BTreeMap<DerivedKey, Derived>>,
}

#[derive(Default)]
struct LearntUsers {
    /// At most [`MAX_LEARNT`].
    users: BTreeMap<Arc<str>, Entry>,
    /// Counts logins, to find the user that has not logged in for longest.
    logins: u64,
}

/// What is known of one user.
struct Entry {
    /// The number of its last login.
    login: u64,
    learnt: Option<Learnt>,
    /// When a server last refused what a login had left.
    refused: Option<Instant>,
}

/// User, salt and iteration count; the password stands in the value, to be compared.
type DerivedKey = (Arc<str>, Box<[u8]>, u32);

struct Derived {
    password: Secret,
    /// One derivation for all who wait for it.
    keys: Arc<OnceCell<ClientKeys>>,
}

impl KeyRing {
    /// Nothing known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers what a login has shown. The verifier is the one the proof was checked against.
    pub fn learn_key(&self, user: &Arc<str>, client_key: ClientKey, verifier: Verifier) {
        if let Some(keys) = ClientKeys::from_login(client_key, &verifier) {
            self.learn(user, Learnt::Keys(Arc::new((keys, verifier))));
        }
    }

    /// Remembers a secret.
    pub fn learn(&self, user: &Arc<str>, learnt: Learnt) {
        let mut known = lock(&self.learnt);
        known.logins += 1;
        let login = known.logins;
        if !known.users.contains_key(user) && known.users.len() >= MAX_LEARNT {
            let oldest = known.users.iter().min_by_key(|(_, entry)| entry.login);
            if let Some(oldest) = oldest.map(|(user, _)| Arc::clone(user)) {
                known.users.remove(&oldest);
            }
        }
        let refused = known.users.get(user).and_then(|entry| entry.refused);
        let entry = Entry { login, learnt: Some(learnt), refused };
        known.users.insert(Arc::clone(user), entry);
    }

    /// What is known of a user.
    pub fn learnt(&self, user: &str) -> Option<Learnt> {
        lock(&self.learnt).users.get(user).and_then(|entry| entry.learnt.clone())
    }

    /// When a server last refused what a login of the user had left: what was known of its password then is not true
    /// any more.
    pub fn refused(&self, user: &str) -> Option<Instant> {
        lock(&self.learnt).users.get(user).and_then(|entry| entry.refused)
    }

    /// Forgets a user's secret, for instance because the password was changed.
    pub fn forget(&self, user: &str) {
        lock(&self.learnt).users.remove(user);
    }

    /// Forgets a secret that a server has refused, unless a login has brought another one since.
    pub fn forget_refused(&self, user: &str, refused: &Learnt) {
        if let Some(entry) = lock(&self.learnt).users.get_mut(user)
            && entry.learnt.as_ref() == Some(refused)
        {
            entry.learnt = None;
            entry.refused = Some(Instant::now());
        }
    }

    /// Forgets a user's keys when they are not those of the verifier now stored on the cluster.
    pub fn verifier_is(&self, user: &str, verifier: &Verifier) {
        let mut known = lock(&self.learnt);
        let outdated = match known.users.get(user).and_then(|entry| entry.learnt.as_ref()) {
            Some(Learnt::Keys(keys)) => keys.1 != *verifier,
            Some(Learnt::Md5(_)) => true,
            Some(Learnt::Password(_)) | None => false,
        };
        if outdated {
            known.users.remove(user);
        }
    }

    /// The SCRAM keys of a password for a salt and count. Derived once, on a thread where it may take long,
    /// however many ask at the same time.
    pub async fn derive(
        &self,
        user: &Arc<str>,
        password: &Secret,
        salt: &[u8],
        iterations: u32,
    ) -> Result<ClientKeys, IterationsError> {
        let cell = self.derived_cell(user, password, salt, iterations);
        let keys = cell.get_or_try_init(|| async {
            let (password, salt) = (password.clone(), salt.to_vec());
            let work = move || {
                SaltedPassword::derive(password.expose().as_bytes(), &salt, iterations)
                    .map(|salted| ClientKeys::from_salted(&salted))
            };
            // The only way for the task to fail is a shutdown of the runtime, when nobody waits any more.
            tokio::task::spawn_blocking(work).await.unwrap_or(Err(IterationsError(iterations)))
        });
        keys.await.cloned()
    }

    fn derived_cell(
        &self,
        user: &Arc<str>,
        password: &Secret,
        salt: &[u8],
        iterations: u32,
    ) -> Arc<OnceCell<ClientKeys>> {
        let key = (Arc::clone(user), Box::from(salt), iterations);
        let mut derived = lock(&self.derived);
        if let Some(known) = derived.get(&key).filter(|known| known.password == *password) {
            return Arc::clone(&known.keys);
        }
        if derived.len() >= MAX_DERIVED && !derived.contains_key(&key) {
            // Something makes up salts; what is really used comes back at once.
            derived.clear();
        }
        let keys = Arc::new(OnceCell::new());
        derived.insert(key, Derived { password: password.clone(), keys: Arc::clone(&keys) });
        keys
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("learnt", &lock(&self.learnt).users.len())
            .field("derived", &lock(&self.derived).len())
            .finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use trunkline_wire::auth::DEFAULT_ITERATIONS;

    use super::*;

    fn verifier(password: &str) -> (ClientKey, Verifier) {
        let salt = [1; 16];
        let salted = SaltedPassword::derive(password.as_bytes(), &salt, 2).unwrap();
        (salted.client_key(), Verifier::derive(password.as_bytes(), &salt, 2).unwrap())
    }

    #[test]
    fn a_key_is_kept_until_the_verifier_changes() {
        let ring = KeyRing::new();
        let user = Arc::from("alice");
        let (key, old) = verifier("old");
        ring.learn_key(&user, key, old.clone());
        ring.verifier_is("alice", &old);
        assert!(ring.learnt("alice").is_some());
        ring.verifier_is("alice", &verifier("new").1);
        assert_eq!(ring.learnt("alice"), None);
    }

    #[test]
    fn a_key_that_is_not_the_verifiers_is_not_learnt() {
        let ring = KeyRing::new();
        ring.learn_key(&Arc::from("alice"), verifier("one").0, verifier("other").1);
        assert_eq!(ring.learnt("alice"), None);
    }

    #[test]
    fn a_refused_secret_goes_and_a_newer_one_stays() {
        let ring = KeyRing::new();
        let user = Arc::from("alice");
        let old = Learnt::Password(Secret::new("old"));
        let new = Learnt::Password(Secret::new("new"));
        ring.learn(&user, new.clone());
        ring.forget_refused("alice", &old);
        assert_eq!((ring.learnt("alice"), ring.refused("alice")), (Some(new.clone()), None));
        ring.forget_refused("alice", &new);
        assert_eq!(ring.learnt("alice"), None);
        // That it was refused is still known when the next login has brought another one.
        let refused = ring.refused("alice");
        assert!(refused.is_some());
        ring.learn(&user, old);
        assert_eq!(ring.refused("alice"), refused);
    }

    #[tokio::test]
    async fn a_password_is_derived_once_for_each_salt() {
        let ring = KeyRing::new();
        let user = Arc::from("alice");
        let password = Secret::new("secret");
        let first = ring.derive(&user, &password, b"salt", DEFAULT_ITERATIONS).await.unwrap();
        let cell = ring.derived_cell(&user, &password, b"salt", DEFAULT_ITERATIONS);
        assert_eq!(cell.get(), Some(&first));
        let other =
            ring.derive(&user, &Secret::new("other"), b"salt", DEFAULT_ITERATIONS).await.unwrap();
        assert!(other != first, "another password gave the same keys");
        assert!(ring.derive(&user, &password, b"salt", 0).await.is_err());
    }

    #[test]
    fn nothing_secret_is_shown() {
        let ring = KeyRing::new();
        ring.learn(&Arc::from("alice"), Learnt::Password(Secret::new("hunter2")));
        let shown = format!("{ring:?} {:?}", ring.learnt("alice"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

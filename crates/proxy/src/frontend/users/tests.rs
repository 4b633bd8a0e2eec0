use std::cell::Cell;
use std::sync::atomic::AtomicUsize;

use trunkline_wire::auth::Md5Hash;

use super::*;
use crate::frontend::LookupFuture;

/// Knows nobody, and counts the questions.
#[derive(Debug, Default)]
struct Nobody(AtomicUsize);

impl PasswordSource for Nobody {
    fn look_up<'a>(&'a self, _: &'a str) -> LookupFuture<'a> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(None) })
    }
}

fn users(source: Option<Arc<dyn PasswordSource>>) -> Users {
    Users::new(source, Arc::new(KeyRing::new()), Zeroizing::new(b"some secret".to_vec()))
}

/// Settings with a query, in which `alice` has a password.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.auth.auth_query = "SELECT 1".to_owned();
    settings.auth.auth_query_refresh = std::time::Duration::MAX;
    let password = Some(trunkline_settings::UserPassword::parse("own").unwrap());
    let alice = trunkline_settings::User { password, ..Default::default() };
    settings.users.0.insert("alice".to_owned(), alice);
    settings
}

#[tokio::test]
async fn a_user_of_the_settings_is_never_asked_for() {
    let source = Arc::new(Nobody::default());
    let users = users(Some(Arc::<Nobody>::clone(&source)));
    let alice = Arc::from("alice");
    let known = users.find(&settings(), &alice).await.unwrap();
    assert_eq!(known.stored.as_deref(), Some(&StoredPassword::parse(b"own")));
    assert!(users.refresh(&settings(), &alice, &known).await.is_none());
    assert_eq!(source.0.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_proof_that_failed_against_a_remembered_answer_causes_a_question_also_for_a_stranger() {
    let source = Arc::new(Nobody::default());
    let users = users(Some(Arc::<Nobody>::clone(&source)));
    let bob = Arc::from("bob");
    let asked = || source.0.load(Ordering::Relaxed);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    let fresh = users.find(&settings(), &bob).await.unwrap();
    users.refresh(&settings(), &bob, &fresh).await;
    assert_eq!(asked(), 1, "it was asked for this very login");
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    let remembered = users.find(&settings(), &bob).await.unwrap();
    assert_eq!(asked(), 1);
    assert!(users.refresh(&settings(), &bob, &remembered).await.is_none(), "nothing has changed");
    assert_eq!(asked(), 2);
}

#[tokio::test]
async fn the_salt_of_a_name_is_the_same_whether_or_not_it_exists_and_after_a_restart() {
    let first = users(None);
    let alice = Arc::from("alice");
    let stored = Arc::new(StoredPassword::parse(b"secret"));
    let real = first.verifier(&alice, &stored).await.unwrap().unwrap();
    let mock = first.mock("alice");
    assert_eq!((real.salt(), real.iterations()), (mock.salt(), mock.iterations()));
    assert_eq!(real.verify_password(b"secret"), Ok(true));
    assert_eq!(mock.verify_password(b"secret"), Ok(false));
    assert_ne!(first.mock("bob").salt(), mock.salt());
    assert_eq!(users(None).mock("alice").salt(), mock.salt());
}

#[tokio::test]
async fn a_password_in_clear_costs_one_derivation_whatever_is_stored() {
    let verifier = Verifier::derive(b"secret", b"saltsaltsaltsalt", 2).unwrap();
    let md5 = Md5Hash::new(b"secret", b"alice");
    let forms = [
        None,
        Some(StoredPassword::Plain(Zeroizing::new(b"secret".to_vec()))),
        Some(StoredPassword::Md5(md5)),
        Some(StoredPassword::Scram(verifier)),
    ];
    let mock = Verifier::mock(b"some secret", b"alice", 2);
    for form in &forms {
        for (password, right) in [(&b"secret"[..], true), (b"wrong", false)] {
            let derived = Cell::new(0);
            let counting = |verifier: &Verifier, password: &[u8]| {
                derived.set(derived.get() + 1);
                verifier.verify_password(password)
            };
            let outcome = is_right(form.as_ref(), &mock, password, "alice", counting);
            assert_eq!(outcome, Ok(right && form.is_some()), "{form:?}");
            assert_eq!(derived.get(), 1, "{form:?}");
        }
    }
    // And this is how it is called.
    let stored = Arc::new(StoredPassword::parse(b"secret"));
    let (users, alice) = (users(None), Arc::from("alice"));
    let check = async |stored, password: &[u8]| {
        users.check_clear(&alice, stored, Zeroizing::new(password.to_vec())).await
    };
    assert_eq!(check(Some(&stored), b"secret").await, Ok(true));
    assert_eq!(check(Some(&stored), b"wrong").await, Ok(false));
    assert_eq!(check(None, b"secret").await, Ok(false));
}

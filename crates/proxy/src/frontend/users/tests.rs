use std::sync::atomic::AtomicUsize;

use super::*;

/// Answers from a table, slowly, and counts the questions.
#[derive(Debug, Default)]
struct Table {
    answers: Mutex<BTreeMap<String, &'static str>>,
    away: std::sync::atomic::AtomicBool,
    asked: AtomicUsize,
}

impl PasswordSource for Table {
    fn look_up<'a>(&'a self, user: &'a str) -> LookupFuture<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(10)).await;
            if self.away.load(Ordering::Relaxed) {
                return Err(LookupError("away".to_owned()));
            }
            Ok(lock(&self.answers).get(user).map(|&text| Secret::new(text)))
        })
    }
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.auth.auth_query = "SELECT 1".to_owned();
    settings
}

fn with_table() -> (Arc<Table>, Arc<Users>) {
    let table = Arc::new(Table::default());
    lock(&table.answers).insert("alice".to_owned(), "secret");
    let source: Arc<Table> = Arc::clone(&table);
    (table, Arc::new(Users::new(Some(source), Arc::new(KeyRing::new()))))
}

async fn found(users: &Users, user: &str) -> bool {
    users.find(&settings(), &Arc::from(user)).await.unwrap().is_some()
}

#[tokio::test(start_paused = true)]
async fn one_question_answers_all_who_ask_at_once() {
    let (table, users) = with_table();
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let users = Arc::clone(&users);
            tokio::spawn(async move { found(&users, "alice").await })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(table.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn answers_are_kept_for_as_long_as_the_settings_say() {
    let (table, users) = with_table();
    let asked = || table.asked.load(Ordering::Relaxed);
    assert!(found(&users, "alice").await && !found(&users, "nobody").await);
    tokio::time::advance(Duration::from_secs(4)).await;
    assert!(found(&users, "alice").await && !found(&users, "nobody").await);
    assert_eq!(asked(), 2);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(found(&users, "alice").await && !found(&users, "nobody").await);
    assert_eq!(asked(), 3, "the unknown user is asked for again after 5 s");
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(found(&users, "alice").await);
    assert_eq!(asked(), 4, "the known user is asked for again after 30 s");
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_serves_while_no_server_can_be_asked() {
    let (table, users) = with_table();
    assert!(found(&users, "alice").await);
    table.away.store(true, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(300)).await;
    assert!(found(&users, "alice").await);
    assert!(users.find(&settings(), &Arc::from("bob")).await.is_err());
    tokio::time::advance(STALE_MAX).await;
    assert!(users.find(&settings(), &Arc::from("alice")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_failed_proof_asks_again_but_not_for_every_attempt() {
    let (table, users) = with_table();
    let alice = Arc::from("alice");
    let old = users.find(&settings(), &alice).await.unwrap().unwrap();
    tokio::time::advance(REFRESH_MIN).await;
    assert!(users.refresh(&settings(), &alice, &old).await.is_none(), "nothing has changed");
    lock(&table.answers).insert("alice".to_owned(), "changed");
    assert!(users.refresh(&settings(), &alice, &old).await.is_none(), "asked twice in a second");
    tokio::time::advance(REFRESH_MIN).await;
    let new = users.refresh(&settings(), &alice, &old).await.unwrap();
    assert_eq!(*new.stored, StoredPassword::parse(b"changed"));
    assert_eq!(table.asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_user_of_the_settings_is_never_asked_for() {
    let (table, users) = with_table();
    let mut settings = settings();
    let password = Some(trunkline_settings::UserPassword::parse("own").unwrap());
    let alice = trunkline_settings::User { password, ..Default::default() };
    settings.users.0.insert("alice".to_owned(), alice);
    let found = users.find(&settings, &Arc::from("alice")).await.unwrap().unwrap();
    assert_eq!(*found.stored, StoredPassword::parse(b"own"));
    assert!(!found.from_cluster);
    assert_eq!(table.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_salt_of_a_name_is_the_same_whether_or_not_it_exists() {
    let (_, users) = with_table();
    let alice = Arc::from("alice");
    let stored = Arc::new(StoredPassword::parse(b"secret"));
    let real = users.verifier(&alice, &stored).await.unwrap().unwrap();
    let mock = users.mock("alice");
    assert_eq!((real.salt(), real.iterations()), (mock.salt(), mock.iterations()));
    assert_eq!(real.verify_password(b"secret"), Ok(true));
    assert_eq!(mock.verify_password(b"secret"), Ok(false));
    assert_ne!(users.mock("bob").salt(), mock.salt());
}

#[tokio::test]
async fn a_flood_of_names_is_forgotten() {
    let (_, users) = with_table();
    for n in 0..MAX_REMEMBERED + 10 {
        users.remembered(&Arc::from(format!("user{n}")));
    }
    assert_eq!(lock(&users.remembered).len(), MAX_REMEMBERED);
}

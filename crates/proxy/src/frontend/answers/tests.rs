use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

/// Answers from a table, slowly, and counts the questions.
#[derive(Debug, Default)]
struct Table {
    answers: Mutex<BTreeMap<String, &'static str>>,
    away: AtomicBool,
    slow: AtomicBool,
    asked: AtomicUsize,
}

impl Table {
    fn set(&self, password: &'static str) {
        lock(&self.answers).insert("alice".to_owned(), password);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl PasswordSource for Table {
    fn look_up<'a>(&'a self, user: &'a str) -> LookupFuture<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let found = lock(&self.answers).get(user).map(|&text| Secret::new(text));
            tokio::time::sleep(ANSWERING).await;
            if self.slow.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            if self.away.load(Ordering::Relaxed) {
                return Err(LookupError("away".to_owned()));
            }
            Ok(found)
        })
    }
}

/// How long the table takes to answer.
const ANSWERING: Duration = Duration::from_millis(10);

/// The shortest time there is.
const MOMENT: Duration = Duration::from_millis(1);

fn alice() -> Arc<str> {
    Arc::from("alice")
}

fn stored(text: &str) -> Arc<StoredPassword> {
    Arc::new(StoredPassword::parse(text.as_bytes()))
}

/// Settings by which no answer is replaced before its time.
fn lazy() -> Settings {
    let mut settings = Settings::default();
    settings.auth.auth_query_refresh = Duration::MAX;
    settings
}

struct Desk {
    table: Arc<Table>,
    ring: Arc<KeyRing>,
    answers: Arc<Answers>,
}

impl Desk {
    fn open() -> Self {
        let (table, ring) = (Arc::new(Table::default()), Arc::new(KeyRing::new()));
        table.set("secret");
        let source: Arc<Table> = Arc::clone(&table);
        let answers = Arc::new(Answers::new(source, Arc::clone(&ring)));
        Self { table, ring, answers }
    }

    /// So many times the same at once.
    async fn all<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        count: usize,
        one: impl Fn(Arc<Answers>) -> F,
    ) -> Vec<T> {
        let tasks: Vec<_> =
            (0..count).map(|_| tokio::spawn(one(Arc::clone(&self.answers)))).collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        outcomes
    }

    /// The answer at hand, as long as it may be used.
    async fn get(&self, user: &str) -> Option<Arc<StoredPassword>> {
        self.answers.get(&lazy(), &Arc::from(user)).await.unwrap().stored
    }

    /// The answer of a login by the settings as they are.
    async fn log_in(&self, user: &str) -> Option<Arc<StoredPassword>> {
        self.answers.get(&Settings::default(), &Arc::from(user)).await.unwrap().stored
    }

    async fn again(&self) -> Option<Arc<StoredPassword>> {
        self.answers.again(&alice()).await.unwrap().stored
    }
}

#[tokio::test(start_paused = true)]
async fn one_question_answers_all_who_ask_at_once() {
    let desk = Desk::open();
    let get = |answers: Arc<Answers>| async move {
        answers.get(&Settings::default(), &alice()).await.unwrap().stored
    };
    for found in desk.all(100, get).await {
        assert_eq!(found, Some(stored("secret")));
    }
    assert_eq!(desk.table.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_question_that_fails_fails_for_all_who_wait() {
    let desk = Desk::open();
    desk.table.away.store(true, Ordering::Relaxed);
    let get = |answers: Arc<Answers>| async move {
        answers.get(&Settings::default(), &alice()).await.is_err()
    };
    assert_eq!(desk.all(100, get).await, [true; 100]);
    assert_eq!(desk.table.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn answers_are_kept_for_as_long_as_the_settings_say() {
    let desk = Desk::open();
    let both = async || {
        assert_eq!(desk.get("alice").await, Some(stored("secret")));
        assert_eq!(desk.get("nobody").await, None);
    };
    both().await;
    tokio::time::advance(Duration::from_secs(4)).await;
    both().await;
    assert_eq!(desk.table.asked(), 2);
    tokio::time::advance(Duration::from_secs(2)).await;
    both().await;
    assert_eq!(desk.table.asked(), 3, "the unknown user is asked for again after 5 s");
    tokio::time::advance(Duration::from_secs(30)).await;
    desk.get("alice").await;
    assert_eq!(desk.table.asked(), 4, "the known user is asked for again after 30 s");
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_serves_while_no_server_can_be_asked() {
    let desk = Desk::open();
    desk.get("alice").await;
    desk.table.away.store(true, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(300)).await;
    assert_eq!(desk.get("alice").await, Some(stored("secret")));
    let get = async |user: &str| desk.answers.get(&lazy(), &Arc::from(user)).await;
    assert!(get("bob").await.is_err());
    tokio::time::advance(STALE_MAX).await;
    assert!(get("alice").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_failed_proof_asks_again_however_fresh_the_answer_is() {
    let desk = Desk::open();
    assert_eq!(desk.get("alice").await, Some(stored("secret")));
    desk.table.set("changed");
    tokio::time::advance(MOMENT).await;
    assert_eq!(desk.again().await, Some(stored("changed")));
    assert_eq!(
        desk.get("alice").await,
        Some(stored("changed")),
        "the next login meets the new one"
    );
    assert_eq!(desk.table.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_guesser_causes_one_question_in_a_second_and_hides_no_change() {
    let desk = Desk::open();
    desk.get("alice").await;
    let again =
        |answers: Arc<Answers>| async move { answers.again(&alice()).await.unwrap().stored };
    let began = Instant::now();
    for round in 1..=5 {
        tokio::time::advance(MOMENT).await;
        for found in desk.all(50, again).await {
            assert_eq!(found, Some(stored("secret")));
        }
        assert_eq!(desk.table.asked(), 1 + round);
    }
    assert!(began.elapsed() >= 4 * DOUBT_MIN, "5 questions in {:?}", began.elapsed());
    // The password is changed just after a question of his. Who fails with the new one waits for the next question
    // and is let in by its answer.
    desk.table.set("changed");
    tokio::time::advance(MOMENT).await;
    let mut failures = desk.all(50, again).await;
    failures.push(desk.again().await);
    assert!(failures.iter().all(|found| *found == Some(stored("changed"))), "{failures:?}");
    // A login with the right password never waits for him.
    let (began, guesser) = (Instant::now(), tokio::spawn(again(Arc::clone(&desk.answers))));
    tokio::task::yield_now().await;
    assert_eq!(desk.get("alice").await, Some(stored("changed")));
    assert_eq!(began.elapsed(), Duration::ZERO);
    guesser.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_server_has_refused_is_asked_for_at_the_next_login() {
    use crate::backend::Learnt;
    let desk = Desk::open();
    assert_eq!(desk.get("alice").await, Some(stored("secret")));
    let learnt = Learnt::Password(Secret::new("secret"));
    desk.ring.learn(&alice(), learnt.clone());
    desk.table.set("changed");
    tokio::time::advance(MOMENT).await;
    desk.ring.forget_refused("alice", &learnt);
    tokio::time::advance(MOMENT).await;
    assert_eq!(desk.get("alice").await, Some(stored("changed")));
    assert_eq!(desk.get("alice").await, Some(stored("changed")));
    assert_eq!(desk.table.asked(), 2, "asked once");
}

/// Longer than the default of `auth_query_refresh`, and much shorter than answers are kept.
const A_WHILE: Duration = Duration::from_millis(1100);

#[tokio::test(start_paused = true)]
async fn a_login_meets_a_password_that_was_changed_a_while_ago_or_later() {
    let desk = Desk::open();
    assert_eq!(desk.log_in("alice").await, Some(stored("secret")));
    assert_eq!(desk.log_in("bob").await, None);
    desk.table.set("changed");
    assert_eq!(desk.log_in("alice").await, Some(stored("secret")), "it was asked just now");
    tokio::time::advance(A_WHILE).await;
    assert_eq!(desk.log_in("alice").await, Some(stored("changed")));
    // Whoever was not found waits as long for as many questions.
    assert_eq!(desk.log_in("bob").await, None);
    assert_eq!(desk.table.asked(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_logins_causes_one_question_in_a_while() {
    let desk = Desk::open();
    desk.log_in("alice").await;
    desk.table.set("changed");
    tokio::time::advance(A_WHILE).await;
    let get = |answers: Arc<Answers>| async move {
        answers.get(&Settings::default(), &alice()).await.unwrap().stored
    };
    for found in desk.all(1000, get).await {
        assert_eq!(found, Some(stored("changed")));
    }
    desk.all(1000, get).await;
    assert_eq!(desk.table.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn servers_that_do_not_answer_hold_up_logins_for_a_moment_only() {
    let desk = Desk::open();
    desk.log_in("alice").await;
    tokio::time::advance(A_WHILE).await;
    desk.table.slow.store(true, Ordering::Relaxed);
    let began = Instant::now();
    assert_eq!(desk.log_in("alice").await, Some(stored("secret")));
    assert_eq!(began.elapsed(), REFRESH_WAIT);
    let began = Instant::now();
    assert_eq!(desk.log_in("alice").await, Some(stored("secret")));
    assert_eq!(began.elapsed(), Duration::ZERO, "one waits for all");
    // Those that say at once that they cannot answer hold up nobody.
    let desk = Desk::open();
    desk.log_in("alice").await;
    desk.table.away.store(true, Ordering::Relaxed);
    tokio::time::advance(A_WHILE).await;
    let began = Instant::now();
    assert_eq!(desk.log_in("alice").await, Some(stored("secret")));
    assert!(began.elapsed() <= 2 * ANSWERING, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn every_login_asks_if_the_settings_say_so() {
    let desk = Desk::open();
    let mut settings = Settings::default();
    settings.auth.auth_query_refresh = Duration::ZERO;
    for password in ["secret", "changed", "again"] {
        desk.table.set(password);
        tokio::time::advance(MOMENT).await;
        let found = desk.answers.get(&settings, &alice()).await.unwrap().stored;
        assert_eq!(found, Some(stored(password)));
    }
}

#[tokio::test]
async fn a_flood_of_names_is_forgotten() {
    let desk = Desk::open();
    for n in 0..MAX_REMEMBERED + 10 {
        desk.answers.remembered(&Arc::from(format!("user{n}")));
    }
    assert_eq!(lock(&desk.answers.users).len(), MAX_REMEMBERED);
}

//! Waiting for a condition, never for time.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::time::{Instant, sleep, timeout_at};

/// How long a fixture waits for what normally takes well below a second. Generous, because the
/// machine may be busy with other tests; it only decides how late a failure is reported.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The first pause between two looks; doubled until [`LOOK_PAUSE_MAX`].
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(2);

/// The longest pause between two looks: short enough for a test, long enough not to keep a core
/// busy.
const LOOK_PAUSE_MAX: Duration = Duration::from_millis(50);

/// Looks again and again until `look` answers `Ok`, at most for `patience`.
///
/// An `Err` of `look` means "not yet" and should tell what was seen instead; the last one is the
/// cause in the error of this function, whose own message names `condition`. A single look is cut
/// off at the deadline too.
///
/// ```no_run
/// # async fn example(node: &trunkline_testkit::Node) -> trunkline_testkit::Result<()> {
/// use trunkline_testkit::wait::{PATIENCE, wait_for};
///
/// wait_for("the table is on the standby", PATIENCE, async || {
///     node.query_text("postgres", "SELECT count(*) FROM t").await
/// })
/// .await?;
/// # Ok(())
/// # }
/// ```
pub async fn wait_for<T>(
    condition: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    let mut pause = LOOK_PAUSE_MIN;
    let mut last = anyhow!("nothing was seen: the first look did not end");
    loop {
        match timeout_at(deadline, look()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => last = seen,
            Err(_) => break,
        }
        if Instant::now() + pause >= deadline {
            break;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LOOK_PAUSE_MAX);
    }
    Err(last).with_context(|| format!("waited {patience:?} in vain until: {condition}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_value_of_the_first_look_that_holds_is_returned() {
        let mut looks = 0;
        let value = wait_for("three looks", PATIENCE, async || {
            looks += 1;
            anyhow::ensure!(looks == 3, "{looks} looks");
            Ok(looks)
        })
        .await;
        assert_eq!(value.unwrap(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_error_names_the_condition_and_what_was_seen_last() {
        let mut looks = 0;
        let error = wait_for("the moon is blue", Duration::from_secs(5), async || {
            looks += 1;
            Err::<(), _>(anyhow!("it is grey at look {looks}"))
        })
        .await
        .unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("5s in vain until: the moon is blue"), "{text}");
        assert!(text.contains(&format!("it is grey at look {looks}")), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_never_ends_is_cut_off() {
        let look = async || std::future::pending::<Result<()>>().await;
        let error = wait_for("an answer", Duration::from_secs(1), look).await.unwrap_err();
        assert!(format!("{error:#}").contains("the first look did not end"));
    }
}

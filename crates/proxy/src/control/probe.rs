//! Asking a node what it is.

use std::time::Duration;

use trunkline_cluster::{Answer, Outcome};

use super::{connection::ControlError, keeper::ControlPool};

/// Recovery state, system identifier and timeline in one row. The timeline of a primary is that of the WAL file it
/// writes now: `pg_control_checkpoint()` lags behind a promotion. That of a standby is the one it receives; without a
/// walreceiver (or the right to see it) the last checkpoint's must do.
const QUESTION: &str = "SELECT pg_catalog.pg_is_in_recovery(), \
    (SELECT system_identifier FROM pg_catalog.pg_control_system()), \
    CASE WHEN pg_catalog.pg_is_in_recovery() \
      THEN coalesce((SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver), \
                    (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()))::text \
      ELSE substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8) END";

/// Asks a node over a kept connection, within `limit`.
pub(crate) async fn probe(node: &ControlPool, limit: Duration) -> Outcome {
    match node.query(QUESTION, &[], limit).await.and_then(|rows| read(&rows)) {
        Ok(answer) => Outcome::Answered(answer),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

fn read(rows: &[Vec<Option<String>>]) -> Result<Answer, ControlError> {
    let wrong = || ControlError::Unexpected("the probe's row");
    let [row] = rows else { return Err(wrong()) };
    let [Some(recovery), Some(identifier), Some(timeline)] = row.as_slice() else {
        return Err(wrong());
    };
    let in_recovery = recovery == "t";
    let radix = if in_recovery { 10 } else { 16 };
    Ok(Answer {
        in_recovery,
        // PostgreSQL shows the 64 bits as a signed number.
        system_identifier: identifier.parse::<i64>().map_err(|_| wrong())?.cast_unsigned(),
        timeline: u32::from_str_radix(timeline, radix).map_err(|_| wrong())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: [&str; 3]) -> Vec<Vec<Option<String>>> {
        vec![values.map(|value| Some(value.to_owned())).to_vec()]
    }

    #[test]
    fn a_primary_tells_its_timeline_as_its_wal_file_does() {
        let answer = read(&row(["f", "7345678901234567890", "0000001A"])).expect("a whole row");
        assert_eq!(
            answer,
            Answer {
                in_recovery: false,
                system_identifier: 7_345_678_901_234_567_890,
                timeline: 26
            }
        );
    }

    #[test]
    fn a_standby_tells_it_in_decimal() {
        let answer = read(&row(["t", "1", "26"])).expect("a whole row");
        assert_eq!((answer.in_recovery, answer.timeline), (true, 26));
    }

    #[test]
    fn anything_else_is_no_answer() {
        assert!(read(&[]).is_err());
        assert!(read(&row(["f", "x", "1"])).is_err());
        assert!(read(&[vec![Some("t".to_owned()), Some("1".to_owned()), None]]).is_err());
    }
}

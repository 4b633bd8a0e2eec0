//! Moments as texts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment in UTC, to the second, as PgBouncer writes it: `2026-11-21 01:49:40 UTC`.
pub(super) fn utc(moment: SystemTime) -> String {
    // Before 1970 the clock was not set: the first moment then.
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The moment `us` microseconds before `now`.
pub(super) fn ago(now: SystemTime, us: u64) -> String {
    utc(now.checked_sub(Duration::from_micros(us)).unwrap_or(UNIX_EPOCH))
}

/// Year, month and day of a day counted from 1970-01-01. Years are taken to begin in March, so that the leap day is
/// the last one; 146,097 days are 400 years, after which the calendar repeats.
const fn civil(days: u64) -> (u64, u64, u64) {
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on, months come in groups of five with 153 days.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> String {
        utc(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn known_moments_have_their_known_dates() {
        assert_eq!(at(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(at(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(at(1_795_225_780), "2026-11-21 01:49:40 UTC");
        assert_eq!(at(4_107_542_400), "2100-03-01 00:00:00 UTC");
    }

    #[test]
    fn every_day_of_two_centuries_follows_the_one_before() {
        let every = |year: u64, years| year.is_multiple_of(years);
        let leap = |year| every(year, 4) && (!every(year, 100) || every(year, 400));
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..73_049 {
            assert_eq!(civil(days), (year, month, day));
            let length = match month {
                4 | 6 | 9 | 11 => 30,
                2 if leap(year) => 29,
                2 => 28,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }

    #[test]
    fn a_clock_that_was_not_set_is_no_error() {
        assert_eq!(ago(UNIX_EPOCH, 5), "1970-01-01 00:00:00 UTC");
    }
}

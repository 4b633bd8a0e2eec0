//! Pauses between attempts to connect.

use std::time::Duration;

/// The pause before the next attempt: twice the last one, less a part that chance decides.
#[derive(Debug, Default)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    /// The next pause, after a connection that has lasted so long; `part` is between 0 and 1.
    pub(crate) fn next(
        &mut self,
        (least, most): (Duration, Duration),
        lasted: Duration,
        part: f64,
    ) -> Duration {
        if lasted > most {
            self.0 = Duration::ZERO;
        }
        self.0 = self.0.saturating_mul(2).clamp(least, most.max(least));
        self.0.mul_f64(1.0 - part.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_long_connection() {
        let (ms, none) = (Duration::from_millis, Duration::ZERO);
        let limits = (ms(100), ms(350));
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..4).map(|_| backoff.next(limits, none, 0.0)).collect();
        assert_eq!(pauses, [ms(100), ms(200), ms(350), ms(350)]);
        assert_eq!(backoff.next(limits, none, 1.0), ms(175));
        assert_eq!(backoff.next(limits, ms(351), 0.0), ms(100));
    }
}

//! When each request is due. Time is nanoseconds since the start, given by the caller.

/// Requests at equal distance, the first at 0.
pub struct Schedule {
    rate_per_s: f64,
    next: u64,
    /// Requests due before this moment are warm-up.
    window_start_ns: u64,
    end_ns: u64,
}

impl Schedule {
    pub fn new(rate_per_s: f64, warmup_s: f64, seconds: f64) -> Self {
        Self {
            rate_per_s,
            next: 0,
            window_start_ns: (warmup_s * 1e9) as u64,
            end_ns: ((warmup_s + seconds) * 1e9) as u64,
        }
    }

    /// The moment of the next request, or None when the schedule has ended. Computed from the
    /// request's number, so that rounding does not add up.
    pub fn peek_ns(&self) -> Option<u64> {
        let due_ns = (self.next as f64 * 1e9 / self.rate_per_s) as u64;
        (due_ns < self.end_ns).then_some(due_ns)
    }

    /// Takes the next request if it is due.
    pub fn take(&mut self, now_ns: u64) -> Option<u64> {
        let due_ns = self.peek_ns().filter(|due_ns| *due_ns <= now_ns)?;
        self.next += 1;
        Some(due_ns)
    }

    pub fn window_start_ns(&self) -> u64 {
        self.window_start_ns
    }

    pub fn end_ns(&self) -> u64 {
        self.end_ns
    }

    /// Whether this moment lies in the measured window.
    pub fn measures(&self, moment_ns: u64) -> bool {
        (self.window_start_ns..self.end_ns).contains(&moment_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn plans_rate_times_seconds_requests() {
        let mut schedule = Schedule::new(3_000.0, 0.5, 1.0);
        let due: Vec<u64> = std::iter::from_fn(|| schedule.take(u64::MAX)).collect();
        assert_eq!(due.len(), 4_500);
        assert_eq!(
            due.iter().filter(|ns| schedule.measures(**ns)).count(),
            3_000
        );
        assert_eq!(schedule.peek_ns(), None);
    }

    #[test]
    fn nothing_is_taken_early() {
        let mut schedule = Schedule::new(1_000.0, 0.0, 1.0);
        assert_eq!(schedule.take(0), Some(0));
        assert_eq!(schedule.take(999_999), None);
        assert_eq!(schedule.take(1_000_000), Some(1_000_000));
    }
}

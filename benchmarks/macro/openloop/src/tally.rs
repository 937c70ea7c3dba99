//! What is counted, and how it is printed.

use hdrhistogram::Histogram;

/// Latencies above a minute are counted as a minute.
const MAX_LATENCY_US: u64 = 60_000_000;
/// Three significant digits: at most 0.1 % off.
const DIGITS: u8 = 3;

/// Counts and latencies of the measured window. A request belongs to the window in which it was
/// planned; an answer is counted as completed in the window in which it arrived.
pub struct Tally {
    pub offered: u64,
    pub answered: u64,
    pub completed_in_window: u64,
    pub non_2xx: u64,
    pub malformed: u64,
    /// Connections that ended while a request of the window was unanswered.
    pub reset: u64,
    pub connect_failures: u64,
    pub reconnects: u64,
    /// Most requests that waited for a free connection at one time.
    pub backlog_max: usize,
    latency_us: Histogram<u64>,
    lateness_us: Histogram<u64>,
}

impl Tally {
    /// # Errors
    /// The histogram's own complaint about its bounds.
    pub fn new() -> Result<Self, String> {
        let histogram =
            || Histogram::new_with_bounds(1, MAX_LATENCY_US, DIGITS).map_err(|e| e.to_string());
        Ok(Self {
            offered: 0,
            answered: 0,
            completed_in_window: 0,
            non_2xx: 0,
            malformed: 0,
            reset: 0,
            connect_failures: 0,
            reconnects: 0,
            backlog_max: 0,
            latency_us: histogram()?,
            lateness_us: histogram()?,
        })
    }

    /// Latency of one answered request, from its planned moment.
    pub fn record_latency(&mut self, ns: u64) {
        self.latency_us.saturating_record(ns.div_ceil(1000));
    }

    /// How late a request left although a connection was free: the generator's own fault.
    pub fn record_lateness(&mut self, ns: u64) {
        self.lateness_us.saturating_record(ns.div_ceil(1000));
    }

    /// One line of JSON.
    pub fn to_json(&self, window_s: f64) -> String {
        format!(
            concat!(
                "{{\"window_s\":{},\"offered\":{},\"answered\":{},\"completed_in_window\":{},",
                "\"non_2xx\":{},\"malformed\":{},\"reset\":{},\"connect_failures\":{},",
                "\"reconnects\":{},\"backlog_max\":{},\"latency_us\":{},\"lateness_us\":{}}}"
            ),
            window_s,
            self.offered,
            self.answered,
            self.completed_in_window,
            self.non_2xx,
            self.malformed,
            self.reset,
            self.connect_failures,
            self.reconnects,
            self.backlog_max,
            percentiles(&self.latency_us),
            percentiles(&self.lateness_us),
        )
    }
}

fn percentiles(histogram: &Histogram<u64>) -> String {
    format!(
        "{{\"p50\":{},\"p90\":{},\"p99\":{},\"p999\":{},\"max\":{}}}",
        histogram.value_at_quantile(0.50),
        histogram.value_at_quantile(0.90),
        histogram.value_at_quantile(0.99),
        histogram.value_at_quantile(0.999),
        histogram.max(),
    )
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn latencies_round_up_to_the_microsecond_and_saturate() {
        let mut tally = Tally::new().unwrap();
        for ns in [1, 1_000, 1_001, u64::MAX] {
            tally.record_latency(ns);
        }
        let json = tally.to_json(1.0);
        assert!(json.contains("\"latency_us\":{\"p50\":1,"), "{json}");
        assert_eq!(tally.latency_us.max() / 1_000_000, 60);
    }
}

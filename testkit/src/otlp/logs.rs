//! Log records and events.

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use rand::Rng;

use super::Generator;

impl Generator {
    pub(super) fn log_record(&mut self) -> LogRecord {
        if !self.is_wild() {
            return self.plausible_log();
        }
        LogRecord {
            time_unix_nano: self.wild_time(),
            observed_time_unix_nano: self.wild_time(),
            severity_number: self.wild_enum(24),
            severity_text: self.wild_text(),
            body: if self.chance(0.2) { None } else { Some(self.wild_any()) },
            attributes: self.wild_attributes(),
            dropped_attributes_count: self.wild_count(),
            flags: self.rng.random(),
            trace_id: self.doubtful_id(16),
            span_id: self.doubtful_id(8),
            event_name: self.wild_text(),
        }
    }
}

//! Spans with events and links.

use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use rand::Rng;

use super::Generator;

impl Generator {
    pub(super) fn spans(&mut self) -> Vec<Span> {
        if self.is_wild() {
            return self.many(self.options.records, Generator::wild_span);
        }
        self.plausible_spans()
    }

    fn wild_span(&mut self) -> Span {
        Span {
            trace_id: self.trace_id(),
            span_id: self.span_id(),
            trace_state: self.wild_text(),
            parent_span_id: self.doubtful_id(8),
            flags: self.pick(&[0, 1, 0x100, 0x101, 0x301, u32::MAX]),
            name: self.wild_text(),
            kind: self.wild_enum(5),
            // Independent, so that many spans end before they start.
            start_time_unix_nano: self.wild_time(),
            end_time_unix_nano: self.wild_time(),
            attributes: self.wild_attributes(),
            dropped_attributes_count: self.wild_count(),
            events: self.many(3, Generator::wild_event),
            dropped_events_count: self.wild_count(),
            links: self.many(2, Generator::wild_link),
            dropped_links_count: self.wild_count(),
            status: self.wild_status(),
        }
    }

    fn wild_event(&mut self) -> Event {
        let names = ["exception", "", "event with \"quotes\"", "a"];
        Event {
            time_unix_nano: self.wild_time(),
            name: self.pick(&names).to_owned(),
            attributes: self.wild_attributes(),
            dropped_attributes_count: self.wild_count(),
        }
    }

    fn wild_link(&mut self) -> Link {
        Link {
            trace_id: self.doubtful_id(16),
            span_id: self.doubtful_id(8),
            trace_state: self.wild_text(),
            attributes: self.wild_attributes(),
            dropped_attributes_count: self.wild_count(),
            flags: self.rng.random(),
        }
    }

    fn wild_status(&mut self) -> Option<Status> {
        if self.chance(0.3) {
            return None;
        }
        Some(Status { message: self.wild_text(), code: self.wild_enum(2) })
    }
}

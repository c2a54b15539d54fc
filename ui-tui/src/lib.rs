//! The terminal explorer: what otlake's data says, on one screen after another.

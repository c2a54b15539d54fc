//! The terminal explorer: what otlake's data says, on one screen after another.

pub mod format;
pub mod safe_text;
pub mod theme;

//! The terminal explorer: what otlake's data says, on one screen after another.

pub mod chart_data;
pub mod clipboard;
pub mod flames;
pub mod format;
pub mod safe_text;
pub mod span_rows;
pub mod theme;
pub mod widgets;

//! Each command shows it.

//! The demo as a program of its own.

fn main() {}

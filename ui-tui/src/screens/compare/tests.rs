//! Keys and pictures of compare.

//! Keys and pictures of errors.

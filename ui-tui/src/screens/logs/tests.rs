//! Keys and pictures of the logs.

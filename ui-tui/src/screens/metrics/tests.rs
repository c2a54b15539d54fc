//! Keys and pictures of the metrics.

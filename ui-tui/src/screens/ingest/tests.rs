//! Keys and pictures of ingest.

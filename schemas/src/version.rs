//! Versions that files carry, and the names of their footer keys.

/// Version of the table layout. Columns are only ever added, nullable; a type never changes.
pub const SCHEMA_VERSION: u32 = 1;
/// Version of the file format: footer keys, encodings a reader must know.
pub const FILE_FORMAT: u32 = 1;

/// Key-value metadata in the footer of every file; together they suffice to rebuild the catalog.
pub mod footer {
    /// [`super::FILE_FORMAT`].
    pub const FORMAT: &str = "otlake.format";
    /// Name of the table.
    pub const TABLE: &str = "otlake.table";
    /// Level: 0 for a flushed file, 1 for a merged window.
    pub const LEVEL: &str = "otlake.level";
    /// WAL sequence range, `lo-hi`, comma-separated when several.
    pub const SEQ: &str = "otlake.seq";
    /// Start and end of the window in nanoseconds, `start-end`.
    pub const WINDOW: &str = "otlake.window";
    /// Width of the leading sort bucket in nanoseconds, absent where the table has none.
    pub const BUCKET_NS: &str = "otlake.bucket_ns";
    /// Names of the files this one replaces, comma-separated.
    pub const INPUTS: &str = "otlake.inputs";
    /// Number of rows.
    pub const ROWS: &str = "otlake.rows";
    /// [`super::SCHEMA_VERSION`].
    pub const SCHEMA_VERSION: &str = "otlake.schema_version";
    /// Promoted columns as a JSON object: column to `full` or `mixed`.
    pub const PROMOTED: &str = "otlake.promoted";
    /// Attribute keys as a JSON object: owner to key to `[type bits, rows]`.
    pub const KEYS: &str = "otlake.keys";
}

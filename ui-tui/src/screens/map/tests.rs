//! Keys and pictures of the map.

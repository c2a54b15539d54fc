//! Hashes that mean the same in every run and version: of texts and of paths of texts. They are
//! stored in files, so neither function may ever change. And a quick hasher for tables of symbols.

use std::hash::{BuildHasherDefault, Hasher};

/// FNV-1a of 64 bits, its low bits spread by [`spread`].
pub(crate) fn text(text: &str) -> u64 {
    let fnv = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    spread(fnv)
}

/// The hash of a path and one step more. Order counts.
pub(crate) fn step(path: u64, step: u64) -> u64 {
    spread(path.rotate_left(23) ^ step).wrapping_add(0x9e37_79b9_7f4a_7c15)
}

/// The finalizer of splitmix64: every bit of the input changes half of the output's.
pub(crate) fn spread(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Hashes symbols and small numbers. They are given out by ourselves in order, so that nobody
/// outside can choose them to collide.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mixer(u64);

/// Builds a [`Mixer`] for each look-up.
pub(crate) type Mix = BuildHasherDefault<Mixer>;

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = step(self.0, value);
    }

    fn write_i64(&mut self, value: i64) {
        self.write_u64(value.cast_unsigned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files hold these numbers.
    #[test]
    fn hashes_never_change() {
        assert_eq!(text(""), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(text("order"), text("order"));
        assert_ne!(step(step(0, 1), 2), step(step(0, 2), 1));
    }
}

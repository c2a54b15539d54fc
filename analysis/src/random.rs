//! Randomness that can be repeated: the same arguments give the same intervals and orders, on any
//! machine and in any version.
//!
//! The generator is SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
//! OOPSLA 2014), which needs nothing but 64 bits of state. It is no source of secrets.

/// A sequence of numbers that follows from its seed alone.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// The sequence of a seed; every seed is as good as another.
    pub fn new(seed: u64) -> SplitMix64 {
        SplitMix64 { state: seed }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.state)
    }

    /// A number below `end`, 0 for an `end` of 0. The bias of at most `end` ÷ 2⁶⁴ is far below what
    /// any count of draws could show.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next_u64()) * end as u128) >> 64) as usize
    }

    /// Puts the items into a random order, all orders being equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// The seed that belongs to a call: FNV-1a over the arguments, each closed by its length so that
/// `["ab", "c"]` and `["a", "bc"]` differ, then mixed so that near texts give far seeds.
pub fn seed_of(arguments: &[&str]) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for argument in arguments {
        let length = (argument.len() as u64).to_le_bytes();
        for byte in argument.bytes().chain(length) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
    mix(hash)
}

/// The finaliser of SplitMix64: a bijection after which each input bit changes half of the output.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests;

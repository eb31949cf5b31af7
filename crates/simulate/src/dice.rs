//! The simulator's only source of chance: PCG generators, read through integer arithmetic alone, so that a seed gives
//! the same bytes on every machine and with every version of the crates around it.

use rand_core::Rng;
use rand_pcg::Pcg64Mcg;

/// A seeded stream of decisions.
pub(crate) struct Dice(Pcg64Mcg);

/// A probability as a threshold on 32 bits: exact, and one comparison to use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share(u64);

impl Share {
    /// `ratio` in `0.0..=1.0`; multiplying by a power of two is exact.
    pub fn of(ratio: f64) -> Self {
        Self((ratio * 4_294_967_296.0) as u64)
    }
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(Pcg64Mcg::new((u128::from(mix(seed)) << 64) | u128::from(mix(seed ^ 0x5eed))))
    }

    /// A number in `0..n`; `n` is at least 1.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(u64::from(high - low) + 1) as u32
    }

    /// As [`Dice::between`], in milliseconds.
    pub fn wait(&mut self, low_ms: u32, high_ms: u32) -> i64 {
        i64::from(self.between(low_ms, high_ms))
    }

    /// True in `permille` of 1000 calls.
    pub fn chance(&mut self, permille: u32) -> bool {
        self.below(1000) < u64::from(permille)
    }

    /// True in that share of calls. Draws nothing for a share of 0, so that switching one kind of dirt off leaves the
    /// rest of the cleanest run as it is.
    pub fn share(&mut self, share: Share) -> bool {
        share.0 > 0 && (self.0.next_u64() >> 32) < share.0
    }
}

/// A bijection on 64 bits (the finaliser of SplitMix64): different inputs never meet, so ids made with it are unique.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

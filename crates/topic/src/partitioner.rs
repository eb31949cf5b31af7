//! Which partition a key belongs to, exactly as Kafka's Java client decides it (librdkafka's `murmur2_random`), so
//! that records of one user share a partition whichever log they went through.

/// Kafka's 32-bit murmur2 with its fixed seed, as the Java client's `Utils.murmur2` (there the result is signed).
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const MULTIPLIER: u32 = 0x5bd1_e995;
    const SHIFT: u32 = 24;

    // Keys are far below 4 GiB; Java's length is an int too.
    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(MULTIPLIER);
        k ^= k >> SHIFT;
        hash = hash.wrapping_mul(MULTIPLIER) ^ k.wrapping_mul(MULTIPLIER);
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        for (i, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

/// The partition, 0-based, of a key in a topic of `partitions` partitions (which must not be 0).
pub fn partition_for(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_the_java_client_does() {
        // The vectors of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
        let cases: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ];
        for (key, expected) in cases {
            assert_eq!(murmur2(key) as i32, expected, "{}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn partitions_of_keys_are_those_of_the_java_client() {
        // toPositive(murmur2(key)) % partitions, from the signed vectors above.
        let cases: [(&[u8], u32, u32); 4] = [
            (b"21", 4, ((-973_932_308_i32) & i32::MAX) as u32 % 4),
            (b"foobar", 1000, ((-790_332_482_i32) & i32::MAX) as u32 % 1000),
            (b"abc", 7, 479_470_107 % 7),
            (b"", 1, 0),
        ];
        for (key, partitions, expected) in cases {
            assert_eq!(partition_for(key, partitions), expected);
        }
    }
}

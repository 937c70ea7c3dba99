//! SipHash-1-3: a 64-bit hash under a secret key, so that nobody outside can choose what collides.
//!
//! Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), with one compression and three
//! finalisation rounds, as in Rust's own tables. Written out because the standard library's takes its
//! key from each process, and the processes of an instance have to agree.
#![forbid(unsafe_code)]

/// The secret. Random, the same in all processes of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKey(pub [u64; 2]);

impl HashKey {
    /// Never 0, which stands for "nothing" wherever these hashes are kept.
    #[inline]
    pub fn hash(self, bytes: &[u8]) -> u64 {
        let mut state = State::new(self);
        let words = bytes.chunks_exact(8);
        let rest = words.remainder();
        for word in words {
            state.absorb(u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        last[7] = bytes.len() as u8; // modulo 256, as the paper has it
        state.absorb(u64::from_le_bytes(last));
        state.finish().max(1)
    }
}

struct State([u64; 4]);

impl State {
    fn new(HashKey([k0, k1]): HashKey) -> Self {
        // "somepseudorandomlygeneratedbytes"
        Self([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ])
    }

    #[inline]
    fn round(&mut self) {
        let [v0, v1, v2, v3] = &mut self.0;
        *v0 = v0.wrapping_add(*v1);
        *v1 = v1.rotate_left(13) ^ *v0;
        *v0 = v0.rotate_left(32);
        *v2 = v2.wrapping_add(*v3);
        *v3 = v3.rotate_left(16) ^ *v2;
        *v0 = v0.wrapping_add(*v3);
        *v3 = v3.rotate_left(21) ^ *v0;
        *v2 = v2.wrapping_add(*v1);
        *v1 = v1.rotate_left(17) ^ *v2;
        *v2 = v2.rotate_left(32);
    }

    #[inline]
    fn absorb(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.0[0] ^= word;
    }

    #[inline]
    fn finish(mut self) -> u64 {
        self.0[2] ^= 0xff;
        self.round();
        self.round();
        self.round();
        self.0.iter().fold(0, |all, word| all ^ word)
    }
}

#[cfg(test)]
mod tests {
    use super::HashKey;
    use proptest::prelude::*;
    use std::hash::Hasher;

    #[test]
    fn different_keys_and_lengths_differ() {
        let texts: [&[u8]; 4] = [b"", b"\0", b"\0\0", b"abcdefgh"];
        let mut seen = std::collections::HashSet::new();
        for key in [[0, 0], [0, 1], [1, 0]] {
            for text in texts {
                assert!(seen.insert(HashKey(key).hash(text)));
            }
        }
    }

    proptest! {
        /// The standard library's is SipHash-1-3 with the key 0, 0.
        #[test]
        fn as_the_standard_library(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut theirs = std::collections::hash_map::DefaultHasher::new();
            theirs.write(&bytes);
            prop_assert_eq!(HashKey([0, 0]).hash(&bytes), theirs.finish().max(1));
        }
    }
}

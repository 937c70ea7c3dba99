//! Weighted random choice by the alias method (A. J. Walker 1977; built as in M. D. Vose, "A Linear
//! Algorithm for Generating Random Numbers with a Given Distribution", 1991): one column per
//! endpoint, each shared by at most two endpoints, so a pick is a column and a coin.
//!
//! The columns are filled in whole numbers; nothing is lost to floating point.
#![forbid(unsafe_code)]

#[derive(Clone, Copy, Debug)]
struct Column {
    /// Out of 2^32: below it the column's own endpoint is picked, else its alias.
    threshold: u64,
    alias: u32,
}

#[derive(Debug)]
pub struct WeightedRandom {
    columns: Box<[Column]>,
}

impl WeightedRandom {
    /// `weights`: not empty, not all 0, at most `MAX_ENDPOINTS`.
    pub fn new(weights: &[u32]) -> Self {
        let count = weights.len() as u64;
        let height: u64 = weights.iter().copied().map(u64::from).sum();
        // Every column holds `height`, endpoint i has weight x count to put in: together exactly
        // full. Below 2^32 x 2^12, so u64 does not overflow.
        let mut left: Vec<u64> = weights.iter().map(|&w| u64::from(w) * count).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..weights.len()).partition(|&index| left[index] < height);
        let mut columns: Vec<Column> = (0..weights.len() as u32)
            .map(|alias| Column {
                threshold: 1 << 32,
                alias,
            })
            .collect();
        while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
            let threshold = ((u128::from(left[poor]) << 32) / u128::from(height)) as u64;
            columns[poor] = Column {
                threshold,
                alias: rich as u32,
            };
            left[rich] -= height - left[poor];
            if left[rich] < height {
                large.pop();
                small.push(rich);
            }
        }
        Self {
            columns: columns.into_boxed_slice(),
        }
    }

    #[inline]
    pub fn pick(&self, random: u64) -> usize {
        // The upper half chooses the column (Lemire's multiply-shift; its bias is below
        // columns / 2^32), the lower half is the coin.
        let index = ((random >> 32) * self.columns.len() as u64) >> 32;
        let column = self.columns[index as usize];
        if random & 0xFFFF_FFFF < column.threshold {
            index as usize
        } else {
            column.alias as usize
        }
    }
}

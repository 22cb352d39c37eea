//! New inputs from kept ones, from a seed: the same seed makes the same inputs everywhere, so that the short run is a test
//! like any other. Blind where libFuzzer looks at what was reached; it finds again, it does not explore.

/// How long an input may grow, in bytes.
const LENGTH_MAX: usize = 4_096;
/// Changes to one input, at most.
const CHANGES_MAX: u64 = 6;

/// Chance from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `most`; 0 where that is 0.
    fn below(&mut self, most: usize) -> usize {
        let most = u64::try_from(most).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % most).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// One of the kept inputs, changed in one to six places.
pub fn mutated(kept: &[Vec<u8>], words: &[&str], dice: &mut Dice) -> Vec<u8> {
    let mut input = kept.get(dice.below(kept.len())).cloned().unwrap_or_default();
    for _ in 0..=dice.next() % CHANGES_MAX {
        change(&mut input, kept, words, dice);
    }
    input.truncate(LENGTH_MAX);
    input
}

fn change(input: &mut Vec<u8>, kept: &[Vec<u8>], words: &[&str], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    let end = at + dice.below((input.len() - at + 1).min(16));
    match dice.below(8) {
        0 => drop(input.drain(at..end)),
        1 => input.insert(at, dice.byte()),
        2 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (dice.byte() % 8)),
        3 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte = dice.byte()),
        4 => {
            let word = words.get(dice.below(words.len())).copied().unwrap_or("\0");
            drop(input.splice(at..at, word.bytes()));
        }
        // A piece of itself, many times: what nests, nests deeper, and what repeats, repeats more.
        5 => {
            let piece: Vec<u8> = input[at..end].repeat(1 + dice.below(40));
            drop(input.splice(at..at, piece));
        }
        6 => input.truncate(at),
        _ => {
            let other = kept.get(dice.below(kept.len())).map(Vec::as_slice).unwrap_or_default();
            let from = dice.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}

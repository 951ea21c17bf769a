use hardware_model::Random;

/// Inputs that later ones are made from.
const POOL: usize = 64;

/// Makes inputs from a seed: fresh ones, and changed copies of earlier ones.
#[derive(Debug)]
pub struct Mutator {
    random: Random,
    pool: Vec<Vec<u8>>,
    most: usize,
}

impl Mutator {
    /// A mutator of inputs of at most `most` bytes; the same seed gives the same inputs.
    #[must_use]
    pub fn new(seed: u64, most: usize) -> Self {
        Self {
            random: Random::new(seed),
            pool: Vec::new(),
            most: most.max(1),
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.random.word() % limit as u64) as usize
    }

    /// The next input.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = if self.pool.is_empty() || self.below(3) == 0 {
            self.fresh()
        } else {
            let parent = self.below(self.pool.len());
            self.pool[parent].clone()
        };
        for _ in 0..self.below(5) {
            self.change(&mut input);
        }
        input.truncate(self.most);
        if self.pool.len() < POOL {
            self.pool.push(input.clone());
        } else if self.below(8) == 0 {
            let place = self.below(POOL);
            self.pool[place].clone_from(&input);
        }
        input
    }

    fn fresh(&mut self) -> Vec<u8> {
        // Mostly short: few decisions are easy to read in a report.
        let scale = [8, 32, 128, self.most][self.below(4)].min(self.most);
        let length = 1 + self.below(scale);
        let mut input = Vec::with_capacity(length + 8);
        while input.len() < length {
            input.extend(self.random.word().to_be_bytes());
        }
        input.truncate(length);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        if input.is_empty() {
            input.push(0);
        }
        let at = self.below(input.len());
        match self.below(8) {
            0 => input[at] ^= 1 << self.below(8),
            1 => input[at] = self.random.word() as u8,
            2 => input[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
            3 => input[at] = input[at].wrapping_add(1),
            4 => drop(input.remove(at)),
            5 => input.insert(at, self.random.word() as u8),
            6 => input.truncate(at),
            _ => {
                let count = 1 + self.below(16);
                let more: Vec<u8> = match self.pool.len() {
                    0 => (0..count).map(|_| self.random.word() as u8).collect(),
                    pool => {
                        let other = self.below(pool);
                        let from = self.below(self.pool[other].len().max(1));
                        self.pool[other]
                            .iter()
                            .skip(from)
                            .take(count)
                            .copied()
                            .collect()
                    }
                };
                input.splice(at..at, more);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_inputs_within_the_limit() {
        let (mut one, mut two, mut three) = (
            Mutator::new(5, 40),
            Mutator::new(5, 40),
            Mutator::new(6, 40),
        );
        let mut differs = false;
        for _ in 0..2000 {
            let input = one.next_input();
            assert!(input.len() <= 40);
            assert_eq!(input, two.next_input());
            differs |= input != three.next_input();
        }
        assert!(differs);
    }
}

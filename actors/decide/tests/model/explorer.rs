//! Walks through every state that can be reached, nearest first, so that a counterexample is as
//! short as can be.
//!
//! A state is remembered by a hash of 128 bits: among ten million states two that differ share one
//! with a probability below 10⁻²⁴.

use std::{
    collections::{HashMap, VecDeque},
    fmt::Debug,
    hash::{BuildHasherDefault, Hash, Hasher},
};

/// What is explored.
pub(crate) trait System {
    type State: Clone + Hash;
    type Step: Clone + Debug;

    fn first(&self) -> Self::State;
    /// What can happen next.
    fn steps(&self, state: &Self::State) -> Vec<Self::Step>;
    /// What comes of it, or which rule it breaks.
    fn take(&self, state: &Self::State, step: &Self::Step) -> Result<Self::State, String>;
    /// Whether a step is a fault, which may or may not happen.
    fn is_fault(&self, state: &Self::State, step: &Self::Step) -> bool;
    /// Judges a state in which nothing but faults can happen.
    fn at_rest(&self, state: &Self::State) -> Result<(), String>;
}

/// What an exploration found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) wrong: Option<Wrong>,
}

/// A rule that is broken, and the shortest way there.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) rule: String,
    pub(crate) way: Vec<String>,
}

#[derive(Default)]
struct Seen {
    ids: HashMap<u128, u32, BuildHasherDefault<Even>>,
    /// From where each state was reached first, and how.
    ways: Vec<(u32, u16)>,
}

/// Explores all of `system`, up to `most` states.
pub(crate) fn explore<S: System>(system: &S, most: usize) -> Found {
    let mut seen = Seen::default();
    let mut calm: Vec<(u32, u32)> = vec![];
    let first = system.first();
    seen.ids.insert(fingerprint(&first), 0);
    seen.ways.push((0, 0));
    let mut queue = VecDeque::from([(0, first)]);
    while let Some((id, state)) = queue.pop_front() {
        let own = fingerprint(&state);
        let mut rests = true;
        for (index, step) in system.steps(&state).iter().enumerate() {
            let fault = system.is_fault(&state, step);
            let after = match system.take(&state, step) {
                Ok(after) => after,
                Err(rule) => {
                    let mut way = trace(system, &seen, id);
                    way.push(format!("{step:?}"));
                    return Found { states: seen.ways.len(), wrong: Some(Wrong { rule, way }) };
                }
            };
            let print = fingerprint(&after);
            // A step that changes nothing is none.
            if print == own {
                continue;
            }
            rests &= fault;
            let next = seen.ways.len() as u32;
            let known = *seen.ids.entry(print).or_insert(next);
            if known == next {
                seen.ways.push((id, index as u16));
                queue.push_back((next, after));
            }
            if !fault {
                calm.push((id, known));
            }
        }
        if rests && let Err(rule) = system.at_rest(&state) {
            let way = trace(system, &seen, id);
            return Found { states: seen.ways.len(), wrong: Some(Wrong { rule, way }) };
        }
        assert!(seen.ways.len() <= most, "more than {most} states");
    }
    let states = seen.ways.len();
    let wrong = on_a_circle(states, &calm).map(|id| Wrong {
        rule: "without faults it never comes to rest".into(),
        way: trace(system, &seen, id),
    });
    Found { states, wrong }
}

/// A state from which the steps that are no faults can lead back to it, if there is one. If there
/// is none, each way without faults ends, and it ends at rest.
fn on_a_circle(states: usize, steps: &[(u32, u32)]) -> Option<u32> {
    let mut starts = vec![0u32; states + 1];
    let mut into = vec![0u32; states];
    for (from, to) in steps {
        starts[*from as usize + 1] += 1;
        into[*to as usize] += 1;
    }
    for index in 0..states {
        starts[index + 1] += starts[index];
    }
    let mut fill = starts.clone();
    let mut targets = vec![0u32; steps.len()];
    for (from, to) in steps {
        targets[fill[*from as usize] as usize] = *to;
        fill[*from as usize] += 1;
    }
    let mut free: Vec<u32> = (0..states as u32).filter(|id| into[*id as usize] == 0).collect();
    while let Some(id) = free.pop() {
        for target in &targets[starts[id as usize] as usize..starts[id as usize + 1] as usize] {
            into[*target as usize] -= 1;
            if into[*target as usize] == 0 {
                free.push(*target);
            }
        }
    }
    into.iter().position(|left| *left > 0).map(|id| id as u32)
}

fn trace<S: System>(system: &S, seen: &Seen, mut id: u32) -> Vec<String> {
    let mut indices = vec![];
    while id != 0 {
        let (before, index) = seen.ways[id as usize];
        indices.push(index);
        id = before;
    }
    let mut state = system.first();
    let mut way = vec![];
    for index in indices.into_iter().rev() {
        let step = system.steps(&state)[index as usize].clone();
        way.push(format!("{step:?}"));
        state = system.take(&state, &step).expect("it was taken before");
    }
    way
}

pub(crate) fn fingerprint(state: &impl Hash) -> u128 {
    let mut hasher = Wide { lanes: [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344] };
    state.hash(&mut hasher);
    u128::from(hasher.lanes[0]) << 64 | u128::from(hasher.lanes[1])
}

/// Two independent lanes of multiply and fold.
struct Wide {
    lanes: [u64; 2],
}

impl Wide {
    fn mix(&mut self, word: u64) {
        const FACTORS: [u64; 2] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];
        for (lane, factor) in self.lanes.iter_mut().zip(FACTORS) {
            let product = u128::from(*lane ^ word ^ factor) * u128::from(factor | 1);
            *lane = (product as u64 ^ (product >> 64) as u64).rotate_left(23).wrapping_add(word);
        }
    }
}

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word) ^ (chunk.len() as u64) << 59);
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }

    fn finish(&self) -> u64 {
        self.lanes[0]
    }
}

/// Fingerprints are spread evenly as they are.
#[derive(Default)]
pub(crate) struct Even(u64);

impl Hasher for Even {
    fn write(&mut self, bytes: &[u8]) {
        let word = bytes.first_chunk().expect("a fingerprint has 16 bytes");
        self.0 = u64::from_le_bytes(*word);
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

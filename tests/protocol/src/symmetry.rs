//! Threads with one TB can change places, and sub-cores can: one of all states that differ only so is
//! explored.
//!
//! The one thing that is not the same under a change of numbers is who leads a meeting: the lowest
//! participant. So the model lets *each* participant be the lowest ([`crate::moves`]): it explores
//! the closure of the shipped step under a change of numbers. Every behaviour of the shipped code is
//! in it, so what holds here holds for the shipped code.

use crate::state::{Shape, State, THREADS};
use crate::thread::Thread;
use hmi_meeting::mask_of;
use hypervisor_shim::core_word::CoreWord;

/// Where the threads of a state went: position in the new state, by number.
pub type Renaming = [u8; THREADS];

/// Shifts of the masks in [`CoreWord`]; the tests of this module compare them with its getters.
const MASKS: [u32; 3] = [48, 40, 32];

/// All that a state says of a thread.
fn key(state: &State, number: usize) -> (u64, u8) {
    let me = mask_of(number as u8);
    let of = |mask: u8| u8::from(mask & me != 0);
    let core = state.core;
    let meeting = state.meeting;
    let masks = of(core.closing())
        | of(core.in_guest()) << 1
        | of(core.returned()) << 2
        | of(meeting.participants) << 3
        | of(meeting.done) << 4
        | u8::from(leads(state, number)) << 5;
    (state.threads[number].0, masks)
}

fn leads(state: &State, number: usize) -> bool {
    use hmi_meeting::Phase;
    // Of one that is over it is kept while somebody may ask, and then participants are, too.
    let led = match state.meeting.phase() {
        Phase::Idle => state.meeting.participants != 0,
        Phase::Arrive => false,
        _ => true,
    };
    led && usize::from(state.meeting.leader) == number
}

/// The state that stands for all that are the same but for the numbers of threads, and where each
/// thread went.
#[must_use]
pub fn representative(state: &State, shape: Shape) -> (State, Renaming) {
    let width = usize::from(shape.threads);
    let all = shape.all();
    let mut keys = [(0_u64, 0_u8); THREADS];
    let mut order: [u8; THREADS] = std::array::from_fn(|number| number as u8);
    for (number, place) in keys.iter_mut().enumerate().take(all) {
        *place = key(state, number);
    }
    let by_key = |number: &u8| keys[usize::from(*number)];
    if width > 1 {
        for sub_core in order[..all].chunks_mut(width) {
            sub_core.sort_unstable_by_key(by_key);
        }
    }
    if shape.sub_cores > 1 {
        let mut sub_cores: [u8; THREADS] = std::array::from_fn(|at| at as u8);
        let before = order;
        let rank = |sub_core: &u8| {
            let first = usize::from(*sub_core) * width;
            let mut of = [(0, 0); THREADS];
            for (at, number) in before[first..first + width].iter().enumerate() {
                of[at] = by_key(number);
            }
            (state.timer.offset[usize::from(*sub_core)], of)
        };
        sub_cores[..usize::from(shape.sub_cores)].sort_unstable_by_key(rank);
        for (at, sub_core) in sub_cores
            .iter()
            .enumerate()
            .take(usize::from(shape.sub_cores))
        {
            let first = usize::from(*sub_core) * width;
            order[at * width..(at + 1) * width].copy_from_slice(&before[first..first + width]);
        }
    }
    let mut renaming = [0; THREADS];
    for (at, number) in order.iter().enumerate() {
        renaming[usize::from(*number)] = at as u8;
    }
    (renamed(state, shape, &renaming), renaming)
}

/// The state with other numbers for its threads.
#[must_use]
pub fn renamed(state: &State, shape: Shape, renaming: &Renaming) -> State {
    let mask = |mask: u8| rename_mask(mask, renaming);
    let mut next = *state;
    next.threads = [Thread::default(); THREADS];
    for (number, thread) in state.threads.iter().enumerate().take(shape.all()) {
        let to = usize::from(renaming[number]);
        next.threads[to] = *thread;
        next.timer.offset[shape.sub_core(to)] = state.timer.offset[shape.sub_core(number)];
    }
    next.core = MASKS.iter().fold(state.core, |word, shift| {
        let moved = u64::from(mask((word.0 >> shift) as u8)) << shift;
        CoreWord(word.0 & !(0xff << shift) | moved)
    });
    next.meeting.participants = mask(state.meeting.participants);
    next.meeting.done = mask(state.meeting.done);
    if leads(state, usize::from(state.meeting.leader)) {
        next.meeting.leader = renaming[usize::from(state.meeting.leader & 7)];
    }
    next
}

/// The same threads under their new numbers.
#[must_use]
pub fn rename_mask(mask: u8, renaming: &Renaming) -> u8 {
    let mut left = mask;
    let mut renamed = 0;
    while left != 0 {
        let number = left.trailing_zeros() as usize;
        renamed |= 1 << renaming[number];
        left &= left - 1;
    }
    renamed
}

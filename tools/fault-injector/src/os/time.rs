//! Whether TB of every thread is right behind a repair.

use anyhow::Result;

use super::{Outcome, SLICE, Struck};
use crate::machine::{MSR_EE, MSR_PR, ThreadState};
use crate::sleepers::clock_reader;

/// TB may be off by so much after a repair: 1 ms, of which the reading takes the larger part.
pub const TOLERANCE_TICKS: u64 = 512_000;
impl Struck {
    /// Compares TB of every thread of the machine with the clock that nobody disturbs. In a guest its
    /// offset must be in TB. On the way in or out it is, or it is not; the kernel adds it in two
    /// steps, so a thread that was met between them is looked at again.
    pub(super) fn check_time(&mut self, outcome: &mut Outcome) -> Result<()> {
        const LOOKS: u32 = 4;
        let mut left = self.machine.vcpus();
        for look in 1..=LOOKS {
            let Some(reader) = clock_reader(&mut self.machine, &self.guests)? else {
                return Ok(());
            };
            let now = self.machine.clock_of(reader)?.wrapping_add(self.reference);
            let mut again = Vec::new();
            for vcpu in left {
                let state = self.machine.state(vcpu)?;
                let guest = self.guests.get(&vcpu.pir).copied().unwrap_or(0);
                let on_the_way = is_on_the_way(&state);
                let off = deviation(&state, now, guest);
                if off.unsigned_abs() <= TOLERANCE_TICKS {
                    outcome.off.push(off);
                } else if guest != 0 && on_the_way && look < LOOKS {
                    again.push(vcpu);
                } else {
                    let pir = vcpu.pir;
                    outcome.off.push(off);
                    outcome
                        .failures
                        .push(format!("TB of PIR {pir:#x} is off by {off} ticks"));
                }
            }
            left = again;
            if left.is_empty() {
                break;
            }
            outcome.moves.extend(self.run(SLICE)?);
        }
        Ok(())
    }
}

/// In the hypervisor with interrupts closed: maybe on the way into a guest or out of it.
const fn is_on_the_way(state: &ThreadState) -> bool {
    !state.in_guest() && state.msr & (MSR_EE | MSR_PR) == 0
}

/// How far TB of a thread is off, whose guest is so many ticks ahead of the host: 0 without one.
const fn deviation(state: &ThreadState, now: u64, guest: i64) -> i64 {
    let with = state.timebase.wrapping_sub(now) as i64;
    let without = with.wrapping_sub(guest);
    let nearer = without.unsigned_abs() < with.unsigned_abs();
    if state.in_guest() || (is_on_the_way(state) && nearer) {
        without
    } else {
        with
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{MSR_HV, MSR_SF};

    #[test]
    fn the_offset_is_in_tb_where_it_must_be() {
        const NOW: u64 = 1 << 40;
        let off = |msr, timebase: u64, guest| {
            let state = ThreadState {
                pir: 0,
                pc: 0x1000,
                msr: MSR_SF | msr,
                tfmr: 0,
                hmer: 0,
                timebase,
            };
            deviation(&state, NOW, guest)
        };
        for guest in [3 << 24, -(1 << 60), 1 << 24] {
            let ahead = NOW.wrapping_add(guest as u64);
            // In the guest it must be there, in a program or with interrupts open it must not.
            assert_eq!(off(0, ahead + 7, guest), 7);
            assert_eq!(off(0, NOW, guest), -guest);
            assert_eq!(off(MSR_HV | MSR_EE, NOW - 7, guest), -7);
            assert_eq!(off(MSR_HV | MSR_PR, ahead, guest), guest);
            // On the way either is right, and nothing else.
            assert_eq!(off(MSR_HV, ahead - 7, guest), -7);
            assert_eq!(off(MSR_HV, NOW + 7, guest), 7);
            let twice = ahead.wrapping_add(guest as u64);
            assert_eq!(off(MSR_HV, twice, guest), guest);
        }
        assert_eq!(off(MSR_HV, NOW + 7, 0), 7);
    }
}

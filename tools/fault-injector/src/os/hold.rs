//! A thread that keeps interrupts closed: it runs in a loop of two instructions, in memory that nobody
//! uses, until it is let go.

use anyhow::{Result, ensure};
use flight_recorder::{HEADER_WORDS, RING_WORDS, THREADS};

use super::{Doing, Struck, Target};
use crate::instructions::{BRANCH_BACK, YIELD};
use crate::machine::{MSR_HV, MSR_SF, Vcpu};
use crate::stuffing::Place;

/// Who is held, and where it goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    vcpu: Vcpu,
    /// `None` if it slept: nothing was done to it.
    place: Option<Place>,
}

impl Struck {
    /// Keeps a thread from taking its HMI. One that sleeps is not woken up for it, but may wake up by
    /// itself; it does not take it either.
    pub(super) fn hold(&mut self, target: &mut Target) -> Result<Held> {
        target.held = true;
        let vcpu = target.vcpu;
        if target.doing == Doing::Asleep {
            return Ok(Held { vcpu, place: None });
        }
        let place = Place {
            pc: self.machine.read(vcpu, "pc")?,
            msr: self.machine.read(vcpu, "msr")?,
        };
        let ring = self.unused_ring()?;
        for (address, word) in [(ring, YIELD), (ring + 4, BRANCH_BACK)] {
            let bytes = word.to_be_bytes();
            self.machine.client.write_memory(address, &bytes)?;
        }
        self.machine.write(vcpu, "msr", MSR_SF | MSR_HV)?;
        self.machine.write(vcpu, "pc", ring)?;
        let place = Some(place);
        Ok(Held { vcpu, place })
    }

    /// Lets it go on.
    pub(super) fn let_go(&mut self, held: Held) -> Result<()> {
        if let Some(place) = held.place {
            self.machine.write(held.vcpu, "msr", place.msr)?;
            self.machine.write(held.vcpu, "pc", place.pc)?;
        }
        Ok(())
    }

    /// Records of the last thread that the flight recorder has room for.
    fn unused_ring(&self) -> Result<u64> {
        ensure!(
            self.machine.vcpus().len() < THREADS,
            "every ring of the flight recorder has a thread"
        );
        let words = HEADER_WORDS + (THREADS - 1) * RING_WORDS + 1;
        Ok(self.image.recorder + 8 * words as u64)
    }
}

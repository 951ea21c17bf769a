use crate::machine::Machine;
use power_registers::Spr;

/// One hardware thread of a [`Machine`]: what its instructions can do.
#[derive(Clone, Copy, Debug)]
pub struct Thread<'m> {
    machine: &'m Machine,
    index: usize,
}

impl<'m> Thread<'m> {
    pub(crate) const fn new(machine: &'m Machine, index: usize) -> Self {
        Self { machine, index }
    }

    /// Index of the thread in the machine.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// The machine.
    #[must_use]
    pub const fn machine(&self) -> &'m Machine {
        self.machine
    }

    /// `mfspr`, and `mftb` for [`Spr::Tb`].
    ///
    /// # Panics
    /// If the model does not know the register, or the watchdog trips.
    #[must_use]
    pub fn read_spr(&self, spr: Spr) -> u64 {
        let mut state = self.machine.lock();
        let cost = state.configuration.costs.spr;
        state.begin(self.index, cost);
        state.read_spr(self.index, spr)
    }

    /// `mtspr`.
    ///
    /// # Panics
    /// If the model does not know the register, or the watchdog trips.
    pub fn write_spr(&self, spr: Spr, value: u64) {
        let mut state = self.machine.lock();
        let cost = state.configuration.costs.spr;
        state.begin(self.index, cost);
        state.write_spr(self.index, spr, value);
    }

    /// Cache-inhibited load of a doubleword; only XSCOM windows answer.
    ///
    /// # Panics
    /// If the watchdog trips.
    #[must_use]
    pub fn load(&self, address: u64) -> u64 {
        let mut state = self.machine.lock();
        let cost = state.configuration.costs.xscom;
        state.begin(self.index, cost);
        state.xscom(self.index, address, None)
    }

    /// Cache-inhibited store of a doubleword; only XSCOM windows take it.
    ///
    /// # Panics
    /// If the watchdog trips.
    pub fn store(&self, address: u64, value: u64) {
        let mut state = self.machine.lock();
        let cost = state.configuration.costs.xscom;
        state.begin(self.index, cost);
        state.xscom(self.index, address, Some(value));
    }

    /// One spin of a wait.
    ///
    /// # Panics
    /// If the watchdog trips.
    pub fn relax(&self) {
        let mut state = self.machine.lock();
        let cost = state.configuration.costs.relax;
        state.begin(self.index, cost);
    }
}

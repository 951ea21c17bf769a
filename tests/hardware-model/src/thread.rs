use crate::machine::Machine;
use crate::model::Model;
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
    /// If the watchdog trips.
    #[must_use]
    pub fn read_spr(&self, spr: Spr) -> u64 {
        self.access(|model| model.read_spr(self.index, spr))
    }

    /// `mtspr`.
    ///
    /// # Panics
    /// If the watchdog trips.
    pub fn write_spr(&self, spr: Spr, value: u64) {
        self.access(|model| model.write_spr(self.index, spr, value));
    }

    /// Cache-inhibited load of a doubleword; only XSCOM windows answer.
    ///
    /// # Panics
    /// If the watchdog trips.
    #[must_use]
    pub fn load(&self, address: u64) -> u64 {
        self.access(|model| model.load(self.index, address))
    }

    /// Cache-inhibited store of a doubleword; only XSCOM windows take it.
    ///
    /// # Panics
    /// If the watchdog trips.
    pub fn store(&self, address: u64, value: u64) {
        self.access(|model| model.store(self.index, address, value));
    }

    /// One spin of a wait.
    ///
    /// # Panics
    /// If the watchdog trips.
    pub fn relax(&self) {
        self.access(|model| model.relax(self.index));
    }

    /// The thread waits, without any access.
    pub fn pass(&self, ticks: u64) {
        self.machine.act(|model| model.pass(self.index, ticks));
    }

    fn access<T>(&self, act: impl FnOnce(&mut Model) -> T) -> T {
        let (result, tripped) = self.machine.act(|model| {
            let result = act(model);
            let tripped = model.watchdog_tripped().then(|| model.accesses());
            (result, tripped)
        });
        if let Some(accesses) = tripped {
            panic!(
                "watchdog: thread {} made access {accesses} of at most {}: some wait has no end",
                self.index,
                self.machine.configuration().watchdog
            );
        }
        result
    }
}

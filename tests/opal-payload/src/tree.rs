//! What the device tree says: where the firmware is, what the machine has, and the command line.

use fdt::Fdt;
use fdt::node::FdtNode;

/// Most threads that are noticed.
pub const MAX_THREADS: usize = 64;

/// What a client has to know.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'t> {
    /// `opal-base-address`.
    pub base: u64,
    /// `opal-entry-address`.
    pub entry: u64,
    /// End of the memory that begins at 0.
    pub memory_end: u64,
    /// The command line.
    pub command_line: &'t str,
    /// The interrupt of the console, where POWER9's controller is.
    pub console_interrupt: Option<u32>,
    pirs: [u32; MAX_THREADS],
    threads: usize,
}

impl<'t> Machine<'t> {
    /// Reads a tree; `None` if it describes no OPAL.
    #[must_use]
    pub fn read(tree: &Fdt<'t>) -> Option<Self> {
        let opal = tree.find_node("/ibm,opal")?;
        let address = |name| -> Option<u64> {
            let value = opal.property(name)?.value;
            Some(u64::from_be_bytes(*value.first_chunk()?))
        };
        let command_line = tree
            .find_node("/chosen")
            .and_then(|chosen| chosen.property("bootargs"))
            .and_then(|property| property.as_str())
            .unwrap_or_default();
        let mut machine = Self {
            base: address("opal-base-address")?,
            entry: address("opal-entry-address")?,
            memory_end: memory_end(tree),
            command_line,
            console_interrupt: console_interrupt(tree),
            pirs: [0; MAX_THREADS],
            threads: 0,
        };
        let cpus = tree.find_node("/cpus")?;
        for cpu in cpus.children() {
            machine.add_threads(&cpu);
        }
        machine.pirs[..machine.threads].sort_unstable();
        Some(machine)
    }

    /// The PIRs of all threads, rising.
    #[must_use]
    pub fn pirs(&self) -> &[u32] {
        &self.pirs[..self.threads]
    }

    fn add_threads(&mut self, cpu: &FdtNode<'_, '_>) {
        let servers = cpu.property("ibm,ppc-interrupt-server#s");
        let numbers = servers.map_or(&[][..], |property| property.value);
        for number in numbers.chunks_exact(4) {
            if let (Some(slot), Some(bytes)) =
                (self.pirs.get_mut(self.threads), number.first_chunk())
            {
                *slot = u32::from_be_bytes(*bytes);
                self.threads += 1;
            }
        }
    }
}

/// The interrupt of the console's UART, by its name in the OPAL node.
fn console_interrupt(tree: &Fdt<'_>) -> Option<u32> {
    const NAME: &str = "lpc-uart";
    tree.find_compatible(&["ibm,power9-xive-x", "ibm,power10-xive-x"])?;
    let opal = tree.find_node("/ibm,opal")?;
    let names = opal.property("opal-interrupts-names")?.as_str()?;
    let place = names.split('\0').position(|name| name.ends_with(NAME))?;
    let numbers = opal.property("opal-interrupts")?.value;
    let number = numbers.chunks_exact(4).nth(place)?;
    Some(u32::from_be_bytes(*number.first_chunk()?))
}

/// The end of the memory that goes on without a hole from 0.
fn memory_end(tree: &Fdt<'_>) -> u64 {
    let ranges = || {
        tree.all_nodes()
            .filter(|node| node.name.starts_with("memory@"))
            .filter_map(|node| node.property("reg"))
            .flat_map(|reg| reg.value.chunks_exact(16))
            .filter_map(|range| {
                let (start, size) = range.split_at(8);
                let number = |bytes: &[u8]| Some(u64::from_be_bytes(*bytes.first_chunk()?));
                Some((number(start)?, number(size)?))
            })
    };
    let mut end = 0;
    while let Some((_, size)) = ranges().find(|(start, size)| *start == end && *size != 0) {
        end += size;
    }
    end
}

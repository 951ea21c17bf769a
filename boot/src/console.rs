//! The console of the image: log lines, the memory console, and the last words of a machine that
//! stops.

use crate::instructions as cpu;
use crate::machine::ThisThread;
use core::fmt;
use log::{LevelFilter, Log, Metadata, Record};
use opaline_firmware::console::{Console, Patience};
use opaline_firmware::debug_descriptor::DebugDescriptor;
use opaline_firmware::logging::Level;
use opaline_firmware::memory_console::{ADDRESS, MemoryConsole};
use opaline_firmware::platform::{Generation, Platform, device_tree};
use opaline_firmware::system::System;
use opaline_firmware::xscom::Xscom;
use spin::Once;

/// At [`ADDRESS`], by the linker script; outside the image and `.bss`.
#[unsafe(link_section = ".memory_console")]
static MEMORY_CONSOLE: MemoryConsole = MemoryConsole::new();

/// What tools find through the pointer at 0x80 of the image.
pub(crate) static DEBUG_DESCRIPTOR: DebugDescriptor = DebugDescriptor::new(ADDRESS);

static CONSOLE: Console<'static> = Console::new(Some(MEMORY_CONSOLE.writer()));

/// The way to the UART that the device tree names.
static BUS: Once<&'static Platform> = Once::new();
/// The way to the UART that the processor's version suggests: for what is to be said before there
/// is a device tree, or when it was refused. Made at the start, since a platform is large and the
/// stack of a thread that stops may be short.
static USUAL_BUS: Once<Platform> = Once::new();

/// The XSCOM engine before the system has one.
static EARLY_XSCOM: Xscom = Xscom::new();
static SYSTEM_XSCOM: Once<&'static Xscom> = Once::new();

fn xscom() -> &'static Xscom {
    SYSTEM_XSCOM.get().copied().unwrap_or(&EARLY_XSCOM)
}

/// The console, for the OPAL calls.
pub(crate) fn console() -> &'static Console<'static> {
    &CONSOLE
}

/// Empties the memory console and writes its header; from now on last words can be said.
pub(crate) fn prepare() {
    MEMORY_CONSOLE.initialise(ADDRESS);
    USUAL_BUS.call_once(|| {
        let generation = Generation::from_pvr(cpu::pvr() as u32);
        device_tree::console_only(generation.unwrap_or(Generation::Power10))
    });
}

/// Opens the UART that the device tree names, and the log.
pub(crate) fn open(platform: &'static Platform) {
    BUS.call_once(|| platform);
    let _ = CONSOLE.initialise(&mut ThisThread, platform, xscom());
    if log::set_logger(&ImageLog).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

/// Tells tools that the firmware is up.
pub(crate) fn boot_complete() {
    DEBUG_DESCRIPTOR.set_boot_complete();
}

/// From now on the UART shows the OS's output only.
pub(crate) fn give_away() {
    CONSOLE.give_away();
}

/// From now on the console uses the system's XSCOM engine.
pub(crate) fn use_xscom_of(system: &'static System<'static>) {
    SYSTEM_XSCOM.call_once(|| &system.xscom);
}

struct ImageLog;

impl Log for ImageLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(bus) = BUS.get() {
            let level = Level::from(record.level());
            let hardware = &mut ThisThread;
            CONSOLE.log(
                hardware,
                bus,
                xscom(),
                level,
                Patience::Wait,
                *record.args(),
            );
        }
    }

    fn flush(&self) {}
}

/// The last words of a machine that stops: line by line, past every lock.
pub(crate) struct Emergency {
    line: [u8; 240],
    used: usize,
}

impl Emergency {
    /// Opens the console if nobody has.
    pub(crate) fn open() -> Self {
        if let (None, Some(usual)) = (BUS.get(), USUAL_BUS.get()) {
            open(usual);
        }
        Self {
            line: [0; 240],
            used: 0,
        }
    }

    fn flush(&mut self) {
        let line = core::str::from_utf8(&self.line[..self.used]).unwrap_or("?");
        if let (Some(bus), false) = (BUS.get(), line.is_empty()) {
            CONSOLE.log(
                &mut ThisThread,
                bus,
                xscom(),
                Level::EMERGENCY,
                Patience::LastWords,
                format_args!("{line}"),
            );
        }
        self.used = 0;
    }
}

impl fmt::Write for Emergency {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.flush();
            } else if let Some(place) = self.line.get_mut(self.used) {
                *place = byte;
                self.used += 1;
            }
        }
        Ok(())
    }
}

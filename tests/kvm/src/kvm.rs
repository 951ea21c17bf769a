//! The few requests to KVM that one vCPU needs.

use crate::system::{EINTR, Errno, File, memory};
use core::{fmt, ptr};

// Direction and size of a structure are part of a request's number; on POWER in this way.
const fn plain(number: u64) -> u64 {
    1 << 29 | 0xae00 | number
}

const fn with<T>(direction: u64, number: u64) -> u64 {
    direction << 29 | (size_of::<T>() as u64) << 16 | 0xae00 | number
}

const READ: u64 = 2;
const WRITE: u64 = 4;

const CREATE_VM: u64 = plain(0x01);
const VCPU_MAP_SIZE: u64 = plain(0x04);
const CREATE_VCPU: u64 = plain(0x41);
const RUN: u64 = plain(0x80);
const SET_MEMORY: u64 = with::<MemoryRegion>(WRITE, 0x46);
const GET_REGISTERS: u64 = with::<Registers>(READ, 0x81);
const SET_REGISTERS: u64 = with::<Registers>(WRITE, 0x82);
const CREATE_DEVICE: u64 = with::<Device>(READ | WRITE, 0xe0);
const SET_ATTRIBUTE: u64 = with::<Attribute>(WRITE, 0xe1);
const ENABLE_CAPABILITY: u64 = with::<Capability>(WRITE, 0xa3);
const GET_ONE: u64 = with::<OneRegister>(WRITE, 0xab);
const SET_ONE: u64 = with::<OneRegister>(WRITE, 0xac);

/// A machine for the hypervisor mode of the processor.
const TYPE_HYPERVISOR: u64 = 1;
/// Hypercalls come to us.
const CAPABILITY_PAPR: u32 = 68;
/// A vCPU belongs to an interrupt controller.
const CAPABILITY_XIVE: u32 = 169;
/// POWER9's interrupt controller, as a device of the kernel.
const DEVICE_XIVE: u32 = 9;
/// Its attribute: how many vCPUs it may serve. The default is 2048, and as many targets of the host.
const XIVE_CONTROL: u32 = 1;
const XIVE_SERVERS: u64 = 3;
/// TB offset: PowerPC, 64 bits, number 0x9c.
const TIMEBASE_OFFSET: u64 = 0x1030_0000_0000_009c;
/// LPCR, and in it: interrupts are taken little-endian.
const LPCR: u64 = 0x1030_0000_0000_00b5;
const LPCR_ILE: u64 = 1 << 25;
/// Why the guest stopped: a hypercall.
const EXIT_HYPERCALL: u32 = 19;
/// In the block that is shared with KVM: the reason, and behind it what belongs to it.
const REASON_AT: usize = 8;
const REST_AT: usize = 32;

#[repr(C)]
struct MemoryRegion {
    slot: u32,
    flags: u32,
    guest_address: u64,
    bytes: u64,
    our_address: u64,
}

#[repr(C)]
struct OneRegister {
    id: u64,
    address: u64,
}

#[repr(C)]
struct Device {
    kind: u32,
    file: u32,
    flags: u32,
}

#[repr(C)]
struct Attribute {
    flags: u32,
    group: u32,
    number: u64,
    address: u64,
}

#[repr(C)]
struct Capability {
    number: u32,
    flags: u32,
    arguments: [u64; 4],
    padding: [u8; 64],
}

/// The registers of a vCPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Registers {
    pub(crate) pc: u64,
    cr: u64,
    ctr: u64,
    lr: u64,
    xer: u64,
    pub(crate) msr: u64,
    srr: [u64; 2],
    pid: u64,
    sprg: [u64; 8],
    pub(crate) gpr: [u64; 32],
}

/// A hypercall of the guest.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hypercall {
    pub(crate) number: u64,
    answer: u64,
    pub(crate) arguments: [u64; 9],
}

/// Why a guest did not stop for a hypercall.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// KVM refused.
    Refused(Errno),
    /// Another reason, by its number.
    Other(u32),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "KVM refuses to run it: {error}"),
            Self::Other(reason) => write!(f, "it stopped for reason {reason}"),
        }
    }
}

/// What went wrong on the way to a vCPU: the step, and the kernel's answer.
pub(crate) type Failure = (&'static str, Errno);

/// A machine with one vCPU.
#[derive(Debug)]
pub(crate) struct Vcpu {
    file: File,
    /// Shared with KVM.
    block: *mut u8,
}

impl Vcpu {
    /// A machine with so many bytes of memory, which begins with `program`; with an interrupt
    /// controller in the kernel, if that is wanted.
    pub(crate) fn create(program: &[u8], bytes: u64, controller: bool) -> Result<Self, Failure> {
        let kvm = File::open(c"/dev/kvm").map_err(|error| ("/dev/kvm", error))?;
        let machine = kvm
            .request(CREATE_VM, TYPE_HYPERVISOR)
            .map(File::from_answer)
            .map_err(|error| ("a machine", error))?;
        let guest = memory(bytes).map_err(|error| ("memory", error))?;
        assert!(program.len() as u64 <= bytes, "the program has no room");
        // SAFETY: the memory is new, ours, and large enough.
        unsafe {
            ptr::copy_nonoverlapping(program.as_ptr(), guest, program.len());
        }
        let mut region = MemoryRegion {
            slot: 0,
            flags: 0,
            guest_address: 0,
            bytes,
            our_address: guest as u64,
        };
        // SAFETY: the request's structure; the memory stays for ever.
        unsafe { machine.request_with(SET_MEMORY, &mut region) }
            .map_err(|error| ("memory of the guest", error))?;
        let file = machine
            .request(CREATE_VCPU, 0)
            .map(File::from_answer)
            .map_err(|error| ("a vCPU", error))?;
        let size = kvm
            .request(VCPU_MAP_SIZE, 0)
            .map_err(|error| ("the block's size", error))?;
        let block = file.map(size).map_err(|error| ("the block", error))?;
        let vcpu = Self { file, block };
        vcpu.enable(CAPABILITY_PAPR, [0; 4])
            .map_err(|error| ("hypercalls", error))?;
        if controller {
            let mut device = Device {
                kind: DEVICE_XIVE,
                file: 0,
                flags: 0,
            };
            // SAFETY: the request's structure.
            unsafe { machine.request_with(CREATE_DEVICE, &mut device) }
                .map_err(|error| ("an interrupt controller", error))?;
            let servers = 1u32;
            let mut attribute = Attribute {
                flags: 0,
                group: XIVE_CONTROL,
                number: XIVE_SERVERS,
                address: &raw const servers as u64,
            };
            let file = File::from_answer(device.file.into());
            // SAFETY: the request's structure; the number outlives the request, which only reads it.
            unsafe { file.request_with(SET_ATTRIBUTE, &mut attribute) }
                .map_err(|error| ("the controller's number of vCPUs", error))?;
            // The file stays open for ever: closing it would take the controller away.
            vcpu.enable(CAPABILITY_XIVE, [device.file.into(), 0, 0, 0])
                .map_err(|error| ("the vCPU at its interrupt controller", error))?;
        }
        Ok(vcpu)
    }

    fn enable(&self, number: u32, arguments: [u64; 4]) -> Result<(), Errno> {
        let mut capability = Capability {
            number,
            flags: 0,
            arguments,
            padding: [0; 64],
        };
        // SAFETY: the request's structure.
        unsafe { self.file.request_with(ENABLE_CAPABILITY, &mut capability) }.map(drop)
    }

    /// Sets TB of the guest minus TB of the host, as after a migration.
    pub(crate) fn set_timebase_offset(&self, offset: i64) -> Result<(), Failure> {
        self.one(SET_ONE, TIMEBASE_OFFSET, &mut (offset as u64))
            .map_err(|error| ("the TB offset", error))
    }

    /// Has the guest take its interrupts little-endian.
    pub(crate) fn take_interrupts_little_endian(&self) -> Result<(), Failure> {
        let mut lpcr = 0;
        self.one(GET_ONE, LPCR, &mut lpcr)
            .map_err(|error| ("reading LPCR", error))?;
        self.one(SET_ONE, LPCR, &mut (lpcr | LPCR_ILE))
            .map_err(|error| ("LPCR", error))
    }

    /// Reads or writes a register of 64 bits.
    fn one(&self, request: u64, id: u64, value: &mut u64) -> Result<(), Errno> {
        let mut register = OneRegister {
            id,
            address: core::ptr::from_mut(value) as u64,
        };
        // SAFETY: the structure of both requests, with the address of a doubleword.
        unsafe { self.file.request_with(request, &mut register) }.map(drop)
    }

    /// The registers.
    pub(crate) fn registers(&self) -> Result<Registers, Failure> {
        let mut registers = Registers::default();
        // SAFETY: the request's structure.
        unsafe { self.file.request_with(GET_REGISTERS, &mut registers) }
            .map_err(|error| ("reading registers", error))?;
        Ok(registers)
    }

    /// Sets the registers.
    pub(crate) fn set_registers(&self, mut registers: Registers) -> Result<(), Failure> {
        // SAFETY: the request's structure.
        unsafe { self.file.request_with(SET_REGISTERS, &mut registers) }
            .map(drop)
            .map_err(|error| ("registers", error))
    }

    /// Runs the guest to its next hypercall, which is answered with 0 when it goes on.
    pub(crate) fn run(&mut self) -> Result<Hypercall, Stop> {
        loop {
            match self.file.request(RUN, 0) {
                Ok(_) => break,
                Err(EINTR) => {}
                Err(error) => return Err(Stop::Refused(error)),
            }
        }
        // SAFETY: the block is mapped and larger than this; KVM writes it only while we are in RUN.
        let reason = unsafe { self.block.add(REASON_AT).cast::<u32>().read() };
        if reason != EXIT_HYPERCALL {
            return Err(Stop::Other(reason));
        }
        let place = self.block.wrapping_add(REST_AT).cast::<Hypercall>();
        // SAFETY: as above; this is what belongs to the reason.
        unsafe {
            (*place).answer = 0;
            Ok(place.read())
        }
    }
}

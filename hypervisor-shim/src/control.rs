//! The control block: how a tool steers the shim and reads its verdict while it runs.
//!
//! It is plain memory (big-endian on the machine) at the symbol `OPALINE_CONTROL`, outside `.bss`,
//! so that a debugger may write it before the first instruction and the head carries it along when
//! it moves the image. Nothing in the block is needed for a run without tools: the defaults make
//! the shim break and repair its own timebase, give its verdict and power off.

use core::sync::atomic::{AtomicU64, Ordering};

/// Threads with a status.
pub const THREADS: usize = 64;
/// First word of the block: "OPALSHIM".
pub const MAGIC: u64 = u64::from_be_bytes(*b"OPALSHIM");

macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $index:ident { $($(#[$doc:meta])* $field:ident / $variant:ident,)* }) => {
        $(#[$meta])*
        #[derive(Debug)]
        #[repr(C)]
        pub struct $name { $($(#[$doc])* pub $field: AtomicU64,)* }

        /// Position of each word, for tools that read the memory.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        #[allow(missing_docs, reason = "documented on the fields")]
        pub enum $index { $($variant,)* }

        impl $name {
            /// All words, zero.
            #[must_use]
            #[allow(clippy::new_without_default, reason = "used in statics only")]
            pub const fn zeroed() -> Self { Self { $($field: AtomicU64::new(0),)* } }
            /// Names of the words, in order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($field),)*];
        }
    };
}

words! {
    /// What a tool writes, and what the image reports as a whole.
    Header, HeaderWord {
        /// [`MAGIC`].
        magic / Magic,
        /// Tool: 1 = a tool plays the faults; run until `stop`, and inflict none of our own.
        external / External,
        /// Tool: nonzero = finish, print the verdicts, power off.
        stop / Stop,
        /// Tool: how many faults the image inflicts on itself when `external` is 0.
        self_faults / SelfFaults,
        /// Tool: microseconds that a guest runs before its HDEC takes it out.
        slice_microseconds / SliceMicroseconds,
        /// Image: 0 booting, 1 guests run, 2 finishing, 3 finished well, 4 finished badly.
        phase / Phase,
        /// Image: HMI epochs that all threads of a core left, over all cores.
        epochs / Epochs,
        /// Image: `OPAL_RESYNC_TIMEBASE` calls that a claimant made.
        resyncs / Resyncs,
        /// Image: HMI events fetched by `OPAL_GET_MSG`.
        events / Events,
        /// Image: of these, not recovered.
        events_unrecovered / EventsUnrecovered,
        /// Image: 1 = the threads of a core share one TB.
        shared_timebase / SharedTimebase,
        /// Image: processor generation (8, 9, 10).
        generation / Generation,
        /// Image: threads that run.
        threads / Threads,
        /// Image: first event word that was fetched last.
        last_event_head / LastEventHead,
        /// Image: HMER in the event that was fetched last.
        last_event_hmer / LastEventHmer,
        /// Image: TFMR in the event that was fetched last.
        last_event_tfmr / LastEventTfmr,
        /// Tool: nonzero = guests are entered and left as fast as can be: no dwell in host context
        /// but one check of host time.
        hasty / Hasty,
        /// Tool: nonzero = the faults that the image inflicts on itself are drawn from this.
        seed / Seed,
        /// Tool and image: measurements of skew that were asked for so far; see `skew`.
        skew_wanted / SkewWanted,
        /// Image: measurements that are over, those given up included.
        skew_done / SkewDone,
        /// Image: of these, given up: an HMI came first, or not all threads came in time.
        skew_given_up / SkewGivenUp,
        /// Image, last whole measurement: threads that took part.
        skew_threads / SkewThreads,
        /// Image, last whole measurement: times that the lock went from one thread to another.
        skew_handovers / SkewHandovers,
        /// Image, last whole measurement: largest step back, in ticks.
        skew_step_back / SkewStepBack,
        /// Image, last whole measurement: largest disagreement of two threads, in ticks.
        skew_disagreement / SkewDisagreement,
        /// Image, last whole measurement: how far that may be from the truth, in ticks.
        skew_doubt / SkewDoubt,
        /// Image: largest step back of all measurements.
        skew_largest_step_back / SkewLargestStepBack,
        /// Image: largest disagreement, less its doubt, of all measurements.
        skew_largest_disagreement / SkewLargestDisagreement,
    }
}

words! {
    /// What one thread reports.
    ThreadStatus, ThreadWord {
        /// PIR plus one; 0 = no such thread.
        pir_plus_one / PirPlusOne,
        /// See [`Activity`].
        activity / Activity,
        /// Offset between this thread's guest time and host time, in ticks (two's complement).
        offset / Offset,
        /// Offset that is in TB now.
        applied / Applied,
        /// Entries into the guest.
        entries / Entries,
        /// Checks that the guest made of its own time.
        guest_checks / GuestChecks,
        /// Of these, failed.
        guest_failures / GuestFailures,
        /// First failure: TB before.
        guest_before / GuestBefore,
        /// First failure: TB after.
        guest_after / GuestAfter,
        /// Checks of host time.
        host_checks / HostChecks,
        /// Of these, failed.
        host_failures / HostFailures,
        /// First host failure: TB before.
        host_before / HostBefore,
        /// First host failure: TB after.
        host_after / HostAfter,
        /// HMIs taken or joined.
        hmis / Hmis,
        /// Flags that the last `OPAL_HANDLE_HMI2` stored.
        flags / Flags,
        /// Return code of the last `OPAL_HANDLE_HMI2`.
        return_code / ReturnCode,
        /// HMER after the last one.
        hmer_after / HmerAfter,
        /// TFMR after the last one.
        tfmr_after / TfmrAfter,
        /// Exits by hcall.
        hcall_exits / HcallExits,
        /// Exits by HDEC.
        hdec_exits / HdecExits,
        /// Exits by doorbell.
        doorbell_exits / DoorbellExits,
        /// Exits by HMI.
        hmi_exits / HmiExits,
        /// Exits that the shim does not know.
        other_exits / OtherExits,
        /// Waits that ran out of budget.
        expired_waits / ExpiredWaits,
        /// Largest step between two readings of the guest, in ticks.
        guest_largest_step / GuestLargestStep,
        /// Largest disagreement of TB and DEC that the guest saw, in ticks.
        guest_largest_skew / GuestLargestSkew,
        /// The epoch of its core that this thread attended last, plus one.
        attended_plus_one / AttendedPlusOne,
        /// Decrementer interrupts taken in host context; each sets DEC anew.
        decrementer_interrupts / DecrementerInterrupts,
    }
}

/// What a thread is doing, for [`ThreadStatus::activity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Activity {
    /// Not in the shim.
    Absent = 0,
    /// In the host loop, interrupts open.
    Host = 1,
    /// On the way into the guest: its offset may be in TB.
    Entering = 2,
    /// In the guest.
    Guest = 3,
    /// On the way out of the guest.
    Leaving = 4,
    /// Handling an HMI.
    Hmi = 5,
    /// Done.
    Finished = 6,
}

/// The whole block.
#[derive(Debug)]
#[repr(C)]
pub struct Control {
    /// Common words.
    pub header: Header,
    /// Per thread, by thread index.
    pub threads: [ThreadStatus; THREADS],
}

impl Control {
    /// The block with its defaults.
    #[must_use]
    pub const fn new() -> Self {
        let mut header = Header::zeroed();
        header.magic = AtomicU64::new(MAGIC);
        header.self_faults = AtomicU64::new(3);
        header.slice_microseconds = AtomicU64::new(5_000);
        Self {
            header,
            threads: [const { ThreadStatus::zeroed() }; THREADS],
        }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

/// Adds one to a word.
pub fn count(word: &AtomicU64) {
    word.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_words() {
        assert_eq!(size_of::<Header>(), 8 * Header::NAMES.len());
        assert_eq!(size_of::<ThreadStatus>(), 8 * ThreadStatus::NAMES.len());
        assert_eq!(
            size_of::<Control>(),
            size_of::<Header>() + THREADS * size_of::<ThreadStatus>()
        );
        assert_eq!(
            HeaderWord::SkewLargestDisagreement as usize,
            Header::NAMES.len() - 1
        );
        assert_eq!(
            ThreadWord::DecrementerInterrupts as usize,
            ThreadStatus::NAMES.len() - 1
        );
    }
}

//! The verdict about one repair: the state that was read back, and what the shim reports.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hypervisor_shim::control::{HeaderWord, ThreadWord};
use opal_abi::hmi_flags;
use power_registers::{Hmer, TbState, Tfmr};

use super::session::{SETTLE_SLICE, Session, Statuses};
use super::{
    EventReport, FaultReport, THREAD_ALARMS, TICKS_PER_MICROSECOND, ThreadReport, counted,
};
use crate::chip_tod::ChipTod;
use crate::forge::Struck;
use crate::machine::Vcpu;
use crate::readout::{self, HeaderView, StatusView};

/// A decrementer of 32 bits that is not served for 2^31 ticks is positive again.
const DEC_WRAP_MICROSECONDS: f64 = (1_u64 << 31) as f64 / TICKS_PER_MICROSECOND as f64;
/// The event may be fetched a little after the threads are back.
const EVENT_PATIENCE: Duration = Duration::from_secs(2);

/// Threads whose TB is wrong before the fault strikes, in words: it went wrong between faults, as
/// when an offset was put in or taken out badly. Only settled threads can be judged.
pub(super) fn wrong_timebases(
    session: &mut Session,
    core: u32,
    statuses: &Statuses,
    clock: u64,
) -> Result<Vec<String>> {
    let reference = session
        .tod
        .as_ref()
        .context("no reference of true time")?
        .reference;
    let vcpus = session.machine.core(core);
    let settled = |vcpu: &Vcpu| statuses.get(&vcpu.pir).is_some_and(StatusView::settled);
    let all_settled = vcpus.iter().all(settled);
    let mut wrong = Vec::new();
    for vcpu in vcpus {
        // On a shared TB a sibling on its way in or out makes it unknown whose offset is there.
        if !settled(&vcpu) || (session.shared && !all_settled) {
            continue;
        }
        let timebase = session.machine.read(vcpu, "tb")?;
        let applied = session.applied(statuses, vcpu.core, vcpu.pir);
        let expected = clock.wrapping_add(reference).wrapping_add(applied);
        let error = timebase.wrapping_sub(expected) as i64;
        if error.unsigned_abs() > session.tolerance_ticks() {
            wrong.push(format!(
                "PIR {:#x}: TB was off by {error} ticks already before this fault",
                vcpu.pir
            ));
        }
    }
    Ok(wrong)
}

/// TB, TFMR and HMER of every thread of the core, against the clock that nobody disturbs.
pub(super) fn judge_timebase(
    session: &mut Session,
    statuses: &Statuses,
    clock_before: u64,
    report: &mut FaultReport,
) -> Result<()> {
    let reference = session
        .tod
        .as_ref()
        .context("no reference of true time")?
        .reference;
    let clock = session.machine.clock()?;
    report.machine_microseconds =
        clock.wrapping_sub(clock_before) as f64 / TICKS_PER_MICROSECOND as f64;
    let tolerance = session.tolerance_ticks();
    let expect_repair = session.options.expect_repair;
    let has_tod = session.tod.as_ref().is_some_and(ChipTod::exists);
    for vcpu in session.machine.core(report.core) {
        let state = session.machine.state(vcpu)?;
        let applied = session.applied(statuses, vcpu.core, vcpu.pir);
        let expected = clock.wrapping_add(reference).wrapping_add(applied);
        let error = state.timebase.wrapping_sub(expected) as i64;
        let Some(thread) = report
            .threads
            .iter_mut()
            .find(|thread| thread.pir == vcpu.pir)
        else {
            continue;
        };
        thread.timebase_after = Some(state.timebase);
        thread.timebase_expected = Some(expected);
        thread.error_ticks = Some(error);
        thread.applied = applied as i64;
        thread.tfmr_after = state.tfmr;
        thread.hmer_after = state.hmer;
        if let Some(status) = statuses.get(&vcpu.pir) {
            thread.flags = status.get(ThreadWord::Flags);
            thread.return_code = status.get(ThreadWord::ReturnCode) as i64;
        }
        let tfmr = state.tfmr();
        // Where the error cannot be cleared TB may run all the same; then it must be right.
        let runs = tfmr.state() == TbState::Running && tfmr.tb_usable();
        let judged = expect_repair || (runs && has_tod);
        if !judged {
            continue;
        }
        let largest = &mut session.report.largest_error_ticks;
        *largest = (*largest).max(error.unsigned_abs());
        let mut fail = |text: String| report.failures.push(format!("PIR {:#x}: {text}", vcpu.pir));
        if error.unsigned_abs() > tolerance {
            fail(format!("TB {:#x} is off by {error} ticks", state.timebase));
        }
        if !expect_repair {
            continue;
        }
        if !runs {
            fail(format!("TB does not run: {tfmr:?}"));
        }
        if tfmr.intersects(Tfmr::CORE_ERRORS | Tfmr::THREAD_ERRORS) {
            fail(format!("errors are left: {tfmr:?}"));
        }
        if state.hmer().intersects(Hmer::TIMER) {
            fail(format!("causes are left: {:?}", state.hmer()));
        }
    }
    Ok(())
}

/// Events, flags and alarms, as the shim reports them.
pub(super) fn judge_reports(
    session: &mut Session,
    before: &HeaderView,
    statuses_before: &Statuses,
    struck: &Struck,
    report: &mut FaultReport,
) -> Result<()> {
    let start = Instant::now();
    let (after, statuses) = loop {
        let header = readout::header(&mut session.machine, &session.image)?;
        let fetched = header.get(HeaderWord::Events) != before.get(HeaderWord::Events);
        if fetched || start.elapsed() > EVENT_PATIENCE {
            break (
                header,
                readout::statuses(&mut session.machine, &session.image)?,
            );
        }
        session.run(SETTLE_SLICE)?;
    };
    let (old, new) = (counted(before), counted(&after));
    let grown = |name: &str| new[name].wrapping_sub(old[name]);
    report.events = grown("events");
    report.events_unrecovered = grown("events_unrecovered");
    report.epochs = grown("epochs");
    report.resyncs = grown("resyncs");
    report.event = EventReport {
        head: after.get(HeaderWord::LastEventHead),
        hmer: after.get(HeaderWord::LastEventHmer),
        tfmr: after.get(HeaderWord::LastEventTfmr),
    };
    let has_tod = session.tod.as_ref().is_some_and(ChipTod::exists);
    // It still is a failure; the reader should know where to look first.
    let slow = if report.machine_microseconds > DEC_WRAP_MICROSECONDS {
        format!(
            " (the machine took {:.1} s for this fault; a 32-bit DEC wraps after 4.2 s)",
            report.machine_microseconds / 1e6
        )
    } else {
        String::new()
    };
    let mut fail = |text: String| report.failures.push(text);
    let found = Tfmr::from_bits_retain(report.event.tfmr);
    let told = found & Tfmr::CORE_ERRORS == struck.tfmr & Tfmr::CORE_ERRORS
        && found.state() == struck.tfmr.state();
    match report.events {
        0 => fail("its event was lost".to_owned()),
        // A fault that stays may well be found again.
        1 => {}
        _ if !session.options.expect_repair => {}
        more => fail(format!("one error made {more} events")),
    }
    if report.events != 0 && !told {
        fail(format!(
            "the event tells {found:?} instead of {:?}",
            struck.tfmr
        ));
    }
    let event_hmer = Hmer::from_bits_retain(report.event.hmer);
    if report.events != 0 && !event_hmer.contains(struck.hmer) {
        fail(format!(
            "the event tells {event_hmer:?} instead of {:?}",
            struck.hmer
        ));
    }
    if session.options.expect_repair {
        if report.events_unrecovered != 0 {
            fail(format!(
                "{} event(s) say not recovered",
                report.events_unrecovered
            ));
        }
        if session
            .tod
            .as_ref()
            .is_some_and(crate::chip_tod::ChipTod::exists)
            && !report.tod_moves.iter().any(|done| done.loaded.is_some())
        {
            fail("TB runs, but the TOD was never asked for its value".to_owned());
        }
        for (pir, status) in &statuses {
            for (word, name) in THREAD_ALARMS {
                let earlier = statuses_before
                    .get(pir)
                    .map_or(0, |status| status.get(word));
                if status.get(word) != earlier {
                    let more = status.get(word).wrapping_sub(earlier);
                    fail(format!("PIR {pir:#x}: {name} grew by {more}{slow}"));
                }
            }
        }
    } else {
        if report.events_unrecovered == 0 {
            fail("no event says that the error stays".to_owned());
        }
        let dead = |thread: &ThreadReport| {
            !has_tod || !Tfmr::from_bits_retain(thread.tfmr_after).tb_usable()
        };
        let told = |thread: &ThreadReport| thread.flags & hmi_flags::TOD_TB_FAIL != 0;
        if report.threads.iter().any(dead) && !report.threads.iter().any(told) {
            fail("TB is dead, but no thread was told TOD_TB_FAIL".to_owned());
        }
    }
    Ok(())
}

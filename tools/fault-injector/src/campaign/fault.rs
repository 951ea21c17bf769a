//! One fault, from the strike to the verdict about its repair.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gdb_remote::Watch;
use hypervisor_shim::control::HeaderWord;
use power_registers::Hmer;

use super::judge::{judge_reports, judge_timebase, wrong_timebases};
use super::session::{SETTLE_SLICE, Session, Statuses, longer};
use super::{
    EventReport, FAULTS_PER_STRUCK_SKEW, FaultReport, HASTY_RECORDED_FAULTS, ThreadReport,
};
use crate::chip_tod::Move;
use crate::forge::{Struck, strike};
use crate::machine::{Halt, Vcpu};
use crate::plan::Plan;
use crate::readout::{self, HeaderView, StatusView};
use crate::stuffing::Change;

/// Strikes a fault, waits for the repair and judges it.
pub(super) fn play(session: &mut Session, core: u32, plan: &Plan) -> Result<FaultReport> {
    let hasty = session.options.hasty;
    if hasty && plan.number.is_multiple_of(FAULTS_PER_STRUCK_SKEW) {
        session.begin_skew()?;
    }
    session.run(plan.delay)?;
    let header = readout::header(&mut session.machine, &session.image)?;
    let statuses = readout::statuses(&mut session.machine, &session.image)?;
    let clock = session.machine.clock()?;
    let wrong_before = wrong_timebases(session, core, &statuses, clock)?;
    let mut struck = strike(&mut session.machine, core, plan, session.shared)?;
    let mut report = begin(session, plan, &struck, &statuses);
    report.failures.extend(wrong_before);
    let vcpus: Vec<Vcpu> = struck.hits.iter().map(|hit| hit.vcpu).collect();
    struck.chase(&mut session.machine, &session.image, &mut |machine| {
        if let Some(tod) = &session.tod {
            report.tod_moves.extend(tod.answer(machine, &vcpus)?);
        }
        Ok(())
    })?;
    // The last thread that is back counts the epoch: that store stops the machine.
    let epochs = readout::word_address(&session.image, HeaderWord::Epochs);
    session.machine.client.plant(Watch::Write, epochs, 8)?;
    let back = wait(session, &mut struck, &header, &mut report)?;
    session.machine.client.remove(Watch::Write, epochs, 8)?;
    for (thread, hit) in report.threads.iter_mut().zip(&struck.hits) {
        thread.delivery = hit.delivery;
    }
    let Some(after) = back else {
        report.hang = true;
        report.wall_milliseconds = session.options.patience.as_secs_f64() * 1e3;
        let dump = session.dump()?;
        let seconds = session.options.patience.as_secs();
        report
            .failures
            .push(format!("not repaired within {seconds} s: {dump}"));
        return Ok(report);
    };
    judge_timebase(session, &after, clock, &mut report)?;
    judge_reports(session, &header, &statuses, &struck, &mut report)?;
    if hasty && report.failures.is_empty() && plan.number > HASTY_RECORDED_FAULTS {
        return Ok(report);
    }
    let indices: Vec<usize> = report
        .threads
        .iter()
        .filter_map(|thread| after.get(&thread.pir))
        .map(|status| status.index)
        .collect();
    session.collect_records(&indices)?;
    if !session.options.expect_repair {
        put_in_order(session, &struck)?;
    }
    Ok(report)
}

fn begin(session: &Session, plan: &Plan, struck: &Struck, statuses: &Statuses) -> FaultReport {
    let threads = struck
        .hits
        .iter()
        .map(|hit| ThreadReport {
            pir: hit.vcpu.pir,
            delivery: hit.delivery,
            in_guest: hit.before.in_guest(),
            activity: statuses
                .get(&hit.vcpu.pir)
                .map_or("not started", StatusView::activity)
                .to_owned(),
            pc: hit.before.pc,
            place: if hit.before.in_guest() {
                format!("guest {:#x}", hit.before.pc)
            } else {
                session.image.name(hit.before.pc)
            },
            msr: hit.before.msr,
            tfmr_before: hit.before.tfmr,
            timebase_before: hit.before.timebase,
            timebase_damaged: hit.damaged.timebase,
            timebase_after: None,
            timebase_expected: None,
            error_ticks: None,
            applied: 0,
            tfmr_after: 0,
            hmer_after: 0,
            flags: 0,
            return_code: 0,
        })
        .collect();
    FaultReport {
        number: plan.number,
        plan: plan.in_words(),
        core: struck.core,
        tfmr: struck.tfmr.bits(),
        hmer: struck.hmer.bits(),
        threads,
        event: EventReport::default(),
        events: 0,
        events_unrecovered: 0,
        epochs: 0,
        resyncs: 0,
        tod_moves: Vec::new(),
        wall_milliseconds: 0.0,
        machine_microseconds: 0.0,
        hang: false,
        failures: Vec::new(),
    }
}

/// Lets the machine run, answers the TOD, delivers what is late, until all threads are back from
/// the repair. `None`: patience ran out.
fn wait(
    session: &mut Session,
    struck: &mut Struck,
    before: &HeaderView,
    report: &mut FaultReport,
) -> Result<Option<Statuses>> {
    let start = Instant::now();
    let mut time = SETTLE_SLICE;
    while start.elapsed() < session.options.patience {
        if struck.is_pending() {
            let statuses = readout::statuses(&mut session.machine, &session.image)?;
            let attends = |pir| statuses.get(&pir).is_some_and(StatusView::attends);
            struck.note_attending(&mut session.machine, &session.image, attends)?;
        }
        report.tod_moves.extend(look(session, struck, time)?);
        time = longer(time);
        let header = readout::header(&mut session.machine, &session.image)?;
        if struck.is_pending() || header.get(HeaderWord::Epochs) == before.get(HeaderWord::Epochs) {
            continue;
        }
        if report.wall_milliseconds == 0.0 {
            report.wall_milliseconds = start.elapsed().as_secs_f64() * 1e3;
            time = SETTLE_SLICE;
        }
        if session.options.expect_repair {
            if let Some(statuses) = session.settled_one_by_one(struck.core)? {
                return Ok(Some(statuses));
            }
        } else if header.get(HeaderWord::Events) != before.get(HeaderWord::Events) {
            return Ok(Some(readout::statuses(
                &mut session.machine,
                &session.image,
            )?));
        }
    }
    Ok(None)
}

/// Runs for a moment, or until something happens that was waited for.
fn look(session: &mut Session, struck: &mut Struck, time: Duration) -> Result<Vec<Move>> {
    let vcpus: Vec<Vcpu> = struck.hits.iter().map(|hit| hit.vcpu).collect();
    let halt = session.machine.run(time)?;
    let moves = session.answer_moves(&vcpus)?;
    if let Halt::Planted(Some(thread)) = halt
        && let Some(vcpu) = session.machine.vcpu(thread)
    {
        struck.pass_gate(&mut session.machine, &session.image, vcpu)?;
    }
    struck.refresh(&mut session.machine, &session.image)?;
    Ok(moves)
}

/// Does what no software can do on QEMU: ends the fault, so that the next one meets a machine that
/// is well.
fn put_in_order(session: &mut Session, struck: &Struck) -> Result<()> {
    let reference = session
        .tod
        .as_ref()
        .context("no reference of true time")?
        .reference;
    // Threads on their way back still move TB by their offsets.
    let statuses = session
        .settle(None, session.options.patience)?
        .context("the threads do not come to rest after the fault")?;
    for (index, hit) in struck.hits.iter().enumerate() {
        let vcpu = hit.vcpu;
        session.machine.write(vcpu, "tfmr", hit.before.tfmr)?;
        let hmer = session.machine.read(vcpu, "hmer")?;
        session
            .machine
            .write(vcpu, "hmer", hmer & !Hmer::TIMER.bits())?;
        if !session.shared || index == 0 {
            let applied = session.applied(&statuses, vcpu.core, vcpu.pir);
            let change = Change::Clock(reference.wrapping_add(applied));
            session.machine.change_timebase(vcpu, change)?;
        }
    }
    session.settle(Some(struck.core), session.options.patience)?;
    Ok(())
}

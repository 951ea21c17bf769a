//! Threads, run control, break- and watchpoints.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::client::malformed;
use crate::{Client, Error, StopReply, ThreadId};

/// Which threads run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// All.
    All,
    /// This one; the others stay where they are.
    Only(ThreadId),
    /// One instruction of this one.
    Step(ThreadId),
}

/// What a `Z` packet plants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Watch {
    /// Stop before the instruction at an address.
    Breakpoint = 0,
    /// Stop after a store.
    Write = 2,
    /// Stop after a load.
    Read = 3,
    /// Stop after either.
    Access = 4,
}

/// Most threads that a stub may list; QEMU's PowerNV machines end at 2048.
const MAXIMUM_THREADS: usize = 4096;

impl Client {
    /// All threads of the machine.
    ///
    /// # Errors
    /// The line failed, or a thread has no name that the protocol knows.
    pub fn threads(&mut self) -> Result<Vec<ThreadId>, Error> {
        let mut threads = Vec::new();
        let mut command = "qfThreadInfo";
        loop {
            let answer = self.query(command)?;
            match answer.split_first() {
                Some((b'l', [])) => return Ok(threads),
                Some((b'm', list)) if threads.len() < MAXIMUM_THREADS => {
                    for name in String::from_utf8_lossy(list).split(',') {
                        threads.push(name.parse().map_err(|_| malformed(command, &answer))?);
                    }
                }
                _ => return Err(malformed(command, &answer)),
            }
            command = "qsThreadInfo";
        }
    }

    /// Makes a thread the one that register accesses are about.
    ///
    /// # Errors
    /// The stub does not know it.
    pub fn select(&mut self, thread: ThreadId) -> Result<(), Error> {
        if self.selected != Some(thread) {
            self.order(&format!("Hg{thread}"))
                .map_err(|error| match error {
                    Error::Refused { .. } => Error::NoSuchThread(thread),
                    other => other,
                })?;
            self.selected = Some(thread);
        }
        Ok(())
    }

    pub(crate) fn forget_selection(&mut self) {
        self.selected = None;
        self.orders.clear();
    }

    /// Lets threads run. Nothing may be sent until the machine stopped again.
    ///
    /// # Errors
    /// The line failed.
    pub fn resume(&mut self, what: Resume) -> Result<(), Error> {
        let command = match what {
            Resume::All => "vCont;c".to_owned(),
            Resume::Only(thread) => format!("vCont;c:{thread}"),
            Resume::Step(thread) => format!("vCont;s:{thread}"),
        };
        self.forget_selection();
        self.send_acknowledged(command.as_bytes())?;
        self.running = true;
        Ok(())
    }

    /// Waits for the machine to stop; `None` when it still runs after this time.
    ///
    /// # Errors
    /// The line failed, or the stub refused to resume.
    pub fn wait_for_stop(&mut self, timeout: Duration) -> Result<Option<StopReply>, Error> {
        if !self.running {
            return Err(Error::Malformed {
                command: "(waiting for a stop)".to_owned(),
                answer: "the machine does not run".to_owned(),
            });
        }
        self.receive_stop(timeout)
    }

    pub(crate) fn receive_stop(&mut self, timeout: Duration) -> Result<Option<StopReply>, Error> {
        let deadline = Instant::now() + timeout;
        loop {
            let Some(packet) = self.next_packet(deadline)? else {
                return Ok(None);
            };
            if let Some(reply) = StopReply::parse(&packet) {
                self.running = false;
                self.forget_selection();
                return Ok(Some(reply));
            }
            // Console output of the stub is allowed here, anything else is not.
            if packet.first() != Some(&b'O') {
                self.running = false;
                return Err(malformed("(waiting for a stop)", &packet));
            }
        }
    }

    /// Stops the machine. If it stopped by itself at that moment, that is the stop returned.
    ///
    /// # Errors
    /// The machine does not stop.
    pub fn interrupt(&mut self) -> Result<StopReply, Error> {
        self.stream.write_all(&[0x03])?;
        self.wait_for_stop(self.timeouts.stop)?
            .ok_or(Error::WillNotStop)
    }

    /// Executes one instruction of a thread, the others stand still. The stub may stop without
    /// progress (an exclusive section lost the step): the caller looks at the PC.
    ///
    /// # Errors
    /// The machine does not stop.
    pub fn step(&mut self, thread: ThreadId) -> Result<StopReply, Error> {
        self.resume(Resume::Step(thread))?;
        match self.wait_for_stop(self.timeouts.stop)? {
            Some(reply) => Ok(reply),
            None => {
                self.interrupt()?;
                Err(self.late("end of a step", self.timeouts.stop))
            }
        }
    }

    /// Plants a break- or watchpoint of `length` bytes.
    ///
    /// # Errors
    /// The stub refuses.
    pub fn plant(&mut self, what: Watch, address: u64, length: u64) -> Result<(), Error> {
        self.order(&format!("Z{},{address:x},{length:x}", what as u8))
    }

    /// Removes a break- or watchpoint.
    ///
    /// # Errors
    /// The stub refuses, as it does when there is none.
    pub fn remove(&mut self, what: Watch, address: u64, length: u64) -> Result<(), Error> {
        self.order(&format!("z{},{address:x},{length:x}", what as u8))
    }

    /// Detaches, which lets the machine run on without us.
    ///
    /// # Errors
    /// The line failed.
    pub fn detach(mut self) -> Result<(), Error> {
        if self.running {
            self.interrupt()?;
        }
        self.order("D;1")
    }
}

//! The line to the stub: handshake, packets and their answers.

use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::packet::{Decoder, Item, encode, from_hex, to_hex};
use crate::registers::ByteOrder;
use crate::{Error, StopReply, TargetDescription, ThreadId};

/// How long the client waits.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the socket to appear and take the connection.
    pub connect: Duration,
    /// For the answer to a command.
    pub reply: Duration,
    /// For the acknowledgement of a packet, after which it is sent again.
    pub acknowledge: Duration,
    /// For the machine to stop after the interrupt byte or a step.
    pub stop: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            reply: Duration::from_secs(10),
            acknowledge: Duration::from_secs(3),
            stop: Duration::from_secs(10),
        }
    }
}

/// Sends of one packet before the line is given up.
const ATTEMPTS: u32 = 3;
/// Longest document that a stub may send.
const MAXIMUM_DOCUMENT: usize = 1 << 20;

/// The connection to a stub.
#[derive(Debug)]
pub struct Client {
    pub(crate) stream: UnixStream,
    decoder: Decoder,
    items: VecDeque<Item>,
    pub(crate) timeouts: Timeouts,
    pub(crate) target: TargetDescription,
    pub(crate) selected: Option<ThreadId>,
    pub(crate) orders: HashMap<ThreadId, ByteOrder>,
    pub(crate) running: bool,
    stray_stops: u64,
}

impl Client {
    /// Connects, which stops the machine, and reads the target description.
    ///
    /// # Errors
    /// The socket does not take the connection in time, or the stub does not shake hands.
    pub fn connect(path: &Path, timeouts: Timeouts) -> Result<Self, Error> {
        let start = Instant::now();
        loop {
            match UnixStream::connect(path) {
                Ok(stream) => return Self::from_stream(stream, timeouts),
                Err(error) if start.elapsed() > timeouts.connect => return Err(error.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Shakes hands over a stream that is connected already.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn from_stream(stream: UnixStream, timeouts: Timeouts) -> Result<Self, Error> {
        let mut client = Self {
            stream,
            decoder: Decoder::default(),
            items: VecDeque::new(),
            timeouts,
            target: TargetDescription::default(),
            selected: None,
            orders: HashMap::new(),
            running: false,
            stray_stops: 0,
        };
        client.command("qSupported:multiprocess+;xmlRegisters=i386;swbreak+;hwbreak+")?;
        client.send_acknowledged(b"?")?;
        match client.receive_stop(timeouts.reply)? {
            Some(StopReply::Stopped { .. }) => {}
            Some(StopReply::Exited { code }) => return Err(Error::Exited(code)),
            None => return Err(client.late("answer to `?`", timeouts.reply)),
        }
        client.load_target_description()?;
        Ok(client)
    }

    fn load_target_description(&mut self) -> Result<(), Error> {
        let top = self.transfer("target.xml")?;
        self.target.add(&top);
        for annex in TargetDescription::includes(&top) {
            let document = self.transfer(&annex)?;
            self.target.add(&document);
        }
        Ok(())
    }

    /// Reads a document of the stub piece by piece.
    fn transfer(&mut self, annex: &str) -> Result<String, Error> {
        const PIECE: usize = 0x700;
        let mut document = Vec::new();
        loop {
            let command = format!("qXfer:features:read:{annex}:{:x},{PIECE:x}", document.len());
            let answer = self.command(&command)?;
            let Some((kind, piece)) = answer.split_first() else {
                return Err(Error::Unsupported { command });
            };
            document.extend_from_slice(piece);
            match kind {
                b'l' => break,
                b'm' if !piece.is_empty() && document.len() < MAXIMUM_DOCUMENT => {}
                _ => return Err(malformed(&command, &answer)),
            }
        }
        String::from_utf8(document).map_err(|error| malformed(annex, error.as_bytes()))
    }

    /// The registers that this machine has.
    #[must_use]
    pub const fn target(&self) -> &TargetDescription {
        &self.target
    }

    /// Stop replies that came when none was awaited.
    #[must_use]
    pub const fn stray_stops(&self) -> u64 {
        self.stray_stops
    }

    /// Whether the machine was resumed and no stop was seen since.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running
    }

    // ---- the line -------------------------------------------------------------------------

    pub(crate) fn late(&self, waiting_for: &str, after: Duration) -> Error {
        Error::Timeout {
            waiting_for: waiting_for.to_owned(),
            after,
        }
    }

    /// The next thing from the line; `None` when the deadline passes.
    fn next_item(&mut self, deadline: Instant) -> Result<Option<Item>, Error> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Ok(Some(item));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Error::Closed),
                Ok(count) => {
                    for byte in &buffer[..count] {
                        self.items.extend(self.decoder.feed(*byte));
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => return Err(error.into()),
                },
            }
        }
    }

    /// The next good packet, acknowledged.
    pub(crate) fn next_packet(&mut self, deadline: Instant) -> Result<Option<Vec<u8>>, Error> {
        let mut damaged = 0;
        loop {
            match self.next_item(deadline)? {
                None => return Ok(None),
                Some(Item::Packet(packet)) => {
                    self.stream.write_all(b"+")?;
                    return Ok(Some(packet));
                }
                Some(Item::Damaged) => {
                    damaged += 1;
                    if damaged > ATTEMPTS {
                        return Err(Error::Damaged);
                    }
                    self.stream.write_all(b"-")?;
                }
                Some(Item::Acknowledged | Item::Rejected) => {}
            }
        }
    }

    /// Sends a packet until the stub says that it arrived. Stop replies that come meanwhile are
    /// left-overs and are dropped.
    pub(crate) fn send_acknowledged(&mut self, payload: &[u8]) -> Result<(), Error> {
        let frame = encode(payload);
        for _ in 0..ATTEMPTS {
            self.stream.write_all(&frame)?;
            let deadline = Instant::now() + self.timeouts.acknowledge;
            loop {
                match self.next_item(deadline)? {
                    Some(Item::Acknowledged) => return Ok(()),
                    Some(Item::Rejected) | None => break,
                    Some(Item::Packet(packet)) => {
                        self.stream.write_all(b"+")?;
                        self.drop_stray(&packet)?;
                    }
                    Some(Item::Damaged) => self.stream.write_all(b"-")?,
                }
            }
        }
        Err(self.late(
            "acknowledgement of a packet",
            self.timeouts.acknowledge * ATTEMPTS,
        ))
    }

    /// Notes a stop reply that nobody waits for; an end of the machine is an error everywhere.
    fn drop_stray(&mut self, packet: &[u8]) -> Result<bool, Error> {
        match StopReply::parse(packet) {
            Some(StopReply::Exited { code }) => Err(Error::Exited(code)),
            Some(StopReply::Stopped { .. }) => {
                self.stray_stops += 1;
                self.forget_selection();
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Sends a command and returns its answer, whatever it is.
    ///
    /// # Errors
    /// The line failed, or the machine ended. `E` answers and empty ones are returned as they are.
    pub fn command(&mut self, command: &str) -> Result<Vec<u8>, Error> {
        debug_assert!(
            !self.running,
            "`{command}` while the machine runs would stop it"
        );
        self.send_acknowledged(command.as_bytes())?;
        let deadline = Instant::now() + self.timeouts.reply;
        loop {
            let Some(packet) = self.next_packet(deadline)? else {
                return Err(self.late(&format!("answer to `{command}`"), self.timeouts.reply));
            };
            if !self.drop_stray(&packet)? {
                return Ok(packet);
            }
        }
    }

    /// Sends a command that must be answered by data.
    pub(crate) fn query(&mut self, command: &str) -> Result<Vec<u8>, Error> {
        let answer = self.command(command)?;
        match answer.as_slice() {
            [] => Err(Error::Unsupported {
                command: command.to_owned(),
            }),
            [b'E', rest @ ..] if rest.len() == 2 => {
                let code = from_hex(rest).ok_or_else(|| malformed(command, &answer))?[0];
                Err(Error::Refused {
                    command: command.to_owned(),
                    code,
                })
            }
            _ => Ok(answer),
        }
    }

    /// Sends a command that must be answered by `OK`.
    pub(crate) fn order(&mut self, command: &str) -> Result<(), Error> {
        let answer = self.query(command)?;
        if answer == b"OK" {
            Ok(())
        } else {
            Err(malformed(command, &answer))
        }
    }

    /// Gives a command to the emulator's own monitor and returns what it prints.
    ///
    /// # Errors
    /// The line failed, or the stub has no monitor.
    pub fn monitor(&mut self, command: &str) -> Result<String, Error> {
        let packet = format!("qRcmd,{}", to_hex(command.as_bytes()));
        let mut text = Vec::new();
        let mut answer = self.query(&packet)?;
        // Output comes in `O` packets, then `OK`.
        loop {
            if answer == b"OK" {
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
            let piece = answer.strip_prefix(b"O").and_then(from_hex);
            let piece = piece.ok_or_else(|| malformed(command, &answer))?;
            text.extend(piece);
            if text.len() > MAXIMUM_DOCUMENT {
                return Err(malformed(command, b"endless output"));
            }
            let deadline = Instant::now() + self.timeouts.reply;
            answer = self
                .next_packet(deadline)?
                .ok_or_else(|| self.late("end of the monitor's output", self.timeouts.reply))?;
        }
    }
}

pub(crate) fn malformed(command: &str, answer: &[u8]) -> Error {
    Error::Malformed {
        command: command.to_owned(),
        answer: String::from_utf8_lossy(answer).into_owned(),
    }
}

//! The driver against a 16550 that behaves as the data sheet says, and drops what it should drop.

use lpc_uart::{FIFO_BYTES, Registers, Uart, UartError};
use std::collections::VecDeque;

/// A 16550 whose line advances by one byte every `polls_per_byte` reads of the line status.
#[derive(Default)]
struct Chip {
    sent: Vec<u8>,
    transmit: VecDeque<u8>,
    receive: VecDeque<u8>,
    lost: usize,
    polls_per_byte: u32,
    polls: u32,
    divisor: [u8; 2],
    interrupts: u8,
    line_control: u8,
    modem_control: u8,
    fifo_on: bool,
}

impl Chip {
    fn new(polls_per_byte: u32) -> Self {
        // As left by an earlier owner: divisor latch open, interrupts on, FIFOs off.
        Self {
            polls_per_byte,
            line_control: 0x83,
            interrupts: 0x0f,
            divisor: [0x0c, 0x01],
            ..Self::default()
        }
    }

    fn capacity(&self) -> usize {
        if self.fifo_on { FIFO_BYTES } else { 1 }
    }
}

impl Registers for Chip {
    fn read(&mut self, register: u8) -> u8 {
        match register {
            0 => self
                .receive
                .pop_front()
                .expect("read although nothing waits"),
            3 => self.line_control,
            5 => {
                self.polls += 1;
                if self.polls_per_byte != 0 && self.polls.is_multiple_of(self.polls_per_byte) {
                    self.sent.extend(self.transmit.pop_front());
                }
                u8::from(!self.receive.is_empty()) | if self.transmit.is_empty() { 0x60 } else { 0 }
            }
            _ => panic!("register {register} is not needed"),
        }
    }

    fn write(&mut self, register: u8, value: u8) {
        match (register, self.line_control & 0x80 != 0) {
            (0 | 1, true) => self.divisor[usize::from(register)] = value,
            (0, false) if self.transmit.len() < self.capacity() => self.transmit.push_back(value),
            (0, false) => self.lost += 1,
            (1, false) => self.interrupts = value,
            (2, _) => {
                self.fifo_on = value & 1 != 0;
                if value & 2 != 0 {
                    self.receive.clear();
                }
                if value & 4 != 0 {
                    self.transmit.clear();
                }
            }
            (3, _) => self.line_control = value,
            (4, _) => self.modem_control = value,
            _ => panic!("register {register} is not needed"),
        }
    }
}

/// An empty LPC address.
struct Nobody;

impl Registers for Nobody {
    fn read(&mut self, _: u8) -> u8 {
        0xff
    }

    fn write(&mut self, _: u8, _: u8) {}
}

/// Registers that read as zero whatever is written: something is there, but no UART.
struct Zeroes;

impl Registers for Zeroes {
    fn read(&mut self, _: u8) -> u8 {
        0
    }

    fn write(&mut self, _: u8, _: u8) {}
}

#[test]
fn initialise_sets_speed_format_and_fifo() {
    let mut chip = Chip::new(1);
    chip.receive.extend(b"noise");
    Uart::new(&mut chip, 10).initialise().unwrap();
    assert_eq!(chip.divisor, [1, 0]);
    assert_eq!(chip.line_control, 0x03);
    assert_eq!(chip.modem_control, 0x03);
    assert_eq!(chip.interrupts, 0);
    assert!(chip.fifo_on && chip.receive.is_empty());
}

#[test]
fn a_slow_line_loses_nothing() {
    for length in [0, 1, 15, 16, 17, 32, 100] {
        let mut chip = Chip::new(3);
        let text: Vec<u8> = (0..length).collect();
        let mut uart = Uart::new(&mut chip, 3 * FIFO_BYTES as u32 + 1);
        uart.initialise().unwrap();
        assert_eq!(uart.write(&text), Ok(text.len()));
        chip.sent.extend(chip.transmit.drain(..));
        assert_eq!(chip.sent, text);
        assert_eq!(chip.lost, 0);
    }
}

#[test]
fn a_busy_transmitter_gives_a_short_count_after_the_allowance() {
    let mut chip = Chip::new(0);
    let mut uart = Uart::new(&mut chip, 50);
    uart.initialise().unwrap();
    assert_eq!(uart.room(), Ok(FIFO_BYTES));
    assert_eq!(uart.write(&[7; 20]), Ok(FIFO_BYTES));
    assert_eq!(uart.room(), Ok(0));
    assert_eq!(uart.write(b"x"), Ok(0));
    assert_eq!(chip.lost, 0);
    // Two of `initialise`, one per burst or `room`, and the two waits in full.
    assert_eq!(chip.polls, 2 + 1 + 1 + 50 + 1 + 50);
}

#[test]
fn input_comes_in_order_and_only_what_is_there() {
    let mut chip = Chip::new(1);
    Uart::new(&mut chip, 10).initialise().unwrap();
    chip.receive.extend(b"abc");
    let mut uart = Uart::new(&mut chip, 10);
    let mut place = [0; 2];
    assert_eq!(uart.input_waits(), Ok(true));
    assert_eq!(uart.read(&mut place), Ok(2));
    assert_eq!(&place, b"ab");
    assert_eq!(uart.read(&mut place), Ok(1));
    assert_eq!(place[0], b'c');
    assert_eq!(uart.read(&mut place), Ok(0));
    assert_eq!(uart.input_waits(), Ok(false));
    assert_eq!(uart.read(&mut []), Ok(0));
}

#[test]
fn a_missing_uart_is_absent() {
    let mut uart = Uart::new(Nobody, 10);
    assert_eq!(uart.initialise(), Err(UartError::Absent));
    assert_eq!(uart.write(b"x"), Err(UartError::Absent));
    assert_eq!(uart.read(&mut [0]), Err(UartError::Absent));
    assert_eq!(uart.room(), Err(UartError::Absent));
    assert_eq!(uart.input_waits(), Err(UartError::Absent));
    assert_eq!(Uart::new(Zeroes, 10).initialise(), Err(UartError::Absent));
}

#[test]
fn divisors_are_those_of_the_data_sheet() {
    for (baud, divisor) in [(115_200, 1), (57_600, 2), (9_600, 12), (300, 384)] {
        assert_eq!(lpc_uart::divisor(lpc_uart::CLOCK_HZ, baud), divisor);
    }
}

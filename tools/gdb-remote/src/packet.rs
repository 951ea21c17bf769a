//! Framing: `$payload#checksum`, with escapes and run-length encoding.

/// Longest payload that is accepted; QEMU's own limit is 4 KiB.
pub const MAXIMUM_PAYLOAD: usize = 1 << 20;

const ESCAPE: u8 = b'}';
const ESCAPE_XOR: u8 = 0x20;
/// A repeat count is sent as a printable byte, this much larger.
const REPEAT_BIAS: u8 = 29;

/// Puts a payload in a frame, escaping what would end or repeat it.
#[must_use]
pub fn encode(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 4);
    frame.push(b'$');
    for &byte in payload {
        if matches!(byte, b'$' | b'#' | b'*' | ESCAPE) {
            frame.extend([ESCAPE, byte ^ ESCAPE_XOR]);
        } else {
            frame.push(byte);
        }
    }
    let sum = checksum(&frame[1..]);
    frame.extend(format!("#{sum:02x}").bytes());
    frame
}

fn checksum(raw: &[u8]) -> u8 {
    raw.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// What the line delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Our packet arrived well.
    Acknowledged,
    /// Our packet arrived damaged.
    Rejected,
    /// A packet, decoded.
    Packet(Vec<u8>),
    /// A packet whose checksum or encoding is wrong.
    Damaged,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Payload,
    FirstDigit,
    SecondDigit(u8),
}

/// Takes the line apart, byte by byte; a packet may arrive in any number of pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    raw: Vec<u8>,
}

impl Decoder {
    /// Takes one byte; bytes between packets other than acknowledgements are dropped.
    pub fn feed(&mut self, byte: u8) -> Option<Item> {
        match self.state {
            State::Idle => match byte {
                b'+' => return Some(Item::Acknowledged),
                b'-' => return Some(Item::Rejected),
                b'$' => {
                    self.raw.clear();
                    self.state = State::Payload;
                }
                _ => {}
            },
            State::Payload => match byte {
                b'#' => self.state = State::FirstDigit,
                // A new packet begins: the end of the old one was lost.
                b'$' => {
                    self.raw.clear();
                    return Some(Item::Damaged);
                }
                _ if self.raw.len() >= MAXIMUM_PAYLOAD => {
                    self.state = State::Idle;
                    return Some(Item::Damaged);
                }
                _ => self.raw.push(byte),
            },
            State::FirstDigit => self.state = State::SecondDigit(byte),
            State::SecondDigit(first) => {
                self.state = State::Idle;
                let sum = hex_digit(first)
                    .zip(hex_digit(byte))
                    .map(|(high, low)| high << 4 | low);
                if sum != Some(checksum(&self.raw)) {
                    return Some(Item::Damaged);
                }
                return Some(expand(&self.raw).map_or(Item::Damaged, Item::Packet));
            }
        }
        None
    }
}

/// Undoes escapes and run-length encoding; `None` if either is cut off or makes no sense.
fn expand(raw: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            ESCAPE => out.push(bytes.next()? ^ ESCAPE_XOR),
            b'*' => {
                let count = bytes.next()?.checked_sub(REPEAT_BIAS)?;
                let last = *out.last()?;
                out.resize(out.len() + usize::from(count), last);
            }
            _ => out.push(byte),
        }
    }
    Some(out)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Bytes from hexadecimal digits; `None` on an odd number of digits or anything else.
#[must_use]
pub fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(hex_digit(*high)? << 4 | hex_digit(*low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(line: &[u8]) -> Vec<Item> {
        let mut decoder = Decoder::default();
        line.iter().filter_map(|byte| decoder.feed(*byte)).collect()
    }

    #[test]
    fn frames_have_the_checksum_of_the_manual() {
        assert_eq!(encode(b"OK"), b"$OK#9a");
        assert_eq!(
            decode(b"+$OK#9a"),
            [Item::Acknowledged, Item::Packet(b"OK".to_vec())]
        );
        assert_eq!(decode(b"$OK#9b"), [Item::Damaged]);
        assert_eq!(decode(b"$OK#zz-"), [Item::Damaged, Item::Rejected]);
    }

    #[test]
    fn every_byte_survives_the_way() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), [Item::Packet(all)]);
    }

    #[test]
    fn repeats_are_expanded() {
        // "0* " is a zero and three more.
        let sum = checksum(b"0* 1");
        let line = format!("$0* 1#{sum:02x}");
        assert_eq!(decode(line.as_bytes()), [Item::Packet(b"00001".to_vec())]);
        for bad in [&b"* "[..], b"0*", b"0*\x01", b"}"] {
            let line = [b"$", bad, format!("#{:02x}", checksum(bad)).as_bytes()].concat();
            assert_eq!(decode(&line), [Item::Damaged], "{bad:?}");
        }
    }

    #[test]
    fn a_lost_end_does_not_eat_the_next_packet() {
        assert_eq!(
            decode(b"$abc$OK#9a"),
            [Item::Damaged, Item::Packet(b"OK".to_vec())]
        );
    }

    #[test]
    fn an_endless_packet_is_dropped() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b'$'), None);
        let mut items = (0..=MAXIMUM_PAYLOAD).filter_map(|_| decoder.feed(b'a'));
        assert_eq!(items.next(), Some(Item::Damaged));
    }

    #[test]
    fn hex_both_ways() {
        assert_eq!(from_hex(b"00fF7a"), Some(vec![0, 255, 0x7a]));
        assert_eq!(from_hex(b"0"), None);
        assert_eq!(from_hex(b"0x"), None);
        assert_eq!(to_hex(&[0, 255]), "00ff");
    }
}

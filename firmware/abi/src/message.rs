//! The 72-byte message that `OPAL_GET_MSG` hands out.

use crate::hmi_event;

/// Bytes of a message: type, size, and eight parameters.
pub const SIZE: usize = 72;
/// Where the parameters begin.
pub const PARAMETERS: usize = 8;
/// `OPAL_MSG_HMI_EVT`.
pub const TYPE_HMI_EVENT: u32 = 4;

/// The message that carries an HMI event, given as its bytes.
#[must_use]
pub fn hmi_event(event: &[u8; hmi_event::SIZE]) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[..4].copy_from_slice(&TYPE_HMI_EVENT.to_be_bytes());
    bytes[4..8].copy_from_slice(&(hmi_event::SIZE as u32).to_be_bytes());
    bytes[PARAMETERS..PARAMETERS + hmi_event::SIZE].copy_from_slice(event);
    bytes
}

//! How values of stoop-core look in JSON, and the words for them in board files.

use serde::{Serialize, Serializer};
use stoop_core::Region;
use stoop_core::params::{Led, Policy, Uart, UartKind};

/// A piece of memory.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Range {
    /// First physical address.
    start: usize,
    /// Bytes.
    size: usize,
}

/// A console.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct UartForm {
    /// `ns16550`, `pl011` or `none`.
    kind: &'static str,
    /// Physical address of the first register.
    address: usize,
    /// Registers are `1 << shift` bytes apart.
    shift: u8,
    /// Bytes of an access.
    width: u8,
}

/// A LED for error codes.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct LedForm {
    /// Its bits.
    mask: u32,
    /// The register that lights it.
    set: usize,
    /// The register that darkens it.
    clear: usize,
}

pub(super) fn region<S: Serializer>(region: &Region, serializer: S) -> Result<S::Ok, S::Error> {
    Range { start: region.start(), size: region.size() }.serialize(serializer)
}

pub(super) fn regions<S: Serializer>(regions: &[Region], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(regions.iter().map(|region| Range { start: region.start(), size: region.size() }))
}

pub(super) fn optional_region<S: Serializer>(found: &Option<Region>, serializer: S) -> Result<S::Ok, S::Error> {
    found.map(|region| Range { start: region.start(), size: region.size() }).serialize(serializer)
}

pub(super) fn uart<S: Serializer>(uart: &Uart, serializer: S) -> Result<S::Ok, S::Error> {
    UartForm { kind: uart_kind(uart.kind), address: uart.address, shift: uart.shift, width: uart.width }
        .serialize(serializer)
}

pub(super) fn led<S: Serializer>(led: &Option<Led>, serializer: S) -> Result<S::Ok, S::Error> {
    led.map(|led| LedForm { mask: led.mask, set: led.set, clear: led.clear }).serialize(serializer)
}

pub(super) fn policy<S: Serializer>(policy: &Policy, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(policy_name(*policy))
}

/// The word for a UART kind in board files.
pub fn uart_kind(kind: UartKind) -> &'static str {
    match kind {
        UartKind::None => "none",
        UartKind::Ns16550 => "ns16550",
        UartKind::Pl011 => "pl011",
    }
}

/// The word for a policy in board files.
pub fn policy_name(policy: Policy) -> &'static str {
    policy.name()
}

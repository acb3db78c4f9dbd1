//! From an address to a port.

use std::sync::Arc;

use super::{Address, Error, Port, exec, rfc2217, serial, tcp};

/// Opens it once, at `speed` bits a second where that can be set.
///
/// # Errors
/// It is not there, may not be opened, or another program has it.
pub fn open(address: &Address, speed: u32) -> Result<Arc<dyn Port>, Error> {
    Ok(match address {
        Address::Device(path) => Arc::new(serial::Serial::open(path, speed)?),
        Address::Tcp(endpoint) => Arc::new(tcp::Tcp::open(endpoint)?),
        Address::Rfc2217(endpoint) => Arc::new(rfc2217::Rfc2217::open(endpoint, speed)?),
        Address::Exec(command) => Arc::new(exec::Exec::open(command)?),
    })
}

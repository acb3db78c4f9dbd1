//! The kernel of a flattened image tree.

use super::kernel::Error;
use crate::Result;
use crate::format::bootm;
use crate::format::codec::Codec;
use crate::format::fit;
use crate::machine::Machine;

/// A kernel in a FIT, its hashes checked.
pub(super) struct Kernel<'a> {
    /// Load address and entry point; `None` when it runs wherever it is put.
    pub(super) addresses: Option<(u64, u64)>,
    pub(super) codec: Option<Codec>,
    pub(super) data: &'a [u8],
    /// `None` for MIPS: the name does not tell the byte order.
    pub(super) arch: Option<Machine>,
    /// What the user should know.
    pub(super) notes: Vec<String>,
}

/// The kernel of the default configuration.
///
/// # Errors
/// As for [`read`], and a hash that does not hold, a machine or codec that is not known, or a kernel without addresses.
pub(super) fn kernel(bytes: &[u8]) -> Result<Kernel<'_>> {
    let fit = fit::read(bytes)?;
    let kernel = &fit.kernel;
    if let Some(wrong) = kernel.wrong.first() {
        return Err(Error::FitHash { why: wrong.clone() }.into());
    }
    bootm::fit_image(kernel)?;
    let arch = match kernel.arch {
        "mips" => None,
        "arm64" => Some(Machine::Arm64),
        "mips64" => {
            return Err(Error::FitMips64.into());
        }
        other => {
            return Err(Error::FitMachine { name: other.to_owned() }.into());
        }
    };
    let codec =
        fit::codec(kernel.compression).ok_or_else(|| Error::FitCompression { name: kernel.compression.to_owned() })?;
    let addresses = kernel.load.zip(kernel.entry.or(kernel.load));
    let mut notes = Vec::new();
    if kernel.hashes.is_empty() {
        let others = if kernel.unchecked.is_empty() {
            String::new()
        } else {
            format!(", only {}", kernel.unchecked.join(" and "))
        };
        notes.push(format!("the FIT has no hash of its kernel that is known here{others}: damage goes unnoticed"));
    }
    if !fit.others.is_empty() {
        let others = fit.others.join(" and ");
        notes.push(format!("{others} of the FIT's configuration {} left out: see --dtb, --initrd", fit.configuration));
    }
    Ok(Kernel { addresses, codec, data: kernel.data, arch, notes })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fit;
    use super::*;
    use crate::Explained as _;
    use crate::format::checksum::checksum;
    use sha1::Sha1;
    use sha2::{Digest, Sha256};

    const DATA: &[u8] = b"kernel bytes";

    fn refusal(bytes: &[u8]) -> crate::Error {
        let failure = kernel(bytes).err().expect("refused");
        assert!(failure.next_step().is_some(), "{failure}");
        failure
    }

    #[test]
    fn the_kernel_of_the_default_configuration_is_taken() {
        let bytes = Fit { entry: 0x8010_0400, ..Fit::default() }.write(DATA);
        let kernel = kernel(&bytes).unwrap();
        assert_eq!((kernel.addresses, kernel.data), (Some((0x8010_0000, 0x8010_0400)), DATA));
        assert!(kernel.codec.is_none() && kernel.arch.is_none() && kernel.notes.is_empty());
        let fit = fit::read(&bytes).unwrap();
        assert_eq!((fit.configuration, fit.kernel.name), ("second", "kernel"));
        assert_eq!((fit.kernel.hashes, fit.size), (vec!["crc32", "sha1", "sha256"], bytes.len()));
    }

    #[test]
    fn every_flipped_bit_of_the_data_and_of_each_hash_is_noticed() {
        let good = Fit::default().write(DATA);
        let at = crate::format::bytes::find(&good, DATA).unwrap();
        for bit in 0..8 * DATA.len() {
            let mut bad = good.clone();
            bad[at + bit / 8] ^= 1 << (bit % 8);
            assert!(refusal(&bad).to_string().contains("is damaged: crc32"), "bit {bit}");
        }
        for hash in [&checksum(DATA).to_be_bytes()[..], &Sha1::digest(DATA), &Sha256::digest(DATA)] {
            let at = crate::format::bytes::find(&good, hash).unwrap();
            for bit in 0..8 * hash.len() {
                let mut bad = good.clone();
                bad[at + bit / 8] ^= 1 << (bit % 8);
                assert!(refusal(&bad).to_string().contains("the FIT says"), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_tree_cut_or_flipped_anywhere_is_refused_or_reads_without_panic() {
        let good = Fit::default().write(DATA);
        for length in 0..good.len() {
            assert!(kernel(&good[..length]).is_err(), "{length}");
        }
        for bit in 0..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // What boots at all boots the kernel's own bytes.
            if let Ok(kernel) = kernel(&bad) {
                assert_eq!(kernel.data, DATA, "bit {bit}");
            }
        }
    }

    #[test]
    fn what_is_no_mips_kernel_is_refused_by_what_it_is() {
        let with = |change: fn(&mut Fit)| {
            let mut fit = Fit::default();
            change(&mut fit);
            refusal(&fit.write(DATA))
        };
        assert!(with(|fit| fit.arch = "mips64").to_string().contains("64-bit MIPS"));
        assert!(with(|fit| fit.arch = "arm").to_string().contains("\"arm\""));
        assert!(with(|fit| fit.kind = "ramdisk").to_string().contains("ramdisk"));
        assert!(with(|fit| fit.compression = "brotli").to_string().contains("brotli"));
        assert!(
            with(|fit| fit.default = None).to_string().contains("no default among its configurations first, second")
        );
        assert!(
            with(|fit| fit.default = Some("third")).to_string().contains("third is not there, only: first, second")
        );
        assert!(with(|fit| fit.kernel = "other").to_string().contains("names the image other"));
    }
}

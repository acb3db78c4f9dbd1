//! Files around kernels and root filesystems that stoop does not take as they are, and how to get at what is in them.

/// What `looks_like` calls the containers of vendors that may have a kernel and a root filesystem in them as they are.
pub(super) const CONTAINERS: [&str; 7] = [
    "a TRX image",
    "a Netgear CHK image",
    "a Seama image",
    "a TP-Link image, version 1",
    "a TP-Link image, version 2",
    "a TP-Link safeloader image",
    "an Android boot image",
];

/// What to do with one of [`CONTAINERS`].
pub(super) const TAKE_APART: &str = "`stoop inspect --extract DIR FILE` takes out what it knows in it; look for more with binwalk, or give the kernel and the root filesystem alone";

/// Whether files that look like this, by the words of `looks_like`, are searched for pieces.
pub fn is_searched(likeness: &str) -> bool {
    CONTAINERS.contains(&likeness)
}

/// How to get at what is in a file that looks like this, by the words of `looks_like`; `None` for what is not taken apart.
pub fn way_into(likeness: &str) -> Option<&'static str> {
    Some(match likeness {
        "a tar archive" => "unpack it with `tar -xf FILE` and give a file of it: the kernel or the root filesystem",
        "a zip archive" => "unpack it with `unzip FILE` and give a file of it",
        "a UBI image" => {
            "take its volumes out with `ubireader_extract_images FILE` (of ubi_reader) and give one of them: the kernel or the root filesystem"
        }
        _ if CONTAINERS.contains(&likeness) => TAKE_APART,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::looks_like;
    use super::*;

    #[test]
    fn every_container_is_recognised_and_told_how_to_take_apart() {
        let mut safeloader = vec![0x12; 0x1014];
        safeloader.extend(b"fwup-ptn");
        let starts = [
            &b"HDR0"[..],
            b"*#$^",
            b"\x5e\xa3\xa4\x17",
            b"\x01\0\0\0TP-LINK Technologies",
            b"\x02\0\0\0TP-LINK Technologies",
            &safeloader,
            b"ANDROID!",
        ];
        assert_eq!(starts.map(looks_like), CONTAINERS);
        for likeness in CONTAINERS.into_iter().chain(["a tar archive", "a UBI image"]) {
            assert!(way_into(likeness).is_some(), "{likeness}");
        }
        assert_eq!(way_into("text"), None);
    }
}

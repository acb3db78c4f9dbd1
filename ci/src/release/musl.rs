//! A C compiler for musl: Debian's compiler with the headers, start files and libc of Debian's package musl-dev, of either
//! architecture, unpacked into the cache.

use std::path::{Path, PathBuf};

use stoop_samples::failure::Result;

use super::target::Target;
use crate::apt::{Apt, files};
use crate::{cache, run};

/// Raised when the way of building changes what comes out.
const RECIPE: &str = "1";

/// The unwinder in Debian's libgcc asks glibc for a table that musl has not. A program whose panics end it never unwinds:
/// "not found" is the truth for it.
const FIND_OBJECT: &str =
    "int _dl_find_object(void *at, void *found)\n{\n    (void)at;\n    (void)found;\n    return -1;\n}\n";

/// A script that compiles and links for musl.
///
/// # Errors
/// The packages cannot be fetched, or the compiler is missing.
pub(super) fn compiler(target: Target) -> Result<PathBuf> {
    let place = cache::root()?.join("musl").join(format!("{}-{RECIPE}", target.machine()));
    let _lock = cache::Lock::take(&cache::root()?.join("musl"), || eprintln!("release: waiting for another build"))?;
    cache::folder(&place, |draft| {
        let apt = Apt::of(target.debian(), &cache::root()?.join("musl"))?;
        apt.packages(&["musl-dev"], &draft.join("packages"))?;
        for package in files(&draft.join("packages"), ".deb")? {
            run::output(run::command("dpkg-deb").arg("-x").arg(package).arg(draft.join("root")))?;
        }
        cache::write(&draft.join("find_object.c"), FIND_OBJECT.as_bytes())?;
        let mut gcc = run::command(target.gcc());
        run::output(gcc.args(["-O2", "-c", "-o"]).arg(draft.join("find_object.o")).arg(draft.join("find_object.c")))?;
        // The compiler is told to link a library of this name; what is in it comes from libgcc.
        let empty = draft.join("lib/libunwind.a");
        cache::create_dir(&draft.join("lib"))?;
        run::output(run::command("ar").arg("rcsD").arg(empty).arg(draft.join("find_object.o")))?;
        write_script(&draft.join("cc"), &script(target, &place))
    })?;
    Ok(place.join("cc"))
}

/// Headers when it compiles, start files and libraries when it links. crtbegin.o and not crtbeginT.o: that one registers frames
/// with a lock that is not there.
fn script(target: Target, place: &Path) -> String {
    let (gcc, place, machine) = (target.gcc(), place.display(), target.machine());
    format!(
        "#!/bin/sh\n\
        place='{place}'\n\
        for word; do\n\
        \x20   case $word in\n\
        \x20   -c | -E | -S)\n\
        \x20       exec {gcc} -nostdinc -isystem \"$place/root/usr/include/{machine}-linux-musl\" \\\n\
        \x20           -isystem \"$({gcc} -print-file-name=include)\" \"$@\" ;;\n\
        \x20   esac\n\
        done\n\
        lib=$place/root/usr/lib/{machine}-linux-musl\n\
        exec {gcc} -static -nostdlib -L\"$lib\" -L\"$place/lib\" \"$lib/crt1.o\" \"$lib/crti.o\" \"$({gcc} -print-file-name=crtbegin.o)\" \"$@\" \\\n\
        \x20   -Wl,--start-group \"$place/find_object.o\" -lgcc -lgcc_eh -lc -Wl,--end-group \\\n\
        \x20   \"$({gcc} -print-file-name=crtend.o)\" \"$lib/crtn.o\" -Wl,--build-id=none\n"
    )
}

fn write_script(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    cache::write(path, text.as_bytes())?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .map_err(|error| stoop_samples::failure::Failure::io(path, &error))
}

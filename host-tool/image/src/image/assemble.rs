//! From a layout to the bytes of the file. Nothing is decided here; every byte is written once, and a root filesystem goes from
//! its file straight to its place.

use stoop_core::Region;

use super::built::{Built, Extent, Layout};
use super::container;
use super::error::Error;
use super::part::Part;
use crate::Result;
use crate::layout::GRAIN;
use crate::plan::Plan;

/// Makes the file.
///
/// # Errors
/// A root filesystem that cannot be read any more, or more bytes than the container can name.
pub(super) fn assemble(plan: &Plan, layout: Layout<'_>) -> Result<Built> {
    let frame = container::frame(plan, &layout)?;
    let mut file = vec![0; frame.size];
    for (extent, offset) in layout.extents.iter().zip(&frame.offsets).filter(|(extent, _)| extent.fill != 0) {
        file[*offset..*offset + extent.size].fill(extent.fill);
    }
    let offset_of = |at: usize, size: usize| {
        let wanted = Region::new(at, size)?;
        let holds = |extent: &Extent| Region::new(extent.at, extent.size).is_some_and(|it| it.contains(&wanted));
        let (extent, offset) = layout.extents.iter().zip(&frame.offsets).find(|(extent, _)| holds(extent))?;
        Some(offset + at - extent.at)
    };
    let lost = |at: usize| Error::NoPlace { at };
    for (at, bytes) in &layout.blocks {
        let offset = offset_of(*at, bytes.len()).ok_or_else(|| lost(*at))?;
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    for part in &layout.parts {
        let size = part.content.len();
        let offset = offset_of(part.source, size).ok_or_else(|| lost(part.source))?;
        part.content.put(&mut file[offset..offset + size])?;
    }
    container::seal(plan, &layout, &mut file)?;
    Ok(Built {
        file,
        payloads: layout.parts.iter().map(Part::packed).collect(),
        places: layout.places,
        shim: layout.shim,
        image: layout.image,
        line: layout.line,
        entry_point: layout.entry_point,
        flash: layout.flash,
        reads_twice: layout.reads_twice,
    })
}

/// The runs of addresses of an image in RAM, the head first: everything near it is in one run with it.
pub(super) fn extents(load: usize, head: usize, parts: &[Part<'_>]) -> Vec<Extent> {
    let mut runs = vec![Extent { at: load, size: head, fill: 0 }];
    let mut sources: Vec<&Part> = parts.iter().collect();
    sources.sort_by_key(|part| part.source);
    for part in sources {
        let end = load + runs[0].size;
        if (load..end + GRAIN).contains(&part.source) {
            runs[0].size = runs[0].size.max(part.source + part.room() - load);
        } else {
            runs.push(Extent { at: part.source, size: part.room(), fill: 0 });
        }
    }
    runs
}

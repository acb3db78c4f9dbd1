//! Every board of `boards/` boots.

use stoop::Result;
use stoop::board;
use stoop::image;
use stoop::plan::{CodecWish, Format, Plan, Request};
use stoop::ui::Quiet;
use stoop_model::boot::{Boot, Caches, Enter, Judge};
use stoop_model::cpu::Cpu;
use stoop_model::kernel::{Line, Parts};

#[test]
fn one() -> Result<()> {
    let board = board::load("gl-ar750")?;
    let parts = Parts::new()?;
    let request =
        Request { format: Some(Format::Uimage), codec: CodecWish::Store, ..parts.request(&board, Line::FromTree)? };
    let plan = Plan::resolve(&request, &mut Quiet)?;
    let built = image::build(&plan, &mut Quiet)?;
    let boot = Boot {
        board: &board,
        cpu: Cpu::of(&board),
        file: &built.file,
        flash: None,
        enter: Enter::Bootm("liminix a=1".into()),
        caches: Caches::Used,
        seed: 1,
        load: None,
    };
    let t = std::time::Instant::now();
    let mut ran = boot.run()?;
    println!("{:?}", t.elapsed());
    println!("{} {} {:?}", ran.stop, ran.core.machine.now, ran.said());
    let mut judge = Judge { boot: &boot, plan: &plan, built: &built, wrong: Vec::new() };
    judge.compare(&mut ran)?;
    assert!(judge.wrong.is_empty(), "{:#?}", judge.wrong);
    Ok(())
}

//! The long run: libFuzzer over the target that `STEADFAST_FUZZ_TARGET` names. Built by `cargo xtask fuzz`, which gives the
//! flags it needs; never part of anything that ships.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use steadfast_fuzz::Target;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fn chosen() -> &'static Target {
    let name = std::env::var("STEADFAST_FUZZ_TARGET").unwrap_or_default();
    steadfast_fuzz::target(&name).unwrap_or_else(|| {
        eprintln!("STEADFAST_FUZZ_TARGET names no target: {name:?}");
        std::process::exit(2)
    })
}

fuzz_target!(|input: &[u8]| {
    TARGET.get_or_init(chosen).check(input);
});

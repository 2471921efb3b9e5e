//! Runs one target under libFuzzer: the one that `FCP_FUZZ_TARGET` names. The fuzzer starts itself again to merge corpora,
//! and the variable goes along.
#![no_main]

use std::sync::LazyLock;

use fcp_fuzz::Target;
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FCP_FUZZ_TARGET").expect("FCP_FUZZ_TARGET names a target");
    Target::named(&name).unwrap_or_else(|| panic!("there is no target {name}"))
});

fuzz_target!(|data: &[u8]| TARGET.run(data));

# The recipes that `ci` names are the steps of the gate, command for command; `.ci/run` runs the same ones and brings the
# tools they need. A test compares the two (xtask/tests/papers.rs).

default: ci

# Everything the gate runs.
ci: instructions vectors deny fmt lint docs no_std test

# Formatting.
fmt:
    cargo fmt --all --check

# Lints; a warning is an error.
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Documentation of every crate; a broken link is an error.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# The pure crates where there is no standard library; `rustup target add` brings the targets.
no_std:
    cargo check -p fcp-proto-core -p fcp-state-machines --locked --target x86_64-unknown-none
    cargo build -p fcp-proto-core -p fcp-state-machines --locked --target thumbv7em-none-eabihf

# Every test.
test:
    cargo test --workspace

# What the hot functions take, in instructions, against what is recorded; only an optimised build says anything.
instructions:
    cargo test --release -p fcp-proto-core --test instructions

# The vectors once more, by another implementation, with libraries of its own below target/.
vectors:
    python3 -m venv target/vectors
    target/vectors/bin/pip install --quiet --requirement vectors/check/requirements.txt
    target/vectors/bin/python vectors/check/check.py

# Licences, bans and sources of every dependency.
deny:
    cargo deny --offline check bans licenses sources

# Security advisories; fetches the database, and is therefore no step of the gate.
advisories:
    cargo deny check advisories

# The protocol core beside the bare primitives, in one run.
bench-core:
    cargo bench -p fcp-proto-core --all-features

# Records anew what the hot functions take.
record-instructions:
    FCP_UPDATE=1 cargo test --release -p fcp-proto-core --test instructions

# Writes docs/spec/uncited.txt anew.
citations:
    FCP_UPDATE=1 cargo test -p xtask --test spec_citations

# One million worlds of gate and reference against each other.
oracle:
    cargo test --release -p fcp-state-machines --test gate_oracle -- --ignored --nocapture

# Changes what decides, one place at a time, and asks the tests whether they notice: all folders, or those named.
mutants *FOLDERS:
    cargo run --quiet -p fcp-mutants -- {{FOLDERS}}

# A thousand kills among calls, instead of the thirty of the gate.
kills:
    cargo test --workspace --test faults -- --ignored --nocapture a_thousand_kills

# Every fuzz target, or those named, guided by coverage: three minutes or ten million runs each. Needs cargo-fuzz, a nightly
# toolchain and a C++ compiler.
fuzz *TARGETS:
    fuzz/guided/run.sh {{TARGETS}}

# The same targets on the stable toolchain, unguided; FCP_FUZZ_RUNS and FCP_FUZZ_SEED change it.
fuzz_unguided:
    cargo test --release -p fcp-fuzz --test long -- --ignored --nocapture

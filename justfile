# The recipes are the steps of the gate; `.ci/run` runs `just ci` or, where `just` is absent, the same steps.

default: ci

# Everything the gate runs.
ci: fmt lint docs test deny

fmt:
    cargo fmt --all --check

lint:
    cargo clippy --workspace --all-targets -- -D warnings

docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

test:
    cargo test --workspace

deny:
    cargo deny --offline check bans licenses sources

# Fetches the advisory database.
advisories:
    cargo deny check advisories

# One million worlds of gate and reference against each other.
oracle:
    cargo test --release -p fcp-state-machines --test gate_oracle -- --ignored --nocapture

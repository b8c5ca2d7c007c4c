# The verbs. Anything with an `if` is Rust, in xtask.

# lists them
default:
    @just --list

# the quickest answer to "does it compile?"
check:
    cargo check --workspace --all-targets

# formats, imports included
fmt:
    cargo xfmt

# all that needs no test
lint:
    cargo fmt --all --check
    cargo xtask tidy
    cargo clippy --workspace --all-targets -- -D warnings

# everything, as CI runs it
test:
    cargo xtask test

# the end-to-end tests alone
e2e:
    cargo test --package cli --tests

# opens the documentation
doc:
    cargo doc --workspace --no-deps --open

# the drill on the example
demo:
    cargo xtask demo

# what the tap costs
bench:
    cargo xtask bench

# what is held and what is promoted, over the whole detection benchmark: takes long, and goes on where it was stopped
detect *words:
    cargo xtask detect {{words}}

# what CI runs, with what a bare machine lacks
ci:
    .ci/run

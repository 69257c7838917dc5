#!/usr/bin/env bash
# What the first build costs: `cargo run --example quickstart` of this repository, with an empty
# target, beside a build of sea-orm as a user with SQLite has it.
#
#   benches/first-run.sh [ROUNDS]     default: 1; more rounds take turns, and the medians count
#
# Nothing is fetched while the clock runs: what cargo needs is fetched before, and where it is there
# already no network is used at all. The limit is 1.4. Exits with 1 where it is passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=${1:-1}
limit=1.4

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# The version that this repository is locked to, so that both build the same.
sea_orm=$(sed -n '/^name = "sea-orm"$/{n;s/version = "\(.*\)"/\1/p;}' Cargo.lock)
tokio=$(sed -n '/^name = "tokio"$/{n;s/version = "\(.*\)"/\1/p;}' Cargo.lock)

mkdir -p "$work/alone/src"
cat >"$work/alone/Cargo.toml" <<EOF
[package]
name = "alone"
version = "0.0.0"
edition = "2024"

[dependencies]
sea-orm = { version = "=$sea_orm", features = ["runtime-tokio", "sqlx-sqlite"] }
tokio = { version = "=$tokio", features = ["macros", "rt-multi-thread"] }

[workspace]
EOF
cat >"$work/alone/src/main.rs" <<'EOF'
#[tokio::main]
async fn main() -> Result<(), sea_orm::DbErr> {
    sea_orm::Database::connect("sqlite::memory:").await?.ping().await
}
EOF
# Start from our versions of everything else too; cargo drops what it does not need.
cp Cargo.lock "$work/alone/Cargo.lock"

offline=(--offline)
fetch() { (cd "$1" && cargo fetch --quiet "${@:2}"); }
if ! { fetch "$work/alone" --offline && fetch . --offline; } 2>/dev/null; then
    offline=()
    fetch "$work/alone"
    fetch . --locked
fi

# Seconds, with three digits, that a command takes with an empty target.
measure() {
    local target=$work/target began ended
    rm -rf -- "$target"
    began=$(date +%s%N)
    CARGO_TARGET_DIR=$target "$@" >"$work/output" 2>&1 || {
        cat "$work/output" >&2
        return 1
    }
    ended=$(date +%s%N)
    awk -v ns=$((ended - began)) 'BEGIN { printf "%.3f\n", ns / 1e9 }'
}

median() { sort -n | awk '{ t[NR] = $1 } END { print (t[int((NR + 1) / 2)] + t[int(NR / 2) + 1]) / 2 }'; }

for ((round = 1; round <= rounds; round++)); do
    echo "round $round of $rounds …" >&2
    measure cargo build ${offline[@]+"${offline[@]}"} --manifest-path "$work/alone/Cargo.toml" >>"$work/alone.times"
    measure cargo run --locked ${offline[@]+"${offline[@]}"} --example quickstart >>"$work/quickstart.times"
done

alone=$(median <"$work/alone.times")
quickstart=$(median <"$work/quickstart.times")
awk -v alone="$alone" -v quickstart="$quickstart" -v limit="$limit" 'BEGIN {
    print "| measured | | beside | | ratio | limit |"
    print "| --- | --: | --- | --: | --: | --: |"
    ratio = quickstart / alone
    printf "| cargo run --example quickstart | %.1f s | sea-orm with SQLite | %.1f s | %.2f | %s |\n",
        quickstart, alone, ratio, limit
    exit ratio > limit
}'

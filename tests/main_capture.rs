mod harness;

mod blog;
mod magazine;
mod promise_1_atomic;

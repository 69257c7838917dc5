mod harness;

mod blog;
mod reading;
mod resample;
mod scratch;
mod windows;

mod harness;
mod macros;
mod values;

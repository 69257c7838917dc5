//! Names of constraints and indexes.

/// PostgreSQL cuts longer names short without an error, so that two of them can collide
/// (manual, 4.1.1); MySQL refuses more than 64 characters.
const MAX_BYTES: usize = 63;

/// The name itself, or as much of it as leaves room for a checksum of the whole.
pub(crate) fn short(name: String) -> String {
    short_within(name, MAX_BYTES)
}

/// The same within so many bytes.
pub(crate) fn short_within(name: String, bytes: usize) -> String {
    // SeaQuery does not escape quotes in these names.
    let name = name.replace(['"', '`'], "");
    if name.len() <= bytes {
        return name;
    }
    let sum = format!("-{:08x}", fnv1a(&name));
    let cut = name.floor_char_boundary(bytes - sum.len());
    name[..cut].to_owned() + &sum
}

/// FNV-1a: unlike the standard library's hash it stays the same in every release.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn a_name_that_fits_is_kept() {
        let name = "x".repeat(63);
        assert_eq!(short(name.clone()), name);
    }

    #[test]
    fn long_names_stay_apart_and_the_same() {
        let [one, other] = ["a", "b"].map(|end| short("é".repeat(40) + end));
        assert_ne!(one, other);
        assert_eq!(one, "é".repeat(27) + "-008f880c");
        assert!(other.len() <= 63);
    }
}

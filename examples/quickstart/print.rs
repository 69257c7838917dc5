//! Headings, and records in aligned columns.

use super::article::record;

/// A heading with what there is to see.
pub fn chapter(title: &str, text: &str) {
    println!("\n{title}\n{}\n{text}\n", "-".repeat(title.len()));
}

/// Records, one a line.
pub fn records<'r>(records: impl IntoIterator<Item = &'r record::Model>) {
    let header = [
        "recorded at (UTC)",
        "event",
        "headline",
        "words",
        "by",
        "why",
    ];
    let rows = records.into_iter().map(cells);
    table(header, rows.collect());
}

fn cells(record: &record::Model) -> [String; 6] {
    [
        record.recorded_at.format("%a %H:%M:%S%.f").to_string(),
        record.event.to_string(),
        record.headline.clone(),
        record.word_count.to_string(),
        record.actor.clone().unwrap_or_default(),
        record.reason.clone().unwrap_or_default(),
    ]
}

/// Rows below a header. Columns without a value in any row are left out.
pub fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) {
    let widths: [usize; N] = std::array::from_fn(|i| {
        let longest = rows.iter().map(|row| row[i].chars().count()).max();
        longest
            .filter(|&longest| longest > 0)
            .map_or(0, |longest| longest.max(header[i].len()))
    });
    line(header, widths);
    line(widths.map(|width| "=".repeat(width)), widths);
    for row in rows {
        line(row, widths);
    }
}

fn line<T: AsRef<str>, const N: usize>(cells: [T; N], widths: [usize; N]) {
    let shown = cells.iter().zip(widths).filter(|(_, width)| *width > 0);
    let padded = shown.map(|(cell, width)| format!("{:width$}", cell.as_ref()));
    println!("  {}", padded.collect::<Vec<_>>().join("  ").trim_end());
}

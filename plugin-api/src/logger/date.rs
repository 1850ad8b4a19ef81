//! Dates as log formats have them.

use std::io::Write;

/// Date and time in UTC with microseconds, as RFC 3339 writes them: `2023-11-14T22:13:20.000042Z`.
pub fn rfc3339(out: &mut Vec<u8>, seconds: i64, micros: u32) {
    // SAFETY: both places are ours.
    let tm = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        libc::gmtime_r(&seconds, &mut tm);
        tm
    };
    let (year, month) = (tm.tm_year + 1900, tm.tm_mon + 1);
    // writing to memory cannot fail
    let _ = write!(
        out,
        "{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}.{micros:06}Z",
        tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_rfc_3339() {
        let mut out = Vec::new();
        rfc3339(&mut out, 1_700_000_000, 42);
        assert_eq!(out, b"2023-11-14T22:13:20.000042Z");
    }
}

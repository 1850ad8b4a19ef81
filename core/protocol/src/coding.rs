//! What `Accept-Encoding` says (RFC 9110 12.5.3). Asked by workers for files and by the gateway; no state.

/// Whether a client takes gzip: it is named, or everything is, without a weight of zero.
#[must_use]
pub fn takes_gzip(list: &[u8]) -> bool {
    let list = String::from_utf8_lossy(list).to_ascii_lowercase();
    let mut all = None;
    for coding in list.split(',') {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let is_taken = weight.is_none_or(|q| q.trim().parse::<f32>().is_ok_and(|q| q > 0.0));
        match name {
            "gzip" | "x-gzip" => return is_taken,
            "*" => all = Some(is_taken),
            _ => {}
        }
    }
    all == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn named_and_weighed() {
        for yes in [
            "gzip",
            "deflate, GZIP",
            "br;q=1, gzip;q=0.1",
            "x-gzip",
            "*",
            "identity, *;q=0.5",
            "gzip ; q=1",
        ] {
            assert!(takes_gzip(yes.as_bytes()), "{yes}");
        }
        for no in [
            "",
            "br",
            "gzip;q=0",
            "gzip;q=0.000",
            "*;q=0",
            "gzip;q=0, *",
            "gzipped",
            "gzip;q=x",
        ] {
            assert!(!takes_gzip(no.as_bytes()), "{no}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(list in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = takes_gzip(&list);
        }
    }
}

//! Variables one after the other, as all protocols of fronts have them: pieces cut off the front of a block, strictly.
//! What a piece looks like is the protocol's; called by `uwsgi`, `scgi` and `fastcgi`.

/// What `take` cuts off the front of `block`, until nothing is left. The first error ends the iteration.
pub(crate) fn pieces<'a, T, E>(
    block: &'a [u8],
    take: impl Fn(&mut &'a [u8]) -> Result<T, E>,
) -> impl Iterator<Item = Result<T, E>> {
    let mut rest = block;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let piece = take(&mut rest);
        if piece.is_err() {
            rest = &[];
        }
        Some(piece)
    })
}

/// A name and its value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// The same for names and values; one without a name is the error `nameless`.
pub(crate) fn pairs<'a, E: Copy>(
    block: &'a [u8],
    nameless: E,
    take: impl Fn(&mut &'a [u8]) -> Result<Pair<'a>, E>,
) -> impl Iterator<Item = Result<Pair<'a>, E>> {
    pieces(block, move |rest| match take(rest)? {
        ([], _) => Err(nameless),
        pair => Ok(pair),
    })
}

/// How many pairs there are, or what ends the iteration.
#[cfg(test)]
pub(crate) fn count<'a, E>(pairs: impl Iterator<Item = Result<Pair<'a>, E>>) -> Result<usize, E> {
    pairs.collect::<Result<Vec<_>, _>>().map(|pairs| pairs.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_is_the_last_item() {
        let digits = |rest: &mut &'static [u8]| {
            let (first, left) = rest.split_first().expect("only called while there is something");
            *rest = left;
            first.is_ascii_digit().then_some(*first).ok_or(*first)
        };
        let found: Vec<_> = pieces(b"12x4", digits).collect();
        assert_eq!(found, [Ok(b'1'), Ok(b'2'), Err(b'x')]);
        assert_eq!(pieces(b"", digits).count(), 0);
    }

    #[test]
    fn a_pair_needs_a_name() {
        let halves = |rest: &mut &'static [u8]| {
            let whole = std::mem::take(rest);
            whole.split_at_checked(whole.len() - 1).ok_or("cut")
        };
        assert_eq!(count(pairs(b"ab", "nameless", halves)), Ok(1));
        assert_eq!(count(pairs(b"b", "nameless", halves)), Err("nameless"));
    }
}

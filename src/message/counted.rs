//! How a number of things is written.

use std::fmt::Display;

/// `1 message`, `2 messages`; of a verb too, if both forms have it: `1 message waits`, `2 messages wait`.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(n: N, one: &str, many: &str) -> String {
    let what = if n == N::from(1) { one } else { many };
    format!("{n} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_none_is_not() {
        let of = |n: u64| counted(n, "message waits", "messages wait");
        assert_eq!(of(0), "0 messages wait");
        assert_eq!(of(1), "1 message waits");
        assert_eq!(of(21), "21 messages wait");
    }
}

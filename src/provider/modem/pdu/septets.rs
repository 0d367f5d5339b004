//! Groups of 7 bits in octets: the first one in the lowest bits.

/// Packs septets after `fill` bits of zero, which put the first one on the boundary of a septet after a header.
pub(super) fn pack(septets: &[u8], fill: usize) -> Vec<u8> {
    let mut octets = vec![0; (fill + septets.len() * 7).div_ceil(8)];
    for (n, septet) in septets.iter().enumerate() {
        let (octet, shift) = ((fill + n * 7) / 8, (fill + n * 7) % 8);
        let bits = u16::from(*septet & 0x7f) << shift;
        let [low, high] = bits.to_le_bytes();
        octets[octet] |= low;
        if high != 0 {
            octets[octet + 1] |= high;
        }
    }
    octets
}

/// At most `many` septets after `fill` bits; fewer if the octets end before.
pub(super) fn unpack(octets: &[u8], fill: usize, many: usize) -> Vec<u8> {
    let whole = (octets.len() * 8).saturating_sub(fill) / 7;
    let of = |n: usize| {
        let (octet, shift) = ((fill + n * 7) / 8, (fill + n * 7) % 8);
        let high = octets.get(octet + 1).copied().unwrap_or_default();
        let bits = u16::from_le_bytes([octets[octet], high]) >> shift;
        (bits & 0x7f).to_le_bytes()[0]
    };
    (0..many.min(whole)).map(of).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of every description of the format.
    #[test]
    fn hello() {
        let octets = [0xe8, 0x32, 0x9b, 0xfd, 0x46, 0x97, 0xd9, 0xec, 0x37];
        assert_eq!(pack(b"hellohello", 0), octets);
        assert_eq!(unpack(&octets, 0, 10), b"hellohello");
    }

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(
            septets in prop::collection::vec(0_u8..128, 0..200), fill in 0_usize..7,
        ) {
            let octets = pack(&septets, fill);
            prop_assert_eq!(unpack(&octets, fill, septets.len()), septets);
        }
    }
}

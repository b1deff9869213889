//! The checksum of POSIX `cksum`, so that a host can tell whether it was sent
//! all.

const POLYNOMIAL: u32 = 0x04c1_1db7;

/// What `cksum` prints for `bytes`: the checksum and the size.
pub(super) fn cksum(bytes: &[u8]) -> String {
    let mut length = bytes.len();
    let mut sum = bytes.iter().fold(0, |sum, byte| step(sum, *byte));
    while length > 0 {
        sum = step(sum, (length & 0xff) as u8);
        length >>= 8;
    }
    format!("{} {}", !sum, bytes.len())
}

fn step(sum: u32, byte: u8) -> u32 {
    (0..8).fold(sum ^ (u32::from(byte) << 24), |sum, _| {
        if sum & 0x8000_0000 == 0 { sum << 1 } else { (sum << 1) ^ POLYNOMIAL }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_cksum() {
        // By cksum of coreutils.
        assert_eq!(cksum(b""), "4294967295 0");
        assert_eq!(cksum(b"123456789"), "930766865 9");
        assert_eq!(cksum(&[b'x'; 1000]), SUM_OF_A_THOUSAND_X);
    }

    const SUM_OF_A_THOUSAND_X: &str = "3999126958 1000";
}

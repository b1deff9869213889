//! Checksums of rows. They find what changed by accident or by hand; they keep
//! no secret, so that half of a SHA-256 is enough.

use sha2::{Digest as _, Sha256};

/// A checksum of a row.
pub(super) type Sum = [u8; 16];

/// A checksum in the making. Each text goes in with its length, so that two
/// rows with the same letters in other columns have other sums.
pub(super) struct Summer(Sha256);

impl Summer {
    /// A sum over rows of `table`.
    pub(super) fn new(table: &str) -> Summer {
        Summer(Sha256::new()).text(table.as_bytes())
    }

    pub(super) fn int(mut self, number: u64) -> Summer {
        self.0.update(number.to_le_bytes());
        self
    }

    pub(super) fn text(mut self, bytes: &[u8]) -> Summer {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// A column that may be empty.
    pub(super) fn maybe(self, bytes: Option<&[u8]>) -> Summer {
        match bytes {
            None => self.int(0),
            Some(bytes) => self.int(1).text(bytes),
        }
    }

    pub(super) fn finish(self) -> Sum {
        let whole = self.0.finalize();
        let mut half = Sum::default();
        half.copy_from_slice(&whole[..16]);
        half
    }
}

/// What an entry's checksum is made of.
pub(super) struct EntrySum<'a> {
    /// The sum of the entry before, or of the migration's row.
    pub(super) before: &'a Sum,
    pub(super) migration: u64,
    pub(super) seq: u64,
    pub(super) entry: u64,
    pub(super) version: u64,
    pub(super) epoch: u64,
    pub(super) event: &'a [u8],
    pub(super) effects: &'a [u8],
    /// The sum of the attempt's row, where the entry has one.
    pub(super) attempt: Option<&'a [u8]>,
}

impl EntrySum<'_> {
    pub(super) fn sum(&self) -> Sum {
        Summer::new("event")
            .text(self.before)
            .int(self.migration)
            .int(self.seq)
            .int(self.entry)
            .int(self.version)
            .int(self.epoch)
            .text(self.event)
            .text(self.effects)
            .maybe(self.attempt)
            .finish()
    }
}

/// The whole SHA-256 of `bytes`: the name of a text that is kept once.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Bytes as lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_letters_in_other_columns_have_another_sum() {
        let one = Summer::new("t").text(b"ab").text(b"c").finish();
        let other = Summer::new("t").text(b"a").text(b"bc").finish();
        assert_ne!(one, other);
        assert_ne!(
            Summer::new("t").maybe(None).finish(),
            Summer::new("t").maybe(Some(b"")).finish()
        );
    }

    #[test]
    fn hex_has_two_digits_a_byte() {
        assert_eq!(hex(&[0, 0x0f, 0xa0]), "000fa0");
    }
}

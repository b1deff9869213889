//! Bytes as the text that the emulation keeps.
//!
//! The emulation's files and names are text; a program may write any bytes. Bytes
//! that are no UTF-8 stand in the text as one private character each,
//! U+EF80 to U+EFFF for 0x80 to 0xFF, and come out of it as the bytes that they
//! were. Such a character itself, written as UTF-8, is taken for three bytes
//! that are none: so every sequence of bytes has one text, and gets back from it.

use std::borrow::Cow;

/// What stands for the byte 0.
const BASE: u32 = 0xEF00;

/// The byte that a character stands for.
fn byte_of(c: char) -> Option<u8> {
    let code = u32::from(c);
    (BASE + 0x80..=BASE + 0xFF).contains(&code).then(|| (code - BASE).to_le_bytes()[0])
}

fn push_bytes(text: &mut String, bytes: &[u8]) {
    text.extend(bytes.iter().filter_map(|byte| char::from_u32(BASE + u32::from(*byte))));
}

/// Whether there is no private character in it, by the first byte that all of
/// them have: most files are plain, and some are long.
fn is_plain(text: &str) -> bool {
    !text.as_bytes().contains(&0xEE)
}

/// The text for `bytes`.
pub(super) fn to_text(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes)
        && is_plain(text)
    {
        return text.to_owned();
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match byte_of(c) {
                None => text.push(c),
                Some(_) => push_bytes(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        push_bytes(&mut text, chunk.invalid());
    }
    text
}

/// The bytes that `text` stands for.
pub(super) fn to_bytes(text: &str) -> Cow<'_, [u8]> {
    if is_plain(text) || !text.chars().any(|c| byte_of(c).is_some()) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte_of(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// How many bytes `text` stands for.
pub(super) fn len(text: &str) -> u64 {
    if is_plain(text) {
        return text.len() as u64;
    }
    let escaped = text.chars().filter(|c| byte_of(*c).is_some()).count();
    // A private character takes three bytes of text and stands for one.
    (text.len() - 2 * escaped) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_itself() {
        let text = "key=value\nnaïve €\u{10FFFF}\0";
        assert_eq!(to_text(text.as_bytes()), text);
        assert_eq!(to_bytes(text), text.as_bytes());
    }

    #[test]
    fn what_is_no_text_gets_back() {
        // The last is U+EF80 itself.
        for bytes in [&b"\xff\xfe"[..], b"a\xc3", b"\xe2\x82", b"\x80ok\xbf", b"\xee\xbe\x80"] {
            let text = to_text(bytes);
            assert_eq!(to_bytes(&text), bytes, "{text:?}");
            assert_eq!(len(&text), bytes.len() as u64);
        }
    }

    proptest! {
        #[test]
        fn every_sequence_of_bytes_gets_back(bytes: Vec<u8>) {
            let text = to_text(&bytes);
            prop_assert_eq!(len(&text), bytes.len() as u64);
            prop_assert_eq!(to_bytes(&text).into_owned(), bytes);
        }
    }
}

//! What a program says on one of its streams, cut at its marks while it comes
//! in. Of each command no more is kept than its bound: the end, where it tells
//! what came of it.

use crate::base::limits::OUTPUT_BYTES_MAX;

/// What came before a mark, and the mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) said: Vec<u8>,
    pub(super) mark: String,
}

/// A stream that is being read.
#[derive(Debug)]
pub(super) struct Frames {
    prefix: Vec<u8>,
    /// The line that has begun, as far as it could still be a mark.
    line: Vec<u8>,
    /// Whether the line is too long to be a mark, and was said already.
    long: bool,
    said: Vec<u8>,
    is_empty: bool,
    whole: Vec<Frame>,
}

/// One byte over the bound, so that the cut is seen.
const KEPT: usize = OUTPUT_BYTES_MAX + 1;

/// Longer lines are no marks.
const MARK_BYTES_MAX: usize = 1_000;

impl Frames {
    pub(super) fn new(nonce: &str) -> Frames {
        Frames {
            prefix: format!("@{nonce} ").into_bytes(),
            line: Vec::new(),
            long: false,
            said: Vec::new(),
            is_empty: true,
            whole: Vec::new(),
        }
    }

    /// Takes what has come in.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            self.more(&rest[..at]);
            self.line_ends();
            rest = &rest[at + 1..];
        }
        self.more(rest);
    }

    fn more(&mut self, bytes: &[u8]) {
        if self.long {
            self.say(bytes);
            return;
        }
        self.line.extend_from_slice(bytes);
        if self.line.len() > MARK_BYTES_MAX {
            self.begin_line();
            let line = std::mem::take(&mut self.line);
            self.say(&line);
            self.long = true;
        }
    }

    fn line_ends(&mut self) {
        if self.long {
            self.long = false;
            return;
        }
        let line = std::mem::take(&mut self.line);
        if let Some(mark) = line.strip_prefix(&self.prefix[..]) {
            // The line feed before a mark is the mark's own.
            self.forget_beginning();
            self.whole.push(Frame {
                said: std::mem::take(&mut self.said),
                mark: String::from_utf8_lossy(mark).trim_end_matches('\r').to_owned(),
            });
            self.is_empty = true;
        } else {
            self.begin_line();
            self.say(&line);
        }
    }

    /// A line follows those before it, where there are any.
    fn begin_line(&mut self) {
        if self.is_empty {
            self.is_empty = false;
        } else {
            self.say(b"\n");
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.said.extend_from_slice(bytes);
        if self.said.len() > 2 * KEPT {
            self.forget_beginning();
        }
    }

    fn forget_beginning(&mut self) {
        let over = self.said.len().saturating_sub(KEPT);
        self.said.drain(..over);
    }

    /// Whether the mark `mark` has come.
    pub(super) fn has(&self, mark: &str) -> bool {
        self.whole.iter().any(|frame| frame.mark == mark)
    }

    /// All frames, and what came after the last.
    pub(super) fn finish(mut self) -> (Vec<Frame>, Vec<u8>) {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.begin_line();
            self.say(&line);
        }
        self.forget_beginning();
        (self.whole, self.said)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sent(said: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (index, part) in said.iter().enumerate() {
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(format!("\n@n o {index}\n").as_bytes());
        }
        bytes
    }

    proptest! {
        #[test]
        fn what_was_said_comes_out_however_it_was_cut(
            said in prop::collection::vec(
                prop::collection::vec(prop::sample::select(b"@n o1\n\xff ".to_vec()), 0..40),
                0..5,
            ),
            sizes in prop::collection::vec(1..7_usize, 1..20),
        ) {
            let said: Vec<Vec<u8>> = said
                .into_iter()
                .filter(|part| !part.starts_with(b"@n ") && !part.windows(4).any(|w| w == b"\n@n "))
                .collect();
            let bytes = sent(&said);
            let mut frames = Frames::new("n");
            let (mut at, mut turn) = (0, 0);
            while at < bytes.len() {
                let end = (at + sizes[turn % sizes.len()]).min(bytes.len());
                frames.push(&bytes[at..end]);
                (at, turn) = (end, turn + 1);
            }
            let (frames, rest) = frames.finish();
            prop_assert_eq!(frames.into_iter().map(|f| f.said).collect::<Vec<_>>(), said);
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn no_more_is_kept_than_the_bound() {
        let mut frames = Frames::new("n");
        for _ in 0..100 {
            frames.push(&[b'x'; 10_000]);
        }
        frames.push(b"end\n@n o 0 0\n");
        let (frames, _) = frames.finish();
        assert_eq!(frames[0].said.len(), OUTPUT_BYTES_MAX + 1);
        assert!(frames[0].said.ends_with(b"xend"), "the end is kept");
    }

    #[test]
    fn another_word_is_no_mark() {
        let mut frames = Frames::new("n");
        frames.push(b"@m end\n@n end");
        assert!(!frames.has("end"));
        frames.push(b"\n");
        assert!(frames.has("end"));
    }
}

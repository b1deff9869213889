//! Asking before what cannot be taken back.

use std::io::IsTerminal as _;

use super::out::Out;

/// Whether whoever sits at the terminal says `yes` to `question`. Where nobody
/// does, nobody has said it.
pub(super) fn confirmed(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    Out::note(&format!("{question} Type `yes`:"));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}

//! Draws what a program has said to a colour terminal: that in, an SVG picture out.
//! `docs/pictures/draw` makes README's pictures by it.

use std::io::{self, Read, Write};

fn main() -> io::Result<()> {
    let mut said = String::new();
    io::stdin().read_to_string(&mut said)?;
    io::stdout().write_all(anstyle_svg::Term::new().render_svg(&said).as_bytes())
}

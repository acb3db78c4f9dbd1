//! Just enough SVG for boxes, arrows and text. A picture is as large as what is in it, so nothing is cut off.

use std::fmt::Write as _;

/// Pixels that a letter of the monospaced font takes at size 13, the largest that text has.
pub const LETTER: usize = 8;
/// Free pixels right of and below what is drawn.
const EDGE: usize = 20;

/// A picture; sizes and places are in pixels from the upper left corner. The classes are `plain`, `stoop`, `kernel`, `data` and
/// `kept` for shapes, `head`, `word` and `small` for text.
#[derive(Default)]
pub struct Picture {
    width: usize,
    height: usize,
    body: String,
}

impl Picture {
    /// A rectangle with rounded corners.
    pub fn shape(&mut self, class: &str, at: [usize; 2], size: [usize; 2]) {
        let ([x, y], [width, height]) = (at, size);
        self.reach([x + width, y + height]);
        let _ =
            writeln!(self.body, r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}" rx="3"/>"#);
    }

    /// Text that begins there; `y` is its base line.
    pub fn text(&mut self, class: &str, [x, y]: [usize; 2], text: &str) {
        self.reach([x + text.chars().count() * LETTER, y]);
        let text = escaped(text);
        let _ = writeln!(self.body, r#"<text class="{class}" x="{x}" y="{y}" xml:space="preserve">{text}</text>"#);
    }

    /// Text in the middle of a shape; what is too long for it is cut.
    pub fn labelled(&mut self, class: &str, at: [usize; 2], size: [usize; 2], text: &str) {
        self.shape(class, at, size);
        let text: String = text.chars().take(size[0] / LETTER).collect();
        let x = at[0] + size[0].saturating_sub(text.chars().count() * LETTER) / 2;
        self.text("word", [x, at[1] + size[1] / 2 + 5], &text);
    }

    /// From the first point to the second.
    pub fn arrow(&mut self, [x1, y1]: [usize; 2], [x2, y2]: [usize; 2]) {
        self.reach([x1.max(x2), y1.max(y2)]);
        let _ = writeln!(
            self.body,
            r#"<line class="arrow" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" marker-end="url(#head)"/>"#
        );
    }

    fn reach(&mut self, [x, y]: [usize; 2]) {
        (self.width, self.height) = (self.width.max(x), self.height.max(y));
    }

    /// The file's text. A reader that cannot see it is read the title.
    pub fn finish(self, title: &str) -> String {
        let (width, height, body) = (self.width + EDGE, self.height + EDGE, self.body);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n\
             <defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
             <path d=\"M0 0 L8 4 L0 8 z\" fill=\"#555\"/></marker></defs>\n\
             <rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n{body}</svg>\n",
            escaped(title)
        )
    }
}

const STYLE: &str = "text{font-family:monospace;fill:#222}.word{font-size:13px}.small{font-size:11px;fill:#555}\
    .head{font-size:14px;font-weight:bold}rect{stroke:#555;stroke-width:1}.plain{fill:#f2f2f2}.stoop{fill:#ffe2b3}\
    .kernel{fill:#cfe4ff}.data{fill:#d7f0d0}.kept{fill:#f6d0d0}.page{fill:#fff;stroke:none}.arrow{stroke:#555;stroke-width:1.2}";

/// What is markup, and what no XML may have, is written in other words.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            c if c.is_control() => escaped.extend(c.escape_default()),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_data_cannot_become_markup_nor_leave_the_picture() {
        let mut picture = Picture::default();
        picture.text("word", [10, 30], "<a>&\u{1b}");
        let svg = picture.finish("<t>");
        assert!(svg.contains("&lt;a&gt;&amp;\\u{1b}") && svg.contains("<title>&lt;t&gt;</title>"), "{svg}");
        assert!(svg.contains(r#"width="70" height="50""#), "{svg}");
    }
}

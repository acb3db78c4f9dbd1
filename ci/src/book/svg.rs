//! Just enough SVG for boxes, arrows and text.

use std::fmt::Write as _;

/// Pixels that a letter of the monospaced font takes at size 13.
pub(super) const LETTER: usize = 8;

/// A picture; sizes and places are in pixels from the upper left corner.
pub(super) struct Picture {
    width: usize,
    height: usize,
    body: String,
}

impl Picture {
    pub(super) fn new(width: usize, height: usize) -> Picture {
        Picture { width, height, body: String::new() }
    }

    /// A rectangle with rounded corners, of one of the style's classes.
    pub(super) fn shape(&mut self, class: &str, at: [usize; 2], size: [usize; 2]) {
        let ([x, y], [width, height]) = (at, size);
        let _ =
            writeln!(self.body, r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}" rx="3"/>"#);
    }

    /// Text that begins there; `y` is its base line.
    pub(super) fn text(&mut self, class: &str, [x, y]: [usize; 2], text: &str) {
        let _ = writeln!(self.body, r#"<text class="{class}" x="{x}" y="{y}">{}</text>"#, escaped(text));
    }

    /// Text in the middle of a shape.
    pub(super) fn labelled(&mut self, class: &str, at: [usize; 2], size: [usize; 2], text: &str) {
        self.shape(class, at, size);
        let wide = text.chars().count() * LETTER;
        let x = at[0] + size[0].saturating_sub(wide) / 2;
        self.text("word", [x, at[1] + size[1] / 2 + 5], text);
    }

    pub(super) fn arrow(&mut self, [x1, y1]: [usize; 2], [x2, y2]: [usize; 2]) {
        let _ = writeln!(
            self.body,
            r#"<line class="arrow" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" marker-end="url(#head)"/>"#
        );
    }

    /// The file's text.
    pub(super) fn finish(self, title: &str) -> String {
        let Picture { width, height, body } = self;
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

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_data_cannot_become_markup() {
        let mut picture = Picture::new(10, 10);
        picture.text("word", [0, 0], "<a>&\"");
        assert!(picture.finish("<t>").contains("&lt;a&gt;&amp;\""));
    }
}

//! The chart of the page: end to end, beside the yardsticks. Drawn from the figures of the lines, so that it never says
//! anything else than the table.

use crate::table::Line;
use std::fmt::Write as _;

const ROWS: [(&str, &str); 2] = [("end-to-end-32", "32 connections"), ("end-to-end-256", "256 connections")];
const BARS: [(&str, &str); 3] =
    [("Steadfast", "#0b6e4f"), ("relay with log", "#8d99ae"), ("relay without log", "#cfd4dd")];
const WIDTH: f64 = 720.0;
const LEFT: f64 = 150.0;
const BAR: f64 = 22.0;
const GROUP_GAP: f64 = 34.0;

/// The chart, when both rows were measured.
pub(crate) fn draw(lines: &[Line]) -> Option<String> {
    let groups: Vec<[f64; 3]> = ROWS.iter().map(|(row, _)| figures(lines, row)).collect::<Option<_>>()?;
    let largest = groups.iter().flatten().copied().fold(1.0, f64::max);
    let height = groups.len() as f64 * (3.0 * BAR + GROUP_GAP) + 20.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\" \
         role=\"img\"><title>Leads delivered a second, end to end</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let mut y = 14.0;
    for ((_, name), figures) in ROWS.iter().zip(&groups) {
        // Writing into a text cannot fail.
        let _written = writeln!(svg, "<text x=\"8\" y=\"{y}\" font-weight=\"bold\" dy=\"4\">{name}</text>");
        y += 10.0;
        for ((label, colour), figure) in BARS.iter().zip(figures) {
            let width = (WIDTH - LEFT - 90.0) * figure / largest;
            let (middle, end) = (y + BAR / 2.0 + 4.0, LEFT + width + 6.0);
            let _written = writeln!(
                svg,
                "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{label}</text><rect x=\"{LEFT}\" y=\"{y}\" \
                 width=\"{width:.1}\" height=\"{}\" fill=\"{colour}\"/><text x=\"{end:.1}\" y=\"{middle}\">{figure:.0}/s</text>",
                LEFT - 8.0,
                BAR - 4.0
            );
            y += BAR;
        }
        y += GROUP_GAP - 10.0;
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// The three rates of a row: ours, and those beside it.
fn figures(lines: &[Line], row: &str) -> Option<[f64; 3]> {
    let line = lines.iter().find(|line| line.row == row)?;
    let mut beside = line.beside.split(", ").map(rate);
    Some([rate(&line.measured)?, beside.next()??, beside.next()??])
}

/// The number before the first `/s`.
fn rate(text: &str) -> Option<f64> {
    text.split("/s").next()?.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_says_what_the_table_says() {
        let line = |row| Line {
            row,
            what: String::new(),
            target: "",
            measured: "500/s, share 0.50 (0.49 to 0.51)".into(),
            beside: "relay with log 1000/s, without 2000/s".into(),
            met: None,
        };
        let chart = draw(&[line("end-to-end-32"), line("end-to-end-256")]).unwrap();
        for figure in [">500/s<", ">1000/s<", ">2000/s<"] {
            assert_eq!(chart.matches(figure).count(), 2, "{figure}");
        }
        assert!(draw(&[line("end-to-end-32")]).is_none());
    }
}

//! A report as a picture: attempts a second and backlog over time, one line for each policy. Plain SVG, readable on light and
//! dark ground and without colour (each line has its own dashes).

use crate::report::{PolicyReport, Report};
use std::fmt::Write;

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 640.0;
/// With protection: two panels more.
const PROTECTED_HEIGHT: f64 = 1_184.0;
const LEFT: f64 = 72.0;
const PLOT_WIDTH: f64 = WIDTH - LEFT - 24.0;
const PLOT_HEIGHT: f64 = 190.0;
const TOPS: [f64; 4] = [96.0, 368.0, 640.0, 912.0];
const LEGEND_COLUMN: f64 = 200.0;
/// What fits into a column of the legend, and over the picture.
const LEGEND_LETTERS_MAX: usize = 24;
const TITLE_LETTERS_MAX: usize = 100;
/// Middle tones that stand out on white and on near-black alike; as many as policies can be compared.
const LINES: [(&str, &str); 8] = [
    ("#2f81d0", ""),
    ("#d9722c", "6 3"),
    ("#3a9a5b", "2 3"),
    ("#b457b0", "9 3 2 3"),
    ("#a3822a", "4 4"),
    ("#d04a5b", "1 4"),
    ("#258f9a", "12 4"),
    ("#7d7d85", "3 2 8 2"),
];

/// Draws a report's attempts and backlog over time.
pub fn chart_svg(report: &Report) -> String {
    let longest = report.policies.iter().map(|policy| policy.lasted).max().unwrap_or_default();
    let span = longest.as_secs_f64().max(1.0);
    let protected = report.policies.iter().any(|policy| policy.protection.is_some());
    let mut svg = head(report, if protected { PROTECTED_HEIGHT } else { HEIGHT });
    let rates: Vec<Vec<(f64, f64)>> = report.policies.iter().map(rates).collect();
    panel(&mut svg, TOPS[0], "Attempts at the recipient", "attempts/s", span, &rates);
    let backlogs: Vec<Vec<(f64, f64)>> = report.policies.iter().map(backlogs).collect();
    panel(&mut svg, TOPS[1], "Backlog: accepted and not yet ended", "deliveries", span, &backlogs);
    if protected {
        let held: Vec<Vec<(f64, f64)>> = report.policies.iter().map(held).collect();
        panel(&mut svg, TOPS[2], "Held: due and not let go", "deliveries", span, &held);
        let states: Vec<Vec<(f64, f64)>> = report.policies.iter().map(states).collect();
        panel(&mut svg, TOPS[3], "Breakers, the worst of all", "1 recovery, 2 half-open, 3 open", span, &states);
    }
    svg.push_str("</svg>\n");
    svg
}

fn head(report: &Report, height: f64) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">\n\
         <style>text{{font:12px system-ui,sans-serif;fill:#57606a}}.t{{font-size:16px;font-weight:600}}\
         .p{{font-size:13px;font-weight:600}}.g{{stroke:#8c959f;stroke-opacity:.3}}\
         path{{fill:none;stroke-width:1.8;stroke-linejoin:round}}\
         @media(prefers-color-scheme:dark){{text{{fill:#b1bac4}}}}</style>\n\
         <text class=\"t\" x=\"{LEFT}\" y=\"28\">{label}</text>\n",
        label =
            escaped(&clipped(if report.title.is_empty() { &report.name } else { &report.title }, TITLE_LETTERS_MAX)),
    );
    for (place, (policy, (colour, dashes))) in report.policies.iter().zip(LINES).enumerate() {
        // At most eight entries, four to a row.
        let (column, row) =
            (f64::from(u8::try_from(place % 4).unwrap_or(0)), f64::from(u8::try_from(place / 4).unwrap_or(0)));
        let (x, y) = (LEFT + column * LEGEND_COLUMN, 48.0 + row * 18.0);
        let _ = writeln!(
            svg,
            "<path d=\"M{x} {y}h26\" stroke=\"{colour}\" stroke-dasharray=\"{dashes}\"/><text x=\"{}\" y=\"{}\">{}</text>",
            x + 32.0,
            y + 4.0,
            escaped(&clipped(&policy.policy, LEGEND_LETTERS_MAX))
        );
    }
    svg
}

/// Start of each bucket in seconds, and the rate in it.
fn rates(report: &PolicyReport) -> Vec<(f64, f64)> {
    let width = report.series.width.as_secs_f64();
    in_time(&report.series.attempts, width).map(|(at, attempts)| (at, attempts / width)).collect()
}

fn backlogs(report: &PolicyReport) -> Vec<(f64, f64)> {
    in_time(&report.series.backlog, report.series.width.as_secs_f64()).collect()
}

fn held(report: &PolicyReport) -> Vec<(f64, f64)> {
    let held = report.protection.as_ref().map_or(&[][..], |protection| &protection.held);
    in_time(held, report.series.width.as_secs_f64()).collect()
}

fn states(report: &PolicyReport) -> Vec<(f64, f64)> {
    let recipients = report.protection.as_ref().map_or(&[][..], |protection| &protection.recipients);
    let buckets = recipients.iter().map(|one| one.breaker.len()).max().unwrap_or(0);
    let worst = |bucket: usize| recipients.iter().filter_map(|one| one.breaker.get(bucket)).max().copied();
    let states: Vec<u32> = (0..buckets).map(|bucket| worst(bucket).unwrap_or(0)).collect();
    in_time(&states, report.series.width.as_secs_f64()).collect()
}

fn in_time(values: &[u32], width: f64) -> impl Iterator<Item = (f64, f64)> {
    values.iter().enumerate().map(move |(place, value)| {
        let place = f64::from(u32::try_from(place).unwrap_or(u32::MAX));
        (place * width, f64::from(*value))
    })
}

fn panel(svg: &mut String, top: f64, title: &str, unit: &str, span: f64, lines: &[Vec<(f64, f64)>]) {
    let highest = lines.iter().flatten().map(|(_, value)| *value).fold(0.0, f64::max);
    let (step_up, most) = scale(highest.max(1.0), 4.0);
    let bottom = top + PLOT_HEIGHT;
    let _ = writeln!(svg, "<text class=\"p\" x=\"{LEFT}\" y=\"{}\">{title} ({unit})</text>", top - 10.0);
    let mut value = 0.0;
    while value <= most * 1.0001 {
        let y = bottom - value / most * PLOT_HEIGHT;
        let _ = writeln!(
            svg,
            "<line class=\"g\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT + PLOT_WIDTH,
            LEFT - 8.0,
            y + 4.0,
            number(value)
        );
        value += step_up;
    }
    times(svg, bottom, span);
    for (points, (colour, dashes)) in lines.iter().zip(LINES) {
        let path = steps(points, span, |value| bottom - value / most * PLOT_HEIGHT);
        let _ = writeln!(svg, "<path d=\"{path}\" stroke=\"{colour}\" stroke-dasharray=\"{dashes}\"/>");
    }
}

fn times(svg: &mut String, bottom: f64, span: f64) {
    let (unit, seconds) = match span {
        _ if span <= 180.0 => ("s", 1.0),
        _ if span <= 10_800.0 => ("min", 60.0),
        _ => ("h", 3_600.0),
    };
    let (step, _) = scale(span / seconds, 8.0);
    let mut at = 0.0;
    while at * seconds <= span {
        let x = LEFT + at * seconds / span * PLOT_WIDTH;
        let y = bottom + 18.0;
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{}</text>", number(at));
        at += step;
    }
    let (x, y) = (LEFT + PLOT_WIDTH / 2.0, bottom + 36.0);
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">time since the start ({unit})</text>");
}

/// A line in steps: a value holds until the next bucket begins. Points that change nothing are left out.
fn steps(points: &[(f64, f64)], span: f64, y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut before = None;
    for (at, value) in points {
        if before == Some(*value) {
            continue;
        }
        let (x, y) = (LEFT + (at / span).min(1.0) * PLOT_WIDTH, y(*value));
        let _ = match before {
            None => write!(path, "M{x:.1} {y:.1}"),
            Some(_) => write!(path, "H{x:.1}V{y:.1}"),
        };
        before = Some(*value);
    }
    let last = points.last().map_or(0.0, |(at, _)| *at);
    let _ = write!(path, "H{:.1}", LEFT + (last / span).min(1.0) * PLOT_WIDTH);
    path
}

/// A round step (1, 2 or 5 times a power of ten) that divides `most` into about `parts`, and the first multiple of it from
/// `most` up.
fn scale(most: f64, parts: f64) -> (f64, f64) {
    let raw = most / parts;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= raw * 0.999);
    let step = step.unwrap_or(raw);
    (step, (most / step).ceil() * step)
}

fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// At most so many letters, with an ellipsis for what is left out.
fn clipped(text: &str, letters_max: usize) -> String {
    if text.chars().count() <= letters_max {
        return text.to_owned();
    }
    text.chars().take(letters_max - 1).chain(['…']).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round_and_reach_the_top() {
        assert_eq!(scale(37.0, 4.0), (10.0, 40.0));
        assert_eq!(scale(1.0, 4.0), (0.5, 1.0));
        assert_eq!(scale(4_000.0, 4.0), (1_000.0, 4_000.0));
    }

    #[test]
    fn names_cannot_break_the_picture() {
        assert_eq!(escaped("<a & \"b\">"), "&lt;a &amp; &quot;b&quot;&gt;");
    }

    #[test]
    fn long_names_are_clipped() {
        assert_eq!(clipped("abc", 3), "abc");
        assert_eq!(clipped("äbcd", 3), "äb…");
    }

    #[test]
    fn a_line_leaves_out_what_changes_nothing() {
        let points = [(0.0, 1.0), (1.0, 1.0), (2.0, 3.0), (3.0, 3.0)];
        assert_eq!(steps(&points, 4.0, |value| value), "M72.0 1.0H484.0V3.0H690.0");
    }
}

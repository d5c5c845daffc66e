//! The two texts that Prometheus reads: `OpenMetrics` as the library writes it, and the older exposition format, in which a
//! counter's `_total` belongs to its name, and units and examples have no place. Must not know any metric.

use std::fmt::Write as _;

/// The older format, of an `OpenMetrics` text.
pub(super) fn classic(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help: Option<(&str, &str)> = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
            let (name, kind) = match kind {
                "counter" => (format!("{name}_total"), kind),
                "unknown" => (name.to_owned(), "untyped"),
                _ => (name.to_owned(), kind),
            };
            if let Some((_, sentence)) = help.take() {
                let _ = writeln!(text, "# HELP {name} {sentence}");
            }
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# TYPE {name} {kind}");
        } else if !line.starts_with('#') {
            text.push_str(without_example(line));
            text.push('\n');
        }
    }
    text
}

/// A sample up to the `#` that begins its example; within quotes it is part of a label.
fn without_example(line: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            '#' if !quoted => return line.get(..at).unwrap_or(line).trim_end(),
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::classic;

    #[test]
    fn classic_text_names_counters_whole_and_drops_what_it_has_no_words_for() {
        let open = "# HELP a_b Things.\n# TYPE a_b counter\na_b_total{x=\"# {y}\"} 1\n# HELP c Time.\n\
                    # TYPE c histogram\n# UNIT c seconds\nc_sum 1.0\n\
                    c_bucket{le=\"1.0\",x=\"\\\"#\"} 3 # {trace_id=\"0a\"} 0.5\n# TYPE d unknown\nd 1\n# EOF\n";
        let expected = "# HELP a_b_total Things.\n# TYPE a_b_total counter\na_b_total{x=\"# {y}\"} 1\n\
                        # HELP c Time.\n# TYPE c histogram\nc_sum 1.0\n\
                        c_bucket{le=\"1.0\",x=\"\\\"#\"} 3\n# TYPE d untyped\nd 1\n";
        assert_eq!(classic(open), expected);
    }
}

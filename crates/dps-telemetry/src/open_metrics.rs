//! `OpenMetrics` text, as `/metrics` shows it, read line by line (`OpenMetrics` 1.0, "Text Format"). Both ways out of the
//! metrics thereby say the same. Must not know what becomes of the samples.

/// A family of samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Family<'a> {
    /// Name without the suffixes of its samples.
    pub name: &'a str,
    /// `counter`, `gauge`, `histogram` …
    pub kind: &'a str,
    /// What it is.
    pub help: &'a str,
    /// `seconds`, `bytes` or nothing.
    pub unit: &'a str,
    /// Its samples, in the order of the text.
    pub samples: Vec<Sample<'a>>,
}

/// A line with a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name with its suffix.
    pub name: &'a str,
    /// Labels, in their order.
    pub labels: Vec<(&'a str, String)>,
    /// Value.
    pub value: f64,
    /// One of the things that were measured.
    pub example: Option<Example>,
}

/// An exemplar.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Its `trace_id`.
    pub trace: String,
    /// Value.
    pub value: f64,
}

/// The families of a text; lines that are none of the format's are left out.
pub fn families(text: &str) -> Vec<Family<'_>> {
    let mut families: Vec<Family<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (Some(keyword), Some(name)) = (words.next(), words.next()) else { continue };
            let rest = words.next().unwrap_or_default();
            if families.last().is_none_or(|last| last.name != name) {
                families.push(Family { name, ..Family::default() });
            }
            let Some(family) = families.last_mut() else { continue };
            match keyword {
                "TYPE" => family.kind = rest,
                "HELP" => family.help = rest,
                "UNIT" => family.unit = rest,
                _ => {}
            }
        } else if let (Some(sample), Some(family)) = (sample(line), families.last_mut())
            && sample.name.starts_with(family.name)
        {
            family.samples.push(sample);
        }
    }
    families
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at_checked(end)?;
    let (labels, rest) = labels(rest)?;
    let (value, example) = match rest.split_once(" # ") {
        Some((value, example)) => (value, example_of(example)),
        None => (rest, None),
    };
    let value = value.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name, labels, value, example })
}

fn example_of(text: &str) -> Option<Example> {
    let (labels, rest) = labels(text)?;
    let trace = labels.into_iter().find(|(name, _)| *name == "trace_id")?.1;
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Example { trace, value })
}

/// Labels in braces, if there are any, and what is behind them.
fn labels(text: &str) -> Option<(Vec<(&str, String)>, &str)> {
    let Some(mut rest) = text.strip_prefix('{') else { return Some((Vec::new(), text)) };
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, behind) = rest.split_once("=\"")?;
        let (value, behind) = quoted(behind)?;
        labels.push((name, value));
        rest = behind;
    }
}

/// A label's value up to its closing quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Example, families};

    #[test]
    fn text_is_read_with_its_labels_and_examples() {
        let text = "# HELP a_b Things, many.\n# TYPE a_b counter\na_b_total{x=\"a\\\"b\\n\",y=\"# {\"} 7\na_b_total 8\n\
                    # HELP t_seconds Time.\n# TYPE t_seconds histogram\n# UNIT t_seconds seconds\nt_seconds_sum 1.5\n\
                    t_seconds_bucket{le=\"+Inf\"} 3 # {trace_id=\"0a\"} 0.5 1.2\n# EOF\n";
        let families = families(text);
        let names: Vec<_> = families.iter().map(|family| (family.name, family.kind, family.unit)).collect();
        assert_eq!(names, [("a_b", "counter", ""), ("t_seconds", "histogram", "seconds")]);
        let labels = &families[0].samples[0].labels;
        assert_eq!(labels, &[("x", "a\"b\n".to_owned()), ("y", "# {".to_owned())]);
        assert!((families[0].samples[1].value - 8.0).abs() < f64::EPSILON);
        let bucket = &families[1].samples[1];
        assert_eq!(bucket.example, Some(Example { trace: "0a".to_owned(), value: 0.5 }));
    }

    #[test]
    fn lines_that_are_none_are_left_out() {
        for text in ["a", "a{", "a{x=\"", "a{x=\"1\"} ", "a{x=\"1\"} z", "#", "# TYPE", "\u{0}"] {
            let text = format!("# TYPE a gauge\n{text}\n");
            assert!(families(&text).iter().all(|family| family.samples.is_empty()), "{text}");
        }
    }
}

//! What is wrong or doubtful in a file of settings, and where. Owns lines and columns; must not know what a setting
//! means.

use std::fmt;
use std::path::{Path, PathBuf};

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The server would not start.
    Error,
    /// It would, and somebody should look.
    Warning,
}

/// One remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How much it matters.
    pub weight: Weight,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// One sentence.
    pub message: String,
}

/// Everything that was found in a file, in the order of its lines.
#[derive(Debug)]
pub struct Problems {
    file: PathBuf,
    found: Vec<Problem>,
}

impl Problems {
    /// Of that file.
    pub fn of(file: &Path, mut found: Vec<Problem>) -> Self {
        found.sort_by_key(|problem| (problem.line, problem.column));
        Self { file: file.to_owned(), found }
    }

    /// Would the server not start?
    pub fn any_error(&self) -> bool {
        self.count(Weight::Error) > 0
    }

    /// How many there are of that weight.
    pub fn count(&self, weight: Weight) -> usize {
        self.found.iter().filter(|problem| problem.weight == weight).count()
    }

    /// Those that are no errors, each a line.
    pub fn warnings(&self) -> Vec<String> {
        self.lines(Weight::Warning)
    }

    /// Those for which the file is refused, each a line.
    pub fn errors(&self) -> Vec<String> {
        self.lines(Weight::Error)
    }

    fn lines(&self, weight: Weight) -> Vec<String> {
        let found = self.found.iter().filter(|problem| problem.weight == weight);
        found.map(|problem| self.line(problem)).collect()
    }

    fn line(&self, problem: &Problem) -> String {
        let Problem { line, column, message, weight } = problem;
        let word = if *weight == Weight::Warning { "warning: " } else { "" };
        format!("{}:{line}:{column}: {word}{message}", self.file.display())
    }
}

impl fmt::Display for Problems {
    /// A line each; compilers write positions in the same form, so that editors jump to them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.found.iter().map(|problem| self.line(problem)).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Line and column of an offset, both from 1; a column is a character.
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::position;

    #[test]
    fn position_counts_characters() {
        let text = "a = 1\nü = \"x\" z";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, text.find('z').unwrap()), (2, 9));
        assert_eq!(position(text, 10_000), (2, 10));
    }
}

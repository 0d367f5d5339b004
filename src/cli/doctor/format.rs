//! Formats findings: one line each, folded to the width of a terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::store::doctor::{Finding, Level};

/// The column at which the text of a line begins.
const INDENT: usize = 26;

/// The least width to which lines are folded.
const NARROWEST: usize = 50;

/// `width`: of the terminal; `None`: no terminal, so lines are not folded.
pub(super) fn lines(findings: &[Finding], width: Option<usize>) -> String {
    let mut text = String::new();
    for finding in findings {
        let (word, style) = match finding.level {
            Level::Ok => ("ok  ", AnsiColor::Green.on_default()),
            Level::Warn => ("WARN", AnsiColor::Yellow.on_default().bold()),
            Level::Bad => ("BAD ", AnsiColor::Red.on_default().bold()),
        };
        let sentence = if finding.remedy.is_empty() {
            finding.found.clone()
        } else {
            format!("{} → {}", finding.found, finding.remedy)
        };
        let _ = write!(
            text,
            "{style}{word}{style:#}  {:<19} {}",
            finding.what,
            fold(&sentence, width)
        );
        let _ = writeln!(text, "{}", Style::new().render_reset());
    }
    text
}

/// The line for the checks that passed.
pub(super) fn rest(fine: usize) -> String {
    let style = AnsiColor::Green.on_default();
    format!("{style}ok  {style:#}  {fine} checks passed (--verbose shows them)\n")
}

fn fold(sentence: &str, width: Option<usize>) -> String {
    let Some(room) = width.map(|width| width.max(NARROWEST) - INDENT) else {
        return sentence.replace('\n', "; ");
    };
    let (mut text, mut column) = (String::new(), 0);
    for word in sentence.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > room {
            let _ = write!(text, "\n{:INDENT$}", "");
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_each_and_folded_where_there_is_a_terminal() {
        let bad = Finding::not(Level::Bad, "triggers", "one is missing", "run it again");
        let all = [Finding::ok("clock", "good"), bad];
        let plain = |width| {
            let styled = lines(&all, width);
            anstream::adapter::strip_str(&styled).to_string()
        };
        assert_eq!(
            plain(None),
            "ok    clock               good\n\
             BAD   triggers            one is missing → run it again\n"
        );
        assert_eq!(
            plain(Some(20)),
            "ok    clock               good\n\
             BAD   triggers            one is missing → run it\n                          again\n"
        );
    }
}

//! Problems in a configuration file, and how they are shown: where, the line, what, and what to do.

use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::masking;

/// One thing that is wrong, or odd, in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
    /// Where, as a byte range of the source.
    pub(crate) span: Option<Range<usize>>,
    /// What stands there and is not shown.
    hides: Option<Range<usize>>,
}

impl Problem {
    /// A problem at a place.
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, span: Some(span), hides: None }
    }

    /// A problem of the file as a whole.
    pub(crate) fn of_file(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, span: None, hides: None }
    }

    /// Keeps a part of the source from being shown with it.
    pub(crate) fn hiding(mut self, span: Range<usize>) -> Self {
        self.hides = Some(span);
        self
    }

    /// Adds what to do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Problems, with the file that they are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    file: String,
    /// The source with everything that may be a credential covered.
    source: String,
    problems: Vec<Problem>,
}

impl Report {
    /// Makes a report. What may be a credential is covered here, once, so that nothing built from it can show one.
    pub(crate) fn new(
        file: impl Into<String>,
        source: &str,
        mut problems: Vec<Problem>,
        hidden: &[Range<usize>],
    ) -> Self {
        problems.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
        problems.dedup();
        let hides = problems.iter().filter_map(|problem| problem.hides.clone());
        let source = masking::cover(source, hidden.iter().cloned().chain(hides));
        for problem in &mut problems {
            problem.message = presentable(&problem.message);
            problem.help = problem.help.take().map(|help| presentable(&help));
        }
        Self { file: file.into(), source, problems }
    }

    /// Returns the problems in the order of their places.
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Returns the file.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Returns line and column, both from 1, of a problem that has a place.
    pub(crate) fn position(&self, problem: &Problem) -> Option<(usize, usize)> {
        let start = problem.span.as_ref()?.start.min(self.source.len());
        let before = self.source.get(..start)?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Some((line, column))
    }

    /// Shows all of them to people, with colour or without.
    pub(crate) fn render(&self, level: Severity, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let mut text = String::new();
        for problem in &self.problems {
            text.push_str(&self.render_one(problem, level, &renderer));
            text.push_str("\n\n");
        }
        text
    }

    fn render_one(&self, problem: &Problem, level: Severity, renderer: &Renderer) -> String {
        let level = match level {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(problem.message.as_str());
        let mut group = if let Some(span) = &problem.span {
            let span = self.first_line_of(span);
            group_at(title, &self.source, &self.file, span)
        } else {
            Group::with_title(title).element(annotate_snippets::Origin::path(self.file.as_str()))
        };
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }

    /// A caret line for a block of twenty lines says less than one for its first.
    fn first_line_of(&self, span: &Range<usize>) -> Range<usize> {
        let start = span.start.min(self.source.len());
        let end = span.end.clamp(start, self.source.len());
        let shown = self.source.get(start..end).unwrap_or("");
        let first = shown.lines().next().unwrap_or("").trim_end();
        start..start + first.len()
    }
}

/// Covers credentials, and makes what could steer a terminal visible. The renderer does the latter for excerpts.
fn presentable(text: &str) -> String {
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    masking::cover(text, []).chars().map(visible).collect()
}

fn group_at<'a>(
    title: annotate_snippets::Title<'a>,
    source: &'a str,
    file: &'a str,
    span: Range<usize>,
) -> Group<'a> {
    let snippet = Snippet::source(source).path(file).annotation(AnnotationKind::Primary.span(span));
    title.element(snippet)
}

/// How much a problem weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but is odd.
    Warning,
}

/// Everything that is wrong with a configuration: in the file itself, and in the files that it names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct ConfigErrors(pub(crate) Report, pub(crate) Vec<Report>);

impl ConfigErrors {
    /// Returns what is wrong in the configuration itself, in the order of the places.
    #[cfg(test)]
    pub(crate) fn problems(&self) -> &[Problem] {
        self.0.problems()
    }

    /// Returns the files with something wrong in them, each with what it is.
    pub(crate) fn reports(&self) -> impl Iterator<Item = &Report> {
        std::iter::once(&self.0).chain(&self.1).filter(|report| !report.problems.is_empty())
    }

    /// Shows everything to people, with a count at the end.
    pub(crate) fn render(&self, colour: bool) -> String {
        let mut text = String::new();
        for report in self.reports() {
            text.push_str(&report.render(Severity::Error, colour));
            let count = report.problems.len();
            let plural = if count == 1 { "" } else { "s" };
            text.push_str(&format!("{}: {count} problem{plural}; nothing was done\n", report.file));
        }
        text
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

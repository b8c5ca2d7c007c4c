//! Shows a run while it goes: lines on a pipe, bars on a terminal. Always on standard error.

use std::sync::Mutex;
use std::time::Duration;

use drill::{Event, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use judge::{Role, Verdict};

use crate::terminal::{Paint, harmless, say};

/// Writes a line for each step, and for each probe that does not pass.
#[derive(Debug)]
pub(crate) struct Lines;

impl Progress for Lines {
    fn event(&self, event: Event) {
        if let Some(line) = line(&event, Paint::plain()) {
            say(&line);
        }
    }
}

/// Bars for both releases, and lines above them.
#[derive(Debug)]
pub(crate) struct Bars {
    all: MultiProgress,
    new: ProgressBar,
    rollback: ProgressBar,
    under_way: Mutex<Vec<(Role, &'static str)>>,
}

impl Bars {
    pub(crate) fn new() -> Self {
        let all = MultiProgress::new();
        let bar = |role: Role| {
            let bar = all.add(ProgressBar::hidden());
            bar.set_style(
                ProgressStyle::with_template(
                    "  {prefix:<9} {bar:24} {pos:>3}/{len:<3} {wide_msg:.dim}",
                )
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_prefix(role.as_str());
            bar
        };
        let (new, rollback) = (bar(Role::New), bar(Role::Rollback));
        Self { all, new, rollback, under_way: Mutex::default() }
    }

    fn of(&self, role: Role) -> &ProgressBar {
        match role {
            Role::New => &self.new,
            Role::Rollback => &self.rollback,
        }
    }

    fn show_under_way(&self, role: Role) {
        let under_way = self.under_way.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let names: Vec<&str> =
            under_way.iter().filter(|(of, _)| *of == role).map(|(_, probe)| *probe).collect();
        self.of(role).set_message(names.join(" "));
    }
}

impl Progress for Bars {
    fn event(&self, event: Event) {
        match &event {
            Event::Planned { role, probes } => {
                let bar = self.of(*role);
                bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
                self.all.add(bar.clone());
                bar.set_length(u64::try_from(*probes).unwrap_or(u64::MAX));
                bar.enable_steady_tick(Duration::from_millis(200));
            }
            Event::ProbeBegan { role, probe, .. } => {
                self.under_way
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .push((*role, probe));
                self.show_under_way(*role);
            }
            Event::ProbeEnded { role, probe, .. } => {
                let mut under_way =
                    self.under_way.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if let Some(at) = under_way.iter().position(|known| known == &(*role, *probe)) {
                    under_way.remove(at);
                }
                drop(under_way);
                self.of(*role).inc(1);
                self.show_under_way(*role);
            }
            Event::Learning { role, asked, about } => {
                let bar = self.of(*role);
                if bar.is_hidden() {
                    bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
                    self.all.add(bar.clone());
                    bar.enable_steady_tick(Duration::from_millis(200));
                }
                bar.set_length(u64::from(*about));
                bar.set_position(u64::from(*asked));
            }
            Event::StepEnded { step: 1, .. } => self.new.finish_and_clear(),
            Event::StepEnded { step: 2, .. } => self.rollback.finish_and_clear(),
            Event::StepBegan { .. } | Event::StepEnded { .. } | Event::Note(_) => {}
        }
        if let Some(line) = line(&event, Paint::colour()) {
            // A terminal that went away takes the progress with it, not the run.
            drop(self.all.println(harmless(&line)));
        }
    }
}

fn line(event: &Event, paint: Paint) -> Option<String> {
    match event {
        Event::StepEnded { step, name, verdict, headline } => {
            let headline = headline.as_deref().filter(|_| !verdict.permits_release()).unwrap_or("");
            Some(
                format!("{} step {step}  {name}  {headline}", paint.verdict(*verdict))
                    .trim_end()
                    .to_owned(),
            )
        }
        Event::ProbeEnded { role, probe, mode, verdict, headline } if *verdict != Verdict::Pass => {
            Some(format!(
                "{}   {role} {probe} ({mode})  {}",
                paint.verdict(*verdict),
                headline.as_deref().unwrap_or("")
            ))
        }
        Event::Note(note) => Some(format!("        {note}")),
        Event::StepBegan { .. }
        | Event::Planned { .. }
        | Event::Learning { .. }
        | Event::ProbeBegan { .. }
        | Event::ProbeEnded { .. } => None,
    }
}

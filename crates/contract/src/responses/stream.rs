//! The grammar of a responses stream: created first, items and parts nested, one terminal event whose status agrees.

mod items;

use items::{Calls, Growth, Items};

use super::output::Output;
use super::unary::{check_head, check_usage, judge_output, status_completion};
use crate::error::ErrorParts;
use crate::json::{Fit, Hole, Holes, Templates, Value};
use crate::report::Report;
use crate::scene::{Scene, seen};
use crate::{Completion, rule};

/// Follows one responses stream.
#[derive(Debug, Default)]
pub(crate) struct ResponsesStream {
    has_created: bool,
    response_id: Option<String>,
    next_sequence: Option<i64>,
    items: Items,
    terminal: Option<Terminal>,
    failed: bool,
    is_foreign: bool,
    /// The last deltas, where the next ones may differ from them in their text and number only.
    templates: Templates<Growth>,
}

#[derive(Debug)]
struct Terminal {
    name: &'static str,
    completion: Completion,
}

impl ResponsesStream {
    /// Whether the terminal event came.
    pub(crate) fn is_finished(&self) -> bool {
        self.terminal.is_some() || self.failed
    }

    /// Whether any part of an answer came.
    pub(crate) fn has_delivered(&self) -> bool {
        self.items.has_delivered()
    }

    /// Takes a delta that differs from an earlier one in its text and number only, without parsing it. Returns whether it did.
    ///
    /// Nothing between the two changed how it is judged: whatever could, forgets the earlier one.
    pub(crate) fn take_repeat(
        &mut self,
        number: u64,
        name: &str,
        data: &[u8],
        scene: &mut Scene,
    ) -> bool {
        let Some(fit) = self.templates.fit(name, data) else { return false };
        let Fit { meaning, text, number: sequence } = fit;
        self.items.repeat(meaning, text, scene);
        self.sequence(number, sequence, scene);
        true
    }

    /// Takes one event. `number` counts from 1.
    pub(crate) fn event(
        &mut self,
        number: u64,
        name: &str,
        data: &[u8],
        event: Value<'_>,
        scene: &mut Scene,
    ) {
        match self.event_in_full(number, name, event, scene) {
            Some(growth) => self.keep(name, data, event, growth),
            None => self.templates.clear(),
        }
    }

    /// Keeps a delta that was judged, if a repetition of it would add text and do nothing else.
    fn keep(&mut self, name: &str, data: &[u8], event: Value<'_>, growth: Growth) {
        let mut holes = Holes::default();
        let is_repeatable = !event.has_duplicate_key()
            && !event.has_lone_surrogate()
            && event.get("delta").is_some_and(|delta| holes.add(delta, Hole::Text))
            && event.get("sequence_number").is_none_or(|number| holes.add(number, Hole::Number));
        if !is_repeatable {
            return self.templates.clear();
        }
        if let Some(padding) = event.get("obfuscation") {
            holes.add(padding, Hole::Padding);
        }
        self.templates.keep(name, data, holes, growth);
    }

    /// Judges an event. Returns which text it let grow, if it did nothing else.
    fn event_in_full(
        &mut self,
        number: u64,
        name: &str,
        event: Value<'_>,
        scene: &mut Scene,
    ) -> Option<Growth> {
        let in_data = event.get("type").and_then(Value::text).filter(|kind| !kind.is_empty());
        // `message` is what the standard calls an event without a name.
        let name = if name == "message" { "" } else { name };
        let kind = match &in_data {
            Some(kind) => &**kind,
            None => name,
        };
        if name == "error" || kind == "error" || in_data.is_none() && scene.is_error_body(event) {
            self.error(number, event, scene);
            return None;
        }
        if event.get("choices").is_some() || event.get("candidates").is_some() {
            self.is_foreign = true;
            scene.report.add(
                &rule::WRONG_SURFACE,
                format_args!("event {number}"),
                format_args!("a chunk of another endpoint"),
            );
            return None;
        }
        if let Some(before) = &self.terminal {
            let is_second =
                ["response.completed", "response.failed", "response.incomplete"].contains(&kind);
            let rule = if is_second { &rule::TERMINAL_TWICE } else { &rule::EVENT_AFTER_TERMINAL };
            scene.report.add(
                rule,
                format_args!("event {number}"),
                format_args!("an event after {}", before.name),
            );
            return None;
        }
        if in_data.is_none() && kind.starts_with("response.") {
            // A response object in place of the event's payload has no type either, and that is the worse fault.
            if event.get("object").is_none_or(|object| !object.is("response")) {
                scene.report.add(
                    &rule::TYPE_MISSING,
                    format_args!("event {number} /type"),
                    format_args!("{}", seen(event.get("type"))),
                );
            }
        } else if in_data.is_some() && !name.is_empty() && name != kind {
            scene.report.add(
                &rule::TYPE_DISAGREES,
                format_args!("event {number}"),
                format_args!("two names"),
            );
        }
        if event.get("object").is_some_and(|object| object.is("response"))
            && event.get("response").is_none()
        {
            self.is_foreign = true;
            scene.report.add(
                &rule::WRAPPER_MISSING,
                format_args!("event {number}"),
                format_args!("a bare response"),
            );
            return None;
        }
        let is_ours = kind.starts_with("response.");
        if is_ours || event.get("sequence_number").is_some() {
            let found = event.get("sequence_number").and_then(Value::integer);
            self.sequence(number, found, scene);
        }
        if kind != "response.created" && !std::mem::replace(&mut self.has_created, true) {
            scene.report.add(
                &rule::CREATED_NOT_FIRST,
                format_args!("event {number}"),
                format_args!("another event first"),
            );
            // A keep-alive before it is noted once; the order of what follows still counts.
        }
        match kind {
            "response.created" | "response.queued" | "response.in_progress" => {
                self.running(number, kind, event, scene);
            }
            "response.completed" => self.terminal(number, "response.completed", event, scene),
            "response.failed" => self.terminal(number, "response.failed", event, scene),
            "response.incomplete" => self.terminal(number, "response.incomplete", event, scene),
            _ => return self.items.event(number, kind, event, scene),
        }
        None
    }

    /// Takes an event that says that the response is not there yet.
    fn running(&mut self, number: u64, kind: &str, event: Value<'_>, scene: &mut Scene) {
        self.has_created = true;
        if let Some(response) = self.response(number, kind, event, scene) {
            check_head(response, &format!("event {number} /response"), scene);
        }
    }

    fn error(&mut self, number: u64, event: Value<'_>, scene: &mut Scene) {
        self.failed = true;
        if event.get_some("error").is_some() {
            scene.report.add(
                &rule::ERROR_EVENT_NESTED,
                format_args!("event {number}"),
                format_args!("an object `error`"),
            );
            return scene.take_error(&rule::STREAM_ERROR, event, format_args!("event {number}"));
        }
        // Flat is what the contract asks for here, so its envelope is no finding.
        scene.report.add(
            &rule::STREAM_ERROR,
            format_args!("event {number}"),
            format_args!("an error"),
        );
        let parts = ErrorParts::read(event, &mut Report::new(scene.report.profile()));
        scene.error.get_or_insert(parts);
    }

    fn sequence(&mut self, number: u64, found: Option<i64>, scene: &mut Scene) {
        let expected = self.next_sequence.unwrap_or(0);
        if found != Some(expected) {
            let what = if found.is_some() { "another number" } else { "no number" };
            scene.report.add(
                &rule::SEQUENCE_ODD,
                format_args!("event {number} /sequence_number"),
                format_args!("{what}"),
            );
        }
        self.next_sequence = Some(found.unwrap_or(expected).saturating_add(1));
    }

    /// Returns the response object of a lifecycle event, after checking that it is the same response.
    fn response<'e>(
        &mut self,
        number: u64,
        kind: &str,
        event: Value<'e>,
        scene: &mut Scene,
    ) -> Option<Value<'e>> {
        let Some(response) = event.get_some("response").filter(|response| response.is_object())
        else {
            self.is_foreign = true;
            scene.report.add(
                &rule::WRAPPER_MISSING,
                format_args!("event {number} {kind}"),
                format_args!("{}", seen(event.get("response"))),
            );
            return None;
        };
        scene.identity(response, format_args!("event {number} /response"));
        let id = response
            .get("id")
            .and_then(Value::text)
            .filter(|id| !id.is_empty() && id.len() <= 1024);
        match (&self.response_id, id) {
            (Some(before), Some(id)) if **before != *id => {
                scene.report.add(
                    &rule::RESPONSE_ID_CHANGED,
                    format_args!("event {number} /response/id"),
                    format_args!("another id"),
                );
            }
            (None, Some(id)) => self.response_id = Some(id.into_owned()),
            (Some(_) | None, _) => {}
        }
        Some(response)
    }

    fn terminal(&mut self, number: u64, name: &'static str, event: Value<'_>, scene: &mut Scene) {
        let Some(response) = self.response(number, name, event, scene) else {
            self.terminal = Some(Terminal { name, completion: Completion::Truncated });
            return;
        };
        let at = format!("event {number} /response");
        check_head(response, &at, scene);
        let status = status_completion(response, &at, scene);
        let by_name = match name {
            "response.completed" => Completion::Complete,
            "response.failed" => Completion::Error,
            _ => Completion::Truncated,
        };
        let says_complete = status.map(|completion| completion == Completion::Complete);
        if says_complete.is_some_and(|says| says != (by_name == Completion::Complete)) {
            scene.report.add(
                &rule::STATUS_DISAGREES,
                format_args!("{at}/status"),
                format_args!("another status than {name}"),
            );
        }
        if status.is_none() && name != "response.completed" {
            let rule = if name == "response.failed" {
                &rule::STATUS_FAILED
            } else {
                &rule::STATUS_INCOMPLETE
            };
            scene.report.add(rule, format_args!("event {number}"), format_args!("{name}"));
        }
        // The worse of name and status decides.
        let claimed = match status {
            Some(Completion::Complete) | None => by_name,
            Some(other) => other,
        };
        let completion = if claimed == Completion::Complete {
            self.completed(number, response, &at, scene)
        } else {
            claimed
        };
        self.terminal = Some(Terminal { name, completion });
    }

    /// Judges the response of `response.completed`, together with what the stream delivered before.
    fn completed(
        &mut self,
        number: u64,
        response: Value<'_>,
        at: &str,
        scene: &mut Scene,
    ) -> Completion {
        let output = response.get_some("output");
        if let Some(other) = output.filter(|output| !output.is_array()) {
            scene.report.add(
                &rule::OUTPUT_MISSING,
                format_args!("{at}/output"),
                format_args!("{}", other.kind()),
            );
            return Completion::Truncated;
        }
        let is_repeated = output.is_some_and(|output| output.items().next().is_some());
        let has_delivered = self.items.has_delivered();
        let delivered = self.items.finish(scene);
        if !is_repeated && delivered.n_items == 0 && !has_delivered {
            scene.report.add(
                &rule::NO_USABLE_CONTENT,
                format_args!("{at}/output"),
                format_args!("no output at all"),
            );
            return Completion::Nothing;
        }
        if !is_repeated {
            scene.report.add(
                &rule::OUTPUT_NOT_REPEATED,
                format_args!("{at}/output"),
                format_args!("{}", seen(response.get("output"))),
            );
            check_usage(response, delivered.measure(), scene);
            return judge_output(&delivered, at, scene);
        }
        let Some(output) = output else { return Completion::Nothing };
        let has_no_text = delivered.text.is_empty();
        let facts = Output::read(output, at, has_no_text, scene);
        if !has_no_text && facts.text != delivered.text && facts.parts != delivered.parts {
            scene.report.add(
                &rule::TERMINAL_DIFFERS,
                format_args!("event {number} /response/output"),
                format_args!("another text than the deltas"),
            );
        } else if has_no_text && facts.has_text {
            scene.report.add(
                &rule::DELTAS_MISSING,
                format_args!("event {number} /response/output"),
                format_args!("text in the terminal event only"),
            );
        }
        let place = format_args!("event {number} /response/output");
        match self.items.calls() {
            Calls::None if facts.calls != 0 => {
                let what = "arguments in the terminal event only";
                scene.report.add(&rule::DELTAS_MISSING, place, format_args!("{what}"));
            }
            Calls::Told(calls) if calls != facts.calls => {
                let what = "other arguments than the deltas";
                scene.report.add(&rule::TERMINAL_DIFFERS, place, format_args!("{what}"));
            }
            Calls::None | Calls::Told(_) | Calls::Unknown => {}
        }
        let ((before, n_before), (now, n_now)) = (delivered.names, facts.names);
        if n_before == n_now && before != now {
            let what = "another name of a call than before";
            scene.report.add(&rule::TERMINAL_DIFFERS, place, format_args!("{what}"));
        }
        check_usage(response, facts.measure().max(delivered.measure()), scene);
        judge_output(&facts, at, scene)
    }

    /// Ends the stream and says how far the answer came.
    pub(crate) fn finish(self, n_events: u64, scene: &mut Scene) -> Completion {
        if self.failed {
            return Completion::Error;
        }
        if let Some(terminal) = self.terminal {
            return terminal.completion;
        }
        if self.is_foreign {
            return Completion::Nothing;
        }
        if n_events == 0 {
            scene.report.add(&rule::STREAM_EMPTY, format_args!("stream"), format_args!("no event"));
            return Completion::Nothing;
        }
        scene.report.add(&rule::TERMINAL_MISSING, format_args!("stream"), format_args!("none"));
        if self.items.has_delivered() { Completion::Truncated } else { Completion::Nothing }
    }
}

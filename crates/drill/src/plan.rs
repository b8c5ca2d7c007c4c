//! Which probes a release gets.

use std::time::Duration;

use contract::Mode;
use judge::catalogue::Depth;
use judge::judging::{Policy, ReleaseKind};
use judge::{Guarded, Phase, PlanContext, Planned, Probe, Role, Stimulus, catalogue};

use crate::settings::{
    HttpAsk, ProviderEndpoint, Release, Run, SIMULATED_BASE_URL, Settings, TapMode,
};

/// Returns the probes of one release in all production modes.
pub fn probes(settings: &Settings, role: Role, depth: Depth) -> Vec<Probe> {
    let release = settings.release(role);
    let provider = settings.provider_of(role);
    let context = PlanContext {
        surface: provider.surface,
        cometapi: provider.profile.base() == contract::Profile::Cometapi,
        required_fields: &settings.contract.required_fields,
        model: settings.model_of(role),
        models: &release.models,
        max_attempts: release.retry.max_attempts,
        own_port: matches!(release.run, Run::Command(_)),
        unary_as_well: provider.modes.contains(&Mode::Unary) && is_mapped(release, Mode::Unary),
        ends_tls: is_proxied(release) && is_tls(&provider.endpoint),
        is_gateway: is_gateway(release),
    };
    let mut all = Vec::new();
    for &mode in &provider.modes {
        all.extend(catalogue::plan(depth, mode, &context));
    }
    for probe in &mut all {
        probe.stimulus = guarded(release, std::mem::replace(&mut probe.stimulus, Stimulus::Relay));
    }
    all
}

/// Leaves the calls alone that lead up to the answer, where a release makes several.
fn guarded(release: &Release, stimulus: Stimulus) -> Stimulus {
    let lives_off_the_wire =
        matches!(stimulus, Stimulus::Relay | Stimulus::Refused | Stimulus::UnknownCa);
    if lives_off_the_wire { stimulus } else { led_by(release, Stimulus::Relay, stimulus) }
}

/// Gives the calls that lead up to the answer one stimulus and the answering one another, where a release makes several.
pub(crate) fn led_by(release: &Release, lead: Stimulus, then: Stimulus) -> Stimulus {
    if release.calls_per_ask <= 1 {
        return then;
    }
    Stimulus::Guarded(Box::new(Guarded {
        lead_models: release.models.clone(),
        lead_first: release.calls_per_ask - 1,
        lead,
        then,
    }))
}

/// Returns whether a release says how it is asked in a mode.
pub fn is_mapped(release: &Release, mode: Mode) -> bool {
    let ask = match &release.run {
        Run::Command(command) => {
            return match mode {
                Mode::Unary => command.unary.is_some(),
                Mode::Stream => command.stream.is_some(),
            };
        }
        Run::Service(service) => &service.ask,
        Run::Url { ask, .. } => ask,
    };
    match ask {
        HttpAsk::Openai { .. } => true,
        HttpAsk::Mapped { unary, stream } => match mode {
            Mode::Unary => unary.is_some(),
            Mode::Stream => stream.is_some(),
        },
    }
}

/// Returns whether a release is itself a gateway, which may cool down after errors of its provider.
pub fn is_gateway(release: &Release) -> bool {
    match &release.run {
        Run::Command(_) => false,
        Run::Service(service) => matches!(service.ask, HttpAsk::Openai { .. }),
        Run::Url { ask, .. } => matches!(ask, HttpAsk::Openai { .. }),
    }
}

/// Returns whether the tap is a release's proxy.
fn is_proxied(release: &Release) -> bool {
    match release.tap {
        TapMode::Reverse { .. } => false,
        TapMode::Forward(_) => true,
    }
}

/// Returns whether releases call the provider over TLS, the tap aside.
fn is_tls(endpoint: &ProviderEndpoint) -> bool {
    let base_url = match endpoint {
        ProviderEndpoint::Url(url) => url,
        ProviderEndpoint::Simulated => SIMULATED_BASE_URL,
    };
    base_url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}

/// Returns what a release has to keep to.
pub fn policy(settings: &Settings, role: Role) -> Policy {
    let release = settings.release(role);
    let provider = settings.provider_of(role);
    Policy {
        surface: provider.surface,
        model: settings.model_of(role).to_owned(),
        models: release.models.clone(),
        fallback_models: release.fallback_models.clone(),
        max_attempts: release.retry.max_attempts,
        max_elapsed_ms: millis(release.retry.max_elapsed),
        retry_is_declared: release.retry.is_declared,
        deadline_ms: millis(release.deadline),
        calls_per_ask: release.calls_per_ask,
        required_fields: settings.contract.required_fields.clone(),
        streams_only: !provider.modes.contains(&Mode::Unary),
        is_proxied: is_proxied(release),
        kind: if is_gateway(release) { ReleaseKind::Gateway } else { ReleaseKind::Application },
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// Names the probes of a release as planned.
pub fn planned(probes: &[Probe], role: Role, phase: Phase) -> Vec<Planned> {
    probes
        .iter()
        .map(|probe| Planned { role, probe: probe.id.to_owned(), mode: probe.mode, phase })
        .collect()
}

/// What is asked of `rollback` beside the live happy path when `new` has run: what `new` left behind may be read on the way of an error only.
const AFTER_SWITCH: [&str; 3] = ["overload-503", "shape-error-body", "stream-error-mid"];

/// Returns the probes that are made once more of `rollback` when `new` has run: in each mode the live happy path and an error of either kind, by its
/// status and in a reply that seems good.
pub fn after_switch(probes: &[Probe]) -> Vec<Probe> {
    let is_made =
        |probe: &&Probe| probe.id == catalogue::HAPPY_LIVE || AFTER_SWITCH.contains(&probe.id);
    probes.iter().filter(is_made).cloned().collect()
}

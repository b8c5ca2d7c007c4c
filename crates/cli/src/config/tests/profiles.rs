//! Profile files and OpenAPI documents that a configuration names.

use super::*;

fn profile_problems(source: &str) -> String {
    match profile::parse("acme.yaml", source, Path::new("/"), &environment()) {
        Ok(_) => "no problem".to_owned(),
        Err(report) => lines_of(&report),
    }
}

#[test]
fn every_problem_of_a_profile_is_told_at_once() {
    let source = "\
finsh_reasons: {}
missing: [/chioces, /choices, /usage, /usage]
finish_reasons: { error: stop, odd: finish }
events: [ping, error]
errors: { code: fault.id, codes: { E1: { class: rate_limits }, E2: { retry_safe: maybe } } }
request_id_header: x acme
";
    assert_eq!(
        profile_problems(source),
        "1:1: unknown key `finsh_reasons` at the top level (did you mean `finish_reasons`?)\n\
         `name` is missing (add it, for example `name: acme`)\n\
         2:11: `missing`: the contract has no field `/chioces` (did you mean `/choices`?)\n\
         2:21: `missing`: a reply without `/choices` is not usable: no profile can allow that (leave it out: a reply without it holds, whatever the provider says)\n\
         2:39: `/usage` stands twice in `missing` (remove one of the two)\n\
         3:19: the contract knows `error` already, with another meaning (leave it out: no profile changes what the contract's own words mean)\n\
         3:37: `finish_reasons.odd` must be `stop` or `length` or `tool_calls` or `content_filter` or `error`, not `finish`\n\
         4:16: `events`: `error` is an event of the contract already (leave it out: it needs no declaration)\n\
         5:17: `errors.code`: `fault.id` is not a JSON pointer: it does not begin with `/` (did you mean `/fault/id`?)\n\
         5:49: `errors.codes.E1.class` must be `auth` or `permission` or `invalid_request` or `not_found` or `quota` or `rate_limit` or `overloaded` or `timeout` or `server`, not `rate_limits` (did you mean `rate_limit`?)\n\
         5:64: `errors.codes.E2.class` is missing (add it, for example `class: rate_limit`)\n\
         5:82: `errors.codes.E2.retry_safe` must be `true` or `false`, not `maybe`\n\
         6:20: `request_id_header`: `x acme` is no name of a header (write it as x-request-id)"
    );
    assert_eq!(
        profile_problems(""),
        "the profile file is empty (write at least `name: NAME` and what this provider does otherwise)"
    );
    assert_eq!(profile_problems("name: acme"), "no problem");
}

/// A folder with the small configuration, whose provider has a further line, and another file.
fn folder_with(line: &str, name: &str, content: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(name), content).expect("a file");
    (folder, spoilt("name: simulated", line))
}

fn load_in(folder: &tempfile::TempDir, source: &str) -> Result<Loaded, ConfigErrors> {
    parse("surestep.yaml", source, folder.path(), &environment())
}

#[test]
fn a_profile_takes_effect_and_its_problems_come_with_the_configurations() {
    let named = "name: simulated\n  profile: acme.yaml";
    let good = "name: acme\nextends: deepseek\nmissing: [/usage]\nerrors: { codes: { E1: { class: overloaded } } }\n";
    let (folder, source) = folder_with(named, "acme.yaml", good);
    let settings = load_in(&folder, &source).unwrap_or_else(|errors| panic!("{errors}")).settings;
    let profile = settings.provider.profile;
    assert_eq!((profile.as_str(), profile.base()), ("acme", contract::Profile::Deepseek));
    let custom = profile.custom().expect("a custom one");
    assert!(custom.missing.contains("/usage") && custom.codes["E1"].retry_safe);

    let (folder, source) = folder_with(named, "acme.yaml", "nmae: acme\n");
    let errors = load_in(&folder, &source.replace("service: bot", "servce: bot")).expect_err("two");
    let shown = errors.render(false);
    for told in
        ["surestep.yaml:1:1", "acme.yaml:1:1", "did you mean `service`?", "did you mean `name`?"]
    {
        assert!(shown.contains(told), "{shown}");
    }
    assert_eq!(errors.reports().count(), 2);
    let (folder, source) = folder_with("name: simulated\n  profile: azur", "x", "");
    let shown = load_in(&folder, &source).expect_err("no such file").render(false);
    assert!(shown.contains("did you mean `azure`?"), "{shown}");
}

#[test]
fn a_declared_openapi_document_becomes_a_requirement() {
    let document = "\
openapi: 3.0.3
paths:
  /v1/chat/completions:
    post:
      responses:
        '200': { content: { application/json: { schema: { $ref: '#/components/schemas/R' } } } }
components: { schemas: { R: { type: object, required: [id], properties: { id: { type: string } } } } }
";
    let named = "name: simulated";
    let (folder, source) = folder_with(named, "api.yaml", document);
    let source =
        source.replace("model: some-model", "model: some-model\ncontract: { openapi: api.yaml }");
    let load = |source: &str| load_in(&folder, source);
    let loaded = load(&source).unwrap_or_else(|errors| panic!("{errors}"));
    let custom = loaded.settings.provider.profile.custom().expect("a requirement");
    let required = custom.requirement.as_ref().expect("a requirement");
    assert!(required.unary.is_some() && required.stream.is_none());
    assert_eq!(lines_of(&loaded.warnings), "");
    let streamed = load(&source.replace("[unary]", "[unary, stream]"));
    let warnings = streamed.map(|loaded| lines_of(&loaded.warnings)).unwrap_or_default();
    assert!(warnings.contains("says nothing of stream replies (text/event-stream)"), "{warnings}");
    let of_another =
        load(&source.replace("modes: [unary]", "modes: [unary]\n  surface: responses"));
    let shown = of_another.expect_err("no such path").render(false);
    assert!(shown.contains("no path with a `post` ends in /responses"), "{shown}");
    std::fs::write(folder.path().join("api.yaml"), "openapi: [").expect("a file");
    let shown = load(&source).expect_err("not YAML").render(false);
    assert!(shown.contains("api.yaml:1:") && shown.contains("not YAML"), "{shown}");
}

//! Providers that are not of our making, and the promotion of a fallback provider.

use testkit::{Gateway, GatewayPart};

use crate::support::{Plan, Release, chance, port};

#[test]
fn healthy_pair_in_front_of_litellm_is_promoted() {
    let mut plan = Plan::healthy();
    // LiteLLM's master keys begin so.
    plan.key = format!("sk-{}{}", chance(), chance());
    plan.model = "canned-model".to_owned();
    let gateway = Gateway::start(&GatewayPart::Provider { key: plan.key.clone() })
        .expect("the gateway starts");
    let project = plan.provider_at(&gateway.base_url()).write();
    let drilled = project.drill(0);
    assert_eq!(project.leaks(&[&drilled], &[]), vec![], "{drilled}");
}

#[test]
fn fallback_that_lacks_a_required_field_is_held() {
    for (field, form) in [("/usage", "absent"), ("/system_fingerprint", "absent")] {
        let (main, port) = (port(), port());
        let mut plan = Plan::healthy().provider_at(&format!("http://127.0.0.1:{main}/v1"));
        plan.new = Release::plain("2.4.0").key(
            "provider",
            &format!("{{ name: second, base_url: \"http://127.0.0.1:{port}/v1\", key: \"env:E2E_SECOND_KEY\" }}"),
        );
        plan.required_fields = format!("[/choices/0/message/content, {field}]");
        let project = plan.write();
        let mut good = project.start(&["provider", "--listen", &format!("127.0.0.1:{main}")]);
        let mut poor = project.start(&[
            "provider",
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--drop-field",
            field,
        ]);
        assert!(
            good.says("ends with Ctrl-C") && poor.says("ends with Ctrl-C"),
            "{}{}",
            good.said(),
            poor.said()
        );
        let drilled = project.run_with(
            &["drill", "--yes", "--format", "json"],
            &[("E2E_SECOND_KEY", "a-second-key-0123456789")],
        );
        assert_eq!(drilled.code, Some(10), "{field}: {drilled}");
        assert_eq!(drilled.codes(Some("new")), ["required-field-missing"], "{field}: {drilled}");
        assert!(drilled.codes(Some("rollback")).is_empty(), "{field}: {drilled}");
        let json = drilled.json();
        let finding = json["findings"]
            .as_array()
            .and_then(|all| all.iter().find(|one| one["code"] == "required-field-missing"));
        let seen = finding.map(|finding| finding["seen"].to_string()).unwrap_or_default();
        assert!(seen.contains(field) && seen.contains(form), "{seen}");
        drop((good, poor));
        assert_eq!(project.orphans(), vec![], "{drilled}");
        project.assert_route_is_back();
    }
}

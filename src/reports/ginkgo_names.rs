//! Ginkgo's ways of naming: suite-level nodes that are no specs, the `[It]` prefix, labels after the name.
//! Pure text; both readers use it so that one spec has one name.

/// Suite-level nodes of v2, as they open a name in brackets. They are events, not cases.
const NODES: [&str; 7] = [
    "BeforeSuite",
    "AfterSuite",
    "SynchronizedBeforeSuite",
    "SynchronizedAfterSuite",
    "ReportBeforeSuite",
    "ReportAfterSuite",
    "DeferCleanup (Suite)",
];

/// The suite-level node that this JUnit case stands for, if it does: `[ReportAfterSuite] …`, or v1's plain `BeforeSuite`.
pub(super) fn suite_node<'a>(name: &'a str, class: &str, suite: &str) -> Option<&'a str> {
    if let Some(rest) = name.strip_prefix('[') {
        let node = NODES.iter().find(|&&node| rest.strip_prefix(node).is_some_and(|rest| rest.starts_with(']')))?;
        return Some(&name[..node.len() + 2]);
    }
    (matches!(name, "BeforeSuite" | "AfterSuite") && class == suite).then_some(name)
}

/// The spec's own name: without `[It] ` and without labels that the name holds already.
pub(super) fn spec_name(name: &str) -> &str {
    let name = name.strip_prefix("[Top Level] ").unwrap_or(name);
    let Some(spec) = name.strip_prefix("[It] ") else {
        return name;
    };
    let labels = spec.strip_suffix(']').and_then(|rest| rest.rsplit_once(" ["));
    match labels {
        Some((own, labels)) if labels.split(", ").all(|label| own.contains(&format!("[{label}]"))) => own,
        _ => spec,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suite_nodes_are_told_from_specs() {
        let suite = "Kubernetes e2e suite";
        let node = |name| suite_node(name, suite, suite);
        assert_eq!(node("[SynchronizedBeforeSuite]"), Some("[SynchronizedBeforeSuite]"));
        assert_eq!(node("[ReportAfterSuite] Kubernetes e2e suite report"), Some("[ReportAfterSuite]"));
        assert_eq!(node("BeforeSuite"), Some("BeforeSuite"));
        for spec in
            ["[It] [sig-apps] BeforeSuite", "[sig-apps] x", "BeforeSuite works", "[BeforeSuite", "[AfterSuite x]"]
        {
            assert_eq!(node(spec), None, "{spec}");
        }
        assert_eq!(suite_node("BeforeSuite", "com.acme.Hooks", "hooks"), None);
    }

    #[test]
    fn labels_that_repeat_the_name_are_dropped() {
        assert_eq!(spec_name("[It] [sig-apps] passes [Conformance] [Conformance]"), "[sig-apps] passes [Conformance]");
        assert_eq!(spec_name("[It] a [Slow] [Serial] [Slow, Serial]"), "a [Slow] [Serial]");
        assert_eq!(spec_name("[It] [sig-apps] passes [Conformance]"), "[sig-apps] passes [Conformance]");
        assert_eq!(spec_name("[It] waits []"), "waits []");
        assert_eq!(spec_name("plain [x] [x]"), "plain [x] [x]");
    }
}

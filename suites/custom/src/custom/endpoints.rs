//! The endpoints that the change under test promises: every Service in its manifests with the annotation
//! `portcullis.dev/probe: http://:PORT/PATH` answers 200, asked once per attempt from a pod in the cluster.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ListParams;

use super::manifests::Declared;
use super::workspace::declared;
use crate::cluster::Fixture;
use crate::describe;
use crate::pods;
use crate::spec::{NotPassed, SpecResult};

const ANNOTATION: &str = "portcullis.dev/probe";

/// Asks each URL once, without a retry: what answers only at the second time shall be seen as flaky. Each URL's
/// outcome is one line, `PROBE`, then what wget has printed (the headers and its complaint).
const ASK: &str = r#"for url; do
    said=$(wget -S -T 10 -O /dev/null "$url" 2>&1 | tr '\n\r' '  ')
    echo "PROBE $said"
done"#;

pub(super) async fn declared_endpoints_answer(fixture: Fixture) -> SpecResult {
    let mut endpoints = Vec::new();
    for object in declared(&fixture)?.iter().filter(|object| object.kind == "Service") {
        endpoints.extend(Endpoint::of(object).map_err(NotPassed::Failed)?);
    }
    if endpoints.is_empty() {
        return Err(NotPassed::Skipped(format!("no Service is annotated with {ANNOTATION}")));
    }
    let namespace = fixture.namespace().await?;
    let urls: Vec<_> = endpoints.iter().map(|endpoint| endpoint.url.as_str()).collect();
    let log = pods::script(&fixture, &namespace, "probe", ASK, &urls).await?;
    let answers: Vec<_> = log.lines().filter_map(|line| line.strip_prefix("PROBE ")).collect();
    if answers.len() != endpoints.len() {
        return Err(NotPassed::failed(format!("expected {} answers, got these:\n{log}", endpoints.len())));
    }
    let mut failures = Vec::new();
    for (endpoint, answer) in endpoints.iter().zip(answers) {
        if status(answer) != Some(200) {
            failures.push(explain(&fixture, endpoint, answer).await);
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(NotPassed::Failed(failures.join("\n"))) }
}

/// A Service that promises to answer.
#[derive(Debug, PartialEq, Eq)]
struct Endpoint {
    namespace: String,
    service: String,
    url: String,
    file: String,
}

impl Endpoint {
    /// Nothing when the Service is not annotated; an error when the annotation cannot be read.
    fn of(declared: &Declared) -> Result<Option<Self>, String> {
        let (service, namespace, file) = (&declared.name, &declared.namespace, &declared.file);
        let annotation = &declared.object["metadata"]["annotations"][ANNOTATION];
        if annotation.is_null() {
            return Ok(None);
        }
        let unreadable =
            || format!("{file}: Service {service}: {ANNOTATION} must read http://:PORT/PATH, not {annotation}");
        let text = annotation.as_str().ok_or_else(unreadable)?;
        let (port, path) =
            text.strip_prefix("http://:").and_then(|rest| rest.split_once('/')).ok_or_else(unreadable)?;
        let port: u16 = port.parse().map_err(|_| unreadable())?;
        if path.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(unreadable());
        }
        Ok(Some(Self {
            url: format!("http://{service}.{namespace}.svc.cluster.local:{port}/{path}"),
            namespace: namespace.clone(),
            service: service.clone(),
            file: file.clone(),
        }))
    }
}

/// The status of the last answer: those before it are redirects.
fn status(answer: &str) -> Option<u16> {
    let after = |version| answer.rfind(version).map(|at| (at, &answer[at + "HTTP/1.1 ".len()..]));
    let (_, rest) = after("HTTP/1.1 ").into_iter().chain(after("HTTP/1.0 ")).max_by_key(|(at, _)| *at)?;
    rest.split_whitespace().next()?.parse().ok()
}

async fn explain(fixture: &Fixture, endpoint: &Endpoint, answer: &str) -> String {
    let Endpoint { url, namespace, service, file } = endpoint;
    let got = match status(answer) {
        Some(status) => format!("got {status}"),
        // What comes before is about connecting.
        None => answer.rsplit("wget: ").next().unwrap_or_default().trim().to_owned(),
    };
    // The first line has to fit into a status.
    let short = url.trim_start_matches("http://").replacen(".svc.cluster.local", "", 1);
    let mut text = format!(
        "{short}: expected 200, {got}\n{url} was asked from a pod\nService {namespace}/{service} is declared in {file}"
    );
    let found = fixture.api::<Service>(namespace).get_opt(service).await.ok().flatten();
    match found.and_then(|service| service.spec) {
        None => text += "\nthere is no such Service in the cluster",
        Some(spec) => {
            for port in spec.ports.iter().flatten() {
                let target = match &port.target_port {
                    Some(IntOrString::Int(number)) => number.to_string(),
                    Some(IntOrString::String(name)) => format!("`{name}`"),
                    None => port.port.to_string(),
                };
                text += &format!("\nit forwards port {} to {target} of its pods", port.port);
            }
            let selector: Vec<_> =
                spec.selector.iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
            let selector = ListParams::default().labels(&selector.join(","));
            text += &format!("\n{}", describe::pods(&fixture.cluster.client, namespace, &selector).await);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::manifests;
    use super::*;

    fn endpoint(annotation: Value) -> Result<Option<Endpoint>, String> {
        let object = json!({ "metadata": { "annotations": { ANNOTATION: annotation } } });
        Endpoint::of(&Declared {
            file: "deploy/web.yaml".into(),
            kind: "Service".into(),
            namespace: "shop".into(),
            name: "web".into(),
            object,
        })
    }

    #[test]
    fn an_annotation_becomes_a_url_inside_the_cluster() {
        let found = endpoint(json!("http://:80/health?full=1")).unwrap().unwrap();
        assert_eq!(found.url, "http://web.shop.svc.cluster.local:80/health?full=1");
        assert_eq!(endpoint(Value::Null), Ok(None));
    }

    #[test]
    fn every_example_promises_one_endpoint() {
        for example in ["ok", "broken", "crashloop", "flaky"] {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/").to_owned() + example;
            let declared = manifests::read(folder.as_ref()).unwrap().unwrap();
            let kinds = |kind: &str| declared.iter().filter(|object| object.kind == kind).count();
            assert_eq!((kinds("Deployment"), kinds("StatefulSet"), kinds("Service")), (1, 1, 2), "{example}");
            let endpoints: Vec<_> = declared.iter().filter_map(|object| Endpoint::of(object).unwrap()).collect();
            let urls: Vec<_> = endpoints.iter().map(|endpoint| endpoint.url.as_str()).collect();
            assert_eq!(urls, ["http://front.default.svc.cluster.local:80/cgi-bin/health"], "{example}");
        }
    }

    #[test]
    fn an_annotation_that_cannot_be_read_is_an_error_with_its_file() {
        for wrong in [
            json!("http://elsewhere:80/"),
            json!("https://:443/"),
            json!("http://:99999/"),
            json!("http://:80"),
            json!("http://:80/a b"),
            json!(80),
        ] {
            let error = endpoint(wrong.clone()).unwrap_err();
            assert!(error.starts_with("deploy/web.yaml: Service web: "), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_last_status_counts() {
        for (answer, expected) in [
            ("Connecting to web:80 (10.43.0.1:80)   HTTP/1.1 200 OK   Date: …", Some(200)),
            (
                "  HTTP/1.1 302 Found   Location: /x   HTTP/1.0 500 Internal Server Error wget: server returned error",
                Some(500),
            ),
            ("wget: can't connect to remote host (10.43.0.1): Connection refused", None),
            ("", None),
        ] {
            assert_eq!(status(answer), expected, "{answer}");
        }
    }
}

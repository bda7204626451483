//! Real clusters of the node image: made, made again, found ready, brought to a state, and taken away without a trace.

use std::time::{Duration, Instant};

use portcullis::adapters::docker::{Docker, DockerSettings};
use portcullis::adapters::kube::KubeApi;
use portcullis::domain::attempt::Part;
use portcullis::domain::cluster::ClusterPlan;
use portcullis::domain::ids::{ClusterId, RunId};
use portcullis::domain::invocation::of_attempt;
use portcullis::domain::progress::Progress;
use portcullis::domain::suite::{Entry, Ginkgo, Suite};
use portcullis::ports::{
    Audience, ClusterAccess, ClusterHealth, ClusterProvider, ClusterSpec, ContainerState, Kubernetes, KubernetesError,
    Manifest, Privileged, ProviderError,
};

use crate::support::engine::{
    BUSYBOX, Corner, NO_NODE, collect, ended, figure, follow, now, progress, run, script, start, until,
};

const LIMIT: Duration = Duration::from_secs(300);

fn spec(nodes: u8) -> ClusterSpec {
    let now = now();
    let plan = ClusterPlan { image: None, nodes, server_args: vec![], ready_timeout_s: 300 };
    ClusterSpec { id: ClusterId::new(now), run: RunId::new(now), plan, expires_at: now }
}

fn manifest(path: &str, text: &str) -> Vec<Manifest> {
    vec![Manifest { path: path.into(), text: text.into() }]
}

/// Manifests that need nothing but the pause image, which every node has.
const SHOP: &str = "
apiVersion: stock.example/v1
kind: Shelf
metadata: {name: first, namespace: shop}
spec: {size: 3}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec:
      containers:
      - {name: c, image: 'registry.k8s.io/pause:3.10.1'}
      volumes:
      - {name: settings, configMap: {name: settings, defaultMode: 0644}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: shop}, data: {a: b}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: shelves.stock.example}
spec:
  group: stock.example
  names: {kind: Shelf, plural: shelves}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

const BROKEN: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: broken, namespace: shop}
spec:
  selector: {matchLabels: {app: broken}}
  template:
    metadata: {labels: {app: broken}}
    spec:
      containers:
      - {name: c, image: '127.0.0.1:9/nobody/nothing:1'}
";

const SEES_THE_API: &str =
    "grep -o 'https://.*' $KUBECONFIG; wget -q -O - --no-check-certificate $(grep -o 'https://.*' $KUBECONFIG)/readyz";

async fn ready(provider: &impl ClusterProvider, kube: &KubeApi, spec: &ClusterSpec) -> ClusterAccess {
    let start = Instant::now();
    provider.ensure(spec).await.unwrap();
    let made = start.elapsed();
    provider.ensure(spec).await.unwrap();
    let access =
        until("the kubeconfig appears", LIMIT, async || provider.access(spec.id, Audience::Service).await.unwrap())
            .await;
    let reachable = start.elapsed();
    let mut last = Vec::new();
    until("the cluster is ready", LIMIT, async || {
        match kube.not_ready(&access, spec.plan.nodes).await {
            Ok(missing) if missing.is_empty() => return Some(()),
            Ok(missing) => last = missing,
            Err(error) => last = vec![format!("{error}")],
        }
        assert!(start.elapsed() < LIMIT, "{last:?}");
        None
    })
    .await;
    figure(&format!(
        "{} nodes: containers {made:.1?}, kubeconfig {reachable:.1?}, ready {:.1?}",
        spec.plan.nodes,
        start.elapsed()
    ));
    access
}

async fn rolled_out(kube: &KubeApi, access: &ClusterAccess, manifests: &[Manifest]) {
    until("everything is rolled out", LIMIT, async || match kube.apply(access, manifests).await {
        Ok(()) => Some(()),
        Err(KubernetesError::Failed { .. }) => None,
        Err(error) => panic!("{error:?}"),
    })
    .await;
    until("everything is rolled out", LIMIT, async || {
        kube.not_rolled_out(access, manifests).await.unwrap().is_empty().then_some(())
    })
    .await;
}

async fn a_whole_life(nodes: u8) {
    let corner = Corner::new(&format!("cluster-{nodes}"));
    let (docker, kube, spec) = (corner.docker(), KubeApi::default(), spec(nodes));
    let access = ready(&docker, &kube, &spec).await;
    assert_eq!(docker.observe(spec.id).await.unwrap(), ClusterHealth::Up);
    assert_eq!(docker.list().await.unwrap(), [spec.id]);
    assert!(kube.version(&access).await.unwrap().starts_with("v1."));

    let shop = manifest("deploy/shop.yaml", SHOP);
    rolled_out(&kube, &access, &shop).await;
    rolled_out(&kube, &access, &shop).await;
    names_what_is_wrong(&kube, &access).await;

    // A suite reaches the API server by the node's name, from a container of its own.
    let mut suite = script(BUSYBOX, "");
    suite.invocation.command = ["/bin/sh", "-ec", SEES_THE_API].map(str::to_owned).into();
    suite.cluster = spec.id;
    suite.access = docker.access(spec.id, Audience::Suite).await.unwrap().unwrap();
    start(&docker, &suite).await;
    assert_eq!(ended(&docker, suite.attempt).await.state, ContainerState::Exited { code: 0, oom_killed: false });

    // Another process adopts the cluster as it is; a node that dies is missed and its last words are told.
    let again = corner.docker();
    again.ensure(&spec).await.unwrap();
    assert_eq!(
        corner.left().len(),
        usize::from(nodes) + 1 + 1 + 4 * usize::from(nodes),
        "nodes, suite, network, volumes"
    );
    assert!(again.diagnose(spec.id).await.unwrap().contains("-server-0 <=="));
    let server = format!("portcullis-{}-server-0", spec.id.short());
    run("docker", &["kill", &server]);
    match again.observe(spec.id).await.unwrap() {
        ClusterHealth::Down(why) => assert!(why.contains(&server) && why.contains("exit code 137"), "{why}"),
        ClusterHealth::Up => panic!("a killed node is not up"),
    }
    let begin = Instant::now();
    again.destroy(spec.id).await.unwrap();
    figure(&format!("{nodes} nodes: taken away in {:.1?}", begin.elapsed()));
    again.destroy(spec.id).await.unwrap();
    assert!(corner.left().is_empty());
    assert!(again.list().await.unwrap().is_empty());
    assert!(again.access(spec.id, Audience::Service).await.unwrap().is_none());
}

async fn names_what_is_wrong(kube: &KubeApi, access: &ClusterAccess) {
    let broken = manifest("deploy/broken.yaml", BROKEN);
    kube.apply(access, &broken).await.unwrap();
    let why = until("the broken image is named", LIMIT, async || {
        let missing = kube.not_rolled_out(access, &broken).await.unwrap();
        missing.into_iter().find(|text| text.contains("ErrImagePull") || text.contains("ImagePullBackOff"))
    })
    .await;
    assert!(why.starts_with("Deployment broken") && why.contains("pod broken-"), "{why}");
    let mistakes = [
        ("kind: Deployment\napiVersion: apps/v1\nmetadata: {name: x}\nspec: {replicas: many}", "Deployment x"),
        ("kind: Nonsense\napiVersion: example.org/v1\nmetadata: {name: x}", "Nonsense"),
        ("kind: ConfigMap\napiVersion: v1\nmetadata: {name: x, namespace: nowhere}", "nowhere"),
    ];
    for (text, named) in mistakes {
        match kube.apply(access, &manifest("deploy/x.yaml", text)).await {
            Err(KubernetesError::Rejected(why)) => {
                assert!(why.contains("deploy/x.yaml") && why.contains(named), "{why}")
            }
            other => panic!("{named}: {other:?}"),
        }
    }
}

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn a_cluster_of_one_node_lives_and_leaves_nothing() {
    a_whole_life(1).await;
}

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn a_cluster_of_two_nodes_lives_and_leaves_nothing() {
    a_whole_life(2).await;
}

#[tokio::test]
#[ignore = "needs Docker, the node image and the conformance image"]
async fn upstream_specs_run_from_our_arguments() {
    let corner = Corner::new("upstream");
    let (docker, kube, spec) = (corner.docker(), KubeApi::default(), spec(1));
    let access = ready(&docker, &kube, &spec).await;
    let version = kube.version(&access).await.unwrap();
    let mut suite = script(&format!("registry.k8s.io/conformance:{version}"), "");
    suite.cluster = spec.id;
    suite.access = docker.access(spec.id, Audience::Suite).await.unwrap().unwrap();
    suite.limits.memory_bytes = 2 << 30;
    suite.limits.pids = 1000;
    let mut upstream = Suite::plain(suite.image.clone());
    upstream.entry = Entry::Ginkgo(Ginkgo {
        focus: vec![r"\[sig-node\] ConfigMap .* \[NodeConformance\] \[Conformance\]".into(), "Lease lease API".into()],
        skip: vec![r"\[Serial\]".into()],
        label_filter: "Conformance".into(),
        procs: 2,
        extra_args: vec!["--allowed-not-ready-nodes=-1".into()],
    });
    let skips = ["should be consumable via the environment".to_owned()];
    let invocation = of_attempt(&upstream, &Part::Phase(0), &skips, &version);
    suite.invocation = invocation.unwrap_or_else(|why| panic!("{why}"));
    start(&docker, &suite).await;
    let log = corner.home.path().join("log");
    follow(&docker, &suite, &log);
    let seen = ended(&docker, suite.attempt).await;
    let into = corner.home.path().join("results");
    let problems = collect(&docker, &suite, &into).await;
    let text = std::fs::read_to_string(&log).unwrap();
    assert_eq!(seen.state, ContainerState::Exited { code: 0, oom_killed: false }, "{text}");
    assert!(problems.is_empty(), "{problems:?}");
    assert!(into.join("report.json").exists() && into.join("junit_01.xml").exists());
    let counted = progress(&docker, &suite).await;
    assert!(counted.total >= 2 && counted == Progress { completed: counted.total, ..counted }, "{counted:?}");
    figure(&format!("{} specs ran, {} bytes of log", counted.total, text.len()));
    docker.destroy(spec.id).await.unwrap();
    assert!(corner.left().is_empty());
}

/// As the engine does: asks again while what was cut off is still being made behind our back.
async fn until_made(docker: &portcullis::adapters::docker::Docker, spec: &ClusterSpec) {
    let begun = Instant::now();
    loop {
        match docker.ensure(spec).await {
            Ok(()) => return,
            Err(ProviderError::Failed { .. }) if begun.elapsed() < Duration::from_secs(60) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn creation_cut_off_anywhere_is_taken_up_again() {
    let corner = Corner::new("cut-off");
    let (docker, spec) = (corner.docker(), spec(2));
    // Learn first what this host allows, so that the cuts below fall between creations and starts of the real thing.
    docker.ensure(&spec).await.unwrap();
    docker.destroy(spec.id).await.unwrap();
    for milliseconds in [1, 20, 60, 120, 250, 500, 900, 1500] {
        let _cut = tokio::time::timeout(Duration::from_millis(milliseconds), docker.ensure(&spec)).await;
        drop(_cut);
        until_made(&corner.docker(), &spec).await;
        assert_eq!(docker.observe(spec.id).await.unwrap(), ClusterHealth::Up);
        assert_eq!(corner.left().len(), 2 + 1 + 8, "after a cut at {milliseconds} ms");
        docker.destroy(spec.id).await.unwrap();
        assert!(corner.left().is_empty());
    }
}

/// What hosts get that refuse `--privileged`; all others take it and would never try the narrower flags.
#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn cluster_without_privileged_gets_ready() {
    let corner = Corner::new("narrow");
    let docker = Docker::new(DockerSettings { privileged: Privileged::Never, ..corner.settings() });
    let spec = spec(1);
    ready(&docker, &KubeApi::default(), &spec).await;
    let server = format!("label=dev.portcullis.cluster={}", spec.id);
    let id = run("docker", &["ps", "-q", "--filter", &server]);
    assert_eq!(run("docker", &["inspect", "-f", "{{.HostConfig.Privileged}}", id.trim()]).trim(), "false");
    docker.destroy(spec.id).await.unwrap();
    assert!(corner.left().is_empty());
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn a_node_image_that_cannot_be_had_is_refused() {
    let corner = Corner::new("node-image");
    let docker = corner.docker();
    let mut spec = spec(1);
    spec.plan.image = Some("127.0.0.1:9/nobody/node:1".into());
    match docker.ensure(&spec).await.unwrap_err() {
        portcullis::ports::ProviderError::Refused(text) => {
            assert!(text.starts_with("node image 127.0.0.1:9/nobody/node:1 cannot be pulled: "), "{text}");
        }
        other => panic!("{other:?}"),
    }
    assert!(corner.left().is_empty());
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn without_a_configured_node_image_the_first_that_is_there_is_taken_and_our_own_is_never_pulled() {
    let corner = Corner::new("node-images");
    let with = |images: [&str; 2]| {
        let node_images = images.map(str::to_owned).to_vec();
        Docker::new(DockerSettings { node_images, ..corner.settings() })
    };
    let cluster = spec(1);
    for (images, expected) in [
        (
            ["portcullis/none:0", "127.0.0.1:9/nobody/node:1"],
            ["127.0.0.1:9/nobody/node:1 cannot be pulled: ", "; nor is there portcullis/none:0"],
        ),
        (
            ["portcullis-test/none:0", "portcullis/none:0"],
            ["portcullis/none:0 cannot be pulled: it is built, not published", "`make images`"],
        ),
    ] {
        match with(images).ensure(&cluster).await.unwrap_err() {
            portcullis::ports::ProviderError::Refused(text) => {
                assert!(expected.iter().all(|part| text.contains(part)), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(corner.left().is_empty());
    let docker = with(["portcullis-test/none:0", NO_NODE]);
    docker.ensure(&cluster).await.unwrap();
    let filter = format!("label=dev.portcullis.cluster={}", cluster.id);
    assert_eq!(run("docker", &["ps", "-a", "--filter", &filter, "--format", "{{.Image}}"]).trim(), NO_NODE);
    docker.destroy(cluster.id).await.unwrap();
    docker.close().await;
}

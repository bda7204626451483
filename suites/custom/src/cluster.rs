//! The cluster under test and the namespaces that specs make in it. Everything made carries the label of this
//! execution and goes away with it; nothing that somebody else made is ever deleted here.

use std::cell::RefCell;
use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource, ResourceExt};
use serde_json::json;
use tokio::time::timeout;

use crate::args::{Images, Settings};
use crate::spec::{SpecResult, While};
use crate::wait::{Seen, until};

const RUN_LABEL: &str = "portcullis.dev/suite-run";
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Deleting is asked for, not awaited; this bounds the asking.
const TIDY_LIMIT: Duration = Duration::from_secs(5);

/// The cluster under test, as specs see it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) images: Images,
    pub(crate) workspace: PathBuf,
    /// Tells this execution's namespaces from those of others on the same cluster.
    run: String,
}

impl Cluster {
    /// Reads the kubeconfig. Does not connect yet.
    pub(crate) async fn new(settings: &Settings) -> anyhow::Result<Self> {
        let path = settings.kubeconfig.as_deref().context("KUBECONFIG is not set")?;
        let kubeconfig = Kubeconfig::read_from(path)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.connect_timeout = Some(Duration::from_secs(5));
        Ok(Self {
            client: Client::try_from(config)?,
            images: settings.images.clone(),
            workspace: settings.workspace.clone(),
            run: format!("{:016x}", RandomState::new().hash_one(std::process::id())),
        })
    }

    /// Whether the API server answers at all; otherwise no spec can tell anything about the cluster.
    pub(crate) async fn answers(&self) -> SpecResult {
        until("API server", ANSWER_LIMIT, async || self.client.apiserver_version().await.map(|_| Seen::Ready(()))).await
    }

    /// Deletes what is left of this execution: a namespace whose creation was interrupted is known to nobody.
    pub(crate) async fn sweep(&self) {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let ours = ListParams::default().labels(&format!("{RUN_LABEL}={}", self.run));
        let sweep = async {
            for left in namespaces.list(&ours).await? {
                if left.metadata.deletion_timestamp.is_none() {
                    namespaces.delete(&left.name_any(), &DeleteParams::default()).await?;
                }
            }
            Ok::<_, kube::Error>(())
        };
        // Whoever owns the cluster sweeps it too; a lost API server must not cost the report.
        let _ = timeout(TIDY_LIMIT, sweep).await;
    }

    #[cfg(test)]
    pub(crate) fn unreachable() -> Self {
        let nowhere = Config::new("http://127.0.0.1:9".parse().unwrap());
        Self {
            client: Client::try_from(nowhere).unwrap(),
            images: Images { agnhost: "agnhost".into(), busybox: "busybox".into() },
            workspace: "/nowhere".into(),
            run: "test".into(),
        }
    }
}

/// What one try of one spec works with: the cluster, and namespaces that go when the try has ended.
#[derive(Clone)]
pub(crate) struct Fixture {
    pub(crate) cluster: Cluster,
    slug: String,
    made: Rc<RefCell<Vec<String>>>,
}

impl Fixture {
    pub(crate) fn new(cluster: Cluster, spec: &str) -> Self {
        Self { cluster, slug: slug(spec), made: Rc::default() }
    }

    /// A new namespace in which pods can be started.
    pub(crate) async fn namespace(&self) -> SpecResult<String> {
        self.namespace_labelled(&[]).await
    }

    /// As [`Self::namespace`], with more labels.
    pub(crate) async fn namespace_labelled(&self, labels: &[(&str, &str)]) -> SpecResult<String> {
        let mut metadata = json!({
            "generateName": format!("portcullis-{}-", self.slug),
            "labels": { RUN_LABEL: self.cluster.run },
        });
        for (key, value) in labels {
            metadata["labels"][*key] = json!(value);
        }
        let namespace: Namespace = typed(json!({ "metadata": metadata }));
        let api = Api::<Namespace>::all(self.cluster.client.clone());
        let made = api.create(&PostParams::default(), &namespace).await.while_("creating a namespace")?.name_any();
        self.made.borrow_mut().push(made.clone());
        self.await_service_account(&made).await?;
        Ok(made)
    }

    /// Admission refuses pods in a namespace that has no default ServiceAccount yet.
    async fn await_service_account(&self, namespace: &str) -> SpecResult {
        let accounts = self.api::<ServiceAccount>(namespace);
        let what = format!("default ServiceAccount of namespace {namespace}");
        until(what, Duration::from_secs(30), async || {
            Ok(match accounts.get_opt("default").await? {
                Some(_) => Seen::Ready(()),
                None => Seen::NotYet("it does not exist".into()),
            })
        })
        .await
    }

    pub(crate) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.cluster.client.clone(), namespace)
    }

    /// Creates an object from its JSON form.
    pub(crate) async fn create<K>(&self, namespace: &str, object: serde_json::Value) -> SpecResult<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug,
        K: serde::Serialize + serde::de::DeserializeOwned,
    {
        let object: K = typed(object);
        let step = format!("creating {} {}", K::kind(&()), object.name_any());
        self.api::<K>(namespace).create(&PostParams::default(), &object).await.while_(&step)
    }

    /// Asks for the deletion of the namespaces made so far.
    pub(crate) async fn tidy(&self) {
        let namespaces = Api::<Namespace>::all(self.cluster.client.clone());
        let made = self.made.take();
        let tidy = async {
            for name in made {
                // What fails here is found again by the sweep at the end.
                let _ = namespaces.delete(&name, &DeleteParams::default()).await;
            }
        };
        let _ = timeout(TIDY_LIMIT, tidy).await;
    }
}

/// # Panics
/// When the JSON, which specs write as literals, does not have the object's shape.
pub(crate) fn typed<K: serde::de::DeserializeOwned>(object: serde_json::Value) -> K {
    serde_json::from_value(object).expect("a literal object has the shape of its kind")
}

/// A spec's name as part of a namespace's, short enough that the whole stays within 63 characters.
fn slug(name: &str) -> String {
    let dashed: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let words: Vec<_> = dashed.split('-').filter(|word| !word.is_empty()).collect();
    let mut slug = words.join("-");
    slug.truncate(40);
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_valid_parts_of_namespace_names() {
        assert_eq!(slug("pod: runs to completion"), "pod-runs-to-completion");
        let long = slug("statefulset: a roll-out keeps the data of its volumes");
        assert!(format!("portcullis-{long}-abcde").len() <= 63);
        assert_eq!(long, "statefulset-a-roll-out-keeps-the-data-of");
    }
}

//! A node's admin kubeconfig, made anew for whoever reads it. Suites have the run of the cluster and may have rewritten the file on
//! the node: only credentials are taken from it, never an address, a path or a program to execute.

use serde::Deserialize;

use super::error::EngineError;

/// The node's file as far as it is believed.
#[derive(Deserialize)]
struct Admin {
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedCluster {
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    certificate_authority_data: String,
}

#[derive(Deserialize)]
struct NamedUser {
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate_data: String,
    client_key_data: String,
}

/// The kubeconfig for reaching the cluster's API server at this address.
pub(super) fn rewritten(text: &str, server: &str) -> Result<String, EngineError> {
    let failed =
        |source: anyhow::Error| EngineError::Failed { what: "reading the cluster's kubeconfig".to_owned(), source };
    // Without snippets: an error's text must not show keys.
    let options = serde_saphyr::options! { with_snippet: false, budget: serde_saphyr::budget! { max_nodes: 1000, max_depth: 16 } };
    let admin: Admin = serde_saphyr::from_str_with_options(text, options).map_err(|error| failed(error.into()))?;
    let (Some(cluster), Some(user)) = (admin.clusters.into_iter().next(), admin.users.into_iter().next()) else {
        return Err(failed(anyhow::anyhow!("it names no cluster or no user")));
    };
    let authority = cluster.cluster.certificate_authority_data;
    let (certificate, key) = (user.user.client_certificate_data, user.user.client_key_data);
    if ![&authority, &certificate, &key].into_iter().all(|data| is_base64(data)) {
        return Err(failed(anyhow::anyhow!("its credentials are not base64")));
    }
    Ok(format!(
        "apiVersion: v1
kind: Config
clusters:
- name: default
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: default
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: default
  context:
    cluster: default
    user: default
current-context: default
"
    ))
}

/// Base64 of the standard alphabet on one line: it needs no quoting in YAML.
fn is_base64(data: &str) -> bool {
    !data.is_empty() && data.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}

#[cfg(test)]
mod tests {
    use super::*;

    const K3S: &str = "apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://127.0.0.1:6443
  name: default
contexts: []
current-context: default
kind: Config
preferences: {}
users:
- name: default
  user:
    client-certificate-data: Q0VSVA==
    client-key-data: S0VZ
";

    #[test]
    fn the_address_is_ours_and_the_credentials_are_theirs() {
        let text = rewritten(K3S, "https://node:6443").unwrap();
        assert!(text.contains("server: https://node:6443\n") && !text.contains("127.0.0.1"));
        assert!(text.contains("client-key-data: S0VZ\n") && text.contains("current-context: default"));
        assert_eq!(rewritten(&text, "https://node:6443").unwrap(), text, "what we write we can read");
    }

    #[test]
    fn nothing_else_of_a_tampered_file_survives() {
        let evil = K3S
            .replace("    client-key-data: S0VZ\n", "    client-key-data: S0VZ\n    exec:\n      command: /bin/evil\n");
        let text =
            rewritten(&evil.replace("https://127.0.0.1:6443", "https://attacker.example"), "https://127.0.0.1:1")
                .unwrap();
        assert!(!text.contains("evil") && !text.contains("attacker"));
        let injected = K3S.replace("S0VZ", "\"S0VZ\\nexec: x\"");
        assert!(rewritten(&injected, "https://n").is_err());
        assert!(rewritten("a: [", "https://n").is_err() && rewritten("clusters: []\nusers: []", "https://n").is_err());
    }
}

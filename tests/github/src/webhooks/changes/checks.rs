//! Statuses and checks as they are told: `status`, `check_run`, `check_suite`.

use serde_json::{Value, json};

use super::kind_of;
use crate::clock::stamp;
use crate::state::World;
use crate::state::check::CheckRun;
use crate::state::status::Status;
use crate::view::View;
use crate::webhooks::{Deliveries, Event};

impl World {
    pub(crate) fn send_status(&mut self, status: &Status) {
        let repository = self.known(&status.repository);
        let view = View::plain(self);
        let branches: Vec<Value> = repository
            .branches
            .iter()
            .filter(|(_, sha)| **sha == status.sha)
            .map(|(name, sha)| {
                let url = format!("{}/repos/{}/commits/{sha}", view.api, status.repository);
                json!({ "name": name, "commit": { "sha": sha, "url": url }, "protected": false })
            })
            .collect();
        let parts = vec![
            ("id", json!(status.id)),
            ("sha", json!(status.sha)),
            ("name", json!(status.repository)),
            ("target_url", json!(status.target_url)),
            ("context", json!(status.context)),
            ("description", json!(status.description)),
            ("state", json!(status.state.as_str())),
            ("commit", view.commit(repository, &status.sha, false)),
            ("branches", json!(branches)),
            ("created_at", json!(stamp(status.created_at))),
            ("updated_at", json!(stamp(status.created_at))),
        ];
        let (full_name, sender) = (status.repository.as_str(), status.creator.as_str());
        drop(self.send(&Event { name: "status", action: None, repository: full_name, sender, parts }));
    }

    pub(crate) fn send_check_run(&mut self, full_name: &str, action: &str, run: &CheckRun) {
        let sender = self.app.as_ref().map(|app| app.bot()).unwrap_or_default();
        drop(self.send_check_run_by(full_name, action, run, &sender));
    }

    fn send_check_run_by(&mut self, full_name: &str, action: &str, run: &CheckRun, by: &str) -> Deliveries {
        let repository = self.known(full_name);
        let view = View::plain(self);
        let mut shown = view.check_run(repository, run);
        shown["check_suite"] = view.check_suite(repository, &repository.check_suites[&run.suite]);
        let parts = vec![("check_run", shown)];
        self.send(&Event { name: "check_run", action: Some(action), repository: full_name, sender: by, parts })
    }

    pub(crate) fn rerequest_check_run(&mut self, full_name: &str, id: u64, by: &str) -> Deliveries {
        self.ensure_account(by, kind_of(by));
        let run = self.known(full_name).check_runs[&id].clone();
        self.send_check_run_by(full_name, "rerequested", &run, by)
    }

    pub(crate) fn rerequest_check_suite(&mut self, full_name: &str, id: u64, by: &str) -> Deliveries {
        self.ensure_account(by, kind_of(by));
        let repository = self.known(full_name);
        let suite = View::plain(self).check_suite(repository, &repository.check_suites[&id]);
        let parts = vec![("check_suite", suite)];
        let event =
            Event { name: "check_suite", action: Some("rerequested"), repository: full_name, sender: by, parts };
        self.send(&event)
    }
}

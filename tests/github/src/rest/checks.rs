//! Check runs and check suites. Only Apps write them; people may ask for a re-run.

use serde_json::{Value, json};

use super::view;
use crate::call::Call;
use crate::reply::{Refusal, Reply};
use crate::state::World;
use crate::state::check::{CheckRun, CheckSuite};
use crate::view::View;

const MAX_TEXT: usize = 65_535;
const MAX_ANNOTATIONS: usize = 50;

pub(super) fn create(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let sha = call.text("head_sha").unwrap_or_default().to_owned();
    if !world.of(call)?.commits.contains_key(&sha) {
        return Err(Refusal::unprocessable(format!("No commit found for SHA: {sha}")));
    }
    refuse_bad_output(&call.body)?;
    refuse_unconcluded(&call.body)?;
    let suite = suite_for(world, call, &sha)?;
    let (id, now) = (world.next_id(), world.clock.now());
    let mut run = CheckRun {
        id,
        suite,
        head_sha: sha,
        name: call.text("name").unwrap_or_default().to_owned(),
        status: "queued".to_owned(),
        conclusion: None,
        details_url: None,
        external_id: None,
        started_at: now,
        completed_at: None,
        title: None,
        summary: None,
        text: None,
        annotations: Vec::new(),
        actions: Vec::new(),
    };
    apply(world, &mut run, &call.body);
    world.of_mut(call)?.check_runs.insert(id, run.clone());
    let full_name = world.of(call)?.full_name();
    world.send_check_run(&full_name, "created", &run);
    Ok(Reply::created(view!(world, call).check_run(world.of(call)?, &run)))
}

pub(super) fn update(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let mut run = run_of(world, call)?.clone();
    refuse_bad_output(&call.body)?;
    refuse_unconcluded(&call.body)?;
    let was_completed = run.status == "completed";
    apply(world, &mut run, &call.body);
    world.of_mut(call)?.check_runs.insert(run.id, run.clone());
    if run.status == "completed" && !was_completed {
        let full_name = world.of(call)?.full_name();
        world.send_check_run(&full_name, "completed", &run);
    }
    Ok(Reply::ok(view!(world, call).check_run(world.of(call)?, &run)))
}

/// Takes over what the body names. A conclusion completes the run, as GitHub documents.
fn apply(world: &World, run: &mut CheckRun, body: &Value) {
    let now = world.clock.now();
    let text = |field: &str| body[field].as_str().map(str::to_owned);
    run.name = text("name").unwrap_or_else(|| run.name.clone());
    run.details_url = text("details_url").or_else(|| run.details_url.take());
    run.external_id = text("external_id").or_else(|| run.external_id.take());
    run.started_at = text("started_at").and_then(|at| at.parse().ok()).unwrap_or(run.started_at);
    run.status = text("status").unwrap_or_else(|| run.status.clone());
    if let Some(conclusion) = text("conclusion") {
        run.conclusion = Some(conclusion);
        run.status = "completed".to_owned();
    } else if run.status != "completed" {
        (run.conclusion, run.completed_at) = (None, None);
    }
    if run.status == "completed" {
        run.completed_at = text("completed_at").and_then(|at| at.parse().ok()).or(run.completed_at).or(Some(now));
    }
    let output = &body["output"];
    run.title = output["title"].as_str().map(str::to_owned).or_else(|| run.title.take());
    run.summary = output["summary"].as_str().map(str::to_owned).or_else(|| run.summary.take());
    run.text = output["text"].as_str().map(str::to_owned).or_else(|| run.text.take());
    run.annotations.extend(output["annotations"].as_array().into_iter().flatten().cloned());
    if let Some(actions) = body["actions"].as_array() {
        run.actions.clone_from(actions);
    }
}

fn refuse_unconcluded(body: &Value) -> Result<(), Refusal> {
    if body["status"] == "completed" && body["conclusion"].is_null() {
        let error = json!({ "resource": "CheckRun", "field": "conclusion", "code": "missing_field" });
        return Err(Refusal::errors(vec![error]));
    }
    Ok(())
}

fn refuse_bad_output(body: &Value) -> Result<(), Refusal> {
    let output = &body["output"];
    for field in ["summary", "text"] {
        if output[field].as_str().is_some_and(|text| text.chars().count() > MAX_TEXT) {
            let message = format!("Only {MAX_TEXT} characters are allowed; {field} is too long");
            return Err(Refusal::invalid("CheckRun", field, &message));
        }
    }
    if output["annotations"].as_array().is_some_and(|annotations| annotations.len() > MAX_ANNOTATIONS) {
        return Err(Refusal::invalid("CheckRun", "annotations", "Only 50 annotations are allowed in one request"));
    }
    Ok(())
}

/// The App's suite for a commit, made with its first run.
fn suite_for(world: &mut World, call: &Call, sha: &str) -> Result<u64, Refusal> {
    if let Some(suite) = world.of(call)?.check_suites.values().find(|suite| suite.head_sha == sha) {
        return Ok(suite.id);
    }
    let (id, now) = (world.next_id(), world.clock.now());
    let suite = CheckSuite { id, head_sha: sha.to_owned(), created_at: now, updated_at: now };
    world.of_mut(call)?.check_suites.insert(id, suite);
    Ok(id)
}

fn run_of<'w>(world: &'w World, call: &Call) -> Result<&'w CheckRun, Refusal> {
    let id = call.number("check_run_id")?;
    world.of(call)?.check_runs.get(&id).ok_or_else(Refusal::not_found)
}

fn suite_of<'w>(world: &'w World, call: &Call) -> Result<&'w CheckSuite, Refusal> {
    let id = call.number("check_suite_id")?;
    world.of(call)?.check_suites.get(&id).ok_or_else(Refusal::not_found)
}

pub(super) fn get(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    Ok(Reply::ok(view!(world, call).check_run(world.of(call)?, run_of(world, call)?)))
}

pub(super) fn get_suite(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    Ok(Reply::ok(view!(world, call).check_suite(world.of(call)?, suite_of(world, call)?)))
}

pub(super) fn annotations(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let run = run_of(world, call)?;
    let url = format!("{}/{}/blob/{}", world.url, call.full_name(), run.head_sha);
    let shown = run.annotations.iter().map(|annotation| {
        let mut shown = annotation.clone();
        shown["blob_href"] = json!(format!("{url}/{}", annotation["path"].as_str().unwrap_or_default()));
        for field in ["start_column", "end_column", "title", "raw_details"] {
            shown[field] = annotation[field].clone();
        }
        shown
    });
    Ok(call.list(shown.collect()))
}

pub(super) fn list_for_ref(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let repository = world.of(call)?;
    let sha = repository.resolve(call.parameter("ref")).ok_or_else(Refusal::not_found)?;
    let runs = repository.check_runs.values().filter(|run| run.head_sha == sha);
    Ok(list(world, call, view!(world, call), runs))
}

pub(super) fn list_for_suite(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let suite = suite_of(world, call)?.id;
    let runs = world.of(call)?.check_runs.values().filter(|run| run.suite == suite);
    Ok(list(world, call, view!(world, call), runs))
}

/// By default only the latest run of each name.
fn list<'r>(world: &World, call: &Call, view: View<'_>, runs: impl Iterator<Item = &'r CheckRun>) -> Reply {
    let wanted = |field: &str, value: &str| call.query.get(field).is_none_or(|wanted| wanted == value);
    let mut runs: Vec<&CheckRun> =
        runs.filter(|run| wanted("check_name", &run.name) && wanted("status", &run.status)).collect();
    if call.query.get("filter").is_none_or(|filter| filter == "latest") {
        let latest: Vec<u64> = runs
            .iter()
            .map(|run| runs.iter().filter(|other| other.name == run.name).map(|other| other.id).max().unwrap_or(run.id))
            .collect();
        runs.retain(|run| latest.contains(&run.id));
    }
    let repository = world.of(call).ok();
    let items = runs.iter().filter_map(|run| Some(view.check_run(repository?, run))).collect();
    call.page(items, |page, total| json!({ "total_count": total, "check_runs": page }))
}

pub(super) fn suites_for_ref(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let repository = world.of(call)?;
    let sha = repository.resolve(call.parameter("ref")).ok_or_else(Refusal::not_found)?;
    let view = view!(world, call);
    let suites = repository.check_suites.values().filter(|suite| suite.head_sha == sha);
    let items = suites.map(|suite| view.check_suite(repository, suite)).collect();
    Ok(call.page(items, |page, total| json!({ "total_count": total, "check_suites": page })))
}

pub(super) fn rerequest_run(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let id = run_of(world, call)?.id;
    let full_name = world.of(call)?.full_name();
    let sender = world.login_of(&call.caller);
    drop(world.rerequest_check_run(&full_name, id, &sender));
    Ok(Reply::created(json!({})))
}

pub(super) fn rerequest_suite(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let id = suite_of(world, call)?.id;
    let full_name = world.of(call)?.full_name();
    let sender = world.login_of(&call.caller);
    drop(world.rerequest_check_suite(&full_name, id, &sender));
    Ok(Reply::created(json!({})))
}

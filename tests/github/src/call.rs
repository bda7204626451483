//! One request to an operation, parsed: what handlers read.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::auth::Caller;
use crate::reply::{Refusal, Reply};

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) query: BTreeMap<String, String>,
    /// The JSON body, `Null` without one.
    pub(crate) body: Value,
    pub(crate) accept: String,
    pub(crate) caller: Caller,
    /// The API's root as the caller addressed it, for URLs in answers.
    pub(crate) api: String,
    /// The request's own URL without the query, for `Link` headers.
    pub(crate) url: String,
}

impl Call {
    /// A path parameter; the route guarantees that it is there.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    /// A numeric path parameter; the contract has checked that it is a number.
    pub(crate) fn number(&self, name: &str) -> Result<u64, Refusal> {
        self.parameter(name).parse().map_err(|_| Refusal::not_found())
    }

    /// `owner/repo` of the path, if it names one.
    pub(crate) fn repository(&self) -> Option<String> {
        Some(format!("{}/{}", self.parameters.get("owner")?, self.parameters.get("repo")?))
    }

    /// As `repository`, for operations whose path always names one.
    pub(crate) fn full_name(&self) -> String {
        self.repository().unwrap_or_default()
    }

    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.body[field].as_str()
    }

    /// Answers one page of a list, with GitHub's `Link` header. `wrap` puts the page into the answer.
    pub(crate) fn page(&self, items: Vec<Value>, wrap: impl FnOnce(Vec<Value>, usize) -> Value) -> Reply {
        let size = self.query_number("per_page").unwrap_or(30).clamp(1, 100);
        let page = self.query_number("page").unwrap_or(1).max(1);
        let total = items.len();
        let last = total.div_ceil(size).max(1);
        let page_items = items.into_iter().skip((page - 1).saturating_mul(size)).take(size).collect();
        let mut links = Vec::new();
        if page > 1 {
            links.push(self.link(page - 1, "prev"));
        }
        if page < last {
            links.push(self.link(page + 1, "next"));
            links.push(self.link(last, "last"));
        }
        if page > 1 {
            links.push(self.link(1, "first"));
        }
        let reply = Reply::ok(wrap(page_items, total));
        if links.is_empty() { reply } else { reply.with("link", links.join(", ")) }
    }

    /// A plain list, paged.
    pub(crate) fn list(&self, items: Vec<Value>) -> Reply {
        self.page(items, |items, _| Value::Array(items))
    }

    pub(crate) fn query_number(&self, name: &str) -> Option<usize> {
        self.query.get(name)?.parse().ok()
    }

    fn link(&self, page: usize, relation: &str) -> String {
        self.link_with("page", &page.to_string(), relation)
    }

    /// One entry of a `Link` header: this request with one query parameter changed.
    pub(crate) fn link_with(&self, name: &str, value: &str, relation: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.query.iter().filter(|(key, _)| *key != name));
        query.append_pair(name, value);
        format!("<{}?{}>; rel=\"{relation}\"", self.url, query.finish())
    }
}

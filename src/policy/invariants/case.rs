//! A made-up question and the data that it is asked over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::decision::{Bundle, Document, Entrypoint, Why, document};

/// The rows of one tenant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct World {
    /// By id.
    pub users: BTreeMap<String, CaseUser>,
    /// By id.
    pub projects: BTreeMap<String, CaseProject>,
    /// By project, then by user.
    pub collaborators: BTreeMap<String, BTreeMap<String, CaseRole>>,
    /// By id.
    pub upstreams: BTreeMap<String, CaseUpstream>,
}

impl World {
    /// Calls a project by another id. Its members are the new one's; those of the new one, if it is there already,
    /// are the first one's.
    pub(super) fn rename_project(&mut self, from: &str, to: &str) {
        let (of_from, of_to) = (self.collaborators.remove(from), self.collaborators.remove(to));
        self.collaborators.extend(of_from.map(|members| (to.to_owned(), members)));
        self.collaborators.extend(of_to.map(|members| (from.to_owned(), members)));
        if let Some(row) = self.projects.get(from).cloned() {
            self.projects.insert(to.to_owned(), row);
        }
    }
}

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseUser {
    /// Of the organisation.
    pub role: String,
    /// No rights left.
    pub disabled: bool,
}

/// A project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseProject {
    /// For people.
    pub name: String,
    /// Anyone may read it.
    pub public: bool,
}

/// A collaborator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseRole {
    /// On the project.
    pub role: String,
}

/// An upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseUpstream {
    /// Every token may reach it.
    pub allow_all: bool,
    /// Which credential goes on.
    pub credential: String,
}

/// The caller's token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaseToken {
    /// May trigger.
    pub allow_trigger: bool,
    /// Unix seconds.
    pub expires_at: Option<i64>,
    /// Always the same: nothing is known of it but the name.
    pub id: String,
    /// What it is for.
    pub kind: String,
    /// The one project of a project token.
    pub project_id: Option<String>,
    /// The list that confines it, each until its expiry.
    pub projects: Option<BTreeMap<String, Option<i64>>>,
    /// May read.
    pub scope_pull: bool,
    /// May write.
    pub scope_push: bool,
    /// The tenant.
    pub tenant: String,
    /// The list of tools that confines it.
    pub tools: Option<Vec<String>>,
    /// Whose it is.
    pub user_id: Option<String>,
}

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The data.
    pub world: World,
    /// The caller's; none is an anonymous caller.
    pub token: Option<CaseToken>,
    /// Upper case.
    pub method: String,
    /// Decoded segments.
    pub path: Vec<String>,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Name and values.
    pub query: BTreeMap<String, Vec<String>>,
    /// The host.
    pub host: Option<String>,
    /// The asking gateway's id.
    pub gateway: Option<String>,
    /// An upstream's id, whether it is granted, and how its credential stands.
    pub upstream: Option<(String, bool, String)>,
    /// An MCP message: method, none of a response, and parameters.
    pub mcp: Option<(Option<String>, Json)>,
    /// What the gateway adds.
    pub context: Json,
    /// Unix seconds.
    pub now: i64,
}

impl Case {
    /// The input document.
    pub fn input(&self) -> Json {
        let user = self.token.as_ref().and_then(|token| token.user_id.as_ref());
        let user = user.and_then(|id| {
            let row = self.world.users.get(id)?;
            Some(json!({"id": id, "role": row.role, "disabled": row.disabled}))
        });
        let mcp = self.mcp.as_ref().map(|(method, params)| {
            let tool =
                if method.as_deref() == Some("tools/call") { params["name"].clone() } else { Json::Null };
            json!({"method": method, "params": params, "tool": tool})
        });
        let upstream = self
            .upstream
            .as_ref()
            .map(|(id, granted, credential)| json!({"id": id, "granted": granted, "credential": credential}));
        json!({
            "context": self.context,
            "gateway": self.gateway.as_ref().map(|id| json!({"id": id})),
            "mcp": mcp,
            "now": self.now,
            "request": {
                "headers": self.headers,
                "host": self.host,
                "method": self.method,
                "path": self.path,
                "query": self.query,
                "raw_path": self.raw_path(),
                "source_ip": null,
            },
            "token": self.token,
            "upstream": upstream,
            "user": user,
        })
    }

    /// The path and query as they would be sent; ids of made-up data need no encoding.
    fn raw_path(&self) -> String {
        let query: Vec<String> = self
            .query
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| format!("{name}={value}")))
            .collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("/{}{mark}{}", self.path.join("/"), query.join("&"))
    }

    /// The documents that come from the database, by name.
    pub fn data(&self) -> Map<String, Json> {
        match serde_json::to_value(&self.world) {
            Ok(Json::Object(documents)) => documents,
            _ => Map::new(),
        }
    }

    /// The input, and all of `data`: the bundle's files and the made-up rows.
    pub(super) fn documents(&self, files: &Document) -> (Document, Document) {
        let mut data = files.clone();
        if let Ok(data) = data.as_object_mut() {
            for (name, rows) in self.data() {
                data.insert(name.as_str().into(), document(rows));
            }
        }
        (document(self.input()), data)
    }

    /// Whether regate would ask the policy this at all.
    pub(super) fn is_possible(&self) -> bool {
        let user = self.token.as_ref().and_then(|token| token.user_id.as_ref());
        let known = user.is_none_or(|id| self.world.users.contains_key(id));
        let upstream = self.upstream.as_ref().is_none_or(|(id, ..)| self.world.upstreams.contains_key(id));
        known && upstream && self.path.iter().all(|segment| !segment.is_empty())
    }

    /// A policy's answer to it, explained: see [`Bundle::why`](crate::decision::Bundle::why).
    pub(super) fn why(&self, files: &Document, bundle: &Bundle, answer: &Document) -> Why {
        let (input, data) = self.documents(files);
        bundle.why(Entrypoint::Decision, &data, &input, answer)
    }

    /// A test that asks this, to paste into a file of tests.
    pub fn as_test(&self, invariant: &str) -> String {
        let name = invariant.rsplit('.').next().unwrap_or_default();
        let data: String = self
            .data()
            .iter()
            .map(|(document, rows)| format!("\n\t\twith data.{document} as {rows}"))
            .collect();
        format!("test_{name} if {{\n\t{invariant} with input as {}{data}\n}}", self.input())
    }
}

#[cfg(test)]
mod tests {
    use super::CaseToken;
    use crate::decision::schema::{INPUT, Shape};

    #[test]
    fn a_made_up_token_has_the_fields_that_regate_sends() {
        let token = CaseToken {
            allow_trigger: false,
            expires_at: None,
            id: "t1".into(),
            kind: "mcp".into(),
            project_id: None,
            projects: None,
            scope_pull: false,
            scope_push: false,
            tenant: "default".into(),
            tools: None,
            user_id: None,
        };
        let Shape::Object(input) = INPUT else { panic!("the input is an object") };
        let Some((_, Shape::Nullable(Shape::Object(known)))) =
            input.iter().find(|(name, _)| *name == "token")
        else {
            panic!("a token is an object, or null")
        };
        let made = serde_json::to_value(&token).unwrap();
        // Claims are a session's alone.
        let known: Vec<&str> = known.iter().map(|(name, _)| *name).filter(|name| *name != "claims").collect();
        assert_eq!(made.as_object().unwrap().keys().collect::<Vec<_>>(), known);
    }
}

//! What is shown of an upstream: never a secret.

use serde_json::{Value, json};

use crate::{
    cli::rows::{Shown, yes},
    decision::facts::CredentialMode,
    store::upstreams::UpstreamRow,
};

fn listed(names: Option<&Vec<String>>, none: &str) -> String {
    match names {
        None => none.to_owned(),
        Some(names) if names.is_empty() => "none (an empty list)".to_owned(),
        Some(names) => names.join(", "),
    }
}

impl Shown for UpstreamRow {
    const NOUN: &'static str = "upstream";
    const COLUMNS: &'static [&'static str] =
        &["ID", "TENANT", "URL", "ALLOW ALL", "CREDENTIAL", "HEADER", "OAUTH"];

    fn title(&self) -> String {
        self.id.clone()
    }

    fn cursor(&self) -> &str {
        &self.id
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.tenant.to_string(),
            self.url.clone(),
            yes(self.allow_all),
            self.credential.as_str().to_owned(),
            match &self.value_headers {
                _ if self.credential == CredentialMode::None => String::new(),
                Some(names) => names.join(", "),
                None => self.header.clone(),
            },
            yes(self.oauth.is_some()),
        ]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let oauth = self.oauth.as_ref().map(|oauth| {
            json!({
                "authorization_endpoint": oauth.authorization_endpoint, "token_endpoint": oauth.token_endpoint,
                "client_id": oauth.client_id, "scopes": oauth.scopes, "resource": oauth.resource,
            })
        });
        vec![
            ("id", json!(self.id)),
            ("tenant", json!(self.tenant.as_str())),
            ("url", json!(self.url)),
            ("allow_all", json!(self.allow_all)),
            ("credential", json!(self.credential.as_str())),
            ("header", json!(self.header)),
            ("format", json!(self.format)),
            ("value_headers", json!(self.value_headers)),
            ("pass_headers", json!(self.pass_headers)),
            ("oauth", json!(oauth)),
            ("has_client_secret", json!(self.has_client_secret)),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let mut details = vec![
            ("ID", self.id.clone()),
            ("TENANT", self.tenant.to_string()),
            ("URL", self.url.clone()),
            ("ALLOW ALL", yes(self.allow_all)),
            ("CREDENTIAL", self.credential.as_str().to_owned()),
        ];
        // Only what is looked at.
        match &self.value_headers {
            _ if self.credential == CredentialMode::None => {}
            Some(names) => details.push(("VALUE HEADERS", names.join(", "))),
            None => details.extend([("HEADER", self.header.clone()), ("FORMAT", self.format.clone())]),
        }
        details.push(("PASS HEADERS", listed(self.pass_headers.as_ref(), "all but credentials")));
        if let Some(oauth) = &self.oauth {
            details.extend([
                ("AUTHORIZATION ENDPOINT", oauth.authorization_endpoint.clone()),
                ("TOKEN ENDPOINT", oauth.token_endpoint.clone()),
                ("CLIENT ID", oauth.client_id.clone()),
                ("SCOPES", oauth.scopes.join(" ")),
                ("RESOURCE", oauth.resource.clone().unwrap_or_default()),
                ("CLIENT SECRET", if self.has_client_secret { "stored" } else { "none" }.to_owned()),
            ]);
        } else {
            details.push(("OAUTH", "none".to_owned()));
        }
        details
    }
}

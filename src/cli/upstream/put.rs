//! `regate upstream put`.

use clap::Args;

use super::One;
use crate::{
    cli::{
        exit::{CommandError, Exit},
        rows,
        store::Access,
        values::{credential_mode, id},
    },
    decision::facts::CredentialMode,
    store::{
        InvalidField, StoreError,
        upstreams::{OauthSettings, UpstreamChange, UpstreamRow},
    },
    upstream::check_upstream,
};

/// Add an upstream, or change one; harmless when repeated
///
/// What is left out stays as it is; a new one needs --url, is reached by tokens with a grant alone, and has no
/// credential. A credential goes on in one header (--header, --format), or as the values of several
/// (--value-header): regate credentials put, or consent (--authorization-endpoint and those beside it), gives it.
#[derive(Debug, Args)]
pub(super) struct Put {
    #[command(flatten)]
    one: One,
    /// Where it is; http or https where a credential goes on
    #[arg(long)]
    url: Option<String>,
    /// Every token of the tenant may reach it; --allow-all=false to end that
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_all: Option<bool>,
    /// Whose credential goes on
    #[arg(long, value_parser = credential_mode())]
    credential: Option<CredentialMode>,
    /// The header that carries the credential [Authorization for a new one]
    #[arg(long)]
    header: Option<String>,
    /// What stands in it, with {token} for the credential [Bearer {token} for a new one]
    #[arg(long)]
    format: Option<String>,
    /// A header whose value the credential gives as it is, in place of --header and --format; may be repeated
    #[arg(long = "value-header", value_name = "HEADER")]
    value_headers: Vec<String>,
    /// Go back to --header and --format
    #[arg(long, conflicts_with = "value_headers")]
    no_value_headers: bool,
    /// A header of the caller's that may pass, and no other may; may be repeated
    #[arg(long = "pass-header", value_name = "HEADER")]
    pass_headers: Vec<String>,
    /// No header of the caller's passes
    #[arg(long, conflicts_with = "pass_headers")]
    pass_none: bool,
    /// All headers of the caller's pass but credentials
    #[arg(long, conflicts_with_all = ["pass_headers", "pass_none"])]
    pass_all: bool,
    /// Where people consent (OAuth); https; http on this machine where that is allowed
    #[arg(long, value_name = "URL")]
    authorization_endpoint: Option<String>,
    /// Where a code becomes a token (OAuth); https; http on this machine where that is allowed
    #[arg(long, value_name = "URL")]
    token_endpoint: Option<String>,
    /// Who regate is at the authorization server
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// What is asked for; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// What the token is for (RFC 8707)
    #[arg(long, value_name = "URL")]
    resource: Option<String>,
    /// Who answers there, as its metadata say (RFC 8414): who completes a flow has to show the same
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Nobody consents any more
    #[arg(long, conflicts_with_all = ["authorization_endpoint", "token_endpoint", "client_id", "scopes", "resource", "issuer"])]
    no_oauth: bool,
}

impl Put {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let one = &self.one;
        id(&one.id).map_err(|problem| CommandError::Usage(format!("UPSTREAM: {problem}")))?;
        let loopback = one.store.configuration()?.credential_settings().loopback;
        let (written, row) = one.store.run(Access::Add, async |store| {
            let explain = |error| self.explain(error);
            let present = match store.upstream(one.tenant(), &one.id).await {
                Ok(found) => Some(found.value),
                Err(StoreError::NotFound { .. }) => None,
                Err(error) => return Err(explain(error)),
            };
            let change = check_upstream(present.as_ref(), self.change(present.as_ref())?, loopback)
                .map_err(|invalid| self.in_words_of_flags(present.as_ref(), &invalid))?;
            let written = store.put_upstream(one.tenant(), &one.id, &change).await.map_err(explain)?;
            Ok((written, store.upstream(one.tenant(), &one.id).await.map_err(explain)?.value))
        })?;
        rows::write_put(&row, &written, one.json)?;
        Ok(Exit::Done)
    }

    fn explain(&self, error: StoreError) -> CommandError {
        match error {
            StoreError::Required { .. } => CommandError::Usage("--url: a new upstream needs one".to_owned()),
            error => self.one.explain("nothing was changed", error),
        }
    }

    fn change(&self, present: Option<&UpstreamRow>) -> Result<UpstreamChange, CommandError> {
        let listed = |names: &Vec<String>| (!names.is_empty()).then(|| Some(names.clone()));
        let pass_headers = match (self.pass_all, self.pass_none) {
            (true, _) => Some(None),
            (_, true) => Some(Some(Vec::new())),
            _ => listed(&self.pass_headers),
        };
        Ok(UpstreamChange {
            url: self.url.clone(),
            allow_all: self.allow_all,
            credential: self.credential,
            header: self.header.clone(),
            format: self.format.clone(),
            value_headers: if self.no_value_headers { Some(None) } else { listed(&self.value_headers) },
            pass_headers,
            oauth: if self.no_oauth { Some(None) } else { self.oauth(present)?.map(Some) },
        })
    }

    /// The client that regate is to be: what is left out stays as it is, as everything else does.
    fn oauth(&self, present: Option<&UpstreamRow>) -> Result<Option<OauthSettings>, CommandError> {
        let Self { authorization_endpoint, token_endpoint, client_id, scopes, resource, issuer, .. } = self;
        let given = authorization_endpoint.is_some()
            || token_endpoint.is_some()
            || client_id.is_some()
            || !scopes.is_empty()
            || resource.is_some()
            || issuer.is_some();
        if !given {
            return Ok(None);
        }
        let present = present.and_then(|row| row.oauth.as_ref());
        let one = |given: &Option<String>, kept: fn(&OauthSettings) -> &String| {
            given.clone().or_else(|| present.map(kept).cloned())
        };
        let authorization_endpoint = one(authorization_endpoint, |oauth| &oauth.authorization_endpoint);
        let token_endpoint = one(token_endpoint, |oauth| &oauth.token_endpoint);
        let client_id = one(client_id, |oauth| &oauth.client_id);
        let needed = [
            ("--authorization-endpoint", &authorization_endpoint),
            ("--token-endpoint", &token_endpoint),
            ("--client-id", &client_id),
        ];
        let missing: Vec<&str> =
            needed.into_iter().filter(|(_, value)| value.is_none()).map(|(flag, _)| flag).collect();
        let (Some(authorization_endpoint), Some(token_endpoint), Some(client_id)) =
            (authorization_endpoint, token_endpoint, client_id)
        else {
            let (flag, missing) = (self.flag_of_consent().unwrap_or("--no-oauth"), missing.join(" and "));
            return Err(CommandError::Usage(format!("{flag}: consent needs {missing} as well")));
        };
        Ok(Some(OauthSettings {
            authorization_endpoint,
            token_endpoint,
            client_id,
            scopes: match (scopes.is_empty(), present) {
                (true, Some(present)) => present.scopes.clone(),
                _ => scopes.clone(),
            },
            resource: resource.clone().or(present.and_then(|oauth| oauth.resource.clone())),
            issuer: issuer.clone().or(present.and_then(|oauth| oauth.issuer.clone())),
        }))
    }

    /// The first flag of consent that was given.
    fn flag_of_consent(&self) -> Option<&'static str> {
        let flags = [
            (self.authorization_endpoint.is_some(), "--authorization-endpoint"),
            (self.token_endpoint.is_some(), "--token-endpoint"),
            (self.client_id.is_some(), "--client-id"),
            (!self.scopes.is_empty(), "--scope"),
            (self.resource.is_some(), "--resource"),
            (self.issuer.is_some(), "--issuer"),
        ];
        flags.into_iter().find(|(given, _)| *given).map(|(_, flag)| flag)
    }

    /// Wrong usage: the flag that is at fault, and what is wrong with its value.
    fn in_words_of_flags(&self, present: Option<&UpstreamRow>, invalid: &InvalidField) -> CommandError {
        let headers = if self.value_headers.is_empty() { "--credential" } else { "--value-header" };
        let flag = match invalid.field.as_ref() {
            // What is stored was good for what it was.
            "url" if self.url.is_none() => "--credential",
            "url" => "--url",
            "header" => "--header",
            "format" => "--format",
            "value_headers" => "--value-header",
            "pass_headers" if self.pass_headers.is_empty() && self.header.is_some() => "--header",
            "pass_headers" if self.pass_headers.is_empty() => headers,
            "pass_headers" => "--pass-header",
            "oauth" => {
                let flag = self.flag_of_consent().unwrap_or(headers);
                return CommandError::Usage(format!("{flag}: {}", self.why_nobody_consents(present)));
            }
            "oauth.authorization_endpoint" => "--authorization-endpoint",
            "oauth.token_endpoint" => "--token-endpoint",
            "oauth.client_id" => "--client-id",
            "oauth.scopes" => "--scope",
            "oauth.resource" => "--resource",
            "oauth.issuer" => "--issuer",
            other => other,
        };
        CommandError::Usage(match invalid.field.as_ref() {
            "url" if self.url.is_none() => format!("{flag}: the URL that is stored: {}", invalid.problem),
            "pass_headers" if flag != "--pass-header" => {
                format!("{flag}: --pass-header names {}", invalid.problem)
            }
            _ => format!("{flag}: {}", invalid.problem),
        })
    }

    /// Consent and the rest do not go together.
    fn why_nobody_consents(&self, present: Option<&UpstreamRow>) -> &'static str {
        let credential = self.credential.or(present.map(|row| row.credential));
        if credential.is_none_or(|credential| credential == CredentialMode::None) {
            "nobody consents where --credential is none: set it to per_user, per_token or shared, or give --no-oauth"
        } else {
            "consent gives a token, and no values of headers: give --no-value-headers, or --no-oauth"
        }
    }
}

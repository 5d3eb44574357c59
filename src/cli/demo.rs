//! Example users, projects and tokens, for the first five minutes.

use std::fmt::Write;

use rand::{SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::{exit::CommandError, import::checked};
use crate::{
    api::GatewayAuthentication,
    auth::{self, MintedToken},
    decision::facts::Fact,
    store::Store,
    types::TokenKind,
};

/// Users, projects and collaborators; the tokens are made anew at each start.
const DOCUMENT: &str = include_str!("../../examples/demo.json");

/// The tokens of one demo.
pub(super) struct Demo {
    reader: MintedToken,
    writer: MintedToken,
    agent: MintedToken,
    /// Where gateways must authenticate.
    gateway: Option<MintedToken>,
}

/// The demo's rows would take the place of others of the same names.
async fn refuse_others(store: &dyn Store) -> Result<(), CommandError> {
    let mut others = 0_usize;
    store
        .load(&mut |fact| {
            let known = match &fact {
                Fact::Tenant(_) | Fact::Collaborator(_) => true,
                Fact::User(user) => matches!(user.id.as_str(), "alice" | "bob"),
                Fact::Project(project) => matches!(project.id.as_str(), "website" | "handbook" | "payroll"),
                Fact::Token(token) => token.id.starts_with("demo-"),
                Fact::Upstream(_) | Fact::Grant(_) | Fact::Credential(_) => false,
            };
            others += usize::from(!known);
        })
        .await?;
    if others > 0 {
        let text =
            "this database has data of its own: leave out --database-url, and the demo is served from memory";
        return Err(CommandError::Refused(text.to_owned()));
    }
    Ok(())
}

impl Demo {
    /// Writes the example rows and fresh tokens into the store: one of a gateway among them, if gateways must authenticate.
    pub(super) async fn write(
        store: &dyn Store,
        authentication: GatewayAuthentication,
    ) -> Result<Self, CommandError> {
        refuse_others(store).await?;
        let mut random = StdRng::try_from_rng(&mut rand::rngs::SysRng)
            .map_err(|error| CommandError::Refused(format!("no randomness to make tokens from: {error}")))?;
        let demo = Self {
            reader: auth::mint(TokenKind::Global, &mut random),
            writer: auth::mint(TokenKind::Global, &mut random),
            agent: auth::mint(TokenKind::Mcp, &mut random),
            gateway: match authentication {
                GatewayAuthentication::Required => Some(auth::mint(TokenKind::Gateway, &mut random)),
                GatewayAuthentication::Optional => None,
            },
        };
        let mut document: Value = serde_json::from_str(DOCUMENT)
            .map_err(|error| CommandError::Refused(format!("examples/demo.json: {error}")))?;
        let token = |id: &str, kind: TokenKind, minted: &MintedToken, scope_push: bool| {
            json!({
                "id": id, "name": id, "kind": kind, "user_id": "alice", "sha256": minted.sha256.to_string(),
                "prefix": minted.prefix, "scope_pull": true, "scope_push": scope_push,
            })
        };
        let mut tokens = vec![
            token("demo-reader", TokenKind::Global, &demo.reader, false),
            token("demo-writer", TokenKind::Global, &demo.writer, true),
            token("demo-agent", TokenKind::Mcp, &demo.agent, false),
        ];
        if let Some(MintedToken { sha256, prefix, .. }) = &demo.gateway {
            tokens.push(json!({
                "id": "demo-gateway", "name": "demo-gateway", "kind": TokenKind::Gateway,
                "sha256": sha256.to_string(), "prefix": prefix,
            }));
        }
        document["tokens"] = tokens.into();
        let document = checked(document.to_string().as_bytes())?;
        store.import(&document, &mut |_| {}).await?;
        Ok(demo)
    }

    /// Lines to paste into a shell, each with a comment that says what will be answered. `target`: what curl is given
    /// before the path.
    pub(super) fn curl_lines(&self, target: &str) -> String {
        let cases = [
            (
                "alice may read a project that she works on",
                &self.reader,
                "GET",
                "/api/v1/projects/website/builds",
            ),
            ("writing needs scope_push: denied", &self.reader, "POST", "/api/v1/projects/website/builds"),
            ("the same with a token that has it", &self.writer, "POST", "/api/v1/projects/website/builds"),
            ("she does not work on this one: denied", &self.writer, "GET", "/api/v1/projects/payroll"),
            ("an MCP token where it belongs", &self.agent, "POST", "/mcp"),
            ("an MCP token outside /mcp: denied", &self.agent, "GET", "/api/v1/projects/website/builds"),
        ];
        let mut text = String::new();
        let gateway = match &self.gateway {
            Some(MintedToken { token, .. }) => {
                text.push_str(
                    "\n# each line asks as a gateway does: the token behind Bearer is the gateway's\n",
                );
                format!(" -H 'authorization: Bearer {}'", token.expose())
            }
            None => String::new(),
        };
        for (comment, token, method, path) in cases {
            let question =
                json!({"token": token.token.expose(), "request": {"method": method, "path": path}});
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "\n# {comment}\ncurl -sw '\\n' {target}/v1/decide{gateway} -H 'content-type: application/json' -d '{question}'\n"
            );
        }
        text
    }
}

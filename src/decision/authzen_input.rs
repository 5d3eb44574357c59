//! `input` of AuthZEN's questions. What the gateway says about a subject, an action or a resource stands apart from
//! what they are: no rule takes the one for the other by mistake.

use regorus::Value;

use super::{
    Document,
    authzen::{Action, Entity, Evaluation},
    caller::UserInput,
    input::{InputBuilder, Template, shared},
};

/// The keys of the objects, see [`InputBuilder`].
#[derive(Debug)]
pub(super) struct AuthzenTemplates {
    input: Template<8>,
    from_gateway: Template<3>,
    entity: Template<2>,
    searched: Template<1>,
    action: Template<1>,
    empty: Value,
}

impl Default for AuthzenTemplates {
    fn default() -> Self {
        let input = ["action", "context", "from_gateway", "gateway", "now", "resource", "subject", "user"];
        Self {
            input: Template::new(input),
            from_gateway: Template::new(["action", "resource", "subject"]),
            entity: Template::new(["id", "type"]),
            searched: Template::new(["type"]),
            action: Template::new(["name"]),
            empty: Value::new_object(),
        }
    }
}

/// Everything that the input is made from.
pub(super) struct AuthzenParts<'a> {
    pub evaluation: &'a Evaluation<'a>,
    /// The row of the subject, if it is a user whom the data knows.
    pub user: Option<UserInput<'a>>,
    pub now: i64,
}

impl InputBuilder {
    pub(super) fn build_authzen(&self, parts: &AuthzenParts<'_>) -> Document {
        let Evaluation { subject, action, resource, context, gateway, .. } = parts.evaluation;
        let templates = &self.authzen;
        let said = action.as_ref().map_or(&templates.empty, |action| &action.properties);
        let from_gateway = [said.clone(), resource.properties.clone(), subject.properties.clone()];
        templates.input.fill([
            templates.action(action.as_ref()),
            context.clone(),
            templates.from_gateway.fill(from_gateway),
            self.gateway(*gateway),
            parts.now.into(),
            templates.entity(resource),
            templates.entity(subject),
            self.user(parts.user),
        ])
    }
}

impl AuthzenTemplates {
    /// Null where it is looked for.
    fn action(&self, action: Option<&Action>) -> Value {
        action.map_or(Value::Null, |action| self.action.fill([shared(&action.name)]))
    }

    /// Without an id where it is looked for.
    fn entity(&self, entity: &Entity) -> Value {
        match &entity.id {
            Some(id) => self.entity.fill([shared(id), shared(&entity.kind)]),
            None => self.searched.fill([shared(&entity.kind)]),
        }
    }
}

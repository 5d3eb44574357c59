//! What a gateway sends, read strictly: what is there has the right type, and has one reading.
//!
//! Unknown members are ignored, as section 10.1.1 asks. An object that is `null` counts as left out, since many clients
//! write it so; not in an item of several, where it could mean that the default holds, and that it does not.

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::{
    super::{bounds::HttpBounds, problem::Problem, question::read},
    AuthzenOptions,
    failure::Failure,
};
use crate::{
    decision::{Action, AskingGateway, Document, Entity, Evaluation, document},
    types::one_reading,
};

/// A message, or an object within one.
pub(super) type Object = Map<String, Value>;

/// The obligation type of what regate asks for: it is not registered (obligations profile, section 5.4).
pub(super) const OBLIGATION: &str = "custom";

/// Whether an entity is named, or looked for: then its id is not looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    Named,
    Searched,
}

/// What an evaluation is made of, as far as it is there.
#[derive(Clone, Default)]
pub(super) struct Parts {
    pub subject: Option<Entity>,
    pub action: Option<Action>,
    pub resource: Option<Entity>,
    pub context: Option<Document>,
}

/// Section 10.1: anything else than JSON is a bad request.
pub(super) fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let value = values.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    if values.next().is_none() && essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Failure::malformed("Content-Type: it has to be application/json"))
}

/// Reads a body.
pub(super) fn object(body: &[u8], bounds: &HttpBounds) -> Result<Object, Failure> {
    if let Some(Value::Object(object)) = one_reading(body, bounds.nesting) {
        return Ok(object);
    }
    // Once more, to say what is wrong.
    read::<Value>(body, bounds)?;
    Err(Failure::malformed("a member comes twice in an object"))
}

/// The object under a name.
pub(super) fn member(object: &mut Object, name: &str) -> Result<Option<Object>, Failure> {
    match object.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(member)) => Ok(Some(member)),
        Some(_) => Err(Failure::malformed(format!("{name}: it has to be an object"))),
    }
}

impl Parts {
    /// Takes the parts out of a message.
    ///
    /// # Errors
    /// In words that name the place, for a part that is there and is not as it has to be.
    pub fn take(object: &mut Object, subject: Naming, resource: Naming) -> Result<Self, String> {
        let context = match object.remove("context") {
            None | Some(Value::Null) => None,
            Some(context @ Value::Object(_)) => Some(document(context)),
            Some(_) => return Err("context: it has to be an object".to_owned()),
        };
        Ok(Self {
            subject: object.remove("subject").map(|value| entity(value, "subject", subject)).transpose()?,
            action: object.remove("action").map(action).transpose()?,
            resource: object
                .remove("resource")
                .map(|value| entity(value, "resource", resource))
                .transpose()?,
            context,
        })
    }

    /// The parts of an item, and the defaults in place of those that it lacks, each as a whole (section 7.1.1).
    pub fn of_item(item: Value, defaults: &Self) -> Result<Self, String> {
        let Value::Object(mut item) = item else {
            return Err("an evaluation has to be an object".to_owned());
        };
        if item.get("context").is_some_and(Value::is_null) {
            return Err("context: it has to be an object".to_owned());
        }
        let Self { subject, action, resource, context } =
            Self::take(&mut item, Naming::Named, Naming::Named)?;
        Ok(Self {
            subject: subject.or_else(|| defaults.subject.clone()),
            action: action.or_else(|| defaults.action.clone()),
            resource: resource.or_else(|| defaults.resource.clone()),
            context: context.or_else(|| defaults.context.clone()),
        })
    }

    /// The evaluation that the parts make, with an action.
    pub fn evaluation<'g>(
        self,
        options: &AuthzenOptions,
        gateway: Option<&'g AskingGateway>,
    ) -> Result<Evaluation<'g>, String> {
        if self.action.is_none() {
            return Err(missing("action"));
        }
        self.searching(options, gateway)
    }

    /// The same where an action may be missing, since it is looked for.
    pub fn searching<'g>(
        self,
        options: &AuthzenOptions,
        gateway: Option<&'g AskingGateway>,
    ) -> Result<Evaluation<'g>, String> {
        let subject = self.subject.ok_or_else(|| missing("subject"))?;
        let resource = self.resource.ok_or_else(|| missing("resource"))?;
        let context = self.context.unwrap_or_else(Document::new_object);
        let declared = &context["supported_obligations"];
        let declares =
            declared.as_array().is_ok_and(|types| types.iter().any(|one| *one == Document::from(OBLIGATION)));
        Ok(Evaluation {
            subject_is_user: options.user_types.iter().any(|kind| **kind == *subject.kind),
            carries_out_headers: options.obligations || declares,
            subject,
            action: self.action,
            resource,
            context,
            gateway,
        })
    }
}

fn missing(name: &str) -> String {
    format!("{name}: it is missing")
}

fn entity(value: Value, name: &str, naming: Naming) -> Result<Entity, String> {
    let Value::Object(mut entity) = value else { return Err(format!("{name}: it has to be an object")) };
    Ok(Entity {
        kind: text(&mut entity, name, "type")?.into(),
        id: match naming {
            Naming::Named => Some(text(&mut entity, name, "id")?.into()),
            Naming::Searched => None,
        },
        properties: properties(&mut entity, name)?,
    })
}

fn action(value: Value) -> Result<Action, String> {
    let Value::Object(mut action) = value else { return Err("action: it has to be an object".to_owned()) };
    Ok(Action {
        name: text(&mut action, "action", "name")?.into(),
        properties: properties(&mut action, "action")?,
    })
}

fn text(object: &mut Object, of: &str, name: &str) -> Result<String, String> {
    match object.remove(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("{of}.{name}: it has to be a text")),
        None => Err(format!("{of}.{name}: it is missing")),
    }
}

fn properties(object: &mut Object, of: &str) -> Result<Document, String> {
    match object.remove("properties") {
        None | Some(Value::Null) => Ok(Document::new_object()),
        Some(properties @ Value::Object(_)) => Ok(document(properties)),
        Some(_) => Err(format!("{of}.properties: it has to be an object")),
    }
}

/// Whether the message asks for reasons: an option of regate's own. Others' options are ignored.
pub(super) fn asks_for_reasons(object: &Object) -> bool {
    object.get("options").and_then(|options| options.get("reasons")) == Some(&Value::Bool(true))
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Problem(Problem::Malformed(text))
    }
}

//! The question as it is on the wire, read without copying what need not be copied.
//!
//! The types here hold the caller's credential: none of them has `Debug`.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use utoipa::ToSchema;

use super::{
    bounds::HttpBounds,
    held::{Asked, Asker, HeldRequest},
    json_rpc::Asking,
    mcp_message::McpMessages,
    nesting,
    problem::Problem,
};
use crate::{
    auth::CredentialReader,
    decision::{Body, Headers, Question, document},
    types::{DataRevision, JsonObject, json_objects, without_values},
};

/// A text that borrows from the message where it can. (serde borrows a `Cow` only where it stands
/// alone, not within an `Option`.)
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A question: may this caller do this?
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuestionMessage<'a> {
    /// The caller's bare credential; or leave it out and send `request.headers.authorization`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>)]
    token: Option<Text<'a>>,
    #[serde(borrow)]
    #[schema(value_type = RequestMessage)]
    request: JsonObject<RequestMessage<'a>>,
    /// The id of the upstream that the request would go to.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>)]
    upstream: Option<Text<'a>>,
    /// The MCP message in the request's body, or the list of them that a batch is.
    #[serde(borrow, default)]
    mcp: Option<McpMessages<'a>>,
    /// Anything. It comes from the gateway: untrusted.
    #[serde(default)]
    context: Option<serde_json::Value>,
    /// Wait until this process has that data revision.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    min_revision: Option<DataRevision>,
    /// Also answer what the rules saw and gave, and why.
    #[serde(default)]
    explain: bool,
    /// Also answer, when it is denied, the JSON-RPC error to send to an MCP client.
    #[serde(default)]
    json_rpc_error: bool,
}

/// The request to decide about, as the client sent it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RequestMessage<'a> {
    #[serde(borrow)]
    #[schema(value_type = String)]
    method: Cow<'a, str>,
    /// Undecoded, with its query.
    #[serde(borrow)]
    #[schema(value_type = String)]
    path: Cow<'a, str>,
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>)]
    host: Option<Text<'a>>,
    /// Name to value, or to a list of values.
    #[serde(borrow, default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, serde_json::Value>>)]
    headers: HeaderFields<'a>,
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>)]
    source_ip: Option<Text<'a>>,
}

/// Several questions.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchMessage<'a> {
    #[serde(borrow, deserialize_with = "json_objects")]
    pub requests: Vec<QuestionMessage<'a>>,
}

/// Names and values as they were written: a name may come twice, and a value may be a list.
#[derive(Default)]
pub(super) struct HeaderFields<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for HeaderFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = HeaderFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of header names and values")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(HeaderFields::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
                    match map.next_value::<HeaderValues<'de>>()? {
                        HeaderValues::One(value) => fields.push((name, value)),
                        // A credential that is there is never nothing.
                        HeaderValues::Many(values) if values.is_empty() && Headers::is_credential(&name) => {
                            fields.push((name, Cow::Borrowed("")));
                        }
                        HeaderValues::Many(values) => {
                            fields.extend(values.into_iter().map(|Text(value)| (name.clone(), value)));
                        }
                    }
                }
                Ok(HeaderFields(fields))
            }
        }

        deserializer.deserialize_any(Fields)
    }
}

enum HeaderValues<'a> {
    One(Cow<'a, str>),
    Many(Vec<Text<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for HeaderValues<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;

        impl<'de> Visitor<'de> for Values {
            type Value = HeaderValues<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(HeaderValues::One(Cow::Borrowed(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(HeaderValues::One(Cow::Owned(value.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(HeaderValues::Many(values))
            }
        }

        deserializer.deserialize_any(Values)
    }
}

/// Reads a message of whatever type from a JSON text.
///
/// # Errors
/// [`Problem::TooDeep`], and [`Problem::Malformed`] with the place in the text.
pub fn read<'a, T: Deserialize<'a>>(json: &'a [u8], bounds: &HttpBounds) -> Result<T, Problem> {
    if nesting::is_deeper_than(json, bounds.nesting) {
        return Err(Problem::TooDeep(bounds.nesting));
    }
    // One check of the whole text is cheaper than one for each string, and lets the strings borrow.
    let text =
        std::str::from_utf8(json).map_err(|_| Problem::Malformed("the body is not UTF-8".to_owned()))?;
    let read = serde_json::from_str(text).map(|JsonObject(message)| message);
    read.map_err(|_| explain::<JsonObject<T>>(text))
}

/// Reads again, more slowly, to say where it went wrong.
fn explain<'a, T: Deserialize<'a>>(text: &'a str) -> Problem {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let place = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(_) => deserializer.end().err().map(|error| without_values(&error.to_string())),
        Err(error) => {
            let path = error.path().to_string();
            let inner = without_values(&error.into_inner().to_string());
            Some(if path == "." { inner } else { format!("{path}: {inner}") })
        }
    };
    Problem::Malformed(place.unwrap_or_else(|| "the body is not a question".to_owned()))
}

impl<'a> QuestionMessage<'a> {
    /// Reads one question.
    ///
    /// # Errors
    /// [`Problem`], as every other call would answer it.
    pub fn read(json: &'a [u8], bounds: &HttpBounds) -> Result<Self, Problem> {
        read(json, bounds)
    }

    /// The data revision that the question waits for.
    pub fn min_revision(&self) -> Option<DataRevision> {
        self.min_revision
    }

    /// Whether the answer is to say why.
    pub fn explains(&self) -> bool {
        self.explain
    }

    /// How often rules are asked for it: about each message, or once.
    pub fn judged(&self) -> usize {
        self.mcp.as_ref().map_or(1, McpMessages::judged)
    }

    /// To whom a JSON-RPC error is to be said, if one is asked for.
    pub fn asking(&self) -> Option<Asking<'a>> {
        self.json_rpc_error.then(|| self.mcp.as_ref().map_or(Asking::One(None), McpMessages::asking))
    }

    /// Checks the parts against the bounds, reads the credential, and gives the question that is left.
    ///
    /// # Errors
    /// [`Problem::PartTooLong`]; [`Problem::Malformed`] for an MCP message that is none.
    pub fn into_question<'q>(
        self,
        asker: Asker<'q>,
        bounds: &HttpBounds,
        credentials: &CredentialReader,
    ) -> Result<Question<'q>, Problem>
    where
        'a: 'q,
    {
        let RequestMessage { method, path, host, headers, source_ip } = self.request.0;
        let text = |text: Option<Text<'a>>| text.map(|text| text.0);
        let mcp = self.mcp.map_or(Ok(Vec::new()), |messages| messages.read(bounds))?;
        let request = HeldRequest {
            method,
            target: path,
            host: text(host),
            headers: headers.0,
            source_ip: text(source_ip),
            body: Body::Untold,
        };
        let context = self.context.map(document);
        let asked = Asked {
            token: text(self.token),
            upstream: text(self.upstream),
            mcp,
            context,
            explain: self.explain,
        };
        request.into_question(asked, asker, bounds, credentials)
    }
}

//! What management messages have in common: how bodies are read, what rules see of them, times and lists.

use std::{collections::BTreeMap, fmt};

use axum::{extract::Request, http::StatusCode, response::Response};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor},
};

use super::super::{bounds::HttpBounds, call, problem::Problem, question::read};
use crate::{
    decision::{Document, document},
    store::Written,
    types::{DataRevision, SecretText, Timestamp},
};

/// A body: the message, and the same as rules see it.
pub(super) struct Sent<T> {
    pub message: T,
    pub document: Document,
}

/// Reads the JSON object of a call.
///
/// # Errors
/// The bounds' problems, and [`Problem::Invalid`] with the place.
pub(super) async fn sent<T: DeserializeOwned>(
    request: Request,
    bounds: &HttpBounds,
) -> Result<Sent<T>, Problem> {
    let body = call::body(request, bounds).await?;
    if body.is_empty() {
        return Err(Problem::Invalid("the body is empty: send a JSON object, `{}` at least".to_owned()));
    }
    let message = read(&body, bounds).map_err(in_words_of_calls)?;
    let value: serde_json::Value = read(&body, bounds).map_err(in_words_of_calls)?;
    Ok(Sent { message, document: document(value) })
}

/// The same of a call whose body has secrets: rules see nothing of it.
///
/// # Errors
/// As [`sent`].
pub(super) async fn sent_secret<T: DeserializeOwned>(
    request: Request,
    bounds: &HttpBounds,
) -> Result<T, Problem> {
    let body = call::body(request, bounds).await?;
    if body.is_empty() {
        return Err(Problem::Invalid("the body is empty: send a JSON object".to_owned()));
    }
    read(&body, bounds).map_err(in_words_of_calls)
}

/// A message that is no question is not called one.
pub(super) fn in_words_of_calls(problem: Problem) -> Problem {
    match problem {
        Problem::Malformed(detail) => Problem::Invalid(detail),
        other => other,
    }
}

/// Tells `null` from a field that was left out: `#[serde(default, deserialize_with = "given")]`.
///
/// # Errors
/// Those of reading a `T`.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A secret: `#[serde(deserialize_with = "secret")]`.
///
/// # Errors
/// Those of reading a text.
pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretText, D::Error> {
    String::deserialize(deserializer).map(SecretText::new)
}

/// A secret that may be left out.
///
/// # Errors
/// Those of reading a text.
pub(super) fn optional_secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretText>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretText::new))
}

/// Secrets by name, which may be left out. A name comes once: of two readers one would take the first value and
/// the other the last.
///
/// # Errors
/// What is no object of texts.
pub(super) fn named_secrets<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<(String, SecretText)>>, D::Error> {
    Ok(Option::<NamedSecrets>::deserialize(deserializer)?.map(|NamedSecrets(secrets)| secrets))
}

struct NamedSecrets(Vec<(String, SecretText)>);

impl<'de> Deserialize<'de> for NamedSecrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = NamedSecrets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<NamedSecrets, A::Error> {
                let mut secrets: Vec<(String, SecretText)> = Vec::new();
                while let Some((name, value)) = entries.next_entry::<String, String>()? {
                    let value = SecretText::new(value);
                    if secrets.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom("a name comes twice"));
                    }
                    secrets.push((name, value));
                }
                Ok(NamedSecrets(secrets))
            }
        }

        deserializer.deserialize_map(Names)
    }
}

/// RFC 3339 in UTC.
pub(super) fn time(moment: Timestamp) -> String {
    moment.to_string()
}

/// A list of projects as it is answered: each with its expiry, or null.
pub(super) fn projects(list: &BTreeMap<String, Option<i64>>) -> BTreeMap<String, Option<String>> {
    let text = |expiry: &Option<i64>| expiry.map(|seconds| time(Timestamp::from_unix_seconds(seconds)));
    list.iter().map(|(project, expiry)| (project.clone(), text(expiry))).collect()
}

/// What a removal answers.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Removed {
    /// The revision that has it.
    #[schema(value_type = u64)]
    revision: DataRevision,
}

/// The answer to a removal.
pub(super) fn removed(revision: DataRevision) -> Response {
    call::answer(StatusCode::OK, &Removed { revision })
}

/// 201 for what is new.
pub(super) fn written_status(written: &Written) -> StatusCode {
    if written.created { StatusCode::CREATED } else { StatusCode::OK }
}

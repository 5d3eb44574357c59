//! AuthZEN: may this subject do this to this resource? A decision of the bundle at its own entrypoint, over what the
//! gateway names and the rows of its tenant; and whom or what a search has to look at.
//!
//! **Must never know:** JSON, pages of a search and where they go on.

use std::{collections::HashSet, sync::Arc};

use thiserror::Error;
use uuid::Uuid;

use super::{
    Document,
    authzen_input::AuthzenParts,
    basis::Basis,
    bundle::Entrypoint,
    caller::UserInput,
    challenge::PLAIN,
    decide::{DecisionRules, Moment},
    draft::Draft,
    evaluator::Evaluator,
    outcome::{Decision, Fault, HeaderChanges},
    question::AskingGateway,
    reason::OwnReason,
    snapshot::TenantData,
    verdict::Verdict,
};
use crate::types::TenantId;

/// A subject or a resource, as the gateway names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// Its type.
    pub kind: Arc<str>,
    /// Its id within the type; `None` where a search looks for it.
    pub id: Option<Arc<str>>,
    /// What the gateway says about it: an object. Untrusted.
    pub properties: Document,
}

/// An action, as the gateway names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Its name.
    pub name: Arc<str>,
    /// What the gateway says about it: an object. Untrusted.
    pub properties: Document,
}

/// An access evaluation (AuthZEN Authorization API 1.0 section 6.1), or what a search fills in.
#[derive(Clone, Debug)]
pub struct Evaluation<'a> {
    /// Who.
    pub subject: Entity,
    /// Does what; `None` where a search looks for it.
    pub action: Option<Action>,
    /// To what.
    pub resource: Entity,
    /// Anything else that the gateway said: an object. Untrusted.
    pub context: Document,
    /// Whether subjects of this type are users of the tenant.
    pub subject_is_user: bool,
    /// Whether who asks carries out changes of headers that an allow hangs on.
    pub carries_out_headers: bool,
    /// Who asks, if it authenticated.
    pub gateway: Option<&'a AskingGateway>,
}

/// What a search looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Searched {
    /// Who may.
    Subjects,
    /// To what one may.
    Resources,
    /// What one may do.
    Actions,
}

/// A search has nothing to look at, which is not the same as that there is nothing to find. No text repeats a value
/// that the policy saw.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoCandidates {
    /// The data is older than it may be.
    #[error("the data is not current; try again later")]
    Stale,
    /// The rule could not be evaluated.
    #[error(transparent)]
    Failed(#[from] Fault),
    /// The rule's result is of another form.
    #[error("the rule that names what a search looks at gives no set, list or object of texts")]
    Form,
}

impl Searched {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subjects => "subjects",
            Self::Resources => "resources",
            Self::Actions => "actions",
        }
    }

    const fn entrypoint(self) -> Entrypoint {
        match self {
            Self::Subjects => Entrypoint::AuthzenSubjects,
            Self::Resources => Entrypoint::AuthzenResources,
            Self::Actions => Entrypoint::AuthzenActions,
        }
    }
}

impl Evaluation<'_> {
    /// The tenant whose data decides: that of the gateway, else the default one.
    pub fn tenant<'t>(&'t self, default: &'t TenantId) -> &'t TenantId {
        self.gateway.and_then(|gateway| gateway.tenant.as_ref()).unwrap_or(default)
    }

    /// The same with what a search looks for put in.
    #[must_use]
    pub fn with(&self, searched: Searched, found: &Arc<str>) -> Self {
        let mut evaluation = self.clone();
        match searched {
            Searched::Subjects => evaluation.subject.id = Some(Arc::clone(found)),
            Searched::Resources => evaluation.resource.id = Some(Arc::clone(found)),
            Searched::Actions => {
                let properties = Document::new_object();
                evaluation.action = Some(Action { name: Arc::clone(found), properties });
            }
        }
        evaluation
    }

    fn input(&self, evaluator: &Evaluator, tenant: &TenantData, moment: Moment) -> Document {
        let row = self.subject.id.as_ref().filter(|_| self.subject_is_user);
        let user = row.and_then(|id| Some(UserInput { id, row: Some(tenant.user(id)?), claimed: None }));
        evaluator.input.build_authzen(&AuthzenParts {
            evaluation: self,
            user,
            now: moment.now.unix_seconds(),
        })
    }
}

/// Decides. Never fails: what goes wrong is a deny with its reason.
///
/// INVARIANT: an allow that hangs on changes of headers is one only for those who say that they carry them out.
pub fn evaluate(
    evaluator: &mut Evaluator,
    basis: &Basis,
    rules: &DecisionRules,
    evaluation: &Evaluation<'_>,
    id: Uuid,
    moment: Moment,
) -> Decision {
    let tenant = evaluation.tenant(&rules.default_tenant);
    let draft = Draft { basis, rules, challenges: &PLAIN, id, subject: None, tenant };
    if moment.data_is_stale {
        return draft.refuse(OwnReason::DataStale);
    }
    if !basis.bundle().has(Entrypoint::Authzen) {
        return draft.refuse(OwnReason::NoRuleMatched);
    }
    let tenant = basis.tenant(tenant);
    let input = evaluation.input(evaluator, tenant, moment);
    let result = evaluator.evaluate(basis.bundle(), Entrypoint::Authzen, tenant.document(), input);
    let decision = match result.map_err(Fault::from).and_then(|result| Ok(Verdict::read(&result)?)) {
        Ok(mut verdict) if verdict.allow => {
            let (set, remove) = (std::mem::take(&mut verdict.set), std::mem::take(&mut verdict.remove));
            // No request is held here: nothing has to be removed from it but what the policy says.
            let headers = HeaderChanges::removing(&[]).and(set, remove);
            if !headers.remove.is_empty() && !evaluation.carries_out_headers {
                let limits = verdict.limits;
                return Decision {
                    limits,
                    evaluated: true,
                    ..draft.refuse(OwnReason::ObligationUnsupported)
                };
            }
            draft.allow(verdict, headers)
        }
        Ok(verdict) => draft.deny(verdict, false),
        Err(fault) => draft.fail(fault),
    };
    Decision { evaluated: true, ..decision }
}

/// What a search has to look at: at most `most` ids or names, in their order, that come behind `after`. Each is then
/// to be decided: that it stands here says nothing.
///
/// The bundle's rule may give a set, a list, or an object whose keys they are. Where it is undefined, or there is
/// none, there is nothing to look at.
///
/// # Errors
/// [`NoCandidates`].
pub fn candidates(
    evaluator: &mut Evaluator,
    basis: &Basis,
    rules: &DecisionRules,
    (evaluation, searched): (&Evaluation<'_>, Searched),
    (after, most): (Option<&str>, usize),
    moment: Moment,
) -> Result<Vec<Arc<str>>, NoCandidates> {
    if moment.data_is_stale {
        return Err(NoCandidates::Stale);
    }
    if !basis.bundle().has(searched.entrypoint()) {
        return Ok(Vec::new());
    }
    let tenant = basis.tenant(evaluation.tenant(&rules.default_tenant));
    let input = evaluation.input(evaluator, tenant, moment);
    let result = evaluator.evaluate(basis.bundle(), searched.entrypoint(), tenant.document(), input);
    match result.map_err(Fault::from)? {
        Document::Undefined => Ok(Vec::new()),
        Document::Set(items) => Ok(first(behind(items.iter(), after)?, most)),
        Document::Object(fields) => Ok(first(behind(fields.keys(), after)?, most)),
        Document::Array(items) => {
            let once: HashSet<&Arc<str>> = behind(items.iter(), after)?.into_iter().collect();
            Ok(first(once.into_iter().collect(), most))
        }
        _ => Err(NoCandidates::Form),
    }
}

/// The texts that come behind `after`, in no order.
fn behind<'a>(
    items: impl Iterator<Item = &'a Document>,
    after: Option<&str>,
) -> Result<Vec<&'a Arc<str>>, NoCandidates> {
    let mut found = Vec::new();
    for item in items {
        let Document::String(item) = item else { return Err(NoCandidates::Form) };
        if after.is_none_or(|after| &**item > after) {
            found.push(item);
        }
    }
    Ok(found)
}

/// The first `most`, in their order. Of many, only these are put in order: what a page costs does not grow faster than what
/// there is to find.
fn first(mut found: Vec<&Arc<str>>, most: usize) -> Vec<Arc<str>> {
    if found.len() > most {
        found.select_nth_unstable(most);
        found.truncate(most);
    }
    found.sort_unstable();
    found.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::{Document, NoCandidates, behind, first};

    #[test]
    fn the_next_are_the_same_as_if_all_had_been_put_in_order() {
        let items: Vec<Document> = (0..97).map(|n| format!("u{:02}", n * 31 % 97).into()).collect();
        let sorted: Vec<String> = (0..97).map(|n| format!("u{n:02}")).collect();
        for most in [0, 1, 2, 50, 96, 97, 98, usize::MAX] {
            for after in [None, Some(""), Some("u"), Some("u00"), Some("u41x"), Some("u96"), Some("z")] {
                let found = first(behind(items.iter(), after).unwrap(), most);
                let behind = sorted.iter().filter(|id| after.is_none_or(|after| id.as_str() > after));
                let expected: Vec<&str> = behind.take(most).map(String::as_str).collect();
                assert_eq!(found.iter().map(|id| &**id).collect::<Vec<_>>(), expected, "{most} {after:?}");
            }
        }
        let other = [Document::from("a"), Document::from(1_i64)];
        assert_eq!(behind(other.iter(), None), Err(NoCandidates::Form));
    }
}

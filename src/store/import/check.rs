//! Everything that can be wrong with a document by itself.

use std::collections::{HashMap, HashSet};

use super::{
    document::{ImportDocument, TenantChoice, TokenEntry},
    entries::{
        self, CollaboratorRecord, GrantRecord, ProjectRecord, TenantRecord, UpstreamRecord, UserRecord,
    },
    problems::Problems,
    rules::{Looking, Place},
    upstream_entry, within,
};
use crate::{
    store::{conflicts::Target, tokens::mint::TokenRecord},
    types::TenantId,
};

/// A document without a problem of its own. What only the store can tell (whether a user that the
/// document does not have exists there) is checked when it is imported.
#[derive(Clone, Debug)]
pub struct CheckedDocument {
    pub(super) tenants: Vec<TenantRecord>,
    pub(super) users: Vec<UserRecord>,
    pub(super) projects: Vec<ProjectRecord>,
    pub(super) collaborators: Vec<CollaboratorRecord>,
    pub(super) tokens: Vec<TokenRecord>,
    pub(super) upstreams: Vec<UpstreamRecord>,
    pub(super) grants: Vec<GrantRecord>,
    pub(super) references: Vec<Reference>,
    /// Whoever imports sees one tenant, and is to learn nothing of others.
    pub(super) within_one_tenant: bool,
}

impl CheckedDocument {
    /// How many rows it has, in all lists together.
    pub fn rows(&self) -> usize {
        self.tenants.len()
            + self.users.len()
            + self.projects.len()
            + self.collaborators.len()
            + self.tokens.len()
            + self.upstreams.len()
            + self.grants.len()
    }
}

/// A reference to a row that the document does not have, so that the store must.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub target: Target,
    pub tenant: String,
    pub id: String,
    pub place: Place,
}

/// Checks everything that the document alone shows: ids, names, times, hashes, what each kind of
/// token needs, and that nothing is there twice.
///
/// # Errors
/// All problems, the first [`Problems::SHOWN`] of them in full.
pub fn check(document: &ImportDocument) -> Result<CheckedDocument, Problems> {
    check_after(document, Problems::default())
}

/// The same for a document of one tenant's operator: rows that leave the tenant out are of `tenant`, and a row of
/// another tenant, or of all, is a problem. What the store finds later says nothing of other tenants' rows.
///
/// # Errors
/// As [`check`].
pub fn check_within(mut document: ImportDocument, tenant: &TenantId) -> Result<CheckedDocument, Problems> {
    let mut problems = Problems::default();
    within::confine(&mut document, tenant, &mut problems);
    Ok(CheckedDocument { within_one_tenant: true, ..check_after(&document, problems)? })
}

/// Checks a document of which these problems are known already.
fn check_after(document: &ImportDocument, mut problems: Problems) -> Result<CheckedDocument, Problems> {
    let known = duplicates(document, &mut problems);
    let references = references(document, &known);
    let found = &mut problems;
    let checked = CheckedDocument {
        tenants: rows("tenants", &document.tenants, entries::tenant, found),
        users: rows("users", &document.users, entries::user, found),
        projects: rows("projects", &document.projects, entries::project, found),
        collaborators: rows("collaborators", &document.collaborators, entries::collaborator, found),
        tokens: rows("tokens", &document.tokens, entries::token, found),
        upstreams: rows("upstreams", &document.upstreams, upstream_entry::upstream, found),
        grants: rows("grants", &document.grants, entries::grant, found),
        references,
        within_one_tenant: false,
    };
    if problems.is_empty() { Ok(checked) } else { Err(problems) }
}

fn rows<Entry, Record>(
    list: &'static str,
    entries: &[Entry],
    read: fn(&Entry, &mut Looking<'_>) -> Option<Record>,
    problems: &mut Problems,
) -> Vec<Record> {
    let looking = entries.iter().enumerate();
    looking.filter_map(|(row, entry)| read(entry, &mut Looking { list, row, problems })).collect()
}

/// A tenant and an id in it.
type Key<'a> = (&'a str, &'a str);

/// What the document has, for what refers to it.
struct Known<'a>(HashMap<Target, HashSet<Key<'a>>>);

const DEFAULT: &str = "default";

fn tenant_of(tenant: &Option<String>) -> &str {
    tenant.as_deref().unwrap_or(DEFAULT)
}

/// The tenant of a token; none for a gateway of all.
fn tenant_of_token(entry: &TokenEntry) -> Option<&str> {
    match &entry.tenant {
        TenantChoice::LeftOut => Some(DEFAULT),
        TenantChoice::Named(tenant) => Some(tenant),
        TenantChoice::All => None,
    }
}

/// Refuses keys that come twice, and collects them.
fn duplicates<'a>(document: &'a ImportDocument, problems: &mut Problems) -> Known<'a> {
    let ImportDocument { tenants, users, projects, collaborators, tokens, upstreams, grants } = document;
    // Token ids are unique everywhere, so their tenant is not part of the key.
    once("tokens", "id", tokens.iter().map(|e| e.id.as_str()), problems);
    once("tokens", "sha256", tokens.iter().map(|e| e.sha256.0.to_ascii_lowercase()), problems);
    let people = collaborators.iter().map(|e| (tenant_of(&e.tenant), &e.project_id, &e.user_id));
    once("collaborators", "user_id", people, problems);
    let reaches = grants.iter().map(|e| (tenant_of(&e.tenant), &e.token_id, &e.upstream_id));
    once("grants", "upstream_id", reaches, problems);

    let mut keyed = |list, keys: Vec<Key<'a>>| once(list, "id", keys.into_iter(), problems);
    Known(HashMap::from([
        (Target::Tenant, keyed("tenants", tenants.iter().map(|e| ("", e.id.as_str())).collect())),
        (Target::User, keyed("users", users.iter().map(|e| (tenant_of(&e.tenant), &*e.id)).collect())),
        (
            Target::Project,
            keyed("projects", projects.iter().map(|e| (tenant_of(&e.tenant), &*e.id)).collect()),
        ),
        (
            Target::Upstream,
            keyed("upstreams", upstreams.iter().map(|e| (tenant_of(&e.tenant), &*e.id)).collect()),
        ),
        (Target::Token, tokens.iter().filter_map(|e| Some((tenant_of_token(e)?, &*e.id))).collect()),
    ]))
}

/// Adds a problem for each key that an earlier row has, and gives all keys.
fn once<K: std::hash::Hash + Eq + Clone>(
    list: &'static str,
    field: &'static str,
    keys: impl ExactSizeIterator<Item = K>,
    problems: &mut Problems,
) -> HashSet<K> {
    let mut first: HashMap<K, usize> = HashMap::with_capacity(keys.len());
    for (row, key) in keys.enumerate() {
        let earlier = *first.entry(key).or_insert(row);
        if earlier != row {
            problems.add(
                || Place { list, row, field }.to_string(),
                || format!("{list}[{earlier}] has the same; remove one of the two"),
            );
        }
    }
    first.into_keys().collect()
}

/// The references that the document does not answer itself.
fn references(document: &ImportDocument, known: &Known<'_>) -> Vec<Reference> {
    let mut open = Open { known, tenants: HashSet::new(), references: Vec::new() };
    let ImportDocument { tenants: _, users, projects, collaborators, tokens, upstreams, grants } = document;
    for (row, e) in users.iter().enumerate() {
        open.tenant("users", row, tenant_of(&e.tenant));
    }
    for (row, e) in projects.iter().enumerate() {
        open.tenant("projects", row, tenant_of(&e.tenant));
    }
    for (row, e) in upstreams.iter().enumerate() {
        open.tenant("upstreams", row, tenant_of(&e.tenant));
    }
    for (row, e) in collaborators.iter().enumerate() {
        let tenant = tenant_of(&e.tenant);
        open.tenant("collaborators", row, tenant);
        open.add(Target::Project, tenant, &e.project_id, "collaborators", row, "project_id");
        open.add(Target::User, tenant, &e.user_id, "collaborators", row, "user_id");
    }
    for (row, e) in tokens.iter().enumerate() {
        // Without a tenant there is nothing to refer to; that only a gateway may is checked elsewhere.
        let Some(tenant) = tenant_of_token(e) else { continue };
        open.tenant("tokens", row, tenant);
        if let Some(user) = &e.user_id {
            open.add(Target::User, tenant, user, "tokens", row, "user_id");
        }
        if let Some(project) = &e.project_id {
            open.add(Target::Project, tenant, project, "tokens", row, "project_id");
        }
    }
    for (row, e) in grants.iter().enumerate() {
        let tenant = tenant_of(&e.tenant);
        open.tenant("grants", row, tenant);
        open.add(Target::Token, tenant, &e.token_id, "grants", row, "token_id");
        open.add(Target::Upstream, tenant, &e.upstream_id, "grants", row, "upstream_id");
    }
    open.references
}

struct Open<'a, 'd> {
    known: &'a Known<'d>,
    tenants: HashSet<String>,
    references: Vec<Reference>,
}

impl Open<'_, '_> {
    /// Of the rows that have a tenant the document does not list, the first one asks for it.
    fn tenant(&mut self, list: &'static str, row: usize, tenant: &str) {
        let listed = self.known.0.get(&Target::Tenant).is_some_and(|known| known.contains(&("", tenant)));
        if !listed && !self.tenants.contains(tenant) && TenantId::try_from(tenant).is_ok() {
            self.tenants.insert(tenant.to_owned());
            self.push(Target::Tenant, tenant, tenant, Place { list, row, field: "tenant" });
        }
    }

    fn add(
        &mut self,
        target: Target,
        tenant: &str,
        id: &str,
        list: &'static str,
        row: usize,
        field: &'static str,
    ) {
        if !self.known.0.get(&target).is_some_and(|known| known.contains(&(tenant, id))) {
            self.push(target, tenant, id, Place { list, row, field });
        }
    }

    fn push(&mut self, target: Target, tenant: &str, id: &str, place: Place) {
        self.references.push(Reference { target, tenant: tenant.to_owned(), id: id.to_owned(), place });
    }
}

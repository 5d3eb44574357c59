//! Confining a document to one tenant.

use super::{
    document::{ImportDocument, TenantChoice},
    problems::Problems,
    rules::Looking,
};
use crate::types::{TenantId, TokenKind};

/// Gives `tenant` to all rows that leave it out, and adds a problem for each row that is not of `tenant`. Those rows
/// stay as they are, so that what else is wrong with them is found as well.
pub(super) fn confine(document: &mut ImportDocument, tenant: &TenantId, problems: &mut Problems) {
    let ImportDocument { tenants, users, projects, collaborators, tokens, upstreams, grants } = document;
    for (row, entry) in tenants.iter().enumerate() {
        refuse_other(&entry.id, tenant, "id", &mut Looking { list: "tenants", row, problems });
    }
    confine_list("users", users.iter_mut().map(|entry| &mut entry.tenant), tenant, problems);
    confine_list("projects", projects.iter_mut().map(|entry| &mut entry.tenant), tenant, problems);
    confine_list("collaborators", collaborators.iter_mut().map(|entry| &mut entry.tenant), tenant, problems);
    for (row, entry) in tokens.iter_mut().enumerate() {
        let mut at = Looking { list: "tokens", row, problems };
        match &entry.tenant {
            TenantChoice::LeftOut => entry.tenant = TenantChoice::Named(tenant.to_string()),
            TenantChoice::Named(named) => refuse_other(named, tenant, "tenant", &mut at),
            // For the other kinds it is a problem for everybody.
            TenantChoice::All if entry.kind.parse() == Ok(TokenKind::Gateway) => {
                let text =
                    format!("this import is for the tenant \"{tenant}\" alone; name it, or leave it out");
                at.refuse("tenant", &text);
            }
            TenantChoice::All => {}
        }
    }
    confine_list("upstreams", upstreams.iter_mut().map(|entry| &mut entry.tenant), tenant, problems);
    confine_list("grants", grants.iter_mut().map(|entry| &mut entry.tenant), tenant, problems);
}

fn confine_list<'a>(
    list: &'static str,
    tenants: impl Iterator<Item = &'a mut Option<String>>,
    tenant: &TenantId,
    problems: &mut Problems,
) {
    for (row, named) in tenants.enumerate() {
        let named = named.get_or_insert_with(|| tenant.to_string());
        refuse_other(named, tenant, "tenant", &mut Looking { list, row, problems });
    }
}

fn refuse_other(named: &str, tenant: &TenantId, field: &str, at: &mut Looking<'_>) {
    // What is no tenant's id at all is a problem for everybody.
    if named != tenant.as_str() && TenantId::try_from(named).is_ok() {
        let text = format!("this import is for the tenant \"{tenant}\" alone; leave this row out");
        at.refuse(field, &text);
    }
}

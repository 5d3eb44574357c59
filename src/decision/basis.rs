//! What decisions are made from: one bundle and one snapshot, taken together, so that no decision
//! ever mixes two of either.

use std::{collections::HashMap, sync::Arc};

use regorus::{Value, value::Object};

use super::{
    DATABASE_DOCUMENTS, Document,
    bundle::Bundle,
    snapshot::{Snapshot, TenantData},
};
use crate::types::TenantId;

/// A bundle and a snapshot, and `data` for each tenant made from both.
#[derive(Debug)]
pub struct Basis {
    bundle: Arc<Bundle>,
    snapshot: Arc<Snapshot>,
    /// What Rego sees as `data`, a tenant: its own rows and the bundle's data files.
    documents: HashMap<TenantId, Document>,
    /// What a tenant without rows sees.
    nobody: (TenantData, Document),
}

impl Basis {
    /// Joins a bundle and a snapshot. The cost grows with the number of tenants, not of rows.
    pub fn new(bundle: Arc<Bundle>, snapshot: Arc<Snapshot>) -> Self {
        let documents =
            snapshot.tenants().map(|(id, tenant)| (id.clone(), document(&bundle, tenant))).collect();
        let nobody = TenantData::empty();
        let nobody = (TenantData::empty(), document(&bundle, &nobody));
        Self { bundle, snapshot, documents, nobody }
    }

    /// The bundle.
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// What Rego sees as `data` in a decision about this tenant.
    pub fn document(&self, tenant: &TenantId) -> &Document {
        self.tenant(tenant).1
    }

    /// What a decision about this tenant sees. A tenant that is not there has no rows.
    pub(super) fn tenant(&self, tenant: &TenantId) -> (&TenantData, &Document) {
        match (self.snapshot.tenant(tenant), self.documents.get(tenant)) {
            (Some(data), Some(document)) => (data, document),
            _ => (&self.nobody.0, &self.nobody.1),
        }
    }
}

fn document(bundle: &Bundle, tenant: &TenantData) -> Document {
    // `Bundle::compile` refuses data that is not an object.
    let mut joined = match &bundle.data {
        Value::Object(files) => Object::clone(files),
        _ => Object::new(),
    };
    for (name, document) in DATABASE_DOCUMENTS.into_iter().zip(&tenant.documents) {
        joined.insert(name.into(), document.clone());
    }
    joined.into_value()
}

//! What decisions are made from: one bundle and one snapshot, taken together, so that no decision
//! ever mixes two of either.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{
    Document,
    bundle::Bundle,
    facts::Change,
    snapshot::{MountedDocuments, Snapshot, TenantData},
};
use crate::types::{DataRevision, TenantId};

/// A bundle and a snapshot that was joined with it.
///
/// A copy shares everything until one of the two is updated, see [`Snapshot`].
#[derive(Clone, Debug)]
pub struct Basis {
    bundle: Arc<Bundle>,
    snapshot: Snapshot,
    generation: u64,
}

/// Numbers the states of all policies and all data of this process. (Revisions are given elsewhere, and may be given twice.)
static GENERATIONS: AtomicU64 = AtomicU64::new(1);

fn next_generation() -> u64 {
    GENERATIONS.fetch_add(1, Ordering::Relaxed)
}

/// A step from one state of the data to the next.
#[derive(Clone, Debug)]
pub enum Update {
    /// Rows changed, and the data is now at this revision.
    Rows(Arc<[Change]>, DataRevision),
    /// One of the organisation's own documents, by its place in the list of mounts, is now this.
    Mounted(usize, Arc<MountedDocuments>),
}

impl Basis {
    /// Joins a bundle and a snapshot. The cost grows with the number of tenants, not of rows.
    pub fn new(bundle: Arc<Bundle>, mut snapshot: Snapshot) -> Self {
        snapshot.set_files(&bundle.data);
        Self { bundle, snapshot, generation: next_generation() }
    }

    /// Puts another bundle in the place of its own: the data stays, the data files are the new bundle's. The
    /// cost grows with the number of tenants, not of rows.
    pub fn activate(&mut self, bundle: Arc<Bundle>) {
        self.snapshot.set_files(&bundle.data);
        self.bundle = bundle;
        self.generation = next_generation();
    }

    /// The bundle.
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The number of this policy with this data: no other of this process has it, but for copies that nobody has changed.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes a step. The cost is that of what changes, see [`Snapshot::apply`].
    pub fn update(&mut self, update: &Update) {
        match update {
            Update::Rows(changes, revision) => self.snapshot.apply(changes, *revision),
            Update::Mounted(place, documents) => self.snapshot.mount(*place, Arc::clone(documents)),
        }
        self.generation = next_generation();
    }

    /// A copy that shares no large document, see [`Snapshot::detach`].
    pub fn detached(&self) -> Self {
        let mut copy = self.clone();
        copy.snapshot.detach();
        copy
    }

    /// What Rego sees as `data` in a decision about this tenant.
    pub fn document(&self, tenant: &TenantId) -> &Document {
        self.tenant(tenant).document()
    }

    /// What a decision about this tenant sees. A tenant that is not there has no rows.
    pub(super) fn tenant(&self, tenant: &TenantId) -> &TenantData {
        self.snapshot.tenant(tenant)
    }
}

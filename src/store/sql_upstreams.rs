//! The [`UpstreamStore`] over either database: each method is a transaction and what runs in it.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{
    AsOf, StoreError, Written,
    database::{Database, Purpose},
    revision,
    sql_store::{ATTEMPTS, SqlStore, as_of, in_one_revision},
    upstreams::{
        CredentialFilter, CredentialKey, CredentialRow, CredentialWritten, FlowFilter, FlowRow,
        NewCredential, NewFlow, Renewal, RenewalsWanted, Renewed, SealedPlace, Swept, UpstreamChange,
        UpstreamFilter, UpstreamGrants, UpstreamRow, UpstreamStore, credentials, flows, grants, renewals,
        resealing, rows, secrets, sweep,
    },
};
use crate::types::{DataRevision, KeyId, Sealed, TenantId, Timestamp};

/// Reads something that no decision sees.
macro_rules! read {
    ($store:ident, $work:path $(, $argument:expr)*) => {{
        let mut transaction = $store.database.begin(Purpose::Read).await?;
        let value = $work(&mut *transaction, $store.database.dialect() $(, $argument)*).await?;
        transaction.commit().await?;
        Ok(value)
    }};
}

#[async_trait]
impl<D: Database> UpstreamStore for SqlStore<D> {
    async fn put_upstream(
        &self,
        tenant: &TenantId,
        id: &str,
        change: &UpstreamChange,
    ) -> Result<Written, StoreError> {
        in_one_revision!(self, rows::put, tenant, id, change)
    }

    async fn upstream(&self, tenant: &TenantId, id: &str) -> Result<AsOf<UpstreamRow>, StoreError> {
        as_of!(self, rows::get, tenant, id)
    }

    async fn list_upstreams(&self, filter: &UpstreamFilter) -> Result<AsOf<Vec<UpstreamRow>>, StoreError> {
        as_of!(self, rows::list, filter)
    }

    async fn remove_upstream(&self, tenant: &TenantId, id: &str) -> Result<DataRevision, StoreError> {
        in_one_revision!(self, rows::remove, tenant, id)
    }

    async fn token_grants(&self, tenant: &TenantId, token_id: &str) -> Result<AsOf<Vec<String>>, StoreError> {
        as_of!(self, grants::of_token, tenant, token_id)
    }

    async fn upstream_grants(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
    ) -> Result<AsOf<Vec<String>>, StoreError> {
        as_of!(self, grants::of_upstream, tenant, upstream_id)
    }

    async fn set_token_grants(
        &self,
        tenant: &TenantId,
        token_id: &str,
        upstreams: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        in_one_revision!(self, grants::set_of_token, tenant, token_id, upstreams, now)
    }

    async fn set_upstream_grants(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
        grants: &UpstreamGrants,
    ) -> Result<Written, StoreError> {
        in_one_revision!(self, grants::set_of_upstream, tenant, upstream_id, grants)
    }

    async fn put_credential(&self, credential: &NewCredential) -> Result<CredentialWritten, StoreError> {
        in_one_revision!(self, credentials::put, credential)
    }

    async fn credential(&self, key: &CredentialKey) -> Result<AsOf<CredentialRow>, StoreError> {
        as_of!(self, credentials::get, key)
    }

    async fn list_credentials(
        &self,
        filter: &CredentialFilter,
    ) -> Result<AsOf<Vec<CredentialRow>>, StoreError> {
        as_of!(self, credentials::list, filter)
    }

    async fn remove_credential(&self, key: &CredentialKey) -> Result<DataRevision, StoreError> {
        in_one_revision!(self, credentials::remove, key)
    }

    async fn put_client_secret(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
        secret: Option<&Sealed>,
    ) -> Result<(), StoreError> {
        in_one_revision!(self, secrets::put, tenant, upstream_id, secret)
    }

    async fn client_secret(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
    ) -> Result<Option<Sealed>, StoreError> {
        read!(self, secrets::get, tenant, upstream_id)
    }

    async fn begin_flow(&self, flow: &NewFlow) -> Result<(), StoreError> {
        in_one_revision!(self, flows::begin, flow)
    }

    async fn flow(&self, tenant: &TenantId, id: &str) -> Result<FlowRow, StoreError> {
        read!(self, flows::get, tenant, id)
    }

    async fn list_flows(&self, filter: &FlowFilter) -> Result<Vec<FlowRow>, StoreError> {
        read!(self, flows::list, filter)
    }

    async fn take_flow(&self, tenant: &TenantId, id: &str, now: Timestamp) -> Result<FlowRow, StoreError> {
        in_one_revision!(self, flows::take, tenant, id, now)
    }

    async fn complete_flow(
        &self,
        id: &str,
        credential: &NewCredential,
    ) -> Result<CredentialWritten, StoreError> {
        in_one_revision!(self, flows::complete, id, credential)
    }

    async fn remove_flow(&self, tenant: &TenantId, id: &str) -> Result<(), StoreError> {
        in_one_revision!(self, flows::remove, tenant, id)
    }

    async fn claim_renewals(&self, wanted: &RenewalsWanted) -> Result<Vec<Renewal>, StoreError> {
        in_one_revision!(self, renewals::claim, wanted)
    }

    async fn finish_renewal(
        &self,
        key: &CredentialKey,
        version: i64,
        outcome: &Renewed,
        now: Timestamp,
    ) -> Result<Option<DataRevision>, StoreError> {
        in_one_revision!(self, renewals::finish, key, version, outcome, now)
    }

    async fn sweep_credentials(
        &self,
        orphaned_before: Timestamp,
        now: Timestamp,
    ) -> Result<Swept, StoreError> {
        in_one_revision!(self, sweep::sweep, orphaned_before, now)
    }

    async fn sealing_keys(&self) -> Result<Vec<(KeyId, u64)>, StoreError> {
        read!(self, resealing::keys)
    }

    async fn sealed_by_others(
        &self,
        key: KeyId,
        after: Option<&SealedPlace>,
        limit: u32,
    ) -> Result<Vec<(SealedPlace, Sealed)>, StoreError> {
        read!(self, resealing::by_others, key, after, limit)
    }

    async fn reseal(&self, rows: &[(SealedPlace, Sealed, Sealed)]) -> Result<u64, StoreError> {
        in_one_revision!(self, resealing::reseal, rows)
    }
}

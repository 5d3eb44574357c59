//! The [`UpstreamStore`] over either database.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{
    AsOf, StoreError, Written,
    database::Database,
    sql_store::SqlStore,
    upstreams::{
        CredentialFilter, CredentialKey, CredentialRow, CredentialWritten, FlowFilter, FlowRow,
        NewCredential, NewFlow, Renewal, RenewalsWanted, Renewed, SealedPlace, Swept, UpstreamChange,
        UpstreamFilter, UpstreamGrants, UpstreamRow, UpstreamStore,
    },
};
use crate::types::{DataRevision, KeyId, Sealed, TenantId, Timestamp};

#[async_trait]
impl<D: Database> UpstreamStore for SqlStore<D> {
    async fn put_upstream(
        &self,
        tenant: &TenantId,
        id: &str,
        change: &UpstreamChange,
    ) -> Result<Written, StoreError> {
        unimplemented!()
    }

    async fn upstream(&self, tenant: &TenantId, id: &str) -> Result<AsOf<UpstreamRow>, StoreError> {
        unimplemented!()
    }

    async fn list_upstreams(&self, filter: &UpstreamFilter) -> Result<AsOf<Vec<UpstreamRow>>, StoreError> {
        unimplemented!()
    }

    async fn remove_upstream(&self, tenant: &TenantId, id: &str) -> Result<DataRevision, StoreError> {
        unimplemented!()
    }

    async fn token_grants(&self, tenant: &TenantId, token_id: &str) -> Result<AsOf<Vec<String>>, StoreError> {
        unimplemented!()
    }

    async fn upstream_grants(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
    ) -> Result<AsOf<Vec<String>>, StoreError> {
        unimplemented!()
    }

    async fn set_token_grants(
        &self,
        tenant: &TenantId,
        token_id: &str,
        upstreams: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        unimplemented!()
    }

    async fn set_upstream_grants(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
        grants: &UpstreamGrants,
    ) -> Result<Written, StoreError> {
        unimplemented!()
    }

    async fn put_credential(&self, credential: &NewCredential) -> Result<CredentialWritten, StoreError> {
        unimplemented!()
    }

    async fn credential(&self, key: &CredentialKey) -> Result<AsOf<CredentialRow>, StoreError> {
        unimplemented!()
    }

    async fn list_credentials(
        &self,
        filter: &CredentialFilter,
    ) -> Result<AsOf<Vec<CredentialRow>>, StoreError> {
        unimplemented!()
    }

    async fn remove_credential(&self, key: &CredentialKey) -> Result<DataRevision, StoreError> {
        unimplemented!()
    }

    async fn put_client_secret(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
        secret: Option<&Sealed>,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    async fn client_secret(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
    ) -> Result<Option<Sealed>, StoreError> {
        unimplemented!()
    }

    async fn begin_flow(&self, flow: &NewFlow) -> Result<(), StoreError> {
        unimplemented!()
    }

    async fn flow(&self, tenant: &TenantId, id: &str) -> Result<FlowRow, StoreError> {
        unimplemented!()
    }

    async fn list_flows(&self, filter: &FlowFilter) -> Result<Vec<FlowRow>, StoreError> {
        unimplemented!()
    }

    async fn take_flow(&self, tenant: &TenantId, id: &str, now: Timestamp) -> Result<FlowRow, StoreError> {
        unimplemented!()
    }

    async fn complete_flow(
        &self,
        id: &str,
        credential: &NewCredential,
    ) -> Result<CredentialWritten, StoreError> {
        unimplemented!()
    }

    async fn remove_flow(&self, tenant: &TenantId, id: &str) -> Result<(), StoreError> {
        unimplemented!()
    }

    async fn claim_renewals(&self, wanted: &RenewalsWanted) -> Result<Vec<Renewal>, StoreError> {
        unimplemented!()
    }

    async fn finish_renewal(
        &self,
        key: &CredentialKey,
        version: i64,
        outcome: &Renewed,
        now: Timestamp,
    ) -> Result<Option<DataRevision>, StoreError> {
        unimplemented!()
    }

    async fn sweep_credentials(
        &self,
        orphaned_before: Timestamp,
        now: Timestamp,
    ) -> Result<Swept, StoreError> {
        unimplemented!()
    }

    async fn sealing_keys(&self) -> Result<Vec<(KeyId, u64)>, StoreError> {
        unimplemented!()
    }

    async fn sealed_by_others(
        &self,
        key: KeyId,
        after: Option<&SealedPlace>,
        limit: u32,
    ) -> Result<Vec<(SealedPlace, Sealed)>, StoreError> {
        unimplemented!()
    }

    async fn reseal(&self, rows: &[(SealedPlace, Sealed, Sealed)]) -> Result<u64, StoreError> {
        unimplemented!()
    }
}

//! What [`LiveStore`] does about upstreams.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::live_store::LiveStore;
use crate::{
    store::{
        AsOf, StoreError, Written,
        upstreams::{
            CredentialFilter, CredentialKey, CredentialRow, CredentialWritten, FlowFilter, FlowRow,
            NewCredential, NewFlow, Renewal, RenewalsWanted, Renewed, SealedPlace, Swept, UpstreamChange,
            UpstreamFilter, UpstreamGrants, UpstreamRow, UpstreamStore,
        },
    },
    types::{DataRevision, KeyId, Sealed, TenantId, Timestamp},
};

#[async_trait]
impl UpstreamStore for LiveStore {
    async fn put_upstream(
        &self,
        tenant: &TenantId,
        id: &str,
        change: &UpstreamChange,
    ) -> Result<Written, StoreError> {
        let written = self.store.put_upstream(tenant, id, change).await?;
        self.reach.catch_up(written.revision).await;
        Ok(written)
    }

    async fn upstream(&self, tenant: &TenantId, id: &str) -> Result<AsOf<UpstreamRow>, StoreError> {
        self.store.upstream(tenant, id).await
    }

    async fn list_upstreams(&self, filter: &UpstreamFilter) -> Result<AsOf<Vec<UpstreamRow>>, StoreError> {
        self.store.list_upstreams(filter).await
    }

    async fn remove_upstream(&self, tenant: &TenantId, id: &str) -> Result<DataRevision, StoreError> {
        let revision = self.store.remove_upstream(tenant, id).await?;
        self.reach.catch_up(revision).await;
        Ok(revision)
    }

    async fn token_grants(&self, tenant: &TenantId, token_id: &str) -> Result<AsOf<Vec<String>>, StoreError> {
        self.store.token_grants(tenant, token_id).await
    }

    async fn upstream_grants(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
    ) -> Result<AsOf<Vec<String>>, StoreError> {
        self.store.upstream_grants(tenant, upstream_id).await
    }

    async fn set_token_grants(
        &self,
        tenant: &TenantId,
        token_id: &str,
        upstreams: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        let written = self.store.set_token_grants(tenant, token_id, upstreams, now).await?;
        self.reach.catch_up(written.revision).await;
        Ok(written)
    }

    async fn set_upstream_grants(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
        grants: &UpstreamGrants,
    ) -> Result<Written, StoreError> {
        let written = self.store.set_upstream_grants(tenant, upstream_id, grants).await?;
        self.reach.catch_up(written.revision).await;
        Ok(written)
    }

    async fn put_credential(&self, credential: &NewCredential) -> Result<CredentialWritten, StoreError> {
        let written = self.store.put_credential(credential).await?;
        self.reach.catch_up(written.revision).await;
        Ok(written)
    }

    async fn credential(&self, key: &CredentialKey) -> Result<AsOf<CredentialRow>, StoreError> {
        self.store.credential(key).await
    }

    async fn list_credentials(
        &self,
        filter: &CredentialFilter,
    ) -> Result<AsOf<Vec<CredentialRow>>, StoreError> {
        self.store.list_credentials(filter).await
    }

    async fn remove_credential(&self, key: &CredentialKey) -> Result<DataRevision, StoreError> {
        let revision = self.store.remove_credential(key).await?;
        self.reach.catch_up(revision).await;
        Ok(revision)
    }

    async fn put_client_secret(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
        secret: Option<&Sealed>,
    ) -> Result<(), StoreError> {
        self.store.put_client_secret(tenant, upstream_id, secret).await
    }

    async fn client_secret(
        &self,
        tenant: &TenantId,
        upstream_id: &str,
    ) -> Result<Option<Sealed>, StoreError> {
        self.store.client_secret(tenant, upstream_id).await
    }

    async fn begin_flow(&self, flow: &NewFlow) -> Result<(), StoreError> {
        self.store.begin_flow(flow).await
    }

    async fn flow(&self, tenant: &TenantId, id: &str) -> Result<FlowRow, StoreError> {
        self.store.flow(tenant, id).await
    }

    async fn list_flows(&self, filter: &FlowFilter) -> Result<Vec<FlowRow>, StoreError> {
        self.store.list_flows(filter).await
    }

    async fn take_flow(&self, tenant: &TenantId, id: &str, now: Timestamp) -> Result<FlowRow, StoreError> {
        self.store.take_flow(tenant, id, now).await
    }

    async fn complete_flow(
        &self,
        id: &str,
        credential: &NewCredential,
    ) -> Result<CredentialWritten, StoreError> {
        let written = self.store.complete_flow(id, credential).await?;
        self.reach.catch_up(written.revision).await;
        Ok(written)
    }

    async fn remove_flow(&self, tenant: &TenantId, id: &str) -> Result<(), StoreError> {
        self.store.remove_flow(tenant, id).await
    }

    async fn claim_renewals(&self, wanted: &RenewalsWanted) -> Result<Vec<Renewal>, StoreError> {
        self.store.claim_renewals(wanted).await
    }

    async fn finish_renewal(
        &self,
        key: &CredentialKey,
        version: i64,
        outcome: &Renewed,
        now: Timestamp,
    ) -> Result<Option<DataRevision>, StoreError> {
        let written = self.store.finish_renewal(key, version, outcome, now).await?;
        if let Some(revision) = written {
            self.reach.catch_up(revision).await;
        }
        Ok(written)
    }

    async fn sweep_credentials(
        &self,
        orphaned_before: Timestamp,
        now: Timestamp,
    ) -> Result<Swept, StoreError> {
        self.store.sweep_credentials(orphaned_before, now).await
    }

    async fn sealing_keys(&self) -> Result<Vec<(KeyId, u64)>, StoreError> {
        self.store.sealing_keys().await
    }

    async fn sealed_by_others(
        &self,
        key: KeyId,
        after: Option<&SealedPlace>,
        limit: u32,
    ) -> Result<Vec<(SealedPlace, Sealed)>, StoreError> {
        self.store.sealed_by_others(key, after, limit).await
    }

    async fn reseal(&self, rows: &[(SealedPlace, Sealed, Sealed)]) -> Result<u64, StoreError> {
        self.store.reseal(rows).await
    }
}

//! How many exchanges with authorization servers go on at a time: one that hangs takes its tenant's share, and no more.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::types::TenantId;

/// Exchanges at a time, of all and of one tenant.
const AT_ONCE: u32 = 32;
const OF_TENANT: usize = 8;
/// How long a call waits for its turn.
const WAIT: Duration = Duration::from_secs(5);

/// Who exchanges.
pub(super) struct Turns {
    all: Arc<Semaphore>,
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

/// A turn, until it is dropped.
pub(super) struct Turn {
    _of_tenant: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for Turns {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE as usize)), tenants: Mutex::default() }
    }
}

impl Turns {
    /// Waits for a turn; `None` when none came in time.
    pub async fn turn(&self, tenant: &TenantId) -> Option<Turn> {
        let own = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            tenants.retain(|_, turns| Arc::strong_count(turns) > 1);
            let new = || Arc::new(Semaphore::new(OF_TENANT));
            Arc::clone(tenants.entry(tenant.clone()).or_insert_with(new))
        };
        let turn = async {
            let of_tenant = own.acquire_owned().await.ok()?;
            Some(Turn { _of_tenant: of_tenant, _of_all: Arc::clone(&self.all).acquire_owned().await.ok()? })
        };
        timeout(WAIT, turn).await.ok().flatten()
    }

    /// Begins no other, and waits until all are over, for so long at most. Gives how many are not.
    pub async fn finish(&self, patience: Duration) -> usize {
        let _ = timeout(patience, self.all.acquire_many(AT_ONCE)).await;
        let left = AT_ONCE as usize - self.all.available_permits();
        self.all.close();
        left
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{OF_TENANT, Turns};
    use crate::types::TenantId;

    #[tokio::test]
    async fn a_tenant_takes_its_share_and_no_more() {
        let (one, other) = (TenantId::default_tenant(), TenantId::try_from("other").unwrap());
        let turns = Turns::default();
        let mut held = Vec::new();
        for _ in 0..OF_TENANT {
            held.push(turns.turn(&one).await.unwrap());
        }
        let short = Duration::from_millis(20);
        assert!(tokio::time::timeout(short, turns.turn(&one)).await.is_err());
        held.push(turns.turn(&other).await.unwrap());
        held.remove(0);
        held.push(turns.turn(&one).await.unwrap());
        assert_eq!(turns.finish(short).await, OF_TENANT + 1);
        drop(held);
        assert_eq!(Turns::default().finish(short).await, 0);
    }
}

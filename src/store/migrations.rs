//! Applying the embedded migrations, and saying which ones.

use std::collections::BTreeSet;

use sqlx::migrate::{Migrate, MigrateError, Migrator};

use super::{DatabaseFault, StoreError};

/// Runs `migrator` and gives the names of what it applied. The caller holds a lock against other
/// migrators.
pub(super) async fn apply<C: Migrate>(
    migrator: &Migrator,
    connection: &mut C,
) -> Result<Vec<String>, MigrateError> {
    connection.ensure_migrations_table(&migrator.table_name).await?;
    let before = versions(migrator, connection).await?;
    migrator.run_direct(None, connection, false).await?;
    let after = versions(migrator, connection).await?;
    let new = migrator
        .iter()
        .filter(|migration| after.contains(&migration.version) && !before.contains(&migration.version));
    Ok(new
        .map(|migration| format!("{:04}_{}", migration.version, migration.description.replace(' ', "_")))
        .collect())
}

async fn versions<C: Migrate>(
    migrator: &Migrator,
    connection: &mut C,
) -> Result<BTreeSet<i64>, MigrateError> {
    let applied = connection.list_applied_migrations(&migrator.table_name).await?;
    Ok(applied.into_iter().map(|migration| migration.version).collect())
}

/// An outage stays an outage; everything else is the migration's own failure.
pub(super) fn failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => match error.into() {
            unavailable @ StoreError::Unavailable(_) => unavailable,
            StoreError::Conflict(fault)
            | StoreError::Failed(fault)
            | StoreError::NotMigrated(fault)
            | StoreError::Migration(fault) => StoreError::Migration(fault),
            other => StoreError::Migration(DatabaseFault(other.to_string())),
        },
        MigrateError::VersionMissing(version) => StoreError::Migration(DatabaseFault(format!(
            "the database has migration {version}, which this regate does not know: it was migrated by a newer one"
        ))),
        other => StoreError::Migration(DatabaseFault(other.to_string())),
    }
}

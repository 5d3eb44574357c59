//! `POST /v1/import`: many rows of the operator's own tenant at once, existing keys by their hash among them.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    super::{
        Shared, call,
        openapi::{ImportSchema, ManagementProblems},
        problem::Problem,
    },
    Caller, Operation,
};
use crate::{
    store::import::{self, ImportError, ImportReport},
    types::DataRevision,
};

/// What was done.
#[derive(Serialize, ToSchema)]
pub(super) struct Imported {
    tables: Vec<ImportedTable>,
    #[schema(value_type = u64)]
    revision: DataRevision,
}

/// What was done to one table.
#[derive(Serialize, ToSchema)]
pub(super) struct ImportedTable {
    table: &'static str,
    /// Rows that are new.
    taken: usize,
    /// Rows that were there and differed.
    renewed: usize,
    /// Rows that were there already, as the document says.
    unchanged: usize,
}

impl From<ImportReport> for Imported {
    fn from(report: ImportReport) -> Self {
        let tables = report.tables.into_iter().map(|table| ImportedTable {
            table: table.table,
            taken: table.inserted,
            renewed: table.updated,
            unchanged: table.unchanged,
        });
        Self { tables: tables.collect(), revision: report.revision }
    }
}

/// Write a document of many rows whole, or nothing of it
///
/// The document is that of `regate import`; each row is of the operator's own tenant. What is refused is told with its
/// place, all of it, and then nothing is written. Harmless when repeated.
#[utoipa::path(
    post, path = "/v1/import", operation_id = "import", tag = "import",
    request_body = ImportSchema,
    responses((status = 200, description = "What was done", body = Imported), ManagementProblems),
)]
pub(in crate::api) async fn import(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let body = call::body(request, &shared.bounds).await?;
    let operator = caller.may(Operation::Import).await?;
    let management = operator.management()?;
    let refused = |problems| Problem::ImportRefused(Box::new(problems));
    let mut document = import::parse(&body).map_err(refused)?;
    // It is there, or its operator would see nothing. Tenants are made by the command line.
    document.tenants.retain(|entry| entry.id != operator.tenant().as_str());
    let checked = import::check_within(document, operator.tenant()).map_err(refused)?;
    let report = match management.store.import(&checked, &mut |_| {}).await {
        Ok(report) => report,
        Err(ImportError::Invalid(problems)) => return Err(refused(problems)),
        Err(ImportError::Store(error)) => return Err(error.into()),
    };
    Ok(call::answer(StatusCode::OK, &Imported::from(report)))
}

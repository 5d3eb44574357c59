//! Import files: a document is written whole, and can be read again, or changes nothing; one of a tenant's operator changes
//! nothing of another tenant.

use std::{cell::RefCell, sync::Arc};

use regate::{
    decision::facts::Fact,
    store::{
        self, ConnectOptions, Store,
        import::{self, CheckedDocument, ImportError, ImportReport, Problems},
    },
    types::{DataRevision, TenantId},
};
use tokio::runtime::Runtime;

/// What is there before.
const ROWS: &[u8] = br#"{
    "tenants": [{"id": "default"}, {"id": "other"}],
    "users": [{"id": "u"}, {"id": "u", "tenant": "other"}],
    "projects": [{"id": "p"}, {"id": "p", "tenant": "other"}],
    "collaborators": [{"project_id": "p", "user_id": "u", "role": "viewer"}],
    "tokens": [
        {"id": "t", "kind": "global", "name": "t", "user_id": "u", "revoked_at": "2026-01-01T00:00:00Z",
         "sha256": "1111111111111111111111111111111111111111111111111111111111111111"},
        {"id": "o", "kind": "project", "name": "o", "project_id": "p", "tenant": "other", "scope_pull": true,
         "sha256": "2222222222222222222222222222222222222222222222222222222222222222"}
    ],
    "upstreams": [{"id": "up", "url": "https://up.example"}],
    "grants": [{"token_id": "t", "upstream_id": "up"}]
}"#;

struct Place {
    runtime: Runtime,
    /// With the rows above and nothing else.
    store: RefCell<Option<Arc<dyn Store>>>,
}

thread_local! {
    static PLACE: Place = Place {
        runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        store: RefCell::default(),
    };
}

/// What the bytes are: the file.
pub fn holds(file: &[u8]) {
    let document = match import::parse(file) {
        Ok(document) => document,
        Err(problems) => return assert_told(&problems),
    };
    match import::check(&document) {
        Ok(checked) => drop(is_written_or_not(&checked)),
        Err(problems) => assert_told(&problems),
    }
    match import::check_within(document, &TenantId::default_tenant()) {
        Ok(checked) => {
            let (before, after) = is_written_or_not(&checked);
            let others = |rows: Vec<Row>| rows.into_iter().filter(|row| row.0).collect::<Vec<_>>();
            assert!(others(before) == others(after), "something of another tenant changed");
        }
        Err(problems) => assert_told(&problems),
    }
}

/// Problems have a place, and never a hash.
fn assert_told(problems: &Problems) {
    assert!(problems.count() > 0 && !problems.shown().is_empty(), "refused without a problem");
    for problem in problems.shown() {
        assert!(!problem.place.is_empty() && !problem.text.is_empty(), "a problem without words");
        let hash = |text: &str| {
            text.as_bytes()
                .chunk_by(|a, b| a.is_ascii_hexdigit() == b.is_ascii_hexdigit())
                .any(|run| run.len() >= 64 && run[0].is_ascii_hexdigit())
        };
        // The name of a member that nobody knows is told, whatever it is.
        let names_a_member = problem.text.starts_with("unknown field");
        assert!(names_a_member || !hash(&problem.text), "a problem repeats a hash");
    }
}

/// Whether a row is of another tenant than the operator's, and the row as text.
type Row = (bool, String);

/// What the store holds, before and after.
fn is_written_or_not(document: &CheckedDocument) -> (Vec<Row>, Vec<Row>) {
    PLACE.with(|place| {
        place.runtime.block_on(async {
            let taken = place.store.borrow_mut().take();
            let store = match taken {
                Some(store) => store,
                None => fresh().await,
            };
            let (before, revision) = facts(&*store).await;
            match store.import(document, &mut |_| {}).await {
                Err(ImportError::Invalid(problems)) => {
                    assert_told(&problems);
                    let after = facts(&*store).await;
                    assert!(after == (before.clone(), revision), "a refused document changed something");
                    place.store.replace(Some(store));
                    (before.clone(), before)
                }
                Err(ImportError::Store(error)) => panic!("the store refused what was checked: {error}"),
                Ok(report) => {
                    let rows = count(&report, |table| table.0 + table.1 + table.2);
                    assert_eq!(rows, document.rows(), "rows that are not in the report");
                    let (after, revision) = facts(&*store).await;
                    let again =
                        store.import(document, &mut |_| {}).await.expect("what was taken is taken again");
                    assert_eq!(
                        count(&again, |table| table.0 + table.1),
                        0,
                        "the same document changed something"
                    );
                    assert!(
                        facts(&*store).await == (after.clone(), revision),
                        "the same document changed something"
                    );
                    if after == before {
                        place.store.replace(Some(store));
                    } else {
                        store.close().await;
                    }
                    (before, after)
                }
            }
        })
    })
}

fn count(report: &ImportReport, of: impl Fn((usize, usize, usize)) -> usize) -> usize {
    report.tables.iter().map(|table| of((table.inserted, table.updated, table.unchanged))).sum()
}

async fn fresh() -> Arc<dyn Store> {
    let store = store::connect("sqlite::memory:", ConnectOptions::default()).await.unwrap();
    store.migrate().await.unwrap();
    let document = import::parse(ROWS).and_then(|document| import::check(&document)).unwrap();
    store.import(&document, &mut |_| {}).await.unwrap();
    store
}

/// All rows that decisions see, each as text, and their revision. That they can be read is a part of the property.
async fn facts(store: &dyn Store) -> (Vec<Row>, DataRevision) {
    let mut rows = Vec::new();
    let revision = store
        .load(&mut |fact: Fact| rows.push((is_others(&fact), format!("{fact:?}"))))
        .await
        .expect("it can be read");
    rows.sort_unstable();
    (rows, revision)
}

fn is_others(fact: &Fact) -> bool {
    let tenant = match fact {
        Fact::Tenant(tenant) => Some(tenant),
        Fact::User(row) => Some(&row.tenant),
        Fact::Project(row) => Some(&row.tenant),
        Fact::Collaborator(row) => Some(&row.tenant),
        Fact::Token(row) => row.tenant.as_ref(),
        Fact::Upstream(row) => Some(&row.tenant),
        Fact::Grant(row) => Some(&row.tenant),
        Fact::Credential(row) => Some(&row.tenant),
    };
    tenant != Some(&TenantId::default_tenant())
}

#[cfg(test)]
mod tests {
    use regate::store::import;

    use super::is_written_or_not;

    #[test]
    fn a_good_document_is_written() {
        let document = import::parse(br#"{"users": [{"id": "new"}]}"#).unwrap();
        let (before, after) = is_written_or_not(&import::check(&document).unwrap());
        assert_eq!(after.len(), before.len() + 1);
        let unknown = br#"{"collaborators": [{"project_id": "p", "user_id": "nobody", "role": "owner"}]}"#;
        let document = import::parse(unknown).unwrap();
        let (before, after) = is_written_or_not(&import::check(&document).unwrap());
        assert_eq!(after, before);
    }
}

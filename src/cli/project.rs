//! `regate project`: what people work on.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    exit::{CommandError, Exit},
    rows::{self, PageArguments, Shown, yes},
    store::{Access, StoreArguments},
    values::{WithinTenant, id, label},
};
use crate::{
    decision::facts::Project,
    store::{ProjectChange, ProjectFilter, StoreError},
    types::TenantId,
};

/// Add, change, show, list and remove projects
#[derive(Debug, Args)]
pub(super) struct Projects {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Put(Put),
    Show(One),
    List(List),
    /// Remove a project, with its collaborators and its own tokens, for good
    Remove(One),
}

impl Projects {
    /// Runs the action.
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        match &self.action {
            Action::Put(put) => put.run(),
            Action::Show(one) => one.show(),
            Action::List(list) => list.run(),
            Action::Remove(one) => one.remove(),
        }
    }
}

/// Show one project
#[derive(Debug, Args)]
struct One {
    /// The project's id
    #[arg(value_name = "PROJECT")]
    id: String,
    #[command(flatten)]
    within: WithinTenant,
    #[command(flatten)]
    store: StoreArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Add a project, or change one; harmless when repeated
///
/// What is left out stays as it is; a new project has no name and is not public. Exit code 0 also when there was
/// nothing to change.
#[derive(Debug, Args)]
struct Put {
    #[command(flatten)]
    one: One,
    /// For people, at most 256 characters
    #[arg(long, value_parser = label)]
    name: Option<String>,
    /// Anyone may read it; --public=false to end that
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    public: Option<bool>,
}

/// List projects, by id
#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    within: WithinTenant,
    /// Only public ones; --public=false: only others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    public: Option<bool>,
    /// Only those on which this user is a collaborator
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    #[command(flatten)]
    page: PageArguments,
    #[command(flatten)]
    store: StoreArguments,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Shown for Project {
    const NOUN: &'static str = "project";
    const COLUMNS: &'static [&'static str] = &["ID", "TENANT", "NAME", "PUBLIC"];

    fn title(&self) -> String {
        self.id.clone()
    }

    fn cursor(&self) -> &str {
        &self.id
    }

    fn cells(&self) -> Vec<String> {
        vec![self.id.clone(), self.tenant.to_string(), self.name.clone(), yes(self.public)]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let Self { tenant, id, name, public } = self;
        vec![
            ("id", id.as_str().into()),
            ("tenant", tenant.as_str().into()),
            ("name", name.as_str().into()),
            ("public", (*public).into()),
        ]
    }
}

impl One {
    fn tenant(&self) -> &TenantId {
        &self.within.tenant
    }

    fn explain(&self, outcome: &'static str, error: StoreError) -> CommandError {
        self.within.explain("project", &self.id, outcome, error)
    }

    fn show(&self) -> Result<Exit, CommandError> {
        let project = self.store.run(Access::Read, async |store| {
            let reading = store.project(self.tenant(), &self.id);
            reading.await.map_err(|error| self.explain("nothing to show", error))
        })?;
        rows::write_one(&project.value, project.revision, self.json)?;
        Ok(Exit::Done)
    }

    fn remove(&self) -> Result<Exit, CommandError> {
        let revision = self.store.run(Access::Change, async |store| {
            let removing = store.remove_project(self.tenant(), &self.id);
            removing.await.map_err(|error| self.explain("nothing was removed", error))
        })?;
        let what = format!("project {}", self.id);
        rows::write_removed(&what, revision, self.json)?;
        Ok(Exit::Done)
    }
}

impl Put {
    fn run(&self) -> Result<Exit, CommandError> {
        let one = &self.one;
        id(&one.id).map_err(|problem| CommandError::Usage(format!("PROJECT: {problem}")))?;
        let change = ProjectChange { name: self.name.clone(), public: self.public };
        let (written, project) = one.store.run(Access::Add, async |store| {
            let explain = |error| one.explain("nothing was changed", error);
            let written = store.put_project(one.tenant(), &one.id, &change).await.map_err(explain)?;
            Ok((written, store.project(one.tenant(), &one.id).await.map_err(explain)?.value))
        })?;
        rows::write_put(&project, &written, one.json)?;
        Ok(Exit::Done)
    }
}

impl List {
    fn run(&self) -> Result<Exit, CommandError> {
        let filter = ProjectFilter {
            tenant: self.within.tenant.clone(),
            public: self.public,
            member: self.user.clone(),
            after: self.page.after.clone(),
            limit: self.page.rows_to_read(),
        };
        let projects =
            self.store.run(Access::Read, async |store| Ok(store.list_projects(&filter).await?.value))?;
        self.page.write(projects, self.json)?;
        Ok(Exit::Done)
    }
}

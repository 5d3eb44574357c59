//! `regate collaborator`: who works on a project, as what.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    exit::{Absent, CommandError, Exit},
    rows::{self, PageArguments, Shown},
    store::{Access, StoreArguments},
    values::{WithinTenant, project_role},
};
use crate::{
    decision::facts::{Collaborator, ProjectRole},
    store::{CollaboratorFilter, StoreError},
    types::TenantId,
};

/// Add, change, show, list and remove collaborators of a project
#[derive(Debug, Args)]
pub(super) struct Collaborators {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Put(Put),
    Show(One),
    List(List),
    /// End a user's place on a project: their tokens lose it at once
    Remove(One),
}

impl Collaborators {
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

/// Show a user's role on a project
#[derive(Debug, Args)]
struct One {
    /// The project's id
    #[arg(value_name = "PROJECT")]
    project: String,
    /// The user's id
    #[arg(value_name = "USER")]
    user: String,
    #[command(flatten)]
    within: WithinTenant,
    #[command(flatten)]
    store: StoreArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Give a user a role on a project, instead of the one that they have; harmless when repeated
#[derive(Debug, Args)]
struct Put {
    #[command(flatten)]
    one: One,
    /// What the user is on the project
    #[arg(long, value_parser = project_role())]
    role: ProjectRole,
}

/// List the collaborators of a project, by user
#[derive(Debug, Args)]
struct List {
    /// The project's id
    #[arg(value_name = "PROJECT")]
    project: String,
    #[command(flatten)]
    within: WithinTenant,
    /// Only those with this role
    #[arg(long, value_parser = project_role())]
    role: Option<ProjectRole>,
    #[command(flatten)]
    page: PageArguments,
    #[command(flatten)]
    store: StoreArguments,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Shown for Collaborator {
    const NOUN: &'static str = "collaborator";
    const COLUMNS: &'static [&'static str] = &["PROJECT", "USER", "TENANT", "ROLE"];

    fn title(&self) -> String {
        format!("{} on {}", self.user_id, self.project_id)
    }

    fn cursor(&self) -> &str {
        &self.user_id
    }

    fn cells(&self) -> Vec<String> {
        let Self { tenant, project_id, user_id, role } = self;
        vec![project_id.clone(), user_id.clone(), tenant.to_string(), role.as_str().to_owned()]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let Self { tenant, project_id, user_id, role } = self;
        vec![
            ("project_id", project_id.as_str().into()),
            ("user_id", user_id.as_str().into()),
            ("tenant", tenant.as_str().into()),
            ("role", role.as_str().into()),
        ]
    }
}

impl One {
    fn tenant(&self) -> &TenantId {
        &self.within.tenant
    }

    /// The store's refusal in the words of the command.
    fn explain(&self, outcome: &'static str, error: StoreError) -> CommandError {
        let (tenant, project, user) = (self.tenant(), &self.project, &self.user);
        let because = match error {
            StoreError::NotFound { .. } => format!(
                "{user:?} is no collaborator of the project {project:?} in the tenant \"{tenant}\": see regate \
                 collaborator list"
            ),
            StoreError::UnknownReference { what: "user" } => {
                format!("there is no user {user:?} in the tenant \"{tenant}\": add it with regate user put")
            }
            StoreError::UnknownReference { .. } => no_project(project, tenant),
            other => return other.into(),
        };
        CommandError::Nothing { outcome, because: Absent(because) }
    }

    fn show(&self) -> Result<Exit, CommandError> {
        let row = self.store.run(Access::Read, async |store| {
            let reading = store.collaborator(self.tenant(), &self.project, &self.user);
            reading.await.map_err(|error| self.explain("nothing to show", error))
        })?;
        rows::write_one(&row.value, row.revision, self.json)?;
        Ok(Exit::Done)
    }

    fn remove(&self) -> Result<Exit, CommandError> {
        let revision = self.store.run(Access::Change, async |store| {
            let removing = store.remove_collaborator(self.tenant(), &self.project, &self.user);
            removing.await.map_err(|error| self.explain("nothing was removed", error))
        })?;
        let what = format!("collaborator {} on {}", self.user, self.project);
        rows::write_removed(&what, revision, self.json)?;
        Ok(Exit::Done)
    }
}

fn no_project(project: &str, tenant: &TenantId) -> String {
    format!("there is no project {project:?} in the tenant \"{tenant}\": add it with regate project put")
}

impl Put {
    fn run(&self) -> Result<Exit, CommandError> {
        let one = &self.one;
        let row = Collaborator {
            tenant: one.tenant().clone(),
            project_id: one.project.clone(),
            user_id: one.user.clone(),
            role: self.role,
        };
        let written = one.store.run(Access::Add, async |store| {
            let putting = store.put_collaborator(&row);
            putting.await.map_err(|error| one.explain("nothing was changed", error))
        })?;
        rows::write_put(&row, &written, one.json)?;
        Ok(Exit::Done)
    }
}

impl List {
    fn run(&self) -> Result<Exit, CommandError> {
        let filter = CollaboratorFilter {
            tenant: self.within.tenant.clone(),
            project_id: self.project.clone(),
            role: self.role,
            after: self.page.after.clone(),
            limit: self.page.rows_to_read(),
        };
        let found = self.store.run(Access::Read, async |store| {
            let listing = store.list_collaborators(&filter);
            let found = listing.await.map_err(|error| match error {
                StoreError::NotFound { .. } => CommandError::Nothing {
                    outcome: "nothing to list",
                    because: Absent(no_project(&self.project, &self.within.tenant)),
                },
                other => other.into(),
            })?;
            Ok(found.value)
        })?;
        self.page.write(found, self.json)?;
        Ok(Exit::Done)
    }
}

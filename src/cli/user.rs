//! `regate user`: who belongs to a tenant.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    exit::{CommandError, Exit},
    rows::{self, PageArguments, Shown, yes},
    store::{Access, StoreArguments},
    values::{WithinTenant, id, user_role},
};
use crate::{
    decision::facts::User,
    store::{StoreError, UserChange, UserFilter},
    types::{TenantId, UserRole},
};

/// Add, change, show, list and remove users
#[derive(Debug, Args)]
pub(super) struct Users {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Put(Put),
    Show(One),
    List(List),
    /// Remove a user, with their tokens and their place on projects, for good
    Remove(One),
}

impl Users {
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

/// Show one user
#[derive(Debug, Args)]
struct One {
    /// The user's id
    #[arg(value_name = "USER")]
    id: String,
    #[command(flatten)]
    within: WithinTenant,
    #[command(flatten)]
    store: StoreArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Add a user, or change one; harmless when repeated
///
/// What is left out stays as it is; a new user has the role user and is not disabled. Exit code 0 also when there was
/// nothing to change.
#[derive(Debug, Args)]
struct Put {
    #[command(flatten)]
    one: One,
    /// What the user is within the organisation; rights on a project come from being a collaborator
    #[arg(long, value_parser = user_role())]
    role: Option<UserRole>,
    /// A disabled user's tokens decide nothing; --disabled=false to enable
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    disabled: Option<bool>,
}

/// List users, by id
#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    within: WithinTenant,
    /// Only those with this role
    #[arg(long, value_parser = user_role())]
    role: Option<UserRole>,
    /// Only disabled ones; --disabled=false: only others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    disabled: Option<bool>,
    #[command(flatten)]
    page: PageArguments,
    #[command(flatten)]
    store: StoreArguments,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Shown for User {
    const NOUN: &'static str = "user";
    const COLUMNS: &'static [&'static str] = &["ID", "TENANT", "ROLE", "DISABLED"];

    fn title(&self) -> String {
        self.id.clone()
    }

    fn cursor(&self) -> &str {
        &self.id
    }

    fn cells(&self) -> Vec<String> {
        vec![self.id.clone(), self.tenant.to_string(), self.role.as_str().to_owned(), yes(self.disabled)]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let Self { tenant, id, role, disabled } = self;
        vec![
            ("id", id.as_str().into()),
            ("tenant", tenant.as_str().into()),
            ("role", role.as_str().into()),
            ("disabled", (*disabled).into()),
        ]
    }
}

impl One {
    fn tenant(&self) -> &TenantId {
        &self.within.tenant
    }

    fn explain(&self, outcome: &'static str, error: StoreError) -> CommandError {
        self.within.explain("user", &self.id, outcome, error)
    }

    fn show(&self) -> Result<Exit, CommandError> {
        let user = self.store.run(Access::Read, async |store| {
            let reading = store.user(self.tenant(), &self.id);
            reading.await.map_err(|error| self.explain("nothing to show", error))
        })?;
        rows::write_one(&user.value, user.revision, self.json)?;
        Ok(Exit::Done)
    }

    fn remove(&self) -> Result<Exit, CommandError> {
        let revision = self.store.run(Access::Change, async |store| {
            let removing = store.remove_user(self.tenant(), &self.id);
            removing.await.map_err(|error| self.explain("nothing was removed", error))
        })?;
        let what = format!("user {}", self.id);
        rows::write_removed(&what, revision, self.json)?;
        Ok(Exit::Done)
    }
}

impl Put {
    fn run(&self) -> Result<Exit, CommandError> {
        let one = &self.one;
        id(&one.id).map_err(|problem| CommandError::Usage(format!("USER: {problem}")))?;
        let change = UserChange { role: self.role, disabled: self.disabled };
        let (written, user) = one.store.run(Access::Add, async |store| {
            let explain = |error| one.explain("nothing was changed", error);
            let written = store.put_user(one.tenant(), &one.id, &change).await.map_err(explain)?;
            Ok((written, store.user(one.tenant(), &one.id).await.map_err(explain)?.value))
        })?;
        rows::write_put(&user, &written, one.json)?;
        Ok(Exit::Done)
    }
}

impl List {
    fn run(&self) -> Result<Exit, CommandError> {
        let filter = UserFilter {
            tenant: self.within.tenant.clone(),
            role: self.role,
            disabled: self.disabled,
            after: self.page.after.clone(),
            limit: self.page.rows_to_read(),
        };
        let users = self.store.run(Access::Read, async |store| Ok(store.list_users(&filter).await?.value))?;
        self.page.write(users, self.json)?;
        Ok(Exit::Done)
    }
}
